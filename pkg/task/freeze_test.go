package task_test

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/masixun71/cupid/pkg/chunk"
	"github.com/masixun71/cupid/pkg/event"
)

// A worker that stands still between the two reads of a look compares sides of different
// times. The destination follows all the time, and nobody is called.
func TestG3RowThatMovesBetweenTheReadsIsNoEvent(t *testing.T) {
	version := func(r *rig, n int) {
		r.both(1, "hot", fmt.Sprint("v", n))
	}
	for name, steps := range map[string]struct{ first, settling, second func(r *rig) }{
		"of the first look": {
			first:    func(r *rig) { version(r, 2) },
			settling: func(r *rig) { r.set(source{1, "hot", "v3"}) }, // just before the next look
			second:   func(*rig) {},
		},
		"of the second look": {
			first:    func(*rig) {},
			settling: func(r *rig) { version(r, 1) }, // in time
			second:   func(r *rig) { version(r, 2) },
		},
		"of both": {
			first:    func(r *rig) { version(r, 2) },
			settling: func(*rig) {},
			second:   func(r *rig) { version(r, 3) },
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := start(t, nil)
				r.set(source{1, "hot", "v1"})
				r.copied("hot", "v0")
				r.standStill(func() { steps.first(r) })
				r.give(10)
				after(settle / 2)
				steps.settling(r)
				r.standStill(func() { steps.second(r) })
				after(settle)
				r.world.mu.Lock()
				name := r.src[1].name
				r.world.mu.Unlock()
				r.copied("hot", name)
				after(settle)
				r.want(1)
				if results, _ := r.got(); len(results) > 0 && (results[0].Healed != 1 || results[0].Error != "") {
					t.Errorf("result %+v, want one healed", results[0])
				}
				r.ended()
			})
		})
	}
}

// The first look may be older on the source's side, however it is made; the others are not.
func TestG3FirstLooksAreMarked(t *testing.T) {
	for name, give := range map[string]func(*rig){
		"of a scan":             func(r *rig) { r.give(10) },
		"of a sweep":            (*rig).sweep,
		"of a sweep by buckets": func(r *rig) { r.bucket(chunk.Resolve) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := start(t, nil)
				ctx, cancel := context.WithCancel(t.Context())
				go hot(ctx, r, func(v int) { r.copied("hot", fmt.Sprint("v", v-1)) })
				after(settle / 2)
				give(r)
				after(5 * settle)
				r.want(1, "hot")
				_, events := r.got()
				for i, l := range events[0].Watch {
					if l.SourceFirst != (i == 0) {
						t.Errorf("look %d: source first %t", i, l.SourceFirst)
					}
				}
				cancel()
				r.ended()
			})
		})
	}
}

// The callback worker judges its first look with the one that confirmed the event.
func TestEventHasTheLookThatConfirmedIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, nil)
		r.set(source{1, "a", "x"})
		r.give(10)
		after(settle / 2)
		r.copied("a", "y")
		after(settle)
		r.want(1, "a")
		_, events := r.got()
		if l := events[0].Look; l == nil || l.SourceFirst || l.Destination == 0 || l.Destination == l.Source {
			t.Errorf("look %+v, want that of a row that differs", l)
		}
		r.ended()
	})
}

// The destination is asked for the key that a row had; when it has another one by then,
// that is asked for after it.
func TestG3RowWhoseKeyChanges(t *testing.T) {
	keyed := func(r *rig, n int) { r.set(source{1, fmt.Sprint("key", n), "x"}) }
	t.Run("and is there under the new key", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			r := start(t, nil)
			keyed(r, 1)
			r.give(10)
			after(settle / 2)
			keyed(r, 2)
			r.copied("key2", "x")
			after(settle)
			r.want(1)
			if results, _ := r.got(); results[0].Healed != 1 {
				t.Errorf("result %+v, want one healed", results[0])
			}
			r.ended()
		})
	})
	t.Run("between the reads", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			r := start(t, nil)
			keyed(r, 1)
			r.copied("key1", "y")
			r.give(10)
			after(settle / 2)
			r.standStill(func() { keyed(r, 2); r.copied("key2", "y") })
			after(settle)
			r.want(0)
			after(settle)
			r.want(1, "key2")
			r.ended()
		})
	})
	t.Run("all the time", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			r := start(t, nil)
			ctx, cancel := context.WithCancel(t.Context())
			go func() {
				tick := time.NewTicker(settle)
				defer tick.Stop()
				for n := 0; ; n++ {
					keyed(r, n)
					select {
					case <-tick.C:
					case <-ctx.Done():
						return
					}
				}
			}()
			after(settle / 2)
			r.give(10)
			after(5 * settle)
			r.want(1, "key4")
			_, events := r.got()
			if e := events[0]; len(e.Watch) != 1 || !e.Watch[0].SourceFirst || e.Look != nil || event.Judge(e.Watch) == event.Confirmed {
				t.Errorf("event %+v, want one that is watched, with the one look at this key", e)
			}
			cancel()
			r.ended()
		})
	})
}
