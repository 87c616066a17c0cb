package task_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/masixun71/cupid/pkg/event"
	"github.com/masixun71/cupid/pkg/task"
)

// reporting has the lines of the report kept.
func reporting(lines *[]task.Line) func(*task.Config, *master) {
	return func(c *task.Config, m *master) {
		deletes(c, m)
		c.SQL = true
		c.Report = func(some []task.Line) { *lines = append(*lines, some...) }
	}
}

// What nobody could judge is no divergence, and the pair is not equal either.
func TestMovingRowIsCountedAndReported(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var lines []task.Line
		r := start(t, reporting(&lines))
		r.both(2, "equal", "x")
		ctx, cancel := context.WithCancel(t.Context())
		go hot(ctx, r, func(v int) { r.copied("hot", fmt.Sprint("v", v-1)) })
		after(settle / 2)
		r.sweep()
		after(settle * 5)
		cancel()
		r.want(1, "hot")
		results, _ := r.got()
		if got := results[0]; got.Moving != 1 || got.Missing+got.Different+got.Healed != 0 || got.Error != "" {
			t.Errorf("result %+v, want one row that could not be judged", got)
		}
		if len(lines) != 1 || lines[0].Key != "hot" || lines[0].Kind != "moving" || lines[0].SQL != "" || lines[0].Source["name"] == nil || lines[0].Destination["name"] == nil {
			t.Errorf("reported %+v, want the row that moves, as its last look showed it, without a statement", lines)
		}
		r.ended()
	})
}

// A row that cannot be looked at again is no suspect: it would fail its chunk for ever.
func TestRowsWithoutAnIDAreCountedAndTheOthersJudged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, nil)
		r.both(noID, "equal", "x")
		r.set(source{noID + 1, "no id", "x"})
		r.set(source{noID + 2, "none either", "x"})
		r.set(source{1, "missing", "x"})
		r.sweep()
		after(settle * 2)
		r.want(1, "missing")
		results, _ := r.got()
		if got := results[0]; got.NullIDs != 2 || got.Missing != 1 || got.Rows != 4 || got.Error != "" {
			t.Errorf("result %+v, want two rows of which nothing can be told and one that is missing", got)
		}
		if n := r.Counts().NullIDs; n != 2 || !strings.Contains(r.log.String(), "idColumn is NULL") {
			t.Errorf("counted %d, want 2; logged %s", n, r.log)
		}
		r.ended()
	})
}

// Ids that are not unique are warned of by -check, and are no reason to pass a row over.
func TestRowsThatShareAnIDAreAllJudged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, nil)
		r.set(source{sharedID, "a", "x"})
		r.set(source{sharedID + 1, "b", "x"})
		r.set(source{sharedID + 2, "heals", "x"})
		r.set(source{sharedID + 3, "stays", "x"})
		r.set(source{sharedID + 4, "same key", "x"})
		r.set(source{sharedID + 5, "same key", "y"})
		r.both(sharedID+6, "equal", "x")
		r.set(source{sharedID + 7, "differs", "x"})
		r.sweep()
		after(settle / 2)
		r.copied("heals", "x")
		after(settle * 5)
		r.want(1, "a", "b", "differs", "same key", "stays")
		results, _ := r.got()
		if got := results[0]; got.Missing != 5 || got.Healed != 1 || got.Moving != 0 || got.Error != "" {
			t.Errorf("result %+v, want five missing and one healed", got)
		}
		if n := r.Counts().SelfHealed; n != 1 {
			t.Errorf("%d healed by themselves, want 1", n)
		}
		r.ended()
	})
}

// Two rows of one id need not be looked at in one portion.
func TestRowsThatShareAnIDInTwoPortions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, nil)
		var want []string
		for i := range 2 * (task.MaxPortion + 500) {
			key := fmt.Sprintf("k%05d", i)
			r.set(source{sharedID + int64(i), key, "x"})
			want = append(want, key)
		}
		slices.Sort(want)
		r.sweep()
		after(settle * 6)
		r.want(1, want...)
		if results, _ := r.got(); results[0].Missing != len(want) || results[0].Healed != 0 {
			t.Errorf("result %+v, want %d missing and none healed", results[0], len(want))
		}
		r.ended()
	})
}

// A divergence that no queue takes is one all the same.
func TestOrphanWhoseKeyNoQueueTakesIsCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var lines []task.Line
		r := start(t, reporting(&lines))
		r.copied(strings.Repeat("k", event.MaxKeyTextBytes+1), "x")
		r.both(1, "equal", "x")
		r.sweep()
		after(settle * 2)
		r.want(1)
		results, _ := r.got()
		if got := results[0]; got.Orphans != 1 || len(lines) != 1 {
			t.Errorf("result %+v and %d lines, want one orphan", got, len(lines))
		}
		if n := r.Counts().SelfHealed; n != 0 {
			t.Errorf("%d healed by themselves, want none", n)
		}
		r.ended()
	})
}
