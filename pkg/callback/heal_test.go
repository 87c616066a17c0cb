package callback_test

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/masixun71/cupid/pkg/callback"
)

func TestG5RowThatDivergesAgainAfterItsRepairHasRelapsed(t *testing.T) {
	for name, c := range map[string]struct {
		later time.Duration
		want  uint64
	}{
		"soon": {time.Minute, 1},
		"late": {61 * time.Minute, 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, nil)
				r.answering(r.repair)
				r.set(1, "k1", "x")
				r.submit(diverged("p", 1, "k1"))
				after(time.Second)
				r.wantDepth(0)
				after(c.later)
				r.copied("k1", "broken")
				r.submit(diverged("p", 1, "k1"))
				after(time.Second)
				r.wantDepth(0)
				r.wantPosts(2)
				if got := r.counts().Relapsed; got != c.want {
					t.Errorf("%d relapsed, want %d", got, c.want)
				}
				r.wantAlerts("relapsed", int(c.want))
				r.stop()
			})
		})
	}
}

// Two scans may see one divergence; the event of the second comes after the repair.
func TestG3EventThatComesAfterTheRepairIsNoRelapse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, nil)
		r.answering(r.repair)
		r.set(1, "k1", "x")
		r.submit(diverged("p", 1, "k1"))
		after(time.Second)
		r.submit(diverged("p", 1, "k1"))
		after(time.Second)
		r.wantPosts(1)
		r.wantAlerts("relapsed", 0)
		r.stop()
	})
}

func TestG5TimesToHealAreTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, nil)
		n := 0
		r.answering(func(ctx context.Context, p callback.Post) callback.Outcome {
			if n++; n <= 2 { // two of a hundred need a second attempt
				return failed
			}
			return r.repair(ctx, p)
		})
		for id := range int64(100) {
			key := fmt.Sprint("k", id)
			r.set(id, key, "x")
			<-r.submit(diverged("p", id, key))
			after(10 * time.Millisecond)
		}
		after(time.Minute)
		h := r.Status()["p"].HealTime
		if h == nil || h.P50Millisecond > 20 || h.P99Millisecond < 700 || h.MaxMillisecond < 700 || h.MaxMillisecond > 3000 {
			t.Errorf("times to heal %+v, want most at once and two after about a second", h)
		}
		if r.Status()["p"].SelfHealTime != nil {
			t.Error("nothing healed by itself")
		}
		r.stop()
	})
}

func TestOnlySoManyHealedRowsAreRemembered(t *testing.T) {
	m := callback.NewLately()
	now := time.Now()
	for i := range 2 * callback.MaxRemembered {
		m.Healed("p", fmt.Sprint(i%(callback.MaxRemembered+10)), now)
	}
	if got := m.Len(); got > callback.MaxRemembered {
		t.Errorf("%d rows remembered, want %d at most", got, callback.MaxRemembered)
	}
}
