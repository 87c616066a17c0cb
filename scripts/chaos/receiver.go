package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"math/rand/v2"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

const (
	// callTimeout is what cupid is told that a call may take.
	callTimeout = 2 * time.Second
	// outageEvery is how often the receiver is down, and outage for how long.
	outageEvery, outage = 15 * time.Second, 3 * time.Second
)

// behaviour is what the receiver does with a call.
type behaviour string

const (
	repairs    behaviour = "repaired"
	slowly     behaviour = "repaired slowly"
	inSecret   behaviour = "repaired, connection closed"
	fails      behaviour = "answered 500"
	down       behaviour = "down: answered 503"
	tooMany    behaviour = "answered 429"
	redirects  behaviour = "redirected"
	closes     behaviour = "connection closed"
	hangs      behaviour = "hung"
	pretends   behaviour = "accepted, not repaired"
	redirected behaviour = "came to where a redirect led"
)

// lots are what the receiver draws from.
var lots = slices.Concat(
	slices.Repeat([]behaviour{repairs}, 60), slices.Repeat([]behaviour{slowly}, 6), slices.Repeat([]behaviour{inSecret}, 5),
	slices.Repeat([]behaviour{fails}, 8), slices.Repeat([]behaviour{tooMany}, 3), slices.Repeat([]behaviour{redirects}, 5),
	slices.Repeat([]behaviour{closes}, 5), slices.Repeat([]behaviour{hangs}, 3), slices.Repeat([]behaviour{pretends}, 5),
)

// call is one callback as it came in.
type call struct {
	table      *table
	item       *item // nil: nobody knows the row
	number     int64
	kind       int
	payload    value
	id         string // the same over all attempts of an event; empty from the original
	attempt    string
	start, end time.Time
	did        behaviour
}

// receiver takes the callbacks.
type receiver struct {
	*world
	url    string
	server *http.Server
	served chan error
	busy   sync.WaitGroup

	mu    sync.Mutex // guards all below
	dice  *rand.Rand
	begun time.Time // of its misbehaviour; zero before
	good  bool      // it only repairs
	calls []call
	fault error // of its own
}

func openReceiver(ctx context.Context, w *world, seed uint64) (*receiver, error) {
	var lc net.ListenConfig
	listener, err := lc.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("start the receiver: %w", err)
	}
	r := &receiver{
		world: w, url: "http://" + listener.Addr().String(), served: make(chan error, 1), good: true, dice: dice(seed, "receiver"),
	}
	r.server = &http.Server{Handler: http.HandlerFunc(r.serve), ReadHeaderTimeout: time.Minute, ErrorLog: log.New(io.Discard, "", 0)}
	go func() { r.served <- r.server.Serve(listener) }()
	return r, nil
}

// close ends the receiver when all calls have been answered.
func (r *receiver) close() error {
	if r == nil {
		return nil
	}
	r.busy.Wait()
	err := r.server.Close()
	if served := <-r.served; !errors.Is(served, http.ErrServerClosed) {
		err = errors.Join(err, served)
	}
	return err
}

// begin begins its misbehaviour.
func (r *receiver) begin() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.begun, r.good = time.Now(), false
}

// mend lets it work from now on.
func (r *receiver) mend() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.good = true
}

// draw decides what is done with a call.
func (r *receiver) draw() behaviour {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case r.good:
		return repairs
	case time.Since(r.begun)%outageEvery > outageEvery-outage:
		return down
	}
	return lots[r.dice.IntN(len(lots))]
}

func (r *receiver) serve(w http.ResponseWriter, req *http.Request) {
	r.busy.Add(1)
	defer r.busy.Done()
	c, err := r.read(req)
	if err != nil {
		r.failed(fmt.Errorf("read a callback to %s: %w", req.URL.Path, err))
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	if c.table == nil { // only redirects lead there
		c.did = redirected
	} else {
		c.did = r.draw()
	}
	r.act(w, req, &c)
	c.end = time.Now()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.calls = append(r.calls, c)
}

func (r *receiver) failed(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.fault = errors.Join(r.fault, err)
}

// read reads a call.
func (r *receiver) read(req *http.Request) (call, error) {
	c := call{start: time.Now(), id: req.Header.Get("Webhook-Id"), attempt: req.Header.Get("Cupid-Attempt")}
	var body struct {
		Type int `json:"type"`
		Row  struct {
			Number   int64   `json:"number"`
			Name     *string `json:"name"`
			FullName *string `json:"full_name"` // of an orphan: it comes as the copy has it
			Balance  string  `json:"balance"`
		} `json:"srcColumn"`
	}
	text, err := io.ReadAll(req.Body)
	if err != nil {
		return c, nil //nolint:nilerr // who sent it was killed meanwhile
	}
	if err := json.Unmarshal(text, &body); err != nil {
		return c, fmt.Errorf("%w: %s", err, text)
	}
	name := body.Row.Name
	if body.Type == 3 {
		name = body.Row.FullName
	}
	c.kind, c.number = body.Type, body.Row.Number
	c.payload = value{there: true, null: name == nil, balance: body.Row.Balance}
	if name != nil {
		c.payload.name = *name
	}
	if c.table = r.table(strings.TrimPrefix(req.URL.Path, "/")); c.table != nil {
		c.item = c.table.item(c.number)
	}
	return c, nil
}

// act does what was drawn, and goes on with it when the caller has died meanwhile.
func (r *receiver) act(w http.ResponseWriter, req *http.Request, c *call) {
	ctx := context.WithoutCancel(req.Context())
	switch c.did {
	case slowly:
		r.mu.Lock()
		wait := between(r.dice, callTimeout/10, callTimeout*6/5) // some take longer than cupid waits
		r.mu.Unlock()
		pause(ctx, wait)
		r.repair(ctx, c)
	case repairs:
		r.repair(ctx, c)
	case inSecret:
		r.repair(ctx, c)
		hangUp(w)
	case closes:
		hangUp(w)
	case fails:
		w.WriteHeader(http.StatusInternalServerError)
	case down:
		w.WriteHeader(http.StatusServiceUnavailable)
	case tooMany:
		w.Header().Set("Retry-After", "1")
		w.WriteHeader(http.StatusTooManyRequests)
	case redirects:
		http.Redirect(w, req, "/elsewhere", http.StatusTemporaryRedirect)
	case hangs:
		select {
		case <-req.Context().Done():
		case <-time.After(2 * callTimeout):
		}
	case pretends, redirected:
	}
}

// repair writes what the callback says. What it answers comes after it.
func (r *receiver) repair(ctx context.Context, c *call) {
	if c.item == nil {
		return // the verdict has it
	}
	v := c.payload
	if c.kind == 3 {
		v = value{}
	}
	c.item.copying.Lock()
	defer c.item.copying.Unlock()
	if err := r.copied(ctx, c.table, c.item, v, repairing); err != nil {
		r.failed(err)
	}
}

// hangUp closes the connection without an answer.
func hangUp(w http.ResponseWriter) {
	if conn, _, err := w.(http.Hijacker).Hijack(); err == nil {
		_ = conn.Close()
	}
}

// all are the calls so far, in the order in which they came.
func (r *receiver) all() ([]call, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	all := slices.Clone(r.calls)
	slices.SortStableFunc(all, func(a, b call) int { return a.start.Compare(b.start) })
	return all, r.fault
}
