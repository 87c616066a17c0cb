package manager_test

import (
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/masixun71/cupid/pkg/chunk"
	"github.com/masixun71/cupid/pkg/manager"
)

func TestG2LateCommitBehindTheCursorIsLookedAtAgain(t *testing.T) {
	inBubble(t, func(w *world) {
		t := w.t
		s := newSource()
		w.inserts("orders", s)
		late := s.begin()
		id := late.insert()
		s.add(3)
		w.start()
		same(t, w.work(s, 500*time.Millisecond), numbers(2, 4))
		if got := len(w.saved().Insert["orders"].Late); got != 1 {
			t.Fatalf("%d late spans, want 1 as long as the transaction is open", got)
		}
		w.work(s, time.Minute)
		late.commit()
		if got := w.work(s, 10*time.Second); !slices.Contains(got, id) {
			t.Errorf("looked at %v, want also %d, which committed late", got, id)
		}
		if got := w.saved().Insert["orders"]; len(got.Late) != 0 {
			t.Errorf("late spans %v are left although no transaction is open", got.Late)
		}
		same(t, w.work(s, time.Minute), nil)
	})
}

func TestLateSpanIsLookedAtWhenItsAgeHasDoubled(t *testing.T) {
	inBubble(t, func(w *world) {
		t := w.t
		s := newSource()
		w.inserts("orders", s)
		late := s.begin()
		late.insert()
		s.add(1)
		w.start()
		begun := time.Now()
		var ages []time.Duration
		for time.Since(begun) < 5*time.Minute {
			c, ok := w.within(time.Second)
			if ok {
				ages = append(ages, time.Since(begun).Round(time.Second))
				w.done(c)
			}
		}
		want := []time.Duration{0, 2, 4, 8, 16, 32, 64, 128, 256}
		for i := range want {
			want[i] *= time.Second
		}
		if !slices.Equal(ages, want) {
			t.Errorf("looked at the span at the ages %v, want %v", ages, want)
		}
		late.rollback()
	})
}

func TestBlindAccountWaitsForTheAge(t *testing.T) {
	inBubble(t, func(w *world) {
		t := w.t
		s := newSource()
		s.blind = true
		w.inserts("orders", s)
		late := s.begin()
		id := late.insert()
		s.add(1)
		w.start()
		same(t, w.work(s, 20*time.Second), []int64{2, 2, 2, 2, 2}) // at 0, 2, 4, 8 and 16 s
		late.commit()
		if got := w.work(s, 15*time.Second); !slices.Equal(got, []int64{id, 2}) {
			t.Errorf("looked at %v, want %d and 2, once they are 30 s old", got, id)
		}
		if got := w.saved().Insert["orders"]; len(got.Late) != 0 {
			t.Errorf("late spans %v are left after the age", got.Late)
		}
	})
}

// The row has its id before the replica stops, and is committed after higher ones.
func TestG2InsertThatAReplicaGetsLateIsLookedAt(t *testing.T) {
	inBubble(t, func(w *world) {
		t := w.t
		s := newSource()
		s.blind = true
		w.inserts("orders", s)
		late := s.begin()
		id := late.insert()
		s.add(3)
		w.start()
		w.work(s, 10*time.Second)
		s.set(func() { s.applied = stoodStill(time.Now()) })
		w.work(s, time.Hour)
		late.commit()
		s.set(func() { s.applied = nil })
		if got := w.work(s, time.Minute); !slices.Contains(got, id) {
			t.Errorf("looked at %v, want also %d, which came late", got, id)
		}
		if got := w.saved().Insert["orders"].Late; len(got) != 0 {
			t.Errorf("late spans %v are left", got)
		}
	})
}

func TestSpanSettledWhenItIsCutIsNotRemembered(t *testing.T) {
	inBubble(t, func(w *world) {
		t := w.t
		s := newSource()
		s.add(100)
		w.inserts("orders", s)
		w.start()
		for range 5 {
			w.done(w.take())
		}
		staged := w.take() // it was cut before anything was settled
		pass(t, 2*manager.Lead)
		w.done(staged)
		for range 3 {
			w.done(w.take())
		}
		late := w.saved().Insert["orders"].Late
		if len(late) != 1 || late[0].After != nil || late[0].UpTo != "70" {
			t.Errorf("late spans %+v, want only what was cut within the first second, up to 70", late)
		}
	})
}

func TestCursorNeverPassesAChunkThatIsNotDone(t *testing.T) {
	inBubble(t, func(w *world) {
		t := w.t
		s := newSource()
		s.add(50)
		w.inserts("orders", s)
		w.start()
		var out []chunk.Chunk
		for range 5 {
			out = append(out, w.take())
		}
		for _, step := range []struct {
			done int
			want string
		}{{2, ""}, {4, ""}, {0, "10"}, {3, "10"}, {1, "50"}} {
			w.done(out[step.done])
			w.saved()
			if got := w.store.cursor(); got != step.want {
				t.Fatalf("cursor %q after chunk %d was done, want %q", got, step.done, step.want)
			}
		}
	})
}

func TestG2KilledManagerRepeatsWhatWasNotDone(t *testing.T) {
	inBubble(t, func(w *world) {
		t := w.t
		s := newSource()
		s.add(40)
		w.inserts("orders", s)
		w.start()
		first, second, third := w.take(), w.take(), w.take()
		w.done(first)
		w.done(third)
		w.saved()
		w.crash()
		w.start()
		w.m.Done(chunk.Result{Chunk: second.ID}) // of the manager before: it is nobody's
		s.look(first)
		w.work(s, 10*time.Second)
		same(t, s.unlooked(chunk.Insert), nil)
		w.saved()
		if got := w.store.cursor(); got != "40" {
			t.Errorf("cursor %q, want 40", got)
		}
	})
}

func TestTableGrowsWhileItIsScanned(t *testing.T) {
	inBubble(t, func(w *world) {
		t := w.t
		s := newSource()
		s.add(30)
		w.inserts("orders", s)
		w.start()
		c := w.take()
		s.add(30)
		s.look(c)
		w.done(c)
		w.work(s, time.Minute)
		same(t, s.unlooked(chunk.Insert), nil)
	})
}

func TestEmptyTableIsScannedFromItsFirstRow(t *testing.T) {
	inBubble(t, func(w *world) {
		t := w.t
		s := newSource()
		w.inserts("orders", s)
		w.start()
		same(t, w.work(s, time.Minute), nil)
		s.add(1)
		same(t, slices.Compact(w.work(s, 10*time.Second)), []int64{1})
	})
}

func TestStartID(t *testing.T) {
	cursor := "90"
	for name, c := range map[string]struct {
		start string
		state manager.State
		want  []int64
	}{
		"none begins with the smallest id": {"", manager.State{}, numbers(1, 100)},
		"is exclusive":                     {"95", manager.State{}, numbers(96, 100)},
		"above the head":                   {"1000", manager.State{}, nil},
		"yields to a saved cursor": {
			"95", manager.State{Insert: map[string]manager.InsertState{"orders": {Cursor: &cursor}}}, numbers(91, 100),
		},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(w *world) {
				t := w.t
				s := newSource()
				s.add(100)
				w.inserts("orders", s)
				w.store.state, w.config.StartID = c.state, c.start
				w.start()
				got := w.work(s, 30*time.Second)
				same(t, slices.Compact(slices.Sorted(slices.Values(got))), c.want)
			})
		})
	}
}

func TestHeadBelowTheCursorMovesItBack(t *testing.T) {
	inBubble(t, func(w *world) {
		t := w.t
		s := newSource()
		s.add(20)
		w.inserts("orders", s)
		w.start()
		w.work(s, 10*time.Second)
		s.remove(numbers(8, 20)...)
		w.work(s, 10*time.Second)
		s.put(9) // given out once more
		w.work(s, 10*time.Second)
		same(t, s.unlooked(chunk.Insert), nil)
		w.saved()
		if got := w.store.cursor(); got != "9" {
			t.Errorf("cursor %q, want 9", got)
		}
	})
}

func TestHeadBelowTheCursorKeepsLateSpans(t *testing.T) {
	inBubble(t, func(w *world) {
		t := w.t
		s := newSource()
		w.inserts("orders", s)
		late := s.begin()
		s.counter = 4
		late.write(5)  // stays below the head
		late.write(12) // comes to lie above it
		s.put(1, 2, 3, 6, 7)
		w.start()
		w.work(s, 5*time.Second)
		s.put(14, 15)
		w.work(s, 5*time.Second)
		s.remove(7, 14, 15)
		w.work(s, 5*time.Second)
		s.put(8)
		w.work(s, 5*time.Second)
		late.commit()
		w.work(s, 10*time.Second)
		same(t, s.unlooked(chunk.Insert), nil)
		if got := w.saved().Insert["orders"].Late; len(got) != 0 {
			t.Errorf("late spans %v are left", got)
		}
	})
}

func TestEmptiedTableIsScannedAnew(t *testing.T) {
	inBubble(t, func(w *world) {
		t := w.t
		s := newSource()
		s.add(20)
		w.inserts("orders", s)
		w.config.StartID = "15"
		w.start()
		w.work(s, 10*time.Second)
		s.remove(numbers(1, 20)...)
		w.work(s, 10*time.Second)
		w.saved()
		w.crash()
		w.start()
		s.put(1, 2, 3)
		w.work(s, 10*time.Second)
		same(t, s.unlooked(chunk.Insert), nil)
	})
}

func TestIDOfTheApplicationMayBeOlderThanItsTransaction(t *testing.T) {
	inBubble(t, func(w *world) {
		t := w.t
		s := newSource()
		s.madeUp = true
		s.put(100)
		w.inserts("orders", s)
		w.start()
		w.work(s, 3*time.Second)
		late := s.begin() // 3 s after 100 was seen, with an id from before
		late.write(50)
		w.work(s, time.Minute)
		late.commit()
		w.work(s, 10*time.Second)
		same(t, s.unlooked(chunk.Insert), nil)
	})
}

func TestIDGivenOutAMomentBeforeItsTransactionIsListed(t *testing.T) {
	inBubble(t, func(w *world) {
		t := w.t
		s := newSource()
		w.inserts("orders", s)
		s.counter = 1 // 1 is given out, and its transaction is not listed yet
		s.add(1)
		w.start()
		w.work(s, 100*time.Millisecond)
		late := s.begin()
		late.write(1)
		w.work(s, time.Minute)
		late.commit()
		w.work(s, 10*time.Second)
		same(t, s.unlooked(chunk.Insert), nil)
	})
}

func TestLateSpansStayFewWhileATransactionIsOpenForLong(t *testing.T) {
	inBubble(t, func(w *world) {
		t := w.t
		s := newSource()
		w.inserts("orders", s)
		late := s.begin()
		w.start()
		total, rows := 0, 0
		for range 600 {
			late.insert()
			s.add(1)
			rows++
			total += len(w.work(s, 2*time.Second))
		}
		if got := len(w.saved().Insert["orders"].Late); got > manager.MaxLate/3 {
			t.Errorf("%d late spans after twenty minutes", got)
		}
		// Twenty minutes are ten doublings of two seconds.
		if limit := rows * 15; total > limit {
			t.Errorf("%d looks at %d rows, want no more than %d", total, rows, limit)
		}
		late.commit()
		w.work(s, time.Minute)
		same(t, s.unlooked(chunk.Insert), nil)
		if got := w.saved().Insert["orders"].Late; len(got) != 0 {
			t.Errorf("late spans %v are left", got)
		}
	})
}

func TestIDsAboveTheSignedRangeStayText(t *testing.T) {
	inBubble(t, func(w *world) {
		t := w.t
		s := newSource()
		w.inserts("orders", s)
		big := int64(1<<62) - 1
		s.put(big)
		w.start()
		if got := w.take().UpTo.ID; got != strconv.FormatInt(big, 10) {
			t.Errorf("chunk ends at %s, want %d", got, big)
		}
	})
}

// A scan that is behind goes on in larger chunks where these are compared by checksums,
// and in small ones again when it is level.
func TestAnInsertScanThatIsBehindGoesOnInLargerChunks(t *testing.T) {
	for _, divisible := range []bool{false, true} {
		inBubbleNamed(t, "divisible", divisible, func(w *world) {
			t := w.t
			s := newSource()
			s.divisible = divisible
			s.add(100)
			w.inserts("orders", s)
			w.start()
			take := func(n int) (rows []int64) {
				for n > 0 {
					c := w.take()
					n -= c.Rows
					rows = append(rows, int64(c.Rows))
					s.look(c)
					w.done(c)
				}
				return rows
			}
			behind := []int64{10, 10, 10, 10, 10, 10, 10, 10, 10, 10}
			if divisible {
				behind = []int64{10, 20, 40, 30}
			}
			same(t, take(100), behind)
			w.work(s, 2*time.Minute)
			s.add(15)
			same(t, take(15), []int64{10, 5})
			same(t, s.unlooked(chunk.Insert), nil)
		})
	}
}
