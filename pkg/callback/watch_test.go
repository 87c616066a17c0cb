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
	"github.com/masixun71/cupid/pkg/row"
)

func watched(id int64, key string, looks ...event.Look) event.Event {
	e := diverged("p", id, key)
	e.Watch = looks
	return e
}

func TestWatchedRowIsJudged(t *testing.T) {
	for name, c := range map[string]struct {
		step  func(w *world, n int) // before look n, from 0
		looks int
		posts int
		depth int
	}{
		"it heals":                 {func(w *world, _ int) { w.copied("k1", "v0") }, 1, 0, 0},
		"it stands still":          {func(*world, int) {}, 1, 1, 1},
		"destination stuck":        {func(w *world, n int) { w.set(1, "k1", fmt.Sprint("v", n+1)) }, 1, 1, 1},
		"destination follows":      {func(w *world, n int) { w.set(1, "k1", fmt.Sprint("v", n+1)); w.copied("k1", fmt.Sprint("v", n)) }, 8, 0, 1},
		"follows ever more slowly": {func(w *world, n int) { w.set(1, "k1", fmt.Sprint("v", n+1)); w.copied("k1", fmt.Sprint("v", n/2)) }, 8, 0, 1},
		"first follows and then stands still": {func(w *world, n int) {
			w.set(1, "k1", fmt.Sprint("v", min(n+1, 3)))
			w.copied("k1", fmt.Sprint("v", min(n, 2)))
		}, 4, 1, 1},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, nil)
				r.set(1, "k1", "v0")
				r.copied("k1", "vOld")
				r.submit(watched(1, "k1", r.look(1)))
				synctest.Wait()
				r.wantPosts(0)
				for n := range c.looks {
					c.step(r.world, n)
					after(settle + 10*time.Millisecond)
				}
				r.wantPosts(c.posts)
				r.wantDepth(c.depth)
				r.stop()
			})
		})
	}
}

// A task worker meets a hot row again and again. Its looks are not those of this worker, which may look again any moment.
func TestG3NewerLooksAtAWatchedRowComeNotTooCloseToOurs(t *testing.T) {
	for name, id := range map[string]int64{"the same row": 1, "the row has another id by now": 2} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, nil)
				r.set(1, "k1", "v1")
				r.copied("k1", "v0")
				r.submit(watched(1, "k1", r.look(1)))
				after(settle - 10*time.Millisecond)
				r.remove(1)
				r.set(id, "k1", "v9")
				r.copied("k1", "v8") // it moves, and the destination follows
				r.submit(watched(id, "k1", event.Look{Source: 1, Destination: 2}, r.look(id)))
				after(20 * time.Millisecond)
				r.wantPosts(0)
				r.wantDepth(1)
				after(3 * settle) // and now it stands still
				r.wantPosts(1)
				r.stop()
			})
		})
	}
}

func TestG3AcceptedRowThatMovesOnIsNotCalledUnrepaired(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, nil)
		version := 0
		r.set(1, "k1", "v0")
		r.answering(func(_ context.Context, p callback.Post) callback.Outcome {
			copyRow(r.world, p)
			version++ // the source moves on before the row can be verified
			r.set(1, "k1", fmt.Sprint("v", version))
			return accepted
		})
		r.submit(diverged("p", 1, "k1"))
		for range 20 { // and the pipeline follows, one version behind
			after(settle)
			r.copied("k1", fmt.Sprint("v", version))
			version++
			r.set(1, "k1", fmt.Sprint("v", version))
		}
		r.wantPosts(1)
		r.wantAlerts("accepted, not repaired", 0)
		r.copied("k1", fmt.Sprint("v", version))
		after(2 * settle)
		r.wantDepth(0)
		r.stop()
	})
}

func TestG1NewerEventDuringAPostIsNotLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, nil)
		r.set(1, "k1", "x")
		r.set(2, "k1", "re-inserted")
		r.answering(func(_ context.Context, p callback.Post) callback.Outcome {
			if len(r.got()) == 1 {
				// The row is deleted and comes back under another id, while the first one is on its way.
				r.remove(1)
				<-r.submit(diverged("p", 2, "k1"))
				return failed
			}
			copyRow(r.world, p)
			return accepted
		})
		r.submit(diverged("p", 1, "k1"))
		synctest.Wait()
		r.wantDepth(1)
		after(500 * time.Millisecond)
		r.wantPosts(1) // the newer one waits for the backoff of the older one
		after(time.Second)
		posts := r.got()
		if len(posts) != 2 || posts[1].Attempt != 2 || posts[1].ID != posts[0].ID || !strings.Contains(string(posts[1].Body), "re-inserted") {
			t.Fatalf("posts %+v, want the second to be attempt 2 with the new row", posts)
		}
		r.wantDepth(0)
		r.stop()
	})
}

func TestG1NewerEventDuringAVerifiedPostIsLookedAtAgain(t *testing.T) {
	for name, c := range map[string]struct {
		during func(r *rig) // the post, after the row was repaired
		later  func(r *rig) // once it is over
	}{
		"of the same row":        {func(*rig) {}, func(*rig) {}},
		"of one with another id": {func(r *rig) { r.remove(1); r.set(2, "k1", "x") }, func(*rig) {}},
		"and databases that are away": {
			func(r *rig) { r.do(func() { r.fail = func() error { return errPlanned } }) },
			func(r *rig) { r.do(func() { r.fail = nil }) },
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, nil)
				r.set(1, "k1", "x")
				r.answering(func(_ context.Context, p callback.Post) callback.Outcome {
					copyRow(r.world, p)
					c.during(r)
					id := int64(1)
					if _, ok := r.src[2]; ok {
						id = 2
					}
					<-r.submit(diverged("p", id, "k1"))
					after(time.Second)
					return accepted
				})
				e := diverged("p", 1, "k1")
				e.FirstSeen = e.FirstSeen.Add(-time.Minute)
				r.submit(e)
				after(2 * time.Second)
				c.later(r)
				after(2 * grace)
				r.wantPosts(1)
				r.wantDepth(0)
				if c := r.counts(); c.HealedByCallback != 1 || c.HealedItself != 0 || c.HealMillisecondSum < time.Minute.Milliseconds() || c.NotRepaired != 0 {
					t.Errorf("counts %+v, want one healed by its callback, a minute after it was first seen", c)
				}
				r.stop()
			})
		})
	}
}

// A row that was seen equal after its post, while a newer event of it came in, and differs then: it is judged anew.
func TestG5RowThatDivergesWhileANewerEventComesIsNotCalledUnrepaired(t *testing.T) {
	for name, again := range map[string]bool{"once": false, "and once more when it is watched": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, nil)
				r.set(1, "k1", "x")
				r.answering(func(_ context.Context, p callback.Post) callback.Outcome {
					copyRow(r.world, p)
					if len(r.got()) > 1 {
						return accepted
					}
					<-r.submit(diverged("p", 1, "k1"))
					looks := 0
					r.do(func() {
						r.delay = func(context.Context) { // it is spoilt after the look at what was accepted
							if looks++; looks == 3 {
								r.copied("k1", "spoilt")
							}
						}
					})
					return accepted
				})
				r.submit(diverged("p", 1, "k1"))
				after(settle / 2)
				r.wantPosts(1)
				r.wantDepth(1)
				if again {
					r.submit(diverged("p", 1, "k1"))
				}
				after(settle + time.Millisecond)
				r.wantPosts(2)
				r.wantDepth(0)
				r.wantAlerts("accepted, not repaired", 0)
				if c := r.counts(); c.HealedByCallback != 1 || c.HealedItself != 0 || c.NotRepaired != 0 || c.Attempts != 2 || r.got()[1].Attempt != 2 {
					t.Errorf("counts %+v, want one healed by its second callback", c)
				}
				r.stop()
			})
		})
	}
}

func TestNewerEventDoesNotResetTheBackoff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, nil)
		r.answering(always(failed))
		r.missing(1)
		after(30 * time.Second)
		n := len(r.got())
		for range 20 {
			r.submit(diverged("p", 1, "k1"))
			after(50 * time.Millisecond)
		}
		if got := len(r.got()); got > n+1 {
			t.Errorf("%d attempts within a second of newer events", got-n)
		}
		after(10 * time.Minute)
		r.wantAlerts("callback fails", 1)
		r.stop()
	})
}

func TestNewerEventOfAnAcceptedRowChangesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, nil)
		r.missing(1)
		after(grace + 2*grace + time.Second) // accepted three times
		r.wantPosts(3)
		r.submit(diverged("p", 1, "k1"))
		after(4*grace - 2*time.Second)
		r.wantPosts(3)
		after(3 * time.Second)
		r.wantPosts(4)
		if n := r.counts().NotRepaired; n != 3 {
			t.Errorf("%d times not repaired, want 3", n)
		}
		r.stop()
	})
}

func TestOneInFlightForAnIdentity(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, nil)
		r.answering(slowly(10*time.Second, failed))
		r.set(1, "k1", "x")
		for range 20 {
			r.submit(diverged("p", 1, "k1"))
			after(100 * time.Millisecond)
		}
		r.wantPosts(1)
		after(20 * time.Second)
		if n := r.atOnce(); n != 1 {
			t.Errorf("%d posts of one identity at once", n)
		}
		r.stop()
	})
}

func orphan(key string) event.Event {
	return event.Event{Pair: "p", Key: row.NewKey([]byte(key)), Kind: event.Orphan, FirstSeen: time.Now()}
}

// deleting is a rig for a pair that may report n orphans an hour.
func deleting(t *testing.T, n int) *rig {
	t.Helper()
	return newRig(t, func(r *rig) {
		d := r.config.Destinations["p"]
		d.DeletePerHour = n
		r.config.Destinations["p"] = d
	})
}

func TestOrphanIsPostedAndHealedOnceItIsDeleted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := deleting(t, 10)
		r.answering(func(context.Context, callback.Post) callback.Outcome {
			r.do(func() { delete(r.des, "k1") })
			return accepted
		})
		r.copied("k1", "left over")
		r.submit(orphan("k1"))
		synctest.Wait()
		r.wantPosts(1)
		r.wantDepth(0)
		if got := string(r.got()[0].Body); got != `{"type":3,"srcColumn":{"number":"k1","name":"left over"}}` {
			t.Errorf("body %s, want what the destination has", got)
		}
		r.stop()
	})
}

func TestG3OrphanWithASourceRowIsNotPosted(t *testing.T) {
	for name, late := range map[string]string{"equal": "x", "behind": "older"} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := deleting(t, 10)
				r.set(1, "k1", "x")
				r.copied("k1", late)
				r.submit(orphan("k1"))
				after(settle / 2)
				r.wantPosts(0)
				r.copied("k1", "x")
				after(settle)
				r.wantPosts(0)
				r.wantDepth(0)
				r.stop()
			})
		})
	}
}

func TestOrphanThatBecameADifferentRowIsPostedAsOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := deleting(t, 10)
		r.answering(r.repair)
		r.set(1, "k1", "x")
		r.copied("k1", "y")
		r.submit(orphan("k1"))
		after(settle - time.Millisecond)
		r.wantPosts(0)
		after(2 * time.Millisecond)
		r.wantPosts(1)
		if got := r.got()[0]; !strings.HasPrefix(string(got.Body), `{"type":2,`) {
			t.Errorf("body %s, want a different row", got.Body)
		}
		r.wantDepth(0)
		r.stop()
	})
}

func TestG7OrphansAreCalledBackWithinTheirBudget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := deleting(t, 3)
		for i := range 10 {
			r.copied(fmt.Sprint("k", i), "x")
			r.submit(orphan(fmt.Sprint("k", i)))
		}
		after(grace - time.Second)
		r.wantPosts(3)
		r.wantDepth(10)
		if r.heard("deletes held back") == 0 {
			t.Error("nobody is told of the orphans that wait")
		}
		r.stop()
	})
}
