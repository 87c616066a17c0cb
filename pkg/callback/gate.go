package callback

import (
	"sync"
	"time"

	"github.com/masixun71/cupid/pkg/backoff"
)

const (
	// downAfter is how many attempts in a row must fail before a URL is down.
	downAfter = 5
	// probeBase and probeCap are the waits between the single attempts that
	// probe a URL which is down.
	probeBase, probeCap = time.Second, 30 * time.Second
)

// Gate is what is known of one URL, shared by the lanes that post to it.
//
//	up ── downAfter failures in a row ──▶ down ── one probe at a time ──▶ up
//	any ── the receiver says 410 ──▶ parked, probed like down but hourly
type Gate struct {
	mu       sync.Mutex // guards all below
	slots    int        // how many posts may be in flight
	flying   int
	failures int // in a row
	since    time.Time
	open     time.Time // nothing is posted before
	parked   bool
}

// NewGate makes the gate of a URL that takes so many posts at a time.
func NewGate(concurrency int) *Gate { return &Gate{slots: concurrency} }

// enter reports whether a post may start now, and otherwise when to ask again;
// a zero wait means after a post has ended.
func (g *Gate) enter(now time.Time) (ok bool, wait time.Duration) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if d := g.open.Sub(now); d > 0 {
		return false, d
	}
	slots := g.slots
	if g.failures >= downAfter {
		slots = 1
	}
	if g.flying >= slots {
		return false, 0
	}
	g.flying++
	return true, 0
}

// turn says what an outcome changed.
type turn int

const (
	same turn = iota
	wentDown
	cameBack
)

// leave takes the outcome of a post that entered. A post that was given up by
// ourselves says nothing about the URL.
func (g *Gate) leave(now time.Time, o Outcome, givenUp bool) (turn, time.Duration) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.flying--
	if givenUp {
		return same, 0
	}
	if o.RetryAfter > 0 && now.Add(o.RetryAfter).After(g.open) {
		g.open = now.Add(o.RetryAfter)
	}
	if o.Accepted {
		was, down := g.failures, now.Sub(g.since)
		g.failures, g.parked = 0, false
		if was >= downAfter {
			g.open = time.Time{}
			return cameBack, down
		}
		return same, 0
	}
	g.failures++
	if o.Parked {
		g.parked = true
		g.failures = max(g.failures, downAfter)
		g.open = now.Add(parkedProbe)
	}
	if g.failures >= downAfter {
		d := backoff.Delay(g.failures-downAfter+1, probeBase, probeCap, 0.2, nil)
		if t := now.Add(d); t.After(g.open) {
			g.open = t
		}
	}
	if g.failures == downAfter {
		g.since = now
		return wentDown, 0
	}
	return same, 0
}

// parkedProbe is how long nothing is posted to a URL that answered 410 Gone.
const parkedProbe = time.Hour

// GateStatus is what is told of a URL.
type GateStatus struct {
	Down     bool      `json:"down"`
	Parked   bool      `json:"parked,omitempty"`
	Failures int       `json:"failures,omitempty"`
	Flying   int       `json:"flying"`
	Since    time.Time `json:"since,omitzero"`
}

// Status is safe to call at any time.
func (g *Gate) Status() GateStatus {
	g.mu.Lock()
	defer g.mu.Unlock()
	s := GateStatus{Down: g.failures >= downAfter, Parked: g.parked, Failures: g.failures, Flying: g.flying}
	if s.Down {
		s.Since = g.since
	}
	return s
}
