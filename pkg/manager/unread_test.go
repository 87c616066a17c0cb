package manager_test

import (
	"slices"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/masixun71/cupid/pkg/chunk"
	"github.com/masixun71/cupid/pkg/manager"
)

// queryTimeout is how long a chunk takes that has a row which cannot be read.
const queryTimeout = 30 * time.Second

// unread reports a chunk as one whose rows could not be read.
func (w *world) unread(c chunk.Chunk) {
	w.m.Done(chunk.Result{Chunk: c.ID, Pair: c.Pair, Error: "the query took longer than the query timeout", Unread: true})
	synctest.Wait()
}

// reading looks for so long at the chunks that come, of which those cannot be read that have one of rows. It
// returns how often that was.
func (w *world) reading(s *source, rows map[int64]bool, d time.Duration) (failed int) {
	w.t.Helper()
	for end := time.Now().Add(d); time.Now().Before(end); {
		c, ok := w.within(time.Until(end))
		if !ok {
			break
		}
		s.mu.Lock()
		hangs := slices.ContainsFunc(s.within(c), func(l *line) bool { return rows[l.id] })
		s.mu.Unlock()
		if hangs {
			failed++
			pass(w.t, queryTimeout)
			w.unread(c)
			continue
		}
		w.swept(s, c, time.Millisecond)
	}
	return failed
}

// pairOf is a world with a pair of one scan.
func (w *world) pairOf(scan chunk.Scan, s *source) {
	switch scan {
	case chunk.Insert:
		w.inserts("orders", s)
	case chunk.Update:
		w.updates(s)
	case chunk.Sweep:
		w.sweeps("orders", s).SweepInterval = 20 * time.Minute
	}
}

// What cannot be read is narrowed down to its row, which is tried again and again, also by the next manager, while
// the scan goes on without it.
func TestG6RowThatCannotBeReadHoldsUpNoOther(t *testing.T) {
	for _, scan := range []chunk.Scan{chunk.Insert, chunk.Update, chunk.Sweep} {
		t.Run(string(scan), func(t *testing.T) {
			inBubble(t, func(w *world) {
				t := w.t
				s := newSource()
				s.add(100)
				w.config.ChunkRows = 64
				w.pairOf(scan, s)
				w.start()
				bad := map[int64]bool{37: true}
				w.reading(s, bad, 15*time.Minute)
				same(t, s.unlooked(scan), []int64{37})
				if got := w.saved(); len(got.Owed) != 1 || got.Owed[0].Row.Row() != "37" || len(got.SetAside) != 0 {
					t.Fatalf("owed %+v and set aside %+v, want row 37 owed", got.Owed, got.SetAside)
				}
				s.add(50)
				w.reading(s, bad, 30*time.Minute)
				same(t, s.unlooked(scan), []int64{37})
				if got := w.alerted(); len(got) == 0 || slices.Contains(got, "pair stopped") || scan != chunk.Sweep && len(got) != 1 || got[0] != "row unreadable" {
					t.Errorf("alerts %v, want one for the row", got)
				}
				w.saved()
				w.crash()
				w.start()
				// A sweep that is complete has the row in its next pass.
				if failed := w.reading(s, bad, 10*time.Minute); scan != chunk.Sweep && (failed < 3 || failed > 12) {
					t.Errorf("the row was tried %d times in 10 minutes after a restart", failed)
				}
				w.reading(s, nil, 21*time.Minute)
				same(t, s.unlooked(scan), nil)
				if got := w.saved().Owed; len(got) != 0 {
					t.Errorf("owed %+v, and everything was read", got)
				}
			})
		})
	}
}

// The row is found again wherever it is by then.
func TestG2RowThatCouldNotBeReadIsComparedWhereItHasMovedTo(t *testing.T) {
	inBubble(t, func(w *world) {
		t := w.t
		s := newSource()
		s.add(20)
		w.updates(s)
		w.start()
		bad := map[int64]bool{7: true}
		w.reading(s, bad, 15*time.Minute)
		s.put(7)
		w.reading(s, bad, 15*time.Minute)
		if got := w.saved().Owed; len(got) != 1 {
			t.Fatalf("owed %+v, want row 7", got)
		}
		w.reading(s, nil, 5*time.Minute)
		same(t, s.unlooked(chunk.Update), nil)
	})
}

// A chunk that was offered without the row may have begun when the row was being read.
func TestG2RowThatWasLeftOutIsReadOnceMore(t *testing.T) {
	inBubble(t, func(w *world) {
		t := w.t
		s := newSource()
		s.add(1)
		w.inserts("orders", s)
		w.start()
		c := w.take()
		w.unread(c)
		w.unread(w.take())
		owed := w.take()
		if owed.Only != "1" || len(owed.Skip) != 0 {
			t.Fatalf("offered %+v, want the row alone", owed)
		}
		s.add(1)
		var other chunk.Chunk
		for !slices.Contains(other.Skip, "1") {
			other = w.take()
			s.look(other)
			w.done(other)
		}
		w.done(owed)
		again := w.take()
		for again.Only == "" {
			w.done(again)
			again = w.take()
		}
		if len(w.saved().Owed) != 1 {
			t.Error("the row was forgotten before it was read again")
		}
		w.done(again)
		if got := w.saved().Owed; len(got) != 0 {
			t.Errorf("owed %+v", got)
		}
	})
}

func TestChunkThatHungOnceIsNotHalved(t *testing.T) {
	inBubble(t, func(w *world) {
		t := w.t
		s := newSource()
		s.add(10)
		w.inserts("orders", s)
		w.start()
		c := w.take()
		w.unread(c)
		for range 4 { // what becomes of the database later says nothing of the rows
			again := w.take()
			if again.ID != c.ID {
				t.Fatalf("offered %+v, want %+v again", again, c)
			}
			w.broke(again)
		}
		w.unread(w.take())
		if half := w.take(); half.Rows != 5 || half.Crashes != 0 {
			t.Errorf("offered %+v, want a half that has killed nobody", half)
		}
	})
}

// A table that somebody has locked is whole again when the lock is gone.
func TestG7LockedTableIsNotCutIntoSingleRows(t *testing.T) {
	inBubble(t, func(w *world) {
		t := w.t
		s := newSource()
		s.add(64 * 100)
		w.config.ChunkRows = 100
		w.inserts("orders", s)
		w.start()
		w.m.Demand(100)
		for end := time.Now().Add(2 * time.Hour); time.Now().Before(end); {
			pass(t, queryTimeout)
			for n := len(w.chunks); n > 0; n-- {
				w.unread(<-w.chunks)
				w.m.Demand(1)
			}
		}
		w.wanted = 100
		w.reading(s, nil, time.Minute)
		same(t, s.unlooked(chunk.Insert), nil)
		if got := s.count("cut"); got > 2*manager.MaxPieces {
			t.Errorf("chunks were cut and halved %d times", got)
		}
	})
}

func TestMoreUnreadRowsThanCanBeOwedHoldTheCursor(t *testing.T) {
	inBubble(t, func(w *world) {
		t := w.t
		s := newSource()
		s.add(manager.MaxOwed + 10)
		w.config.ChunkRows = 1
		w.inserts("orders", s)
		w.start()
		bad := map[int64]bool{}
		for id := range int64(manager.MaxOwed + 1) {
			bad[id+1] = true
		}
		w.reading(s, bad, 2*time.Hour)
		if got := w.saved().Owed; len(got) != manager.MaxOwed {
			t.Errorf("%d rows are owed, want %d", len(got), manager.MaxOwed)
		}
		if got := w.store.cursor(); got == strconv.Itoa(manager.MaxOwed+10) {
			t.Error("the cursor has passed a row that nobody knows of")
		}
		w.saved()
		w.crash()
		w.start()
		w.reading(s, nil, 10*time.Minute)
		same(t, s.unlooked(chunk.Insert), nil)
	})
}

func TestChunksOfAScanAreSmallerAfterOneTookTooLong(t *testing.T) {
	for _, scan := range []chunk.Scan{chunk.Insert, chunk.Update} {
		t.Run(string(scan), func(t *testing.T) {
			inBubble(t, func(w *world) {
				t := w.t
				s := newSource()
				s.add(20_000)
				w.config.ChunkRows = 1000
				w.pairOf(scan, s)
				w.start()
				w.unread(w.take())
				var rows []int
				for len(s.unlooked(scan)) > 0 {
					c := w.take()
					if rows = append(rows, c.Rows); len(rows) < 8 {
						s.look(c)
						w.m.Done(chunk.Result{Chunk: c.ID, Pair: c.Pair, Millisecond: 5000})
						continue
					}
					w.swept(s, c, time.Millisecond)
				}
				if got := rows[3:8]; slices.Max(got) != 500 {
					t.Errorf("chunks of %v rows after one of 1000 took too long, want 500", got)
				}
				if got := rows[len(rows)-4 : len(rows)-1]; slices.Max(got) != 1000 {
					t.Errorf("chunks of %v rows once they are quick, want 1000 again", rows)
				}
			})
		})
	}
}

// A row that is given back is compared, whoever is killed in between.
// The scan that set a row aside does not run any more: the others have the row again, and nothing of it is kept.
func TestRowOfAScanThatIsOffIsLeftToTheOthers(t *testing.T) {
	inBubble(t, func(w *world) {
		s := newSource()
		s.add(10)
		w.inserts("orders", s)
		w.store.state = manager.State{SetAside: []manager.SetAside{
			{Chunk: chunk.Chunk{Pair: "orders", Scan: chunk.Update, UpTo: chunk.Position{ID: "3"}}},
		}}
		w.start()
		w.m.Retry(manager.GiveBack{Pair: "orders", Row: "3"})
		if got := w.saved(); len(got.SetAside) > 0 || len(got.Owed) > 0 {
			w.t.Errorf("state %+v, want nothing of the row", got)
		}
	})
}

func TestG1RowThatIsGivenBackSurvivesAKill(t *testing.T) {
	inBubble(t, func(w *world) {
		t := w.t
		s := newSource()
		s.add(10)
		w.inserts("orders", s)
		w.start()
		fleet(w, s, map[int64]bool{3: true}, time.Minute)
		same(t, s.unlooked(chunk.Insert), []int64{3})
		w.m.Retry(manager.GiveBack{Pair: "orders", Row: "3"})
		w.saved()
		w.crash()
		w.start()
		w.work(s, time.Minute)
		same(t, s.unlooked(chunk.Insert), nil)
	})
}
