package callback_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/masixun71/cupid/pkg/callback"
)

// remembering gives a rig a memory and a budget of deletes.
func remembering(m callback.Memory, deletes int) func(*rig) {
	return func(r *rig) {
		allowing(deletes)(r)
		r.config.Memory, r.config.Idle = m, 10*time.Second // hours pass
	}
}

// deletes are when orphans were posted.
func (r *rig) deletes() (at []time.Time) {
	r.receiver.mu.Lock()
	defer r.receiver.mu.Unlock()
	for i, p := range r.posts {
		if strings.HasPrefix(string(p.Body), `{"type":3,`) {
			at = append(at, r.at[i])
		}
	}
	return at
}

// wantBudget checks that no 60 minutes have more posts of orphans than that.
func (r *rig) wantBudget(deletes int) {
	r.t.Helper()
	at := r.deletes()
	for i := deletes; i < len(at); i++ {
		if d := at[i].Sub(at[i-deletes]); d <= time.Hour {
			r.t.Fatalf("%d posts within %s, want no more than %d in an hour", deletes+1, d, deletes)
		}
	}
}

// minutes is a budget that was spent in some minutes from now on.
func minutes(now time.Time, spent map[int64]int) callback.Memo {
	of := map[int64]int{}
	for m, n := range spent {
		of[now.Unix()/60+m] = n
	}
	return callback.Memo{Deletes: map[string]map[int64]int{"p": of}}
}

func TestG7BudgetOfDeletesOutlivesItsWorker(t *testing.T) {
	for name, end := range map[string]func(r *rig){
		"stopped": (*rig).stop,
		"killed":  func(r *rig) { r.config.Memory.(*remembers).die(); r.stop(); r.config.Memory.(*remembers).dead = false },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, remembering(&remembers{}, 10))
				for i := range 6 {
					r.orphans(20 * (i + 1))
					after(time.Minute)
					end(r)
					r.start()
				}
				after(50 * time.Minute)
				r.wantPosts(10)
				after(20 * time.Minute)
				r.wantPosts(20)
				r.wantBudget(10)
				r.stop()
			})
		})
	}
}

// The hour slides: posts that stand on both sides of a full hour are in one, too.
func TestNo60MinutesHaveMoreDeletesThanTheBudget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, remembering(&remembers{}, 10))
		r.answering(slowly(700*time.Millisecond, accepted)) // some are posted in the minute after they were read
		n := 0
		for minute := range 360 {
			after(time.Minute - 300*time.Millisecond)
			if minute%7 == 0 {
				n += 3
				r.orphans(n)
			}
			if minute%50 == 49 {
				r.stop()
				r.start()
			}
			after(300 * time.Millisecond)
		}
		r.wantBudget(10)
		if got := len(r.got()); got < 55 {
			t.Errorf("%d posts in six hours, want nearly as many as the budget allows", got)
		}
		r.stop()
	})
}

// An orphan that waits for the receiver is posted in the minute after it was read.
func TestOrphanThatWaitsOverTheMinuteCountsInThatOfItsPost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, func(r *rig) {
			remembering(&remembers{}, 1)(r)
			d := r.config.Destinations["p"]
			d.Concurrency, d.Gate = 1, callback.NewGate(1)
			r.config.Destinations["p"] = d
		})
		r.answering(slowly(700*time.Millisecond, accepted))
		after(time.Minute - 300*time.Millisecond)
		r.set(100, "row", "x")
		r.submit(diverged("p", 100, "row"))
		synctest.Wait()
		r.orphans(2)
		after(2 * time.Second)
		if at := r.deletes(); len(at) != 1 || at[0].Second() != 0 {
			t.Fatalf("orphans were posted at %v, want one in the next minute", at)
		}
		after(2 * time.Hour)
		r.wantBudget(1)
		if n := len(r.deletes()); n != 2 {
			t.Errorf("%d orphans posted in two hours, want 2", n)
		}
		r.stop()
	})
}

func TestG7BudgetIsOnDiskBeforeAnOrphanIsPosted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		memory := &remembers{}
		r := newRig(t, remembering(memory, 5))
		r.answering(func(context.Context, callback.Post) callback.Outcome {
			posted := 0
			for _, at := range r.deletes() {
				if time.Since(at) <= time.Hour {
					posted++
				}
			}
			if kept := memory.deletes("p"); kept < posted {
				t.Errorf("%d posts within an hour, and only %d on disk", posted, kept)
			}
			return accepted
		})
		r.orphans(20)
		after(3 * time.Hour)
		r.wantPosts(15)
		r.stop()
	})
}

func TestNoOrphanIsPostedWhileTheBudgetCannotBeKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		memory := &remembers{fail: errors.New("disk full")}
		r := newRig(t, remembering(memory, 20))
		r.orphans(20)
		r.set(100, "row", "x")
		r.submit(diverged("p", 100, "row"))
		after(10 * time.Second)
		if n := len(r.deletes()); n > 0 {
			t.Fatalf("%d orphans posted, though nothing would know of them after a restart", n)
		}
		r.wantPosts(2) // the row that is no orphan, again after its grace time
		after(10 * time.Minute)
		r.wantAlerts("deletes held back", 1)
		r.queue.mu.Lock()
		writes := r.queue.writes
		r.queue.mu.Unlock()
		if writes > 500 {
			t.Errorf("%d writes in ten minutes", writes)
		}
		memory.failing(nil)
		after(11 * time.Second)
		if got := len(r.deletes()); got != 20 {
			t.Errorf("%d orphans posted once the budget can be kept, want 20", got)
		}
		r.wantDepth(21)
		r.stop()
	})
}

func TestBudgetOfAnotherTimeIsNeitherLostNorForEver(t *testing.T) {
	for name, c := range map[string]struct {
		spent         map[int64]int // by the minute from now
		first, second int           // posts in the first hour, and until the end of the second one
	}{
		"spent some minutes ago":              {map[int64]int{-5: 10}, 10, 20},
		"spent more than an hour ago":         {map[int64]int{-61: 10}, 10, 20},
		"the clock was set back by a day":     {map[int64]int{1440: 7, 1441: 3}, 0, 10},
		"and less than all was spent":         {map[int64]int{1440: 7}, 3, 13},
		"the limit was lowered":               {map[int64]int{-30: 40}, 10, 20},
		"it was spent in this minute":         {map[int64]int{0: 10}, 0, 10},
		"there is nothing of an older worker": {nil, 10, 20},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				memory := &remembers{memo: minutes(time.Now(), c.spent)}
				r := newRig(t, remembering(memory, 10))
				r.orphans(30)
				after(60*time.Minute + 30*time.Second)
				r.wantPosts(c.first)
				after(61 * time.Minute)
				r.wantPosts(c.second)
				r.stop()
			})
		})
	}
}

// What cannot be read may have been a whole budget.
func TestBudgetThatCannotBeReadIsSpent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, remembering(&remembers{lost: errPlanned}, 10))
		r.orphans(20)
		after(60 * time.Minute)
		r.wantPosts(0)
		after(2 * time.Minute)
		r.wantPosts(10)
		r.stop()
	})
}

func TestNothingIsSavedForRowsThatAreNoOrphans(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		memory := &remembers{}
		r := newRig(t, remembering(memory, 10))
		r.answering(r.repair)
		r.missing(500)
		after(time.Minute)
		r.wantPosts(500)
		r.stop()
		if memory.saves != 0 {
			t.Errorf("%d saves, want none", memory.saves)
		}
	})
}

// A receiver that takes its time lets rows wait until they are stale. They are read
// again, and were not posted.
func TestAttemptThatIsNotPostedCostsNoBudget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, remembering(&remembers{}, 100))
		r.answering(slowly(900*time.Millisecond, failed))
		r.orphans(400)
		after(30 * time.Second)
		r.answering(slowly(900*time.Millisecond, accepted))
		after(59 * time.Minute)
		r.wantPosts(100)
		r.wantBudget(100)
		r.stop()
	})
}

// What was given up by ourselves was posted, and stays counted.
func TestAttemptThatWasGivenUpIsCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, remembering(&remembers{}, 8))
		r.answering(slowly(time.Hour, accepted))
		r.orphans(20)
		for range 4 {
			after(time.Minute)
			r.stop()
			r.start()
		}
		r.wantPosts(8)
		r.stop()
	})
}

// Orphans come back one after the other as the hour slides, and not all together for
// every one that may go.
func TestG7OrphansThatWaitAreNotReadAllTheTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, remembering(&remembers{}, 60))
		for range 60 { // one is spent every minute
			r.orphans(len(r.got()) + 1)
			after(time.Minute)
		}
		r.wantPosts(60)
		before := r.counts().DeletesHeld
		r.orphans(1060)
		after(60 * time.Minute)
		if held := r.counts().DeletesHeld - before; held > 2*1000 {
			t.Errorf("%d looks at orphans that had to wait, want about one for each of 1000 in an hour", held)
		}
		if got := len(r.got()); got < 110 || got > 121 {
			t.Errorf("%d posts in two hours, want 60 in each", got)
		}
		r.wantBudget(60)
		r.stop()
	})
}

// Many lanes save, and so does the worker.
func TestMemoryIsCalledByOneAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		memory := &remembers{}
		r := newRig(t, func(r *rig) {
			remembering(memory, 10)(r)
			for i := range 10 {
				d := r.destination(r.world, r.receiver, callback.NewGate(8))
				d.DeletePerHour = 3
				r.config.Destinations[fmt.Sprint("q", i)] = d
			}
		})
		r.orphans(20)
		for i := range 10 {
			e := orphan("k1")
			e.Pair = fmt.Sprint("q", i)
			r.submit(e)
		}
		after(time.Minute)
		r.stop()
		if memory.together {
			t.Error("two saves at a time")
		}
		if memory.saves == 0 {
			t.Error("nothing was saved")
		}
	})
}
