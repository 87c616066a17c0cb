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
	"github.com/masixun71/cupid/pkg/event"
)

func TestG1EventIsOnDiskBeforeItsAcknowledgment(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, func(r *rig) { r.config.Hold = true })
		depth := -1
		r.Submit([]event.Event{diverged("p", 1, "k1"), diverged("p", 2, "k2")}, func() { depth = r.queue.Depth("p") })
		synctest.Wait()
		if depth != 2 {
			t.Errorf("%d events on disk at the acknowledgment, want 2", depth)
		}
		r.stop()
	})
}

func TestG1FullQueueAcknowledgesNothingAndLosesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, func(r *rig) { r.queue.limit = 10 })
		r.answering(always(failed))
		r.missing(10)
		synctest.Wait()
		r.set(11, "k11", "x")
		r.set(12, "k12", "x")
		full := r.submit(diverged("p", 11, "k11"), diverged("p", 12, "k12"))
		after(time.Minute)
		if isClosed(full) {
			t.Fatal("acknowledged though there was no room")
		}
		r.wantAlerts("events not stored", 1)
		r.answering(r.repair)
		after(time.Minute)
		if !isClosed(full) {
			t.Error("not acknowledged though there is room")
		}
		r.wantDepth(0)
		bodies := map[string]bool{}
		for _, p := range r.got() {
			bodies[string(p.Body)] = true
		}
		if len(bodies) != 12 {
			t.Errorf("%d rows were posted, want 12", len(bodies))
		}
		r.stop()
	})
}

func TestMessageLargerThanTheQueueIsStoredInParts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, func(r *rig) { r.queue.limit = 10 })
		r.answering(r.repair)
		var events []event.Event
		for id := range int64(100) {
			key := fmt.Sprint("k", id)
			r.set(id, key, "x")
			events = append(events, diverged("p", id, key))
		}
		done := r.submit(events...)
		after(time.Minute)
		if !isClosed(done) {
			t.Error("not acknowledged")
		}
		r.wantPosts(100)
		r.wantDepth(0)
		r.stop()
	})
}

func TestG1DiskErrorWaitsAndGoesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, func(r *rig) { r.config.Hold = true })
		r.queue.failing(func(op string) error {
			if op == "put" {
				return errors.New("no space left on device")
			}
			return nil
		})
		var all []<-chan struct{}
		for id := range int64(20) {
			all = append(all, r.submit(diverged("p", id, fmt.Sprint("k", id))))
			after(100 * time.Millisecond)
		}
		r.wantAlerts("events not stored", 1)
		for _, done := range all {
			if isClosed(done) {
				t.Fatal("acknowledged without a disk")
			}
		}
		r.queue.failing(nil)
		after(2 * time.Second)
		for i, done := range all {
			if !isClosed(done) {
				t.Errorf("message %d is not acknowledged", i)
			}
		}
		r.wantDepth(20)
		r.stop()
	})
}

func TestG6PairWhoseURLIsDownLeavesRoomForOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		healthy := newWorld(t)
		good := &receiver{answer: always(accepted)}
		r := newRig(t, func(r *rig) {
			r.queue.limit, r.config.Limit = 100, 100
			r.config.Destinations["good"] = r.destination(healthy, good, callback.NewGate(8))
		})
		r.answering(always(failed))
		for id := range int64(300) { // far more than there is room for
			key := fmt.Sprint("k", id)
			r.set(id, key, "x")
			r.submit(diverged("p", id, key))
			if id%10 == 0 {
				synctest.Wait()
			}
		}
		after(10 * time.Second)
		if got := r.queue.Depth("p"); got < 80 || got > 95 {
			t.Errorf("the pair that is down holds %d of 100 places, want most and not all", got)
		}
		for id := range int64(50) {
			key := fmt.Sprint("g", id)
			healthy.set(id, key, "x")
			healthy.copied(key, "")
			done := r.submit(diverged("good", id, key))
			synctest.Wait()
			if !isClosed(done) {
				t.Fatalf("event %d of the healthy pair is not stored", id)
			}
			good.answering(func(_ context.Context, p callback.Post) callback.Outcome { copyRow(healthy, p); return accepted })
			after(10 * time.Second)
		}
		if got := r.queue.Depth("good"); got != 0 {
			t.Errorf("%d events of the healthy pair wait", got)
		}
		r.stop()
	})
}

// newSharedRig has a second pair "q" on the queue, which has room for limit events. Nothing
// is called back, so what is stored stays.
func newSharedRig(t *testing.T, limit int) *rig {
	t.Helper()
	return newRig(t, func(r *rig) {
		r.queue.limit, r.config.Limit, r.config.Hold = limit, limit, true
		r.config.Destinations["q"] = r.destination(newWorld(t), r.receiver, callback.NewGate(8))
	})
}

// flood submits events of a pair from id on, one in each message.
func (r *rig) flood(pair string, from, n int64) {
	for id := from; id < from+n; id++ {
		r.submit(diverged(pair, id, fmt.Sprint("k", id)))
	}
	after(3 * time.Second)
}

func TestEachPairThatWaitsForRoomIsToldOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newSharedRig(t, 100)
		r.flood("p", 1, 200)
		r.wantAlerts("events not stored", 1)
		r.flood("q", 1, 200)
		r.wantAlerts("events not stored", 2)
		r.flood("p", 201, 200)
		r.flood("q", 201, 200)
		r.wantAlerts("events not stored", 2)
		r.stop()
	})
}

func TestPairThatWaitsForRoomAgainIsToldAgainWhileAnotherWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newSharedRig(t, 100)
		r.flood("p", 1, 200)
		r.flood("q", 1, 10)
		last := r.submit(diverged("q", 11, "k11"))
		after(time.Second)
		if isClosed(last) {
			t.Fatal("q has not filled its share")
		}
		r.wantAlerts("events not stored", 2)
		r.queue.drop("q")
		after(3 * time.Second)
		if !isClosed(last) {
			t.Fatal("not acknowledged though there is room")
		}
		r.flood("q", 12, 20)
		r.wantAlerts("events not stored", 3)
		r.stop()
	})
}

func TestG1FullDiskIsToldWhileAPairWaitsForRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newSharedRig(t, 100)
		r.flood("p", 1, 200)
		r.wantAlerts("events not stored", 1)
		full := func(op string) error {
			if op == "put" {
				return errors.New("no space left on device")
			}
			return nil
		}
		for told := 2; told < 4; told++ {
			r.queue.failing(full)
			lost := r.submit(diverged("q", int64(told), fmt.Sprint("k", told)))
			after(3 * time.Second)
			r.wantAlerts("events not stored", told)
			r.flood("q", 10, 3) // it lasts
			r.wantAlerts("events not stored", told)
			r.queue.failing(nil)
			after(3 * time.Second)
			if !isClosed(lost) {
				t.Fatal("not acknowledged though the disk has room")
			}
		}
		r.stop()
	})
}

// What waits for room is tried again and again: it finds out, too, that the disk is full.
func TestG1FullDiskIsToldWhenWhatWaitsForRoomMeetsIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newSharedRig(t, 100)
		r.flood("p", 1, 200)
		r.queue.failing(func(op string) error {
			if op == "put" {
				return errors.New("no space left on device")
			}
			return nil
		})
		r.queue.drop("p")
		after(3 * time.Second)
		r.wantAlerts("events not stored", 2)
		r.stop()
	})
}

func TestNewestEventOfAMessageWins(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, func(r *rig) { r.config.Hold = true })
		first, second := diverged("p", 1, "k1"), diverged("p", 2, "k1")
		r.submit(first, second)
		synctest.Wait()
		list := r.queue.of("p")
		if len(list) != 1 || !strings.Contains(string(list[0].Note), `"src":"2"`) {
			t.Errorf("queue %+v, want the newer event", list)
		}
		if n := r.counts().Stored; n != 1 {
			t.Errorf("%d stored, want 1", n)
		}
		r.stop()
	})
}

func TestEventThatNoQueueTakesDoesNotStopOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, func(r *rig) { r.config.Hold = true })
		done := r.submit(diverged("p", 1, strings.Repeat("k", event.MaxKeyTextBytes+1)), diverged("p", 2, "k2"))
		synctest.Wait()
		if !isClosed(done) {
			t.Error("not acknowledged")
		}
		r.wantDepth(1)
		r.wantAlerts("event set aside", 1)
		r.stop()
	})
}

func TestJumpOfDivergenceIsToldOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, func(r *rig) {
			r.config.Hold = true
			stormy(1000, 50)(r)
		})
		id := int64(0)
		burst := func(n int) {
			for range n {
				id++
				r.submit(diverged("p", id, fmt.Sprint("k", id)))
			}
			after(time.Second)
		}
		burst(999)
		r.wantAlerts("divergence jumps", 0)
		burst(2)
		r.wantAlerts("divergence jumps", 1)
		for range 5 { // it lasts
			after(30 * time.Second)
			burst(1100)
		}
		r.wantAlerts("divergence jumps", 1)
		after(5 * time.Minute)
		burst(10)
		after(2 * time.Minute)
		burst(1100)
		r.wantAlerts("divergence jumps", 2)
		r.stop()
	})
}
