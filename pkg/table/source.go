package table

import (
	"context"
	"database/sql/driver"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/masixun71/cupid/pkg/chunk"
	"github.com/masixun71/cupid/pkg/row"
)

// Source cuts a source table into ranges and reads its server's clock. It is safe
// for concurrent use.
type Source struct {
	side  *side
	lists *lists

	kept kept[sourceMeta]

	mu         sync.Mutex    // guards the two below
	blind      time.Duration // for how long windows may have been asked for in vain, up to blindUntil
	blindUntil time.Time     // windows reach back by blind up to then
}

// sourceMeta is what cutting needs to know of the table.
type sourceMeta struct {
	id, update row.Column // update has no name when there is no update scan
	auto       bool       // the id column is AUTO_INCREMENT
	zone       string     // of the writers
}

// NewSource makes a source. It touches nothing; the first call connects.
func NewSource(o SideOptions) *Source { return newSource(newSide(o)) }

func newSource(side *side) *Source {
	s := &Source{side: side, lists: side.o.Servers.lists(side.o)}
	s.kept = kept[sourceMeta]{load: s.load, plan: s.plan, altered: s.altered, turn: make(chan struct{}, 1)}
	return s
}

// Close closes all connections. Calls fail from then on.
func (s *Source) Close() error { return s.side.close() }

// Ping returns nil when the server answers.
func (s *Source) Ping(ctx context.Context) error { return s.side.ping(ctx) }

func (s *Source) meta(ctx context.Context) (*sourceMeta, error) { return s.kept.get(ctx) }

func (s *Source) load(ctx context.Context) ([]*meta, error) {
	m, err := s.side.load(ctx)
	return []*meta{m}, err
}

// plan takes what is needed of the table's metadata.
func (s *Source) plan(metas []*meta) (_ *sourceMeta, err error) {
	m := metas[0]
	made := &sourceMeta{zone: s.side.zone(m)}
	if made.id, err = s.side.column(m, s.side.o.IDColumn, "idColumn"); err != nil {
		return nil, err
	}
	made.auto = strings.EqualFold(m.auto, made.id.Name)
	if name := s.side.o.UpdateColumn; name != "" {
		if made.update, err = s.side.column(m, name, "updateColumn"); err != nil {
			return nil, err
		}
		if made.update.DataType == "time" {
			return nil, &Fault{Side: s.side.o.Name, Problem: "updateColumn " + quote(name) + " is a TIME, which names no day"}
		}
	}
	return made, nil
}

// blindFor is how many times as long as metadata may be old windows reach back after an alteration:
// a pass over the last one may take that long, and the next window is asked for only after it.
const blindFor = 10

// altered has the next windows reach back to when the metadata was right: what is written after a
// TIMESTAMP has become a DATETIME lies hours away from a window in UTC.
func (s *Source) altered(old, made *sourceMeta, oldMetas, metas []*meta, read time.Time) {
	s.side.altered(oldMetas[0], metas[0])
	if old.update == made.update && old.zone == made.zone {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.blind = time.Since(read)
	s.blindUntil = time.Now().Add(blindFor * metaAge)
}

// reach is by how much a window begins earlier.
func (s *Source) reach() time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	if time.Now().After(s.blindUntil) {
		return 0
	}
	return s.blind
}

// ServerGivesIDs reports whether the id column is AUTO_INCREMENT: then no id is
// given out before its transaction has started.
func (s *Source) ServerGivesIDs(ctx context.Context) (bool, error) {
	m, err := s.meta(ctx)
	if err != nil {
		return false, err
	}
	return m.auto, nil
}

// Head is the greatest id; ok is false when there is no row.
func (s *Source) Head(ctx context.Context) (id string, ok bool, err error) {
	m, err := s.meta(ctx)
	if err != nil {
		return "", false, err
	}
	rows, err := s.positions(ctx, m, "read the greatest id", notNull([]keyColumn{{column: m.id}}), []row.Column{m.id}, " DESC", "LIMIT 1")
	if err != nil || len(rows) == 0 {
		return "", false, err
	}
	return rows[0][0], true, nil
}

// CutIDs bounds the next chunk: at most limit rows with an id in (after, upTo], nil
// being open. It returns the last id of the chunk and how many rows it has, 0 when
// there is none. A row that is inserted meanwhile may make it one more.
func (s *Source) CutIDs(ctx context.Context, after, upTo *string, limit int) (last string, rows int, err error) {
	m, err := s.meta(ctx)
	if err != nil {
		return "", 0, err
	}
	b := bounds{conditions: notNull([]keyColumn{{column: m.id}})}
	if after != nil {
		b.add(m.id, ">", *after)
	}
	if upTo != nil {
		b.add(m.id, "<=", *upTo)
	}
	if b.err != nil {
		return "", 0, s.side.explain(ctx, "cut ids", b.err)
	}
	at, rows, err := s.cut(ctx, m, []row.Column{m.id}, b.conditions, limit)
	if err != nil || rows == 0 {
		return "", 0, err
	}
	return at[0], rows, nil
}

// CutUpdates is CutIDs for the rows whose update column lies in [lo, hi], in the
// order of (update column, id): so any number of rows with one value is cut too.
// after is a position in that order, nil at the window's beginning.
func (s *Source) CutUpdates(ctx context.Context, after *chunk.Position, lo, hi string, limit int) (last chunk.Position, rows int, err error) {
	m, err := s.meta(ctx)
	if err != nil {
		return chunk.Position{}, 0, err
	}
	if m.update.Name == "" {
		return chunk.Position{}, 0, &Fault{Side: s.side.o.Name, Problem: "an update scan needs updateColumn"}
	}
	window, err := updateWindow(m.update, m.id, after, lo, hi)
	if err != nil {
		return chunk.Position{}, 0, s.side.explain(ctx, "cut updates", err)
	}
	at, rows, err := s.cut(ctx, m, []row.Column{m.update, m.id}, []condition{window}, limit)
	if err != nil || rows == 0 {
		return chunk.Position{}, 0, err
	}
	return chunk.Position{Value: at[0], ID: at[1]}, rows, nil
}

// cut finds the limit-th row of a range in the order of columns, or the last one
// where there are fewer, and how many rows there are up to it.
func (s *Source) cut(ctx context.Context, m *sourceMeta, columns []row.Column, range_ []condition, limit int) (at []string, rows int, err error) {
	if limit < 1 {
		return nil, 0, fmt.Errorf("%s: cut a chunk of %d rows", s.side.o.Name, limit)
	}
	full, err := s.positions(ctx, m, "find the end of a chunk", range_, columns, "", fmt.Sprintf("LIMIT 1 OFFSET %d", limit-1))
	if err != nil {
		return nil, 0, err
	}
	if len(full) > 0 {
		return full[0], limit, nil
	}
	short, err := s.positions(ctx, m, "find the last row of a chunk", range_, columns, " DESC", "LIMIT 1")
	if err != nil || len(short) == 0 {
		return nil, 0, err
	}
	rows, err = s.count(ctx, m, range_)
	// The row that was found is gone by now when nothing is counted.
	return short[0], max(rows, 1), err
}

func (s *Source) positions(ctx context.Context, m *sourceMeta, doing string, range_ []condition, columns []row.Column, direction, limit string) ([][]string, error) {
	found, err := s.side.positions(ctx, doing, range_, columns, direction, limit)
	return found, s.kept.failed(m, err)
}

// positions reads columns of the rows of a range, in their order.
func (s *side) positions(ctx context.Context, doing string, range_ []condition, columns []row.Column, direction, limit string) ([][]string, error) {
	var names, order []string
	for _, c := range columns {
		names = append(names, quote(c.Name))
		order = append(order, quote(c.Name)+direction)
	}
	where, args := s.where(range_)
	q := query{"SELECT " + strings.Join(names, ", ") + " FROM " + quote(s.o.Table) + where +
		" ORDER BY " + strings.Join(order, ", ") + " " + limit, args}
	var found [][]string
	err := s.read(ctx, doing, []query{q}, one(func(values []driver.Value) error {
		texts := make([]string, len(values))
		for i, v := range values {
			if v == nil {
				return &Fault{Side: s.o.Name, Problem: "column " + quote(columns[i].Name) + " of table " + quote(s.o.Table) + " is NULL in some row"}
			}
			texts[i] = idText(columns[i], v)
		}
		found = append(found, texts)
		return nil
	}))
	return found, err
}

// count counts the rows of a range that was found to be shorter than a chunk.
func (s *Source) count(ctx context.Context, m *sourceMeta, range_ []condition) (n int, err error) {
	where, args := s.side.where(range_)
	q := query{"SELECT COUNT(*) FROM " + quote(s.side.o.Table) + where, args}
	err = s.side.read(ctx, "count the rows of a chunk", []query{q}, one(func(values []driver.Value) error {
		c, ok := values[0].(int64)
		if !ok {
			return fmt.Errorf("COUNT(*) is a %T", values[0])
		}
		n = int(c)
		return nil
	}))
	return n, s.kept.failed(m, err)
}
