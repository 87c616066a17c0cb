package manager_test

import (
	"strings"
	"testing"
	"time"

	"github.com/masixun71/cupid/pkg/chunk"
	"github.com/masixun71/cupid/pkg/manager"
)

func TestOnceRowsWithoutAKeyCannotBeTold(t *testing.T) {
	for _, how := range []string{manager.SweepByKey, manager.SweepByBucket} {
		t.Run(how, func(t *testing.T) {
			inBubble(t, func(w *world) {
				t := w.t
				s := newSource()
				s.add(3 * manager.StartRows)
				s.nullKeys = 1000
				if how == manager.SweepByBucket {
					s.buckets = "sums"
				}
				w.sweeps("orders", s)
				w.once("a")
				w.start()
				w.swept(s, w.take(), 0)
				w.saved()
				w.crash()
				w.start()
				told := w.finish(map[string]*source{"orders": s}, time.Minute)
				if told[0].NullKeys != 1000 || told[0].Count() != 1000 || told[0].Error != "1000 rows have a NULL in byColumn, so that no destination row can be theirs" {
					t.Errorf("told %+v, want 1000 rows that cannot be told about", told[0])
				}
				if n := s.count("nulls"); n != 1 {
					t.Errorf("the rows were counted %d times in a pass, want once", n)
				}
				if got := w.saved().Sweep["orders"].Last.Found; got.NullKeys != 1000 || got.Rows != 3*manager.StartRows {
					t.Errorf("the pass has found %+v", got)
				}
			})
		})
	}
}

func TestOnceSaysWhatTaskWorkersCouldNotJudge(t *testing.T) {
	inBubble(t, func(w *world) {
		t := w.t
		s := newSource()
		s.add(5)
		s.byRow = true
		w.sweeps("orders", s)
		w.once("a")
		w.start()
		c := w.take()
		w.m.Done(chunk.Result{Chunk: c.ID, Rows: 5, NullKeys: 1, NullIDs: 2, Moving: 3})
		pass(t, time.Second)
		told, _ := w.lastTold()
		want := manager.Unknown{NullKeys: 1, NullIDs: 2, Moving: 3}
		if told[0].Unknown != want || !told[0].Done || !told[0].OrphansUnseen ||
			!strings.Contains(told[0].Error, "1 rows have a NULL in byColumn") || !strings.Contains(told[0].Error, "2 rows have no idColumn") ||
			!strings.Contains(told[0].Error, "3 rows changed at every look and could not be judged") {
			t.Errorf("told %+v, want %+v and why", told[0], want)
		}
	})
}

// Rows without a key are counted again in each pass.
func TestEachPassCountsTheRowsWithoutAKey(t *testing.T) {
	inBubble(t, func(w *world) {
		t := w.t
		s := newSource()
		s.add(5)
		s.nullKeys = 7
		w.sweeps("orders", s)
		w.start()
		w.sweep(s, 90*time.Minute)
		if n := s.count("nulls"); n != 2 {
			t.Errorf("counted %d times in two passes", n)
		}
		if got := w.saved().Sweep["orders"].Last.Found.NullKeys; got != 7 {
			t.Errorf("the last pass had %d rows without a key, want 7", got)
		}
	})
}

// Where rows without a key cannot be counted, a pass that goes on all the same finds more than
// one that does not begin.
func TestSweepGoesOnWhereRowsWithoutAKeyCannotBeCounted(t *testing.T) {
	inBubble(t, func(w *world) {
		t := w.t
		s := newSource()
		s.add(5)
		failures := 0
		s.fail = func(op string) error {
			if op != "nulls" {
				return nil
			}
			failures++
			return errAway
		}
		w.sweeps("orders", s)
		w.start()
		w.sweep(s, 10*time.Minute)
		if got := w.saved().Sweep["orders"]; got.Ended.IsZero() || failures != 5 {
			t.Errorf("state %+v after %d failures, want a complete pass after 5", got, failures)
		}
	})
}

func TestRowsWithoutAKeyAreNotCountedOnABusyServer(t *testing.T) {
	inBubble(t, func(w *world) {
		t := w.t
		s := newSource()
		s.add(5)
		s.load(50, 0)
		w.sweeps("orders", s).SweepThreadsRunning = 25
		w.start()
		w.sweep(s, time.Minute)
		if n := s.count("nulls"); n != 0 {
			t.Errorf("counted %d times while the server was busy", n)
		}
		s.load(5, 0)
		w.sweep(s, time.Minute)
		if n := s.count("nulls"); n != 1 {
			t.Errorf("counted %d times, want once", n)
		}
	})
}

// What was found equal by other columns or under another condition may differ.
func TestResumeAfterAChangedConfigurationBeginsAgain(t *testing.T) {
	position, now := "5000", time.Now
	for _, c := range []struct {
		name     string
		compares string // of the state
		ended    bool
		anew     bool
	}{
		{"unfinished, the same", "new", false, false},
		{"unfinished", "old", false, true},
		{"complete, the same", "new", true, false},
		{"complete", "old", true, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			inBubble(t, func(w *world) {
				t := w.t
				s, other := newSource(), newSource()
				s.add(3 * manager.StartRows)
				other.add(1)
				w.sweeps("orders", s).Fingerprint = "new"
				w.sweeps("other", other)
				state := manager.SweepState{
					Pass: 4, Mode: manager.SweepByKey, Begun: now(), Position: &position, Run: "first", Config: c.compares,
					Found: manager.Found{Rows: 5000, Chunks: 1},
				}
				want := int64(3 * manager.StartRows)
				if c.ended {
					state.Ended = now()
					if !c.anew {
						want = 5000
					}
				}
				w.store.state.Sweep = map[string]manager.SweepState{
					"orders": state, "other": {Pass: 1, Mode: manager.SweepByKey, Begun: now(), Run: "first"},
				}
				w.once("second")
				w.config.Resume = true
				w.start()
				told := w.finish(map[string]*source{"orders": s, "other": other}, time.Minute)
				if told[0].Rows != want || told[0].Error != "" {
					t.Errorf("told %+v, want %d rows", told[0], want)
				}
				looked := 3*manager.StartRows - len(s.unlooked(chunk.Sweep))
				wantLooked := 3 * manager.StartRows
				if !c.anew {
					if wantLooked -= 5000; c.ended {
						wantLooked = 0
					}
				}
				if looked != wantLooked {
					t.Errorf("%d rows were looked at, want %d", looked, wantLooked)
				}
				if got := w.saved().Sweep["orders"]; got.Config != "new" {
					t.Errorf("state %+v", got)
				}
			})
		})
	}
}

func TestSweepAfterAChangedConfigurationBeginsAgain(t *testing.T) {
	inBubble(t, func(w *world) {
		t := w.t
		s := newSource()
		s.add(3 * manager.StartRows)
		w.sweeps("orders", s).Fingerprint = "new"
		position := "5000"
		w.store.state.Sweep = map[string]manager.SweepState{
			"orders": {Pass: 4, Mode: manager.SweepByKey, Begun: time.Now(), Position: &position, Config: "old"},
		}
		w.start()
		if c := w.take(); c.After != nil || c.Salt != 5 {
			t.Errorf("went on with %+v, want pass 5 from the beginning", c)
		}
	})
}
