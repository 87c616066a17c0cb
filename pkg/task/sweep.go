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

// sweep is the first look at a sweep's chunk: by checksums where the pair has them,
// and by the rows of both sides where these differ or are none. What it finds are
// suspects like any other: the verdict on a row is that of the row comparison.
func (w *Worker) sweep(ctx context.Context, p *reader, c chunk.Chunk, r *chunk.Result) ([]suspect, []orphan, error) {
	var suspects []suspect
	var orphans []orphan
	nullKeys := 0
	err := p.read(ctx, func() error {
		start := time.Now()
		defer func() { r.Millisecond = max(1, int(time.Since(start).Milliseconds())) }()
		equal, known, rows, err := p.SumsEqual(ctx, c)
		if err != nil {
			return err
		}
		if known && equal {
			r.Rows = rows
			return nil
		}
		src, des, err := p.ReadBoth(ctx, c)
		if err != nil {
			return err
		}
		r.Rows = src.Len()
		nullKeys = row.NullKeys(src)
		now := time.Now()
		suspects = newSuspects(src, event.Find(src, des), now)
		if !w.config.Deletes[c.Pair] {
			return nil
		}
		sees, err := p.SeesOrphans(ctx)
		if err != nil || !sees {
			return err
		}
		for _, i := range row.Orphans(src, des) {
			orphans = append(orphans, orphan{des.Key(i), now})
		}
		return nil
	})
	if err != nil {
		return nil, nil, err
	}
	w.looked(c, r.Rows, nullKeys, len(suspects)+len(orphans))
	return suspects, orphans, nil
}

// newSuspects are the suspects of a first look.
func newSuspects(src *row.Batch, differ []event.Found, now time.Time) []suspect {
	suspects := make([]suspect, 0, len(differ))
	twice := make(map[string]bool, len(differ)) // a row that changed its place meanwhile may have been read twice
	for _, f := range differ {
		if id := src.ID(f.Index); !twice[id] {
			twice[id] = true
			suspects = append(suspects, suspect{id: id, key: src.Key(f.Index), seen: now, looks: []event.Look{f.Look}})
		}
	}
	return suspects
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
		src, err := p.ReadSourceByKeys(ctx, keys)
		if err != nil {
			return err
		}
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
