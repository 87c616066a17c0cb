package task_test

import (
	"context"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/masixun71/cupid/pkg/chunk"
	"github.com/masixun71/cupid/pkg/task"
)

// changed hands out a chunk of an update scan.
func (r *rig) changed(rows int) {
	r.last++
	r.Take(chunk.Chunk{ID: fmt.Sprint(r.last), Pair: "p", Scan: chunk.Update, UpTo: chunk.Position{ID: fmt.Sprint(firstFar + 1000)}, Rows: rows})
}

// A large chunk of an update scan is compared by the sums of the ids that lie close together; what
// these do not find equal is read, and all of it in parts where the ids are scattered.
func TestUpdateScanCatchesUpBySums(t *testing.T) {
	const large = task.MaxPortion + 1
	cases := []struct {
		name      string
		rows      int
		near, far int64
		noSums    bool
		differ    []int64
		summed    int
		ranges    int32 // read
		byID      int32 // reads, those of second looks left out
	}{
		{"equal", large, 10, 0, false, nil, 1, 0, 0},
		{"a row differs", large, 10, 0, false, []int64{5}, 1, 0, 1},
		{"two differ", large, 10, 0, false, []int64{5, 6}, 1, 0, 1},
		{"the first and the last differ", large, 10, 0, false, []int64{1, 10}, 1, 0, 1},
		{"some are scattered", large, 10, 3, false, nil, 1, 0, 1},
		{"a scattered one differs", large, 10, 3, false, []int64{firstFar + 1}, 1, 0, 1},
		{"both", large, 10, 3, false, []int64{5, firstFar + 1}, 1, 0, 1},
		{"more than are read at a time", large, 2 * task.MaxPortion, 3, false, []int64{5}, 1, 0, 3},
		{"most are scattered", large, 2, 10, false, []int64{1, firstFar + 8}, 1, 2, 0},
		{"without sums", large, 10, 3, true, []int64{5}, 0, 1, 0},
		{"no more than are read at a time", task.MaxPortion, 10, 0, false, []int64{5}, 0, 1, 0},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := start(t, nil)
				r.noSums = c.noSums
				var ranges, byID atomic.Int32
				r.beforeRange = func(context.Context) error { ranges.Add(1); return nil }
				r.beforeSource = func(context.Context) error { byID.Add(1); return nil }
				var want []string
				for i := range c.near + c.far {
					id := i + 1
					if i >= c.near {
						id = firstFar + i - c.near
					}
					r.both(id, fmt.Sprint(id), "x")
					if slices.Contains(c.differ, id) {
						r.copied(fmt.Sprint(id), "y")
						want = append(want, fmt.Sprint(id))
					}
				}
				r.changed(c.rows)
				after(0)
				if ranges.Load() != c.ranges || byID.Load() != c.byID || r.summed != c.summed {
					t.Errorf("%d sums, %d ranges and %d lists read, want %d, %d and %d", r.summed, ranges.Load(), byID.Load(), c.summed, c.ranges, c.byID)
				}
				after(settle + time.Millisecond)
				slices.Sort(want)
				r.want(1, want...)
				if results, _ := r.got(); results[0].Rows != int(c.near+c.far) {
					t.Errorf("%d rows, want %d", results[0].Rows, c.near+c.far)
				}
				r.ended()
			})
		})
	}
}

// Where part after part differs no time is lost on sums; ids that are scattered say nothing of
// the chunks to come.
func TestUpdateScanDoesWithoutSumsThatAlwaysDiffer(t *testing.T) {
	for name, c := range map[string]struct {
		near, far int64
		want      int
	}{"they differ": {2, 0, 5}, "there are none": {0, 2, 40}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := start(t, nil)
				for i := range c.near {
					r.set(source{i + 1, fmt.Sprint(i), "x"})
				}
				for i := range c.far {
					r.set(source{firstFar + i, fmt.Sprint(i), "x"})
				}
				for range 40 {
					r.changed(2 * task.MaxPortion)
					after(settle + time.Millisecond)
				}
				if r.summed != c.want {
					t.Errorf("%d sums of 40 chunks, want %d", r.summed, c.want)
				}
				r.ended()
			})
		})
	}
}
