package task

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/masixun71/cupid/ipc"
	"github.com/masixun71/cupid/pkg/chunk"
	"github.com/masixun71/cupid/pkg/event"
	"github.com/masixun71/cupid/pkg/row"
)

// maxSubmitBytes bounds the events of one message. A frame takes four times as
// much: the rest is room for its envelope and for one event, of which the key can
// have 48 KiB as JSON.
const maxSubmitBytes = ipc.MaxFrameBytes / 4

// suspect is a row that differed in every look so far.
type suspect struct {
	identity
	seen  time.Time
	of    *row.Mapping // by which the first rows of the chunk were compared
	looks []event.Look
}

// process compares one chunk to the end: until no row of it is a suspect.
func (w *Worker) process(ctx context.Context, c chunk.Chunk) chunk.Result {
	r := chunk.Result{Chunk: c.ID, Pair: c.Pair}
	p, ok := w.pairs[c.Pair]
	if !ok || c.Config != w.config.Fingerprints[c.Pair] {
		r.Error, r.Unfit = fmt.Sprintf("pair %q is not configured here, or not like that", c.Pair), true
		return r
	}
	var suspects []suspect
	var orphans []orphan
	var err error
	switch {
	case c.Stage == chunk.AddUp:
		err = w.addUp(ctx, p, c, &r)
	case c.Stage == chunk.Resolve:
		suspects, orphans, err = w.resolve(ctx, p, c, &r)
	case c.Scan == chunk.Sweep:
		suspects, orphans, err = w.sweep(ctx, p, c, &r)
	default:
		suspects, err = w.first(ctx, p, c, &r)
	}
	for look := 2; err == nil && len(suspects)+len(orphans) > 0; look++ {
		if err = w.settle(ctx, len(suspects)+len(orphans)); err != nil {
			break
		}
		if err = portions(orphans, func(some []orphan) error { return w.lookForSource(ctx, p, c, some, &r) }); err != nil {
			break
		}
		orphans = nil
		moving := suspects[:0] // behind what has been looked at
		err = portions(suspects, func(some []suspect) error {
			still, err := w.again(ctx, p, c, some, look, &r)
			moving = append(moving, still...)
			return err
		})
		suspects = moving
	}
	if err != nil {
		_, r.Unread = errors.AsType[*chunk.Unread](err)
		r.Unfit = errors.Is(err, chunk.ErrUnfit)
		r.Error = err.Error()
		return r
	}
	w.count(func(n *Counts) { n.Chunks++ })
	return r
}

// maxPortion is how many rows are read at a time from either side of a chunk of which
// many differ: it bounds the memory.
const maxPortion = 2000

// portions hands all to f in such portions, or smaller ones where the rows are too large.
func portions[T any](all []T, f func(some []T) error) error {
	for some := range slices.Chunk(all, maxPortion) {
		if err := fit(some, f); err != nil {
			return err
		}
	}
	return nil
}

// settle waits with so many suspects.
func (w *Worker) settle(ctx context.Context, suspects int) error {
	defer w.stalled.lend(suspects)()
	t := time.NewTimer(w.config.Settle)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// minSumRows is how many rows a chunk of an insert scan has at least to be compared by checksums
// first. A smaller one is what was written since the last pass, and often lags; a full
// one is of a scan that catches up, and most likely equal.
const minSumRows = 1000

// first is the first look at a chunk of a scan.
func (w *Worker) first(ctx context.Context, p *reader, c chunk.Chunk, r *chunk.Result) ([]suspect, error) {
	var found sighted
	err := p.read(ctx, c, func() error {
		start := time.Now()
		defer func() { r.Millisecond = max(1, int(time.Since(start).Milliseconds())) }()
		reads, rows, counted, err := p.scanned(ctx, c)
		if err != nil {
			return err
		}
		take := func(src *row.Batch) error {
			differ, err := compare(ctx, p, src, event.Keys(src))
			if err != nil {
				return err
			}
			if !counted {
				rows += src.Len()
			}
			found.add(src, differ, time.Now())
			p.Release(src)
			return nil
		}
		for _, read := range reads {
			if err := read(take); err != nil {
				return err
			}
		}
		r.Rows = rows
		return nil
	})
	if err != nil {
		return nil, err
	}
	w.looked(c, r, &found)
	return found.suspects, nil
}

// read reads some of the source rows of a chunk and hands them on, in batches as they fit.
type read func(take func(src *row.Batch) error) error

// ranges reads parts of a chunk, one after the other.
func (r *reader) ranges(ctx context.Context, parts ...chunk.Chunk) (reads []read) {
	for _, part := range parts {
		reads = append(reads, func(take func(*row.Batch) error) error {
			return r.fitRange(ctx, part, 1, func(part chunk.Chunk) error {
				src, err := r.ReadRange(ctx, part)
				if err != nil {
					return err
				}
				return take(src)
			})
		})
	}
	return reads
}

// scanned reads the rows of a chunk of a scan that checksums do not find equal; rows is how many
// the source has where that was counted.
func (r *reader) scanned(ctx context.Context, c chunk.Chunk) (reads []read, rows int, counted bool, err error) {
	switch {
	case c.Scan == chunk.Insert && c.Rows >= minSumRows:
		return r.inserted(ctx, c)
	case c.Scan == chunk.Update && c.Rows > maxPortion: // or the ids would have to be read before the rows for nothing, most often
		return r.updated(ctx, c)
	}
	return r.ranges(ctx, c), 0, false, nil
}

// inserted is scanned for a chunk of ids.
func (r *reader) inserted(ctx context.Context, c chunk.Chunk) (reads []read, rows int, counted bool, err error) {
	if !r.inserts.sums() {
		return r.unsummed(ctx, &r.inserts, c)
	}
	parts, known, rows, err := r.SumParts(ctx, c)
	if err != nil || !known {
		return r.ranges(ctx, c), 0, false, err
	}
	differ := 0
	for _, part := range parts {
		differ += part.Rows
	}
	r.inserts.saw(true, mostlyEqual(differ, rows, len(parts)))
	return r.ranges(ctx, parts...), rows, true, nil
}

// updated is scanned for a chunk in the order of the update column.
func (r *reader) updated(ctx context.Context, c chunk.Chunk) (reads []read, rows int, counted bool, err error) {
	if !r.updates.sums() {
		return r.unsummed(ctx, &r.updates, c)
	}
	u, known, err := r.SumUpdates(ctx, c)
	switch {
	case err != nil || !known:
		return r.ranges(ctx, c), 0, false, err
	case u.Summed == 0: // which says nothing of the next chunk
		parts, err := r.Parts(ctx, c)
		return r.ranges(ctx, parts...), 0, false, err
	}
	r.updates.saw(true, mostlyEqual(u.Differ, u.Summed, u.Differ))
	for some := range slices.Chunk(u.Read, maxPortion) {
		reads = append(reads, func(take func(*row.Batch) error) error {
			return fit(some, func(few []string) error {
				src, err := r.ReadSource(ctx, few)
				if err != nil {
					return err
				}
				return take(src)
			})
		})
	}
	return reads, u.Rows, true, nil
}

// unsummed reads all rows of a chunk without a look at its checksums, part by part.
func (r *reader) unsummed(ctx context.Context, of *course, c chunk.Chunk) (reads []read, rows int, counted bool, err error) {
	of.saw(false, false)
	parts, err := r.Parts(ctx, c)
	return r.ranges(ctx, parts...), 0, false, err
}

// looked counts a first look.
func (w *Worker) looked(c chunk.Chunk, r *chunk.Result, seen *sighted) {
	r.NullKeys, r.NullIDs = seen.nullKeys, seen.nullIDs
	if r.NullKeys > 0 {
		w.config.Log.Warn().Str("pair", c.Pair).Int("rows", r.NullKeys).Stringer("chunk", c).
			Msg("source rows whose byColumn is NULL cannot be compared: no destination row can be theirs")
	}
	if r.NullIDs > 0 {
		w.config.Log.Warn().Str("pair", c.Pair).Int("rows", r.NullIDs).Stringer("chunk", c).Stringer("key", seen.nullID).
			Msg("source rows differ whose idColumn is NULL, by which they would be looked at again: no verdict on them, nor a callback; key is that of one")
	}
	w.count(func(n *Counts) {
		n.Rows += uint64(r.Rows)
		n.Suspects += uint64(len(seen.suspects) + len(seen.orphans))
		n.NullKeys += uint64(r.NullKeys)
		n.NullIDs += uint64(r.NullIDs)
	})
}

// tooLong sets an event aside that the queue could not hold, so that its row does
// not stop the rest of its chunk.
func (w *Worker) tooLong(e event.Event) bool {
	text, err := e.Key.MarshalText()
	if err == nil && len(text) <= event.MaxKeyTextBytes && len(e.SourceID) <= event.MaxKeyTextBytes {
		return false
	}
	w.count(func(n *Counts) { n.LongKeys++ })
	w.config.Log.Error().Err(err).Str("pair", e.Pair).Stringer("key", e.Key).Int("bytes", len(text)).
		Msg("row set aside: its key or id is too long to be queued, it is not called back")
	return true
}

// submit hands events on, in messages that fit into a frame.
func (w *Worker) submit(ctx context.Context, events []event.Event) error {
	for len(events) > 0 {
		n, err := fitting(events)
		if err != nil {
			return fmt.Errorf("write event: %w", err)
		}
		end := w.stalled.lend(len(events))
		err = w.config.Work.Submit(ctx, events[:n])
		end()
		if err != nil {
			return fmt.Errorf("submit events: %w", err)
		}
		events = events[n:]
	}
	return nil
}

// fitting is how many of all go into one message, one at least.
func fitting[T any](all []T) (int, error) {
	bytes := 0
	for i, one := range all {
		b, err := json.Marshal(one)
		if err != nil {
			return 0, err
		}
		if bytes += len(b) + 1; i > 0 && bytes > maxSubmitBytes {
			return i, nil
		}
	}
	return len(all), nil
}

func newEvent(p *reader, c chunk.Chunk, s suspect, f event.Found) event.Event {
	return event.Event{
		Pair: c.Pair, Key: s.key, Kind: event.Kind(f.Kind), SourceID: s.id,
		Columns: event.Names(f.Divergence, p.Columns()), FirstSeen: s.seen.UTC(),
	}
}

// log writes a confirmed divergence down, with both values where that is allowed.
func (w *Worker) log(p *reader, c chunk.Chunk, s suspect, f event.Found, e event.Event, src, des *row.Batch) {
	line := w.config.Log.Info().Str("pair", c.Pair).Stringer("key", s.key).Str("id", s.id).Stringer("kind", e.Kind).
		Str("scan", string(c.Scan)).Strs("columns", e.Columns).Int64("settledMillisecond", time.Since(s.seen).Milliseconds()).Int("looks", len(s.looks))
	if w.config.LogValues && f.Des >= 0 {
		values := make([]differing, 0, len(f.Columns))
		for i, name := range e.Columns {
			column := f.Columns[i]
			values = append(values, differing{name, p.LogValue(src, f.Index, column), p.LogValue(des, f.Des, column)})
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
