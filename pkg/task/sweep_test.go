package task_test

import (
	"context"
	"database/sql/driver"
	"hash/crc32"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/masixun71/cupid/pkg/chunk"
	"github.com/masixun71/cupid/pkg/event"
	"github.com/masixun71/cupid/pkg/row"
	"github.com/masixun71/cupid/pkg/task"
)

// SumParts counts, and compares everything there is. It knows of no parts.
func (p pair) SumParts(ctx context.Context, c chunk.Chunk) (differ []chunk.Chunk, known bool, rows int, err error) {
	if p.noSums {
		return nil, false, 0, nil
	}
	p.mu.Lock()
	p.summed++
	p.mu.Unlock()
	src, des, err := p.both2(ctx, chunk.Groups{})
	if err != nil {
		return nil, false, 0, err
	}
	if len(row.Compare(src, des)) > 0 || len(row.Orphans(src, des)) > 0 {
		c.Rows = max(src.Len(), des.Len())
		differ = append(differ, c)
	}
	return differ, true, src.Len(), nil
}

// Parts halves a chunk that is large.
func (p pair) Parts(_ context.Context, c chunk.Chunk) ([]chunk.Chunk, error) {
	if c.Scan != chunk.Update {
		return []chunk.Chunk{c}, nil
	}
	first, second := c, c
	first.UpTo = chunk.Position{ID: strconv.Itoa(firstFar + 4)}
	second.After = &first.UpTo
	return []chunk.Chunk{first, second}, nil
}

// CutOff cuts off ids.
func (p pair) CutOff(_ context.Context, c chunk.Chunk, _ row.Side, rows int) (first, rest chunk.Chunk, ok bool, err error) {
	from, to := 0, 0
	if c.After != nil {
		from, err = strconv.Atoi(c.After.ID)
	}
	if err == nil {
		to, err = strconv.Atoi(c.UpTo.ID)
	}
	if err != nil || from+rows >= to {
		return first, rest, false, err
	}
	first, rest = c, c
	first.UpTo = chunk.Position{ID: strconv.Itoa(from + rows)}
	rest.After = &first.UpTo
	return first, rest, true, nil
}

// firstFar is the first id of the rows that are scattered.
const firstFar = 1 << 20

// SumUpdates compares all rows that are not scattered as one part.
func (p pair) SumUpdates(ctx context.Context, _ chunk.Chunk) (u chunk.Updates, known bool, err error) {
	if p.noSums {
		return u, false, nil
	}
	p.mu.Lock()
	p.summed++
	var near, far []string
	for id := range p.src {
		if id < firstFar {
			near = append(near, strconv.FormatInt(id, 10))
		} else {
			far = append(far, strconv.FormatInt(id, 10))
		}
	}
	p.mu.Unlock()
	src, des, err := p.both2(ctx, chunk.Groups{})
	u.Rows = len(near) + len(far)
	if err != nil || len(near) < len(far) {
		return u, true, err
	}
	u.Summed, u.Read = len(near), far
	if slices.ContainsFunc(row.Compare(src, des), func(d row.Divergence) bool { return slices.Contains(near, src.ID(d.Index)) }) {
		u.Differ, u.Read = len(near), append(far, near...)
	}
	return u, true, nil
}

// Release makes what is used afterwards fail.
func (p pair) Release(batches ...*row.Batch) {
	for _, b := range batches {
		if b != nil {
			b.Reset()
		}
	}
}

func (p pair) SeesOrphans(context.Context) (bool, error) { return !p.blind, nil }

// groupsOf is how many groups the rows of a world have.
const groupsOf = 64

func groupOf(key string) int { return int(crc32.ChecksumIEEE([]byte(key)) % groupsOf) }

// GroupSums compares everything there is by groups.
func (p pair) GroupSums(ctx context.Context, c chunk.Chunk) (differ chunk.Groups, rows int, err error) {
	p.mu.Lock()
	p.grouped++
	p.mu.Unlock()
	all, _, err := p.both2(ctx, chunk.Groups{})
	if err != nil {
		return chunk.Groups{}, 0, err
	}
	differ.Of = groupsOf
	for n := range groupsOf {
		src, des, err := p.both2(ctx, chunk.Groups{Of: groupsOf, Some: []chunk.Group{{Number: n}}})
		if err != nil {
			return chunk.Groups{}, 0, err
		}
		if len(row.Compare(src, des)) > 0 || len(row.Orphans(src, des)) > 0 {
			differ.Some = append(differ.Some, chunk.Group{Number: n, Rows: max(src.Len(), des.Len())})
		}
	}
	return differ, all.Len(), nil
}

func (p pair) ReadBoth(ctx context.Context, _ chunk.Chunk, groups chunk.Groups) (src, des *row.Batch, err error) {
	src, des, err = p.both2(ctx, groups)
	if err == nil {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.reads = append(p.reads, src.Len()+des.Len())
	}
	return src, des, err
}

// both2 reads the rows of groups on both sides.
func (p pair) both2(_ context.Context, groups chunk.Groups) (src, des *row.Batch, err error) {
	meant := func(key string) bool {
		return groups.Whole() || slices.ContainsFunc(groups.Some, func(g chunk.Group) bool { return g.Number == groupOf(key) })
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	src = row.NewBatch(p.mapping(), row.Source, len(p.src))
	for _, s := range p.src {
		if key, _ := s.key.(string); meant(key) {
			if err := p.appendSource(src, s); err != nil {
				return nil, nil, err
			}
		}
	}
	des = row.NewBatch(p.mapping(), row.Destination, len(p.des))
	for key, names := range p.des {
		if !meant(key) {
			continue
		}
		for _, name := range names {
			if err := des.Append(nil, []driver.Value{[]byte(key)}, []driver.Value{[]byte(name)}); err != nil {
				return nil, nil, err
			}
		}
	}
	return src, des, nil
}

func (p pair) ReadSourceKeys(ctx context.Context, keys []row.Key) (*row.Batch, error) {
	if err := p.enter(ctx, p.beforeSource); err != nil {
		return nil, err
	}
	p.mu.Lock()
	var ids []int64
	for id, s := range p.src {
		if text, ok := s.key.(string); ok && slices.Contains(keys, row.NewKey([]byte(text))) {
			ids = append(ids, id)
		}
	}
	p.mu.Unlock()
	return p.batch(func(id int64) bool { return slices.Contains(ids, id) })
}

func (p pair) ReportValue(b *row.Batch, i, column int) *string {
	v, null := b.Cell(i, column)
	if null {
		return nil
	}
	text := string(v)
	return &text
}

func (p pair) RepairSQL(src *row.Batch, _ int, _ *row.Batch, _ int, _ []int) string {
	if src == nil {
		return "DELETE"
	}
	return "INSERT OR UPDATE"
}

// sweep hands out the whole table.
func (r *rig) sweep() {
	r.last++
	r.Take(chunk.Chunk{ID: "sweep", Pair: "p", Scan: chunk.Sweep, Open: true})
}

func deletes(c *task.Config, _ *master) { c.Deletes = map[string]bool{"p": true} }

func TestSweepOfEqualSidesReadsNoRows(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, deletes)
		r.both(1, "a", "x")
		r.both(2, "b", "y")
		r.sweep()
		synctest.Wait()
		r.want(1)
		if results, _ := r.got(); results[0].Rows != 2 || results[0].Millisecond == 0 || len(r.reads) != 0 {
			t.Errorf("result %+v after reads of %d rows, want 2 rows and no read", results[0], r.reads)
		}
		r.ended()
	})
}

func TestSweepFindsMissingDifferentAndOrphans(t *testing.T) {
	for name, sums := range map[string]bool{"by checksums": false, "by rows": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var lines []task.Line
				r := start(t, func(c *task.Config, m *master) {
					deletes(c, m)
					c.SQL, c.Report = true, func(l []task.Line) { lines = append(lines, l...) }
				})
				r.noSums = sums
				r.set(source{1, "missing", "x"})
				r.both(2, "different", "y")
				r.copied("different", "z")
				r.both(3, "equal", "e")
				r.copied("orphan", "o")
				r.sweep()
				after(settle + time.Millisecond)
				r.want(1, "different", "missing", "orphan")
				results, events := r.got()
				if got := results[0]; got.Missing != 1 || got.Different != 1 || got.Orphans != 1 || got.Events != 3 || got.Rows != 3 {
					t.Errorf("result %+v", got)
				}
				for _, e := range events {
					if e.Key.String() == "orphan" && (e.Kind != event.Orphan || e.SourceID != "") {
						t.Errorf("orphan is %+v", e)
					}
				}
				if len(lines) != 3 {
					t.Fatalf("report has %d lines, want 3: %+v", len(lines), lines)
				}
				for _, l := range lines {
					if l.Kind == "orphan" && (l.SQL != "DELETE" || l.Source != nil || *l.Destination["name"] != "o") {
						t.Errorf("line %+v", l)
					}
				}
				r.ended()
			})
		})
	}
}

func TestOrphansAreLeftAloneUnlessAskedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, nil)
		r.copied("orphan", "o")
		r.sweep()
		after(settle + time.Millisecond)
		r.want(1)
		r.ended()
	})
}

func TestOrphansAreNotTakenFromWhatOnlyKeysAskedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, deletes)
		r.blind = true
		r.copied("twin of another collation", "o")
		r.sweep()
		after(settle + time.Millisecond)
		r.want(1)
		r.ended()
	})
}

// A row that is deleted on both sides, or inserted on both, while it settles is no orphan.
func TestG3OrphanThatSettlesIsNone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, deletes)
		r.copied("deleted later", "o")
		r.copied("source comes later", "x")
		r.sweep()
		synctest.Wait()
		r.world.mu.Lock()
		delete(r.des, "deleted later")
		r.world.mu.Unlock()
		r.set(source{7, "source comes later", "x"})
		after(settle + time.Millisecond)
		r.want(1)
		r.ended()
	})
}

// An idle worker looks for work at its interval, and works all of it off then.
func TestIdleWorkerLooksForWorkAtItsInterval(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, func(c *task.Config, _ *master) { c.Idle = 10 * time.Second })
		after(time.Second) // it has found nothing and rests
		r.give(10)
		r.give(20)
		after(5 * time.Second)
		r.want(0)
		after(6 * time.Second)
		r.want(2)
		r.ended()
	})
}

// What is confirmed has to have been compared as the tables are, from the first look on. Else the chunk
// is done again.
func TestG3LookBeforeAnAlterConfirmsNothing(t *testing.T) {
	for name, insert := range map[string]func(*rig){
		"missing": func(r *rig) { r.set(source{1, "missing", "x"}) },
		"orphan":  func(r *rig) { r.copied("orphan", "x") },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := start(t, func(c *task.Config, _ *master) { c.Deletes = map[string]bool{"p": true} })
				insert(r)
				sweep := func() { r.Take(chunk.Chunk{ID: name, Pair: "p", Scan: chunk.Sweep, Open: true}) }
				sweep()
				after(settle / 2)
				r.world.mu.Lock()
				r.altered = mapping(t)
				r.world.mu.Unlock()
				after(settle)
				r.want(1)
				if results, _ := r.got(); !strings.Contains(results[0].Error, "altered") {
					t.Errorf("result %+v, want an error, so that the chunk is offered again", results[0])
				}
				sweep()
				after(2 * settle)
				r.want(2, name)
				r.ended()
			})
		})
	}
}
