package table

import (
	"context"
	"database/sql/driver"
	"fmt"
	"slices"

	"github.com/masixun71/cupid/pkg/chunk"
	"github.com/masixun71/cupid/pkg/row"
)

const (
	// minRun is how many rows lie close together at least to be added up: that is what a part
	// costs beside its rows.
	minRun = 100
	// maxGap is how far apart neighbours are at most that lie close together. What lies
	// between them is added up, too.
	maxGap = 8
	// runShare is how many ids a part has at most for each of its rows.
	runShare = 2
)

// SumUpdates compares a chunk of an update scan by checksums, where the ids of most of its rows
// lie close together, as those of rows do that were written in bulk: each run of ids is added
// up on both sides as a part of an insert scan's chunk is, with the few other rows that lie in
// between. The ids are those that the chunk has at this moment; a row that is committed into it
// later is one that it did not have. known is false where SumParts does not work for chunks of an
// insert scan, since ranges of ids are none of keys then, or there are no checksums.
func (p *Pair) SumUpdates(ctx context.Context, c chunk.Chunk) (u chunk.Updates, known bool, err error) {
	pl, err := p.plan(ctx)
	if err != nil || !pl.sweep.Inserts {
		return chunk.Updates{}, false, err
	}
	ids, err := p.updateIDs(ctx, pl, c)
	if err != nil {
		return chunk.Updates{}, false, p.failed(pl, err)
	}
	runs, scattered := runsOf(ids)
	u.Rows = len(ids)
	if 2*len(scattered) > len(ids) {
		return u, true, nil
	}
	u.Summed = len(ids) - len(scattered)
	for some := range slices.Chunk(runs, maxParts) {
		differ, err := p.sumRuns(ctx, pl, c, some)
		if err != nil {
			return chunk.Updates{}, false, err
		}
		u.Differ += len(differ)
		scattered = append(scattered, differ...)
	}
	u.Read = make([]string, len(scattered))
	for i, id := range scattered {
		u.Read[i] = id.String()
	}
	return u, true, nil
}

// updateIDs are the ids of the rows of a chunk, in their order.
func (p *Pair) updateIDs(ctx context.Context, pl *plan, c chunk.Chunk) ([]integer, error) {
	range_, err := pl.bounds(c)
	if err != nil {
		return nil, p.src.explain(ctx, "read ids", err)
	}
	where, args := p.src.where(range_)
	q := query{"SELECT " + quote(pl.id.Name) + " FROM " + quote(p.src.o.Table) + where, args}
	ids := make([]integer, 0, c.Rows)
	err = p.src.read(ctx, "read the ids of "+c.String(), []query{q}, one(p.src.checked(func(values []driver.Value) error {
		n, ok := values[0].(int64)
		id := integer{uint64(n), n < 0}
		if !ok {
			if id, ok = integerBound(chunk.Insert, valueText(values[0])); !ok {
				return fmt.Errorf("id %q is no integer", valueText(values[0]))
			}
		}
		ids = append(ids, id)
		return nil
	})))
	slices.SortFunc(ids, integer.compare)
	return ids, err
}

// runsOf parts sorted ids into runs of about 5,000 at most that lie close together, and
// the others.
func runsOf(ids []integer) (runs [][]integer, scattered []integer) {
	for len(ids) > 0 {
		n := 1
		for n < len(ids) && ids[n].bits-ids[n-1].bits <= maxGap { // right also from -1 to 0
			n++
		}
		pieces := (n + partRows - 1) / partRows
		for run := range slices.Chunk(ids[:n], (n+pieces-1)/pieces) {
			if len(run) >= minRun && run[len(run)-1].bits-run[0].bits < uint64(runShare*len(run)) {
				runs = append(runs, run)
			} else {
				scattered = append(scattered, run...)
			}
		}
		ids = ids[n:]
	}
	return runs, scattered
}

// sumRuns adds up runs of ids on both sides, and returns the ids of those that differ.
func (p *Pair) sumRuns(ctx context.Context, pl *plan, c chunk.Chunk, runs [][]integer) (differ []integer, err error) {
	parts := make([]chunk.Chunk, len(runs))
	for i, run := range runs {
		parts[i] = chunk.Chunk{
			Pair: c.Pair, Scan: chunk.Insert, UpTo: chunk.Position{ID: run[len(run)-1].String()},
			Salt: c.Salt, Skip: c.Skip, Rows: len(run),
		}
		if previous, ok := run[0].previous(pl.id.Unsigned); ok {
			parts[i].After = &chunk.Position{ID: previous.String()}
		}
	}
	src, des, err := p.bothSums(ctx, pl, c, func(ctx context.Context, on row.Side) ([]Sum, error) {
		return p.sumParts(ctx, pl, on, c, parts)
	})
	for i, run := range runs {
		if err == nil && src[i] != des[i] {
			differ = append(differ, run...)
		}
	}
	return differ, err
}

// updateParts divides a chunk of an update scan into such of about 5,000 rows. The source is
// asked for the bounds.
func (p *Pair) updateParts(ctx context.Context, pl *plan, c chunk.Chunk) (parts []chunk.Chunk, err error) {
	for n := (c.Rows + partRows - 1) / partRows; n > 1; n-- {
		part := c
		part.Rows = c.Rows / n
		range_, err := pl.bounds(c)
		if err != nil {
			return nil, p.src.explain(ctx, "cut a chunk into parts", err)
		}
		columns := []row.Column{pl.update, pl.id}
		at, err := p.src.positions(ctx, "find the end of a part", range_, columns, "", fmt.Sprintf("LIMIT 1 OFFSET %d", part.Rows-1))
		if err != nil {
			return nil, p.failed(pl, err)
		}
		if len(at) == 0 {
			break
		}
		if part.UpTo = (chunk.Position{Value: at[0][0], ID: at[0][1]}); part.UpTo == c.UpTo {
			break
		}
		parts = append(parts, part)
		c.After, c.Rows = &part.UpTo, c.Rows-part.Rows
	}
	return append(parts, c), nil
}
