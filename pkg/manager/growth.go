package manager

import (
	"context"
	"math/rand/v2"
	"time"
)

// catchUpRows bounds the chunks of a scan that is behind.
const catchUpRows = maxDivisible

const (
	// leastRows is how many rows the chunks of a scan have at most, however long they take.
	leastRows = 16
	// quick is how long a chunk may take for the next to be larger again. One of twice as many rows is
	// then far from any timeout.
	quick = 2 * time.Second
)

// growth makes the chunks of a scan larger as long as they are full, which is when it is behind,
// where task workers compare large ones by checksums; and smaller once one could not be compared for
// its rows, until full ones are quick again.
type growth struct {
	full  int  // chunks in a row
	asked bool // whether there are checksums
	sums  bool
	most  int // rows of a chunk, since a larger one failed; 0 when none did
}

// begin is called with each pass.
func (g *growth) begin() { *g = growth{most: g.most} }

// limit is how many rows the next chunk has at most, given what one has of a scan that is
// not behind. Without an answer of the source there are no checksums.
func (g *growth) limit(ctx context.Context, source Whole, rows int) int {
	if g.full > 0 && !g.asked {
		plan, err := source.Sweep(ctx)
		g.asked, g.sums = true, err == nil && plan.Inserts
	}
	if g.sums {
		rows = max(rows, min(rows<<min(g.full, 8), catchUpRows))
	}
	if g.most > 0 {
		rows = min(rows, g.most)
	}
	return rows
}

// shrink hears that a chunk of so many rows could not be compared for these.
func (g *growth) shrink(rows int) {
	if g.most > 0 {
		rows = min(rows, 2*g.most)
	}
	g.most = max(rows/2, leastRows)
}

// measure hears how long a chunk of so many rows took.
func (g *growth) measure(rows int, took time.Duration) {
	if g.most == 0 || rows < g.most || took > quick {
		return
	}
	if g.most *= 2; g.most >= catchUpRows {
		g.most = 0
	}
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
