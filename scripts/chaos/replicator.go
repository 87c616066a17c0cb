package main

import (
	"container/heap"
	"context"
	"math/rand/v2"
	"strings"
	"sync"
	"time"
)

// settle is how late a row may be, as cupid is told. It leaves what is late on purpose, which stays below calmLag of it,
// much more time than it needs: the machine may be busy.
const settle = 2 * time.Second

const (
	// calmLag is how late calm rows are at most, as a part of settle.
	calmLag = 0.6
	// spoilPercent is how many of the changes of other rows are spoilt, edgePercent how many are late by about settle.
	spoilPercent, edgePercent = 10, 10
	// rotEvery is how often a row of a swept copy rots: it changes without any change of the source.
	rotEvery = 700 * time.Millisecond
)

// fate is what the replicator does with a change.
type fate int

const (
	undecided fate = iota
	copies         // brings it to the copy, late
	drop           // loses it
	late           // brings it much too late
	disorder       // brings it much too late, after newer changes of the row
	corrupt        // brings another value
	swap           // mixes it up with that of another row
)

// shipment is a change on its way to the copy.
type shipment struct {
	item      *item
	value     value
	fate      fate
	committed time.Time
	due       time.Time
	order     int
}

// shipments is a heap, the first one due first.
type shipments []shipment

func (s shipments) Len() int      { return len(s) }
func (s shipments) Swap(i, j int) { s[i], s[j] = s[j], s[i] }
func (s shipments) Less(i, j int) bool {
	if c := s[i].due.Compare(s[j].due); c != 0 {
		return c < 0
	}
	return s[i].order < s[j].order
}
func (s *shipments) Push(x any) { *s = append(*s, x.(shipment)) }
func (s *shipments) Pop() any {
	last := (*s)[len(*s)-1]
	*s = (*s)[:len(*s)-1]
	return last
}

// replicator brings the changes of one table to its copy, those of a row in their order, unless it spoils them.
type replicator struct {
	*world
	table *table
	kick  chan struct{} // one: there is something new

	mu    sync.Mutex // guards all below
	dice  *rand.Rand
	road  shipments
	taken int
	ended bool // nothing more is taken
}

func newReplicator(w *world, t *table, seed uint64) *replicator {
	return &replicator{world: w, table: t, dice: dice(seed, "replicator "+t.name), kick: make(chan struct{}, 1)}
}

// take decides on a change that was committed, and puts it on the road.
func (r *replicator) take(i *item, v value, f fate, committed time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	lag := between(r.dice, settle/50, time.Duration(calmLag*float64(settle)))
	if f == undecided {
		f, lag = r.decide(i, lag)
	}
	s := shipment{item: i, value: v, fate: f, committed: committed, due: committed.Add(lag), order: r.taken}
	r.taken++
	switch {
	case f == drop:
		kind := "lost"
		if !v.there {
			kind = "left over"
		}
		r.table.planted(kind, i, committed)
		return
	case f == disorder:
		r.table.planted("out of order", i, committed)
	case s.due.Before(i.due):
		s.due = i.due // behind the one before
		fallthrough
	default:
		i.due = s.due
	}
	if f == late {
		r.table.planted("much too late", i, committed)
	}
	heap.Push(&r.road, s)
	r.wake()
}

// decide throws the dice for a change.
func (r *replicator) decide(i *item, lag time.Duration) (fate, time.Duration) {
	if i.calm {
		return copies, lag
	}
	switch n := r.dice.IntN(100); {
	case n < spoilPercent:
		f := []fate{drop, late, disorder, corrupt, swap}[r.dice.IntN(5)]
		if f == late || f == disorder {
			lag = between(r.dice, settle*3/2, settle*5/2)
		}
		return f, lag
	case n < spoilPercent+edgePercent:
		return copies, between(r.dice, settle*4/5, settle*6/5)
	}
	return copies, lag
}

func (r *replicator) wake() {
	select {
	case r.kick <- struct{}{}:
	default:
	}
}

// end says that nothing more is coming.
func (r *replicator) end() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ended = true
	r.wake()
}

// next is what is due. While nothing is, it says how long; over says that nothing will be.
func (r *replicator) next() (s shipment, due, over bool, wait time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.road) == 0 {
		return s, false, r.ended, time.Hour
	}
	if wait = time.Until(r.road[0].due); wait > 0 {
		return s, false, false, wait
	}
	return heap.Pop(&r.road).(shipment), true, false, 0
}

// run copies until everything is copied after end.
func (r *replicator) run(ctx context.Context) error {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		s, due, over, wait := r.next()
		if over {
			return nil
		}
		if due {
			if err := r.ship(ctx, s); err != nil {
				return err
			}
			continue
		}
		timer.Reset(wait)
		select {
		case <-timer.C:
		case <-r.kick:
		case <-ctx.Done():
			return nil
		}
	}
}

// ship brings one change to the copy.
func (r *replicator) ship(ctx context.Context, s shipment) error {
	if !s.value.there || s.fate != corrupt && s.fate != swap {
		return r.write(ctx, s.item, s.value, "")
	}
	if s.fate == swap {
		if other, ok := r.partner(s.item); ok {
			mixed := s.value
			mixed.name, other.value.name = other.value.name, mixed.name
			if err := r.write(ctx, s.item, mixed, "swapped"); err != nil {
				return err
			}
			return r.write(ctx, other.item, other.value, "swapped")
		}
	}
	return r.write(ctx, s.item, r.garbled(s.value), "garbled")
}

// partner takes the next shipment off the road, when it can be mixed up with that of i.
func (r *replicator) partner(i *item) (shipment, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.road) == 0 {
		return shipment{}, false
	}
	s := r.road[0]
	if s.item == i || s.item.calm || !s.value.there || s.fate != copies {
		return s, false
	}
	heap.Pop(&r.road)
	return s, true
}

// write writes a row of the copy; kind says how it is spoilt.
func (r *replicator) write(ctx context.Context, i *item, v value, kind string) error {
	i.copying.Lock()
	defer i.copying.Unlock()
	if err := r.copied(ctx, r.table, i, v, replicating); err != nil {
		return err
	}
	if kind != "" {
		r.table.planted(kind, i, time.Now())
	}
	return nil
}

// garbled spoils a value in one of the ways that a comparison by collation, through floats or with loose types misses.
func (r *replicator) garbled(v value) value {
	r.mu.Lock()
	n := r.dice.IntN(4)
	r.mu.Unlock()
	switch n {
	case 0:
		v.name += " "
	case 1:
		v.name = strings.ToUpper(v.name)
	case 2:
		v.null, v.name = true, ""
	default:
		last := v.balance[len(v.balance)-1]
		v.balance = v.balance[:len(v.balance)-1] + string('0'+(last-'0'+1)%10)
	}
	return v
}

// rot spoils rows of a copy that nobody changes, until ctx is done: only a sweep can see that.
func (r *replicator) rot(ctx context.Context, chance *rand.Rand) error {
	writing := context.WithoutCancel(ctx)
	for extra := int64(extraFrom); pause(ctx, between(chance, 0, 2*rotEvery)); extra++ {
		i := r.table.any(chance)
		if chance.IntN(4) == 0 { // a row that the source never had
			i = newItem(extra, value{}, value{})
			r.table.add(i)
			if err := r.decay(writing, i, r.version(chance), "extra"); err != nil {
				return err
			}
			continue
		}
		if _, des := i.now(); !des.there || i.calm || i.number <= busyCount || i.number >= extraFrom {
			continue
		}
		if chance.IntN(2) == 0 {
			if err := r.decay(writing, i, value{}, "vanished"); err != nil {
				return err
			}
			continue
		}
		if _, des := i.now(); des.there && !des.null {
			if err := r.decay(writing, i, r.garbled(des), "rotten"); err != nil {
				return err
			}
		}
	}
	return nil
}

func (r *replicator) decay(ctx context.Context, i *item, v value, kind string) error {
	i.copying.Lock()
	defer i.copying.Unlock()
	if err := r.copied(ctx, r.table, i, v, rotting); err != nil {
		return err
	}
	r.table.planted(kind, i, time.Now())
	return nil
}
