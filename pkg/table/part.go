package table

import (
	"cmp"
	"context"
	"database/sql/driver"
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/masixun71/cupid/pkg/chunk"
	"github.com/masixun71/cupid/pkg/row"
)

const (
	// partRows is how many rows a part of a chunk has, about. What differs is looked for in
	// the part alone; and a part costs as much as adding up a hundred rows.
	partRows = 5000
	// maxParts is how many parts a chunk has at most.
	maxParts = 16
	// stepShare is how many more values than rows a range has at most for the next to be cut
	// by counting, as a share of these: many more, and there would be more chunks for that.
	stepShare = 4
	// tailShare is how many more steps there are at least before the last ones.
	tailShare = 4
)

// Parts divides a chunk of a sweep or of an insert scan into ranges of about 5,000 rows, as
// far as its bounds are enough for that: its key has to be one integer. The values of the
// key are divided evenly, the rows only if the values are. Else the chunk is the only part.
// One of an update scan is divided by its rows, for which the source is asked.
func (p *Pair) Parts(ctx context.Context, c chunk.Chunk) ([]chunk.Chunk, error) {
	pl, err := p.plan(ctx)
	if err != nil {
		return nil, err
	}
	if c.Scan == chunk.Update {
		return p.updateParts(ctx, pl, c)
	}
	return pl.parts(c), nil
}

func (pl *plan) parts(c chunk.Chunk) []chunk.Chunk {
	n := min((c.Rows+partRows-1)/partRows, maxParts)
	if n < 2 || c.After == nil || !pl.sweep.divisible(c.Scan) {
		return []chunk.Chunk{c}
	}
	after, width := integerRange(c.Scan, c.After.ID, c.UpTo.ID)
	if width < uint64(n) {
		return []chunk.Chunk{c}
	}
	parts := make([]chunk.Chunk, n)
	from := c.After
	for i := range parts {
		parts[i] = c
		parts[i].Rows = c.Rows / n
		parts[i].After = from
		if i == n-1 {
			break // with the upper bound of the chunk, if that is one
		}
		at := chunk.Position{ID: after.plus(width / uint64(n) * uint64(i+1)).String()}
		if c.Scan == chunk.Sweep {
			var err error
			if at, err = keyOfID(at.ID); err != nil {
				return []chunk.Chunk{c}
			}
		}
		parts[i].UpTo, parts[i].Open = at, false
		from = &at
	}
	return parts
}

// divisible reports whether chunks of a scan can be divided by their bounds.
func (s *sweepPlan) divisible(scan chunk.Scan) bool {
	return s.Divisible && scan == chunk.Sweep || s.Inserts && scan == chunk.Insert
}

// integer is a whole number of 64 bits, with or without a sign.
type integer struct {
	bits     uint64
	negative bool
}

func (a integer) below(b integer) bool { return a.compare(b) < 0 }

func (a integer) compare(b integer) int {
	switch {
	case a.negative == b.negative:
		return cmp.Compare(a.bits, b.bits)
	case a.negative:
		return -1
	}
	return 1
}

// previous is the number before a; ok is false if a column of 64 bits has none.
func (a integer) previous(unsigned bool) (_ integer, ok bool) {
	if a.bits == 0 {
		return integer{math.MaxUint64, true}, !unsigned
	}
	return integer{a.bits - 1, a.negative}, !a.negative || int64(a.bits) > math.MinInt64
}

// String is the number in decimal.
func (a integer) String() string {
	if a.negative {
		return strconv.FormatInt(int64(a.bits), 10)
	}
	return strconv.FormatUint(a.bits, 10)
}

// to is how much greater b is, 0 when it is not.
func (a integer) to(b integer) uint64 {
	if !a.below(b) {
		return 0
	}
	return b.bits - a.bits // of two's complements it is right for both kinds of numbers
}

// plus is what is greater by d.
func (a integer) plus(d uint64) integer {
	bits := a.bits + d
	return integer{bits, a.negative && int64(bits) < 0}
}

// denseRange reports whether the range of keys of so many rows has hardly more values than rows.
func denseRange(after *string, upTo string, rows int) bool {
	if after == nil {
		return false // nobody knows where it begins
	}
	_, width := integerRange(chunk.Sweep, *after, upTo)
	return width > 0 && width <= uint64(rows+rows/stepShare)
}

// step is the number that is greater than the key after by n, which is made of most as StepKeys
// says, or 0 where it would not be below upTo.
func step(after, upTo string, most, least int) (at string, n int) {
	a, left := integerRange(chunk.Sweep, after, upTo)
	for n = most; n/2 >= least && uint64(n) > left/tailShare; {
		n /= 2
	}
	if n < 1 || left <= uint64(n) {
		return "", 0
	}
	return a.plus(uint64(n)).String(), n
}

// integerRange reads the bounds of a chunk: the lower one, and how many values there are above it
// up to the upper one, which is 0 if these are no integers.
func integerRange(scan chunk.Scan, after, upTo string) (from integer, width uint64) {
	from, ok := integerBound(scan, after)
	to, ok2 := integerBound(scan, upTo)
	if !ok || !ok2 {
		return integer{}, 0
	}
	return from, from.to(to)
}

// integerBound reads the bound of a chunk; ok is false if it is no integer.
func integerBound(scan chunk.Scan, text string) (_ integer, ok bool) {
	if scan == chunk.Sweep {
		var key row.Key
		if key.UnmarshalText([]byte(text)) != nil || len(key.Parts()) != 1 {
			return integer{}, false
		}
		text = string(key.Parts()[0])
	}
	if n, err := strconv.ParseInt(text, 10, 64); err == nil {
		return integer{uint64(n), n < 0}, true
	}
	n, err := strconv.ParseUint(text, 10, 64)
	return integer{n, false}, err == nil
}

// SumParts adds up the rows of a chunk by Parts, all in one query a side. Two sums are equal
// when the rows are, as row.Compare and row.Orphans see it, and as good as only then: see the
// package comment. Rows with a NULL in their key are left out. It returns the parts whose sums
// differ, with the rows of the side that has more of them, and how many rows the source has in
// all. It works where HasSums says so.
func (p *Pair) SumParts(ctx context.Context, c chunk.Chunk) (differ []chunk.Chunk, rows int, err error) {
	pl, err := p.plan(ctx)
	if err != nil {
		return nil, 0, err
	}
	parts := pl.parts(c)
	src, des, err := p.bothSums(ctx, pl, c, func(ctx context.Context, on row.Side) ([]Sum, error) {
		return p.sumParts(ctx, pl, on, c, parts)
	})
	if err != nil {
		return nil, 0, err
	}
	for i, part := range parts {
		rows += int(src[i].Rows)
		if src[i] != des[i] {
			part.Rows = int(max(src[i].Rows, des[i].Rows))
			differ = append(differ, part)
		}
	}
	return differ, rows, nil
}

// sumParts adds up the parts of a chunk on one side.
func (p *Pair) sumParts(ctx context.Context, pl *plan, on row.Side, c chunk.Chunk, parts []chunk.Chunk) ([]Sum, error) {
	s := p.side(on)
	q, err := p.sumQuery(pl, on, parts)
	if err != nil {
		return nil, s.explain(ctx, "checksum parts", err)
	}
	sums := make([]Sum, len(parts))
	return sums, s.read(ctx, "checksum "+c.String(), []query{q}, one(func(values []driver.Value) error {
		n, err := strconv.Atoi(valueText(values[0]))
		if err != nil || n < 0 || n >= len(parts) {
			return fmt.Errorf("read part: %q is none of %d", valueText(values[0]), len(parts))
		}
		sums[n], err = sumOf(values[1:])
		return err
	}))
}

// sumQuery adds up parts of a chunk on one side, each with its number before it.
func (p *Pair) sumQuery(pl *plan, on row.Side, parts []chunk.Chunk) (query, error) {
	s := p.side(on)
	var texts []string
	var args []driver.Value
	for i, part := range parts {
		range_, err := pl.sumRange(on, part)
		if err != nil {
			return query{}, err
		}
		where, more := s.where(range_)
		texts = append(texts, "SELECT "+strconv.Itoa(i)+", COUNT(*), "+pl.sweep.sums.expression(on, part.Salt)+" FROM "+quote(s.o.Table)+where)
		args = append(append(args, int64(part.Salt)), more...)
	}
	return query{strings.Join(texts, " UNION ALL "), args}, nil
}
