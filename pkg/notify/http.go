package notify

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// maxAnswerBytes is how much of a service's answer is read.
const maxAnswerBytes = 64 << 10

// maxRetryAfter caps what a service may ask for.
const maxRetryAfter = time.Hour

// transport is shared by all senders. A notification is rare: no connection is kept, so that none has to be closed.
var transport = &http.Transport{
	Proxy:               proxyOf,
	DialContext:         (&net.Dialer{Timeout: 10 * time.Second}).DialContext,
	TLSHandshakeTimeout: 10 * time.Second,
	TLSClientConfig:     &tls.Config{MinVersion: tls.VersionTLS12},
	DisableKeepAlives:   true,
}

// proxied is a sender whose HTTP requests go through a proxy.
type proxied struct {
	Sender
	proxy *url.URL
}

// proxyKey is where a context has the proxy.
type proxyKey struct{}

// Send hands over m through the proxy.
func (p *proxied) Send(ctx context.Context, m Message) error {
	return p.Sender.Send(context.WithValue(ctx, proxyKey{}, p.proxy), m)
}

func proxyOf(req *http.Request) (*url.URL, error) {
	proxy, _ := req.Context().Value(proxyKey{}).(*url.URL)
	return proxy, nil
}

// takeProxy removes the parameter proxy from u and returns it, nil when there is none.
func takeProxy(u *url.URL) (*url.URL, error) {
	query := u.Query()
	if !query.Has("proxy") {
		return nil, nil
	}
	proxy, err := url.Parse(query.Get("proxy"))
	if err != nil || !slices.Contains([]string{"http", "https", "socks5", "socks5h"}, proxy.Scheme) || proxy.Hostname() == "" {
		return nil, errors.New("proxy is not an http, https, socks5 or socks5h url")
	}
	query.Del("proxy")
	u.RawQuery = query.Encode()
	return proxy, nil
}

// client is the HTTP client of one Send. The services of shoutrrr make their requests under context.Background; the
// client puts the context of the Send in its place.
type client func(*http.Request) (*http.Response, error)

// newClient returns a client whose requests end with ctx. They go to endpoint, or where they say when it is nil.
func newClient(ctx context.Context, endpoint *url.URL) client {
	return func(req *http.Request) (*http.Response, error) {
		req = req.Clone(ctx)
		if endpoint != nil {
			req.URL = redirected(req.URL, endpoint)
			req.Host = req.URL.Host
		}
		if req.URL.User != nil && req.Header.Get("Authorization") == "" {
			password, _ := req.URL.User.Password()
			req.SetBasicAuth(req.URL.User.Username(), password)
		}
		return roundTrip(req)
	}
}

// Do makes shoutrrr's types.HTTPClient of it.
func (c client) Do(req *http.Request) (*http.Response, error) { return c(req) }

// roundTrip follows no redirect and returns at most maxAnswerBytes. A service that is asked too often is an error
// here, as shoutrrr does not hand up when to come back.
func roundTrip(req *http.Request) (*http.Response, error) {
	resp, err := transport.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode >= 300 && resp.StatusCode < 400 {
		_ = resp.Body.Close()
		return nil, &answerError{reason: "answered " + resp.Status + ": redirects are not followed"}
	}
	if resp.StatusCode == http.StatusTooManyRequests {
		_ = resp.Body.Close()
		return nil, &answerError{reason: "answered " + resp.Status, retryAfter: seconds(resp.Header.Get("Retry-After"))}
	}
	resp.Body = limited{Reader: io.LimitReader(resp.Body, maxAnswerBytes), Closer: resp.Body}
	return resp, nil
}

type limited struct {
	io.Reader
	io.Closer
}

// redirected is u with scheme and host of endpoint, and its path before that of u.
func redirected(u, endpoint *url.URL) *url.URL {
	moved := *u
	moved.Scheme, moved.Host, moved.User = endpoint.Scheme, endpoint.Host, endpoint.User
	moved.Path = strings.TrimSuffix(endpoint.Path, "/") + u.Path
	if u.RawPath != "" {
		moved.RawPath = strings.TrimSuffix(endpoint.EscapedPath(), "/") + u.EscapedPath()
	}
	return &moved
}

// takeEndpoint removes the parameter endpoint from u and returns it, nil when there is none.
func takeEndpoint(u *url.URL) (*url.URL, error) {
	query := u.Query()
	if !query.Has("endpoint") {
		return nil, nil
	}
	endpoint, err := parseEndpoint(query.Get("endpoint"))
	if err != nil {
		return nil, err
	}
	query.Del("endpoint")
	u.RawQuery = query.Encode()
	return endpoint, nil
}

func parseEndpoint(raw string) (*url.URL, error) {
	endpoint, err := url.Parse(raw)
	if err != nil || (endpoint.Scheme != "http" && endpoint.Scheme != "https") || endpoint.Hostname() == "" {
		return nil, errors.New("endpoint is not an http or https url")
	}
	return endpoint, nil
}

// answerError is a service's refusal.
type answerError struct {
	reason     string
	retryAfter time.Duration
}

func (e *answerError) Error() string { return e.reason }

// seconds reads a Retry-After in seconds; the services of this package send no dates.
func seconds(value string) time.Duration {
	n, err := strconv.ParseInt(strings.TrimSpace(value), 10, 32)
	if err != nil || n < 0 {
		return 0
	}
	return min(time.Duration(n)*time.Second, maxRetryAfter)
}

// verdict is the answer that DingTalk, ServerChan and PushBear give in JSON: a code, 0 for success, and a text. Every
// service has names of its own for them.
type verdict struct {
	Code    *json.Number `json:"code"`
	ErrCode *json.Number `json:"errcode"`
	Message string       `json:"message"`
	ErrMsg  string       `json:"errmsg"`
	Info    string       `json:"info"`
}

// ask makes a request and returns the code of its verdict. A status that is not 2xx, and an answer without a code
// where one is demanded, are errors.
func (c client) ask(req *http.Request, codeDemanded bool) (code, text string, err error) {
	resp, err := c.Do(req)
	if err != nil {
		return "", "", err
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return "", "", fmt.Errorf("read answer: %w", err)
	}

	var v verdict
	decodeErr := json.Unmarshal(body, &v)
	text = strings.Join(strings.Fields(v.ErrMsg+" "+v.Message+" "+v.Info), " ")
	switch {
	case resp.StatusCode < 200 || resp.StatusCode >= 300:
		return "", "", &answerError{reason: strings.TrimSpace("answered " + resp.Status + " " + text)}
	case decodeErr == nil && v.Code != nil:
		return v.Code.String(), text, nil
	case decodeErr == nil && v.ErrCode != nil:
		return v.ErrCode.String(), text, nil
	case codeDemanded:
		return "", "", &answerError{reason: fmt.Sprintf("answered %s without a code: %q", resp.Status, cut(string(body), 200))}
	}
	return "0", text, nil
}

// withDeadline bounds a Send that has no deadline of its own.
func withDeadline(ctx context.Context) (context.Context, context.CancelFunc) {
	if _, ok := ctx.Deadline(); ok {
		return context.WithCancel(ctx)
	}
	return context.WithTimeout(ctx, sendTimeout)
}
