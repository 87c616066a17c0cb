package callback_test

import (
	"fmt"
	"testing"
	"testing/synctest"

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
