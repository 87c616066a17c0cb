package callback_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/masixun71/cupid/pkg/callback"
)

// unanswered is the outcome of a post that has timed out.
var unanswered = callback.Outcome{Err: errors.New("no answer within 15s"), Unanswered: true}

// timeout is how long a post may take; it is longer than the grace time.
const timeout = 15 * time.Second

// late is a receiver whose first handler is stuck, and gets on at some time after the
// post was given up. It repairs all other posts at once.
type late struct {
	*rig
	stuck callback.Post
}

func newLate(t *testing.T, options func(*rig)) *late {
	t.Helper()
	l := &late{rig: newRig(t, func(r *rig) {
		if options != nil {
			options(r)
		}
		d := r.config.Destinations["p"]
		d.Timeout = timeout
		r.config.Destinations["p"] = d
	})}
	l.answering(func(ctx context.Context, p callback.Post) callback.Outcome {
		if p.Attempt > 1 {
			return l.repair(ctx, p)
		}
		l.stuck = p
		return slowly(timeout, unanswered)(ctx, p)
	})
	return l
}

// commit has the stuck handler get on.
func (l *late) commit() { copyRow(l.world, l.stuck) }

// again submits a newer event of row 1.
func (l *late) again() { l.submit(diverged("p", 1, "k1")) }

// stored submits one, and waits until it is stored.
func (l *late) stored() { <-l.submit(diverged("p", 1, "k1")) }

func nothing(*late) {}

// wantEqual checks that row 1 is the same on both sides.
func (l *late) wantEqual() {
	l.t.Helper()
	l.do(func() {
		if l.des["k1"] != l.src[1].name {
			l.t.Errorf("the destination has %q and the source %q, and nobody looks again", l.des["k1"], l.src[1].name)
		}
	})
}

func TestG5AttemptThatIsStuckAndUndoesALaterOneIsFound(t *testing.T) {
	for name, later := range map[string]time.Duration{"at once": 0, "after nearly as long as a post may take": timeout - 200*time.Millisecond} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := newLate(t, nil)
				l.set(1, "k1", "v1")
				l.submit(diverged("p", 1, "k1"))
				after(time.Second)
				l.set(1, "k1", "v2")
				for len(l.got()) < 2 {
					after(100 * time.Millisecond)
				}
				l.wantEqual()
				l.wantDepth(1)
				after(later)
				l.commit()
				for len(l.got()) < 3 {
					after(100 * time.Millisecond)
				}
				l.wantEqual()
				l.wantDepth(1) // and the first may still be at work
				after(timeout)
				l.wantDepth(0)
				if c := l.counts(); c.HealedByCallback != 1 || c.HealedItself != 0 || c.NotRepaired != 0 || c.Relapsed != 0 {
					t.Errorf("counts %+v, want one row healed by its callback", c)
				}
				l.wantAlerts("accepted, not repaired", 0)
				l.stop()
			})
		})
	}
}

func TestG5AttemptThatIsStuckAndUndoesWhatHealedByItselfIsFound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLate(t, nil)
		l.set(1, "k1", "v1")
		l.submit(diverged("p", 1, "k1"))
		after(time.Second)
		l.set(1, "k1", "v2")
		l.copied("k1", "v2") // the pipeline has caught up
		after(timeout + 2*time.Second)
		l.wantPosts(1)
		l.wantDepth(1)
		l.commit()
		after(2 * timeout)
		l.wantEqual()
		l.wantPosts(2)
		l.stop()
	})
}

// The receiver is told to delete a row, and is stuck. Then its source row comes, and the
// pipeline copies it, before it is looked at or a moment later.
func TestG5AttemptThatIsStuckAndDeletesARowThatCameBackIsFound(t *testing.T) {
	for name, copied := range map[string]time.Duration{"before the next look": 0, "after it": timeout + settle/2} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := newLate(t, allowing(10))
				l.orphans(1)
				after(time.Second)
				l.wantPosts(1)
				l.set(1, "k1", "again")
				after(copied)
				l.copied("k1", "again")
				after(timeout + 2*time.Second - copied)
				l.wantPosts(1)
				l.wantDepth(1)
				l.do(func() { delete(l.des, "k1") })
				after(2 * timeout)
				l.wantEqual()
				if p := l.got(); len(p) != 2 || !strings.HasPrefix(string(p[1].Body), `{"type":1,`) {
					t.Errorf("posts %+v, want the second to be of the row that is missing", p)
				}
				after(2 * timeout)
				l.wantDepth(0)
				l.stop()
			})
		})
	}
}

func TestG5OrphanThatIsInsertedAgainWhileItIsStuckIsFound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLate(t, allowing(10))
		l.orphans(1)
		after(time.Second)
		l.do(func() { delete(l.des, "k1") })
		after(timeout + 2*time.Second)
		l.wantDepth(1)
		l.copied("k1", "inserted by whoever was stuck")
		l.answering(func(context.Context, callback.Post) callback.Outcome {
			l.do(func() { delete(l.des, "k1") })
			return accepted
		})
		after(2 * timeout)
		l.wantPosts(2)
		after(timeout)
		l.wantDepth(0)
		l.stop()
	})
}

// A row that stays equal is healed once, by what healed it, and at the time of the first
// look that found it so.
func TestG5RowThatStaysEqualAfterAnUnansweredAttemptIsHealed(t *testing.T) {
	for name, c := range map[string]struct {
		repair     func(l *late) // a second after the first post
		later      func(l *late) // while it waits
		posts      int
		byCallback uint64
		within     time.Duration
	}{
		"by the second attempt":            {nothing, nothing, 2, 1, timeout + 1500*time.Millisecond},
		"by the attempt itself":            {(*late).commit, nothing, 1, 0, timeout + 1500*time.Millisecond},
		"and a newer event comes":          {(*late).again, nothing, 2, 1, timeout + 1500*time.Millisecond},
		"and one comes while it waits":     {nothing, (*late).again, 2, 1, timeout + 1500*time.Millisecond},
		"by itself, and a newer one comes": {(*late).commit, (*late).again, 1, 0, timeout + 1500*time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := newLate(t, nil)
				l.set(1, "k1", "v1")
				l.submit(diverged("p", 1, "k1"))
				after(time.Second)
				c.repair(l)
				after(timeout + 1500*time.Millisecond)
				l.wantPosts(c.posts)
				l.wantDepth(1)
				c.later(l)
				n := l.fullReads()
				after(timeout - 2*time.Second)
				l.wantDepth(1)
				if got := l.fullReads() - n; got > 1 {
					t.Errorf("%d looks at a row that waits", got)
				}
				after(2 * time.Second)
				l.wantDepth(0)
				l.wantPosts(c.posts)
				s := l.Status()["p"]
				if s.HealedByCallback != c.byCallback || s.HealedItself != 1-c.byCallback || s.NotRepaired != 0 {
					t.Errorf("counts %+v", s.Counts)
				}
				if took := time.Duration(s.HealMillisecondSum) * time.Millisecond; took < timeout || took > c.within {
					t.Errorf("it took %s to heal, want no more than %s", took, c.within)
				}
				l.stop()
			})
		})
	}
}

// An event that comes in while a post is answered, or while the row waits, does not make
// it forget that the row was accepted, nor that an attempt may be stuck.
func TestG1NewerEventOfARowWithAnUnansweredAttemptIsLookedAt(t *testing.T) {
	for name, c := range map[string]struct {
		before func(l *late) // the second post
		during func(l *late) // it
		later  func(l *late) // a second after it
		undone bool          // later
	}{
		"before it is posted":                {(*late).again, nothing, nothing, false},
		"before it is posted, and is undone": {(*late).again, nothing, (*late).commit, true},
		"while it is posted":                 {nothing, (*late).stored, nothing, false},
		"while it is posted, and is undone":  {nothing, (*late).stored, (*late).commit, true},
		"while it waits":                     {nothing, nothing, (*late).again, false},
		"while it waits, and is undone":      {nothing, nothing, func(l *late) { l.commit(); l.again() }, true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := newLate(t, nil)
				stuck := l.answer
				l.answering(func(ctx context.Context, p callback.Post) callback.Outcome {
					if p.Attempt == 2 {
						copyRow(l.world, p)
						c.during(l)
						return accepted
					}
					return stuck(ctx, p)
				})
				l.set(1, "k1", "v1")
				l.submit(diverged("p", 1, "k1"))
				after(time.Second)
				l.set(1, "k1", "v2")
				after(timeout - 800*time.Millisecond)
				c.before(l)
				after(1800 * time.Millisecond)
				l.wantPosts(2)
				c.later(l)
				after(time.Second)
				l.wantDepth(1)
				after(4 * timeout)
				l.wantEqual()
				l.wantDepth(0)
				want := 2
				if c.undone {
					want++
				}
				l.wantPosts(want)
				if n := l.counts(); n.HealedByCallback != 1 || n.HealedItself != 0 || n.NotRepaired != 0 {
					t.Errorf("counts %+v, want one healed by its callback", n)
				}
				l.stop()
			})
		})
	}
}

// An answer says that the receiver is done, and a row is healed with the first look.
func TestAnsweredAttemptNeedsNoFurtherLook(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLate(t, nil)
		l.answering(func(ctx context.Context, p callback.Post) callback.Outcome {
			if p.Attempt == 1 {
				return failed
			}
			return l.repair(ctx, p)
		})
		l.missing(3)
		after(2 * time.Second)
		l.wantPosts(6)
		l.wantDepth(0)
		l.stop()
	})
}

// A worker that ends while a post is in flight has written nothing of it.
func TestG5AttemptThatWasInFlightAtTheEndOfItsWorkerMayBeStuck(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLate(t, nil)
		stuck := true
		l.answering(func(ctx context.Context, p callback.Post) callback.Outcome {
			if stuck {
				stuck, l.stuck = false, p
				return slowly(timeout, unanswered)(ctx, p)
			}
			return l.repair(ctx, p)
		})
		l.set(1, "k1", "v1")
		l.submit(diverged("p", 1, "k1"))
		after(time.Second)
		l.stop()
		l.set(1, "k1", "v2")
		l.start()
		after(time.Second)
		l.wantPosts(2)
		l.wantDepth(1)
		l.commit()
		after(2 * timeout)
		l.wantPosts(3)
		l.wantEqual()
		after(timeout)
		l.wantDepth(0)
		l.stop()
	})
}

// What a worker finds in the queue that cannot have been in flight is healed as ever.
func TestOnlySoManyMayHaveBeenInFlight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLate(t, func(r *rig) { r.config.Hold = true })
		l.missing(2000)
		after(time.Second)
		l.stop()
		l.config.Hold = false
		l.do(func() { // the pipeline has caught up
			for _, s := range l.src {
				l.des[s.key] = s.name
			}
		})
		l.start()
		after(5 * time.Second)
		l.wantDepth(callback.MaxDoubtful)
		after(timeout)
		l.wantDepth(0)
		l.wantPosts(0)
		if c := l.counts(); c.HealedItself != 2000 {
			t.Errorf("counts %+v, want all healed by themselves", c)
		}
		l.stop()
	})
}

// A clock that is set back does not keep a row.
func TestRowThatWasEqualInTheFutureIsLookedAt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLate(t, func(r *rig) {
			r.set(1, "k1", "x")
			r.copied("k1", "x")
			r.queue.records[[2]string{"p", "k1"}] = callback.Record{
				Pair: "p", Key: "k1", Due: time.Now(), Note: []byte(`{"kind":1,"src":"1","state":"watched","unanswered":true,"equal":99999999999999}`),
			}
		})
		after(time.Second)
		l.wantDepth(1)
		after(timeout)
		l.wantDepth(0)
		l.stop()
	})
}
