package manager

import (
	"context"
	"slices"
	"time"

	"github.com/masixun71/cupid/pkg/chunk"
)

// insertScan plans the scan for new ids.
//
// Everything up to the cursor has been looked at, and what may still commit there
// lies in a late span. What commits above the cursor is seen by the next pass.
type insertScan struct {
	lane *lane
	// ahead is by how much an id may be older than its transaction; 0 until it is known.
	ahead time.Duration
	// blindAge is the age at which a span is final when transactions are invisible.
	blindAge time.Duration
	// begun is false as long as the cursor is the start id that the operator gave.
	begun bool

	state  InsertState
	clock  Clock
	readAt time.Time // when clock was read, by the monotonic clock of this process
}

// madeUpAhead is by how much an id that the application makes up (Snowflake, UUID)
// may be older than its transaction.
const madeUpAhead = 5 * time.Second

// newInsertScan goes on at the cursor, and where there is no state yet begins after start.
func newInsertScan(l *lane, start string, blindAge time.Duration) *insertScan {
	s, begun := l.ledger.insert(l.pair)
	if !begun && start != "" {
		s.Cursor = &start
	}
	s.Late = slices.Clone(s.Late)
	return &insertScan{lane: l, blindAge: blindAge, begun: begun, state: s}
}

func (p *insertScan) begin(ctx context.Context) ([]*look, error) {
	if p.ahead == 0 {
		given, err := p.lane.source.ServerGivesIDs(ctx)
		if err != nil {
			return nil, err
		}
		p.ahead = madeUpAhead
		if given {
			p.ahead = lead
		}
	}
	// The head is read before the clock: every id up to it was given out before
	// the clock was read, to a transaction that had started by then.
	head, found, err := p.lane.source.Head(ctx)
	if err != nil {
		return nil, err
	}
	if found && len(p.state.Late) == 0 && p.state.Cursor != nil && *p.state.Cursor == head {
		return nil, nil // nothing is new, and nothing is waited for
	}
	if err := p.readClock(ctx); err != nil {
		return nil, err
	}
	if !found {
		p.emptied()
		return nil, nil
	}
	looks := p.lateLooks()
	if p.state.Cursor == nil || *p.state.Cursor != head {
		looks = append(looks, p.forward(head, p.clock.Now))
	}
	return looks, nil
}

// forward looks at everything between the cursor and the head.
func (p *insertScan) forward(head string, seen time.Time) *look {
	var after *chunk.Position
	if p.state.Cursor != nil {
		after = &chunk.Position{ID: *p.state.Cursor}
	}
	k := &look{span: span{upTo: head, head: true, salt: salt()}, at: after}
	k.fresh = func(after *chunk.Position, upTo chunk.Position) {
		p.begun = true
		l := Late{UpTo: upTo.ID, Seen: seen}
		if after != nil {
			l.After = &after.ID
		}
		if !l.settled(p.clock, p.ahead, p.blindAge) {
			p.state.Late = remember(p.state.Late, l)
			p.keep()
		}
	}
	k.passed = func(done []*outChunk) {
		p.state.Cursor = &done[len(done)-1].upTo.ID
		p.keep()
	}
	return k
}

// emptied begins anew on an empty table: ids may be given out again from the
// start after a TRUNCATE. Whatever commits now lies above a cursor of none.
func (p *insertScan) emptied() {
	if p.begun && (p.state.Cursor != nil || len(p.state.Late) > 0) {
		p.state = InsertState{}
		p.keep()
	}
}

// lower puts the cursor onto a head that lies below it: rows have been deleted, and
// the ids above the head may be given out once more (by a server older than MySQL 8
// after a restart, or with rows that are restored). It is called when there is no
// row between the cursor and the head, and does nothing when the head is gone as well:
// then it may have been above the cursor.
func (p *insertScan) lower(ctx context.Context, head string) error {
	// As long as the head is there, a row up to it is after an id below it only.
	below := func(id *string) (bool, error) {
		if id == nil || *id == head {
			return id == nil, nil
		}
		_, rows, err := p.lane.source.CutIDs(ctx, id, &head, 1)
		return rows > 0, err
	}
	// What the late spans have above the head is above the cursor from now on.
	late := slices.Clone(p.state.Late)
	for len(late) > 0 {
		last := &late[len(late)-1]
		if ok, err := below(last.After); err != nil {
			return err
		} else if !ok {
			late = late[:len(late)-1]
			continue
		}
		if ok, err := below(&last.UpTo); err != nil {
			return err
		} else if !ok {
			last.UpTo = head
		}
		break
	}
	now, found, err := p.lane.source.Head(ctx)
	if err != nil || !found || now != head {
		return err
	}
	p.state.Cursor, p.state.Late = &head, late
	p.keep()
	return nil
}

// lateLooks are the looks at spans that became final, and at those whose time
// has come to be looked at again.
func (p *insertScan) lateLooks() []*look {
	var looks []*look
	for i := range p.state.Late {
		l := &p.state.Late[i]
		final := l.settled(p.clock, p.ahead, p.blindAge)
		if !final && !l.due(p.clock.Now) {
			continue
		}
		l.looked(p.clock.Now)
		looks = append(looks, p.late(*l, final))
	}
	return looks
}

func (p *insertScan) late(l Late, final bool) *look {
	k := &look{span: span{upTo: l.UpTo, salt: salt()}}
	if l.After != nil {
		k.at = &chunk.Position{ID: *l.After}
	}
	if !final {
		return k
	}
	k.complete = func() {
		p.state.Late = slices.DeleteFunc(p.state.Late, func(o Late) bool {
			return o.UpTo == l.UpTo && o.Seen.Equal(l.Seen) && equal(o.After, l.After)
		})
		p.keep()
	}
	return k
}

func (p *insertScan) cut(ctx context.Context, s span, at *chunk.Position, limit int) (chunk.Position, int, error) {
	if time.Since(p.readAt) > clockAge {
		if err := p.readClock(ctx); err != nil {
			return chunk.Position{}, 0, err
		}
	}
	var after *string
	if at != nil {
		if at.ID == s.upTo {
			return chunk.Position{}, 0, nil
		}
		after = &at.ID
	}
	last, rows, err := p.lane.source.CutIDs(ctx, after, &s.upTo, limit)
	if err == nil && rows == 0 && s.head && p.begun && after != nil && equal(after, p.state.Cursor) {
		err = p.lower(ctx, s.upTo)
	}
	return chunk.Position{ID: last}, rows, err
}

func (p *insertScan) readClock(ctx context.Context) error {
	c, err := p.lane.source.Clock(ctx)
	if err == nil {
		p.clock, p.readAt = c, time.Now()
	}
	return err
}

func (p *insertScan) keep() { p.lane.ledger.setInsert(p.lane.pair, p.state) }

func equal(a, b *string) bool {
	return a == b || a != nil && b != nil && *a == *b
}
