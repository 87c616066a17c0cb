package table

import (
	"context"
	"database/sql/driver"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/masixun71/cupid/pkg/chunk"
	"github.com/masixun71/cupid/pkg/row"
)

// Pair reads the rows of a source and of its destination. It is safe for
// concurrent use; at most MaxConns queries run on each side at a time, others wait.
type Pair struct {
	o        PairOptions
	src, des *side

	kept kept[plan]

	mu      sync.Mutex // guards weighed
	weighed weighed

	sums sync.Pool // of *[2]chunk.Sums, which are large

	spare [2]sync.Pool // released batches, by their side
}

// NewPair makes a pair. It touches nothing; the first read connects.
func NewPair(o PairOptions) *Pair {
	if o.BatchBytes <= 0 {
		o.BatchBytes = DefaultBatchBytes
	}
	p := &Pair{o: o, src: newSide(o.Source), des: newSide(o.Destination)}
	p.kept = kept[plan]{
		load: p.load, check: p.checkZones, altered: p.altered, turn: make(chan struct{}, 1),
		plan: func(metas []*meta) (*plan, error) { return planner{p, metas[0], metas[1]}.plan() },
	}
	return p
}

// Close closes all connections. Reads fail from then on.
func (p *Pair) Close() error { return errors.Join(p.src.close(), p.des.close()) }

// Ping returns nil when both servers answer.
func (p *Pair) Ping(ctx context.Context) error {
	if err := p.src.ping(ctx); err != nil {
		return err
	}
	return p.des.ping(ctx)
}

// Load reads the metadata of both tables, unless it is known and not older than a minute, and
// decides how columns are compared. Every read does that by itself.
func (p *Pair) Load(ctx context.Context) error {
	_, err := p.plan(ctx)
	return err
}

// plan is the plan in use, made if there is none.
func (p *Pair) plan(ctx context.Context) (*plan, error) { return p.kept.get(ctx) }

// load reads the metadata of both tables.
func (p *Pair) load(ctx context.Context) ([]*meta, error) {
	var src, des *meta
	err := together(ctx, func(ctx context.Context) (err error) {
		src, err = p.src.load(ctx)
		return err
	}, func(ctx context.Context) (err error) {
		des, err = p.des.load(ctx)
		return err
	})
	return []*meta{src, des}, err
}

// checkZones returns nil when the servers know the zones that a plan asks them for.
func (p *Pair) checkZones(ctx context.Context, pl *plan) error {
	for _, z := range pl.zones {
		if err := z.side.knowsZone(ctx, z.zone); err != nil {
			return err
		}
	}
	return nil
}

// altered tells what has changed.
func (p *Pair) altered(_, _ *plan, old, now []*meta, _ time.Time) {
	p.src.altered(old[0], now[0])
	p.des.altered(old[1], now[1])
}

// failed forgets the plan that an error says is out of date.
func (p *Pair) failed(pl *plan, err error) error { return p.kept.failed(pl, err) }

// Unaltered reports whether both tables are now what they were when rows were read whose mapping is
// of, and all that was read since. If not, what is read from now on is read as they are now. It reads
// the metadata for that, see metaAge: a plan that is out of date by a moment may find every row
// different, and a callback for that is a false alarm. So who is about to say that a row diverges
// asks, which is seldom, and those who ask at one time share the answer.
func (p *Pair) Unaltered(ctx context.Context, of *row.Mapping) (bool, error) {
	pl, err := p.kept.since(ctx, time.Now())
	return err == nil && &pl.mapping == of, err
}

// Columns are the source's names of the mapped columns, in the order of a batch's
// cells.
func (p *Pair) Columns() []string {
	names := make([]string, len(p.o.Columns))
	for i, c := range p.o.Columns {
		names[i] = c.Src
	}
	return names
}

// ReadRange reads the source rows of a chunk, in no particular order. A row that
// changes its place meanwhile may be read twice or, having moved on to where a
// later chunk will find it, not at all.
func (p *Pair) ReadRange(ctx context.Context, c chunk.Chunk) (*row.Batch, error) {
	pl, err := p.plan(ctx)
	if err != nil {
		return nil, err
	}
	range_, err := pl.bounds(c)
	if err != nil {
		return nil, p.src.explain(ctx, "read range", err)
	}
	where, args := p.src.where(range_)
	queries := []query{{"SELECT " + pl.src.sql() + " FROM " + quote(p.src.o.Table) + where, args}}
	batch := p.batch(pl, row.Source, max(c.Rows, 16))
	return batch, p.failed(pl, p.src.read(ctx, "read "+c.String(), queries, one(p.src.checked(pl.src.rowOf(batch, pl.id)))))
}

// bounds are the conditions on the rows of a chunk.
func (pl *plan) bounds(c chunk.Chunk) ([]condition, error) {
	if c.Scan == chunk.Update && c.Only == "" {
		if pl.update.Name == "" {
			return nil, &Fault{Problem: "an update scan needs updateColumn"}
		}
		r, err := updateRange(pl.update, pl.id, c.After, c.From, c.UpTo)
		if err != nil {
			return nil, err
		}
		return pl.skipIDs([]condition{r}, c.Skip)
	}
	if c.Scan == chunk.Sweep {
		return pl.sweepRange(row.Source, c)
	}
	return pl.idRange(c)
}

// checked marks the errors of t as those of a value, but for that of a batch which is full.
func (s *side) checked(t take) take {
	return func(values []driver.Value) error {
		err := t(values)
		if _, full := errors.AsType[*row.TooLarge](err); err == nil || full {
			return err
		}
		return &valueError{s.o.Table, err}
	}
}

// ReadSource reads source rows by the text of their id. Rows that are gone, or do
// not meet the condition any more, are left out.
func (p *Pair) ReadSource(ctx context.Context, ids []string) (*row.Batch, error) {
	pl, err := p.plan(ctx)
	if err != nil {
		return nil, err
	}
	queries, err := p.byID(pl, &pl.src, ids)
	if err != nil {
		return nil, p.src.explain(ctx, "read rows by id", err)
	}
	batch := p.batch(pl, row.Source, len(ids))
	return batch, p.failed(pl, p.src.read(ctx, "read rows by id", queries, one(p.src.checked(pl.src.rowOf(batch, pl.id)))))
}

// byID are the queries for the rows of ids: lists of these, or a range where they are
// integers without a gap.
func (p *Pair) byID(pl *plan, l *list, ids []string) ([]query, error) {
	args := make([]driver.Value, len(ids))
	for i, id := range ids {
		var err error
		if args[i], err = idArg(pl.id, id); err != nil {
			return nil, err
		}
	}
	byArg := func(a, b driver.Value) int { return compareArgs(a, b) }
	slices.SortFunc(args, byArg)
	args = slices.CompactFunc(args, func(a, b driver.Value) bool { return byArg(a, b) == 0 })
	id := keyBound{quote(pl.id.Name), placeholder(pl.id)}
	if n := len(args); n >= minDense && isInteger(pl.id) && pl.id.DataType != "year" {
		if d, ok := width(args[0], args[n-1]); ok && d == uint64(n-1) {
			where, args := p.src.where([]condition{{id.column + " >= ? AND " + id.column + " <= ?", []driver.Value{args[0], args[n-1]}}})
			return []query{{"SELECT " + l.sql() + " FROM " + quote(p.src.o.Table) + where, args}}, nil
		}
	}
	return inQueries(p.src, l, []keyBound{id}, args), nil
}
