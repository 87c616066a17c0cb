package table

import "github.com/masixun71/cupid/pkg/row"

// maxSpareBytes is how large a batch may be to be kept for the next read. Larger ones are
// rare, and would stay that large.
const maxSpareBytes = 8 << 20

// batch is an empty batch with room for so many rows, one that was released if there is any.
func (p *Pair) batch(pl *plan, on row.Side, rows int) *row.Batch {
	b, ok := p.spare[on].Get().(*row.Batch)
	if !ok || b.Mapping() != &pl.mapping { // the tables have changed since
		b = row.NewBatch(&pl.mapping, on, rows)
	}
	b.Limit(p.o.BatchBytes)
	return b
}

// Release gives batches of this pair back, so that the next reads need no memory of their
// own. Nothing that they handed out as bytes is valid any more. A nil batch is none, and
// one that is not released is left to the garbage collector, as is one of keys alone.
func (p *Pair) Release(batches ...*row.Batch) {
	for _, b := range batches {
		if b != nil && b.Bytes() <= maxSpareBytes && len(b.Mapping().Columns()) > 0 {
			b.Reset()
			p.spare[b.Side()].Put(b)
		}
	}
}
