package main

import (
	"math/rand/v2"
	"slices"
	"sync"
	"time"
)

// value is what the compared columns of a row hold. The zero value is no row. The writer gives every name only once, so
// a value in the copy tells which version of the source it is.
type value struct {
	there   bool
	null    bool // the name is NULL
	name    string
	balance string
}

// who changed a row.
type who string

const (
	seeding     who = "seed"
	writing     who = "writer"
	replicating who = "replicator"
	repairing   who = "receiver"
	rotting     who = "rot"
)

// change is one change of one side of a row: the side held the value before it until begin for certain, and holds this
// one from end on for certain.
type change struct {
	begin, end time.Time
	value      value
	by         who
}

// item is one row by its number, on both sides, with its whole history.
type item struct {
	number int64
	// calm rows are never spoilt, and never late by much.
	calm bool
	// writing is held by whoever has the source row in an open transaction, copying by whoever writes the row of the copy.
	writing, copying sync.Mutex

	due time.Time // when the last change was to reach the copy; the replicator's

	mu       sync.Mutex // guards all below
	src, des []change
}

// isCalm tells by the number whether a row is left alone.
func isCalm(number int64) bool { return number%3 != 0 }

func newItem(number int64, src, des value) *item {
	return &item{number: number, calm: isCalm(number), src: []change{{value: src, by: seeding}}, des: []change{{value: des, by: seeding}}}
}

// now is what the two sides hold.
func (i *item) now() (src, des value) {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.src[len(i.src)-1].value, i.des[len(i.des)-1].value
}

// rests reports whether the source row has not been changed for that long.
func (i *item) rests(d time.Duration) bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	return time.Since(i.src[len(i.src)-1].end) > d
}

func (i *item) changedSource(c change) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.src = append(i.src, c)
}

func (i *item) changedCopy(c change) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.des = append(i.des, c)
}

// behind is by how much the copy was behind at most, up to a time: how long ago the source had held what the copy held.
// Every time that is not known exactly counts for the longer one. spoilt says that the copy held what the source never
// had.
func (i *item) behind(until time.Time) (most time.Duration, spoilt bool) {
	i.mu.Lock()
	defer i.mu.Unlock()
	at := map[value][]int{}
	for j, c := range i.src {
		at[c.value] = append(at[c.value], j)
	}
	for k, d := range i.des {
		if d.begin.After(until) {
			break
		}
		end := until
		if k+1 < len(i.des) && i.des[k+1].end.Before(until) {
			end = i.des[k+1].end
		}
		lag, known := i.since(at[d.value], end)
		spoilt = spoilt || !known
		most = max(most, lag)
	}
	return most, spoilt
}

// since is how long before a time the source last held one of its versions; known is false when that was never.
func (i *item) since(versions []int, at time.Time) (lag time.Duration, known bool) {
	for _, j := range slices.Backward(versions) {
		if i.src[j].begin.After(at) {
			continue // a later one
		}
		if j+1 == len(i.src) || !i.src[j+1].begin.Before(at) {
			return 0, true
		}
		return at.Sub(i.src[j+1].begin), true
	}
	return 0, false
}

// plant is a divergence that was made on purpose.
type plant struct {
	kind  string
	table *table
	item  *item
	at    time.Time // from when on it was there
}

// outcome is what became of a plant.
type outcome struct {
	real   bool      // there was a divergence at all
	healed time.Time // zero: never
	by     who       // who healed it
}

// outcome follows both sides from the planting on. It is healed when they are equal, and when the copy has a version
// that the source got after it: the sides of a hot row are never equal.
func (p plant) outcome() outcome {
	p.item.mu.Lock()
	defer p.item.mu.Unlock()
	type step struct {
		change
		copy bool
	}
	var steps []step
	for _, c := range p.item.src {
		steps = append(steps, step{c, false})
	}
	for _, c := range p.item.des {
		steps = append(steps, step{c, true})
	}
	slices.SortStableFunc(steps, func(a, b step) int { return a.end.Compare(b.end) })
	var src, des value
	var o outcome
	newer := map[value]bool{}
	for _, s := range steps {
		if s.end.After(p.at) && !o.real {
			if o.real = src != des; !o.real {
				return o
			}
		}
		if s.copy {
			des = s.value
		} else {
			src = s.value
			newer[src] = src.there && s.end.After(p.at)
		}
		if s.end.After(p.at) && (src == des || s.copy && newer[des]) {
			o.healed, o.by = s.end, s.by
			return o
		}
	}
	o.real = src != des
	return o
}

// table is one pair of tables.
type table struct {
	name string
	// swept tables have deletes, orphans, and changes that only a sweep sees.
	swept bool
	// hot and warm rows are changed all the time.
	hot, warm []*item

	mu     sync.Mutex // guards all below
	items  map[int64]*item
	list   []*item
	next   int64
	plants []plant
}

func (t *table) add(i *item) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.items[i.number] = i
	t.list = append(t.list, i)
}

func (t *table) item(number int64) *item {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.items[number]
}

// number is the next one that no row has had; one that is spoilt if calm is not wanted.
func (t *table) number(calm bool) int64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.next++
	for !calm && isCalm(t.next) {
		t.next++
	}
	return t.next
}

// any is a row that chance picks.
func (t *table) any(r *rand.Rand) *item {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.list[r.IntN(len(t.list))]
}

func (t *table) planted(kind string, i *item, at time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.plants = append(t.plants, plant{kind, t, i, at})
}

func (t *table) allPlants() []plant {
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.Clone(t.plants)
}
