package table

import (
	"context"
	"database/sql/driver"
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
	// groupShift leaves what there is of the key's hash in the number of a row.
	groupShift = 32
)

// groupsOf is how many groups a chunk of so many rows has; 0 is unknown. It is a power
// of two.
func groupsOf(rows int) int {
	if rows == 0 {
		return maxGroups / 4
	}
	return min(max(1<<bits.Len(uint(rows/groupRows)), minGroups), maxGroups)
}

// groupCondition leaves all rows out that are in none of groups. Its list is padded to
// a few lengths, so that few statements exist.
func (s summer) groupCondition(on row.Side, g chunk.Groups) []condition {
	if g.Whole() {
		return nil
	}
	values := make([]driver.Value, 0, maxGroups)
	for _, one := range g.Some {
		values = append(values, int64(one.Number))
	}
	size := split(len(values))[0].size
	for len(values) < size {
		values = append(values, values[len(values)-1])
	}
	return []condition{{"((" + s.keyHash(on) + " >> 1) & " + strconv.Itoa(g.Of-1) + ") IN (" + repeat("?", ", ", size) + ")", values}}
}

// GroupSums is SumParts by groups: the rows of a part of a sweep's chunk are parted by a hash of
// their keys, on both sides alike, and each group is added up. It returns the groups whose sums
// differ, and how many rows the source has in all. What differs need not be read with all of
// its part. Each row is streamed as one number, as AddUp does it, which costs the server less
// than a GROUP BY and has no price for small groups; a row that differs costs no more to
// read than those of its group.
func (p *Pair) GroupSums(ctx context.Context, c chunk.Chunk) (differ chunk.Groups, rows int, err error) {
	pl, err := p.plan(ctx)
	if err != nil {
		return chunk.Groups{}, 0, err
	}
	of := groupsOf(c.Rows)
	src, des, err := p.bothSums(ctx, pl, c, func(ctx context.Context, on row.Side) ([]Sum, error) {
		return p.groupSums(ctx, pl, on, c, of)
	})
	if err != nil {
		return chunk.Groups{}, 0, err
	}
	differ.Of = of
	for i := range of {
		rows += int(src[i].Rows)
		if src[i] != des[i] {
			differ.Some = append(differ.Some, chunk.Group{Number: i, Rows: int(max(src[i].Rows, des[i].Rows))})
		}
	}
	return differ, rows, nil
}

// groupSums adds up the groups of a chunk on one side.
func (p *Pair) groupSums(ctx context.Context, pl *plan, on row.Side, c chunk.Chunk, of int) ([]Sum, error) {
	s := p.side(on)
	range_, err := pl.sumRange(on, c)
	if err != nil {
		return nil, s.explain(ctx, "checksum groups", err)
	}
	sums := make([]Sum, of)
	err = s.readHashes(ctx, "checksum groups of "+c.String(), pl, on, quote(s.o.Table), range_, c.Salt, func(n uint64) {
		group := &sums[int(n>>groupShift)&(of-1)]
		group.Rows++
		group.Hash += mix(n, c.Salt)
	})
	return sums, err
}
