package manager_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/masixun71/cupid/pkg/chunk"
	"github.com/masixun71/cupid/pkg/manager"
)

func TestG6FailedChunkIsOfferedAgainWhenBothSidesAnswer(t *testing.T) {
	inBubble(t, func(w *world) {
		t := w.t
		away, healthy := newSource(), newSource()
		away.add(50)
		healthy.add(5)
		var down atomic.Bool
		var probes []time.Duration
		start := time.Now()
		away.fail = func(op string) error {
			if op == "ping" {
				w.mu.Lock()
				probes = append(probes, time.Since(start))
				w.mu.Unlock()
				if down.Load() {
					return errAway
				}
			}
			return nil
		}
		w.inserts("away", away)
		w.inserts("healthy", healthy)
		w.start()
		var failed []chunk.Chunk
		for len(failed) < 2 {
			if c := w.take(); c.Pair == "away" {
				failed = append(failed, c)
			} else {
				healthy.look(c)
				w.done(c)
			}
		}
		down.Store(true)
		for _, c := range failed {
			w.broke(c)
		}
		healthy.add(5)
		for end := time.Now().Add(2 * time.Minute); time.Now().Before(end); {
			if c, ok := w.within(time.Second); ok {
				if c.Pair == "away" {
					t.Fatalf("chunk %s was offered while a side is away", c)
				}
				healthy.look(c)
				w.done(c)
			}
		}
		same(t, healthy.unlooked(chunk.Insert), nil)
		down.Store(false)
		var offered []string
		for range 3 { // one more had been cut before the outage
			offered = append(offered, w.take().ID)
		}
		for _, c := range failed {
			if !slices.Contains(offered, c.ID) {
				t.Errorf("offered %v, want the failed %s again", offered, c.ID)
			}
		}
		if got := w.alerted(); !slices.Equal(got, []string{"pair stopped", "pair goes on"}) {
			t.Errorf("alerts %v, want one for the outage and one for its end", got)
		}
		w.mu.Lock()
		defer w.mu.Unlock()
		probes = probes[1:] // the first of a lane, before it offers anything
		for i := 1; i < len(probes)-1; i++ {
			a, b := probes[i]-probes[i-1], probes[i+1]-probes[i]
			if b < a && b < 20*time.Second || b > 30*time.Second {
				t.Errorf("waits of %v and %v between probes, want them to grow up to 30 s", a, b)
			}
		}
		if got := len(probes); got < 7 || got > 16 {
			t.Errorf("%d probes in two minutes", got)
		}
	})
}

func TestShortOutageOfManyChunksStopsAPairForAMomentOnly(t *testing.T) {
	inBubble(t, func(w *world) {
		t := w.t
		s := newSource()
		s.add(200)
		w.inserts("orders", s)
		w.start()
		var out []chunk.Chunk
		for range 16 {
			out = append(out, w.take())
		}
		for _, c := range out {
			w.broke(c)
		}
		if _, ok := w.within(2 * time.Second); !ok {
			t.Error("nothing was offered for 2 s after an outage of a moment")
		}
		if got := w.alerted(); len(got) != 0 {
			t.Errorf("alerts %v for one outage", got)
		}
	})
}

// A worker that is yet to be renewed in a reload has another configuration.
func TestChunkThatDoesNotFitIsOfferedUntilItDoes(t *testing.T) {
	inBubble(t, func(w *world) {
		s := newSource()
		s.add(100)
		w.inserts("orders", s)
		w.config.Pairs[0].Fingerprint = "new"
		w.start()
		unfit := func(c chunk.Chunk) {
			w.m.Done(chunk.Result{Chunk: c.ID, Pair: c.Pair, Error: "not like that", Unfit: true})
		}
		c := w.take()
		if c.Config != "new" {
			t.Errorf("the chunk is of configuration %q", c.Config)
		}
		for range 5 { // more than there are failures before an alert
			unfit(c)
			c = w.take()
		}
		if got := w.alerted(); len(got) > 0 {
			t.Errorf("alerts %v, want none", got)
		}
		for end := time.Now().Add(20 * time.Minute); time.Now().Before(end); {
			unfit(c)
			c = w.take()
		}
		if got := w.alerted(); !slices.Equal(got, []string{"pair stopped"}) {
			t.Errorf("alerts %v, want one when no worker is renewed", got)
		}
		s.look(c)
		w.done(c)
		w.work(s, 2*time.Minute)
		same(t, s.unlooked(chunk.Insert), nil)
	})
}

// A connection that breaks is no fault of the rows, so the chunk stays whole.
func TestChunkThatNeverArrivesWaitsLongerAndIsToldOnce(t *testing.T) {
	inBubble(t, func(w *world) {
		t := w.t
		s := newSource()
		s.add(100)
		w.inserts("orders", s)
		w.start()
		bad := w.take()
		w.broke(bad)
		tries, others := 0, 0
		for end := time.Now().Add(10 * time.Minute); time.Now().Before(end); {
			c, ok := w.within(time.Second)
			switch {
			case !ok:
			case c.ID == bad.ID:
				tries++
				w.broke(c)
			default:
				others++
				s.look(c)
				w.done(c)
			}
		}
		if tries < 10 || tries > 40 {
			t.Errorf("tried %d times in 10 minutes, want waits that grow to 30 s", tries)
		}
		if others < 9 {
			t.Errorf("only %d other chunks were offered meanwhile", others)
		}
		if got := w.alerted(); !slices.Equal(got, []string{"pair stopped"}) {
			t.Errorf("alerts %v, want one", got)
		}
		if got := w.store.cursor(); got != "" {
			t.Errorf("cursor %q passed the chunk that fails", got)
		}
		c := w.take()
		s.look(c)
		w.done(c)
		w.work(s, 10*time.Second)
		same(t, s.unlooked(chunk.Insert), nil)
		if got := w.alerted(); !slices.Equal(got, []string{"pair stopped", "pair goes on"}) {
			t.Errorf("alerts %v, want also the end", got)
		}
	})
}

func TestG7StuckChunkBoundsWhatIsAheadOfIt(t *testing.T) {
	inBubble(t, func(w *world) {
		t := w.t
		s := newSource()
		s.add(manager.MaxAhead + 200)
		w.config.ChunkRows = 1
		w.inserts("orders", s)
		w.start()
		stuck := w.take()
		ahead := 1
		for {
			c, ok := w.within(time.Minute)
			if !ok {
				break
			}
			ahead++
			w.done(c)
		}
		if ahead != manager.MaxAhead {
			t.Errorf("%d chunks were cut beyond one that is stuck, want %d", ahead, manager.MaxAhead)
		}
		w.done(stuck)
		w.take()
	})
}

// fleet is a number of task workers of which those die that compare a row of poison.
func fleet(w *world, s *source, poison map[int64]bool, d time.Duration) (deaths int) {
	for end := time.Now().Add(d); time.Now().Before(end); {
		c, ok := w.within(time.Until(end))
		for ok {
			s.mu.Lock()
			dies := slices.ContainsFunc(s.within(c), func(l *line) bool { return poison[l.id] })
			s.mu.Unlock()
			if !dies {
				s.look(c)
				w.done(c)
				break
			}
			deaths++
			if c.Crashes++; c.Crashes >= 2 {
				w.m.Crashed(c)
				break
			}
		}
	}
	return deaths
}

func TestG6RowThatKillsWorkersIsSetAsideAndTheRestGoesOn(t *testing.T) {
	for _, scan := range []chunk.Scan{chunk.Insert, chunk.Update} {
		t.Run(string(scan), func(t *testing.T) {
			inBubble(t, func(w *world) {
				t := w.t
				s := newSource()
				s.add(100)
				w.config.ChunkRows = 32
				if scan == chunk.Insert {
					w.inserts("orders", s)
				} else {
					w.updates(s)
				}
				w.start()
				deaths := fleet(w, s, map[int64]bool{37: true, 38: true}, 30*time.Second)
				same(t, s.unlooked(scan), []int64{37, 38})
				var aside []int64
				for _, a := range w.saved().SetAside {
					aside = append(aside, number(a.Chunk.UpTo.ID))
				}
				slices.Sort(aside)
				if !slices.Equal(aside, []int64{37, 38}) {
					t.Errorf("set aside %v, want 37 and 38, each once", aside)
				}
				if deaths > 200 {
					t.Errorf("%d workers died", deaths)
				}
			})
		})
	}
}

// What is set aside kills nobody any more, whichever chunk it is in, until it is given
// back; then it is compared.
func TestG6RowThatIsSetAsideIsLeftOutUntilItIsGivenBack(t *testing.T) {
	for _, scan := range []chunk.Scan{chunk.Insert, chunk.Update, chunk.Sweep} {
		t.Run(string(scan), func(t *testing.T) {
			inBubble(t, func(w *world) {
				t := w.t
				s := newSource()
				s.add(50)
				pair := "orders"
				switch scan {
				case chunk.Insert:
					w.inserts(pair, s)
				case chunk.Sweep:
					w.sweeps(pair, s).SweepInterval = time.Minute
				case chunk.Update:
					w.updates(s)
					pair = w.config.Pairs[0].Name
				}
				w.start()
				poison := map[int64]bool{37: true}
				fleet(w, s, poison, 5*time.Minute)
				same(t, s.unlooked(scan), []int64{37})
				if deaths := fleet(w, s, poison, 5*time.Minute); deaths > 0 {
					t.Errorf("%d workers died of a row that is set aside", deaths)
				}
				w.m.Retry(manager.GiveBack{Pair: pair, Row: "38"}) // is not set aside
				w.m.Retry(manager.GiveBack{Pair: pair, Row: "37"})
				if deaths := fleet(w, s, poison, time.Minute); deaths < 3 || len(w.saved().SetAside) != 1 {
					t.Errorf("%d workers died of the row that was given back, and %v is set aside", deaths, w.saved().SetAside)
				}
				w.m.Retry(manager.GiveBack{Pair: pair, Row: "37"})
				fleet(w, s, nil, time.Minute)
				same(t, s.unlooked(scan), nil)
				if got := w.saved().SetAside; len(got) > 0 {
					t.Errorf("still set aside: %v", got)
				}
			})
		})
	}
}

func TestOneDeathDoesNotSetARowAside(t *testing.T) {
	inBubble(t, func(w *world) {
		t := w.t
		s := newSource()
		s.add(2)
		w.inserts("orders", s)
		w.start()
		c := w.take()
		c.Crashes = 2
		w.m.Crashed(c)
		half, other := w.take(), w.take()
		if half.Rows != 1 || half.Crashes != 1 || half.UpTo.ID != "1" || other.After == nil || other.After.ID != "1" || other.UpTo.ID != "2" {
			t.Fatalf("halves %+v and %+v", half, other)
		}
		half.Crashes = 2 // the first death that is its own
		w.m.Crashed(half)
		again := w.take()
		if again.ID != half.ID || again.Crashes != 2 {
			t.Fatalf("offered %+v, want %+v again", again, half)
		}
		s.look(again)
		w.done(again)
		s.look(other)
		w.done(other)
		w.work(s, 10*time.Second)
		same(t, s.unlooked(chunk.Insert), nil)
		if got := w.saved().SetAside; len(got) != 0 {
			t.Errorf("set aside %+v", got)
		}
	})
}

func TestRowsThatCameAfterTheCutAreNotSetAsideWithTheirNeighbour(t *testing.T) {
	inBubble(t, func(w *world) {
		t := w.t
		s := newSource()
		s.put(2, 10)
		w.inserts("orders", s)
		w.start()
		c := w.take() // of two rows
		s.put(1, 3, 4, 5, 6)
		c.Crashes = 2
		w.m.Crashed(c)
		fleet(w, s, map[int64]bool{10: true}, 30*time.Second)
		same(t, s.unlooked(chunk.Insert), []int64{10})
	})
}

func TestCrashedChunkWhoseRowsAreGoneIsDone(t *testing.T) {
	inBubble(t, func(w *world) {
		t := w.t
		s := newSource()
		s.add(20)
		w.inserts("orders", s)
		w.start()
		c := w.take()
		s.remove(numbers(1, 10)...)
		c.Crashes = 2
		w.m.Crashed(c)
		w.work(s, 10*time.Second)
		w.saved()
		if got := w.store.cursor(); got != "20" {
			t.Errorf("cursor %q, want 20", got)
		}
		if got := w.store.saved().SetAside; len(got) != 0 {
			t.Errorf("set aside %+v", got)
		}
	})
}

func TestCrashedChunkIsHalvedWhenTheSourceAnswers(t *testing.T) {
	inBubble(t, func(w *world) {
		t := w.t
		s := newSource()
		s.add(10)
		w.inserts("orders", s)
		var down atomic.Bool
		s.fail = func(op string) error {
			if op == "cut" && down.Load() {
				return errAway
			}
			return nil
		}
		w.start()
		c := w.take()
		down.Store(true)
		c.Crashes = 2
		w.m.Crashed(c)
		if c, ok := w.within(10 * time.Second); ok {
			t.Fatalf("offered %s, which nobody could halve", c)
		}
		down.Store(false)
		if got := w.take(); got.Rows != 5 {
			t.Errorf("offered %+v, want the first half", got)
		}
	})
}

func TestSaveThatFailsDoesNotStopTheScans(t *testing.T) {
	inBubble(t, func(w *world) {
		t := w.t
		s := newSource()
		s.add(30)
		var full atomic.Bool
		full.Store(true)
		w.store.fail = func() error {
			if full.Load() {
				return errors.New("no space left on device")
			}
			return nil
		}
		w.inserts("orders", s)
		w.start()
		w.work(s, 20*time.Second)
		s.add(5)
		w.work(s, 20*time.Second)
		same(t, s.unlooked(chunk.Insert), nil)
		if got := w.alerted(); !slices.Equal(got, []string{"cursors not written"}) {
			t.Errorf("alerts %v, want one", got)
		}
		full.Store(false)
		w.saved()
		if got := w.store.cursor(); got != "35" {
			t.Errorf("cursor %q once the disk has room, want 35", got)
		}
	})
}

func TestSourceThatCannotBeReadIsTriedAgain(t *testing.T) {
	for _, op := range []string{"clock", "head", "gives", "cut"} {
		t.Run(op, func(t *testing.T) {
			inBubble(t, func(w *world) {
				t := w.t
				s := newSource()
				s.add(5)
				left := manager.AlertFailures + 1
				s.fail = func(called string) error {
					if called == op && left > 0 {
						left--
						return errAway
					}
					return nil
				}
				w.inserts("orders", s)
				w.start()
				w.work(s, 5*time.Minute)
				same(t, s.unlooked(chunk.Insert), nil)
				if got := w.alerted(); !slices.Equal(got, []string{"pair stopped", "pair goes on"}) {
					t.Errorf("alerts %v", got)
				}
			})
		})
	}
}

// A driver may say that something was cancelled although nobody stops the manager.
func TestForeignCancelIsAFailureLikeAnother(t *testing.T) {
	inBubble(t, func(w *world) {
		t := w.t
		s := newSource()
		s.add(5)
		s.fail = func(op string) error {
			if op == "cut" && s.count("cut") < 4 {
				return fmt.Errorf("read: %w", context.Canceled)
			}
			return nil
		}
		w.inserts("orders", s)
		w.start()
		w.work(s, 20*time.Second)
		same(t, s.unlooked(chunk.Insert), nil)
	})
}

func TestG6SourceThatHangsHoldsUpNobodyElse(t *testing.T) {
	inBubble(t, func(w *world) {
		t := w.t
		hangs, healthy := newSource(), newSource()
		hangs.add(1000)
		healthy.add(5)
		release := make(chan struct{})
		var hang atomic.Bool
		hangs.fail = func(string) error {
			if hang.Load() {
				<-release
			}
			return nil
		}
		w.inserts("hangs", hangs)
		w.inserts("healthy", healthy)
		w.start()
		var out []chunk.Chunk
		for len(out) < 20 {
			if c := w.take(); c.Pair == "hangs" {
				out = append(out, c)
			} else {
				healthy.look(c)
				w.done(c)
			}
		}
		hang.Store(true)
		for _, c := range out {
			w.done(c)
		}
		for range 300 { // more than any channel would hold
			w.m.Done(chunk.Result{Chunk: out[0].ID})
		}
		healthy.add(5)
		for end := time.Now().Add(time.Minute); time.Now().Before(end); {
			if c, ok := w.within(time.Second); ok && c.Pair == "healthy" {
				healthy.look(c)
				w.done(c)
			}
		}
		same(t, healthy.unlooked(chunk.Insert), nil)
		close(release)
	})
}

func TestSetAsideRowsAreBoundedAndKeptOnce(t *testing.T) {
	inBubble(t, func(w *world) {
		t := w.t
		s := newSource()
		s.add(manager.MaxSetAside + 20)
		w.config.ChunkRows = 1
		w.inserts("orders", s)
		w.start()
		for range 10 {
			for range manager.MaxAhead {
				c, ok := w.within(3 * time.Second)
				if !ok {
					break
				}
				c.Crashes = manager.CrashesSetAside
				w.m.Crashed(c)
			}
		}
		got := w.saved().SetAside
		if len(got) != manager.MaxSetAside {
			t.Errorf("%d rows set aside, want the last %d", len(got), manager.MaxSetAside)
		}
		seen := map[string]bool{}
		for _, a := range got {
			if seen[a.Chunk.UpTo.ID] {
				t.Fatalf("row %s is set aside twice", a.Chunk.UpTo.ID)
			}
			seen[a.Chunk.UpTo.ID] = true
		}
	})
}

func TestLaneAtRestDoesNotSpin(t *testing.T) {
	inBubble(t, func(w *world) {
		t := w.t
		s := newSource()
		s.add(5)
		w.inserts("orders", s)
		asked := 0
		w.inserts("foreign", newSource())
		w.config.Owner = owner(func(pair string) bool {
			if pair == "foreign" {
				asked++
			}
			return pair == "orders"
		})
		w.start()
		w.take() // and is never done
		pass(t, time.Minute)
		synctest.Wait()
		if asked < 20 || asked > 40 {
			t.Errorf("asked %d times in a minute whether a pair is owned, want once in an interval", asked)
		}
	})
}
