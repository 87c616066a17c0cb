package table

import (
	"context"
	"fmt"

	"github.com/masixun71/cupid/pkg/chunk"
	"github.com/masixun71/cupid/pkg/row"
)

// CutOff divides a chunk whose rows are too large to be read together: first has so many of the rows of a side,
// or fewer, or more where rows share a key, and rest has what follows. ok is false where the chunk cannot be divided,
// since all of its rows share a key.
func (p *Pair) CutOff(ctx context.Context, c chunk.Chunk, on row.Side, rows int) (first, rest chunk.Chunk, ok bool, err error) {
	pl, err := p.plan(ctx)
	if err != nil || c.Only != "" {
		return first, rest, false, err
	}
	for n := max(rows, 1); n > 0; n /= 2 { // the rows may have become fewer, or a key is that of many
		at, found, err := p.nth(ctx, pl, c, on, n)
		if err != nil {
			return first, rest, false, p.failed(pl, err)
		}
		if found && (c.Open || at != c.UpTo) {
			first, rest = c, c
			first.UpTo, first.Open, first.Rows = at, false, n
			rest.After, rest.Rows = &at, max(c.Rows-n, 1)
			return first, rest, true, nil
		}
	}
	return first, rest, false, nil
}

// nth is the place of the n-th row of a chunk on a side, in the order of the chunk's scan; found is false when there
// are fewer.
func (p *Pair) nth(ctx context.Context, pl *plan, c chunk.Chunk, on row.Side, n int) (at chunk.Position, found bool, err error) {
	limit := fmt.Sprintf("LIMIT 1 OFFSET %d", n-1)
	switch {
	case c.Stage == chunk.Resolve:
		at.ID, n, err = p.nthPlaces(ctx, c, n)
		return at, n > 0, err
	case c.Scan == chunk.Sweep && pl.sweep.Mode == SweepByKey:
		range_, err := pl.sweepRange(on, c)
		if err != nil {
			return at, false, p.side(on).explain(ctx, "cut a chunk into parts", err)
		}
		at.ID, found, err = p.boundAt(ctx, pl, on, range_, "", limit)
		return at, found, err
	}
	range_, err := pl.bounds(c)
	if err != nil {
		return at, false, p.src.explain(ctx, "cut a chunk into parts", err)
	}
	columns := []row.Column{pl.id}
	if c.Scan == chunk.Update {
		columns = []row.Column{pl.update, pl.id}
	}
	texts, err := p.src.positions(ctx, "find the end of a part", range_, columns, "", limit)
	if err != nil || len(texts) == 0 {
		return at, false, err
	}
	at.ID = texts[0][len(columns)-1]
	if c.Scan == chunk.Update {
		at.Value = texts[0][0]
	}
	return at, true, nil
}

// nthPlaces is nth for rows of buckets, which are some of those in the range.
func (p *Pair) nthPlaces(ctx context.Context, c chunk.Chunk, n int) (last string, rows int, err error) {
	if c.Differ != "" {
		differ, err := chunk.ParseDiffer(c.Differ)
		if err != nil {
			return "", 0, err
		}
		n = n * chunk.Buckets / max(differ.Len(), 1)
	}
	var after, upTo *string
	if c.After != nil {
		after = &c.After.ID
	}
	if !c.Open {
		upTo = &c.UpTo.ID
	}
	return p.CutBuckets(ctx, after, upTo, n)
}
