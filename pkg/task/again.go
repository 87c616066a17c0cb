package task

import (
	"context"
	"errors"

	"github.com/masixun71/cupid/pkg/chunk"
	"github.com/masixun71/cupid/pkg/event"
	"github.com/masixun71/cupid/pkg/row"
)

// round is what a further look at suspects found.
type round struct {
	moving []suspect
	events []event.Event
	lines  []Line
	aside  int // events that cannot be queued
	// confirmed ones by their kind, those set aside included
	missing, different int
}

// again looks at suspects once more, hands on what is confirmed, and returns
// what is still moving.
func (w *Worker) again(ctx context.Context, p *reader, c chunk.Chunk, suspects []suspect, look int, r *chunk.Result) ([]suspect, error) {
	byID := make(map[string]suspect, len(suspects))
	for _, s := range suspects {
		byID[s.id] = s
	}
	var found round
	err := p.read(ctx, func() error {
		rows, err := lookAgain(ctx, p, suspects)
		if err != nil {
			return err
		}
		defer p.Release(rows.src, rows.des, rows.more)
		if len(rows.found) > 0 {
			// Both looks, or what differs may do so by a rule that was out of date in one of them.
			if err := unaltered(ctx, p, suspects[0].of); err != nil {
				return err
			}
		}
		for _, f := range rows.found {
			s, ok := byID[rows.src.ID(f.Index)]
			if !ok {
				continue // the id's text came back in another form: the scan sees the row again
			}
			if key := rows.src.Key(f.Index); s.key != key {
				s.looks, s.key = nil, key // another row by now, as far as the destination is concerned
			}
			s.looks = event.Add(s.looks, f.Look)
			w.judge(&found, p, c, s, look, f, rows.src, rows.destination(f))
		}
		return nil
	})
	if err == nil {
		err = w.tell(found.lines)
	}
	if err != nil {
		return nil, err
	}
	healed := len(suspects) - len(found.events) - len(found.moving) - found.aside
	r.Healed += healed
	r.Events += len(found.events)
	r.Missing += found.missing
	r.Different += found.different
	w.count(func(n *Counts) {
		n.SelfHealed += uint64(healed)
		n.Events += uint64(len(found.events))
	})
	return found.moving, w.submit(ctx, found.events)
}

// errAltered has a chunk offered again, which is then compared as the tables are now.
var errAltered = errors.New("a table was altered while the chunk was compared")

// unaltered returns nil if the tables are what they were when the first rows of a chunk were read.
func unaltered(ctx context.Context, p Pair, of *row.Mapping) error {
	same, err := p.Unaltered(ctx, of)
	if err == nil && !same {
		err = errAltered
	}
	return err
}

// bothSides are the rows of suspects, and what of them differs.
type bothSides struct {
	src, des, more *row.Batch
	found          []event.Found
}

// destination is the batch that has the destination row of f.
func (b *bothSides) destination(f event.Found) *row.Batch {
	if f.Look.SourceFirst {
		return b.more
	}
	return b.des
}

// lookAgain reads suspects: the destination by the keys that are known, then the source,
// which is the order that event.Judge asks for. A row that has another key by now has
// not been looked for under it, and is after that.
func lookAgain(ctx context.Context, p Pair, suspects []suspect) (b bothSides, err error) {
	ids, keys := make([]string, len(suspects)), make([]row.Key, len(suspects))
	asked := make(map[row.Key]bool, len(suspects))
	for i, s := range suspects {
		ids[i], keys[i], asked[s.key] = s.id, s.key, true
	}
	if b.des, err = p.ReadDestination(ctx, keys); err != nil {
		return b, err
	}
	if b.src, err = p.ReadSource(ctx, ids); err != nil {
		return b, err
	}
	if moved := event.Unasked(b.src, asked); len(moved) > 0 {
		if b.more, err = p.ReadDestination(ctx, moved); err != nil {
			return b, err
		}
	}
	b.found = event.FindAgain(b.src, b.des, b.more, asked)
	return b, nil
}

// judge decides what is to become of a suspect that differed in this look, too.
func (w *Worker) judge(to *round, p *reader, c chunk.Chunk, s suspect, look int, f event.Found, src, des *row.Batch) {
	confirmed := event.Judge(s.looks) == event.Confirmed
	if !confirmed && look < maxLooks {
		to.moving = append(to.moving, s)
		return
	}
	e := newEvent(p, c, s, f)
	if confirmed {
		e.Look = &f.Look
		w.log(p, c, s, f, e, src, des)
		w.report(&to.lines, p, e, src, f.Index, des, f.Des, f.Columns...)
		if e.Kind == event.Missing {
			to.missing++
		} else {
			to.different++
		}
	} else {
		e.Watch = s.looks
		w.count(func(n *Counts) { n.Watched++ })
	}
	if w.tooLong(e) {
		to.aside++
		return
	}
	to.events = append(to.events, e)
}
