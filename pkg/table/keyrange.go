package table

import (
	"context"
	"database/sql/driver"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/masixun71/cupid/pkg/chunk"
	"github.com/masixun71/cupid/pkg/row"
)

// sweepRange are the conditions on the rows of a sweep's chunk on one side.
func (pl *plan) sweepRange(side row.Side, c chunk.Chunk) ([]condition, error) {
	if err := pl.fits(c); err != nil {
		return nil, err
	}
	if pl.sweep.Mode == SweepByRow {
		range_, err := pl.idRange(c)
		return append(range_, notNull([]keyColumn{{column: pl.id}})...), err // the first chunk may have no lower bound
	}
	columns := pl.ordered(side)
	range_ := notNull(columns)
	if c.After != nil {
		above, err := pl.keyBound(columns, c.After.ID, ">")
		if err != nil {
			return nil, err
		}
		range_ = append(range_, above)
	}
	if !c.Open {
		upTo, err := pl.keyBound(columns, c.UpTo.ID, "<=")
		if err != nil {
			return nil, err
		}
		range_ = append(range_, upTo)
	}
	return pl.skipKeys(range_, columns, c.Skip), nil
}

// sumRange are the conditions on the rows of a chunk on one side, that of an insert scan
// being a range of keys, too.
func (pl *plan) sumRange(side row.Side, c chunk.Chunk) ([]condition, error) {
	if c.Scan == chunk.Insert {
		if c.After != nil {
			after, err := keyOfID(c.After.ID)
			if err != nil {
				return nil, err
			}
			c.After = &after
		}
		var err error
		if c.UpTo, err = keyOfID(c.UpTo.ID); err != nil {
			return nil, err
		}
	}
	return pl.sweepRange(side, c)
}

// keyOfID is the position among keys of an id that is an integer and the key.
func keyOfID(id string) (chunk.Position, error) {
	text, err := row.NewKey([]byte(id)).MarshalText()
	return chunk.Position{ID: string(text)}, err
}

// idRange are the conditions on the source rows of a chunk whose bounds are ids.
func (pl *plan) idRange(c chunk.Chunk) ([]condition, error) {
	var b bounds
	if c.Only != "" {
		b.add(pl.id, "=", c.Only)
		return b.conditions, b.err
	}
	if c.After != nil {
		b.add(pl.id, ">", c.After.ID)
	}
	if !c.Open {
		b.add(pl.id, "<=", c.UpTo.ID)
	}
	if b.err != nil {
		return nil, b.err
	}
	return pl.skipIDs(b.conditions, c.Skip)
}

// keyColumn is a column of the key on one side.
type keyColumn struct {
	column row.Column
	param  string
}

// ordered are a side's key columns as the index of the sweep has them.
func (pl *plan) ordered(side row.Side) []keyColumn {
	rules := pl.mapping.Keys()
	columns := make([]keyColumn, len(pl.sweep.order))
	for i, at := range pl.sweep.order {
		own, other := rules[at].Source(), rules[at].Destination()
		if side == row.Destination {
			own, other = other, own
		}
		if isDecimal(own) {
			own.Scale = max(own.Scale, other.Scale) // or the bound would be rounded on the coarser side
		}
		columns[i] = keyColumn{own, placeholder(own)}
	}
	return columns
}

// notNull leaves rows out that have no whole key.
func notNull(columns []keyColumn) []condition {
	var all []condition
	for _, c := range columns {
		if c.column.Nullable {
			all = append(all, condition{text: quote(c.column.Name) + " IS NOT NULL"})
		}
	}
	return all
}

// keyBound is the condition that the key stands in relation op, > or <=, to the key
// of a text. It is spelled with AND and OR, which every optimizer turns into a range of
// an index, as it does not with (a, b) > (?, ?).
func (pl *plan) keyBound(columns []keyColumn, text, op string) (condition, error) {
	args, err := pl.boundArgs(columns, text)
	if err != nil {
		return condition{}, badBound(text, err)
	}
	return tupleBound(columns, args, op), nil
}

// boundArgs are the values to bind for the text of a key.
func (pl *plan) boundArgs(columns []keyColumn, text string) ([]driver.Value, error) {
	var key row.Key
	if err := key.UnmarshalText([]byte(text)); err != nil {
		return nil, err
	}
	parts := key.Parts()
	if len(parts) != len(columns) {
		return nil, fmt.Errorf("it has %d parts and not %d", len(parts), len(columns))
	}
	args := make([]driver.Value, len(columns))
	for i, c := range columns {
		var err error
		if args[i], err = boundArg(c.column, parts[pl.sweep.order[i]]); err != nil {
			return nil, err
		}
	}
	return args, nil
}

// tupleBound is the condition that columns stand in relation op, > or <=, to values,
// spelled as keyBound says.
func tupleBound(columns []keyColumn, args []driver.Value, op string) condition {
	var bound condition
	term := func(i int, op string) string {
		bound.args = append(bound.args, args[i])
		return quote(columns[i].column.Name) + " " + op + " " + columns[i].param
	}
	last, strict := len(columns)-1, op[:1]
	if last == 0 {
		bound.text = term(0, op)
		return bound
	}
	bound.text = term(0, strict+"=") + " AND ("
	for i := range columns {
		if i > 0 {
			bound.text += " OR "
		}
		var terms []string
		for j := range i {
			terms = append(terms, term(j, "="))
		}
		if i < last {
			terms = append(terms, term(i, strict))
		} else {
			terms = append(terms, term(i, op))
		}
		bound.text += strings.Join(terms, " AND ")
	}
	bound.text += ")"
	return bound
}

func badBound(text string, err error) error {
	return &Fault{
		Problem: fmt.Sprintf("%q is no value of byColumn", text),
		Hint:    "the cache file belongs to another table, or a column was altered",
		Err:     err,
	}
}

// boundArg is the value to bind for a part of a key. Unlike a key that is looked for,
// a bound may be more than the column can hold.
func boundArg(c row.Column, part []byte) (driver.Value, error) {
	switch {
	case part == nil:
		return nil, fmt.Errorf("a part is NULL")
	case isInteger(c):
		if n, err := strconv.ParseInt(string(part), 10, 64); err == nil {
			return n, nil
		}
		return strconv.ParseUint(string(part), 10, 64)
	case isBinary(c):
		return part, nil
	}
	return string(part), nil
}

// CutKeys bounds the next chunk of a sweep: at most limit source rows in (after, upTo], nil
// being open, in the order of the sweep's mode. Rows with equal keys are never parted: those
// that share the last one's, also only for its collation, are of the chunk too and may make
// it more.
func (p *Pair) CutKeys(ctx context.Context, after, upTo *string, limit int) (chunk.Cut, error) {
	if limit < 1 {
		return chunk.Cut{}, fmt.Errorf("%s: cut a chunk of %d rows", p.src.o.Name, limit)
	}
	pl, err := p.plan(ctx)
	if err != nil {
		return chunk.Cut{}, err
	}
	c := chunk.Chunk{Scan: chunk.Sweep, Open: true}
	if after != nil {
		c.After = &chunk.Position{ID: *after}
	}
	if upTo != nil {
		c.UpTo.ID, c.Open = *upTo, false
	}
	range_, err := pl.sweepRange(row.Source, c)
	if err != nil {
		return chunk.Cut{}, p.src.explain(ctx, "cut keys", err)
	}
	last, rows, err := p.cutKeys(ctx, pl, range_, limit)
	if err != nil {
		return chunk.Cut{}, p.failed(pl, err)
	}
	return chunk.Cut{UpTo: last, Rows: rows, Dense: pl.sweep.steps && denseRange(after, last, rows)}, nil
}

// StepKeys bounds the next chunk of a sweep without a look at the rows: it returns the text of
// the key that is greater than after by rows, so that there are at most as many source rows in
// between. That is most; where it is more than a quarter of what is left it is halved, and again,
// but not below least. It is 0 where the key would not be below upTo, and where the key is not
// one whole number that is unique.
func (p *Pair) StepKeys(ctx context.Context, after, upTo string, most, least int) (last string, rows int, err error) {
	pl, err := p.plan(ctx)
	if err != nil || !pl.sweep.steps {
		return "", 0, err
	}
	id, rows := step(after, upTo, most, least)
	if rows == 0 {
		return "", 0, nil
	}
	at, err := keyOfID(id)
	return at.ID, rows, err
}

// LastKey is the text of the source's greatest key, in the order of the sweep's mode; ok is
// false when there is no row.
func (p *Pair) LastKey(ctx context.Context) (text string, ok bool, err error) {
	pl, err := p.plan(ctx)
	if err != nil {
		return "", false, err
	}
	range_, err := pl.sweepRange(row.Source, chunk.Chunk{Scan: chunk.Sweep, Open: true})
	if err != nil {
		return "", false, p.src.explain(ctx, "read the greatest key", err)
	}
	text, ok, err = p.boundAt(ctx, pl, row.Source, range_, " DESC", "LIMIT 1")
	return text, ok, p.failed(pl, err)
}

func (p *Pair) cutKeys(ctx context.Context, pl *plan, range_ []condition, limit int) (last string, rows int, err error) {
	full, ok, err := p.boundAt(ctx, pl, row.Source, range_, "", fmt.Sprintf("LIMIT 1 OFFSET %d", limit-1))
	if err != nil || ok {
		return full, limit, err
	}
	last, ok, err = p.boundAt(ctx, pl, row.Source, range_, " DESC", "LIMIT 1")
	if err != nil || !ok {
		return "", 0, err
	}
	where, args := p.src.where(range_)
	q := query{"SELECT COUNT(*) FROM " + quote(p.src.o.Table) + where, args}
	err = p.src.read(ctx, "count the rows of a chunk", []query{q}, one(func(values []driver.Value) error {
		n, err := strconv.Atoi(valueText(values[0]))
		rows = n
		return err
	}))
	// The row that was found is gone by now when nothing is counted.
	return last, max(rows, 1), err
}

// boundAt is the text of the bound at one row of a range on a side, the source's if it is of ids; ok is
// false if there is none.
func (p *Pair) boundAt(ctx context.Context, pl *plan, on row.Side, range_ []condition, direction, limit string) (text string, ok bool, err error) {
	s := p.side(on)
	columns := []keyColumn{{column: pl.id}}
	if pl.sweep.Mode == SweepByKey {
		columns = pl.ordered(on)
	}
	var names, order []string
	for _, c := range columns {
		names = append(names, quote(c.column.Name))
		order = append(order, quote(c.column.Name)+direction)
	}
	where, args := s.where(range_)
	q := query{"SELECT " + strings.Join(names, ", ") + " FROM " + quote(s.o.Table) + where +
		" ORDER BY " + strings.Join(order, ", ") + " " + limit, args}
	err = s.read(ctx, "find the end of a chunk", []query{q}, one(func(values []driver.Value) error {
		var err error
		if text, err = pl.boundText(on, values); err != nil {
			return &valueError{s.o.Table, err}
		}
		ok = true
		return nil
	}))
	return text, ok, err
}

// boundText is the text of a bound, given the values of the columns it is made of on a side.
func (pl *plan) boundText(on row.Side, values []driver.Value) (string, error) {
	if slices.Contains(values, nil) {
		return "", fmt.Errorf("a bound is NULL")
	}
	if pl.sweep.Mode == SweepByRow {
		return idText(pl.id, values[0]), nil
	}
	rules := pl.mapping.Keys()
	appendTo := row.Rule.AppendSource
	if on == row.Destination {
		appendTo = row.Rule.AppendDestination
	}
	parts := make([][]byte, len(values))
	for i, at := range pl.sweep.order {
		var err error
		if parts[at], err = appendTo(rules[at], []byte{}, values[i]); err != nil {
			return "", err
		}
	}
	text, err := row.NewKey(parts...).MarshalText()
	return string(text), err
}
