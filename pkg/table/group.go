package table

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"math/bits"
	"strconv"

	"github.com/masixun71/cupid/pkg/chunk"
	"github.com/masixun71/cupid/pkg/row"
)

const (
	// groupRows is how many rows a group should have: as many have to be read for each
	// row that differs.
	groupRows = 8
	// minGroups and maxGroups bound how many groups a part of a chunk has.
	minGroups, maxGroups = 16, 4096
	// keyShare is how many times as many values as rows a range has at most for each of them to be
	// a group. maxKeyGroups bounds how many these are, which is 640 KB of sums.
	keyShare, maxKeyGroups = 4, 40_000
)

// groupsOf is how many groups a chunk of so many rows has; 0 is unknown. It is a power
// of two.
func groupsOf(rows int) int {
	if rows == 0 {
		return maxGroups / 4
	}
	return min(max(1<<bits.Len(uint(rows/groupRows)), minGroups), maxGroups)
}

// grouping is how the rows of a part of a chunk are parted.
type grouping struct {
	of    int     // how many groups there are
	byKey bool    // each group is one value of a key that is one integer
	first integer // the first of them
}

// grouping parts by the key itself where that is one integer and the part has no less than a
// quarter as many rows as its range has values: then what differs need not be looked for among
// others.
func (pl *plan) grouping(c chunk.Chunk) grouping {
	if c.After == nil || c.Open {
		return grouping{of: maxGroups} // nobody knows what the destination has out there
	}
	after, width := integerRange(chunk.Sweep, c.After.ID, c.UpTo.ID)
	if !pl.sweep.Divisible || width == 0 || width > uint64(min(keyShare*c.Rows, maxKeyGroups)) {
		return grouping{of: groupsOf(c.Rows)}
	}
	return grouping{int(width), true, after.plus(1)}
}

// expression is what there is of a row's key in its number.
func (g grouping) expression(s summer, on row.Side) string {
	if g.byKey {
		return s.lowKey(on)
	}
	return s.keyHash(on)
}

// group is the group of the row with a number.
func (g grouping) group(number uint64) int {
	if g.byKey {
		return int((number>>keyShift - g.first.bits) & keyMask)
	}
	return int(number>>keyShift) & (g.of - 1)
}

// groupCondition leaves all rows of a part out that are in none of groups. Its list is padded to
// a few lengths, so that few statements exist.
func (pl *plan) groupCondition(on row.Side, part chunk.Chunk, g chunk.Groups) ([]condition, error) {
	if g.Whole() {
		return nil, nil
	}
	what := "(" + pl.sweep.sums.keyHash(on) + " & " + strconv.Itoa(g.Of-1) + ")"
	value := func(number int) (driver.Value, error) { return int64(number), nil }
	if g.ByKey {
		if part.After == nil {
			return nil, fmt.Errorf("groups by key of %s, which has no lower bound", part)
		}
		column := pl.ordered(on)[0].column
		after, _ := integerBound(chunk.Sweep, part.After.ID)
		what = quote(column.Name)
		value = func(number int) (driver.Value, error) {
			return boundArg(column, []byte(after.plus(uint64(number)+1).String()))
		}
	}
	values := make([]driver.Value, max(split(len(g.Some))[0].size, len(g.Some)))
	for i := range values {
		var err error
		if values[i], err = value(g.Some[min(i, len(g.Some)-1)].Number); err != nil {
			return nil, err
		}
	}
	return []condition{{what + " IN (" + repeat("?", ", ", len(values)) + ")", values}}, nil
}

// GroupSums is SumParts by groups: the rows of a part of a sweep's chunk are parted by their keys, or a
// hash of these, on both sides alike, and each group is added up. It returns the groups whose sums
// differ, and how many rows the source has in all. What differs need not be read with all of
// its part. Each row is streamed as one number, as AddUp does it, which costs the server less
// than a GROUP BY and has no price for small groups.
func (p *Pair) GroupSums(ctx context.Context, c chunk.Chunk) (differ chunk.Groups, rows int, err error) {
	pl, err := p.plan(ctx)
	if err != nil {
		return chunk.Groups{}, 0, err
	}
	parts := pl.grouping(c)
	src, des, err := p.bothSums(ctx, pl, c, func(ctx context.Context, on row.Side) ([]Sum, error) {
		return p.groupSums(ctx, pl, on, c, parts)
	})
	if err != nil {
		return chunk.Groups{}, 0, err
	}
	differ.Of, differ.ByKey = parts.of, parts.byKey
	for i := range parts.of {
		rows += int(src[i].Rows)
		if src[i] != des[i] {
			differ.Some = append(differ.Some, chunk.Group{Number: i, Rows: int(max(src[i].Rows, des[i].Rows))})
		}
	}
	return differ, rows, nil
}

// groupSums adds up the groups of a chunk on one side.
func (p *Pair) groupSums(ctx context.Context, pl *plan, on row.Side, c chunk.Chunk, parts grouping) ([]Sum, error) {
	s := p.side(on)
	range_, err := pl.sumRange(on, c)
	if err != nil {
		return nil, s.explain(ctx, "checksum groups", err)
	}
	sums := make([]Sum, parts.of)
	outside := false
	err = s.readHashes(ctx, "checksum groups of "+c.String(), pl, on, quote(s.o.Table), parts.expression(pl.sweep.sums, on), range_, c.Salt, func(n uint64) {
		i := parts.group(n)
		if i >= len(sums) {
			outside = true
			return
		}
		sums[i].Rows++
		sums[i].Hash += mix(n, c.Salt)
	})
	if err == nil && outside {
		err = s.explain(ctx, "checksum groups of "+c.String(), errors.New("the server returned a row that is not in the range"))
	}
	return sums, err
}
