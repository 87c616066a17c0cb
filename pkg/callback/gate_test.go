package callback_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/masixun71/cupid/pkg/callback"
)

// spread is how much waits with jitter may differ from those without.
const spread = 12 // tenths

func TestDeadURLIsProbedByOneEventAtATimeAndComesBack(t *testing.T) {
	for name, answer := range map[string]callback.Outcome{"refuses every event": refused, "is away": failed} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, nil)
				r.answering(always(answer))
				r.missing(200)
				synctest.Wait()
				if n := len(r.got()); n < 5 || n > 5+7 {
					t.Errorf("%d posts before the URL was taken for down, want 5 and what was in flight", n)
				}
				if s := r.Status()["p"].Gate; !s.Down || s.Parked {
					t.Errorf("gate %+v, want down", s)
				}
				n, reads := len(r.got()), r.fullReads()
				r.atOnce()
				after(5 * time.Minute)
				if probes := len(r.got()) - n; probes < 5*60/30 || probes > 25 {
					t.Errorf("%d probes in five minutes, want one in 30 s at last", probes)
				}
				if got := r.fullReads() - reads; got > 50 {
					t.Errorf("%d reads of the source while the URL was down", got)
				}
				if n := r.atOnce(); n != 1 {
					t.Errorf("%d probes at a time", n)
				}
				r.wantAlerts("callback URL down", 1)
				r.answering(r.repair)
				after(31 * time.Second)
				r.wantAlerts("callback URL up", 1)
				after(10 * time.Minute)
				r.wantDepth(0)
				r.wantAlerts("callback URL down", 1)
				r.stop()
			})
		})
	}
}

func TestWhatWasInFlightWhenTheURLWentDownDoesNotDelayTheProbe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, nil)
		r.answering(slowly(100*time.Millisecond, failed))
		r.missing(50)
		after(100 * time.Millisecond) // some fail at once
		n := len(r.got())
		if n > 12 {
			t.Errorf("%d posts to a URL that fails, want 5 and what was in flight", n)
		}
		after(1300 * time.Millisecond)
		r.wantPosts(n + 1)
		r.stop()
	})
}

func TestSuccessInBetweenKeepsTheURLUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, func(r *rig) {
			d := r.config.Destinations["p"]
			d.Concurrency = 1
			r.config.Destinations["p"] = d
		})
		r.answering(func(ctx context.Context, p callback.Post) callback.Outcome {
			if len(r.got())%5 == 0 {
				return r.repair(ctx, p)
			}
			return failed
		})
		r.missing(100)
		after(2 * time.Second)
		r.wantAlerts("callback URL down", 0)
		r.stop()
	})
}

func TestG7HealedRowsAreDroppedQuicklyWhileTheURLIsDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, nil)
		r.answering(always(failed))
		r.missing(500)
		after(time.Minute)
		r.do(func() { // the pipeline has caught up
			for _, s := range r.src {
				if s.id > 1 {
					r.des[s.key] = s.name
				}
			}
		})
		after(5 * time.Minute)
		if got := r.queue.Depth("p"); got > 1 {
			t.Errorf("%d events in the queue, want the one that has not healed", got)
		}
		r.stop()
	})
}

func TestGoneURLIsParkedAndToldOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, nil)
		r.answering(always(callback.Outcome{Err: errors.New("answered 410"), Parked: true}))
		r.missing(50)
		synctest.Wait()
		first := len(r.got())
		if first > 8 {
			t.Errorf("%d posts to a URL that is gone", first)
		}
		after(59 * time.Minute)
		r.wantPosts(first)
		r.wantDepth(50)
		if s := r.Status()["p"].Gate; !s.Parked || !s.Down {
			t.Errorf("gate %+v, want parked", s)
		}
		after(2*time.Hour + time.Minute)
		r.wantPosts(first + 3)
		r.wantAlerts("callback URL parked", 1)
		r.wantAlerts("callback URL down", 0)
		r.answering(r.repair)
		after(time.Hour + time.Minute)
		r.wantAlerts("callback URL up", 1)
		r.wantDepth(0)
		r.stop()
	})
}

func TestURLThatIsDownCanBeParked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, nil)
		r.answering(always(failed))
		r.missing(50)
		after(time.Minute)
		r.answering(always(callback.Outcome{Err: errors.New("answered 410"), Parked: true}))
		after(time.Minute)
		r.wantAlerts("callback URL parked", 1)
		r.stop()
	})
}

func TestRetryAfterHoldsTheWholeURL(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		second := newWorld(t)
		to := &receiver{answer: always(accepted)}
		r := newRig(t, func(r *rig) {
			d := r.destination(second, to, r.config.Destinations["p"].Gate)
			r.config.Destinations["q"] = d
		})
		r.answering(always(callback.Outcome{Err: errors.New("answered 429"), RetryAfter: 10 * time.Minute}))
		r.missing(1)
		synctest.Wait()
		reads := r.fullReads()
		second.set(1, "k1", "x")
		r.submit(diverged("q", 1, "k1"))
		after(10*time.Minute - time.Second)
		r.wantPosts(1)
		if n := len(to.got()); n != 0 {
			t.Errorf("%d posts of the other pair to the URL that asked to be left alone", n)
		}
		if mine, others := r.fullReads()-reads, second.fullReads(); mine > 5 || others > 5 {
			t.Errorf("%d and %d reads while nothing could be posted", mine, others)
		}
		r.answering(r.repair)
		after(3 * time.Second)
		r.wantPosts(2)
		if n := len(to.got()); n != 1 {
			t.Errorf("%d posts of the other pair after the wait, want 1", n)
		}
		r.stop()
	})
}

func TestG6TwoPairsShareAURLFairly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		second := newWorld(t)
		r := newRig(t, func(r *rig) {
			g := callback.NewGate(4)
			r.config.Destinations["p"] = r.destination(r.world, r.receiver, g)
			r.config.Destinations["q"] = r.destination(second, r.receiver, g)
		})
		r.answering(func(ctx context.Context, p callback.Post) callback.Outcome {
			o := slowly(5*time.Millisecond, accepted)(ctx, p)
			if p.Pair == "p" {
				copyRow(r.world, p)
			} else {
				copyRow(second, p)
			}
			return o
		})
		r.missing(1500) // a backlog of nearly two seconds
		after(100 * time.Millisecond)
		for id := range int64(20) {
			key := fmt.Sprint("k", id)
			second.set(id, key, "x")
			r.submit(diverged("q", id, key))
		}
		after(200 * time.Millisecond)
		if got := r.queue.Depth("q"); got != 0 {
			t.Errorf("%d of 20 events wait for the backlog of the other pair", got)
		}
		if n := r.atOnce(); n != 4 {
			t.Errorf("%d posts to one URL at once, want 4", n)
		}
		after(5 * time.Second)
		r.wantDepth(0)
		r.stop()
	})
}

func TestG6DeadPairDelaysNoOther(t *testing.T) {
	for name, breaks := range map[string]func(r *rig){
		"database refuses": func(r *rig) { r.do(func() { r.fail = func() error { return errPlanned } }) },
		"database is silent": func(r *rig) {
			r.do(func() { r.delay = func(ctx context.Context) { <-ctx.Done() } })
		},
		"URL refuses":   func(r *rig) { r.answering(always(failed)) },
		"URL is silent": func(r *rig) { r.answering(slowly(time.Hour, failed)) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				healthy := newWorld(t)
				good := &receiver{}
				good.answer = func(_ context.Context, p callback.Post) callback.Outcome { copyRow(healthy, p); return accepted }
				r := newRig(t, func(r *rig) { r.config.Destinations["good"] = r.destination(healthy, good, callback.NewGate(8)) })
				breaks(r)
				r.missing(100)
				for id := range int64(50) {
					key := fmt.Sprint("k", id)
					healthy.set(id, key, "x")
					done := r.submit(diverged("good", id, key))
					after(10 * time.Millisecond)
					if !isClosed(done) || r.queue.Depth("good") != 0 {
						t.Fatalf("event %d of the healthy pair waits", id)
					}
				}
				r.stop()
			})
		})
	}
}

func TestRateOfRetriesHasJitter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		// One at a time: with every fourth accepted the URL does not go down, which would bring all back together.
		r := newRig(t, func(r *rig) { r.config.Destinations["p"] = r.destination(r.world, r.receiver, callback.NewGate(1)) })
		r.answering(func(_ context.Context, p callback.Post) callback.Outcome {
			if p.Attempt > 1 || len(r.got())%4 == 0 {
				return accepted
			}
			return failed
		})
		r.missing(40)
		after(time.Second * spread / 10)
		r.receiver.mu.Lock()
		defer r.receiver.mu.Unlock()
		var at []time.Time
		for i, p := range r.posts {
			if p.Attempt == 2 {
				at = append(at, r.at[i])
			}
		}
		if len(at) < 20 {
			t.Fatalf("%d second attempts, want those of all that failed", len(at))
		}
		slices.SortFunc(at, time.Time.Compare)
		if at[len(at)-1].Sub(at[0]) < 100*time.Millisecond {
			t.Error("all come back at the same time")
		}
		r.cancel()
	})
}
