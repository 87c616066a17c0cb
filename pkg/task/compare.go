package task

import (
	"context"
	"fmt"
	"time"

	"github.com/masixun71/cupid/pkg/chunk"
	"github.com/masixun71/cupid/pkg/event"
	"github.com/masixun71/cupid/pkg/row"
)

// maxSubmit is how many events go into one message; with the longest keys that
// MySQL can index (3,072 bytes) it stays below a frame's limit.
const maxSubmit = 500

// suspect is a row that differed in every look so far.
type suspect struct {
	id    string // of the source row
	key   row.Key
	seen  time.Time
	looks []event.Look
}

// process compares one chunk to the end: until no row of it is a suspect.
func (w *Worker) process(ctx context.Context, c chunk.Chunk) chunk.Result {
	r := chunk.Result{Chunk: c.ID, Pair: c.Pair}
	p, ok := w.config.Pairs[c.Pair]
	if !ok {
		r.Error = fmt.Sprintf("pair %q is not configured here", c.Pair)
		return r
	}
	suspects, err := w.first(ctx, p, c, &r)
	for look := 2; err == nil && len(suspects) > 0; look++ {
		if err = w.settle(ctx); err != nil {
			break
		}
		suspects, err = w.again(ctx, p, c, suspects, look, &r)
	}
	if err != nil {
		r.Error = err.Error()
	}
	w.count(func(n *Counts) { n.Chunks++ })
	return r
}

// read takes a reader's place for as long as f runs.
func (w *Worker) read(ctx context.Context, f func() error) error {
	select {
	case w.reading <- struct{}{}:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	defer func() { <-w.reading }()
	return f()
}

func (w *Worker) settle(ctx context.Context) error {
	t := time.NewTimer(w.config.Settle)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// first is the first look at a chunk.
func (w *Worker) first(ctx context.Context, p Pair, c chunk.Chunk, r *chunk.Result) ([]suspect, error) {
	var suspects []suspect
	nullKeys := 0
	err := w.read(ctx, func() error {
		src, err := p.ReadRange(ctx, c)
		if err != nil {
			return err
		}
		r.Rows = src.Len()
		for i := range src.Len() {
			if src.HasNullKey(i) {
				nullKeys++
			}
		}
		differ, _, err := compare(ctx, p, src)
		now := time.Now()
		for _, f := range differ {
			suspects = append(suspects, suspect{id: src.ID(f.Index), key: src.Key(f.Index), seen: now, looks: []event.Look{f.Look}})
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	if nullKeys > 0 {
		w.config.Log.Warn().Str("pair", c.Pair).Int("rows", nullKeys).Stringer("chunk", c).
			Msg("source rows whose byColumn is NULL cannot be compared: no destination row can be theirs")
	}
	w.count(func(n *Counts) {
		n.Rows += uint64(r.Rows)
		n.Suspects += uint64(len(suspects))
		n.NullKeys += uint64(nullKeys)
	})
	return suspects, nil
}

// again looks at suspects once more, hands on what is confirmed, and returns
// what is still moving.
func (w *Worker) again(ctx context.Context, p Pair, c chunk.Chunk, suspects []suspect, look int, r *chunk.Result) ([]suspect, error) {
	ids := make([]string, len(suspects))
	byID := make(map[string]suspect, len(suspects))
	for i, s := range suspects {
		ids[i] = s.id
		byID[s.id] = s
	}
	var moving []suspect
	var events []event.Event
	err := w.read(ctx, func() error {
		src, err := p.ReadSource(ctx, ids)
		if err != nil {
			return err
		}
		differ, des, err := compare(ctx, p, src)
		if err != nil {
			return err
		}
		for _, f := range differ {
			s, ok := byID[src.ID(f.Index)]
			if !ok {
				continue // the id's text came back in another form: the scan sees the row again
			}
			if key := src.Key(f.Index); s.key != key {
				s.looks, s.key = nil, key // another row by now, as far as the destination is concerned
			}
			s.looks = append(s.looks, f.Look)
			e := newEvent(p, c, s, f)
			switch {
			case event.Judge(s.looks) == event.Confirmed:
				w.log(p, c, s, f, e, src, des)
				events = append(events, e)
			case look >= maxLooks:
				e.Watch = &f.Look
				events = append(events, e)
				w.count(func(n *Counts) { n.Watched++ })
			default:
				moving = append(moving, s)
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	healed := len(suspects) - len(events) - len(moving)
	r.Healed += healed
	r.Events += len(events)
	w.count(func(n *Counts) { n.SelfHealed += uint64(healed); n.Events += uint64(len(events)) })
	return moving, w.submit(ctx, events)
}

func (w *Worker) submit(ctx context.Context, events []event.Event) error {
	for len(events) > 0 {
		n := min(len(events), maxSubmit)
		if err := w.config.Work.Submit(ctx, events[:n]); err != nil {
			return fmt.Errorf("submit events: %w", err)
		}
		events = events[n:]
	}
	return nil
}

// compare reads the destination rows of src and returns what differs.
func compare(ctx context.Context, p Pair, src *row.Batch) ([]event.Found, *row.Batch, error) {
	keys := event.Keys(src)
	if len(keys) == 0 {
		return nil, nil, nil
	}
	des, err := p.ReadDestination(ctx, keys)
	if err != nil {
		return nil, nil, err
	}
	return event.Find(src, des), des, nil
}

func newEvent(p Pair, c chunk.Chunk, s suspect, f event.Found) event.Event {
	return event.Event{
		Pair: c.Pair, Key: s.key, Kind: event.Kind(f.Kind), SourceID: s.id,
		Columns: event.Names(f.Divergence, p.Columns()), FirstSeen: s.seen.UTC(),
	}
}

// log writes a confirmed divergence down, with both values where that is allowed.
func (w *Worker) log(p Pair, c chunk.Chunk, s suspect, f event.Found, e event.Event, src, des *row.Batch) {
	line := w.config.Log.Info().Str("pair", c.Pair).Stringer("key", s.key).Str("id", s.id).Stringer("kind", e.Kind).
		Str("scan", string(c.Scan)).Strs("columns", e.Columns).Dur("settled", time.Since(s.seen)).Int("looks", len(s.looks))
	if w.config.LogValues && f.Des >= 0 {
		values := make([]differing, 0, len(f.Columns))
		for i, column := range f.Columns {
			values = append(values, differing{e.Columns[i], p.LogValue(src, f.Index, column), p.LogValue(des, f.Des, column)})
		}
		line = line.Any("values", values)
	}
	if f.Ambiguous {
		w.count(func(n *Counts) { n.Ambiguous++ })
		line = line.Bool("ambiguous", true)
	}
	line.Msg("divergence")
}

// differing is one column of a divergence in the log.
type differing struct {
	Column      string `json:"column"`
	Source      string `json:"src"`
	Destination string `json:"des"`
}
