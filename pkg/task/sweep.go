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
	of   *row.Mapping // see suspect
}

// sweep is the first look at a sweep's chunk: by checksums where the pair has them, and
// by the rows of both sides where these differ or are none. What it finds are
// suspects like any other: the verdict on a row is that of the row comparison.
func (w *Worker) sweep(ctx context.Context, p *reader, c chunk.Chunk, r *chunk.Result) ([]suspect, []orphan, error) {
	var found sighted
	err := p.read(ctx, c, func() error {
		start := time.Now()
		defer func() { r.Millisecond = max(1, int(time.Since(start).Milliseconds())) }()
		some, rows, counted, err := p.differing(ctx, c)
		if err != nil {
			return err
		}
		orphans := w.config.Deletes[c.Pair] && len(some) > 0
		if orphans {
			if orphans, err = p.SeesOrphans(ctx); err != nil {
				return err
			}
		}
		take := func(one portion) error {
			src, des, err := p.ReadBoth(ctx, one.part, one.groups)
			if err != nil {
				return err
			}
			if !counted {
				rows += src.Len()
			}
			found.add(src, event.Find(src, des), time.Now())
			if orphans {
				found.addOrphans(src, des, time.Now())
			}
			p.Release(src, des)
			return nil
		}
		for _, one := range some {
			if err := p.fitPortion(ctx, one, take); err != nil {
				return err
			}
		}
		r.Rows = rows
		return nil
	})
	if err != nil {
		return nil, nil, err
	}
	w.looked(c, r, &found)
	return found.suspects, found.orphans, nil
}

// maxGrouped is how many rows are added up by groups at a time.
const maxGrouped = 10_000

// portion is rows of a chunk that are read at a time.
type portion struct {
	part   chunk.Chunk
	groups chunk.Groups // of the part
}

// differing are the portions of a sweep's chunk that are to be read, none when both sides
// are equal, and how many rows the source has where that was counted.
func (r *reader) differing(ctx context.Context, c chunk.Chunk) (some []portion, rows int, counted bool, err error) {
	sums := r.sweeps.sums()
	var parts []chunk.Chunk
	if sums {
		var known bool
		parts, known, rows, err = r.SumParts(ctx, c)
		if err == nil && !known {
			return []portion{{part: c}}, 0, false, nil
		}
	} else {
		parts, err = r.Parts(ctx, c)
	}
	if err != nil {
		return nil, 0, false, err
	}
	differ, grouped := 0, 0 // rows
	for _, part := range chunk.Join(parts, maxGrouped) {
		groups, n, err := r.GroupSums(ctx, part)
		if err != nil {
			r.sweeps.saw(sums, true) // the pair may have no checksums any more, which SumParts says
			return nil, 0, false, err
		}
		if grouped += n; len(groups.Some) > 0 {
			differ += n
		}
		for _, g := range groups.Portions(maxPortion) {
			some = append(some, portion{part, g})
		}
	}
	if !sums {
		rows = grouped
	}
	r.sweeps.saw(sums, mostlyEqual(differ, rows, len(some)))
	return some, rows, true, nil
}

// mostlyEqual reports whether a chunk of so many rows is worth its checksums when there are so
// many rows in the parts of it that have what is to be read.
func mostlyEqual(differ, rows, toRead int) bool { return toRead == 0 || 2*differ < rows }

// sighted is what a first look has found.
type sighted struct {
	suspects []suspect
	orphans  []orphan
	of       *row.Mapping      // by which the first rows were compared
	twice    map[identity]bool // a row that changed its place meanwhile may have been read twice

	nullKeys int     // source rows without a key
	nullIDs  int     // source rows that differ and have no id
	nullID   row.Key // of the last of them
}

// identity tells a source row from all others. The id alone does where it is unique.
type identity struct {
	id  string
	key row.Key
}

// add takes in source rows that were read, with what of them differs. They may be older than
// the destination's. A row without an id is no suspect: it could not be looked at again.
func (s *sighted) add(src *row.Batch, differ []event.Found, now time.Time) {
	if s.of == nil {
		s.of = src.Mapping()
	}
	if s.twice == nil {
		s.twice = make(map[identity]bool, len(differ))
	}
	s.nullKeys += row.NullKeys(src)
	for _, f := range differ {
		one := identity{src.ID(f.Index), src.Key(f.Index)}
		if src.HasNullID(f.Index) {
			s.nullIDs++
			s.nullID = one.key
			continue
		}
		if !s.twice[one] {
			s.twice[one] = true
			f.Look.SourceFirst = true
			s.suspects = append(s.suspects, suspect{identity: one, seen: now, of: s.of, looks: []event.Look{f.Look}})
		}
	}
}

func (s *sighted) addOrphans(src, des *row.Batch, now time.Time) {
	for _, i := range row.Orphans(src, des) {
		s.orphans = append(s.orphans, orphan{des.Key(i), now, s.of})
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
	var lines []Line
	confirmed := 0
	err := p.read(ctx, c, func() error {
		// The destination first, as event.Judge has it of rows that change: the source then
		// lacked the row for the settle time when the destination was read. And a row that is
		// inserted on both sides in between is no orphan.
		des, err := p.ReadDestination(ctx, keys)
		if err != nil {
			return err
		}
		defer p.Release(des)
		src, err := p.ReadSourceKeys(ctx, keys)
		if err != nil {
			return err
		}
		defer p.Release(src)
		still := map[row.Key]int{}
		for _, i := range row.Orphans(src, des) {
			still[des.Key(i)] = i
		}
		if len(still) > 0 {
			if err := unaltered(ctx, p, orphans[0].of); err != nil {
				return err
			}
		}
		for _, o := range orphans {
			i, ok := still[o.key]
			if !ok {
				continue
			}
			delete(still, o.key)
			confirmed++
			e := event.Event{Pair: c.Pair, Key: o.key, Kind: event.Orphan, FirstSeen: o.seen.UTC()}
			w.logOrphan(c, e)
			w.report(&lines, p, e, nil, 0, des, i)
			if !w.tooLong(e) {
				events = append(events, e)
			}
		}
		return nil
	})
	if err == nil {
		err = w.tell(lines)
	}
	if err != nil {
		return err
	}
	r.Events += len(events)
	r.Orphans += confirmed
	w.count(func(n *Counts) {
		n.Events += uint64(len(events))
		n.SelfHealed += uint64(len(orphans) - confirmed)
	})
	return w.submit(ctx, events)
}

// logOrphan writes a confirmed orphan down.
func (w *Worker) logOrphan(c chunk.Chunk, e event.Event) {
	w.config.Log.Info().Str("pair", c.Pair).Stringer("key", e.Key).Stringer("kind", e.Kind).
		Str("scan", string(c.Scan)).Int64("settledMillisecond", time.Since(e.FirstSeen).Milliseconds()).Msg("divergence")
}
