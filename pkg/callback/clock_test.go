package callback_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/masixun71/cupid/pkg/callback"
)

// left puts a record into the queue that an earlier worker has written, by its own clock.
func (r *rig) left(id int64, due time.Time) {
	r.t.Helper()
	name := fmt.Sprint("k", id)
	r.set(id, name, "x")
	text, err := diverged("p", id, name).Key.MarshalText()
	if err != nil {
		r.t.Fatal(err)
	}
	key := string(text)
	r.queue.records[[2]string{"p", key}] = callback.Record{
		Pair: "p", Key: key, Due: due, FirstSeen: due, Note: fmt.Appendf(nil, `{"kind":1,"src":"%d","state":"pending","seen":%d}`, id, due.UnixMilli()),
	}
}

func TestG1ClockThatIsSetBackLeavesNoEventBehind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, func(r *rig) {
			for id := range int64(600) {
				r.left(id+1, time.Now().AddDate(1, 0, 0))
			}
			r.left(1001, time.Now().Add(time.Hour)) // its receiver has asked for that
		})
		r.answering(r.repair)
		r.submit(diverged("p", 1, "k1")) // it takes the place of a record that is stuck
		after(5 * time.Second)
		r.wantPosts(600)
		r.wantDepth(1)
		if c := r.counts(); c.HealedByCallback != 600 || c.HealMillisecondSum < 0 {
			t.Errorf("counts %+v, want 600 healed in no negative time", c)
		}
		after(time.Hour)
		r.wantPosts(601)
		r.wantDepth(0)
		r.stop()
	})
}

func TestNoWaitIsCutShort(t *testing.T) {
	const day = 24 * time.Hour
	for name, set := range map[string]func(d *callback.Destination){
		"after a failure":     func(d *callback.Destination) { d.RetryCap = day },
		"after an acceptance": func(d *callback.Destination) { d.Grace = day },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, func(r *rig) {
					d := r.config.Destinations["p"]
					set(&d)
					r.config.Destinations["p"] = d
					r.left(1, time.Now().Add(day))
					r.left(2, time.Now().Add(day+2*time.Minute)) // no wait is as long
				})
				r.answering(r.repair)
				after(day - time.Second)
				r.wantPosts(1)
				after(2 * time.Second)
				r.wantPosts(2)
				r.stop()
			})
		})
	}
}

func TestEventsOfAMinuteAreForgottenThoughTheClockIsSetBack(t *testing.T) {
	for _, back := range []time.Duration{30 * time.Second, 2 * time.Minute, 365 * 24 * time.Hour} {
		s, now := callback.NewStorm(), time.Unix(1_900_000_000, 0)
		s.Arrive(now, 1000)
		now = now.Add(-back)
		s.Arrive(now, 10)
		if got := s.LastMinute(now.Add(2 * time.Minute)); got != 0 {
			t.Errorf("set back by %s: %d events within the last of two quiet minutes", back, got)
		}
	}
}

func TestWhatIsRememberedOfTheFutureIsOfNow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ahead := time.Now().AddDate(1, 0, 0)
		memory := &remembers{memo: callback.Memo{
			Gates:  map[string]callback.GateMemo{"receiver": {Failures: 9, Since: ahead, Open: ahead}},
			Storms: map[string]callback.StormStatus{"p": {Since: ahead, Rows: 1000}},
		}}
		r := newRig(t, func(r *rig) {
			stormy(100, 5)(r)
			r.config.Memory = memory
		})
		r.answering(r.repair)
		synctest.Wait()
		s := r.Status()["p"]
		if s.Storm == nil || s.Storm.Since.After(time.Now()) || !s.Gate.Down || s.Gate.Since.After(time.Now()) {
			t.Errorf("status %+v, storm %+v; want both since now", s, s.Storm)
		}
		r.missing(1)
		after(2 * time.Minute)
		r.wantAlerts("callback URL up", 1)
		r.wantAlerts("divergence is usual again", 1)
		r.stop()
	})
}
