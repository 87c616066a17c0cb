package callback

import (
	"context"
	"errors"
	"time"

	"github.com/masixun71/cupid/pkg/event"
	"github.com/masixun71/cupid/pkg/row"
)

// seen is what one reading of a record's rows found.
type seen struct {
	gone    bool         // the source row is no more
	moved   *event.Event // the source row has another key now
	found   *event.Found // nil when both sides are equal
	columns []string
	payload []byte
	err     error // this row cannot be read, though others can
	skipped bool  // it was not looked at
	late    bool  // it was not looked at, since the bodies of others fill the memory
}

// known is a record with its note.
type known struct {
	Record
	note Note
}

// look reads the rows of records anew, many keys in one query; with payloads only
// when the rows may be posted.
func (l *lane) look(ctx context.Context, records []known, payloads bool) ([]seen, error) {
	all, err := l.read(ctx, records, payloads)
	if e, large := errors.AsType[*row.TooLarge](err); large && len(records) > 1 {
		all, err = l.readInParts(ctx, records, payloads, max(e.Rows/2, 1))
	}
	if err != nil {
		return nil, &readError{err}
	}
	return all, nil
}

// readInParts reads records whose rows are too large to be read together, so many at a time. Once the bodies fill the
// memory the others are left for later.
func (l *lane) readInParts(ctx context.Context, records []known, payloads bool, rows int) ([]seen, error) {
	all := make([]seen, 0, len(records))
	bytes := l.bytes
	for len(all) < len(records) {
		if payloads && bytes >= maxBodyBytes && len(all) > 0 {
			all = append(all, seen{late: true})
			continue
		}
		rest := records[len(all):]
		some := rest[:min(rows, len(rest))]
		found, err := l.read(ctx, some, payloads)
		if _, large := errors.AsType[*row.TooLarge](err); large && len(some) > 1 {
			rows = len(some) / 2
			continue
		}
		if err != nil {
			return nil, err
		}
		for _, s := range found {
			bytes += len(s.payload)
		}
		all = append(all, found...)
	}
	return all, nil
}

// read looks at records in the order given: rows of the source by their id, and
// orphans, which have none, by their key.
func (l *lane) read(ctx context.Context, records []known, full bool) ([]seen, error) {
	var rows, orphans []known
	places := [2][]int{}
	for i, r := range records {
		if r.note.Kind == event.Orphan {
			orphans, places[1] = append(orphans, r), append(places[1], i)
			continue
		}
		rows, places[0] = append(rows, r), append(places[0], i)
	}
	all := make([]seen, len(records))
	for k, some := range [][]known{rows, orphans} {
		if len(some) == 0 {
			continue
		}
		look := l.readRows
		if k == 1 {
			look = l.readOrphans
		}
		found, err := look(ctx, some, full)
		if errors.Is(err, errAltered) {
			found, err = look(ctx, some, full)
		}
		if err != nil {
			return nil, err
		}
		for i, at := range places[k] {
			all[at] = found[i]
		}
	}
	return all, nil
}

// errAltered says that rows were read as the tables are no more. What is read after it is right, unless
// they are altered once more.
var errAltered = errors.New("a table was altered while its rows were looked at")

// unaltered returns nil if the tables are what they were when a batch was read.
func (l *lane) unaltered(ctx context.Context, first *row.Batch) error {
	same, err := l.dest.Pair.Unaltered(ctx, first.Mapping())
	if err == nil && !same {
		err = errAltered
	}
	return err
}

// readOrphans looks at destination rows that had no source row. One that has a
// source row now is watched as any other row, also when it was deleted since: the source
// row may have come before.
func (l *lane) readOrphans(ctx context.Context, records []known, _ bool) ([]seen, error) {
	keys := make([]row.Key, len(records))
	for i, r := range records {
		if err := keys[i].UnmarshalText([]byte(r.Key)); err != nil {
			return nil, err
		}
	}
	des, payloads, err := l.dest.Pair.ReadDestinationFull(ctx, keys)
	if err != nil {
		return nil, err
	}
	src, err := l.dest.Pair.ReadSourceByKeys(ctx, keys)
	if err != nil {
		return nil, err
	}
	if err := l.unaltered(ctx, des); err != nil {
		return nil, err
	}
	here := make(map[row.Key]int, des.Len())
	for i := range des.Len() {
		here[des.Key(i)] = i
	}
	alone := map[int]bool{}
	for _, i := range row.Orphans(src, des) {
		alone[i] = true
	}
	differ := map[row.Key]event.Found{} // by the key that the destination has, or had
	for _, f := range event.Find(src, des) {
		key := src.Key(f.Index)
		if f.Des >= 0 {
			key = des.Key(f.Des)
		}
		differ[key] = f
	}
	all := make([]seen, len(records))
	for i, r := range records {
		at, ok := here[keys[i]]
		switch f, differs := differ[keys[i]]; {
		case ok && alone[at]:
			all[i] = seen{
				found:   &event.Found{Divergence: row.Divergence{Kind: row.Kind(event.Orphan), Des: at}, Look: event.Look{Destination: des.Version(at)}},
				payload: payloads[at],
			}
		case differs:
			all[i].moved = &event.Event{
				Pair: r.Pair, Key: keys[i], Kind: event.Kind(f.Kind), SourceID: src.ID(f.Index), FirstSeen: time.Now().UTC(), Watch: []event.Look{f.Look},
			}
			all[i].gone = true
		default: // it is gone, or equal: healed
		}
	}
	return all, nil
}

// readRows looks at rows: at the destination's by the keys of the records, then at the
// source's, which is the order that event.Judge asks for. A row that has another key by
// now has not been looked for under it, and is after that. What was found counts if the
// tables are what they were: neither a row that only seems to differ is posted then, nor a payload
// that lacks a column, nor does one that only seems to be equal leave the queue.
func (l *lane) readRows(ctx context.Context, records []known, full bool) ([]seen, error) {
	ids, keys := make([]string, len(records)), make([]row.Key, len(records))
	asked := make(map[row.Key]bool, len(records))
	for i, r := range records {
		if err := keys[i].UnmarshalText([]byte(r.Key)); err != nil {
			return nil, err
		}
		ids[i], asked[keys[i]] = r.note.SourceID, true
	}
	des, err := l.dest.Pair.ReadDestination(ctx, keys)
	if err != nil {
		return nil, err
	}
	src, payloads, err := l.readSource(ctx, ids, full)
	if err != nil {
		return nil, err
	}
	var more *row.Batch
	if moved := event.Unasked(src, asked); len(moved) > 0 {
		if more, err = l.dest.Pair.ReadDestination(ctx, moved); err != nil {
			return nil, err
		}
	}
	if err := l.unaltered(ctx, des); err != nil {
		return nil, err
	}
	rows := make(map[string]int, src.Len())
	for i := range src.Len() {
		rows[src.ID(i)] = i
	}
	found := map[int]event.Found{}
	for _, f := range event.FindAgain(src, des, more, asked) {
		found[f.Index] = f
	}
	all := make([]seen, len(records))
	for i, r := range records {
		at, ok := rows[ids[i]]
		if !ok || src.HasNullKey(at) {
			all[i].gone = true
			continue
		}
		f, differs := found[at]
		if all[i], err = l.seen(r, src, at, f, differs); err != nil {
			return nil, err
		}
		if all[i].found != nil && full {
			all[i].payload = payloads[at]
		}
	}
	return all, nil
}

func (l *lane) readSource(ctx context.Context, ids []string, full bool) (*row.Batch, [][]byte, error) {
	if full {
		return l.dest.Pair.ReadFull(ctx, ids)
	}
	src, err := l.dest.Pair.ReadSource(ctx, ids)
	return src, nil, err
}

// seen is what was found of the record whose source row is at a place of src.
func (l *lane) seen(r known, src *row.Batch, at int, f event.Found, differs bool) (seen, error) {
	key, err := src.Key(at).MarshalText()
	if err != nil {
		return seen{}, err
	}
	switch {
	case string(key) != r.Key && differs && len(key) <= event.MaxKeyTextBytes:
		return seen{gone: true, moved: &event.Event{
			Pair: r.Pair, Key: src.Key(at), Kind: event.Kind(f.Kind), SourceID: r.note.SourceID,
			FirstSeen: time.Now().UTC(), Watch: []event.Look{f.Look},
		}}, nil
	case string(key) != r.Key:
		return seen{gone: true}, nil
	case differs:
		return seen{found: &f, columns: event.Names(f.Divergence, l.dest.Pair.Columns())}, nil
	}
	return seen{}, nil
}

// maxUnread is how many rows in a row may turn out to be unreadable before no more
// are tried for this time.
const maxUnread = 8

// lookApart looks at records, and when they cannot be read together finds those
// that cannot be read at all, so that one row does not stop its pair. Those that
// could not be read before are read one by one. An error means that a database is away.
func (l *lane) lookApart(ctx context.Context, records []known) ([]seen, error) {
	var clean, suspect []known
	places := [2][]int{}
	for i, r := range records {
		if r.note.Unread == 0 {
			clean, places[0] = append(clean, r), append(places[0], i)
		} else {
			suspect, places[1] = append(suspect, r), append(places[1], i)
		}
	}
	s := splitter{lane: l}
	found := [2][]seen{s.look(ctx, clean), nil}
	s.unread = 0
	for i := range suspect {
		found[1] = append(found[1], s.look(ctx, suspect[i:i+1])...)
	}
	if s.away != nil {
		return nil, s.away
	}
	all := make([]seen, len(records))
	for i, some := range found {
		for j, one := range some {
			all[places[i][j]] = one
		}
	}
	return all, nil
}

// splitter looks at halves of what cannot be read together.
type splitter struct {
	lane   *lane
	unread int   // single rows, one after the other
	asked  bool  // whether the databases answer
	away   error // they do not
}

func (s *splitter) look(ctx context.Context, records []known) []seen {
	if len(records) == 0 {
		return nil
	}
	all := make([]seen, len(records))
	if s.away != nil || s.unread >= maxUnread || ctx.Err() != nil {
		for i := range all {
			all[i].skipped = true
		}
		return all
	}
	some, err := s.lane.look(ctx, records, true)
	if err == nil {
		s.unread = 0
		return some
	}
	if !s.asked {
		s.asked = true
		if s.lane.dest.Pair.Ping(ctx) != nil {
			s.away = err
			return all
		}
	}
	if len(records) == 1 {
		s.unread++
		all[0].err = err
		return all
	}
	half := len(records) / 2
	return append(s.look(ctx, records[:half]), s.look(ctx, records[half:])...)
}
