package main_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"
)

// call is one callback as it came in.
type call struct {
	Header http.Header
	Raw    json.RawMessage
	Body   struct {
		Type int            `json:"type"`
		Row  map[string]any `json:"srcColumn"`
	}
	At time.Time
}

// receiver is a real HTTP receiver that a test tells what to do.
type receiver struct {
	server *httptest.Server

	mu    sync.Mutex // guards all below
	calls []call
	do    func(call) int
}

// newReceiver answers each call with the status that do returns.
func newReceiver(tb testing.TB, do func(call) int) *receiver {
	tb.Helper()
	r := &receiver{do: do}
	r.server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		c := call{Header: req.Header, At: time.Now()}
		d := json.NewDecoder(req.Body)
		d.UseNumber()
		if err := d.Decode(&c.Raw); err != nil {
			tb.Errorf("callback body: %v", err)
		}
		body := json.NewDecoder(bytesReader(c.Raw))
		body.UseNumber()
		if err := body.Decode(&c.Body); err != nil {
			tb.Errorf("callback body: %v", err)
		}
		r.mu.Lock()
		r.calls = append(r.calls, c)
		do := r.do
		r.mu.Unlock()
		w.WriteHeader(do(c))
	}))
	tb.Cleanup(r.server.Close)
	return r
}

func (r *receiver) url() string { return r.server.URL + "/test/callback" }

// all are the calls so far.
func (r *receiver) all() []call {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]call(nil), r.calls...)
}

// then changes what the receiver does.
func (r *receiver) then(do func(call) int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.do = do
}
