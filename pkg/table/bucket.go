package table

import (
	"context"
	"database/sql/driver"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"slices"
	"strings"

	"github.com/masixun71/cupid/pkg/chunk"
	"github.com/masixun71/cupid/pkg/row"
)

// bucketPlan is how a pair is swept by buckets.
type bucketPlan struct {
	primary [2][]keyColumn // by row.Side
	// follows are the indexes that a sweep by key would follow, by row.Side. That of
	// at least one is not the primary key.
	follows [2]string
	// sums is a hash of what is added up: other sums cannot be joined.
	sums string
}

// buckets is how the pair can be swept by buckets, nil when it cannot or need not be:
// the tables are read in the order of their primary keys, and rows of buckets that
// differ are looked for by key, which must be unique for that and have one spelling.
func (b planner) buckets(s sweepPlan, keys []columnPair, follows [2]string) *bucketPlan {
	o := b.p.o
	switch {
	case !s.Checksum || follows == [2]string{primaryIndex, primaryIndex}:
		return nil
	case !b.src.uniqueOn(o.Source.By...) || !b.des.uniqueOn(o.Destination.By...):
		return nil
	case slices.ContainsFunc(keys, func(cp columnPair) bool { return cp.rule.Lossy() }):
		return nil
	}
	pl := bucketPlan{follows: follows}
	var text []string
	for on, m := range map[row.Side]*meta{row.Source: b.src, row.Destination: b.des} {
		if pl.primary[on] = m.primaryColumns(); pl.primary[on] == nil {
			return nil
		}
	}
	for _, on := range []row.Side{row.Source, row.Destination} {
		for salt := range uint32(2) {
			text = append(text, s.sums.numbered(on, s.sums.keyHash(on), salt))
		}
	}
	pl.sums = fmt.Sprintf("%08x", crc32.ChecksumIEEE([]byte(strings.Join(text, "\n"))))
	return &pl
}

// primaryColumns are the columns of the primary key, nil when there is none by which
// ranges can be cut.
func (m *meta) primaryColumns() []keyColumn {
	i := slices.IndexFunc(m.indexes, func(x index) bool { return x.name == primaryIndex })
	if i < 0 {
		return nil
	}
	var columns []keyColumn
	for _, name := range m.indexes[i].columns {
		c, ok := m.find(name)
		if !ok || !sameOrder(c, c) {
			return nil
		}
		columns = append(columns, keyColumn{c, placeholder(c)})
	}
	return columns
}

// places are a bound of a sweep by buckets: up to where either table is read, as texts
// of its primary key; nil is nowhere.
type places struct {
	Source      []string `json:"src"`
	Destination []string `json:"des"`
}

func parsePlaces(text *string) (places, error) {
	var p places
	if text == nil {
		return p, nil
	}
	if err := json.Unmarshal([]byte(*text), &p); err != nil {
		return p, badPlace(*text, err)
	}
	return p, nil
}

func badPlace(text string, err error) error {
	return &Fault{
		Problem: fmt.Sprintf("%q is no place in two tables", text),
		Hint:    "the cache file belongs to other tables, or a primary key was altered",
		Err:     err,
	}
}

func (p places) of(on row.Side) []string {
	if on == row.Destination {
		return p.Destination
	}
	return p.Source
}

// bucketRange are the conditions on a side's rows behind one place and, if that is given,
// up to another; none says that there are no such rows.
func (pl *plan) bucketRange(on row.Side, after places, upTo *places) (range_ []condition, none bool, err error) {
	columns := pl.sweep.buckets.primary[on]
	range_ = notNull(pl.ordered(on))
	if at := after.of(on); at != nil {
		above, err := placeBound(columns, at, ">")
		if err != nil {
			return nil, false, err
		}
		range_ = append(range_, above)
	}
	if upTo == nil {
		return range_, false, nil
	}
	to := upTo.of(on)
	if to == nil || slices.Equal(after.of(on), to) {
		return nil, true, nil
	}
	end, err := placeBound(columns, to, "<=")
	return append(range_, end), false, err
}

// placeBound is the condition that the primary key stands in relation op to a place.
func placeBound(columns []keyColumn, at []string, op string) (condition, error) {
	if len(at) != len(columns) {
		return condition{}, badPlace(strings.Join(at, ","), fmt.Errorf("it has %d parts and not %d", len(at), len(columns)))
	}
	args := make([]driver.Value, len(at))
	for i, text := range at {
		var err error
		if args[i], err = idArg(columns[i].column, text); err != nil {
			return condition{}, err
		}
	}
	return tupleBound(columns, args, op), nil
}

// places are the bounds of a chunk.
func (pl *plan) places(c chunk.Chunk) (after places, upTo *places, err error) {
	if err := pl.fits(c); err != nil {
		return places{}, nil, err
	}
	if pl.sweep.buckets == nil {
		return places{}, nil, &Fault{Problem: "the pair cannot be swept by buckets any more", Hint: "a table was altered; reload cupid"}
	}
	if c.After != nil {
		if after, err = parsePlaces(&c.After.ID); err != nil {
			return places{}, nil, err
		}
	}
	if c.Open {
		return after, nil, nil
	}
	to, err := parsePlaces(&c.UpTo.ID)
	return after, &to, err
}

// inPrimaryOrder is the table, to be read in the order of its primary key.
func (s *side) inPrimaryOrder() string { return quote(s.o.Table) + " FORCE INDEX (PRIMARY)" }

// CutBuckets bounds the next chunk of a sweep by buckets: at most limit rows of each
// side behind after and not behind upTo, nil being open. It returns the text of the
// last places and how many rows the side has that has more of them, 0 when neither has any.
func (p *Pair) CutBuckets(ctx context.Context, after, upTo *string, limit int) (last string, rows int, err error) {
	pl, err := p.plan(ctx)
	if err != nil {
		return "", 0, err
	}
	c := chunk.Chunk{Open: upTo == nil}
	if after != nil {
		c.After = &chunk.Position{ID: *after}
	}
	if upTo != nil {
		c.UpTo.ID = *upTo
	}
	from, to, err := pl.places(c)
	if err != nil {
		return "", 0, p.src.explain(ctx, "cut buckets", err)
	}
	end := from
	var counts [2]int
	cut := func(on row.Side, at *[]string) func(context.Context) error {
		return func(ctx context.Context) error {
			text, n, err := p.cutSide(ctx, pl, on, from, to, limit)
			if counts[on] = n; n > 0 {
				*at = text
			}
			return err
		}
	}
	if err := together(ctx, cut(row.Source, &end.Source), cut(row.Destination, &end.Destination)); err != nil {
		return "", 0, p.failed(pl, err)
	}
	text, err := json.Marshal(end)
	return string(text), max(counts[0], counts[1]), err
}

// cutSide is where the chunk of one side ends, and how many rows it has.
func (p *Pair) cutSide(ctx context.Context, pl *plan, on row.Side, after places, upTo *places, limit int) (at []string, rows int, err error) {
	s := p.side(on)
	range_, none, err := pl.bucketRange(on, after, upTo)
	if err != nil || none {
		return nil, 0, err
	}
	columns := pl.sweep.buckets.primary[on]
	at, err = s.edge(ctx, columns, range_, "", fmt.Sprintf("LIMIT 1 OFFSET %d", limit-1))
	if err != nil || at != nil {
		return at, limit, err
	}
	at, err = s.edge(ctx, columns, range_, " DESC", "LIMIT 1")
	if err != nil || at == nil {
		return nil, 0, err
	}
	where, args := s.where(range_)
	err = s.read(ctx, "count the rows of a chunk", []query{{"SELECT COUNT(*) FROM " + s.inPrimaryOrder() + where, args}},
		one(func(values []driver.Value) error {
			n, ok := values[0].(int64)
			if !ok {
				return fmt.Errorf("COUNT(*) is a %T", values[0])
			}
			rows = int(n)
			return nil
		}))
	// It may be more by now than a chunk can have, or none.
	return at, min(max(rows, 1), max(limit-1, 1)), err
}

// IDBetween is the id of the last source row behind after, nil being open, and not behind
// upTo, both of which CutBuckets has returned; empty when there is none.
func (p *Pair) IDBetween(ctx context.Context, after *string, upTo string) (id string, err error) {
	pl, err := p.plan(ctx)
	if err != nil {
		return "", err
	}
	c := chunk.Chunk{UpTo: chunk.Position{ID: upTo}}
	if after != nil {
		c.After = &chunk.Position{ID: *after}
	}
	from, to, err := pl.places(c)
	var range_ []condition
	none := false
	if err == nil {
		range_, none, err = pl.bucketRange(row.Source, from, to)
	}
	if err != nil || none {
		return "", p.failed(pl, p.src.explain(ctx, "find a row", err))
	}
	var order []string
	for _, c := range pl.sweep.buckets.primary[row.Source] {
		order = append(order, quote(c.column.Name)+" DESC")
	}
	where, args := p.src.where(range_)
	q := query{"SELECT " + quote(pl.id.Name) + " FROM " + p.src.inPrimaryOrder() + where + " ORDER BY " + strings.Join(order, ", ") + " LIMIT 1", args}
	err = p.src.read(ctx, "find a row", []query{q}, one(func(values []driver.Value) error {
		id = idText(pl.id, values[0])
		return nil
	}))
	return id, p.failed(pl, err)
}

// edge is the primary key at one row of a range, nil when there is none.
func (s *side) edge(ctx context.Context, columns []keyColumn, range_ []condition, direction, limit string) (at []string, err error) {
	var names, order []string
	for _, c := range columns {
		names = append(names, quote(c.column.Name))
		order = append(order, quote(c.column.Name)+direction)
	}
	where, args := s.where(range_)
	q := query{"SELECT " + strings.Join(names, ", ") + " FROM " + s.inPrimaryOrder() + where +
		" ORDER BY " + strings.Join(order, ", ") + " " + limit, args}
	err = s.read(ctx, "find the end of a chunk", []query{q}, one(func(values []driver.Value) error {
		for i, v := range values {
			at = append(at, idText(columns[i].column, v))
		}
		return nil
	}))
	return at, err
}
