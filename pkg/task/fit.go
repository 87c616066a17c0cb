package task

import (
	"context"
	"errors"
	"slices"

	"github.com/masixun71/cupid/pkg/chunk"
	"github.com/masixun71/cupid/pkg/event"
	"github.com/masixun71/cupid/pkg/row"
)

// Rows may be of any size, so how many are in memory at a time is bounded by their bytes: a read that meets more
// fails, and what it was to read is read in parts of half as many rows as went in.

// tooLarge reports whether err says that rows are too large to be read together, and how many are to be read instead.
func tooLarge(err error) (e *row.TooLarge, rows int, ok bool) {
	if e, ok = errors.AsType[*row.TooLarge](err); !ok {
		return nil, 0, false
	}
	return e, max(e.Rows/2, 1), true
}

// fit hands all to f, or parts of it where the rows are too large.
func fit[T any](all []T, f func(some []T) error) error {
	err := f(all)
	_, rows, large := tooLarge(err)
	if !large || len(all) < 2 {
		return err
	}
	for some := range slices.Chunk(all, min(rows, (len(all)+1)/2)) {
		if err := fit(some, f); err != nil {
			return err
		}
	}
	return nil
}

// fitRange hands a chunk to f, or parts of it where its rows are too large. f reads one row of scale.
func (r *reader) fitRange(ctx context.Context, c chunk.Chunk, scale int, f func(part chunk.Chunk) error) error {
	err := f(c)
	e, rows, large := tooLarge(err)
	if !large {
		return err
	}
	for cut := 0; ; cut++ {
		first, rest, ok, cutErr := r.CutOff(ctx, c, e.Side, rows*scale)
		switch {
		case cutErr != nil:
			return cutErr
		case !ok && cut == 0:
			return err
		case !ok:
			return r.fitRange(ctx, c, scale, f)
		}
		if err := r.fitRange(ctx, first, scale, f); err != nil {
			return err
		}
		c = rest
	}
}

// fitPortion hands a portion of a sweep's chunk to f, or parts of it where its rows are too large: first fewer
// groups, and then a shorter range.
func (r *reader) fitPortion(ctx context.Context, p portion, f func(part portion) error) error {
	if len(p.groups.Some) < 2 {
		if p.groups.ByKey { // one key
			return f(p)
		}
		return r.fitRange(ctx, p.part, max(p.groups.Of, 1), func(part chunk.Chunk) error { return f(portion{part, p.groups}) })
	}
	err := f(p)
	_, rows, large := tooLarge(err)
	if !large {
		return err
	}
	for _, g := range p.groups.Fewer(rows) {
		if err := r.fitPortion(ctx, portion{p.part, g}, f); err != nil {
			return err
		}
	}
	return nil
}

// compare compares source rows with the destination rows of some of their keys, which are read as they fit.
func compare(ctx context.Context, p Pair, src *row.Batch, keys []row.Key) ([]event.Found, error) {
	if len(keys) == 0 {
		return nil, nil
	}
	var all []event.Found
	err := fit(keys, func(some []row.Key) error {
		des, err := p.ReadDestination(ctx, some)
		if err != nil {
			return err
		}
		defer p.Release(des)
		asked := make(map[row.Key]bool, len(some))
		for _, k := range some {
			asked[k] = true
		}
		all = append(all, event.FindAgain(src, des, nil, asked)...)
		return nil
	})
	return all, err
}
