package manager

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/masixun71/cupid/pkg/backoff"
	"github.com/masixun71/cupid/pkg/chunk"
)

// maxOwed bounds the rows of a lane that are owed: each is a chunk that the others leave out. A pass waits for
// the rows that there is no room for.
const maxOwed = 16

// owedCap is the longest wait before a row that is owed is tried again. Each try may take a reader of the pair for as
// long as a query may run, so one of a lane is out at a time.
const owedCap = 5 * time.Minute

// A single row that cannot be read, though others can, is owed: it is tried again and again, for ever, beside the
// passes of its scan, which leave it out and do not wait for it.
//
//	of a chunk ── unread ──▶ left out ── read ──▶ taken in ── read ──▶ forgotten
//	                            ▲                    │
//	  set aside, given back ────┼────────▶           │
//	                            └────── unread ──────┘
//
// It is read twice, since a chunk may have been offered without it while the first of these two was under way.
// What a sweep owes is forgotten when the next pass begins, which has every row.

// owe lets the pass go on without the one row of a piece. ok is false when there is no room, and in a run with
// -once, whose verdict is about every row.
func (l *lane) owe(ctx context.Context, p *piece) (ok bool, err error) {
	if l.sweep != nil && l.sweep.once {
		return false, nil
	}
	s, err := l.alone(ctx, p.chunk)
	if err != nil || !l.leaveOut(s, p.why) {
		return false, err
	}
	if q := l.again(s); q != nil {
		q.failures, q.failing, q.retry, q.unread = p.failures, p.failing, p.retry, p.unread
	}
	return true, nil
}

// owing reports whether a row that is owed is out.
func (l *lane) owing() bool {
	for _, p := range l.open {
		if p.owed != nil && !slices.Contains(l.staged, p) && !slices.Contains(l.crashed, p) {
			return true
		}
	}
	return false
}

// leaveOut has chunks leave out a row that is owed, and an operator hear of it when they did not yet. It reports
// whether there is room for it.
func (l *lane) leaveOut(s SetAside, why string) bool {
	fresh, ok := l.ledger.owe(s)
	if fresh {
		l.log.Error().Str("error", why).Stringer("chunk", s.Chunk).Str("row", s.Row()).Msg("this row cannot be read, though others can; it is tried again until it can")
		l.alerts.Alert("row unreadable", fmt.Sprintf("%s: %s cannot be read, though others can: %s; tried again until it can", l.pair, s.words(), why))
	}
	return ok
}

// again stages a row that is owed by itself, unless it is; then it returns nil.
func (l *lane) again(s SetAside) *piece {
	for _, p := range l.open {
		if p.owed != nil && p.owed.same(s) {
			return nil
		}
	}
	c := s.Chunk
	c.Crashes, c.Skip, c.Rows = 0, nil, 1
	p := l.stage(&outChunk{look: &look{whole: true}, upTo: c.UpTo}, c)
	p.owed = &s
	return p
}

// paid hears that a row that is owed was compared.
func (l *lane) paid(p *piece) {
	s := *p.owed
	left, more := l.ledger.paid(s)
	if left {
		l.log.Info().Stringer("chunk", s.Chunk).Str("row", s.Row()).Msg("the row that could not be read was read")
		l.alerts.Alert("row read again", fmt.Sprintf("%s: %s could be read", l.pair, s.words()))
	}
	if more {
		l.again(s)
	}
}

// putOff has a row that is owed, and could not be read again, wait.
func (l *lane) putOff(p *piece, why string) {
	p.retry = time.Now().Add(backoff.Delay(p.failures, probeBase, owedCap, 0.2, rand.Float64))
	if l.staged = append(l.staged, p); p.unread >= unreadToHalve {
		l.leaveOut(*p.owed, why)
	}
}

// takeUp stages the rows that are owed and not staged, as after a restart.
func (l *lane) takeUp() {
	for _, s := range l.ledger.owed(l.pair, l.scan) {
		l.again(s)
	}
}

// forgive forgets the rows that are owed: a pass begins that has them.
func (l *lane) forgive() {
	l.ledger.forgive(l.pair, l.scan)
	isOwed := func(p *piece) bool { return p.owed != nil }
	l.staged, l.crashed = slices.DeleteFunc(l.staged, isOwed), slices.DeleteFunc(l.crashed, isOwed)
	for id, p := range l.open {
		if isOwed(p) {
			delete(l.open, id)
		}
	}
}

// Owed is a single row that could not be read, though others could. See owe.
type Owed struct {
	Row SetAside `json:"row"`
	// LeftOut says that chunks leave it out; else it was read, or given back, and is read a last time.
	LeftOut bool `json:"leftOut,omitempty"`
}

// same reports whether two are one row of one scan.
func (s SetAside) same(o SetAside) bool {
	if s.Chunk.Pair != o.Chunk.Pair || s.Chunk.Scan != o.Chunk.Scan || s.ByKey != o.ByKey || s.Row() != o.Row() {
		return false
	}
	return s.Row() != noRow || s.Chunk.UpTo == o.Chunk.UpTo && samePlace(s.Chunk.After, o.Chunk.After)
}

func samePlace(a, b *chunk.Position) bool { return a == b || a != nil && b != nil && *a == *b }

// owe takes note of a row that chunks are to leave out; fresh is false when they did already, and ok when there is
// no room for more.
func (l *ledger) owe(s SetAside) (fresh, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	owed := slices.Clone(l.state.Owed)
	i := slices.IndexFunc(owed, func(o Owed) bool { return o.Row.same(s) })
	switch {
	case i >= 0 && owed[i].LeftOut:
		return false, true
	case i >= 0:
		owed[i].LeftOut = true
	default:
		n := 0
		for _, o := range owed {
			if o.Row.Chunk.Pair == s.Chunk.Pair && o.Row.Chunk.Scan == s.Chunk.Scan {
				n++
			}
		}
		if n >= maxOwed {
			return false, false
		}
		owed = append(owed, Owed{s, true})
	}
	l.state.Owed, l.changed = owed, true
	return true, true
}

// paid takes note that a row was compared: left says that chunks had left it out, and more that it is to be
// compared once more.
func (l *ledger) paid(s SetAside) (left, more bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	i := slices.IndexFunc(l.state.Owed, func(o Owed) bool { return o.Row.same(s) })
	if i < 0 {
		return false, false
	}
	l.changed = true
	owed := slices.Clone(l.state.Owed)
	if left = owed[i].LeftOut; left {
		owed[i].LeftOut = false
	} else {
		owed = slices.Delete(owed, i, i+1)
	}
	l.state.Owed = owed
	return left, left
}

// owed are the rows that a scan of a pair owes.
func (l *ledger) owed(pair string, scan chunk.Scan) (rows []SetAside) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, o := range l.state.Owed {
		if o.Row.Chunk.Pair == pair && o.Row.Chunk.Scan == scan {
			rows = append(rows, o.Row)
		}
	}
	return rows
}

// forgive forgets them.
func (l *ledger) forgive(pair string, scan chunk.Scan) {
	l.mu.Lock()
	defer l.mu.Unlock()
	left := slices.DeleteFunc(slices.Clone(l.state.Owed), func(o Owed) bool {
		return o.Row.Chunk.Pair == pair && o.Row.Chunk.Scan == scan
	})
	l.changed = l.changed || len(left) < len(l.state.Owed)
	l.state.Owed = left
}
