package table

import (
	"cmp"
	"context"
	"database/sql/driver"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/masixun71/cupid/pkg/row"
)

// inQueries are the queries for the rows whose columns have one of the values in
// args, which are len(columns) for each row.
func inQueries(s *side, l *list, columns []keyBound, args []driver.Value) []query {
	width := len(columns)
	var queries []query
	for _, piece := range split(len(args) / width) {
		values := slices.Clone(args[piece.from*width : piece.to*width])
		for range piece.size - (piece.to - piece.from) {
			values = append(values, args[(piece.to-1)*width:piece.to*width]...)
		}
		where, args := s.where([]condition{{inList(columns, piece.size), values}})
		queries = append(queries, query{"SELECT " + l.sql() + " FROM " + quote(s.o.Table) + where, args})
	}
	return queries
}

const (
	// minDense is how many keys there are at least to be read as a range.
	minDense = 64
	// denseShare is by how much more keys a range may have than are looked for, as a
	// share of these: rows that nobody asked for cost less than a list of keys does.
	denseShare = 2
)

// keyQueries are the queries for the destination rows of sorted keys: lists of them, or
// one range where they are integers without wide gaps, which a server reads several
// times as fast.
func (p *Pair) keyQueries(pl *plan, args []driver.Value) []query {
	c := pl.mapping.Keys()[0].Destination()
	if len(pl.desKeys) > 1 || !isInteger(c) || c.DataType == "year" || len(args) < minDense || !dense(args[0], args[len(args)-1], len(args)) {
		return inQueries(p.des, &pl.des, pl.desKeys, args)
	}
	column := quote(c.Name)
	where, args := p.des.where([]condition{{column + " >= ? AND " + column + " <= ?", []driver.Value{args[0], args[len(args)-1]}}})
	return []query{{"SELECT " + pl.des.sql() + " FROM " + quote(p.des.o.Table) + where, args}}
}

// dense reports whether n integers of one column have few others between the first and
// the last.
func dense(first, last driver.Value, n int) bool {
	d, ok := width(first, last)
	return ok && d < uint64(n+n/denseShare)
}

// width is by how much one value of a column is more than another; ok is false where they
// are no integers of one kind.
func width(from, to driver.Value) (d uint64, ok bool) {
	switch a := from.(type) {
	case int64:
		b, ok := to.(int64)
		return uint64(b - a), ok // two's complement: right also where the difference is no int64
	case uint64:
		b, ok := to.(uint64)
		return b - a, ok
	}
	return 0, false
}

// inList is the condition with n parameters. Rows of several columns are spelled
// as AND and OR, which every optimizer turns into ranges of an index.
func inList(columns []keyBound, n int) string {
	if len(columns) == 1 {
		return columns[0].column + " IN (" + repeat(columns[0].param, ", ", n) + ")"
	}
	parts := make([]string, len(columns))
	for i, c := range columns {
		parts[i] = c.column + " = " + c.param
	}
	return "(" + repeat("("+strings.Join(parts, " AND ")+")", " OR ", n) + ")"
}

func repeat(s, separator string, n int) string {
	return strings.Repeat(s+separator, n-1) + s
}

// ReadDestination reads the destination rows that have one of keys, and possibly
// others whose keys are equal to one for the column's collation: the caller
// matches by row.Compare. Keys that no row can have (NULL, 'abc' for an INT, two parts for
// one column) are not asked for.
func (p *Pair) ReadDestination(ctx context.Context, keys []row.Key) (*row.Batch, error) {
	pl, err := p.plan(ctx)
	if err != nil {
		return nil, err
	}
	args, err := pl.keyArgs(row.Destination, keys)
	if errors.Is(err, row.ErrOtherColumns) { // of an event that was queued before byColumn was changed
		args, err = pl.keyArgs(row.Destination, slices.DeleteFunc(slices.Clone(keys), func(k row.Key) bool {
			return len(k.Parts()) != len(pl.mapping.Keys())
		}))
	}
	if err != nil {
		return nil, p.des.explain(ctx, "read rows by key", err)
	}
	batch := p.batch(pl, row.Destination, len(keys))
	queries := p.keyQueries(pl, args)
	once := pl.once(row.Destination, p.des.checked(pl.des.rowOf(batch, row.Column{})), len(queries))
	return batch, p.failed(pl, p.des.read(ctx, "read rows by key", queries, once))
}

// once keeps a row out that an earlier query has brought: for a collation without
// case 'abc' in one list and 'ABC' in another find the same rows. The first query
// that finds a key finds all rows that have it.
func (pl *plan) once(side row.Side, t take, queries int) func(int) take {
	rules := pl.mapping.Keys()
	column, places, appendTo := row.Rule.Destination, pl.des.keys, row.Rule.AppendDestination
	if side == row.Source {
		column, places, appendTo = row.Rule.Source, pl.src.keys, row.Rule.AppendSource
	}
	exact := !slices.ContainsFunc(rules, func(r row.Rule) bool { return !isInteger(column(r)) })
	if queries < 2 || exact {
		return one(t)
	}
	seen := map[string]int{}
	var scratch []byte
	return func(i int) take {
		return func(values []driver.Value) error {
			scratch = scratch[:0]
			for k, at := range places {
				if values[at] == nil {
					continue
				}
				from := len(scratch)
				var err error
				if scratch, err = appendTo(rules[k], scratch, values[at]); err != nil {
					return t(values) // which says so with more words
				}
				scratch = binary.BigEndian.AppendUint64(scratch, uint64(len(scratch)-from))
			}
			if first, known := seen[string(scratch)]; known && first != i {
				return nil
			} else if !known {
				seen[string(scratch)] = i
			}
			return t(values)
		}
	}
}

// keyArgs are the values to bind for keys on a side, sorted as an index would be, which
// saves a tenth of the time, and each once.
func (pl *plan) keyArgs(side row.Side, keys []row.Key) ([]driver.Value, error) {
	rules := pl.mapping.Keys()
	width := len(rules)
	flat := make([]any, 0, len(keys)*width)
	for _, k := range keys {
		var err error
		if flat, err = k.AppendArgs(flat, side, rules); err != nil && !errors.Is(err, row.ErrImpossibleKey) {
			return nil, err
		}
	}
	order := make([]int, len(flat)/width)
	for i := range order {
		order[i] = i
	}
	byArgs := func(a, b int) int {
		for i := range width {
			if c := compareArgs(flat[a*width+i], flat[b*width+i]); c != 0 {
				return c
			}
		}
		return 0
	}
	slices.SortFunc(order, byArgs)
	order = slices.CompactFunc(order, func(a, b int) bool { return byArgs(a, b) == 0 })
	args := make([]driver.Value, 0, len(order)*width)
	for _, i := range order {
		for _, v := range flat[i*width : i*width+width] {
			args = append(args, v)
		}
	}
	return args, nil
}

// compareArgs orders two values of one column.
func compareArgs(a, b any) int {
	switch a := a.(type) {
	case int64:
		if b, ok := b.(int64); ok {
			return cmp.Compare(a, b)
		}
	case uint64:
		if b, ok := b.(uint64); ok {
			return cmp.Compare(a, b)
		}
	case float64:
		if b, ok := b.(float64); ok {
			return cmp.Compare(a, b)
		}
	case string:
		if b, ok := b.(string); ok {
			return strings.Compare(a, b)
		}
	case []byte:
		if b, ok := b.([]byte); ok {
			return slices.Compare(a, b)
		}
	}
	// A DECIMAL's values are integers and texts: any order will do.
	return strings.Compare(fmt.Sprintf("%T%v", a, a), fmt.Sprintf("%T%v", b, b))
}
