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
	mid, rows, single, err := l.bisect(ctx, c)
	if err != nil {
		return err
	}
	if single && c.Crashes < crashesToSetAside {
		l.staged = append(l.staged, p)
		return nil
	}
	switch {
	case single:
		if err := l.setAside(ctx, c); err != nil {
			return err
		}
		p.out.found.SetAside++
	case rows == 0:
		l.log.Warn().Stringer("chunk", c).Msg("chunk has killed its workers, and its rows are gone")
	default:
		l.log.Warn().Stringer("chunk", c).Int("rows", c.Rows).Msg("chunk has killed its workers and is halved")
		first, second := c, c
		first.UpTo, first.Open, first.Rows, first.Crashes = mid, false, rows, 1
		second.After, second.Rows, second.Crashes = &mid, max(c.Rows-rows, 1), 1
		l.stage(p.out, first)
		l.stage(p.out, second)
	}
	l.drop(p)
	l.settle(p.out.look)
	return nil
}

// bisect finds the end of the first half of c and how many rows are in it; single
// says that c has no halves. What c.Rows says may be outdated.
//
// A sweep's chunk is more than its source rows: the destination has others of the
// range, and these are not known here. So it is single when no source row parts it,
// and its source rows being gone does not make it done. Where c was cut without a look at
// the rows its end is none of them, and the second half may have no source row.
func (l *lane) bisect(ctx context.Context, c chunk.Chunk) (mid chunk.Position, rows int, single bool, err error) {
	s := span{upTo: c.UpTo.ID, lo: c.From, hi: c.UpTo.Value, open: c.Open}
	for limit := max(c.Rows/2, 1); ; limit = max(rows/2, 1) {
		mid, rows, err = l.planner.cut(ctx, s, c.After, limit)
		switch {
		case err != nil || rows == 0:
			return mid, rows, err == nil && c.Scan == chunk.Sweep, err
		case c.Open || mid != c.UpTo:
			return mid, rows, false, nil
		case rows == 1 || limit == 1:
			return mid, rows, true, nil
		}
	}
}

// setAside sets the one row of a chunk aside. On an error nothing has changed.
func (l *lane) setAside(ctx context.Context, c chunk.Chunk) error {
	c.Skip, c.Differ = nil, "" // which are long
	s := SetAside{ByKey: l.byKey(), At: time.Now().UTC()}
	if c.Stage != chunk.Compare {
		if !c.Open {
			var err error
			if s.ID, err = l.idOf(ctx, c); err != nil {
				return err
			}
		}
		c.Stage = chunk.Resolve // when it is given back it is compared
	}
	s.Chunk = c
	l.ledger.setAside(s)
	l.log.Error().Stringer("chunk", c).Str("row", s.Row()).Msg("this row kills every worker that compares it; it is set aside and the scan goes on")
	row := "the row " + s.Row()
	switch {
	case c.Scan == chunk.Update:
		row = "the row " + c.UpTo.String()
	case s.Row() == noRow && c.Stage == chunk.Compare:
		row = "what the destination has above the source's last row"
	case s.Row() == noRow:
		row = "a row of the destination alone"
	}
	l.alerts.Alert("row set aside", fmt.Sprintf("%s: %s kills every worker that compares it; it is set aside, and compared again after cupid-master retry", c.Pair, row))
	return nil
}

// idOf is the id of the source row between the places of a chunk, empty for none.
func (l *lane) idOf(ctx context.Context, c chunk.Chunk) (string, error) {
	var after *string
	if c.After != nil {
		after = &c.After.ID
	}
	return l.source.IDBetween(ctx, after, c.UpTo.ID)
}

// byKey reports whether the bounds of this lane's chunks are keys.
func (l *lane) byKey() bool {
	return l.sweep != nil && l.ledger.sweep(l.pair).Mode == SweepByKey
}

// skipping is a chunk as it is offered: without the rows that are set aside. A run with
// -once compares them all the same, since its verdict is about every row.
func (l *lane) skipping(c chunk.Chunk) chunk.Chunk {
	if l.sweep == nil || !l.sweep.once {
		c.Skip = l.ledger.skip(l.pair, l.byKey())
	}
	return c
}

// GiveBack names a row that was set aside, as SetAside.Row does.
type GiveBack struct {
	Pair string `json:"pair"`
	Row  string `json:"row"`
}

// Retry compares a row again that was set aside. Like Done it does not wait.
func (m *Manager) Retry(g GiveBack) {
	for _, s := range m.ledger.giveBack(g.Pair, g.Row) {
		for _, l := range m.lanes {
			if l.pair == g.Pair && l.scan == s.Chunk.Scan {
				l.log.Info().Stringer("chunk", s.Chunk).Msg("row given back; it is compared again")
				l.inbox.again(s.Chunk)
			}
		}
	}
}

// again stages a chunk by itself.
func (l *lane) again(c chunk.Chunk) {
	k := &look{whole: true}
	o := &outChunk{look: k, upTo: c.UpTo}
	k.out = []*outChunk{o}
	l.looks = append(l.looks, k)
	c.Crashes, c.Skip = 0, nil
	l.stage(o, c)
}
