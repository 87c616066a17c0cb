package callback_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/masixun71/cupid/pkg/callback"
	"github.com/masixun71/cupid/pkg/event"
)

// picky refuses the rows whose name is "bad", and repairs the others of a world.
func picky(w *world) func(context.Context, callback.Post) callback.Outcome {
	return func(_ context.Context, p callback.Post) callback.Outcome {
		if strings.Contains(string(p.Body), `"name":"bad"`) {
			return refused
		}
		copyRow(w, p)
		return accepted
	}
}

// clinic has pair p, and pair q on the same URL, whose receiver refuses bad rows.
type clinic struct {
	*rig
	second *world
	last   int64

	since map[string]time.Time // healthy events that wait, by pair and key
	worst time.Duration        // that one has waited
}

func newClinic(t *testing.T) *clinic {
	t.Helper()
	c := &clinic{second: newWorld(t), since: map[string]time.Time{}}
	c.rig = newRig(t, func(r *rig) {
		g := callback.NewGate(8)
		r.answering(picky(r.world))
		r.config.Destinations["p"] = r.destination(r.world, r.receiver, g)
		to := &receiver{answer: picky(c.second)}
		r.config.Destinations["q"] = r.destination(c.second, to, g)
	})
	return c
}

// comes hands in the event of a row.
func (c *clinic) comes(pair, name string) {
	c.last++
	key := fmt.Sprint(name, c.last)
	w := c.world
	if pair == "q" {
		w = c.second
	}
	w.set(c.last, key, name)
	if name != "bad" {
		c.since[pair+key] = time.Now()
	}
	c.submit(diverged(pair, c.last, key))
}

// passes lets time pass and notes when healthy events have left.
func (c *clinic) passes(d time.Duration) {
	for range d / time.Second {
		after(time.Second)
		left := map[string]bool{}
		for _, pair := range []string{"p", "q"} {
			for _, r := range c.queue.of(pair) {
				left[pair+strings.Trim(r.Key, `["]`)] = true
			}
		}
		for id, since := range c.since {
			c.worst = max(c.worst, time.Since(since))
			if !left[id] {
				delete(c.since, id)
			}
		}
	}
}

func TestG6RefusedRowsDelayNoOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newClinic(t)
		for range 500 {
			c.comes("p", "bad")
		}
		c.passes(time.Minute)
		c.wantAlerts("callback URL down", 1)
		for range 10 { // some come while it is down, and the others with more that is refused
			c.comes("p", "good")
			c.comes("q", "good")
			c.comes("p", "bad")
			c.comes("p", "bad")
			c.passes(5 * time.Second)
		}
		c.passes(40 * time.Second)
		if c.worst > 65*time.Second || len(c.since) > 0 {
			t.Errorf("healthy events waited up to %s for rows that are refused, and %d wait on; want two probes at most", c.worst, len(c.since))
		}
		c.wantAlerts("callback URL down", 1)
		c.wantDepth(520)
		c.stop()
	})
}

// The only pair of a URL that is down by its refused rows has nothing else to bring it up.
func TestG6FreshEventIsProbedBeforeTheRefusedRows(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newClinic(t)
		for range 300 {
			c.comes("p", "bad")
		}
		c.passes(2 * time.Minute)
		c.comes("p", "good")
		c.passes(70 * time.Second)
		if c.worst > 65*time.Second || len(c.since) > 0 {
			t.Errorf("a healthy event waited %s, and %d wait on; want two probes at most", c.worst, len(c.since))
		}
		c.stop()
	})
}

func TestRowsThatAreRefusedAgainAndAgainDoNotTakeTheURLDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newClinic(t)
		for range 4 {
			c.comes("p", "bad")
		}
		c.passes(time.Minute)
		c.wantAlerts("callback URL down", 0)
		if n := len(c.got()); n < 4*5 {
			t.Errorf("%d attempts, want each row tried again by its own backoff", n)
		}
		c.comes("p", "bad") // the fifth that is new
		c.passes(time.Second)
		c.wantAlerts("callback URL down", 1)
		c.stop()
	})
}

func TestReceiverThatRefusesEveryEventSinceAWhileIsDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newClinic(t)
		c.comes("p", "good")
		for range 9 {
			c.comes("p", "bad")
			c.passes(time.Second)
		}
		c.wantAlerts("callback URL down", 0)
		for range 7 {
			c.comes("p", "bad")
			c.passes(time.Second)
		}
		c.wantAlerts("callback URL down", 1)
		c.stop()
	})
}

func TestRetryAfterOfARefusedRowHoldsTheWholeURL(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newClinic(t)
		c.answering(func(_ context.Context, p callback.Post) callback.Outcome {
			o := refused
			if p.Attempt == 2 {
				o.RetryAfter = 10 * time.Minute
			}
			return o
		})
		c.comes("p", "bad")
		c.passes(2 * time.Second)
		c.wantPosts(2)
		c.comes("q", "good")
		c.passes(9 * time.Minute)
		if len(c.since) != 1 {
			t.Error("the URL that asked to be left alone was posted to")
		}
		c.passes(2 * time.Minute)
		if len(c.since) != 0 {
			t.Error("the URL is left alone for longer than it asked for")
		}
		c.stop()
	})
}

func TestEveryOtherProbeTakesWhatHasWaitedLongest(t *testing.T) {
	for name, answer := range map[string]callback.Outcome{"refuses": refused, "is away": failed} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := newClinic(t)
				c.answering(always(answer))
				for range 100 {
					c.comes("p", "old")
				}
				c.passes(time.Minute)
				first := len(c.got())
				for range 100 {
					c.comes("p", "new")
					c.passes(10 * time.Second)
				}
				old := 0
				probes := c.got()[first:]
				for _, p := range probes {
					if strings.Contains(string(p.Body), `"old"`) {
						old++
					}
				}
				if n := len(probes); n < 30 || old < n/2-1 || old > n/2+1 {
					t.Errorf("%d of %d probes with events that wait longest, want half of them", old, n)
				}
				c.stop()
			})
		})
	}
}

func TestPairsProbeAURLInTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := callback.NewGate(8)
		to := map[string]*receiver{}
		worlds := map[string]*world{}
		r := newRig(t, func(r *rig) {
			for _, pair := range []string{"p", "q", "r", "dead"} {
				w := newWorld(t)
				w.set(1, "k1", "x")
				w.set(2, "k2", "x")
				to[pair], worlds[pair] = &receiver{answer: always(failed)}, w
				r.config.Destinations[pair] = r.destination(w, to[pair], g)
			}
			worlds["dead"].fail = func() error { return errPlanned }
			// It takes longer to read, and is not overtaken for that.
			worlds["q"].delay = func(context.Context) { <-time.After(300 * time.Millisecond) }
		})
		for pair := range to {
			r.submit(diverged(pair, 1, "k1"), diverged(pair, 2, "k2"))
		}
		after(time.Minute)
		before := map[string]int{}
		for pair, got := range to {
			before[pair] = len(got.got())
		}
		after(15 * time.Minute)
		for pair, got := range to {
			n := len(got.got()) - before[pair]
			if pair != "dead" && (n < 8 || n > 13) || pair == "dead" && n != 0 {
				t.Errorf("%d probes of pair %s in a quarter of an hour, want a third of 30", n, pair)
			}
		}
		r.stop()
	})
}

func TestPairsWithNothingToPostDoNotHoldUpAProbe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var events []event.Event
		r := newRig(t, func(r *rig) {
			g := callback.NewGate(8)
			r.answering(always(failed))
			r.config.Destinations["p"] = r.destination(r.world, r.receiver, g)
			for i := range 100 {
				pair, w := fmt.Sprint("other", i), newWorld(t)
				w.set(1, "k1", "x")
				e := diverged(pair, 1, "k1")
				if i%2 == 0 {
					w.fail = func() error { return errPlanned }
				} else { // it has failed, and is tried again later
					key, err := e.Key.MarshalText()
					if err != nil {
						t.Fatal(err)
					}
					r.queue.records[[2]string{pair, string(key)}] = callback.Record{
						Pair: pair, Key: string(key), Due: time.Now().Add(time.Hour), Note: []byte(`{"kind":1,"src":"1","state":"pending","fail":3}`),
					}
				}
				events = append(events, e)
				r.config.Destinations[pair] = r.destination(w, r.receiver, g)
			}
		})
		for _, e := range events {
			r.submit(e)
		}
		r.missing(20)
		after(3 * time.Minute)
		n := len(r.got())
		after(15 * time.Minute)
		if got := len(r.got()) - n; got < 30 {
			t.Errorf("%d probes in a quarter of an hour, want one in 30 s", got)
		}
		r.stop()
	})
}
