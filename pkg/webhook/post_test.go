package webhook_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/masixun71/cupid/pkg/secret"
	"github.com/masixun71/cupid/pkg/webhook"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m)
}

func newClient(tb testing.TB) *webhook.Client {
	tb.Helper()
	c := webhook.New(webhook.Options{Version: "1.2.3"})
	tb.Cleanup(c.Close)
	return c
}

// serve starts an HTTP server that is closed, with its connections, when the test ends.
func serve(tb testing.TB, h http.HandlerFunc) *httptest.Server {
	tb.Helper()
	s := httptest.NewServer(h)
	tb.Cleanup(func() {
		s.CloseClientConnections()
		s.Close()
	})
	return s
}

func request(url string) webhook.Request {
	return webhook.Request{
		URL: url, Body: []byte(`{"type":1,"srcColumn":{"id":7}}`), ID: "evt_1", Attempt: 3, Pair: "orders→copy",
		Columns: []string{"name", "price"}, Timeout: 10 * time.Second,
	}
}

func TestRequestOnTheWire(t *testing.T) {
	t.Parallel()
	var got *http.Request
	var body []byte
	s := serve(t, func(_ http.ResponseWriter, r *http.Request) {
		got = r
		body, _ = io.ReadAll(r.Body)
	})

	r := request(strings.Replace(s.URL, "http://", "http://joe:pw@", 1) + "/hook?a=b")
	r.Headers = map[string]secret.String{
		"X-Token": secret.New("t0k"), "content-type": secret.New("text/plain"), "WEBHOOK-ID": secret.New("forged"),
		"cupid-attempt": secret.New("99"), "user-agent": secret.New("curl"), "Host": secret.New("inside.example"),
		"Transfer-Encoding": secret.New("chunked"),
	}
	out := newClient(t).Post(t.Context(), r)
	if !out.Accepted || out.Err != nil {
		t.Fatalf("got %+v, want accepted", out)
	}
	if want := `{"type":1,"srcColumn":{"id":7}}`; string(body) != want {
		t.Errorf("body: got %s, want %s", body, want)
	}
	if got.Method != http.MethodPost || got.URL.RequestURI() != "/hook?a=b" || got.Host != "inside.example" {
		t.Errorf("got %s %s for host %s", got.Method, got.URL.RequestURI(), got.Host)
	}
	if user, password, ok := got.BasicAuth(); !ok || user != "joe" || password != "pw" {
		t.Errorf("basic authentication: got %s:%s", user, password)
	}
	for name, want := range map[string]string{
		"Content-Type": "application/json", "User-Agent": "cupid/1.2.3", "Webhook-Id": "evt_1", "Cupid-Attempt": "3",
		"Cupid-Pair": "orders%E2%86%92copy", "Cupid-Columns": "name,price", "X-Token": "t0k",
	} {
		if values := got.Header.Values(name); len(values) != 1 || values[0] != want {
			t.Errorf("header %s: got %q, want %q", name, values, want)
		}
	}
	for _, name := range []string{"Webhook-Signature", "Idempotency-Key", "Accept-Encoding"} {
		if values, ok := got.Header[name]; ok {
			t.Errorf("header %s: got %q, want none", name, values)
		}
	}
	if got.ContentLength != int64(len(body)) || len(got.TransferEncoding) > 0 {
		t.Errorf("got length %d, transfer encoding %v", got.ContentLength, got.TransferEncoding)
	}
}

func TestStatusMeansOutcome(t *testing.T) {
	t.Parallel()
	inAnHour := time.Now().Add(30 * time.Minute).UTC().Format(http.TimeFormat)
	for _, c := range []struct {
		status     int
		retryAfter string
		accepted   bool
		parked     bool
		ofRow      bool
		atLeast    time.Duration
		atMost     time.Duration
	}{
		{status: 200, accepted: true},
		{status: 201, accepted: true, retryAfter: "7"},
		{status: 204, accepted: true},
		{status: 299, accepted: true},
		{status: 301},
		{status: 307},
		{status: 400, ofRow: true},
		{status: 401},
		{status: 403},
		{status: 404},
		{status: 405},
		{status: 406, ofRow: true},
		{status: 409, ofRow: true},
		{status: 410, parked: true},
		{status: 411},
		{status: 412, ofRow: true},
		{status: 413, ofRow: true},
		{status: 415, ofRow: true},
		{status: 421},
		{status: 422, ofRow: true},
		{status: 424, ofRow: true},
		{status: 425},
		{status: 429, retryAfter: "120", atLeast: 2 * time.Minute, atMost: 2 * time.Minute},
		{status: 429, retryAfter: inAnHour, atLeast: 29 * time.Minute, atMost: 30 * time.Minute},
		{status: 429, retryAfter: "86400", atLeast: time.Hour, atMost: time.Hour},
		{status: 429},
		{status: 431, ofRow: true},
		{status: 500, ofRow: true},
		{status: 500, ofRow: true, retryAfter: "3", atLeast: 3 * time.Second, atMost: 3 * time.Second},
		{status: 501, ofRow: true},
		{status: 502},
		{status: 504},
		{status: 503, retryAfter: "1", atLeast: time.Second, atMost: time.Second},
		{status: 799},
	} {
		t.Run(fmt.Sprintf("%d_%s", c.status, c.retryAfter), func(t *testing.T) {
			t.Parallel()
			var calls atomic.Int32
			s := serve(t, func(w http.ResponseWriter, _ *http.Request) {
				calls.Add(1)
				if c.retryAfter != "" {
					w.Header().Set("Retry-After", c.retryAfter)
				}
				w.Header().Set("Location", "/elsewhere")
				w.WriteHeader(c.status)
				if c.status != 204 {
					_, _ = io.WriteString(w, "the answer")
				}
			})
			out := newClient(t).Post(t.Context(), request(s.URL))
			if out.Accepted != c.accepted || out.Parked != c.parked || out.OfRow != c.ofRow || out.Status != c.status {
				t.Errorf("got %+v", out)
			}
			if (out.Err == nil) != c.accepted {
				t.Errorf("error: got %v", out.Err)
			}
			if out.RetryAfter < c.atLeast || out.RetryAfter > c.atMost {
				t.Errorf("retry after: got %v, want %v to %v", out.RetryAfter, c.atLeast, c.atMost)
			}
			if c.status != 204 && out.Answer != "the answer" {
				t.Errorf("answer: got %q", out.Answer)
			}
			if got := calls.Load(); got != 1 {
				t.Errorf("calls: got %d, want 1", got)
			}
			if c.status/100 == 3 && !strings.Contains(fmt.Sprint(out.Err), "redirects are not followed") {
				t.Errorf("error does not say why: %v", out.Err)
			}
			if out.Elapsed <= 0 {
				t.Errorf("elapsed: got %v", out.Elapsed)
			}
		})
	}
}

// Only who may have read the request can still be at work on it.
func TestUnansweredIsWhatTheReceiverMayHaveRead(t *testing.T) {
	t.Parallel()
	hangs, _ := listen(t, untilClosed)
	breaks, _ := listen(t, func(net.Conn) {})
	answering := func(status int) string {
		return serve(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) }).URL
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	refuses := "http://" + l.Addr().String()
	_ = l.Close()
	for name, c := range map[string]struct {
		url  string
		want bool
	}{
		"no answer in time":         {hangs, true},
		"the connection breaks":     {breaks, true},
		"a gateway's 502":           {answering(502), true},
		"a gateway's 504":           {answering(504), true},
		"an error":                  {answering(500), false},
		"gone":                      {answering(410), false},
		"accepted":                  {answering(204), false},
		"refused connection":        {refuses, false},
		"no such host":              {"http://nowhere.invalid/", false},
		"an address that is no one": {"http://169.254.0.1/", false},
		"no TLS":                    {strings.Replace(answering(204), "http:", "https:", 1), false},
		"no url":                    {"http://", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := request(c.url)
			r.Timeout = 300 * time.Millisecond
			if !c.want {
				r.Timeout = 20 * time.Second
			}
			if out := newClient(t).Post(t.Context(), r); out.Unanswered != c.want {
				t.Errorf("got %+v, want unanswered %t", out, c.want)
			}
		})
	}
}

func TestConnectionIsReused(t *testing.T) {
	t.Parallel()
	var conns atomic.Int32
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/fails" {
			w.WriteHeader(http.StatusInternalServerError)
		}
		_, _ = io.WriteString(w, strings.Repeat("x", 4096))
	}))
	s.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			conns.Add(1)
		}
	}
	s.Start()
	t.Cleanup(s.Close)

	c := newClient(t)
	for i := range 50 {
		path := "/works"
		if i%2 == 1 {
			path = "/fails"
		}
		if out := c.Post(t.Context(), request(s.URL+path)); out.Status == 0 || len(out.Answer) != 4096 {
			t.Fatalf("got %+v", out)
		}
	}
	if got := conns.Load(); got != 1 {
		t.Errorf("connections: got %d, want 1", got)
	}
}

func TestErrorsShowNoSecretOfTheURL(t *testing.T) {
	t.Parallel()
	s := serve(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) })
	good := strings.Replace(s.URL, "http://", "http://joe:hunter2@", 1) + "/hook?token=hunter3"
	s2 := httptest.NewServer(http.NotFoundHandler())
	dead := strings.Replace(s2.URL, "http://", "http://joe:hunter2@", 1) + "/hook?token=hunter3"
	s2.Close()
	for _, url := range []string{
		good, dead, "http://joe:hunter2@no-such-host.invalid/?token=hunter3", "http://joe:hunter2@/x?token=hunter3",
		"ftp://joe:hunter2@h/?token=hunter3", "http://joe:hunter2@h:port/?token=hunter3", "http://joe:hun%zzter2@h/hunter3",
	} {
		out := newClient(t).Post(t.Context(), request(url))
		if out.Err == nil {
			t.Errorf("no error for %s", url)
			continue
		}
		if text := fmt.Sprintf("%v %+v", out.Err, out); strings.Contains(text, "hunter") || strings.Contains(text, "joe") {
			t.Errorf("error shows a secret: %s", text)
		}
	}
}

func TestURLWithoutHostIsRefused(t *testing.T) {
	t.Parallel()
	for url, ok := range map[string]bool{
		"127.0.0.1:20000/test/callback": true, "http://h": true, "https://h:8443/x?y": true, "[::1]:80/x": true,
		"": false, "http://": false, "http:///path": false, "/path": false, "ftp://h/": false, "http://h:x/": false,
	} {
		if err := webhook.Validate(url); (err == nil) != ok {
			t.Errorf("%q: got %v, want ok %v", url, err, ok)
		}
	}
}

func TestSchemelessURLIsHTTP(t *testing.T) {
	t.Parallel()
	s := serve(t, func(http.ResponseWriter, *http.Request) {})
	if out := newClient(t).Post(t.Context(), request(strings.TrimPrefix(s.URL, "http://")+"/test/callback")); !out.Accepted {
		t.Errorf("got %v", out.Err)
	}
}

func TestRequestFaultsAreOutcomes(t *testing.T) {
	t.Parallel()
	c := newClient(t)
	for name, change := range map[string]func(*webhook.Request){
		"no id":        func(r *webhook.Request) { r.ID = "" },
		"bad secret":   func(r *webhook.Request) { r.Secrets = []secret.String{secret.New("whsec_***")} },
		"bad header":   func(r *webhook.Request) { r.Headers = map[string]secret.String{"X-A": secret.New("hunter2\r\nX-B: c")} },
		"bad header 2": func(r *webhook.Request) { r.Headers = map[string]secret.String{"X A": secret.New("hunter2")} },
	} {
		r := request("http://127.0.0.1:9/")
		change(&r)
		out := c.Post(t.Context(), r)
		if out.Err == nil || out.Accepted || strings.Contains(out.Err.Error(), "hunter2") {
			t.Errorf("%s: got %v", name, out.Err)
		}
	}
}

func TestEmptyBodyIsSent(t *testing.T) {
	t.Parallel()
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if body, _ := io.ReadAll(r.Body); len(body) > 0 || r.ContentLength != 0 {
			w.WriteHeader(http.StatusBadRequest)
		}
	})
	r := request(s.URL)
	r.Body = nil
	if out := newClient(t).Post(t.Context(), r); !out.Accepted {
		t.Errorf("got %+v", out)
	}
}

func TestCancelledContextEndsThePost(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancelCause(t.Context())
	s := serve(t, func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // the server sees the client go only after the body
		cancel(context.Canceled)
		<-r.Context().Done()
	})
	out := newClient(t).Post(ctx, request(s.URL))
	if !errors.Is(out.Err, context.Canceled) || out.Accepted {
		t.Errorf("got %+v, want context.Canceled", out)
	}
}
