package callback_test

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/masixun71/cupid/pkg/callback"
)

// What is too large to be read together is read in parts, and what would be too much to wait for its post stays due.
func TestG7RowsThatAreTooLargeTogetherAreReadInParts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var open atomic.Bool
		r := newRig(t, func(r *rig) {
			d := r.config.Destinations["p"]
			d.Concurrency = 64
			r.config.Destinations["p"] = d
		})
		r.do(func() { r.pad, r.limit = bytes.Repeat([]byte(" "), 1<<20), 3<<20 })
		r.answering(func(ctx context.Context, p callback.Post) callback.Outcome {
			for !open.Load() {
				select {
				case <-time.After(100 * time.Millisecond):
				case <-ctx.Done():
				}
			}
			return r.repair(ctx, p)
		})
		r.missing(100)
		after(500 * time.Millisecond)
		r.do(func() {
			if r.taken > 67<<20 {
				t.Errorf("%d MiB of bodies wait for their posts, want 64 and a read more", r.taken>>20)
			}
		})
		open.Store(true)
		after(time.Minute)
		r.wantPosts(100)
		r.wantDepth(0)
		r.wantAlerts("pair stopped", 0)
		r.stop()
	})
}

func TestG6RowThatCannotBeReadStopsOnlyItself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, nil)
		r.answering(r.repair)
		r.do(func() { r.bad[1], r.bad[77], r.bad[78] = true, true, true })
		r.missing(200)
		after(20 * time.Second)
		r.wantPosts(197)
		r.wantDepth(3)
		if n := r.heard("row unreadable"); n != 3 {
			t.Errorf("%d alerts, want one for each row", n)
		}
		r.wantAlerts("pair stopped", 0)
		r.do(func() { clear(r.bad) })
		after(10 * time.Minute)
		r.wantDepth(0)
		r.wantPosts(200)
		r.stop()
	})
}

func TestG6ManyRowsThatCannotBeReadDoNotStopTheRest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, nil)
		r.answering(r.repair)
		r.do(func() {
			for id := range int64(150) { // all that is due first, by key
				r.bad[id+1] = true
			}
		})
		r.missing(200)
		after(20 * time.Minute)
		r.wantPosts(50)
		r.wantDepth(150)
		r.stop()
	})
}

func TestEventWithoutSenseIsSetAside(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, func(r *rig) {
			for _, note := range []string{"", "{", `{"src":"9","state":"watched"}`} {
				r.queue.records[[2]string{"p", note}] = callback.Record{Pair: "p", Key: note, Note: []byte(note), Due: time.Now()}
			}
		})
		r.answering(r.repair)
		r.missing(2)
		after(5 * time.Second)
		r.wantPosts(2)
		r.wantDepth(2) // kept; the third has no source row
		r.wantAlerts("event unreadable", 2)
		if n := r.counts().Unreadable; n != 2 {
			t.Errorf("counted %d, want 2", n)
		}
		r.stop()
	})
}

func TestDeadDatabaseIsProbedAndNotHammered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, nil)
		r.answering(r.repair)
		tries := 0
		r.do(func() {
			r.fail = func() error { tries++; return errPlanned }
		})
		r.missing(300)
		after(10 * time.Minute)
		if tries > 100 {
			t.Errorf("%d reads in ten minutes of a dead database", tries)
		}
		r.wantAlerts("pair stopped", 1)
		r.wantAlerts("row unreadable", 0)
		r.do(func() { r.fail = nil })
		after(31 * time.Second)
		r.wantPosts(300)
		r.wantDepth(0)
		r.stop()
	})
}

func TestAnswersAreWrittenWhileTheDatabaseIsAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, nil)
		r.answering(func(ctx context.Context, p callback.Post) callback.Outcome {
			r.do(func() { r.fail = func() error { return errPlanned } })
			return slowly(500*time.Millisecond, accepted)(ctx, p)
		})
		r.missing(1)
		after(100 * time.Millisecond)
		r.submit(diverged("p", 2, "k2")) // fails, and the lane waits
		after(450 * time.Millisecond)
		if c := r.counts(); c.Accepted != 1 {
			t.Errorf("counts %+v, want the answer to be written", c)
		}
		r.stop()
	})
}

func TestQueueErrorWaitsAndGoesOn(t *testing.T) {
	for _, op := range []string{"apply", "due", "get", "next"} {
		t.Run(op, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, nil)
				r.answering(r.repair)
				tries := 0
				r.queue.failing(func(o string) error {
					if o == op {
						tries++
						return errors.New("disk full")
					}
					return nil
				})
				r.missing(20)
				after(time.Minute)
				if tries > 100 {
					t.Errorf("%d tries in a minute", tries)
				}
				r.queue.failing(nil)
				after(31 * time.Second)
				r.wantDepth(0)
				r.wantPosts(20)
				r.stop()
			})
		})
	}
}

func TestPairThatIsNotConfiguredKeepsItsEvents(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, nil)
		r.answering(r.repair)
		e := diverged("removed", 1, "k1")
		if done := r.submit(e); true {
			after(time.Hour)
			if !isClosed(done) {
				t.Error("an event of a pair that is not here is not acknowledged")
			}
		}
		if list := r.queue.of("removed"); len(list) != 1 || list[0].Attempts != 0 {
			t.Errorf("queue %+v, want the event untouched", list)
		}
		r.stop()
	})
}

func TestG7HugeRowsAreReadAFewAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, nil)
		r.pad = bytes.Repeat([]byte(" "), 2<<20)
		r.answering(func(ctx context.Context, p callback.Post) callback.Outcome {
			o := slowly(10*time.Millisecond, accepted)(ctx, p)
			_, rest, _ := strings.Cut(string(p.Body[:100]), `"number":"`)
			key, _, _ := strings.Cut(rest, `"`)
			r.copied(key, "x")
			return o
		})
		r.missing(120)
		after(time.Minute)
		r.wantPosts(120)
		r.wantDepth(0)
		if r.rows > 32 {
			t.Errorf("%d rows of 2 MiB read at once, want 64 MiB at most", r.rows)
		}
		r.stop()
	})
}

func TestBacklogIsDeliveredAtTheSpeedOfTheReceiver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, nil)
		r.answering(func(ctx context.Context, p callback.Post) callback.Outcome {
			o := slowly(10*time.Millisecond, accepted)(ctx, p)
			copyRow(r.world, p)
			return o
		})
		r.missing(1200)
		after(1600 * time.Millisecond) // 8 at a time: 1.5 s
		r.wantPosts(1200)
		r.wantDepth(0)
		if r.queue.writes > 600 {
			t.Errorf("%d writes for 1200 events", r.queue.writes)
		}
		if n := r.fullReads(); n > 60 {
			t.Errorf("%d reads of whole rows for 1200 events", n)
		}
		r.stop()
	})
}

func TestIdleWorkerRests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		steps := 0
		r := newRig(t, func(r *rig) { r.config.Step = func() { steps++ } })
		after(time.Minute)
		r.queue.mu.Lock()
		ops := r.queue.ops
		r.queue.mu.Unlock()
		if ops > 200 {
			t.Errorf("%d operations of the queue in an idle minute", ops)
		}
		if steps < 60 {
			t.Errorf("%d steps in a minute, want one a second at least", steps)
		}
		r.stop()
	})
}
