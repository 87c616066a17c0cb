package task_test

import (
	"context"
	"database/sql/driver"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/masixun71/cupid/pkg/chunk"
	"github.com/masixun71/cupid/pkg/row"
	"github.com/masixun71/cupid/pkg/task"
)

// AddUp counts the source rows.
func (p pair) AddUp(ctx context.Context, _ chunk.Chunk) (sums []byte, rows int, err error) {
	if err := p.enter(ctx, p.beforeRange); err != nil {
		return nil, 0, err
	}
	var s chunk.Sums
	s.Add(7, 1)
	p.mu.Lock()
	defer p.mu.Unlock()
	return s.Bytes(), len(p.src), nil
}

// ReadBuckets reads all rows that are not cut off: "src:key" is not on the source.
func (p pair) ReadBuckets(ctx context.Context, _ chunk.Chunk) (src, des *row.Batch, err error) {
	if err := p.enter(ctx, p.beforeRange); err != nil {
		return nil, nil, err
	}
	p.mu.Lock()
	cut := p.cutOff
	ids := []int64{}
	for id, s := range p.src {
		if key, _ := s.key.(string); !cut["src:"+key] {
			ids = append(ids, id)
		}
	}
	p.mu.Unlock()
	if src, err = p.batch(func(id int64) bool { return slices.Contains(ids, id) }); err != nil {
		return nil, nil, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	des = row.NewBatch(p.mapping(), row.Destination, len(p.des))
	for key, names := range p.des {
		for _, name := range names {
			if cut["des:"+key] {
				continue
			}
			if err := des.Append(nil, []driver.Value{[]byte(key)}, []driver.Value{[]byte(name)}); err != nil {
				return nil, nil, err
			}
		}
	}
	return src, des, nil
}

// bucket hands out the whole table as a chunk of a sweep by buckets.
func (r *rig) bucket(stage chunk.Stage) {
	r.last++
	r.Take(chunk.Chunk{ID: "bucket", Pair: "p", Scan: chunk.Sweep, Stage: stage, Open: true})
}

func TestAddingUpComparesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, deletes)
		r.set(source{1, "missing", "x"})
		r.copied("orphan", "o")
		r.bucket(chunk.AddUp)
		synctest.Wait()
		r.want(1)
		var s chunk.Sums
		results, _ := r.got()
		if err := s.JoinBytes(results[0].Sums); err != nil || s.Bytes() == nil || results[0].Rows != 1 || results[0].Millisecond == 0 {
			t.Errorf("result %+v, error %v", results[0], err)
		}
		r.beforeRange = func(context.Context) error { return errPlanned }
		r.bucket(chunk.AddUp)
		synctest.Wait()
		if results, _ := r.got(); len(results) != 2 || results[1].Error == "" || results[1].Sums != nil {
			t.Errorf("results %+v, want the error of the second", results)
		}
		r.ended()
	})
}

// The halves of a row may be in different chunks, or only one of them in any.
func TestResolvingLooksForWhatIsNotInTheChunk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var lines []task.Line
		r := start(t, func(c *task.Config, m *master) {
			deletes(c, m)
			c.Report = func(l []task.Line) { lines = append(lines, l...) }
		})
		r.cutOff = map[string]bool{"src:a": true, "des:b": true, "des:c": true, "src:d": true}
		r.both(1, "a", "equal, the source's half is elsewhere")
		r.both(2, "b", "equal, the destination's half is elsewhere")
		r.both(3, "c", "different, elsewhere")
		r.copied("c", "x")
		r.both(4, "d", "different, and for the chunk that has the source's half")
		r.copied("d", "x")
		r.both(5, "e", "equal here")
		r.both(6, "f", "different here")
		r.copied("f", "x")
		r.set(source{7, "g", "missing"})
		r.copied("h", "orphan")
		r.set(source{8, nil, "without a key"})
		r.bucket(chunk.Resolve)
		after(settle + time.Millisecond)
		r.want(1, "c", "f", "g", "h")
		results, _ := r.got()
		if got := results[0]; got.Missing != 1 || got.Different != 2 || got.Orphans != 1 || got.Rows != 0 || got.Healed != 0 {
			t.Errorf("result %+v, want 1 missing, 2 different, 1 orphan, and no rows counted again", got)
		}
		if len(lines) != 4 {
			t.Errorf("%d lines, want 4: %+v", len(lines), lines)
		}
		r.ended()
	})
}

// A bucket that differs only because its sides were read at different times is no alarm,
// and neither is a row that heals while it settles.
func TestG3BucketIsAHintAndNoVerdict(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, deletes)
		r.both(1, "a", "x")
		r.both(2, "b", "x")
		r.copied("b", "y")
		r.copied("c", "x")
		r.bucket(chunk.Resolve)
		synctest.Wait()
		r.copied("b", "x")
		r.set(source{3, "c", "x"})
		after(settle + time.Millisecond)
		r.want(1)
		r.ended()
	})
}

func TestOrphansOfBucketsAreLeftAloneUnlessAskedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, nil)
		r.copied("orphan", "o")
		r.beforeSource = func(context.Context) error { return errors.New("nobody asked for source rows") }
		r.bucket(chunk.Resolve)
		after(settle + time.Millisecond)
		r.want(1)
		if results, _ := r.got(); results[0].Error != "" {
			t.Errorf("result %+v", results[0])
		}
		r.ended()
	})
}

func TestFailedLookUpFailsTheChunk(t *testing.T) {
	for name, fail := range map[string]func(*rig){
		"destination": func(r *rig) { r.beforeDestination = func(context.Context) error { return errPlanned } },
		"source":      func(r *rig) { r.beforeSource = func(context.Context) error { return errPlanned } },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := start(t, deletes)
				r.set(source{1, "a", "missing"})
				r.copied("b", "orphan")
				fail(r)
				r.bucket(chunk.Resolve)
				after(settle + time.Millisecond)
				if results, _ := r.got(); len(results) != 1 || results[0].Error == "" {
					t.Errorf("results %+v, want an error", results)
				}
				r.ended()
			})
		})
	}
}
