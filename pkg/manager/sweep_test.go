package manager_test

import (
	"context"
	"math/rand/v2"
	"slices"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/masixun71/cupid/pkg/chunk"
	"github.com/masixun71/cupid/pkg/manager"
)

// wantPass checks that the chunks are a whole pass: from the beginning, without a
// gap, the last one open.
func wantPass(t *testing.T, chunks []chunk.Chunk, pass uint32) {
	t.Helper()
	if len(chunks) == 0 {
		t.Fatal("no chunks")
	}
	var at *chunk.Position
	for i, c := range chunks {
		last := i == len(chunks)-1
		if c.Scan != chunk.Sweep || c.Salt != pass || c.Open != last || (c.After == nil) != (at == nil) || at != nil && *c.After != *at {
			t.Errorf("chunk %d is %+v, want one of pass %d from %v on", i, c, pass, at)
		}
		at = &c.UpTo
	}
}

func position(s manager.SweepState) string {
	if s.Position == nil {
		return "none"
	}
	return *s.Position
}

func TestSweepGoesOverTheWholeTable(t *testing.T) {
	for _, byRow := range []bool{false, true} {
		t.Run(strconv.FormatBool(byRow), func(t *testing.T) {
			inBubble(t, func(w *world) {
				t := w.t
				s := newSource()
				s.byRow = byRow
				s.add(2*manager.StartRows + 2000)
				w.sweeps("orders", s)
				w.start()
				chunks := w.sweep(s, 59*time.Minute)
				wantPass(t, chunks, 1)
				if len(chunks) != 3 {
					t.Errorf("%d chunks, want 3", len(chunks))
				}
				same(t, s.unlooked(chunk.Sweep), nil)
				if keys := s.count("keys") > 0; keys == byRow || (s.count("cut") > 0) != byRow {
					t.Errorf("%d chunks were cut by key and %d by id", s.count("keys"), s.count("cut"))
				}
				got := w.saved().Sweep["orders"]
				if got.Ended.IsZero() || got.Last == nil || got.Last.Found != got.Found || got.Found.Rows != 12_000 || got.Found.Chunks != 3 || got.Pass != 1 {
					t.Errorf("state %+v, want a complete pass of 12,000 rows in 3 chunks", got)
				}
			})
		})
	}
}

func TestSweepOfAnEmptyTableIsOneOpenChunk(t *testing.T) {
	inBubble(t, func(w *world) {
		t := w.t
		s := newSource()
		w.sweeps("orders", s)
		w.start()
		chunks := w.sweep(s, time.Minute)
		wantPass(t, chunks, 1)
		if len(chunks) != 1 || chunks[0].Rows != 0 {
			t.Errorf("chunks %+v, want one of no rows", chunks)
		}
		if got := w.saved().Sweep["orders"]; got.Ended.IsZero() || got.Position != nil || got.Found.Rows != 0 {
			t.Errorf("state %+v, want a complete pass over nothing", got)
		}
	})
}

func TestSweepOfFullChunksEndsWithAnOpenOne(t *testing.T) {
	inBubble(t, func(w *world) {
		t := w.t
		s := newSource()
		s.add(manager.StartRows)
		w.sweeps("orders", s).SweepInterval = time.Second
		w.start()
		w.ahead()
		chunks := []chunk.Chunk{w.take(), w.take()}
		wantPass(t, chunks, 1)
		if chunks[1].Rows != 0 {
			t.Errorf("the last chunk is %+v, want one of no rows", chunks[1])
		}
	})
}

func TestNextPassBeginsAnIntervalAfterTheBeginOfTheLast(t *testing.T) {
	inBubble(t, func(w *world) {
		t := w.t
		s := newSource()
		s.add(100)
		w.sweeps("orders", s)
		w.start()
		begun := time.Now()
		w.swept(s, w.take(), 0)
		pass(t, 20*time.Minute)
		w.saved()
		w.crash()
		w.start()
		for want := uint32(2); want < 5; want++ {
			if c, ok := w.within(time.Until(begun.Add(59 * time.Minute))); ok {
				t.Fatalf("offered %+v before the interval was over", c)
			}
			c, ok := w.within(2 * time.Minute)
			if !ok {
				t.Fatal("no chunk although the interval is over")
			}
			wantPass(t, []chunk.Chunk{c}, want)
			w.swept(s, c, 0)
			begun = begun.Add(time.Hour)
		}
	})
}

func TestClockThatWasPutBackDoesNotEndTheSweeps(t *testing.T) {
	inBubble(t, func(w *world) {
		t := w.t
		s := newSource()
		w.sweeps("orders", s)
		future := time.Now().Add(1000 * time.Hour)
		w.store.state.Sweep = map[string]manager.SweepState{"orders": {Pass: 7, Mode: manager.SweepByKey, Begun: future, Ended: future}}
		w.start()
		if c, ok := w.within(61 * time.Minute); !ok || c.Salt != 8 {
			t.Errorf("offered %+v, want a chunk of pass 8 after an interval", c)
		}
	})
}

func TestG2KilledSweepGoesOnWhereAllWasDone(t *testing.T) {
	inBubble(t, func(w *world) {
		t := w.t
		s := newSource()
		s.add(5*manager.StartRows - 1)
		w.sweeps("orders", s).SweepInterval = time.Second
		w.start()
		w.ahead()
		first, second, third := w.take(), w.take(), w.take()
		w.swept(s, third, 0)
		if got := position(w.saved().Sweep["orders"]); got != "none" {
			t.Errorf("position %s passed chunks that are not done", got)
		}
		w.swept(s, first, 0)
		got := w.saved().Sweep["orders"]
		if position(got) != first.UpTo.ID || got.Found.Rows != manager.StartRows {
			t.Errorf("position %s with %d rows, want that of the first chunk", position(got), got.Found.Rows)
		}
		w.crash()
		w.start()
		again := w.take()
		if again.After == nil || *again.After != *second.After || again.Salt != 1 {
			t.Fatalf("went on with %+v, want to go on after %v in the same pass", again, second.After)
		}
		w.swept(s, again, 0)
		for range 3 {
			w.swept(s, w.take(), 0)
		}
		same(t, s.unlooked(chunk.Sweep), nil)
		if got := w.saved().Sweep["orders"].Last; got == nil || got.Found.Rows != 5*manager.StartRows-1 {
			t.Errorf("last pass %+v, want each row counted once", got)
		}
	})
}

func TestEmptyKeyIsAPosition(t *testing.T) {
	inBubble(t, func(w *world) {
		t := w.t
		s := newSource()
		w.sweeps("orders", s)
		empty := ""
		w.store.state.Sweep = map[string]manager.SweepState{"orders": {Pass: 1, Mode: manager.SweepByKey, Begun: time.Now(), Position: &empty}}
		w.config.Pairs[0].Source = blankKeys{s}
		w.start()
		if c := w.take(); c.After == nil || c.After.ID != "" {
			t.Errorf("went on with %+v, want to go on after the empty key", c)
		}
	})
}

// blankKeys has nothing above any key.
type blankKeys struct{ *source }

func (blankKeys) CutKeys(context.Context, *string, *string, int) (chunk.Cut, error) {
	return chunk.Cut{}, nil
}

func TestChangedModeBeginsThePassAgain(t *testing.T) {
	for _, restart := range []bool{true, false} {
		t.Run(strconv.FormatBool(restart), func(t *testing.T) {
			inBubble(t, func(w *world) {
				t := w.t
				s := newSource()
				s.add(20 * manager.StartRows)
				w.sweeps("orders", s).SweepInterval = time.Second
				w.start()
				w.swept(s, w.take(), 0)
				old := w.take()
				w.saved()
				if restart {
					w.crash()
				}
				s.mu.Lock()
				s.byRow = true
				s.mu.Unlock()
				if restart {
					w.start()
				} else {
					w.swept(s, old, 0)
				}
				var got chunk.Chunk
				for range 3 { // what had been cut comes yet
					if got = w.take(); got.Salt == 2 {
						break
					}
					w.swept(s, got, 0)
				}
				if got.Salt != 2 || got.After != nil {
					t.Errorf("offered %+v, want the begin of pass 2", got)
				}
				if got := w.saved().Sweep["orders"]; got.Mode != manager.SweepByRow || got.Position != nil {
					t.Errorf("state %+v", got)
				}
			})
		})
	}
}

func TestScansGoBeforeSweeps(t *testing.T) {
	inBubble(t, func(w *world) {
		t := w.t
		s, whole := newSource(), newSource()
		s.add(300)
		whole.add(20 * manager.StartRows)
		w.sweeps("whole", whole).SweepInterval = time.Second
		w.inserts("orders", s)
		w.start()
		for i := range 30 {
			synctest.Wait() // all lanes have something to offer
			if c := w.take(); c.Scan != chunk.Insert {
				t.Fatalf("chunk %d is %+v, want those of the insert scan first", i, c)
			} else {
				w.done(c)
			}
		}
		synctest.Wait()
		if c := w.take(); c.Scan != chunk.Sweep {
			t.Errorf("offered %+v, want the sweep's turn", c)
		}
	})
}

func TestSweepsLeaveHalfOfTheRoomToScans(t *testing.T) {
	inBubble(t, func(w *world) {
		t := w.t
		s, whole := newSource(), newSource()
		whole.add(30 * manager.StartRows)
		w.sweeps("whole", whole).SweepInterval = time.Second
		w.inserts("orders", s)
		w.start()
		w.m.Demand(16)
		pass(t, time.Minute)
		if got := len(w.chunks); got != 8 {
			t.Fatalf("%d chunks of sweeps are out, want half of the room for 16", got)
		}
		s.add(5)
		pass(t, 3*time.Second)
		if got := len(w.chunks); got != 9 {
			t.Fatalf("%d chunks are out, want also the one of the insert scan", got)
		}
		first := <-w.chunks
		w.swept(whole, first, 0)
		w.m.Demand(1)
		pass(t, time.Second)
		if got := len(w.chunks); got != 9 {
			t.Errorf("%d chunks are out, want another of the sweep for the one that is done", got)
		}
		crashed := <-w.chunks
		crashed.Crashes = 2
		w.m.Crashed(crashed)
		w.m.Demand(1)
		pass(t, time.Second)
		if got := len(w.chunks); got != 9 {
			t.Errorf("%d chunks are out, want another for the one that crashed", got)
		}
	})
}

func TestG6RowThatKillsASweepIsSetAside(t *testing.T) {
	for _, byRow := range []bool{false, true} {
		t.Run(strconv.FormatBool(byRow), func(t *testing.T) {
			inBubble(t, func(w *world) {
				t := w.t
				s := newSource()
				s.byRow = byRow
				s.add(100)
				w.sweeps("orders", s)
				w.start()
				deaths := fleet(w, s, map[int64]bool{37: true, 38: true, 100: true}, 10*time.Minute)
				same(t, s.unlooked(chunk.Sweep), []int64{37, 38, 100})
				state := w.saved()
				var aside []int64
				for _, a := range state.SetAside {
					aside = append(aside, number(a.Chunk.UpTo.ID))
				}
				slices.Sort(aside)
				if !slices.Equal(aside, []int64{37, 38, 100}) {
					t.Errorf("set aside %v, want 37, 38 and 100, each once", aside)
				}
				if got := state.Sweep["orders"]; got.Ended.IsZero() || got.Found.SetAside != 3 {
					t.Errorf("state %+v, want a complete pass without 3 rows", got)
				}
				if deaths > 200 {
					t.Errorf("%d workers died", deaths)
				}
			})
		})
	}
}

func TestWhatTheDestinationHasAboveTheEndIsSetAside(t *testing.T) {
	inBubble(t, func(w *world) {
		t := w.t
		s := newSource()
		s.add(10)
		w.sweeps("orders", s)
		w.start()
		deaths := 0
		for end := time.Now().Add(time.Minute); time.Now().Before(end); {
			c, ok := w.within(time.Until(end))
			if !ok {
				break
			}
			if !c.Open {
				w.swept(s, c, 0)
				continue
			}
			deaths += 2 - min(c.Crashes, 1)
			c.Crashes = 2 + c.Crashes/2
			w.m.Crashed(c)
		}
		same(t, s.unlooked(chunk.Sweep), nil)
		aside := w.saved().SetAside
		if len(aside) != 1 || !aside[0].Chunk.Open || aside[0].Chunk.After == nil || aside[0].Chunk.After.ID != "10" {
			t.Errorf("set aside %+v, want what lies above row 10", aside)
		}
		if got := w.saved().Sweep["orders"]; got.Ended.IsZero() {
			t.Errorf("state %+v, want a complete pass", got)
		}
		if deaths > 30 {
			t.Errorf("%d workers died", deaths)
		}
	})
}

func TestCrashedChunkOfASweepIsNotDoneWhenItsSourceRowsAreGone(t *testing.T) {
	inBubble(t, func(w *world) {
		t := w.t
		s := newSource()
		s.add(10)
		w.sweeps("orders", s)
		w.start()
		c := w.take()
		s.remove(numbers(1, 10)...) // the destination may still have them
		c.Crashes = 2
		w.m.Crashed(c)
		again, ok := w.within(time.Second)
		if !ok || again.ID != c.ID || !again.Open {
			t.Errorf("offered %+v, want %+v again", again, c)
		}
	})
}

func TestKeyChunkWhoseRowsVanishIsHalvedInTheEnd(t *testing.T) {
	inBubble(t, func(w *world) {
		t := w.t
		s := newSource()
		s.add(manager.StartRows + 100)
		w.sweeps("orders", s).SweepInterval = time.Second
		w.start()
		c := w.take() // the first, of 5000 rows
		s.remove(numbers(2, manager.StartRows)...)
		c.Crashes = 2
		w.m.Crashed(c)
		fleet(w, s, map[int64]bool{1: true}, time.Minute)
		same(t, s.unlooked(chunk.Sweep), []int64{1})
		if got := w.saved().SetAside; len(got) != 1 || got[0].Chunk.UpTo.ID != "1" {
			t.Errorf("set aside %+v, want row 1", got)
		}
	})
}

func TestOpenChunkThatWaitsStaysSmall(t *testing.T) {
	for _, rows := range []int{0, 20} {
		t.Run(strconv.Itoa(rows), func(t *testing.T) {
			inBubble(t, func(w *world) {
				t := w.t
				s := newSource()
				s.add(rows)
				w.sweeps("orders", s)
				w.start()
				pass(t, time.Second)
				s.add(3 * manager.StartRows) // while nobody asks for work
				pass(t, 2*manager.OpenAge)
				var chunks []chunk.Chunk
				for len(chunks) == 0 || !chunks[len(chunks)-1].Open {
					c, ok := w.within(2 * time.Hour)
					if !ok {
						t.Fatal("the pass does not end")
					}
					if n := len(w.swept(s, c, 0)); n > manager.StartRows {
						t.Errorf("chunk %s has %d rows", c, n)
					}
					chunks = append(chunks, c)
				}
				wantPass(t, chunks, 1)
				same(t, s.unlooked(chunk.Sweep), nil)
			})
		})
	}
}

func TestG6SweepChunkThatFailsIsOfferedAgain(t *testing.T) {
	inBubble(t, func(w *world) {
		t := w.t
		s := newSource()
		s.add(100)
		w.sweeps("orders", s)
		w.start()
		c := w.take()
		for range manager.AlertFailures {
			w.broke(c)
			again := w.take()
			if again.ID != c.ID {
				t.Fatalf("offered %+v, want %+v again", again, c)
			}
		}
		if s.count("ping") == 0 {
			t.Error("nobody asked whether both sides answer")
		}
		w.swept(s, c, 0)
		synctest.Wait()
		if got := w.alerted(); !slices.Equal(got, []string{"pair stopped", "pair goes on"}) {
			t.Errorf("alerts %v", got)
		}
		if got := w.saved().Sweep["orders"]; got.Ended.IsZero() {
			t.Errorf("state %+v, want a complete pass", got)
		}
	})
}

func TestSweepWhoseSourceCannotBeReadIsTriedAgain(t *testing.T) {
	for _, op := range []string{"sweep", "estimate", "keys", "pressure"} {
		t.Run(op, func(t *testing.T) {
			inBubble(t, func(w *world) {
				t := w.t
				s := newSource()
				s.add(5)
				left := manager.AlertFailures + 1
				s.fail = func(called string) error {
					if called == op && left > 0 {
						left--
						return &manager.Definite{Err: errAway}
					}
					return nil
				}
				w.sweeps("orders", s).SweepThreadsRunning = 10
				w.start()
				w.sweep(s, 5*time.Minute)
				same(t, s.unlooked(chunk.Sweep), nil)
				if got := w.alerted(); !slices.Equal(got, []string{"pair stopped", "pair goes on"}) {
					t.Errorf("alerts %v", got)
				}
			})
		})
	}
}

// Whatever workers and managers do, and in whichever order, a pass has every row, and
// counts it once.
func TestG2EveryRowIsInThePass(t *testing.T) {
	for seed := range uint64(20) {
		t.Run(strconv.FormatUint(seed, 10), func(t *testing.T) {
			inBubble(t, func(w *world) {
				t := w.t
				rnd := rand.New(rand.NewPCG(seed, 3))
				s := newSource()
				s.byRow = seed%2 == 1
				rows := rnd.IntN(20_000)
				s.add(rows)
				w.sweeps("orders", s).SweepInterval = time.Second
				w.store.state.Sweep = map[string]manager.SweepState{"orders": {ChunkRow: manager.MinRows}}
				if seed%3 == 0 {
					w.once("a")
				}
				w.start()
				w.ahead()
				var out []chunk.Chunk
				for w.store.saved().Sweep["orders"].Last == nil {
					if c, ok := w.within(300 * time.Millisecond); ok {
						out = append(out, c)
					}
					if len(out) == 0 {
						continue
					}
					i := rnd.IntN(len(out))
					c := out[i]
					out = slices.Delete(out, i, i+1)
					switch n := rnd.IntN(100); {
					case n < 5:
						w.broke(c)
					case n < 10:
						c.Crashes = 2
						w.m.Crashed(c)
					case n < 12:
						w.unread(c)
					case n < 15:
						w.crash()
						out = nil
						w.start()
						w.ahead()
					default:
						w.swept(s, c, time.Duration(rnd.IntN(1000))*time.Millisecond)
					}
				}
				same(t, s.unlooked(chunk.Sweep), nil)
				if got := w.store.saved().Sweep["orders"]; got.Pass != 1 && got.Pass != 2 || got.Last.Found.Rows != int64(rows) {
					t.Errorf("state %+v, want one pass that has counted %d rows", got, rows)
				}
			})
		})
	}
}

// Where hardly a key is missing chunks are cut by counting, and else by the rows there are.
func TestG2DenseKeysAreCutByCounting(t *testing.T) {
	inBubble(t, func(w *world) {
		t := w.t
		s := newSource()
		s.steps = true
		dense := func(from, to int64) {
			for id := from; id < to; id++ {
				s.put(id)
			}
		}
		const first, gap, second = 20 * manager.StartRows, 100_000_000, 10 * manager.StartRows
		dense(1, first+1)
		for id := int64(first + 1); id < gap; id += gap / 100 {
			s.put(id)
		}
		dense(gap, gap+second)
		w.sweeps("orders", s)
		w.once("a")
		w.start()
		chunks := w.sweep(s, time.Second)
		if len(s.unlooked(chunk.Sweep)) > 0 {
			t.Errorf("%d rows were not looked at", len(s.unlooked(chunk.Sweep)))
		}
		looks, steps := s.count("keys"), len(chunks)-s.count("keys")
		if looks > 10 || steps < 20 || steps > 40 {
			t.Errorf("%d chunks were cut by a look at the rows and %d by counting, want 30 by counting, and none of them in vain for long", looks, steps)
		}
		for _, c := range chunks {
			if got := len(s.look(c)); got > manager.MaxRows+1 {
				t.Errorf("%s has %d rows", c, got)
			}
		}
	})
}

// Nobody waits at the end of a run with -once for the one worker that has a large chunk.
func TestOnceEndsWithSmallChunks(t *testing.T) {
	for _, once := range []bool{true, false} {
		inBubbleNamed(t, "once", once, func(w *world) {
			t := w.t
			s := newSource()
			s.steps, s.divisible = true, true
			s.add(12 * manager.MaxDivisible)
			w.sweeps("orders", s)
			if once {
				w.once("a")
			}
			w.start()
			var rows []int
			for len(s.unlooked(chunk.Sweep)) > 0 {
				c := w.take()
				rows = append(rows, c.Rows)
				w.swept(s, c, time.Millisecond)
			}
			n := len(rows)
			if slices.Max(rows) != manager.MaxDivisible {
				t.Errorf("chunks of %v rows, want some of %d", rows, manager.MaxDivisible)
			}
			if small := slices.Max(rows[n-3:n-1]) == manager.LastRows; small != once {
				t.Errorf("chunks of %v rows, want the last of %d: %v", rows, manager.LastRows, once)
			}
			if !slices.Contains(rows[:2], 1) && once {
				t.Errorf("chunks of %v rows, want the first row alone", rows)
			}
		})
	}
}

// The first row alone says nothing of how fast a table is gone over that has grown since it was
// counted.
func TestTheFirstRowIsNoMeasure(t *testing.T) {
	inBubble(t, func(w *world) {
		t := w.t
		s := newSource()
		s.steps, s.divisible = true, true
		s.add(8 * manager.StartDivisible)
		w.sweeps("orders", s).SweepInterval = 24 * time.Hour
		w.store.state.Sweep = map[string]manager.SweepState{"orders": {
			Pass: 1, Mode: manager.SweepByKey, ChunkRow: 2 * manager.StartDivisible,
			Last:  &manager.SweepPass{Pass: 1, Found: manager.Found{Rows: manager.StartDivisible}},
			Ended: time.Now().Add(-time.Hour), Begun: time.Now().Add(-48 * time.Hour),
		}}
		w.start()
		first := w.take()
		if first.Rows != 1 || first.After != nil {
			t.Fatalf("began with %+v, want the first row", first)
		}
		w.swept(s, first, time.Minute)
		begun := time.Now()
		next := w.take()
		if next.Rows != 2*manager.StartDivisible {
			t.Errorf("then %d rows, want %d", next.Rows, 2*manager.StartDivisible)
		}
		w.swept(s, next, manager.TargetTime)
		if third := w.take(); third.Rows != next.Rows {
			t.Errorf("the third chunk has %d rows, want %d", third.Rows, next.Rows)
		}
		if took := time.Since(begun); took > time.Hour {
			t.Errorf("the third chunk came after %s", took)
		}
	})
}

// Bounds of one byColumn mean nothing in another, whether a pass was under way or not.
func TestG2ChangedKeyBeginsThePassAgain(t *testing.T) {
	for _, c := range []struct {
		was, is string
		pass    uint32
	}{{"a", "a", 3}, {"a", "b", 4}, {"", "b", 3}} { // a state of an older build does not say
		t.Run(c.was+c.is, func(t *testing.T) {
			inBubble(t, func(w *world) {
				t := w.t
				s := newSource()
				s.key = c.is
				s.add(100)
				at := "50"
				w.store.state = manager.State{
					Sweep: map[string]manager.SweepState{"orders": {Pass: 3, Mode: manager.SweepByKey, Key: c.was, Begun: time.Now(), Position: &at}},
					SetAside: []manager.SetAside{
						{Chunk: chunk.Chunk{Pair: "orders", Scan: chunk.Sweep, UpTo: chunk.Position{ID: "20"}}, ByKey: true},
						{Chunk: chunk.Chunk{Pair: "orders", Scan: chunk.Insert, UpTo: chunk.Position{ID: "30"}}},
					},
				}
				w.sweeps("orders", s)
				w.start()
				got := w.take()
				anew := c.pass == 4
				if got.Key != c.is || got.Salt != c.pass || (got.After == nil) != anew || (len(got.Skip) == 0) != anew {
					t.Errorf("offered %+v, want pass %d, anew: %v", got, c.pass, anew)
				}
				if got := w.saved(); got.Sweep["orders"].Key != c.is || (len(got.SetAside) == 1) != anew {
					t.Errorf("state %+v", got)
				}
			})
		})
	}
}
