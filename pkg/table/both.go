package table

import (
	"context"
	"slices"
	"sync"

	"github.com/masixun71/cupid/pkg/chunk"
	"github.com/masixun71/cupid/pkg/row"
)

// ReadBoth reads the rows of a sweep's chunk on both sides, those of groups alone where
// these are not the whole (see GroupSums): at the same time where it is swept by key, else
// the source's and then the destination's that have their keys, and possibly others with
// keys that are equal to one for the column's collation.
// Rows that a condition leaves out on the source are on the destination all the same.
func (p *Pair) ReadBoth(ctx context.Context, c chunk.Chunk, groups chunk.Groups) (src, des *row.Batch, err error) {
	pl, err := p.plan(ctx)
	if err != nil {
		return nil, nil, err
	}
	if pl.sweep.Mode == SweepByRow {
		if src, err = p.ReadRange(ctx, c); err != nil {
			return nil, nil, err
		}
		keys := make([]row.Key, src.Len())
		for i := range keys {
			keys[i] = src.Key(i)
		}
		des, err = p.ReadDestination(ctx, keys)
		return src, des, err
	}
	if groups.Of > 0 {
		c.Rows = groups.Rows()
	}
	err = together(ctx, func(ctx context.Context) (err error) {
		src, err = p.readKeys(ctx, pl, row.Source, c, groups)
		return err
	}, func(ctx context.Context) (err error) {
		des, err = p.readKeys(ctx, pl, row.Destination, c, groups)
		return err
	})
	if err != nil {
		return nil, nil, p.failed(pl, err)
	}
	return src, des, nil
}

// readKeys reads the rows of a range of keys on one side.
func (p *Pair) readKeys(ctx context.Context, pl *plan, on row.Side, c chunk.Chunk, groups chunk.Groups) (*row.Batch, error) {
	s, l, id := p.src, &pl.src, pl.id
	if on == row.Destination {
		s, l, id = p.des, &pl.des, row.Column{}
	}
	range_, err := pl.sweepRange(on, c)
	if err != nil {
		return nil, s.explain(ctx, "read range", err)
	}
	some, err := pl.groupCondition(on, c, groups)
	if err != nil {
		return nil, s.explain(ctx, "read range", err)
	}
	where, args := s.where(append(range_, some...))
	batch := p.batch(pl, on, max(c.Rows, 16))
	queries := []query{{"SELECT " + l.sql() + " FROM " + quote(s.o.Table) + where, args}}
	return batch, s.read(ctx, "read "+c.String(), queries, one(s.checked(l.rowOf(batch, id))))
}

// together runs two functions at the same time. The first error ends the other one.
func together(ctx context.Context, a, b func(context.Context) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var once sync.Once
	var first error
	run := func(f func(context.Context) error) {
		if err := f(ctx); err != nil {
			once.Do(func() { first = err })
			cancel()
		}
	}
	beside(func() { run(a) }, func() { run(b) })
	return first
}

// beside runs two functions at the same time, and returns when both have.
func beside(a, b func()) {
	var wg sync.WaitGroup
	wg.Go(b)
	a()
	wg.Wait()
}

// ReadSourceByKeys reads the source rows that have one of keys, and possibly others
// whose keys are equal to one for the column's collation. It is how an orphan is
// confirmed: rows that do not meet the source's condition are absent. It fails where the
// source can spell one key in several ways, since it could not be looked for.
func (p *Pair) ReadSourceByKeys(ctx context.Context, keys []row.Key) (*row.Batch, error) {
	pl, err := p.plan(ctx)
	if err != nil {
		return nil, err
	}
	return p.readSource(ctx, pl, &pl.src, keys, p.batch(pl, row.Source, len(keys)))
}

// ReadSourceKeys is ReadSourceByKeys for who asks only which rows there are: the batch has
// their ids and keys and no cells.
func (p *Pair) ReadSourceKeys(ctx context.Context, keys []row.Key) (*row.Batch, error) {
	pl, err := p.plan(ctx)
	if err != nil {
		return nil, err
	}
	return p.readSource(ctx, pl, &pl.onlyKeys, keys, row.NewBatch(&pl.keys, row.Source, len(keys)))
}

// readSource reads a list of the source rows of keys into a batch.
func (p *Pair) readSource(ctx context.Context, pl *plan, l *list, keys []row.Key, batch *row.Batch) (*row.Batch, error) {
	if i := slices.IndexFunc(pl.mapping.Keys(), row.Rule.Lossy); i >= 0 {
		return nil, p.src.explain(ctx, "read rows by key", &Fault{
			Problem: "a source row cannot be found by its destination's key: " + pl.mapping.Keys()[i].Describe(),
		})
	}
	args, err := pl.keyArgs(row.Source, keys)
	if err != nil {
		return nil, p.src.explain(ctx, "read rows by key", err)
	}
	queries := inQueries(p.src, l, pl.srcKeys, args)
	once := pl.once(row.Source, p.src.checked(l.rowOf(batch, pl.id)), len(queries))
	return batch, p.failed(pl, p.src.read(ctx, "read rows by key", queries, once))
}

// ReadDestinationFull is ReadDestination with payloads: payloads[i] is the JSON object
// of the whole destination row i of the batch, as ReadFull makes it of source rows.
func (p *Pair) ReadDestinationFull(ctx context.Context, keys []row.Key, asString bool) (batch *row.Batch, payloads [][]byte, err error) {
	pl, err := p.plan(ctx)
	if err != nil {
		return nil, nil, err
	}
	args, err := pl.keyArgs(row.Destination, keys)
	if err != nil {
		return nil, nil, p.des.explain(ctx, "read whole rows", err)
	}
	if pl.desFull.zone != "" {
		if err := p.des.knowsZone(ctx, pl.desFull.zone); err != nil {
			return nil, nil, err
		}
	}
	batch = p.batch(pl, row.Destination, len(keys))
	take := p.wholeRows(batch, &pl.desFull, row.Column{}, asString, &payloads)
	queries := inQueries(p.des, &pl.desFull.list, pl.desKeys, args)
	once := pl.once(row.Destination, p.des.checked(take), len(queries))
	return batch, payloads, p.failed(pl, p.des.read(ctx, "read whole rows", queries, once))
}
