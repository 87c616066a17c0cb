package callback_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/masixun71/cupid/pkg/callback"
)

// leave puts n events of a pair into the queue that the next worker may not have.
func (r *rig) leave(pair string, n int) {
	r.t.Helper()
	records := make([]callback.Record, n)
	for i := range records {
		records[i] = callback.Record{Pair: pair, Key: fmt.Sprint("k", i), Note: []byte("{}")}
	}
	if err := r.queue.Put(r.t.Context(), records); err != nil {
		r.t.Fatal(err)
	}
}

// newLeftRig is a shared rig with n events of a pair "gone" in its queue.
func newLeftRig(t *testing.T, limit, n int) *rig {
	t.Helper()
	r := newSharedRig(t, limit)
	r.stop()
	r.leave("gone", n)
	r.start()
	synctest.Wait()
	return r
}

func TestG6EventsOfARemovedPairLeaveRoomForTheOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newLeftRig(t, 90, 45)
		r.flood("p", 1, 200)
		if got := r.queue.Depth("p"); got < 35 || got > 43 {
			t.Errorf("p holds %d of the 45 places that are left, want most and not all", got)
		}
		done := r.submit(diverged("q", 1, "k1"))
		synctest.Wait()
		if !isClosed(done) {
			t.Error("the event of q is not stored")
		}
		r.stop()
	})
}

func TestEventsOfARemovedPairAreToldAtTheStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newLeftRig(t, 90, 3)
		r.leave("renamed", 2)
		r.leave("p", 4)
		r.wantAlerts("pairs not configured", 1)
		r.stop()
		r.start()
		after(time.Minute)
		r.wantAlerts("pairs not configured", 2)
		text := r.latest("pairs not configured")
		for _, want := range []string{`3 of "gone"`, `2 of "renamed"`, "cupid-master forget"} {
			if !strings.Contains(text, want) {
				t.Errorf("told %q, want %q in it", text, want)
			}
		}
		if strings.Contains(text, `"p"`) {
			t.Errorf("told %q, though p is configured", text)
		}
		r.stop()
	})
}

func TestQueueWithoutEventsOfRemovedPairsTellsOfNone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newSharedRig(t, 90)
		r.flood("p", 1, 5)
		r.wantAlerts("pairs not configured", 0)
		if got := len(r.Status()); got != 2 {
			t.Errorf("%d pairs in the status, want p and q", got)
		}
		r.stop()
	})
}

func TestManyRemovedPairsAreToldInOneShortMessage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newSharedRig(t, 0)
		r.stop()
		for i := range 200 {
			r.leave(fmt.Sprint("gone", i), 1)
		}
		r.start()
		synctest.Wait()
		r.wantAlerts("pairs not configured", 1)
		if text := r.latest("pairs not configured"); len(text) > 1000 || !strings.Contains(text, "190 more pairs") {
			t.Errorf("told %q", text)
		}
		r.stop()
	})
}

func TestStatusShowsEventsOfARemovedPair(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newLeftRig(t, 90, 45)
		if s := r.Status()["gone"]; s.Depth != 45 || !s.NotConfigured {
			t.Errorf("status %+v, want 45 events of a pair that is not configured", s)
		}
		if r.Status()["p"].NotConfigured {
			t.Error("p is shown as not configured")
		}
		r.stop()
	})
}

func TestQueueFullOfEventsOfARemovedPairSaysSoUntilTheyAreForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newLeftRig(t, 90, 90)
		done := r.submit(diverged("p", 1, "k1"))
		after(time.Minute)
		if isClosed(done) {
			t.Fatal("acknowledged though there was no room")
		}
		r.wantAlerts("events not stored", 1)
		if text := r.latest("events not stored"); !strings.Contains(text, "90 of its events are of pairs that are not configured") {
			t.Errorf("told %q, want the reason", text)
		}
		r.Forget("gone")
		after(3 * time.Second)
		if !isClosed(done) {
			t.Error("not acknowledged though there is room")
		}
		r.stop()
	})
}

func TestForgetRemovesTheEventsOfOnePairThatIsNotConfigured(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newLeftRig(t, 0, 700) // several batches
		r.leave("renamed", 2)
		r.flood("p", 1, 5)
		r.Forget("p")
		r.Forget("nobody")
		r.Forget("gone")
		synctest.Wait()
		for pair, want := range map[string]int{"p": 5, "gone": 0, "renamed": 2} {
			if got := r.queue.Depth(pair); got != want {
				t.Errorf("%d events of %s, want %d", got, pair, want)
			}
		}
		r.stop()
	})
}

func TestForgetThatFailsLeavesTheEventsAndGoesOnWhenAskedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newLeftRig(t, 0, 700)
		applied := 0
		r.queue.failing(func(op string) error {
			if op == "apply" {
				if applied++; applied > 1 {
					return errors.New("input/output error")
				}
			}
			return nil
		})
		r.Forget("gone")
		after(time.Minute)
		if got := r.queue.Depth("gone"); got == 0 || got == 700 {
			t.Errorf("%d events, want some of 700", got)
		}
		r.queue.failing(nil)
		r.Forget("gone")
		synctest.Wait()
		if got := r.queue.Depth("gone"); got != 0 {
			t.Errorf("%d events, want none", got)
		}
		r.stop()
	})
}
