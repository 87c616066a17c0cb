package manager

import (
	"context"
	"math/rand/v2"
)

// catchUpRows bounds the chunks of a scan that is behind.
const catchUpRows = maxDivisible

// growth makes the chunks of a scan larger as long as they are full, which is when it is behind,
// where task workers compare large ones by checksums. The zero value is that of a new pass.
type growth struct {
	full  int  // chunks in a row
	asked bool // whether there are checksums
	sums  bool
}

// limit is how many rows the next chunk has at most, given what one has of a scan that is
// not behind. Without an answer of the source there are no checksums.
func (g *growth) limit(ctx context.Context, source Whole, rows int) int {
	if g.full > 0 && !g.asked {
		plan, err := source.Sweep(ctx)
		g.asked, g.sums = true, err == nil && plan.Inserts
	}
	if !g.sums {
		return rows
	}
	return max(rows, min(rows<<min(g.full, 8), catchUpRows))
}

// saw hears how many rows were cut of so many.
func (g *growth) saw(rows, limit int) {
	if g.full++; rows < limit {
		g.full = 0
	}
}

// salt is another one for each look at a row, whatever the rhythm of the looks is: its lowest
// bit chooses the hash.
func salt() uint32 { return rand.Uint32() }
