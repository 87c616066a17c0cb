package manager_test

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/masixun71/cupid/pkg/chunk"
	"github.com/masixun71/cupid/pkg/manager"
)

func TestNothingIsOfferedWithoutDemand(t *testing.T) {
	inBubble(t, func(w *world) {
		t := w.t
		s := newSource()
		s.add(100)
		w.inserts("orders", s)
		w.start()
		pass(t, time.Minute)
		if got := len(w.chunks); got != 0 {
			t.Fatalf("%d chunks were offered unasked", got)
		}
		w.m.Demand(2)
		w.m.Demand(1)
		pass(t, time.Minute)
		if got := len(w.chunks); got != 3 {
			t.Errorf("%d chunks were offered, want the 3 that were asked for", got)
		}
	})
}

func TestG7ChunksOutAreBounded(t *testing.T) {
	inBubble(t, func(w *world) {
		t := w.t
		s := newSource()
		s.add(2000)
		w.inserts("orders", s)
		w.start()
		w.m.Demand(1000)
		pass(t, time.Minute)
		if got := len(w.chunks); got != manager.MaxOpen {
			t.Errorf("%d chunks are out, want %d", got, manager.MaxOpen)
		}
		w.done(<-w.chunks)
		pass(t, time.Second)
		if got := len(w.chunks); got != manager.MaxOpen {
			t.Errorf("%d chunks are out after one was done, want %d", got, manager.MaxOpen)
		}
	})
}

func TestPairsTakeTurns(t *testing.T) {
	inBubble(t, func(w *world) {
		t := w.t
		for _, name := range []string{"a", "b", "c"} {
			s := newSource()
			s.add(1000)
			w.inserts(name, s)
		}
		w.start()
		got := map[string]int{}
		for range 90 {
			c := w.take()
			got[c.Pair]++
			w.done(c)
			synctest.Wait()
		}
		if fewest := slices.Min(slices.Collect(maps.Values(got))); len(got) != 3 || fewest < 28 {
			t.Errorf("chunks by pair %v, want about 30 of each", got)
		}
	})
}

func TestStateOfAPairThatIsNotConfiguredIsKept(t *testing.T) {
	inBubble(t, func(w *world) {
		t := w.t
		s := newSource()
		s.add(5)
		w.inserts("orders", s)
		cursor := "77"
		mark := time.Now().Add(-time.Hour)
		w.store.state = manager.State{
			Insert: map[string]manager.InsertState{"gone": {Cursor: &cursor, Late: []manager.Late{{UpTo: "70"}}}},
			Update: map[string]manager.UpdateState{"gone": {Watermark: mark}},
		}
		w.start()
		w.work(s, 5*time.Second)
		got := w.saved()
		if c := got.Insert["gone"]; c.Cursor == nil || *c.Cursor != "77" || len(c.Late) != 1 {
			t.Errorf("insert state %+v of the other pair, want it untouched", c)
		}
		if !got.Update["gone"].Watermark.Equal(mark) {
			t.Errorf("update state %+v of the other pair, want it untouched", got.Update["gone"])
		}
		if w.store.cursor() != "5" {
			t.Errorf("cursor of orders %q", w.store.cursor())
		}
	})
}

func TestPairThatIsNotOwnedIsNotScanned(t *testing.T) {
	inBubble(t, func(w *world) {
		t := w.t
		s := newSource()
		s.add(5)
		w.inserts("orders", s)
		var owned atomic.Bool
		w.config.Owner = owner(func(string) bool { return owned.Load() })
		w.start()
		same(t, w.work(s, time.Minute), nil)
		if got := s.count("head"); got != 0 {
			t.Errorf("the source was asked %d times", got)
		}
		owned.Store(true)
		w.work(s, 5*time.Second)
		same(t, s.unlooked(chunk.Insert), nil)
	})
}

func TestOrderlyEndWritesTheCursor(t *testing.T) {
	inBubble(t, func(w *world) {
		t := w.t
		s := newSource()
		s.add(5)
		w.inserts("orders", s)
		w.start()
		w.done(w.take())
		synctest.Wait()
		w.stop()
		if got := w.store.cursor(); got != "5" {
			t.Errorf("cursor %q, want 5", got)
		}
	})
}

func TestOfferThatFailsEndsTheManager(t *testing.T) {
	inBubble(t, func(w *world) {
		t := w.t
		s := newSource()
		s.add(5)
		w.inserts("orders", s)
		gone := errors.New("the master is gone")
		w.config.Offer = func(context.Context, chunk.Chunk) error { return gone }
		w.start()
		w.m.Demand(1)
		if err := <-w.ended; !errors.Is(err, gone) {
			t.Errorf("Run: %v, want %v", err, gone)
		}
		w.m = nil
	})
}

func TestUnreadableStateIsAnError(t *testing.T) {
	broken := errors.New("torn")
	if _, err := manager.New(manager.Config{Cursors: unreadable{broken}}); !errors.Is(err, broken) {
		t.Errorf("New: %v, want %v", err, broken)
	}
}

type unreadable struct{ err error }

func (u unreadable) Load() (manager.State, error) { return manager.State{}, u.err }
func (u unreadable) Save(manager.State) error     { return nil }

func TestStepsAreMadeWhileThereIsNothingToDo(t *testing.T) {
	inBubble(t, func(w *world) {
		t := w.t
		w.inserts("orders", newSource())
		w.start()
		pass(t, 10*time.Second+time.Millisecond)
		w.mu.Lock()
		defer w.mu.Unlock()
		if w.steps < 10 {
			t.Errorf("%d steps in 10 s, want at least one a second", w.steps)
		}
	})
}

func TestStatusCountsLateSpans(t *testing.T) {
	inBubble(t, func(w *world) {
		t := w.t
		s := newSource()
		w.inserts("orders", s)
		late := s.begin()
		late.insert()
		s.add(3)
		w.start()
		w.work(s, 5*time.Second)
		got := w.m.Status()
		if c := got.State.Insert["orders"].Cursor; got.LateSpans != 1 || c == nil || *c != "4" {
			t.Errorf("status %+v, want the cursor 4 and one late span", got)
		}
		late.rollback()
	})
}

func TestChunkIDsOfTwoManagersDiffer(t *testing.T) {
	inBubble(t, func(w *world) {
		t := w.t
		s := newSource()
		s.add(30)
		w.inserts("orders", s)
		w.start()
		ids := []string{w.take().ID, w.take().ID}
		w.crash()
		w.start()
		ids = append(ids, w.take().ID, w.take().ID)
		slices.Sort(ids)
		if got := len(slices.Compact(ids)); got != 4 {
			t.Errorf("ids %v, want four", ids)
		}
	})
}

// A pair that is taken out of the configuration and put in again goes on where it was, or
// what came meanwhile would be missed. While it is out, nothing of it waits.
func TestG2PairThatComesBackGoesOnWhereItWas(t *testing.T) {
	inBubble(t, func(w *world) {
		t := w.t
		s, other := newSource(), newSource()
		s.blind = true
		s.add(20)
		w.inserts("orders", s)
		w.inserts("users", other)
		w.start()
		w.work(s, 5*time.Second)
		if got := w.saved().Insert["orders"]; got.Cursor == nil || *got.Cursor != "20" || w.m.Status().LateSpans == 0 {
			t.Fatalf("state %+v with %d late spans, want the cursor at 20 and some", got, w.m.Status().LateSpans)
		}
		w.stop()
		both := w.config.Pairs
		w.config.Pairs = both[1:]
		w.start()
		other.add(5)
		w.work(other, 24*time.Hour)
		if got := w.m.Status().LateSpans; got != len(w.saved().Insert["users"].Late) {
			t.Errorf("%d late spans, want those of the pair that is configured", got)
		}
		s.add(3)
		w.stop()
		w.config.Pairs = both
		w.start()
		c := w.take()
		for c.Pair != "orders" || c.After == nil || *c.After != (chunk.Position{ID: "20"}) { // but for a last look at what was late
			s.look(c)
			w.done(c)
			c = w.take()
		}
		if c.UpTo.ID != "23" {
			t.Errorf("went on with %s, want what came meanwhile", c)
		}
	})
}
