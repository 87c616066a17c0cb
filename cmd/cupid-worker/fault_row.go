//go:build faults

package main

import (
	"context"

	"github.com/masixun71/cupid/pkg/chunk"
	"github.com/masixun71/cupid/pkg/row"
)

// crashText is the value that kills the worker which reads a source row with it. A
// released binary has none of this.
const crashText = "crash the worker"

// ReadRange reads the source rows of a chunk.
func (p *pair) ReadRange(ctx context.Context, c chunk.Chunk) (*row.Batch, error) {
	b, err := p.Pair.ReadRange(ctx, c)
	crash(p, b)
	return b, err
}

// ReadBoth reads all rows of a sweep's chunk on both sides.
func (p *pair) ReadBoth(ctx context.Context, c chunk.Chunk, groups chunk.Groups) (src, des *row.Batch, err error) {
	src, des, err = p.Pair.ReadBoth(ctx, c, groups)
	crash(p, src)
	return src, des, err
}

// ReadBuckets reads the rows of buckets on both sides.
func (p *pair) ReadBuckets(ctx context.Context, c chunk.Chunk) (src, des *row.Batch, err error) {
	src, des, err = p.Pair.ReadBuckets(ctx, c)
	crash(p, src)
	return src, des, err
}

func crash(p *pair, b *row.Batch) {
	if b == nil {
		return
	}
	for i := range b.Len() {
		for column := range p.Columns() {
			if v, null := b.Cell(i, column); !null && string(v) == crashText {
				panic("a row crashes its worker, as a test wants it to")
			}
		}
	}
}
