package callback_test

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/masixun71/cupid/pkg/callback"
	"github.com/masixun71/cupid/pkg/event"
	"github.com/masixun71/cupid/pkg/row"
)

// orphans make rows k1 to kn that only the destination has, and submit them.
func (r *rig) orphans(n int) {
	events := make([]event.Event, 0, n)
	for i := range n {
		key := fmt.Sprint("k", i+1)
		r.copied(key, "left over")
		events = append(events, event.Event{Pair: "p", Key: row.NewKey([]byte(key)), Kind: event.Orphan, FirstSeen: time.Now()})
	}
	r.submit(events...)
}

func allowing(deletes int) func(*rig) {
	return func(r *rig) {
		d := r.config.Destinations["p"]
		d.DeletePerHour = deletes
		r.config.Destinations["p"] = d
	}
}

func TestOrphanIsCalledBackWithWhatTheDestinationHas(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, allowing(10))
		r.answering(func(_ context.Context, p callback.Post) callback.Outcome {
			r.do(func() { delete(r.des, "k1") })
			return accepted
		})
		r.orphans(1)
		synctest.Wait()
		r.wantPosts(1)
		r.wantDepth(0)
		if got := string(r.got()[0].Body); got != `{"type":3,"srcColumn":{"number":"k1","name":"left over"}}` {
			t.Errorf("body %s", got)
		}
		if c := r.counts(); c.HealedByCallback != 1 {
			t.Errorf("counts %+v", c)
		}
		r.stop()
	})
}

func TestOrphanThatIsGoneIsDropped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, allowing(10))
		r.submit(event.Event{Pair: "p", Key: row.NewKey([]byte("k1")), Kind: event.Orphan, FirstSeen: time.Now()})
		synctest.Wait()
		r.wantPosts(0)
		r.wantDepth(0)
		r.stop()
	})
}

// An orphan whose source row is inserted later is a row like any other.
func TestOrphanWhoseSourceRowComesIsJudgedAnew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, allowing(10))
		r.answering(r.repair)
		r.set(1, "k1", "x")
		r.orphans(1)
		synctest.Wait()
		r.wantPosts(0)
		after(2 * settle)
		r.wantPosts(1)
		r.wantDepth(0)
		if got := string(r.got()[0].Body); got != `{"type":2,"srcColumn":{"id":1,"number":"k1","name":"x"}}` {
			t.Errorf("body %s", got)
		}
		r.stop()
	})
}

func TestDeletesAboveTheBudgetWaitAndAreTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, allowing(3))
		r.answering(func(_ context.Context, p callback.Post) callback.Outcome {
			for i := range 10 {
				key := fmt.Sprint("k", i+1)
				if string(p.Body) == fmt.Sprintf(`{"type":3,"srcColumn":{"number":%q,"name":"left over"}}`, key) {
					r.do(func() { delete(r.des, key) })
				}
			}
			return accepted
		})
		r.orphans(7)
		after(59 * time.Minute)
		r.wantPosts(3)
		r.wantDepth(4)
		if r.heard("deletes held back") == 0 {
			t.Error("nobody was told")
		}
		after(2 * time.Minute)
		r.wantPosts(6)
		after(61 * time.Minute)
		r.wantPosts(7)
		r.wantDepth(0)
		r.stop()
	})
}

func TestOrphansAreDroppedWhenNobodyWantsThemAnyMore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, nil)
		r.orphans(2)
		synctest.Wait()
		r.wantPosts(0)
		r.wantDepth(0)
		r.stop()
	})
}
