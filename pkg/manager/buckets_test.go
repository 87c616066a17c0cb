package manager_test

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/masixun71/cupid/pkg/chunk"
	"github.com/masixun71/cupid/pkg/manager"
)

// newBuckets is a source that is swept by buckets, with so many first chunks and a row
// for the last one.
func newBuckets(chunks int) *source {
	s := newSource()
	s.buckets = "sums"
	s.add(chunks*manager.StartBucketRows + 1)
	return s
}

// summed reports a chunk as added up, with a difference in some buckets.
func (w *world) summed(s *source, c chunk.Chunk, differ map[uint16]uint32) {
	w.t.Helper()
	if c.Stage != chunk.AddUp {
		w.t.Fatalf("chunk %s is to be %q, want it to be added up", c, c.Stage)
	}
	var sums chunk.Sums
	for bucket, v := range differ {
		sums.Add(bucket, v)
	}
	w.m.Done(chunk.Result{Chunk: c.ID, Pair: c.Pair, Rows: len(s.look(c)), Sums: sums.Bytes()})
	synctest.Wait()
}

// wantDiffer checks that a chunk is to resolve some buckets.
func wantDiffer(t *testing.T, c chunk.Chunk, buckets ...uint16) {
	t.Helper()
	var want chunk.Sums
	for _, b := range buckets {
		want.Add(b, 1)
	}
	differ := want.Differ()
	if c.Stage != chunk.Resolve || c.Differ != differ.String() {
		t.Errorf("chunk %s is to be %q, want buckets %v to be resolved", c, c.Stage, buckets)
	}
}

// resolve reports chunks as resolved until none comes.
func (w *world) resolve(c chunk.Chunk) (chunks []chunk.Chunk) {
	w.t.Helper()
	for ok := true; ok; c, ok = w.within(10 * time.Second) {
		if c.Stage != chunk.Resolve {
			w.t.Fatalf("chunk %s is to be %q, want it to be resolved", c, c.Stage)
		}
		chunks = append(chunks, c)
		w.m.Done(chunk.Result{Chunk: c.ID, Pair: c.Pair, Missing: 1})
	}
	return chunks
}

// fast has the passes follow each other without pauses.
func (w *world) fast(s *source) { w.sweeps("orders", s).SweepInterval = time.Second }

func TestBucketsAreAddedUpAndThenResolved(t *testing.T) {
	inBubble(t, func(w *world) {
		t := w.t
		s := newBuckets(2)
		w.sweeps("orders", s)
		w.once("a run")
		w.start()
		w.ahead()
		chunks := []chunk.Chunk{w.take(), w.take(), w.take()}
		wantPass(t, chunks, 1)
		w.summed(s, chunks[2], map[uint16]uint32{9: 1, 7: 5})
		w.summed(s, chunks[0], map[uint16]uint32{9: ^uint32(0), 65535: 1})
		if c, ok := w.within(10 * time.Second); ok {
			t.Fatalf("%s was given before all was added up", c)
		}
		w.summed(s, chunks[1], nil)
		first := w.take()
		wantDiffer(t, first, 7, 65535)
		wantPass(t, w.resolve(first), 1)
		got := w.saved().Sweep["orders"]
		if got.Ended.IsZero() || got.Found.Rows != 2*manager.StartBucketRows+1 || got.Found.Missing == 0 || got.Last.Found != got.Found {
			t.Errorf("state %+v, want a complete pass that counts each row once", got)
		}
		if told, _ := w.lastTold(); !told[0].Done {
			t.Errorf("told %+v, want it to be done", told)
		}
	})
}

// The second part of a pass is told apart from the first.
func TestProgressOfBucketsIsToldOfBothParts(t *testing.T) {
	inBubble(t, func(w *world) {
		t := w.t
		s := newBuckets(6)
		w.sweeps("orders", s)
		w.once("a run")
		w.start()
		const rows = 6*manager.StartBucketRows + 1
		want := func(when string, counted int64, differ int, again int64, done bool) {
			t.Helper()
			pass(t, time.Second)
			told, _ := w.lastTold()
			if p := told[0]; p.Rows != counted || p.Resolving != differ || p.Again != again || p.Done != done {
				t.Errorf("%s: told %+v, want %d rows, %d buckets, %d rows again", when, p, counted, differ, again)
			}
		}
		w.summed(s, w.take(), map[uint16]uint32{7: 5, 65535: 1})
		want("one chunk is added up", manager.StartBucketRows, 0, 0, false)
		for range 6 {
			w.summed(s, w.take(), nil)
		}
		want("all are added up", rows, 2, 0, false)
		first := w.take()
		w.m.Done(chunk.Result{Chunk: first.ID, Pair: first.Pair, Missing: 1})
		if first.Open {
			t.Fatalf("%s is all of the table, want a part of it", first)
		}
		want("one chunk is resolved", rows, 2, int64(first.Rows), false)
		w.saved()
		w.crash()
		w.start()
		want("after a crash", rows, 2, int64(first.Rows), false)
		w.resolve(w.take())
		want("all are resolved", rows, 0, rows, true)
	})
}

func TestEqualBucketsAreNotResolved(t *testing.T) {
	inBubble(t, func(w *world) {
		t := w.t
		s := newBuckets(1)
		w.fast(s)
		w.start()
		for pass := range uint32(3) {
			for range 2 {
				c := w.take()
				if c.Salt != pass+1 {
					t.Errorf("chunk %s is of pass %d, want %d", c, c.Salt, pass+1)
				}
				w.summed(s, c, nil)
			}
		}
	})
}

// When most buckets differ all rows are compared, in chunks of the usual size.
func TestAllRowsAreComparedWhenMostBucketsDiffer(t *testing.T) {
	inBubble(t, func(w *world) {
		t := w.t
		s := newBuckets(1)
		w.fast(s)
		w.start()
		most := map[uint16]uint32{}
		for b := range uint16(chunk.Buckets/2 + 1) {
			most[b] = 1
		}
		w.summed(s, w.take(), most)
		w.summed(s, w.take(), nil)
		first := w.take()
		if first.Differ != "" || first.Stage != chunk.Resolve || first.Rows != manager.MaxRows {
			t.Errorf("%s of %d rows is to be %q, want all of %d rows to be resolved", first, first.Rows, first.Stage, manager.MaxRows)
		}
	})
}

// What was added up by a manager that was killed is added up once.
func TestG1KilledSweepByBucketsGoesOnWithItsSums(t *testing.T) {
	inBubble(t, func(w *world) {
		t := w.t
		const first20 = 6
		s := newBuckets(first20)
		w.sweeps("orders", s)
		w.once("a run")
		w.start()
		first := w.take()
		pass(t, manager.SumsEvery)
		w.summed(s, first, map[uint16]uint32{1: 5, 2: 1})
		second := w.take()
		w.summed(s, second, map[uint16]uint32{1: 7}) // not written any more
		w.saved()
		w.crash()
		w.start()
		again := w.take()
		if again.After == nil || *again.After != first.UpTo || again.Salt != 1 {
			t.Fatalf("went on with %s, want to go on after %s", again, first)
		}
		w.summed(s, again, map[uint16]uint32{1: ^uint32(4)})
		for range first20 - 1 {
			w.summed(s, w.take(), nil)
		}
		wantDiffer(t, w.take(), 2)
		// From here on the sums are not needed for the position, but for the buckets.
		w.saved()
		w.crash()
		w.start()
		c := w.take()
		wantDiffer(t, c, 2)
		if c.After != nil {
			t.Errorf("went on with %s, want to go on at the beginning", c)
		}
		w.m.Done(chunk.Result{Chunk: c.ID, Pair: c.Pair, Missing: 1})
		w.saved()
		w.crash()
		w.start()
		last := w.take()
		wantDiffer(t, last, 2)
		if last.After == nil || *last.After != c.UpTo || !last.Open {
			t.Errorf("went on with %s, want to go on after %s", last, c)
		}
		w.resolve(last)
		if got := w.saved().Sweep["orders"].Last; got == nil || got.Found.Missing != 2 || got.Found.Rows != first20*manager.StartBucketRows+1 {
			t.Errorf("last pass %+v, want each row counted once", got)
		}
	})
}

// What is written of the sums and of the position may be of different times.
func TestG1SumsThatDoNotFitThePassAreMadeAnew(t *testing.T) {
	for name, spoil := range map[string]func(*world, *source){
		"lost":             func(w *world, _ *source) { w.sums.state = manager.SumState{} },
		"of another pass":  func(w *world, _ *source) { w.sums.state.Pass = 9 },
		"of another run":   func(w *world, _ *source) { w.sums.state.Begun = time.Time{} },
		"of other columns": func(_ *world, s *source) { s.buckets = "other sums" },
		"damaged":          func(w *world, _ *source) { w.sums.state.Sums = []byte{7, 7} },
	} {
		for _, whole := range []bool{false, true} {
			inBubbleNamed(t, name, whole, func(w *world) {
				t := w.t
				s := newBuckets(1)
				w.fast(s)
				w.start()
				c := w.take()
				pass(t, manager.SumsEvery)
				w.summed(s, c, map[uint16]uint32{1: 1})
				if whole {
					w.summed(s, w.take(), nil)
					wantDiffer(t, w.take(), 1)
				}
				w.saved()
				w.crash()
				spoil(w, s)
				w.start()
				for range 2 {
					w.summed(s, w.take(), map[uint16]uint32{5: 1})
				}
				wantDiffer(t, w.take(), 5)
			})
		}
	}
}

// The sums were written as whole, and the manager died before it wrote that it resolves.
func TestG1SumsThatAreWholeAreResolved(t *testing.T) {
	inBubble(t, func(w *world) {
		t := w.t
		s := newBuckets(1)
		w.fast(s)
		w.start()
		w.summed(s, w.take(), map[uint16]uint32{1: 1})
		before := w.saved()
		w.summed(s, w.take(), nil)
		w.crash()
		w.store.state = before
		w.start()
		wantDiffer(t, w.take(), 1)
		if got := w.saved().Sweep["orders"]; got.Found.Rows != manager.StartBucketRows+1 {
			t.Errorf("state %+v, want all rows counted", got)
		}
	})
}

func TestStoppedSweepByBucketsKeepsItsSums(t *testing.T) {
	inBubble(t, func(w *world) {
		t := w.t
		s := newBuckets(2)
		w.fast(s)
		w.start()
		first := w.take()
		w.summed(s, first, map[uint16]uint32{1: 1})
		w.stop()
		w.start()
		if again := w.take(); again.After == nil || *again.After != first.UpTo {
			t.Errorf("went on with %s, want to go on after %s", again, first)
		}
	})
}

// Nothing is lost when sums cannot be written: it is only added up anew.
func TestSumsThatCannotBeWrittenDoNotStopThePass(t *testing.T) {
	inBubble(t, func(w *world) {
		t := w.t
		s := newBuckets(1)
		w.fast(s)
		w.start()
		w.sums.mu.Lock()
		w.sums.fail = errors.New("the disk is full")
		w.sums.mu.Unlock()
		w.summed(s, w.take(), map[uint16]uint32{3: 1})
		w.summed(s, w.take(), nil)
		wantDiffer(t, w.take(), 3)
	})
}

// A pass goes on as it was begun when the other way is better now, and ends when what
// is added up changes.
func TestSweepByBucketsGoesOnWhereThereIsAChoice(t *testing.T) {
	inBubble(t, func(w *world) {
		t := w.t
		s := newBuckets(3)
		w.fast(s)
		w.start()
		w.summed(s, w.take(), nil)
		s.mu.Lock()
		s.buckets, s.choice = "", true
		s.mu.Unlock()
		w.summed(s, w.take(), nil)
		w.saved()
		w.crash()
		w.start()
		c := w.take()
		if c.Stage != chunk.AddUp || c.Salt != 1 {
			t.Errorf("%s of pass %d is to be %q, want the pass to go on", c, c.Salt, c.Stage)
		}
		s.mu.Lock()
		s.byRow = true
		s.mu.Unlock()
		for c.Stage == chunk.AddUp {
			w.summed(s, c, nil)
			c = w.take()
		}
		if c.Stage != chunk.Compare || c.After != nil || c.Salt != 2 {
			t.Errorf("%s of pass %d is to be %q, want the beginning of another pass", c, c.Salt, c.Stage)
		}
	})
}

func TestChunkWithBadSumsIsOfferedAgain(t *testing.T) {
	inBubble(t, func(w *world) {
		t := w.t
		s := newBuckets(1)
		w.fast(s)
		w.start()
		c := w.take()
		w.m.Done(chunk.Result{Chunk: c.ID, Pair: c.Pair, Rows: 1, Sums: []byte("?")})
		again := w.take()
		if again.ID != c.ID {
			w.summed(s, again, nil)
			again = w.take()
		}
		if again.ID != c.ID {
			t.Errorf("offered %s, want %s again", again, c)
		}
	})
}

// The sums of chunks that are done behind one that is not are held in memory.
func TestG7StuckChunkBoundsTheSumsInMemory(t *testing.T) {
	inBubble(t, func(w *world) {
		t := w.t
		s := newBuckets(manager.MaxSumsAhead + 2)
		w.sweeps("orders", s)
		w.once("a run")
		w.start()
		w.take()
		n := 1
		for {
			c, ok := w.within(10 * time.Second)
			if !ok {
				break
			}
			n++
			w.summed(s, c, map[uint16]uint32{1: 1})
		}
		if n != manager.MaxSumsAhead {
			t.Errorf("%d chunks are held, want %d", n, manager.MaxSumsAhead)
		}
	})
}

// A chunk that kills its workers is halved within its bounds.
func TestG6BucketChunkThatKillsIsHalved(t *testing.T) {
	inBubble(t, func(w *world) {
		t := w.t
		s := newBuckets(2)
		w.sweeps("orders", s)
		w.once("a run")
		w.start()
		c := w.take()
		c.Crashes = 2
		w.m.Crashed(c)
		w.ahead()
		parts := map[string]chunk.Chunk{}
		for range 4 {
			p := w.take()
			parts[p.UpTo.ID] = p
			w.summed(s, p, map[uint16]uint32{8: 1})
		}
		if half, ok := parts["at 10000"]; !ok || half.Stage != chunk.AddUp || *parts[c.UpTo.ID].After != half.UpTo {
			t.Errorf("parts %v, want the halves of %s", parts, c)
		}
		wantDiffer(t, w.take(), 8)
	})
}

// A row that kills whoever compares the rows of buckets is named by its id, as the other
// scans name it: the bounds of its chunk are places that mean nothing to them, nor to people.
func TestG6RowThatKillsASweepByBucketsIsSetAsideByItsID(t *testing.T) {
	inBubble(t, func(w *world) {
		t := w.t
		s := newSource()
		s.buckets = "sums"
		s.add(100)
		w.sweeps("orders", s).SweepInterval = time.Minute
		w.start()
		w.summed(s, w.take(), map[uint16]uint32{7: 1})
		poison := map[int64]bool{37: true}
		fleet(w, s, poison, 50*time.Second)
		aside := w.saved().SetAside
		if len(aside) != 1 || aside[0].Row() != "37" || aside[0].Chunk.UpTo.ID != "at 37" {
			t.Fatalf("set aside %+v, want row 37", aside)
		}
		s.add(1)
		w.stop()
		w.config.Pairs[0].Insert, w.config.Pairs[0].InsertInterval = true, time.Second
		w.start()
		if deaths := fleet(w, s, poison, 2*time.Minute); deaths > 0 {
			t.Errorf("%d workers died of a row that is set aside", deaths)
		}
		same(t, s.unlooked(chunk.Insert), []int64{37})
		w.m.Retry(manager.GiveBack{Pair: "orders", Row: "37"})
		c := w.take()
		for c.Scan != chunk.Sweep {
			s.look(c)
			w.done(c)
			c = w.take()
		}
		if c.Stage != chunk.Resolve || c.Differ != "" || c.UpTo.ID != "at 37" || len(c.Skip) > 0 {
			t.Errorf("gave back %+v, want row 37 to be compared", c)
		}
	})
}

// What has no source row has no name by which it could be left out.
func TestBucketChunkWithoutASourceRowIsSetAside(t *testing.T) {
	inBubble(t, func(w *world) {
		t := w.t
		s := newBuckets(1)
		w.fast(s)
		w.start()
		all := map[uint16]uint32{}
		for b := range chunk.Buckets {
			all[uint16(b)] = 1
		}
		w.summed(s, w.take(), all)
		w.summed(s, w.take(), nil)
		c := w.take()
		s.remove(numbers(1, manager.MaxRows)...)
		c.Crashes = manager.CrashesSetAside
		w.m.Crashed(c)
		w.take()
		if aside := w.saved().SetAside; c.Open || len(aside) != 1 || aside[0].Row() != "…" {
			t.Errorf("set aside %+v of %s, want one without a row", aside, c)
		}
	})
}
