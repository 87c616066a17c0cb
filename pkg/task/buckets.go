package task

import (
	"context"
	"slices"
	"time"

	"github.com/masixun71/cupid/pkg/chunk"
	"github.com/masixun71/cupid/pkg/event"
	"github.com/masixun71/cupid/pkg/row"
)

// addUp adds up a chunk of a sweep by buckets. Nothing is compared yet.
func (w *Worker) addUp(ctx context.Context, p *reader, c chunk.Chunk, r *chunk.Result) error {
	err := p.read(ctx, c, func() error {
		start := time.Now()
		defer func() { r.Millisecond = max(1, int(time.Since(start).Milliseconds())) }()
		var err error
		r.Sums, r.Rows, err = p.AddUp(ctx, c)
		return err
	})
	if err == nil {
		w.looked(c, r, &sighted{})
	}
	return err
}

// resolve is the first look at the rows of the buckets that differ: those of either
// side of the chunk are compared with each other, and what has no other half here is
// asked for by its key. What it finds are suspects like any other. The source rows were
// counted when they were added up.
func (w *Worker) resolve(ctx context.Context, p *reader, c chunk.Chunk, r *chunk.Result) ([]suspect, []orphan, error) {
	var seen sighted
	err := p.read(ctx, c, func() error {
		start := time.Now()
		defer func() { r.Millisecond = max(1, int(time.Since(start).Milliseconds())) }()
		return p.fitRange(ctx, c, 1, func(part chunk.Chunk) error { return w.resolvePart(ctx, p, part, &seen) })
	})
	if err != nil {
		return nil, nil, err
	}
	w.looked(c, r, &seen)
	return seen.suspects, seen.orphans, nil
}

// resolvePart is resolve for a part of a chunk.
func (w *Worker) resolvePart(ctx context.Context, p *reader, part chunk.Chunk, seen *sighted) error {
	src, des, err := p.ReadBuckets(ctx, part)
	if err != nil {
		return err
	}
	defer p.Release(src, des)
	differ, err := found(ctx, p, src, des)
	if err != nil {
		return err
	}
	var keys []row.Key
	if w.config.Deletes[part.Pair] {
		if keys, err = leftOver(ctx, p, src, des); err != nil {
			return err
		}
	}
	now := time.Now()
	seen.add(src, differ, now)
	for _, k := range keys {
		seen.orphans = append(seen.orphans, orphan{k, now, seen.of})
	}
	return nil
}

// found compares source rows with the destination rows that were read with them, and
// those that are not among them with the ones that the destination has for their keys.
func found(ctx context.Context, p Pair, src, des *row.Batch) ([]event.Found, error) {
	var differ []event.Found
	var elsewhere []row.Key
	for _, f := range event.Find(src, des) {
		if f.Kind != row.Missing {
			differ = append(differ, f)
			continue
		}
		elsewhere = append(elsewhere, src.Key(f.Index))
	}
	more, err := compare(ctx, p, src, elsewhere)
	return append(differ, more...), err
}

// leftOver are the keys of the destination rows that the source has neither among the
// rows that were read with them nor elsewhere.
func leftOver(ctx context.Context, p Pair, src, des *row.Batch) ([]row.Key, error) {
	here := row.Orphans(src, des)
	if len(here) == 0 {
		return nil, nil
	}
	keys := make([]row.Key, len(here))
	for i, j := range here {
		keys[i] = des.Key(j)
	}
	more, err := p.ReadSourceKeys(ctx, keys)
	if err != nil {
		return nil, err
	}
	defer p.Release(more)
	left := keys[:0]
	elsewhere := row.Orphans(more, des) // in order, like here
	for i, j := range here {
		if _, none := slices.BinarySearch(elsewhere, j); none {
			left = append(left, keys[i])
		}
	}
	return left, nil
}
