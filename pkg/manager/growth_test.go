package manager_test

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/masixun71/cupid/pkg/chunk"
)

// An update scan that is behind goes on in larger chunks where these are compared by checksums,
// and every pass begins with small ones. Each look has a salt of its own.
func TestAnUpdateScanThatIsBehindGoesOnInLargerChunks(t *testing.T) {
	for _, divisible := range []bool{false, true} {
		inBubbleNamed(t, "divisible", divisible, func(w *world) {
			t := w.t
			s := newSource()
			s.divisible = divisible
			s.add(100)
			w.updates(s)
			w.start()
			salts := map[uint32]bool{}
			take := func(n int) (rows []int64) {
				for n > 0 {
					c := w.take()
					n -= c.Rows
					rows = append(rows, int64(c.Rows))
					salts[c.Salt] = true
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
			same(t, take(100), behind) // since it reaches back
			if len(salts) != 2 {
				t.Errorf("%d salts in two passes, want one in each", len(salts))
			}
			w.work(s, 2*time.Minute)
			s.put(numbers(1, 15)...)
			same(t, take(15), []int64{10, 5})
			same(t, s.unlooked(chunk.Update), nil)
		})
	}
}

// A pass of few rows asks nobody whether there are checksums.
func TestAScanThatIsLevelDoesNotAskForThePlan(t *testing.T) {
	inBubble(t, func(w *world) {
		t := w.t
		s := newSource()
		s.divisible = true
		w.inserts("orders", s)
		w.updates(s)
		w.start()
		for range 20 {
			s.add(5)
			w.work(s, 10*time.Second)
		}
		if got := s.count("sweep"); got != 0 {
			t.Errorf("asked %d times", got)
		}
	})
}

// The parts of a chunk that kills its workers do not grow, whatever the chunks do that are cut
// meanwhile: each row is compared, or set aside by its own name.
func TestG6AChunkIsHalvedWhileItsScanIsBehind(t *testing.T) {
	for _, scan := range []chunk.Scan{chunk.Insert, chunk.Update} {
		t.Run(string(scan), func(t *testing.T) {
			inBubble(t, func(w *world) {
				t := w.t
				s := newSource()
				s.divisible = true
				s.add(3000)
				if scan == chunk.Insert {
					w.inserts("orders", s)
				} else {
					w.updates(s)
				}
				w.start()
				const killer = 2
				kills := func(c chunk.Chunk) bool { return slices.Contains(s.look(c), killer) }
				deadly := w.take()
				for deadly.Rows > 1 {
					for next := range slices.Values([]chunk.Chunk{w.take(), w.take()}) { // one at least is cut now, and full
						w.done(next)
					}
					deadly.Crashes = max(deadly.Crashes+1, 2)
					w.m.Crashed(deadly)
					synctest.Wait()
					was := deadly
					for deadly.ID == was.ID {
						if c := w.take(); kills(c) {
							deadly = c
						} else {
							w.done(c)
						}
					}
					if deadly.Rows >= was.Rows || len(w.saved().SetAside) > 0 {
						t.Fatalf("a half of %+v is %+v, set aside %v", was, deadly, w.store.saved().SetAside)
					}
				}
				for deadly.Crashes = 3; len(w.saved().SetAside) == 0; {
					w.m.Crashed(deadly)
				}
				if got := w.saved().SetAside; got[0].Chunk.UpTo.ID != "2" || got[0].Chunk.Rows != 1 {
					t.Errorf("set aside %+v, want row 2", got)
				}
			})
		})
	}
}
