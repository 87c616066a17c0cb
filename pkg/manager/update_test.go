package manager_test

import (
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/masixun71/cupid/pkg/chunk"
	"github.com/masixun71/cupid/pkg/manager"
)

func TestG2UpdateThatCommitsLateIsLookedAt(t *testing.T) {
	inBubble(t, func(w *world) {
		t := w.t
		s := newSource()
		s.add(5)
		w.updates(s)
		w.start()
		w.work(s, 10*time.Second)
		late := s.begin()
		late.write(3)
		w.work(s, 5*time.Minute) // its time is far behind the window by now
		s.put(4)
		late.commit()
		w.work(s, 15*time.Second)
		same(t, s.unlooked(chunk.Update), nil)
		if got := w.saved().Update["orders"].Late; len(got) > 4 {
			t.Errorf("%d late spans are left, want those of the last seconds only", len(got))
		}
	})
}

func TestBlindUpdateScanWaitsForTheAge(t *testing.T) {
	inBubble(t, func(w *world) {
		t := w.t
		s := newSource()
		s.blind = true
		s.add(5)
		w.updates(s)
		w.start()
		w.work(s, 10*time.Second)
		late := s.begin()
		late.write(3)
		w.work(s, 25*time.Second)
		late.commit()
		w.work(s, 15*time.Second)
		same(t, s.unlooked(chunk.Update), nil)
		if got := len(w.saved().Update["orders"].Late); got > 20 {
			t.Errorf("%d late spans, want those of 30 s", got)
		}
	})
}

// stoodStill is a replica that has applied nothing since at.
func stoodStill(at time.Time) func(time.Time) time.Time {
	return func(time.Time) time.Time { return at }
}

func TestG2UpdatesThatAReplicaGetsLateAreLookedAt(t *testing.T) {
	for what, applied := range map[string]func(at time.Time) func(time.Time) time.Time{
		"lags":         stoodStill,
		"stands still": func(time.Time) func(time.Time) time.Time { return stoodStill(time.Time{}) },
	} {
		for _, d := range []time.Duration{time.Hour, 72 * time.Hour} {
			inBubbleNamed(t, what+" for "+d.String(), false, func(w *world) {
				t := w.t
				s := newSource()
				s.blind = true
				s.add(5)
				w.updates(s)
				interval := d / 1000
				w.config.Pairs[0].UpdateInterval = interval
				w.start()
				w.work(s, 10*interval)
				s.set(func() { s.applied = applied(time.Now()) })
				before, after := s.begin(), s.begin()
				before.write(2)
				w.work(s, d/2)
				after.write(3) // half the time before it arrives
				w.work(s, d/2)
				if got := len(w.saved().Update["orders"].Late); got > manager.MaxLate/2 {
					t.Errorf("%d late spans after %v", got, d)
				}
				before.commit()
				after.commit()
				s.set(func() { s.applied = nil })
				w.work(s, time.Minute+2*interval)
				same(t, s.unlooked(chunk.Update), nil)
				if got := len(w.saved().Update["orders"].Late); got > 20 {
					t.Errorf("%d late spans are left, want those of 30 s", got)
				}
			})
		}
	}
}

func TestG2StatementThatWaitedBetweenTwoListsIsLookedAt(t *testing.T) {
	inBubble(t, func(w *world) {
		t := w.t
		s := newSource()
		s.listAge = time.Second
		s.add(5)
		w.updates(s)
		w.config.Pairs[0].UpdateInterval, w.config.Pairs[0].UpdateScan = 4*time.Second, 0
		w.start()
		w.work(s, 11200*time.Millisecond)
		if _, err := s.Clock(t.Context()); err != nil { // another pair's list
			t.Fatal(err)
		}
		w.work(s, 300*time.Millisecond)
		late := s.begin()
		late.write(3)
		w.work(s, 4*time.Second) // a pass of that list
		s.set(func() { late.started = s.now() })
		w.work(s, 15*time.Second)
		late.commit()
		w.work(s, 15*time.Second)
		same(t, s.unlooked(chunk.Update), nil)
	})
}

func TestG2WatermarkMovesOnlyWithACompletedPassAndDowntimeIsScanned(t *testing.T) {
	inBubble(t, func(w *world) {
		t := w.t
		s := newSource()
		s.add(25)
		w.updates(s)
		w.start()
		w.work(s, 20*time.Second)
		s.put(numbers(1, 25)...)
		before := w.saved().Update["orders"].Watermark
		var out []chunk.Chunk
		for range 3 {
			out = append(out, w.take())
		}
		w.done(out[0])
		w.done(out[2])
		if got := w.saved().Update["orders"].Watermark; !got.Equal(before) {
			t.Fatalf("watermark moved from %v to %v although a chunk of the pass is out", before, got)
		}
		w.crash()
		pass(t, time.Hour)
		s.put(7)
		pass(t, 10*time.Hour)
		w.start()
		w.work(s, time.Second)
		same(t, s.unlooked(chunk.Update), nil)
		if got := w.saved().Update["orders"].Watermark; time.Since(got) > 10*time.Second {
			t.Errorf("watermark that is written is %v old after the pass", time.Since(got))
		}
	})
}

func TestKillBeforeTheFirstPassIsDoneLosesNoTime(t *testing.T) {
	inBubble(t, func(w *world) {
		t := w.t
		s := newSource()
		s.add(5)
		w.updates(s)
		w.start()
		w.take() // and never done
		w.saved()
		s.put(2)
		w.crash()
		pass(t, time.Hour)
		w.start()
		w.work(s, 5*time.Second)
		if got := s.unlooked(chunk.Update); slices.Contains(got, 2) {
			t.Error("a row that changed after the first start was not looked at")
		}
	})
}

func TestManyRowsWithOneTimestampArePaged(t *testing.T) {
	inBubble(t, func(w *world) {
		t := w.t
		s := newSource()
		s.add(1000)
		w.config.ChunkRows = 50
		w.updates(s)
		w.start()
		c := w.take()
		if c.After != nil || c.From == "" || c.UpTo.ID != "50" || c.Rows != 50 {
			t.Errorf("first chunk %+v, want the ids to 50 of the window", c)
		}
		s.look(c)
		w.done(c)
		next := w.take()
		if next.After == nil || *next.After != c.UpTo || next.From != c.From || next.UpTo.Value != c.UpTo.Value || next.UpTo.ID != "100" {
			t.Errorf("second chunk %+v, want the ids from 51 to 100 of one value", next)
		}
		s.look(next)
		w.done(next)
		w.work(s, time.Second)
		same(t, s.unlooked(chunk.Update), nil)
	})
}

func TestUpdateWindowShorterThanTheInterval(t *testing.T) {
	inBubble(t, func(w *world) {
		t := w.t
		s := newSource()
		s.add(10)
		w.updates(s)
		w.config.Pairs[0].UpdateScan = 0
		w.start()
		w.work(s, 5*time.Second)
		for id := range int64(10) {
			late := s.begin()
			late.write(id + 1)
			w.work(s, 300*time.Millisecond)
			late.commit()
		}
		w.work(s, 20*time.Second)
		same(t, s.unlooked(chunk.Update), nil)
	})
}

func TestPassesInOneSecondDoNotKeepASpanYoung(t *testing.T) {
	inBubble(t, func(w *world) {
		t := w.t
		s := newSource()
		s.add(5)
		w.updates(s)
		w.config.Pairs[0].UpdateInterval, w.config.Pairs[0].UpdateScan = 200*time.Millisecond, 0
		w.start()
		w.work(s, 10*time.Second)
		late := s.begin()
		late.write(3)
		w.work(s, 10*time.Second)
		late.commit()
		w.work(s, 5*time.Second)
		same(t, s.unlooked(chunk.Update), nil)
		if got := len(w.saved().Update["orders"].Late); got > 4 {
			t.Errorf("%d late spans are left, want those of the last seconds only", got)
		}
	})
}

func TestClockPutBack(t *testing.T) {
	inBubble(t, func(w *world) {
		t := w.t
		s := newSource()
		s.add(5)
		w.updates(s)
		ahead := time.Now().Add(time.Hour)
		w.store.state.Update = map[string]manager.UpdateState{"orders": {
			Watermark: ahead, Late: []manager.Late{{From: ahead.Add(-time.Minute), To: ahead, Seen: ahead}},
		}}
		w.start()
		w.work(s, 10*time.Second)
		same(t, s.unlooked(chunk.Update), nil)
		for id := range int64(5) {
			s.put(id + 1)
			w.work(s, 3*time.Second)
		}
		w.work(s, 5*time.Second)
		same(t, s.unlooked(chunk.Update), nil)
	})
}

// A server whose clock is behind takes the place of one that is away.
func TestG2ServerWithAnEarlierClockTakesOver(t *testing.T) {
	inBubble(t, func(w *world) {
		t := w.t
		s := newSource()
		s.offset = time.Minute
		s.add(5)
		var away atomic.Bool
		s.fail = func(string) error {
			if away.Load() {
				return errAway
			}
			return nil
		}
		w.updates(s)
		w.start()
		w.work(s, 20*time.Second)
		away.Store(true)
		w.work(s, 3*time.Second)
		s.mu.Lock()
		s.offset = 0
		s.mu.Unlock()
		s.put(2, 3)
		w.work(s, 20*time.Second)
		away.Store(false)
		s.put(4)
		w.work(s, 30*time.Second)
		same(t, s.unlooked(chunk.Update), nil)
	})
}

// A pass ends although rows of its last value go on being written: those behind it are the next pass's.
func TestG2UpdateScanOfWholeDaysEndsItsPasses(t *testing.T) {
	inBubble(t, func(w *world) {
		t := w.t
		s := newSource()
		s.days = true
		s.add(25)
		var quiet atomic.Bool
		s.fail = func(op string) error {
			if op == "cut" && !quiet.Load() {
				s.add(1) // whenever the scan looks, there is one row more
			}
			return nil
		}
		w.updates(s)
		w.start()
		chunks := func(n int) {
			for range n {
				if c, ok := w.within(time.Second); ok {
					s.look(c)
					w.done(c)
				}
			}
		}
		chunks(50)
		s.put(2) // behind the position
		chunks(50)
		if slices.Contains(s.unlooked(chunk.Update), 2) {
			t.Error("a row that changed behind the position was not looked at while others were written")
		}
		quiet.Store(true)
		pass(t, 24*time.Hour)
		w.work(s, time.Minute)
		s.put(4)
		w.work(s, time.Minute)
		same(t, s.unlooked(chunk.Update), nil)
	})
}
