package task

import (
	"context"
	"time"

	"github.com/masixun71/cupid/pkg/chunk"
	"github.com/masixun71/cupid/pkg/event"
	"github.com/masixun71/cupid/pkg/row"
)

// orphan is a destination row whose key no source row had in every look so far.
type orphan struct {
	key  row.Key
	seen time.Time
}

// sweep is the first look at a sweep's chunk: by checksums where the pair has them, and
// by the rows of both sides where these differ or are none. What it finds are
// suspects like any other: the verdict on a row is that of the row comparison.
func (w *Worker) sweep(ctx context.Context, p *reader, c chunk.Chunk, r *chunk.Result) ([]suspect, []orphan, error) {
	var found sighted
	nullKeys := 0
	err := p.read(ctx, func() error {
		start := time.Now()
		defer func() { r.Millisecond = max(1, int(time.Since(start).Milliseconds())) }()
		parts, rows, counted, err := p.differing(ctx, c)
		if err != nil {
			return err
		}
		orphans := w.config.Deletes[c.Pair] && len(parts) > 0
		if orphans {
			if orphans, err = p.SeesOrphans(ctx); err != nil {
				return err
			}
		}
		for _, part := range parts {
			src, des, err := p.ReadBoth(ctx, c, part)
			if err != nil {
				return err
			}
			if !counted {
				rows += src.Len()
			}
			nullKeys += row.NullKeys(src)
			found.add(src, event.Find(src, des), time.Now())
			if orphans {
				found.addOrphans(src, des, time.Now())
			}
			p.Release(src, des)
		}
		r.Rows = rows
		return nil
	})
	if err != nil {
		return nil, nil, err
	}
	w.looked(c, r.Rows, nullKeys, len(found.suspects)+len(found.orphans))
	return found.suspects, found.orphans, nil
}

// differing are the parts of a sweep's chunk that are to be read, none when both sides
// are equal, and how many rows the source has where that was counted.
func (r *reader) differing(ctx context.Context, c chunk.Chunk) (parts []chunk.Groups, rows int, counted bool, err error) {
	sums := r.sweeps.sums()
	if sums {
		equal, known, rows, err := r.SumsEqual(ctx, c)
		switch {
		case err != nil:
			return nil, 0, false, err
		case !known:
			return []chunk.Groups{{}}, 0, false, nil
		case equal:
			r.sweeps.saw(sums, true)
			return nil, rows, true, nil
		}
	}
	groups, rows, err := r.GroupSums(ctx, c)
	if err != nil {
		r.sweeps.saw(sums, true) // the pair may have no checksums any more, which SumsEqual says
		return nil, 0, false, err
	}
	r.sweeps.saw(sums, len(groups.Some) == 0)
	return groups.Portions(maxPortion), rows, true, nil
}

// sighted is what a first look has found.
type sighted struct {
	suspects []suspect
	orphans  []orphan
	twice    map[string]bool // source ids: a row that changed its place meanwhile may have been read twice
}

// add takes in what differs in rows that were read.
func (s *sighted) add(src *row.Batch, differ []event.Found, now time.Time) {
	if s.twice == nil {
		s.twice = make(map[string]bool, len(differ))
	}
	for _, f := range differ {
		if id := src.ID(f.Index); !s.twice[id] {
			s.twice[id] = true
			s.suspects = append(s.suspects, suspect{id: id, key: src.Key(f.Index), seen: now, looks: []event.Look{f.Look}})
		}
	}
}

func (s *sighted) addOrphans(src, des *row.Batch, now time.Time) {
	for _, i := range row.Orphans(src, des) {
		s.orphans = append(s.orphans, orphan{des.Key(i), now})
	}
}

// lookForSource looks at orphans once more: those that the destination still has
// and the source still lacks are events.
func (w *Worker) lookForSource(ctx context.Context, p *reader, c chunk.Chunk, orphans []orphan, r *chunk.Result) error {
	if len(orphans) == 0 {
		return nil
	}
	keys := make([]row.Key, len(orphans))
	for i, o := range orphans {
		keys[i] = o.key
	}
	var events []event.Event
	err := p.read(ctx, func() error {
		// The destination first: a row that is deleted on both sides in between is
		// no orphan, and neither is one that is inserted on both.
		des, err := p.ReadDestination(ctx, keys)
		if err != nil {
			return err
		}
		defer p.Release(des)
		src, err := p.ReadSourceByKeys(ctx, keys)
		if err != nil {
			return err
		}
		defer p.Release(src)
		still := map[row.Key]int{}
		for _, i := range row.Orphans(src, des) {
			still[des.Key(i)] = i
		}
		for _, o := range orphans {
			i, ok := still[o.key]
			if !ok {
				continue
			}
			delete(still, o.key)
			e := event.Event{Pair: c.Pair, Key: o.key, Kind: event.Orphan, FirstSeen: o.seen.UTC()}
			w.logOrphan(p, c, e, i, des)
			if !w.tooLong(e) {
				events = append(events, e)
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	r.Events += len(events)
	r.Orphans += len(events)
	w.count(func(n *Counts) {
		n.Events += uint64(len(events))
		n.SelfHealed += uint64(len(orphans) - len(events))
	})
	return w.submit(ctx, events)
}

// logOrphan writes a confirmed orphan down.
func (w *Worker) logOrphan(p *reader, c chunk.Chunk, e event.Event, i int, des *row.Batch) {
	w.config.Log.Info().Str("pair", c.Pair).Stringer("key", e.Key).Stringer("kind", e.Kind).
		Str("scan", string(c.Scan)).Int64("settledMillisecond", time.Since(e.FirstSeen).Milliseconds()).Msg("divergence")
	w.report(p, e, nil, 0, des, i)
}
