package callback_test

import (
	"context"
	"encoding/json"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/masixun71/cupid/pkg/callback"
)

// copyRow makes the destination what a post says.
func copyRow(w *world, p callback.Post) {
	var body struct {
		SrcColumn struct{ Number, Name string } `json:"srcColumn"`
	}
	if err := json.Unmarshal(p.Body, &body); err != nil {
		panic(err)
	}
	w.copied(body.SrcColumn.Number, body.SrcColumn.Name)
}

func TestHealedBeforeTheAttemptIsDropped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, nil)
		r.set(1, "k1", "x")
		r.copied("k1", "x")
		r.submit(diverged("p", 1, "k1"))
		synctest.Wait()
		r.wantPosts(0)
		r.wantDepth(0)
		if c := r.counts(); c.HealedItself != 1 || c.Stored != 1 || c.Attempts != 0 {
			t.Errorf("counts %+v", c)
		}
		r.stop()
	})
}

func TestG5RepairedRowIsVerifiedAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, nil)
		r.answering(r.repair)
		r.set(1, "k1", "x")
		r.submit(diverged("p", 1, "k1"))
		synctest.Wait()
		r.wantPosts(1)
		r.wantDepth(0)
		p := r.got()[0]
		if string(p.Body) != `{"type":1,"srcColumn":{"id":1,"number":"k1","name":"x"}}` || p.Attempt != 1 || p.Pair != "p" || p.ID == "" {
			t.Errorf("post %+v, body %s", p, p.Body)
		}
		if c := r.counts(); c.HealedByCallback != 1 || c.Accepted != 1 || c.HealedItself != 0 {
			t.Errorf("counts %+v", c)
		}
		r.stop()
	})
}

func TestG5RowThatIsRepairedLaterIsVerifiedAfterTheGrace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, nil)
		r.set(1, "k1", "x")
		r.submit(diverged("p", 1, "k1"))
		synctest.Wait()
		r.wantDepth(1)
		r.copied("k1", "x")
		after(grace - time.Millisecond)
		r.wantDepth(1)
		after(2 * time.Millisecond)
		r.wantDepth(0)
		r.wantPosts(1)
		if c := r.counts(); c.HealedByCallback != 1 || c.NotRepaired != 0 {
			t.Errorf("counts %+v", c)
		}
		r.wantAlerts("accepted, not repaired", 0)
		r.stop()
	})
}

func TestG5AcceptedAndNotRepairedIsPostedAgainEverMoreSlowly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, nil)
		r.set(1, "k1", "x")
		r.submit(diverged("p", 1, "k1"))
		synctest.Wait()
		for i, wait := range []time.Duration{grace, 2 * grace, 4 * grace} {
			after(wait - time.Millisecond)
			r.wantPosts(i + 1)
			after(time.Millisecond)
			r.wantPosts(i + 2)
			if n := r.counts().NotRepaired; n != uint64(i+1) {
				t.Errorf("%d times not repaired, want %d", n, i+1)
			}
		}
		r.wantAlerts("accepted, not repaired", 3)
		posts := r.got()
		for i, p := range posts {
			if p.ID != posts[0].ID || p.Attempt != i+1 {
				t.Errorf("post %d has id %s, attempt %d", i, p.ID, p.Attempt)
			}
		}
		r.stop()
	})
}

func TestRelapseIsANewEvent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, nil)
		r.answering(r.repair)
		r.set(1, "k1", "x")
		r.submit(diverged("p", 1, "k1"))
		after(time.Second)
		r.copied("k1", "overwritten")
		r.submit(diverged("p", 1, "k1"))
		after(time.Second)
		posts := r.got()
		if len(posts) != 2 || posts[0].ID == posts[1].ID || posts[1].Attempt != 1 {
			t.Fatalf("posts %+v, want two with ids of their own", posts)
		}
		if !strings.HasPrefix(string(posts[1].Body), `{"type":2,`) || len(posts[1].Columns) != 1 {
			t.Errorf("second post %s, columns %v; want a different row", posts[1].Body, posts[1].Columns)
		}
		r.wantDepth(0)
		r.stop()
	})
}

func TestG4PayloadIsTheRowAtThatAttempt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, nil)
		r.answering(always(failed))
		r.set(1, "k1", "first")
		r.submit(diverged("p", 1, "k1"))
		synctest.Wait()
		r.set(1, "k1", "second")
		r.answering(r.repair)
		after(2 * time.Second)
		posts := r.got()
		if len(posts) != 2 || !strings.Contains(string(posts[0].Body), "first") || !strings.Contains(string(posts[1].Body), "second") {
			t.Errorf("posts %+v, want each with the row of its time", posts)
		}
		r.wantDepth(0)
		r.stop()
	})
}

// A look at tables that are altered meanwhile counts for nothing: the next one tells that the row only
// seemed to differ, or to be equal.
func TestG3LookBeforeAnAlterPostsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, nil)
		r.set(1, "differs", "x")
		r.set(2, "equal", "x")
		r.copied("equal", "x")
		altered := 0
		r.do(func() {
			r.altered = 1
			r.between, r.untilThen = func() {
				r.copied("differs", "x")
				r.copied("equal", "y")
				altered++
			}, 3 // what the first look has read is not what there is
		})
		r.submit(diverged("p", 1, "differs"), diverged("p", 2, "equal"))
		after(time.Second)
		if posts := r.got(); altered != 1 || len(posts) == 0 || !strings.Contains(string(posts[0].Body), `"equal"`) {
			t.Errorf("posts %+v, want those of the row that differs in the second look", posts)
		}
		for _, p := range r.got() {
			if strings.Contains(string(p.Body), `"differs"`) {
				t.Errorf("post %s of a row that is equal", p.Body)
			}
		}
		r.stop()
	})
}

// A row alone is looked at again at once, and is none that cannot be read.
func TestAlterDuringALookIsNoTrouble(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, nil)
		r.answering(r.repair)
		r.set(1, "k1", "x")
		r.do(func() { r.altered = 1 })
		r.submit(diverged("p", 1, "k1"))
		synctest.Wait()
		r.wantPosts(1)
		r.wantDepth(0)
		if n := r.heard("row unreadable"); n != 0 {
			t.Errorf("%d alerts tell of rows that cannot be read", n)
		}
		r.stop()
	})
}

func TestFailureIsTriedAgainWithBackoffUnderOneID(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, nil)
		r.answering(always(failed))
		r.missing(1)
		synctest.Wait()
		first := r.got()[0]
		for i, wait := range []time.Duration{1, 2, 4} { // seconds, and a fifth more or less
			n := len(r.got())
			after(wait*time.Second*8/10 - time.Millisecond)
			if len(r.got()) != n {
				t.Errorf("attempt %d came too early", i+2)
			}
			after(wait*time.Second*4/10 + 2*time.Millisecond)
			if len(r.got()) != n+1 {
				t.Errorf("attempt %d came too late", i+2)
			}
			// Some is left of the longest wait: the next one counts from the attempt.
			r.receiver.mu.Lock()
			at := r.at[len(r.at)-1]
			r.receiver.mu.Unlock()
			if late := time.Since(at); late > 0 {
				wait2 := []time.Duration{2, 4, 8}[i]
				after(wait2*time.Second*8/10 - time.Millisecond - late)
				if len(r.got()) != n+1 {
					t.Errorf("attempt %d came too early", i+3)
				}
				break
			}
		}
		r.stop()
		r.start() // the same queue
		after(retryCap)
		posts := r.got()
		for i, p := range posts {
			if p.ID != first.ID || p.Attempt != i+1 {
				t.Errorf("post %d has id %s and attempt %d, want %s and %d", i, p.ID, p.Attempt, first.ID, i+1)
			}
		}
		if len(posts) < 6 || len(posts) > 14 {
			t.Errorf("%d posts in five minutes", len(posts))
		}
		r.stop()
	})
}

func TestManyFailedAttemptsAreToldOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, func(r *rig) { r.config.FailedAttempts = 4 })
		r.answering(always(failed))
		r.missing(1)
		after(10 * time.Minute)
		r.wantAlerts("callback fails", 1)
		if c := r.counts(); c.Failed < 8 || c.Failed != c.Attempts {
			t.Errorf("counts %+v", c)
		}
		r.stop()
	})
}

func TestAnswerResetsTheBackoff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, nil)
		r.missing(1)
		after(10 * time.Minute) // accepted again and again
		n := len(r.got())
		r.answering(always(failed))
		for len(r.got()) == n {
			after(time.Second)
		}
		after(3 * time.Second)
		if got := len(r.got()); got < n+2 {
			t.Errorf("%d attempts in the seconds after the first failure, want more", got-n)
		}
		r.stop()
	})
}

func TestSourceRowThatIsGoneIsDropped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, nil)
		r.submit(diverged("p", 1, "k1"))
		synctest.Wait()
		r.wantPosts(0)
		r.wantDepth(0)
		if n := r.counts().SourceGone; n != 1 {
			t.Errorf("%d rows gone, want 1", n)
		}
		r.stop()
	})
}

func TestSourceRowWithAnotherKeyIsWatchedUnderIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, nil)
		r.answering(r.repair)
		r.set(1, "new", "x")
		r.submit(diverged("p", 1, "old"))
		synctest.Wait()
		r.wantPosts(0)
		if list := r.queue.of("p"); len(list) != 1 || list[0].Key != "new" {
			t.Fatalf("queue %+v, want the row under its new key", list)
		}
		after(settle + time.Millisecond)
		r.wantPosts(1)
		r.wantDepth(0)
		r.stop()
	})
}

func TestG7FullQueueStillDeliversWhenKeysChanged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, func(r *rig) { r.queue.limit = 3 })
		r.answering(r.repair)
		r.set(1, "new", "x")
		r.set(2, "b", "x")
		r.set(3, "c", "x")
		r.submit(diverged("p", 1, "old"), diverged("p", 2, "b"), diverged("p", 3, "c"))
		after(5 * settle)
		r.wantPosts(3)
		r.wantDepth(0)
		r.stop()
	})
}

func TestG4StaleRowsAreReadAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, func(r *rig) {
			d := r.config.Destinations["p"]
			d.Concurrency, d.Gate = 1, callback.NewGate(1)
			r.config.Destinations["p"] = d
		})
		r.answering(func(ctx context.Context, p callback.Post) callback.Outcome {
			slowly(1500*time.Millisecond, failed)(ctx, p)
			r.do(func() { // all rows change while the receiver is at work
				for id, s := range r.src {
					s.name = time.Now().Format(time.RFC3339Nano)
					r.src[id] = s
				}
			})
			slowly(1500*time.Millisecond, failed)(ctx, p)
			copyRow(r.world, p)
			return failed
		})
		r.missing(6)
		after(14 * time.Second)
		r.receiver.mu.Lock()
		defer r.receiver.mu.Unlock()
		if len(r.posts) != 5 {
			t.Fatalf("%d posts in 14 s, want one every 3 s", len(r.posts))
		}
		for i, p := range r.posts[1:] {
			want := r.at[i].Add(1500 * time.Millisecond).Format(time.RFC3339Nano)
			if !strings.Contains(string(p.Body), want) {
				t.Errorf("post %d is %s, want the row of %s", i+1, p.Body, want)
			}
		}
		r.cancel()
	})
}

func TestSlowDatabaseStillDelivers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, nil)
		r.answering(r.repair)
		r.delay = func(ctx context.Context) { // longer than a row is fresh
			select {
			case <-time.After(2 * time.Second):
			case <-ctx.Done():
			}
		}
		r.missing(20)
		after(time.Minute)
		r.wantPosts(20)
		r.wantDepth(0)
		r.stop()
	})
}

func TestHoldPostsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, func(r *rig) { r.config.Hold = true })
		r.missing(3)
		after(time.Hour)
		r.wantPosts(0)
		r.wantDepth(3)
		r.stop()
	})
}

func TestDrainingFinishesPostsAndStartsNone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, nil)
		r.answering(func(ctx context.Context, p callback.Post) callback.Outcome {
			o := slowly(500*time.Millisecond, accepted)(ctx, p)
			copyRow(r.world, p)
			return o
		})
		r.missing(100)
		after(100 * time.Millisecond)
		r.wantPosts(8)
		close(r.draining)
		if err := <-r.end; err != nil {
			t.Error(err)
		}
		r.wantPosts(8)
		r.wantDepth(92)
		if c := r.counts(); c.Accepted != 8 || c.Failed != 0 || r.atOnce() != 8 {
			t.Errorf("counts %+v", c)
		}
	})
}

func TestG1PostGivenUpByOurselvesIsNoFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, nil)
		r.answering(slowly(time.Hour, accepted))
		r.missing(10)
		after(time.Second)
		r.stop()
		if c := r.counts(); c.Failed != 0 || c.Attempts != 0 {
			t.Errorf("counts %+v, want no failure", c)
		}
		r.wantAlerts("callback URL down", 0)
		for _, rec := range r.queue.of("p") {
			if rec.Attempts != 0 {
				t.Errorf("record %+v, want no attempt", rec)
			}
		}
	})
}
