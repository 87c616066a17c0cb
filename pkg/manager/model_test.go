package manager_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/masixun71/cupid/pkg/chunk"
	"github.com/masixun71/cupid/pkg/manager"
)

// model drives a table, a number of task workers and one manager after another
// with the decisions of one random source.
type model struct {
	w    *world
	s    *source
	rnd  *rand.Rand
	scan chunk.Scan
	open []*tx
	out  []chunk.Chunk
}

func (m *model) chance(percent int) bool { return m.rnd.IntN(100) < percent }

// act is one step of what goes on in the table.
func (m *model) act() {
	if m.s.blind { // no transaction may be as old as spans become
		for len(m.open) > 0 && time.Since(m.open[0].started) > 15*time.Second {
			m.open[0].commit()
			m.open = m.open[1:]
		}
	}
	if len(m.open) < 6 && m.chance(50) {
		m.open = append(m.open, m.s.begin())
	}
	if len(m.open) == 0 {
		return
	}
	i := m.rnd.IntN(len(m.open))
	t := m.open[i]
	switch n := m.rnd.IntN(100); {
	case n < 50:
		for range 1 + m.rnd.IntN(4) {
			t.insert()
		}
	case n < 65 && m.scan == chunk.Update && m.s.counter > 0:
		t.write(1 + m.rnd.Int64N(m.s.counter))
	case n < 68:
		m.s.remove(m.s.counter - m.rnd.Int64N(3))
	case n < 72:
		t.rollback()
		m.open = slices.Delete(m.open, i, i+1)
	case n < 82 || n < 98 && time.Since(t.started) < 5*time.Second:
		t.commit()
		m.open = slices.Delete(m.open, i, i+1)
	}
}

// work is one step of what goes on in the task workers.
func (m *model) work() {
	if len(m.out) < 8 && m.chance(70) {
		if c, ok := m.w.within(time.Millisecond); ok {
			m.out = append(m.out, c)
		}
	}
	if len(m.out) == 0 || m.chance(40) {
		return
	}
	i := m.rnd.IntN(len(m.out)) // in any order
	c := m.out[i]
	m.out = slices.Delete(m.out, i, i+1)
	switch n := m.rnd.IntN(100); {
	case n < 5:
		m.w.broke(c)
	case n < 8:
		c.Crashes = 2
		m.w.m.Crashed(c)
	case n < 16:
		m.w.unread(c)
	default:
		m.s.look(c)
		m.w.done(c)
	}
}

func (m *model) run(steps int) {
	for range steps {
		m.act()
		m.work()
		if m.chance(3) {
			m.w.crash()
			m.out = nil
			pass(m.w.t, time.Duration(m.rnd.IntN(20_000))*time.Millisecond)
			m.w.start()
		}
		pass(m.w.t, time.Duration(m.rnd.IntN(600))*time.Millisecond)
	}
}

// settle ends all transactions and lets the manager come to rest.
func (m *model) settle() {
	for _, t := range m.open {
		t.commit()
	}
	for _, c := range m.out {
		m.s.look(c)
		m.w.done(c)
	}
	m.w.work(m.s, 2*time.Minute)
}

// Every row is looked at after it was committed, whatever transactions, workers and
// the manager do, and in whichever order.
func TestG2EveryCommittedRowIsLookedAt(t *testing.T) {
	seeds := uint64(40)
	if testing.Short() {
		seeds = 10
	}
	for _, scan := range []chunk.Scan{chunk.Insert, chunk.Update} {
		for seed := range seeds {
			t.Run(fmt.Sprintf("%s/%d", scan, seed), func(t *testing.T) {
				inBubble(t, func(w *world) {
					t := w.t
					m := &model{w: w, s: newSource(), rnd: rand.New(rand.NewPCG(seed, 9)), scan: scan}
					m.s.blind, m.s.madeUp = seed%4 == 1, seed%4 == 2
					m.s.listAge = time.Duration(seed%3) * time.Second
					w.config.ChunkRows = 1 + m.rnd.IntN(12)
					if scan == chunk.Insert {
						w.inserts("orders", m.s)
					} else {
						w.updates(m.s)
						w.config.Pairs[0].UpdateScan = time.Duration(m.rnd.IntN(6)) * time.Second
					}
					w.config.Pairs[0].InsertLate = 50 * time.Second
					w.start()
					w.work(m.s, 2*time.Second) // the first start is on record
					m.run(300)
					m.settle()
					same(t, m.s.unlooked(scan), nil)
					state := w.saved()
					if late := state.Insert["orders"].Late; len(late) != 0 {
						t.Errorf("late spans %+v are left", late)
					}
					if late := state.Update["orders"].Late; len(late) > manager.MaxLate/4 {
						t.Errorf("%d late spans are left", len(late))
					}
					if len(state.SetAside)+len(state.Owed) != 0 {
						t.Errorf("set aside %+v and owed %+v, and no row was it", state.SetAside, state.Owed)
					}
				})
			})
		}
	}
}
