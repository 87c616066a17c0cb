package manager

import (
	"context"
	"fmt"
	"time"

	"github.com/masixun71/cupid/pkg/chunk"
)

// crashesToSetAside is how many workers must have died before a single row is set
// aside. A half begins with one crash, which may have been another row's; so the
// row has killed two workers that had nothing else in hand.
const crashesToSetAside = 3

// halve replaces a chunk that killed its workers by its two halves, or sets its
// one row aside. On an error nothing has changed.
func (l *lane) halve(ctx context.Context, p *piece) error {
	c := p.chunk
	mid, rows, err := l.bisect(ctx, c)
	if err != nil {
		return err
	}
	if rows == 1 && mid == c.UpTo && c.Crashes < crashesToSetAside {
		l.staged = append(l.staged, p)
		return nil
	}
	switch {
	case rows == 0:
		l.log.Warn().Stringer("chunk", c).Msg("chunk has killed its workers, and its rows are gone")
	case rows == 1 && mid == c.UpTo:
		l.setAside(c)
	default:
		l.log.Warn().Stringer("chunk", c).Int("rows", c.Rows).Msg("chunk has killed its workers and is halved")
		l.stage(p.out, chunk.Chunk{After: c.After, From: c.From, UpTo: mid, Rows: rows, Crashes: 1})
		l.stage(p.out, chunk.Chunk{After: &mid, From: c.From, UpTo: c.UpTo, Rows: max(c.Rows-rows, 1), Crashes: 1})
	}
	l.drop(p)
	l.settle(p.out.look)
	return nil
}

// bisect finds the end of the first half of c and how many rows are in it. The
// end is c's own only when one row is left of c. What c.Rows says may be outdated.
func (l *lane) bisect(ctx context.Context, c chunk.Chunk) (mid chunk.Position, rows int, err error) {
	s := span{upTo: c.UpTo.ID, lo: c.From, hi: c.UpTo.Value}
	for limit := max(c.Rows/2, 1); ; limit = rows / 2 {
		mid, rows, err = l.planner.cut(ctx, s, c.After, limit)
		if err != nil || rows < 2 || mid != c.UpTo {
			return mid, rows, err
		}
	}
}

func (l *lane) setAside(c chunk.Chunk) {
	l.ledger.setAside(SetAside{Chunk: c, At: time.Now().UTC()})
	l.log.Error().Stringer("chunk", c).Msg("this row kills every worker that compares it; it is set aside and the scan goes on")
	l.alerts.Alert("row set aside", fmt.Sprintf("%s: the row %s kills every worker that compares it; it is set aside", c.Pair, c.UpTo))
}
