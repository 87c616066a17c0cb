package callback

import (
	"context"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/masixun71/cupid/pkg/backoff"
)

const (
	// downAfter is how many attempts in a row must fail before a URL is down.
	downAfter = 5
	// probeBase and probeCap are the waits between the single attempts that
	// probe a URL which is down, and between those that reach for a database or
	// the queue's file.
	probeBase, probeCap = time.Second, 30 * time.Second
	// trusted is for how long after it has accepted an event a URL is not down by what it
	// refuses of rows: so many refused rows that come at once are tried once each, and do
	// not take it down five at a time.
	trusted = 10 * time.Second
	// parkedProbe is how long nothing is posted to a URL that answered 410 Gone.
	parkedProbe = time.Hour
)

// Gate is what is known of one URL, shared by the lanes that post to it. Those who
// wait for it come in the order in which they asked.
//
//	up ── downAfter failures in a row ──▶ down ── one probe at a time ──▶ up
//	any ── the receiver says 410 ──▶ parked, probed like down but hourly
//
// A failure that can concern one row alone says nothing of the URL when the event has
// failed before, or when others were accepted just now. So rows that the receiver refuses
// do not stop those that it takes, and one that refuses every event goes down by those
// that are new. A probe that fails counts whatever it says.
type Gate struct {
	mu       sync.Mutex // guards all below
	slots    int        // how many posts may be in flight
	flying   int
	failures int // in a row; once the URL is down, of probes only
	since    time.Time
	took     time.Time // when an event was accepted last
	open     time.Time // nothing is posted before
	parked   bool
	queue    []*waiter
	// probers are the pairs that have something to post while the URL is down, in the
	// order in which they are to probe it: who has done so comes last.
	probers []string
}

type waiter struct {
	granted chan struct{} // closed by who lets it in
	pass    pass
}

// pass is what a post shows when it enters, and gives back when it leaves.
type pass struct {
	pair  string
	again bool // its event has failed before, and was not accepted since
	probe bool // the URL was down when the post began
}

// NewGate makes the gate of a URL that takes so many posts at a time.
func NewGate(concurrency int) *Gate { return &Gate{slots: max(concurrency, 1)} }

func (g *Gate) down() bool { return g.failures >= downAfter }

// admit lets in whose turn it is.
func (g *Gate) admit(now time.Time) {
	slots := g.slots
	if g.down() {
		slots = 1
	}
	for len(g.queue) > 0 && g.flying < slots && !g.open.After(now) {
		w := g.queue[0]
		g.queue = g.queue[1:]
		g.flying++
		w.pass.probe = g.down()
		close(w.granted)
	}
}

// enter waits until a post may start; false when that is not before the deadline
// or ctx is done. Who was let in leaves again.
func (g *Gate) enter(ctx context.Context, deadline time.Time, p pass) (pass, bool) {
	if !time.Now().Before(deadline) || ctx.Err() != nil {
		return pass{}, false
	}
	w := &waiter{granted: make(chan struct{}), pass: p}
	g.mu.Lock()
	g.queue = append(g.queue, w)
	g.mu.Unlock()
	for {
		d := g.next(deadline)
		if d <= 0 {
			return g.giveUp(w)
		}
		select {
		case <-w.granted:
			return w.pass, true
		default:
		}
		timer := time.NewTimer(d)
		select {
		case <-w.granted:
			timer.Stop()
			return w.pass, true
		case <-ctx.Done():
			timer.Stop()
			return g.giveUp(w)
		case <-timer.C:
		}
	}
}

// next lets in whose turn it is, and returns how long to wait before it is called
// again: not above 0 when nobody can enter before the deadline.
func (g *Gate) next(deadline time.Time) time.Duration {
	g.mu.Lock()
	defer g.mu.Unlock()
	now := time.Now()
	g.admit(now)
	left, closed := deadline.Sub(now), g.open.Sub(now)
	if closed >= left {
		return 0
	}
	if closed > 0 {
		return closed
	}
	return left
}

func (g *Gate) giveUp(w *waiter) (pass, bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	i := slices.Index(g.queue, w)
	if i < 0 {
		return w.pass, true // let in at the last moment
	}
	g.queue = slices.Delete(g.queue, i, i+1)
	return pass{}, false
}

// turn says what an outcome changed.
type turn int

const (
	same turn = iota
	wentDown
	wasParked
	cameBack
)

// leave takes the outcome of a post that entered. A post that was given up by
// ourselves says nothing about the URL.
func (g *Gate) leave(p pass, o Outcome, givenUp bool) (turn, time.Duration) {
	g.mu.Lock()
	defer g.mu.Unlock()
	now := time.Now()
	g.flying--
	if p.probe {
		g.probers = slices.DeleteFunc(g.probers, func(pair string) bool { return pair == p.pair })
	}
	defer g.admit(now)
	if givenUp {
		return same, 0
	}
	if o.Accepted {
		return g.accepted(now)
	}
	return g.refused(now, p, o), 0
}

func (g *Gate) accepted(now time.Time) (turn, time.Duration) {
	was := g.down()
	g.took = now
	g.failures, g.parked, g.probers = 0, false, nil
	if !was {
		return same, 0
	}
	g.open = time.Time{}
	return cameBack, now.Sub(g.since)
}

func (g *Gate) refused(now time.Time, p pass, o Outcome) turn {
	g.openAt(now.Add(o.RetryAfter))
	was, wasGone := g.down(), g.parked
	switch {
	case o.Parked:
		g.parked = true
		g.failures = max(g.failures, downAfter)
		g.openAt(now.Add(parkedProbe))
	case was && !p.probe:
		// It began before the URL was down, and is no news.
	case !was && o.OfRow && (p.again || now.Sub(g.took) < trusted):
		// It is the row's, and neither a failure of the URL nor a sign that it takes others.
	default:
		g.parked = false
		g.failures++
		if g.down() {
			g.openAt(now.Add(backoff.Delay(g.failures-downAfter+1, probeBase, probeCap, 0.2, rand.Float64)))
		}
	}
	if !was && g.down() {
		g.since = now
	}
	switch {
	case g.parked && !wasGone:
		return wasParked
	case !was && g.down():
		return wentDown
	}
	return same
}

// openAt closes the gate until t, or longer where it is closed already.
func (g *Gate) openAt(t time.Time) {
	if t.After(g.open) {
		g.open = t
	}
}

// closed is for how long a pair can post nothing, 0 when it can. A URL that is down and
// probed at this moment is looked at again after a while. wants says that the pair has
// something to post: then it has its turn to probe, after the others that have.
func (g *Gate) closed(pair string, wants bool) time.Duration {
	g.mu.Lock()
	defer g.mu.Unlock()
	turn := 0
	if g.down() && wants {
		if turn = slices.Index(g.probers, pair); turn < 0 {
			turn, g.probers = len(g.probers), append(g.probers, pair)
		}
	}
	// Who does not come in its turn is waited for as long as a row is fresh, and loses it.
	if d := time.Until(g.open.Add(time.Duration(turn) * freshFor)); d > 0 {
		return d
	}
	if g.down() && g.flying+len(g.queue) > 0 {
		return freshFor
	}
	g.probers = g.probers[turn:]
	return 0
}

// memo is what a restart must not forget of a URL that is down.
func (g *Gate) memo() (m GateMemo, down bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return GateMemo{Failures: g.failures, Parked: g.parked, Since: g.since, Open: g.open}, g.down()
}

// resume goes on with what an earlier worker knew of the URL. One that says that it is
// gone is probed at once: the restart may be a reload, by which somebody asks for that.
func (g *Gate) resume(m GateMemo, now time.Time) {
	if m.Failures < downAfter {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.failures, g.parked, g.since, g.open = m.Failures, m.Parked, past(m.Since, now), now
	if wait := m.Open.Sub(now); !m.Parked && wait > 0 && wait < probeCap {
		g.open = now.Add(wait)
	}
}

// past is a time that was written down, by the clock that this process goes by and never
// ahead of it: the machine's may have been set since, and may be set again.
func past(t, now time.Time) time.Time { return now.Add(-max(now.Sub(t), 0)) }

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
	s := GateStatus{Down: g.down(), Parked: g.parked, Failures: g.failures, Flying: g.flying}
	if s.Down {
		s.Since = g.since
	}
	return s
}
