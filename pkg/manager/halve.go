package manager

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/masixun71/cupid/pkg/chunk"
)

// crashesToSetAside is how many workers must have died before a single row is set
// aside. A half begins with one crash, which may have been another row's; so the
// row has killed two workers that had nothing else in hand.
const crashesToSetAside = 3

// halve replaces a chunk that killed its workers, or whose rows could not be read, by its two halves, or
// sets its one row aside, or has it owed. On an error nothing has changed.
func (l *lane) halve(ctx context.Context, p *piece) error {
	c := p.chunk
	mid, rows, single, err := l.bisect(ctx, c)
	if err != nil {
		return err
	}
	unread := p.unread >= unreadToHalve
	switch {
	case single && unread:
		if ok, err := l.owe(ctx, p); err != nil {
			return err
		} else if !ok {
			l.staged = append(l.staged, p)
			return nil
		}
	case single && c.Crashes < crashesToSetAside:
		l.staged = append(l.staged, p)
		return nil
	case single:
		if err := l.setAside(ctx, p); err != nil {
			return err
		}
		p.out.found.SetAside++
	case rows == 0:
		l.log.Warn().Stringer("chunk", c).Msg("the rows of a chunk that failed are gone")
	default:
		l.log.Warn().Stringer("chunk", c).Int("rows", c.Rows).Bool("unread", unread).Msg("chunk has killed its workers, or cannot be read, and is halved")
		first, second := c, c
		first.UpTo, first.Open, first.Rows = mid, false, rows
		second.After, second.Rows = &mid, max(c.Rows-rows, 1)
		if !unread {
			first.Crashes, second.Crashes = 1, 1
		}
		for _, c := range []chunk.Chunk{first, second} {
			h := l.stage(p.out, c)
			if h.owed = p.owed; unread {
				h.unread = unreadToHalve - 1
			}
		}
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
	if c.Only != "" {
		return c.UpTo, 1, true, nil
	}
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
func (l *lane) setAside(ctx context.Context, p *piece) error {
	s, err := l.alone(ctx, p.chunk)
	if err != nil {
		return err
	}
	l.ledger.setAside(s)
	l.log.Error().Stringer("chunk", s.Chunk).Str("row", s.Row()).Msg("this row kills every worker that compares it; it is set aside and the scan goes on")
	l.alerts.Alert("row set aside", fmt.Sprintf("%s: %s kills every worker that compares it; it is set aside, and compared again after cupid-master retry", l.pair, s.words()))
	return nil
}

// alone is the one row of a chunk, to be compared by itself.
func (l *lane) alone(ctx context.Context, c chunk.Chunk) (SetAside, error) {
	c.Skip, c.Differ = nil, "" // which are long
	s := SetAside{ByKey: l.byKey(), At: time.Now().UTC()}
	switch {
	case c.Stage != chunk.Compare:
		if !c.Open {
			var err error
			if s.ID, err = l.idOf(ctx, c); err != nil {
				return s, err
			}
		}
		c.Stage = chunk.Resolve // when it is given back it is compared
	case !s.ByKey && !c.Open:
		c.Only = c.UpTo.ID // it may move, and what comes beside it is others'
	}
	s.Chunk = c
	return s, nil
}

// words names the row in a sentence.
func (s SetAside) words() string {
	switch {
	case s.Chunk.Scan == chunk.Update:
		return "the row " + s.Chunk.UpTo.String()
	case s.Row() == noRow && s.Chunk.Stage == chunk.Compare:
		return "what the destination has above the source's last row"
	case s.Row() == noRow:
		return "a row of the destination alone"
	}
	return "the row " + s.Row()
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

// offered is the chunk of a piece as it is offered: for workers that have the same configuration and metadata, and
// without the rows that are set aside or owed. A run with -once compares them all the same, since its verdict is
// about every row.
func (l *lane) offered(p *piece) chunk.Chunk {
	c := p.chunk
	c.Config = l.config
	if l.sweep == nil || !l.sweep.once {
		c.Skip = l.ledger.skip(l.pair, l.scan, l.byKey(), p.owed)
	}
	if l.sweep != nil {
		c.Key = l.sweep.state.Key
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
	runs := func(s chunk.Scan) bool {
		return slices.ContainsFunc(m.lanes, func(l *lane) bool { return l.pair == g.Pair && l.scan == s })
	}
	for _, s := range m.ledger.giveBack(g.Pair, g.Row, runs) {
		for _, l := range m.lanes {
			if l.pair == g.Pair && l.scan == s.Chunk.Scan {
				l.log.Info().Stringer("chunk", s.Chunk).Msg("row given back; it is compared again")
				l.inbox.again(s)
			}
		}
	}
}
