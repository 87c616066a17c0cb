package callback_test

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/masixun71/cupid/pkg/callback"
	"github.com/masixun71/cupid/pkg/event"
	"github.com/masixun71/cupid/pkg/row"
)

// stormy gives pair p a storm's threshold and rate.
func stormy(perMinute, perSecond int) func(*rig) {
	return func(r *rig) {
		d := r.config.Destinations["p"]
		d.StormPerMinute, d.StormPerSecond, d.GateID = perMinute, perSecond, "receiver"
		r.config.Destinations["p"] = d
	}
}

// remembers is a Memory that lives as long as a test, across workers. What it keeps goes
// through JSON, as in a file.
type remembers struct {
	mu       sync.Mutex
	memo     callback.Memo
	saves    int
	fail     error // of all saves
	lost     error // of all loads
	dead     bool  // nothing is saved any more
	saving   bool
	together bool // there were two saves at a time
}

func (m *remembers) Load() (callback.Memo, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.memo, m.lost
}

func (m *remembers) Save(memo callback.Memo) error {
	text, err := json.Marshal(memo)
	if err != nil {
		return err
	}
	m.mu.Lock()
	m.together = m.together || m.saving
	m.saving = true
	m.mu.Unlock()
	for range 100 { // others may come meanwhile
		runtime.Gosched()
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.saving = false
	if m.fail != nil || m.dead {
		return cmp.Or(m.fail, errKilled)
	}
	m.saves++
	m.memo = callback.Memo{}
	return json.Unmarshal(text, &m.memo)
}

func (m *remembers) failing(err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.fail = err
}

// die has nothing saved any more, as of a worker that is killed.
func (m *remembers) die() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.dead = true
}

// deletes are how many orphans of a pair are kept.
func (m *remembers) deletes(pair string) (n int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, k := range m.memo.Deletes[pair] {
		n += k
	}
	return n
}

// wantRate checks that no more than perSecond posts began within any second, the
// first burst aside, by which a storm is noticed.
func (r *rig) wantRate(perSecond, burst int) {
	r.t.Helper()
	r.receiver.mu.Lock()
	at := append([]time.Time(nil), r.at...)
	r.receiver.mu.Unlock()
	for i := burst; i+perSecond < len(at); i++ {
		if d := at[i+perSecond].Sub(at[i]); d < time.Second {
			r.t.Fatalf("%d posts within %s, want no more than %d a second", perSecond+1, d, perSecond)
		}
	}
}

func TestStormIsToldOnceAndHeldToItsRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, stormy(100, 20))
		r.answering(r.repair)
		r.missing(400)
		after(10 * time.Second)
		r.wantAlerts("divergence jumps", 1)
		if n := len(r.got()); n < 180 || n > 240 {
			t.Errorf("%d posts in ten seconds, want 20 a second", n)
		}
		s := r.Status()["p"]
		if s.Storm == nil || s.Storm.Rows != 400 || s.HeldBack < 350 {
			t.Errorf("status %+v, want a storm of 400 rows", s)
		}
		after(100 * time.Second)
		r.wantRate(20, 0)
		r.wantPosts(400)
		r.wantDepth(0)
		r.wantAlerts("divergence is usual again", 1)
		r.wantAlerts("divergence jumps", 1)
		if s := r.Status()["p"]; s.Storm != nil || s.HealedByCallback != 400 {
			t.Errorf("status %+v, want no storm and 400 healed", s)
		}
		r.stop()
	})
}

func TestRowsThatHealWhileTheyAreHeldAreNotCalledBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, stormy(100, 1))
		r.answering(r.repair)
		r.missing(600)
		after(10 * time.Second)
		for id := range 600 {
			r.copied(fmt.Sprint("k", id+1), "x") // the pipeline is up again
		}
		n := len(r.got())
		after(61 * time.Second)
		r.wantPosts(n)
		r.wantDepth(0)
		r.wantAlerts("divergence is usual again", 1)
		r.stop()
	})
}

func TestStormOutlivesItsWorker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, func(r *rig) {
			r.config.Memory = &remembers{}
			stormy(100, 10)(r)
		})
		r.answering(r.repair)
		r.missing(300)
		after(10 * time.Second)
		r.stop()
		n := len(r.got())
		r.start()
		after(10 * time.Second)
		if got := len(r.got()) - n; got > 110 || got < 80 {
			t.Errorf("%d posts within 10 s of the new worker, want 10 a second", got)
		}
		after(120 * time.Second)
		r.wantDepth(0)
		r.wantAlerts("divergence jumps", 1)
		r.wantAlerts("divergence is usual again", 1)
		r.stop()
	})
}

// What keeps a pair from looking at its rows for longer than a held one waits does not end
// its storm: else all that was held would go out at once.
func TestStormGoesOnAfterAnOutage(t *testing.T) {
	const perSecond, rows = 5, 300
	for name, outage := range map[string]struct {
		takes  time.Duration
		begins func(r *rig)
		ends   func(r *rig)
	}{
		"of the URL": {
			2 * time.Minute,
			func(r *rig) { r.answering(always(failed)) },
			func(r *rig) { r.answering(r.repair) },
		},
		"of a database": {
			3 * time.Minute,
			func(r *rig) { r.do(func() { r.fail = func() error { return errPlanned } }) },
			func(r *rig) { r.do(func() { r.fail = nil }) },
		},
		"of the queue": {
			2 * time.Minute,
			func(r *rig) { r.queue.failing(func(string) error { return errPlanned }) },
			func(r *rig) { r.queue.failing(nil) },
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r, start := newRig(t, stormy(100, perSecond)), time.Now()
				r.answering(r.repair)
				r.missing(rows)
				after(20 * time.Second)
				outage.begins(r)
				after(outage.takes)
				outage.ends(r)
				for r.heard("divergence is usual again") == 0 && time.Since(start) < 10*time.Minute {
					after(time.Second)
				}
				r.wantRate(perSecond, 0)
				if n := r.queue.Depth("p"); n > perSecond {
					t.Errorf("the end of the storm is told while %d rows are held", n)
				}
				after(10 * time.Second)
				r.wantDepth(0)
				r.wantAlerts("divergence jumps", 1)
				r.wantAlerts("divergence is usual again", 1)
				r.stop()
			})
		})
	}
}

func TestWhatIsUsualIsNoStorm(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, stormy(20, 20))
		r.answering(r.repair)
		id := int64(0)
		burst := func(n int) {
			events := make([]event.Event, n)
			for i := range events {
				id++
				key := fmt.Sprint("k", id)
				r.set(id, key, "x")
				events[i] = diverged("p", id, key)
			}
			r.submit(events...)
		}
		for range 150 {
			burst(12)
			after(time.Minute)
		}
		r.wantAlerts("divergence jumps", 0)
		burst(80)
		after(time.Minute)
		r.wantAlerts("divergence jumps", 0)
		burst(160)
		after(time.Minute)
		r.wantAlerts("divergence jumps", 1)
		r.stop()
	})
}

func TestStormSpendsNoBudgetOfDeletes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, func(r *rig) {
			stormy(10, 1)(r)
			d := r.config.Destinations["p"]
			d.DeletePerHour = 30
			r.config.Destinations["p"] = d
		})
		r.answering(func(context.Context, callback.Post) callback.Outcome { return accepted })
		var events []event.Event
		for i := range 30 {
			key := fmt.Sprint("k", i)
			r.copied(key, "x")
			events = append(events, event.Event{Pair: "p", Key: row.NewKey([]byte(key)), Kind: event.Orphan, FirstSeen: time.Now()})
		}
		r.submit(events...)
		after(4 * time.Second)
		r.wantAlerts("deletes held back", 0)
		after(40 * time.Second)
		r.wantPosts(30)
		r.stop()
	})
}

func TestDownURLIsProbedByOneAfterARestart(t *testing.T) {
	for name, c := range map[string]struct {
		answer callback.Outcome
		alert  string
	}{
		"down":   {failed, "callback URL down"},
		"parked": {callback.Outcome{Err: errPlanned, Parked: true}, "callback URL parked"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				memory := &remembers{}
				r := newRig(t, func(r *rig) {
					stormy(0, 1)(r)
					r.config.Memory = memory
				})
				r.answering(always(c.answer))
				r.missing(100)
				after(20 * time.Second)
				for range 3 {
					r.stop()
					n := len(r.got())
					r.config.Destinations["p"] = withGate(r.config.Destinations["p"], callback.NewGate(8))
					r.start()
					after(1500 * time.Millisecond)
					if got := len(r.got()) - n; got > 1 {
						t.Errorf("%d posts by a new worker to a URL known to be down, want one at most", got)
					}
					if g := r.Status()["p"].Gate; !g.Down || g.Parked != c.answer.Parked || time.Since(g.Since) < 20*time.Second {
						t.Errorf("gate %+v, want what it was before", g)
					}
				}
				r.answering(r.repair)
				after(2 * time.Hour)
				r.wantDepth(0)
				r.wantAlerts("callback URL up", 1)
				r.wantAlerts(c.alert, 1)
				r.stop()
				if len(memory.memo.Gates) > 0 {
					t.Errorf("kept %+v of a URL that is up", memory.memo.Gates)
				}
			})
		})
	}
}

func withGate(d callback.Destination, g *callback.Gate) callback.Destination {
	d.Gate = g
	return d
}
