package manager_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/masixun71/cupid/pkg/manager"
)

// lose tells the manager that events were lost now.
func (w *world) lose(pair string) time.Time {
	pass(w.t, time.Millisecond)
	now := time.Now()
	w.m.SweepAgain(map[string]time.Time{pair: now})
	synctest.Wait()
	return now
}

func TestG1LostEventsAreSweptAtOnce(t *testing.T) {
	for _, name := range []string{"orders", ""} {
		t.Run("pair "+name, func(t *testing.T) {
			inBubble(t, func(w *world) {
				t := w.t
				s := newSource()
				s.add(2*manager.StartRows + 2000)
				w.sweeps("orders", s)
				w.start()
				wantPass(t, w.sweep(s, 59*time.Minute), 1)
				w.lose("another")
				if c, ok := w.within(10 * time.Second); ok {
					t.Fatalf("offered %+v for events of another pair", c)
				}
				lost := w.lose(name)
				wantPass(t, w.sweep(s, 20*time.Second), 2) // the interval is an hour
				if got := w.saved().Sweep["orders"]; got.Pass != 2 || got.Ended.IsZero() || !got.Urgent || got.Begun.Before(lost) {
					t.Errorf("state %+v, want a complete second pass that began after the loss", got)
				}
				w.m.SweepAgain(map[string]time.Time{name: lost}) // said again
				if c, ok := w.within(30 * time.Minute); ok {
					t.Errorf("offered %+v for a loss that was swept", c)
				}
			})
		})
	}
}

func TestG1LossWhileSweepingBeginsThePassAgain(t *testing.T) {
	inBubble(t, func(w *world) {
		t := w.t
		s := newSource()
		s.add(2*manager.StartRows + 2000)
		w.sweeps("orders", s)
		w.start()
		w.swept(s, w.take(), 0)
		lost := w.lose("orders")
		chunk := w.take()
		if chunk.Salt != 2 || chunk.After != nil {
			t.Fatalf("offered %+v, want the first of pass 2", chunk)
		}
		// More is lost: the urgent pass goes on, and another follows it.
		again := w.lose("orders")
		w.swept(s, chunk, 0)
		w.saved()
		w.crash()
		w.start()
		w.m.SweepAgain(map[string]time.Time{"orders": again})
		rest := w.sweep(s, 10*time.Second)
		if len(rest) != 5 || rest[0].Salt != 2 || rest[0].After == nil {
			t.Fatalf("offered %+v, want the rest of pass 2 and then pass 3", rest)
		}
		wantPass(t, rest[2:], 3)
		got := w.saved().Sweep["orders"]
		if got.Pass != 3 || got.Begun.Before(again) || !again.After(lost) || got.Ended.IsZero() {
			t.Errorf("state %+v, want a complete third pass that began after %v", got, again)
		}
	})
}

func TestLossInTheFutureIsOneOfNow(t *testing.T) {
	inBubble(t, func(w *world) {
		t := w.t
		s := newSource()
		s.add(100)
		w.sweeps("orders", s)
		w.start()
		w.swept(s, w.take(), 0)
		pass(t, time.Minute)
		w.m.SweepAgain(map[string]time.Time{"": time.Now().AddDate(1, 0, 0)})
		w.swept(s, w.take(), 0)
		if c, ok := w.within(30 * time.Minute); ok {
			t.Errorf("offered %+v, want one pass", c)
		}
	})
}
