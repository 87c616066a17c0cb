package webhook

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/masixun71/cupid/pkg/secret"
)

const (
	// maxAnswerBytes is how much of an answer is read and kept.
	maxAnswerBytes = 4 << 10

	// answerTime is how long the rest of an answer may take once its head is there: the meaning is known by then, and
	// what follows is only for the log.
	answerTime = 2 * time.Second
)

// Request is one attempt to hand over one body. It is only read.
type Request struct {
	// URL is where to. Without a scheme it is http. A user and password in it become basic authentication.
	URL string
	// Body is sent as it is. It must not change until Post has returned.
	Body []byte
	// ID becomes Webhook-Id: the same over all attempts of one event, never that of another. Required.
	ID string
	// Attempt counts from 1.
	Attempt int
	// Pair and Columns say what diverges.
	Pair    string
	Columns []string
	// Headers are sent besides; reserved ones among them (see Reserved) are left out.
	Headers map[string]secret.String
	// Secrets sign the request: none, one, or two while one replaces the other.
	Secrets []secret.String
	// Timeout bounds the whole attempt, waiting for a connection included. Zero means DefaultTimeout.
	Timeout time.Duration
}

// Outcome is what became of an attempt.
type Outcome struct {
	// Accepted is true for a status 2xx.
	Accepted bool
	// Status is the HTTP status, 0 when there was no answer.
	Status int
	// Unanswered is true when the receiver may have read the request and did not answer itself: it may still be at work
	// on it. There was a connection and then no answer, or a gateway before it says 502 or 504.
	Unanswered bool
	// RetryAfter is how long the receiver asked to be left alone, at most an hour; 0 when it did not ask.
	RetryAfter time.Duration
	// OfRow is true for a status that may mean this body alone; the package comment has the list.
	OfRow bool
	// Parked is true for 410 Gone: the receiver says that the URL will not come back.
	Parked bool
	// Err says why the attempt was not accepted; nil when it was. Its text shows no user, password or query of the URL.
	// errors.Is finds context.DeadlineExceeded, context.Canceled and ErrRefusedAddress.
	Err error
	// Answer is the beginning of the answer's body, at most 4 KiB.
	Answer string
	// Elapsed is the time from Post to Outcome.
	Elapsed time.Duration
}

// Post makes the attempt. It never panics for what a receiver does, and returns within the timeout.
func (c *Client) Post(ctx context.Context, r Request) Outcome {
	start := time.Now()
	out := c.post(ctx, r, start)
	out.Elapsed = time.Since(start)
	return out
}

func (c *Client) post(ctx context.Context, r Request, now time.Time) Outcome {
	t, err := c.target(r.URL)
	if err != nil {
		return Outcome{Err: err}
	}
	fail := func(err error) Outcome { return Outcome{Err: fmt.Errorf("post %s: %w", t.name, err)} }

	ctx, cancel := contextWithTimeout(ctx, r.Timeout)
	defer cancel()
	var connected atomic.Bool
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{GotConn: func(httptrace.GotConnInfo) { connected.Store(true) }})
	req, err := c.request(ctx, t, r, now)
	if err != nil {
		return fail(err)
	}
	// The transport is used without http.Client, which would follow redirects and put the URL into error texts.
	resp, err := c.transport.RoundTrip(req) //nolint:bodyclose // readAnswer closes it
	if err != nil {
		out := fail(explain(ctx, err))
		out.Unanswered = connected.Load()
		return out
	}

	out := Outcome{Status: resp.StatusCode, Answer: readAnswer(resp, cancel)}
	switch status := resp.StatusCode; {
	case status >= 200 && status < 300:
		out.Accepted = true
		return out
	case status >= 300 && status < 400:
		out.Err = fmt.Errorf("post %s: answered %s: redirects are not followed, configure the url it leads to", t.name, statusText(status))
	default:
		out.Parked = status == http.StatusGone
		out.Unanswered = status == http.StatusBadGateway || status == http.StatusGatewayTimeout
		out.Err = fmt.Errorf("post %s: answered %s", t.name, statusText(status))
	}
	out.OfRow = ofRow(resp.StatusCode)
	out.RetryAfter = retryAfter(resp.Header.Get("Retry-After"), time.Now())
	return out
}

// ofRow reports whether a receiver that answers with a status may take other bodies, as the package comment says.
func ofRow(status int) bool {
	switch status {
	case http.StatusBadRequest, http.StatusNotAcceptable, http.StatusConflict, http.StatusPreconditionFailed,
		http.StatusRequestEntityTooLarge, http.StatusUnsupportedMediaType, http.StatusUnprocessableEntity, http.StatusFailedDependency,
		http.StatusRequestHeaderFieldsTooLarge, http.StatusInternalServerError, http.StatusNotImplemented:
		return true
	}
	return false
}

// request builds what goes on the wire.
func (c *Client) request(ctx context.Context, t *target, r Request, now time.Time) (*http.Request, error) {
	if r.ID == "" {
		return nil, errors.New("request has no id")
	}
	req := (&http.Request{
		Method:        http.MethodPost,
		URL:           t.url,
		Host:          t.url.Host,
		ProtoMajor:    1,
		ProtoMinor:    1,
		Header:        make(http.Header, 10+len(r.Headers)),
		Body:          io.NopCloser(bytes.NewReader(r.Body)),
		GetBody:       func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(r.Body)), nil },
		ContentLength: int64(len(r.Body)),
	}).WithContext(ctx)
	if len(r.Body) == 0 {
		req.Body, req.GetBody = http.NoBody, nil
	}

	if t.authority != nil {
		req.Header["Authorization"] = t.authority
	}
	addCustom(req, r.Headers)
	return req, c.addReserved(req.Header, r, now)
}

// addReserved sets the headers that are ours alone.
func (c *Client) addReserved(h http.Header, r Request, now time.Time) error {
	id := encode(r.ID)
	timestamp := strconv.FormatInt(now.Unix(), 10)

	// One array for all values instead of one for each header.
	values := []string{"application/json", id, timestamp, strconv.Itoa(r.Attempt), encode(r.Pair), "", ""}
	for i, name := range [...]string{"Content-Type", HeaderID, HeaderTimestamp, HeaderAttempt, HeaderPair} {
		h[name] = values[i : i+1 : i+1]
	}
	h["User-Agent"] = c.userAgent
	// Empty: nothing is sent, but the transport may repeat the request on a new connection when a kept one turns out
	// to be closed. A receiver must bear a repetition anyway, and knows it by the id.
	h["Idempotency-Key"] = nil
	if len(r.Columns) > 0 {
		values[5] = encodeList(r.Columns)
		h[HeaderColumns] = values[5:6:6]
	}
	if len(r.Secrets) == 0 {
		return nil
	}
	var room [2]*signer
	signers := room[:0]
	for i, s := range r.Secrets {
		key, err := c.signer(s)
		if err != nil {
			return fmt.Errorf("secret %d: %w", i+1, err)
		}
		signers = append(signers, key)
	}
	values[6] = signature(signers, id, timestamp, r.Body)
	h[HeaderSignature] = values[6:7:7]
	return nil
}

// answers holds the buffers that answers are read into. One byte more than is kept shows that there is more.
var answers = sync.Pool{New: func() any { return new([maxAnswerBytes + 1]byte) }}

// readAnswer returns the beginning of the answer and settles the fate of its connection: read to the end it is used
// again, else it is closed.
func readAnswer(resp *http.Response, cancel context.CancelFunc) string {
	defer func() { _ = resp.Body.Close() }()
	if resp.ContentLength == 0 || resp.Body == http.NoBody {
		return ""
	}
	late := time.AfterFunc(answerTime, cancel)
	defer late.Stop()

	buf := answers.Get().(*[maxAnswerBytes + 1]byte)
	defer answers.Put(buf)
	n, err := io.ReadFull(resp.Body, buf[:])
	if err == nil {
		cancel() // more is to come: drop the connection, do not drain it
	}
	return string(buf[:min(n, maxAnswerBytes)])
}

func statusText(status int) string {
	if text := http.StatusText(status); text != "" {
		return strconv.Itoa(status) + " " + text
	}
	return strconv.Itoa(status)
}

// maxErrorBytes bounds the text of an error: a receiver's garbage is quoted in it.
const maxErrorBytes = 300

// explain replaces the error of a transport by what it means: the reason why the context ended, or a text of bounded
// length.
func explain(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("connection closed without an answer: %w", err)
	}
	if text := err.Error(); len(text) > maxErrorBytes {
		return &shortError{text: text[:maxErrorBytes] + "…", err: err}
	}
	return err
}

// shortError is an error whose text was cut.
type shortError struct {
	text string
	err  error
}

func (e *shortError) Error() string { return e.text }
func (e *shortError) Unwrap() error { return e.err }
