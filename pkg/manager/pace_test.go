package manager_test

import (
	"testing"
	"time"

	"github.com/masixun71/cupid/pkg/chunk"
	"github.com/masixun71/cupid/pkg/manager"
)

func TestSpread(t *testing.T) {
	for _, c := range []struct {
		what                  string
		rows, spent, expected int64
		elapsed, want         time.Duration
	}{
		{"a tenth of the rows takes a tenth of the time", 100, 0, 1000, 0, 6 * time.Minute},
		{"what is late has the time that remains", 100, 0, 1000, 30 * time.Minute, 3 * time.Minute},
		{"what is early has more time", 100, 800, 1000, 0, 30 * time.Minute},
		{"nothing waits when the time is over", 100, 500, 1000, time.Hour, 0},
		{"nor later", 100, 500, 1000, 5 * time.Hour, 0},
		{"more rows than expected keep the pace", 100, 1000, 1000, 50 * time.Minute, 5 * time.Minute},
		{"but not beyond the interval", 500, 1000, 1000, 50 * time.Minute, 10 * time.Minute},
		{"a table of unknown size is not taken for a small one", 5000, 0, 0, 0, 1800 * time.Millisecond},
		{"nor is one that is larger than the server says", 5000, 0, 10, 0, 1800 * time.Millisecond},
		{"no rows take no time", 0, 0, 0, 0, 0},
	} {
		if got := manager.Spread(c.rows, c.spent, c.expected, c.elapsed, time.Hour); got != c.want {
			t.Errorf("%s: %v, want %v", c.what, got, c.want)
		}
	}
}

func TestResize(t *testing.T) {
	for _, c := range []struct {
		what                              string
		now, rows, millisecond, low, high int
	}{
		{"on target", 5000, 5000, 500, 5000, 5000},
		{"fast: grows, and not at once", 5000, 5000, 10, 6000, 8000},
		{"slow: shrinks", 5000, 5000, 5000, 2500, 4000},
		{"never below the least", 500, 500, 60_000, manager.MinRows, manager.MinRows},
		{"never above the most", 50_000, 50_000, 1, manager.MaxRows, manager.MaxRows},
		{"a quick small chunk says nothing", 5000, 10, 1, 5000, 5000},
		{"a slow small one does", 5000, 10, 2000, 2500, 4000},
		{"an unknown time says nothing", 5000, 5000, 0, 5000, 5000},
		{"nor does a chunk of no rows", 5000, 0, 900, 5000, 5000},
	} {
		if got := manager.Resize(c.now, c.rows, c.millisecond); got < c.low || got > c.high {
			t.Errorf("%s: %d, want %d to %d", c.what, got, c.low, c.high)
		}
	}
}

func TestResizeComesToRestAtTheTarget(t *testing.T) {
	for _, perRow := range []time.Duration{60 * time.Microsecond, 100 * time.Microsecond, 400 * time.Microsecond} {
		rows := manager.StartRows
		for range 20 {
			rows = manager.Resize(rows, rows, int((time.Duration(rows) * perRow).Milliseconds()))
		}
		if got := time.Duration(rows) * perRow; got < 450*time.Millisecond || got > 550*time.Millisecond {
			t.Errorf("%v a row: chunks of %d rows take %v, want 0.5 s", perRow, rows, got)
		}
	}
}

func TestChunksShrinkOnASlowServerAndStaySmallAfterAKill(t *testing.T) {
	inBubble(t, func(w *world) {
		t := w.t
		s := newSource()
		s.add(60_000)
		w.sweeps("orders", s).SweepInterval = time.Second
		w.start()
		var last chunk.Chunk
		for range 12 {
			last = w.take()
			w.swept(s, last, time.Duration(last.Rows)*500*time.Microsecond)
		}
		if last.Rows < 900 || last.Rows > 1200 {
			t.Errorf("chunks have %d rows, want those of 0.5 s", last.Rows)
		}
		w.saved()
		w.crash()
		w.start()
		if c := w.take(); c.Rows < 900 || c.Rows > 1200 {
			t.Errorf("after a kill chunks have %d rows", c.Rows)
		}
	})
}

func TestFailureShrinksChunks(t *testing.T) {
	inBubble(t, func(w *world) {
		t := w.t
		s := newSource()
		s.add(60_000)
		w.sweeps("orders", s).SweepInterval = time.Second
		w.start()
		w.ahead()
		out := []chunk.Chunk{w.take(), w.take(), w.take()}
		for _, c := range out { // one outage
			w.m.Done(chunk.Result{Chunk: c.ID, Error: "too slow"})
		}
		for range 5 {
			if c := w.take(); c.Rows == manager.StartRows/2 {
				return
			}
		}
		t.Error("chunks are as large as before")
	})
}

// times are when the chunks of a sweep come, from now on.
func times(w *world, s *source, n int) []time.Duration {
	w.t.Helper()
	start := time.Now()
	var at []time.Duration
	for range n {
		c, ok := w.within(3 * time.Hour)
		if !ok {
			break
		}
		at = append(at, time.Since(start).Round(time.Second))
		w.swept(s, c, 0)
	}
	return at
}

func TestPassIsSpreadOverItsInterval(t *testing.T) {
	inBubble(t, func(w *world) {
		t := w.t
		s := newSource()
		s.add(10*manager.StartRows - 1)
		w.sweeps("orders", s)
		w.start()
		for i, at := range times(w, s, 10) {
			if want := time.Duration(i) * 6 * time.Minute; at < want-10*time.Second || at > want+10*time.Second {
				t.Errorf("chunk %d came after %v, want %v", i, at, want)
			}
		}
	})
}

func TestSecondPassIsSpreadByWhatTheFirstCounted(t *testing.T) {
	inBubble(t, func(w *world) {
		t := w.t
		s := newSource()
		s.add(4*manager.StartRows - 1)
		s.guess = 100_000_000
		w.sweeps("orders", s)
		w.start()
		if at := times(w, s, 4); at[3] > time.Minute {
			t.Errorf("chunks of a table that was thought to be huge came after %v", at)
		}
		pass(t, time.Hour-10*time.Second)
		at := times(w, s, 4)
		if got := at[3] - at[0]; got < 44*time.Minute || got > 46*time.Minute {
			t.Errorf("chunks of the second pass came after %v, want them spread", at)
		}
	})
}

func TestLatePassIsNotSlowerThanItHasToBe(t *testing.T) {
	for _, c := range []struct {
		begun, want time.Duration // ago; until the last chunk
	}{{50 * time.Minute, 9 * time.Minute}, {5 * time.Hour, 0}} {
		t.Run(c.begun.String(), func(t *testing.T) {
			inBubble(t, func(w *world) {
				t := w.t
				s := newSource()
				s.add(10*manager.StartRows - 1)
				w.sweeps("orders", s)
				w.store.state.Sweep = map[string]manager.SweepState{"orders": {Pass: 3, Mode: manager.SweepByKey, Begun: time.Now().Add(-c.begun)}}
				w.start()
				at := times(w, s, 10)
				if got := at[9]; got < c.want-10*time.Second || got > c.want+10*time.Second {
					t.Errorf("chunks came after %v, want the last after %v", at, c.want)
				}
			})
		})
	}
}

func TestRowsPerSecondAreCapped(t *testing.T) {
	for _, once := range []bool{false, true} {
		inBubbleNamed(t, "once", once, func(w *world) {
			t := w.t
			s := newSource()
			s.add(10*manager.StartRows - 1)
			p := w.sweeps("orders", s)
			p.SweepInterval, p.SweepRowPerSecond = time.Second, 2*manager.MinRows
			if once {
				w.once("a")
			}
			w.start()
			if once {
				w.swept(s, w.take(), 0) // of no rows, above the last
			}
			if at := times(w, s, 10); at[9] != 9*time.Second || at[1] != time.Second {
				t.Errorf("chunks came after %v, want one of 1,000 rows each second", at)
			}
		})
	}
}

func TestSweepWaitsWhileAServerIsBusy(t *testing.T) {
	for _, once := range []bool{false, true} {
		for what, load := range map[string]struct {
			threads int
			lag     time.Duration
			says    string
		}{
			"threads": {26, 0, "26 threads run on a server, more than 25"},
			"lag":     {0, 12 * time.Second, "a replica lags behind by 12s, more than 10s"},
		} {
			inBubbleNamed(t, what, once, func(w *world) {
				t := w.t
				s := newSource()
				s.add(3 * manager.StartRows)
				p := w.sweeps("orders", s)
				p.SweepInterval, p.SweepThreadsRunning, p.SweepLag = time.Second, 25, 10*time.Second
				if once {
					w.once("a")
				}
				s.load(load.threads, load.lag)
				w.start()
				if c, ok := w.within(10 * time.Minute); ok {
					t.Fatalf("offered %+v to a busy server", c)
				}
				if got := w.m.Status().SweepWaits["orders"]; got != load.says {
					t.Errorf("status says %q, want %q", got, load.says)
				}
				if told, _ := w.lastTold(); once && told[0].Waiting != load.says {
					t.Errorf("progress %+v, want it to say why it waits", told)
				}
				if got := s.count("pressure"); got > 610 {
					t.Errorf("asked %d times in 10 minutes", got)
				}
				s.load(25, 10*time.Second)
				if c, ok := w.within(2 * time.Second); !ok {
					t.Error("nothing is offered although the load is at its limits")
				} else {
					w.swept(s, c, 0)
				}
				pass(t, time.Second)
				if got := w.m.Status().SweepWaits; len(got) != 0 {
					t.Errorf("status says %q although it goes on", got)
				}
				if got := w.alerted(); len(got) != 0 {
					t.Errorf("alerts %v", got)
				}
			})
		}
	}
}

func TestLoadAtItsLimitAndUnknownLagDoNotStopASweep(t *testing.T) {
	inBubble(t, func(w *world) {
		t := w.t
		s := newSource()
		s.add(10 * manager.StartRows)
		s.noLag = true
		p := w.sweeps("orders", s)
		p.SweepInterval, p.SweepThreadsRunning, p.SweepLag = time.Nanosecond, 25, 10*time.Second
		s.load(25, 0)
		w.start()
		for range 11 {
			w.swept(s, w.take(), 0)
		}
		same(t, s.unlooked(chunk.Sweep), nil)
		if got := s.count("pressure"); got != 1 {
			t.Errorf("asked %d times for the load within a second", got)
		}
	})
}

func TestLimitsThatAreOffAreNotAskedFor(t *testing.T) {
	inBubble(t, func(w *world) {
		t := w.t
		s := newSource()
		s.add(100)
		s.load(1000, time.Hour)
		w.sweeps("orders", s)
		w.start()
		w.sweep(s, time.Minute)
		same(t, s.unlooked(chunk.Sweep), nil)
		if got := s.count("pressure"); got != 0 {
			t.Errorf("asked %d times for the load", got)
		}
	})
}

// Chunks that can be divided where they differ grow further than others.
func TestChunksThatCanBeDividedGrowLarger(t *testing.T) {
	for _, divisible := range []bool{false, true} {
		inBubbleNamed(t, "divisible", divisible, func(w *world) {
			t := w.t
			s := newSource()
			s.divisible = divisible
			s.add(12 * manager.MaxDivisible)
			w.sweeps("orders", s)
			w.once("a")
			w.start()
			largest := 0
			w.swept(s, w.take(), time.Millisecond) // above the last row
			if divisible {
				if first := w.take(); first.Rows != 1 {
					t.Errorf("the first chunk has %d rows, want one, since it has no lower bound", first.Rows)
				} else {
					w.swept(s, first, time.Millisecond)
				}
			}
			for i := range 10 {
				c := w.take()
				if want := map[bool]int{false: manager.StartRows, true: manager.StartDivisible}[divisible]; i == 0 && c.Rows != want {
					t.Errorf("the first chunk has %d rows, want %d", c.Rows, want)
				}
				largest = max(largest, c.Rows)
				w.swept(s, c, time.Millisecond)
			}
			if want := map[bool]int{false: manager.MaxRows, true: manager.MaxDivisible}[divisible]; largest != want {
				t.Errorf("the largest chunk has %d rows, want %d", largest, want)
			}
		})
	}
}
