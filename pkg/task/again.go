package task

import (
	"context"
	"errors"
	"slices"

	"github.com/masixun71/cupid/pkg/chunk"
	"github.com/masixun71/cupid/pkg/event"
	"github.com/masixun71/cupid/pkg/row"
)

// round is what a further look at suspects found.
type round struct {
	judged int // of the suspects: the others are equal by now, or gone
	moving []suspect
	events []event.Event
	lines  []Line
	// those set aside included: confirmed ones by their kind, and those that kept moving
	missing, different, unsettled int
}

// again looks at suspects once more, hands on what is confirmed, and returns
// what is still moving.
func (w *Worker) again(ctx context.Context, p *reader, c chunk.Chunk, suspects []suspect, look int, r *chunk.Result) ([]suspect, error) {
	left := suspectsByID(suspects)
	var found round
	err := p.read(ctx, c, func() error {
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
		for _, f := range rows.found { // those with a key that was known come first
			one := identity{rows.src.ID(f.Index), rows.src.Key(f.Index)}
			s, ok := left.take(one)
			if !ok {
				continue // it shares its id with a row that was seen, and was not seen to differ itself
			}
			if s.key != one.key {
				s.looks, s.key = nil, one.key // another row by now, as far as the destination is concerned
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
	healed := len(suspects) - found.judged
	r.Healed += healed
	r.Events += len(found.events)
	r.Missing += found.missing
	r.Different += found.different
	r.Moving += found.unsettled
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

// bySuspect are suspects by their id. Where rows share one there are several.
type bySuspect map[string][]suspect

func suspectsByID(suspects []suspect) bySuspect {
	all := make(bySuspect, len(suspects))
	for _, s := range suspects {
		all[s.id] = append(all[s.id], s)
	}
	return all
}

// take takes the suspect out that a row is: the one that has its key, or else one of its id,
// whose key has changed.
func (b bySuspect) take(one identity) (s suspect, ok bool) {
	all := b[one.id]
	if len(all) == 0 {
		return suspect{}, false
	}
	i := max(slices.IndexFunc(all, func(s suspect) bool { return s.identity == one }), 0)
	s = all[i]
	b[one.id] = slices.Delete(all, i, i+1)
	return s, true
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
	to.judged++
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
		to.unsettled++
		w.report(&to.lines, p, e, src, f.Index, des, f.Des, f.Columns...)
		w.count(func(n *Counts) { n.Watched++ })
	}
	if !w.tooLong(e) {
		to.events = append(to.events, e)
	}
}
