package task_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/masixun71/cupid/pkg/chunk"
	"github.com/masixun71/cupid/pkg/task"
)

// Of a chunk that differs the rows of the groups that differ are read, and no others.
func TestOnlyGroupsThatDifferAreRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, deletes)
		group := groupOf("wrong")
		neighbours := 0
		for i := range int64(1000) {
			key := fmt.Sprint(i)
			r.both(i, key, "x")
			if groupOf(key) == group {
				neighbours++
			}
		}
		r.both(1001, "wrong", "x")
		r.copied("wrong", "y")
		r.sweep()
		after(settle + time.Millisecond)
		r.want(1, "wrong")
		results, _ := r.got()
		if want := []int{2 * (neighbours + 1)}; results[0].Rows != 1001 || !slices.Equal(r.reads, want) || neighbours == 0 {
			t.Errorf("%d rows compared, reads of %v rows, want 1001 and %v", results[0].Rows, r.reads, want)
		}
		r.ended()
	})
}

// A chunk of which every row differs is not read, or looked at again, all at once.
func TestAChunkThatDiffersAltogetherIsReadInPortions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const rows = 2*task.MaxPortion + 500
		r := start(t, deletes)
		var keys []string
		for i := range int64(rows) {
			keys = append(keys, fmt.Sprint(i))
			if i%3 == 0 {
				r.copied(fmt.Sprint(i), "orphan")
			} else {
				r.set(source{i, fmt.Sprint(i), "missing"})
			}
		}
		r.sweep()
		after(settle + time.Millisecond)
		slices.Sort(keys)
		r.want(1, keys...)
		if len(r.reads) < 2 || slices.Max(r.reads) > 2*task.MaxPortion {
			t.Errorf("reads of %v rows, want no more than %d of a side", r.reads, task.MaxPortion)
		}
		r.ended()
	})
}

// Where chunk after chunk differs no time is lost on sums of whole chunks, until they
// are equal again.
func TestAChunkIsBegunWithItsGroupsWhereAllDiffer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, deletes)
		r.both(1, "wrong", "x")
		r.copied("wrong", "y")
		sweeps := func(n int) {
			for range n {
				r.sweep()
				after(settle + time.Millisecond)
			}
		}
		sweeps(40)
		// Three until it is known, and two tries after fifteen others each.
		if r.summed != 5 || r.grouped != 40 {
			t.Errorf("%d sums of chunks and %d of groups of 40 chunks, want 5 and 40", r.summed, r.grouped)
		}
		r.copied("wrong", "x")
		sweeps(4)
		if r.summed != 8 || r.grouped != 41 {
			t.Errorf("%d sums of chunks and %d of groups when all is equal, want 8 and 41", r.summed, r.grouped)
		}
		r.ended()
	})
}

func TestCourse(t *testing.T) {
	const equal, differs = true, false
	cases := []struct {
		name string
		seen []bool
		want []bool // whether the next chunk is begun with its sums
	}{
		{"equal", []bool{equal, equal, equal, equal}, []bool{true, true, true, true}},
		{"now and then", []bool{differs, differs, equal, differs, differs}, []bool{true, true, true, true, true}},
		{"many, then equal", []bool{differs, differs, differs, differs, equal}, []bool{true, true, false, false, true}},
		{
			"many", slices.Repeat([]bool{differs}, 20),
			slices.Concat([]bool{true, true}, slices.Repeat([]bool{false}, 15), []bool{true, false, false}),
		},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			if got := task.Course(c.seen); !slices.Equal(got, c.want) {
				t.Errorf("got %v, want %v", got, c.want)
			}
		})
	}
}

// full hands out a chunk of an insert scan that catches up.
func (r *rig) full(upTo int64, rows int) {
	r.last++
	r.Take(chunk.Chunk{ID: fmt.Sprint(r.last), Pair: "p", Scan: chunk.Insert, UpTo: chunk.Position{ID: fmt.Sprint(upTo)}, Rows: rows})
}

// A full chunk of an insert scan is compared by its sums, and read where they differ; a
// short one is of rows that have just been written, and read.
func TestInsertScanCatchesUpBySums(t *testing.T) {
	cases := []struct {
		name             string
		rows             int
		noSums           bool
		differs          bool
		summed, compared int
	}{
		{"equal", 1000, false, false, 1, 0},
		{"different", 1000, false, true, 1, 1},
		{"without sums", 1000, true, true, 0, 1},
		{"short", 999, false, false, 0, 1},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := start(t, nil)
				r.noSums = c.noSums
				read := 0
				r.beforeRange = func(context.Context) error { read++; return nil }
				for i := range int64(10) {
					r.both(i+1, fmt.Sprint(i), "x")
				}
				var want []string
				if c.differs {
					r.copied("5", "y")
					want = []string{"5"}
				}
				r.full(10, c.rows)
				after(settle + time.Millisecond)
				r.want(1, want...)
				if results, _ := r.got(); results[0].Rows != 10 || r.summed != c.summed || read != c.compared {
					t.Errorf("%d rows, %d sums and %d reads, want 10, %d and %d", results[0].Rows, r.summed, read, c.summed, c.compared)
				}
				r.ended()
			})
		})
	}
}

// Rows that only the destination has make the sums of an insert scan differ for ever.
func TestInsertScanDoesWithoutSumsThatAlwaysDiffer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, nil)
		r.both(1, "a", "x")
		r.copied("orphan", "y")
		for range 40 {
			r.full(1, 2000)
			after(time.Millisecond)
		}
		r.want(40)
		if r.summed != 5 {
			t.Errorf("%d sums of 40 chunks, want 5", r.summed)
		}
		r.ended()
	})
}
