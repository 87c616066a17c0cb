package manager_test

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/masixun71/cupid/pkg/chunk"
	"github.com/masixun71/cupid/pkg/manager"
)

// finish works until all pairs are done, and returns what was told last.
func (w *world) finish(sources map[string]*source, d time.Duration) []manager.SweepProgress {
	w.t.Helper()
	for end := time.Now().Add(d); time.Now().Before(end); {
		if c, ok := w.within(time.Second); ok {
			w.swept(sources[c.Pair], c, 0)
		}
		told, _ := w.lastTold()
		done := len(told) > 0
		for _, p := range told {
			done = done && p.Done
		}
		if done {
			return told
		}
	}
	told, _ := w.lastTold()
	w.t.Fatalf("not done after %v: %+v", d, told)
	return nil
}

func TestOnceSweepsEveryPairAndThenIdles(t *testing.T) {
	inBubble(t, func(w *world) {
		t := w.t
		a, b, empty := newSource(), newSource(), newSource()
		a.add(10 * manager.StartRows)
		b.add(7)
		w.sweeps("a", a)
		w.inserts("b", b) // is swept all the same, and not scanned
		w.sweeps("empty", empty)
		w.once("run 1")
		w.start()
		begun := time.Now()
		told := w.finish(map[string]*source{"a": a, "b": b, "empty": empty}, time.Minute)
		if got := time.Since(begun); got > 5*time.Second {
			t.Errorf("took %v, want no pauses", got)
		}
		want := []manager.SweepProgress{
			{Pair: "a", Rows: 50_000, EstimatedRows: 50_000, Chunks: 11, How: "key by key", Done: true},
			{Pair: "b", Rows: 7, EstimatedRows: 7, Chunks: 1, How: "key by key", Done: true},
			{Pair: "empty", Chunks: 1, How: "key by key", Done: true},
		}
		for i := range want {
			if told[i] != want[i] {
				t.Errorf("told %+v, want %+v", told[i], want[i])
			}
		}
		if b.count("head") != 0 {
			t.Error("the insert scan ran")
		}
		_, times := w.lastTold()
		if c, ok := w.within(100 * time.Hour); ok {
			t.Errorf("offered %+v after the end", c)
		}
		if _, again := w.lastTold(); again != times {
			t.Errorf("told %d times more after the end", again-times)
		}
		if got := w.store.saved().Sweep["a"]; got.Ended.IsZero() || got.Run != "run 1" {
			t.Errorf("state %+v, want the pass of the run", got)
		}
	})
}

func TestOnceGivesAllRoomToSweeps(t *testing.T) {
	inBubble(t, func(w *world) {
		t := w.t
		a := newSource()
		a.add(20 * manager.StartRows)
		w.sweeps("a", a)
		w.once("a")
		w.start()
		w.m.Demand(8)
		pass(t, time.Second)
		if got := len(w.chunks); got != 8 {
			t.Errorf("%d chunks are out, want the 8 that were asked for", got)
		}
	})
}

func TestOnceTellsWhatIsFoundWhileItRuns(t *testing.T) {
	inBubble(t, func(w *world) {
		t := w.t
		a := newSource()
		a.add(20 * manager.StartRows)
		w.sweeps("a", a)
		w.once("a")
		w.start()
		first, second := w.take(), w.take()
		w.m.Done(chunk.Result{Chunk: second.ID, Rows: 5000, Missing: 1, Different: 2, Orphans: 3, Events: 6}) // out of order
		pass(t, time.Second)
		want := manager.SweepProgress{Pair: "a", Rows: 5000, EstimatedRows: 100_000, Chunks: 1, Missing: 1, Different: 2, Orphans: 3, How: "key by key"}
		told, before := w.lastTold()
		if told[0] != want {
			t.Errorf("told %+v, want %+v", told[0], want)
		}
		w.m.Done(chunk.Result{Chunk: first.ID, Rows: 4000, Missing: 10})
		pass(t, 10*time.Second)
		want.Rows, want.Chunks, want.Missing = 9000, 2, 11
		told, after := w.lastTold()
		if told[0] != want {
			t.Errorf("told %+v, want %+v", told[0], want)
		}
		if got := after - before; got < 15 || got > 25 {
			t.Errorf("told %d times in 10 s, want about two a second", got)
		}
		w.stop()
		if _, last := w.lastTold(); last != after+1 {
			t.Errorf("told %d times at the end of a run that is stopped, want once", last-after)
		}
	})
}

func TestOncePairThatFailsIsGivenUp(t *testing.T) {
	for _, c := range []struct {
		what     string
		op       string
		err      error
		min, max time.Duration
	}{
		{"definite", "keys", &manager.Definite{Err: errAway}, 0, 2 * time.Second},
		{"definite at the begin", "sweep", &manager.Definite{Err: errAway}, 0, 2 * time.Second},
		{"passing", "keys", errAway, manager.Patience, 2 * manager.Patience},
		{"passing at the begin", "estimate", errAway, manager.Patience, 2 * manager.Patience},
		{"load", "pressure", errAway, manager.Patience, 2 * manager.Patience},
		{"rows without a key", "nulls", errAway, manager.Patience, 2 * manager.Patience},
		{"definite, of rows without a key", "nulls", &manager.Definite{Err: errAway}, 0, 2 * time.Second},
	} {
		t.Run(c.what, func(t *testing.T) {
			inBubble(t, func(w *world) {
				t := w.t
				bad, good := newSource(), newSource()
				bad.add(10)
				good.add(10)
				bad.fail = func(op string) error {
					if op == c.op {
						return c.err
					}
					return nil
				}
				w.sweeps("bad", bad).SweepThreadsRunning = 5
				w.sweeps("good", good)
				w.once("a")
				w.start()
				begun := time.Now()
				told := w.finish(map[string]*source{"bad": bad, "good": good}, time.Hour)
				if got := time.Since(begun); got < c.min || got > c.max {
					t.Errorf("took %v, want %v to %v", got, c.min, c.max)
				}
				if !strings.Contains(told[0].Error, errAway.Error()) || told[1].Error != "" || told[1].Rows != 10 {
					t.Errorf("told %+v, want the error of the first and the rows of the second", told)
				}
				if got := w.saved().Sweep["bad"]; !got.Ended.IsZero() {
					t.Errorf("state %+v, want a pass that can be gone on with", got)
				}
			})
		})
	}
}

func TestOnceShortOutageIsNoReasonToGiveUp(t *testing.T) {
	inBubble(t, func(w *world) {
		t := w.t
		s := newSource()
		s.add(3 * manager.StartRows)
		var away atomic.Bool
		s.fail = func(op string) error {
			if away.Load() {
				return errAway
			}
			return nil
		}
		w.sweeps("orders", s)
		w.once("a")
		w.start()
		for range 3 { // outages of 40 s are more than a minute together
			c := w.take()
			away.Store(true)
			w.broke(c)
			pass(t, 40*time.Second)
			away.Store(false)
			w.swept(s, w.take(), 0)
		}
		told := w.finish(map[string]*source{"orders": s}, 5*time.Minute)
		if told[0].Error != "" {
			t.Errorf("told %+v", told)
		}
		same(t, s.unlooked(chunk.Sweep), nil)
	})
}

func TestOnceChunkThatAlwaysFailsIsGivenUp(t *testing.T) {
	inBubble(t, func(w *world) {
		t := w.t
		s := newSource()
		s.add(10)
		w.sweeps("orders", s)
		w.once("a")
		w.start()
		begun := time.Now()
		for {
			c, ok := w.within(2 * manager.Patience)
			if !ok {
				break
			}
			w.m.Done(chunk.Result{Chunk: c.ID, Error: "no such column"})
			synctest.Wait()
			if time.Since(begun) > time.Hour {
				t.Fatal("the chunk is offered for ever")
			}
		}
		told, _ := w.lastTold()
		if !told[0].Done || !strings.Contains(told[0].Error, "no such column") {
			t.Errorf("told %+v", told)
		}
	})
}

func TestOncePairOfAnotherOwnerCannotBeTold(t *testing.T) {
	inBubble(t, func(w *world) {
		t := w.t
		w.sweeps("orders", newSource())
		w.config.Owner = owner(func(string) bool { return false })
		w.once("a")
		w.start()
		pass(t, time.Second)
		if told, _ := w.lastTold(); !told[0].Done || told[0].Error == "" {
			t.Errorf("told %+v", told)
		}
	})
}

func TestOnceRowThatIsSetAsideCannotBeTold(t *testing.T) {
	inBubble(t, func(w *world) {
		t := w.t
		s := newSource()
		s.add(20)
		w.sweeps("orders", s)
		w.once("a")
		w.start()
		fleet(w, s, map[int64]bool{5: true}, time.Minute)
		told, _ := w.lastTold()
		if !told[0].Done || !strings.HasPrefix(told[0].Error, "1 row") {
			t.Errorf("told %+v", told)
		}
	})
}

func TestOnceManagerThatIsKilledIsReplacedByOneThatGoesOn(t *testing.T) {
	inBubble(t, func(w *world) {
		t := w.t
		a, b := newSource(), newSource()
		a.add(10 * manager.StartRows)
		b.add(5)
		sources := map[string]*source{"a": a, "b": b}
		w.sweeps("a", a)
		w.sweeps("b", b)
		w.once("a")
		w.start()
		for range 4 {
			c := w.take()
			w.swept(sources[c.Pair], c, 0)
		}
		position := w.saved().Sweep["a"].Position
		w.crash()
		w.start()
		for {
			c := w.take()
			if c.Pair == "b" {
				t.Error("a pair that is complete is swept again")
			}
			if position == nil || c.After == nil || number(c.After.ID) < number(*position) || c.Open {
				t.Fatalf("went on with %+v, want to go on at %v", c, position)
			}
			w.swept(a, c, 0)
			if c.UpTo.ID == "50000" {
				break
			}
		}
		told := w.finish(sources, time.Minute)
		if told[0].Rows != 50_000 || told[1].Rows != 5 {
			t.Errorf("told %+v, want each row counted once", told)
		}
		w.saved()
		w.crash()
		w.start()
		if c, ok := w.within(time.Minute); ok {
			t.Errorf("offered %+v although all was complete", c)
		}
		if again, _ := w.lastTold(); again[0].Rows != 50_000 || !again[0].Done || !again[1].Done {
			t.Errorf("told %+v", again)
		}
	})
}

func TestOnceWithoutResumeBeginsAgain(t *testing.T) {
	for _, run := range []string{"next", ""} {
		t.Run(run, func(t *testing.T) {
			inBubble(t, func(w *world) {
				t := w.t
				s := newSource()
				s.add(3 * manager.StartRows)
				w.sweeps("orders", s)
				position := "5000"
				w.store.state.Sweep = map[string]manager.SweepState{"orders": {
					Pass: 4, Mode: manager.SweepByKey, Begun: time.Now(), Position: &position, Run: "first",
					Found: manager.Found{Rows: 5000, Missing: 9},
				}}
				w.once(run)
				w.start()
				if c := w.take(); !c.Open || c.After.ID != "15000" || c.Salt != 5 {
					t.Errorf("began with %+v, want pass 5 above the last row", c)
				}
				if c := w.take(); c.After != nil || c.Salt != 5 {
					t.Errorf("went on with %+v, want pass 5 from the beginning", c)
				}
				told, _ := w.lastTold()
				if told[0].Missing != 0 {
					t.Errorf("told %+v, which is of another run", told)
				}
			})
		})
	}
}

// What lies above the last row is looked at first, and the pass ends at that row, whatever has
// become of it: nobody waits at the end for rows that are just written.
func TestG2OnceBeginsAboveTheLastRow(t *testing.T) {
	for _, killed := range []string{"", "above", "below"} {
		t.Run(killed, func(t *testing.T) {
			inBubble(t, func(w *world) {
				t := w.t
				s := newSource()
				s.add(2*manager.StartRows + 5)
				w.sweeps("orders", s)
				w.once("a")
				w.start()
				above := w.take()
				if above.After == nil || above.After.ID != "10005" || !above.Open || above.Salt != 1 {
					t.Fatalf("began with %+v, want what lies above the last row", above)
				}
				s.add(3)
				if killed != "above" {
					w.swept(s, above, 0)
				}
				first := w.take()
				w.swept(s, first, 0)
				if state := w.saved().Sweep["orders"]; state.Above == (killed == "above") || position(state) != first.UpTo.ID {
					t.Errorf("state %+v, want that above %v and %s are done", state, killed != "above", first.UpTo)
				}
				if killed != "" {
					w.crash()
					w.start()
				}
				s.remove(10005, 10004)
				s.add(4) // is of the insert scan
				chunks := w.sweep(s, time.Minute)
				if killed == "above" {
					if again := chunks[0]; !again.Open || again.After.ID != "10005" {
						t.Errorf("went on with %+v, want what lies above and was not done", again)
					}
					chunks = chunks[1:]
				}
				at := first.UpTo
				for _, c := range chunks {
					if c.After == nil || *c.After != at || c.Open || c.Salt != 1 {
						t.Errorf("offered %+v, want a chunk from %s on", c, at)
					}
					at = c.UpTo
				}
				if at.ID != "10005" {
					t.Errorf("the pass ends at %s, want 10005, where the destination may have a row still", at)
				}
				told, _ := w.lastTold()
				if want := int64(10_003 + 3); killed == "" && told[0].Rows != want || !told[0].Done {
					t.Errorf("told %+v, want %d rows", told, want)
				}
			})
		})
	}
}

func TestOnceResumeGoesOnWithTheRunThatWasStopped(t *testing.T) {
	inBubble(t, func(w *world) {
		t := w.t
		a, b, c := newSource(), newSource(), newSource()
		for _, s := range []*source{a, b, c} {
			s.add(2*manager.StartRows + 1)
		}
		sources := map[string]*source{"a": a, "b": b, "c": c}
		w.sweeps("a", a)
		w.sweeps("b", b)
		w.sweeps("c", c)
		position, now := "5000", time.Now()
		w.store.state.Sweep = map[string]manager.SweepState{
			"a": {Pass: 4, Mode: manager.SweepByKey, Begun: now, Position: &position, Run: "first", Found: manager.Found{Rows: 5000, Missing: 2}},
			"b": {Pass: 4, Mode: manager.SweepByKey, Begun: now, Ended: now, Run: "first", Found: manager.Found{Rows: 10_001, Different: 3}},
			"c": {Pass: 4, Mode: manager.SweepByKey, Begun: now, Ended: now, Found: manager.Found{Rows: 77}}, // of the continuous sweep
		}
		w.once("second")
		w.config.Resume = true
		w.start()
		told := w.finish(sources, time.Minute)
		if told[0].Rows != 10_001 || told[0].Missing != 2 || told[1].Rows != 10_001 || told[1].Different != 3 || told[2].Rows != 10_001 {
			t.Errorf("told %+v", told)
		}
		if got := len(a.unlooked(chunk.Sweep)); got != manager.StartRows {
			t.Errorf("%d rows of a were not looked at, want those before its position", got)
		}
		if got := len(b.unlooked(chunk.Sweep)); got != 10_001 {
			t.Errorf("%d rows of b were not looked at, want all, as they were complete", got)
		}
		same(t, c.unlooked(chunk.Sweep), nil)
	})
}

// A pair that the run before could not even begin is as unfinished as one that it began.
func TestOnceResumeGoesOnWithARunThatCouldNotBeginAPair(t *testing.T) {
	inBubble(t, func(w *world) {
		t := w.t
		a, b := newSource(), newSource()
		a.add(7)
		b.add(5)
		w.sweeps("a", a)
		w.sweeps("b", b)
		b.fail = func(string) error { return &manager.Definite{Err: errAway} }
		sources := map[string]*source{"a": a, "b": b}
		w.once("first")
		w.start()
		w.finish(sources, time.Minute)
		w.saved()
		w.stop()
		b.fail = nil
		a.remove(7) // is seen only by who looks again
		w.once("second")
		w.config.Resume = true
		w.start()
		told := w.finish(sources, time.Minute)
		if told[0].Rows != 7 || told[1].Rows != 5 || told[1].Error != "" {
			t.Errorf("told %+v, want the 7 rows of the first run and 5 of this one", told)
		}
	})
}

// What a run has not told of is vouched for by no run that goes on: neither what a run
// before it had passed, nor the continuous sweep.
func TestOnceResumeGoesOnWithItsOwnRunAlone(t *testing.T) {
	for _, before := range []string{"older", ""} {
		t.Run(before, func(t *testing.T) {
			inBubble(t, func(w *world) {
				t := w.t
				a, b := newSource(), newSource()
				a.add(2*manager.StartRows + 1)
				b.add(2*manager.StartRows + 1)
				w.sweeps("a", a)
				w.sweeps("b", b)
				position := "5000"
				state := manager.SweepState{
					Pass: 4, Mode: manager.SweepByKey, Begun: time.Now(), Position: &position, Run: before, Found: manager.Found{Rows: 5000},
				}
				w.store.state.Sweep = map[string]manager.SweepState{"a": state, "b": state}
				b.fail = func(string) error { return &manager.Definite{Err: errAway} }
				sources := map[string]*source{"a": a, "b": b}
				w.once("first")
				w.start()
				w.finish(sources, time.Minute)
				w.saved()
				w.stop()
				b.fail = nil
				w.once("second")
				w.config.Resume = true
				w.start()
				w.finish(sources, time.Minute)
				same(t, b.unlooked(chunk.Sweep), nil)
			})
		})
	}
}

// A run that goes on takes over nothing of a pair that is compared in another way now.
func TestOnceResumeBeginsAPairAnewThatIsComparedInAnotherWay(t *testing.T) {
	inBubble(t, func(w *world) {
		t := w.t
		a, b, c := newSource(), newSource(), newSource()
		for _, s := range []*source{a, b, c} {
			s.add(2*manager.StartRows + 1)
		}
		sources := map[string]*source{"a": a, "b": b, "c": c}
		for name, s := range sources {
			w.sweeps(name, s).Fingerprint = "new"
		}
		position, now := "5000", time.Now()
		w.store.state.Sweep = map[string]manager.SweepState{
			"a": {Pass: 4, Mode: manager.SweepByKey, Config: "old", Begun: now, Ended: now, Run: "first", Found: manager.Found{Rows: 77}},
			"b": {Pass: 4, Mode: manager.SweepByKey, Config: "old", Begun: now, Position: &position, Run: "first", Found: manager.Found{Rows: 77}},
			"c": {Pass: 4, Mode: manager.SweepByKey, Config: "new", Begun: now, Ended: now, Run: "first", Found: manager.Found{Rows: 10_001}},
		}
		w.once("second")
		w.config.Resume = true
		w.start()
		w.take()
		w.crash() // the next manager of the run knows it, too
		w.start()
		told := w.finish(sources, time.Minute)
		for _, p := range told {
			if p.Rows != 10_001 || p.Restarted == (p.Pair == "c") {
				t.Errorf("told %+v, want all rows, and that a and b were restarted", p)
			}
		}
		same(t, a.unlooked(chunk.Sweep), nil)
		same(t, b.unlooked(chunk.Sweep), nil)
		if got := len(c.unlooked(chunk.Sweep)); got != 10_001 {
			t.Errorf("%d rows of c were not looked at, want all, as they were complete", got)
		}
		if got := w.saved().Sweep["a"]; got.Config != "new" {
			t.Errorf("state %+v, want that of the new configuration", got)
		}
	})
}

func TestOnceResumeOfACompleteRunBeginsAgain(t *testing.T) {
	inBubble(t, func(w *world) {
		t := w.t
		s := newSource()
		s.add(5)
		w.sweeps("orders", s)
		now := time.Now()
		w.store.state.Sweep = map[string]manager.SweepState{"orders": {Pass: 4, Mode: manager.SweepByKey, Begun: now, Ended: now, Run: "first"}}
		w.once("second")
		w.config.Resume = true
		w.start()
		if c := w.take(); c.Salt != 5 {
			t.Errorf("offered %+v, want a new pass", c)
		}
	})
}

func TestContinuousSweepGoesOnWithWhatOnceLeft(t *testing.T) {
	inBubble(t, func(w *world) {
		t := w.t
		s := newSource()
		s.add(2 * manager.StartRows)
		w.sweeps("orders", s)
		position := "5000"
		w.store.state.Sweep = map[string]manager.SweepState{"orders": {Pass: 4, Mode: manager.SweepByKey, Begun: time.Now(), Position: &position, Run: "first"}}
		w.start()
		if c := w.take(); c.Salt != 4 || c.After == nil || c.After.ID != position {
			t.Errorf("offered %+v, want pass 4 to go on", c)
		}
		if got := w.saved().Sweep["orders"].Run; got != "" {
			t.Errorf("the pass is of the run %q", got)
		}
	})
}

func TestDefiniteSaysWhatItWraps(t *testing.T) {
	err := error(&manager.Definite{Err: errAway})
	if err.Error() != errAway.Error() || !errors.Is(err, errAway) {
		t.Errorf("error %v", err)
	}
}

func TestOnceWhatIsToldToBeDoneIsWrittenDown(t *testing.T) {
	inBubble(t, func(w *world) {
		t := w.t
		w.sweeps("orders", newSource())
		w.once("a")
		checked := false
		w.config.Progress = func(_ context.Context, all []manager.SweepProgress) {
			if all[0].Done {
				checked = true
				if w.store.saved().Sweep["orders"].Ended.IsZero() {
					t.Error("a manager that is killed now is replaced by one that sweeps again")
				}
			}
		}
		w.start()
		w.sweep(newSource(), time.Second)
		w.stop()
		if !checked {
			t.Error("it was not told")
		}
	})
}
