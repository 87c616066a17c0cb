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
	"sync"

	"github.com/masixun71/cupid/pkg/chunk"
	"github.com/masixun71/cupid/pkg/row"
)

// Pair reads the rows of a source and of its destination. It is safe for
// concurrent use; at most MaxConns queries run on each side at a time, others wait.
type Pair struct {
	o        PairOptions
	src, des *side

	loading sync.Mutex // held while the metadata is read, so that it is read once

	mu   sync.Mutex // guards plan
	made *plan      // nil before the first Load and after a table changed
}

// NewPair makes a pair. It touches nothing; the first read connects.
func NewPair(o PairOptions) *Pair {
	return &Pair{o: o, src: newSide(o.Source), des: newSide(o.Destination)}
}

// Close closes all connections. Reads fail from then on.
func (p *Pair) Close() error { return errors.Join(p.src.close(), p.des.close()) }

// Ping returns nil when both servers answer.
func (p *Pair) Ping(ctx context.Context) error {
	if err := p.src.ping(ctx); err != nil {
		return err
	}
	return p.des.ping(ctx)
}

// Load reads the metadata of both tables, unless it is known, and decides how
// columns are compared. Every read does that by itself.
func (p *Pair) Load(ctx context.Context) error {
	_, err := p.plan(ctx)
	return err
}

func (p *Pair) known() *plan {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.made
}

func (p *Pair) know(pl *plan) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.made = pl
}

// plan is the plan in use, made if there is none.
func (p *Pair) plan(ctx context.Context) (*plan, error) {
	if pl := p.known(); pl != nil {
		return pl, nil
	}
	p.loading.Lock()
	defer p.loading.Unlock()
	if pl := p.known(); pl != nil {
		return pl, nil
	}
	src, err := p.src.load(ctx)
	if err != nil {
		return nil, err
	}
	des, err := p.des.load(ctx)
	if err != nil {
		return nil, err
	}
	pl, err := planner{p, src, des}.plan()
	if err != nil {
		return nil, err
	}
	for _, z := range pl.zones {
		if err := z.side.knowsZone(ctx, z.zone); err != nil {
			return nil, err
		}
	}
	p.know(pl)
	return pl, nil
}

// failed forgets the plan that an error says is out of date.
func (p *Pair) failed(pl *plan, err error) error {
	if err != nil && tableChanged(err) && p.known() == pl {
		p.know(nil)
	}
	return err
}

// Mapping is how rows are compared; nil before the first successful read or Load.
func (p *Pair) Mapping() *row.Mapping {
	if pl := p.known(); pl != nil {
		return &pl.mapping
	}
	return nil
}

// Columns are the source's names of the mapped columns, in the order of a batch's
// cells.
func (p *Pair) Columns() []string {
	names := make([]string, len(p.o.Columns))
	for i, c := range p.o.Columns {
		names[i] = c.Src
	}
	return names
}

// ReadRange reads the source rows of a chunk, in no particular order. A row that
// changes its place meanwhile may be read twice or, having moved on to where a
// later chunk will find it, not at all.
func (p *Pair) ReadRange(ctx context.Context, c chunk.Chunk) (*row.Batch, error) {
	pl, err := p.plan(ctx)
	if err != nil {
		return nil, err
	}
	range_, err := pl.bounds(c)
	if err != nil {
		return nil, p.src.explain(ctx, "read range", err)
	}
	where, args := p.src.where(range_)
	queries := []query{{"SELECT " + pl.src.sql() + " FROM " + quote(p.src.o.Table) + where, args}}
	batch := row.NewBatch(&pl.mapping, row.Source, max(c.Rows, 16))
	return batch, p.failed(pl, p.src.read(ctx, "read "+c.String(), queries, one(p.src.checked(pl.src.rowOf(batch, pl.id)))))
}

// bounds are the conditions on the rows of a chunk.
func (pl *plan) bounds(c chunk.Chunk) ([]condition, error) {
	if c.Scan == chunk.Update {
		if pl.update.Name == "" {
			return nil, &Fault{Problem: "an update scan needs updateColumn"}
		}
		r, err := updateRange(pl.update, pl.id, c.After, c.From, c.UpTo)
		return []condition{r}, err
	}
	var b bounds
	if c.After != nil {
		b.add(pl.id, ">", c.After.ID)
	}
	b.add(pl.id, "<=", c.UpTo.ID)
	return b.conditions, b.err
}

// checked marks the errors of t as those of a value.
func (s *side) checked(t take) take {
	return func(values []driver.Value) error {
		if err := t(values); err != nil {
			return &valueError{s.o.Table, err}
		}
		return nil
	}
}

// ReadSource reads source rows by the text of their id. Rows that are gone, or do
// not meet the condition any more, are left out.
func (p *Pair) ReadSource(ctx context.Context, ids []string) (*row.Batch, error) {
	pl, err := p.plan(ctx)
	if err != nil {
		return nil, err
	}
	queries, err := p.byID(pl, &pl.src, ids)
	if err != nil {
		return nil, p.src.explain(ctx, "read rows by id", err)
	}
	batch := row.NewBatch(&pl.mapping, row.Source, len(ids))
	return batch, p.failed(pl, p.src.read(ctx, "read rows by id", queries, one(p.src.checked(pl.src.rowOf(batch, pl.id)))))
}

// byID are the queries for the rows of ids.
func (p *Pair) byID(pl *plan, l *list, ids []string) ([]query, error) {
	var args []driver.Value
	for _, id := range slices.Compact(slices.Sorted(slices.Values(ids))) {
		v, err := idArg(pl.id, id)
		if err != nil {
			return nil, err
		}
		args = append(args, v)
	}
	return inQueries(p.src, l, []keyBound{{quote(pl.id.Name), placeholder(pl.id)}}, args), nil
}

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
// matches by row.Compare. Keys that no row can have (NULL, 'abc' for an INT) are
// not asked for.
func (p *Pair) ReadDestination(ctx context.Context, keys []row.Key) (*row.Batch, error) {
	pl, err := p.plan(ctx)
	if err != nil {
		return nil, err
	}
	args, err := pl.keyArgs(keys)
	if err != nil {
		return nil, p.des.explain(ctx, "read rows by key", err)
	}
	batch := row.NewBatch(&pl.mapping, row.Destination, len(keys))
	queries := inQueries(p.des, &pl.des, pl.desKeys, args)
	once := pl.once(p.des.checked(pl.des.rowOf(batch, row.Column{})), len(queries))
	return batch, p.failed(pl, p.des.read(ctx, "read rows by key", queries, once))
}

// once keeps a row out that an earlier query has brought: for a collation without
// case 'abc' in one list and 'ABC' in another find the same rows. The first query
// that finds a key finds all rows that have it.
func (pl *plan) once(t take, queries int) func(int) take {
	rules := pl.mapping.Keys()
	exact := !slices.ContainsFunc(rules, func(r row.Rule) bool { return !isInteger(r.Destination()) })
	if queries < 2 || exact {
		return one(t)
	}
	seen := map[string]int{}
	var scratch []byte
	return func(i int) take {
		return func(values []driver.Value) error {
			scratch = scratch[:0]
			for k, at := range pl.des.keys {
				if values[at] == nil {
					continue
				}
				from := len(scratch)
				var err error
				if scratch, err = rules[k].AppendDestination(scratch, values[at]); err != nil {
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

// keyArgs are the values to bind for keys, sorted as an index would be, which
// saves a tenth of the time, and each once.
func (pl *plan) keyArgs(keys []row.Key) ([]driver.Value, error) {
	rules := pl.mapping.Keys()
	width := len(rules)
	flat := make([]any, 0, len(keys)*width)
	for _, k := range keys {
		var err error
		if flat, err = k.AppendArgs(flat, row.Destination, rules); err != nil && !errors.Is(err, row.ErrImpossibleKey) {
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

// ReadFull is ReadSource with payloads: payloads[i] is the JSON object of the
// whole source row i of the batch, all columns in the table's order, invisible and
// generated ones too. asString makes every value but NULL a string.
func (p *Pair) ReadFull(ctx context.Context, ids []string, asString bool) (batch *row.Batch, payloads [][]byte, err error) {
	pl, err := p.plan(ctx)
	if err != nil {
		return nil, nil, err
	}
	queries, err := p.byID(pl, &pl.full, ids)
	if err != nil {
		return nil, nil, p.src.explain(ctx, "read whole rows", err)
	}
	batch = row.NewBatch(&pl.mapping, row.Source, len(ids))
	add := pl.full.rowOf(batch, pl.id)
	names := pl.payloadNames()
	err = p.src.read(ctx, "read whole rows", queries, one(p.src.checked(func(values []driver.Value) error {
		if err := add(values); err != nil {
			return err
		}
		body, err := pl.body(names, values, asString)
		payloads = append(payloads, body)
		return err
	})))
	return batch, payloads, p.failed(pl, err)
}

// payloadNames are the names of the payload's columns as JSON, with the colon.
func (pl *plan) payloadNames() [][]byte {
	names := make([][]byte, len(pl.payload))
	text := row.Column{DataType: "varchar"}
	for i, c := range pl.payload {
		// Written as a text value, so that every name is valid JSON.
		name, err := row.AppendJSON(nil, text, []byte(c.column.Name), true)
		if err != nil {
			panic("table: a column's name is no text: " + err.Error())
		}
		names[i] = append(name, ':')
	}
	return names
}

// body is the JSON object of a row.
func (pl *plan) body(names [][]byte, values []driver.Value, asString bool) (body []byte, err error) {
	body = append(body, '{')
	for i, c := range pl.payload {
		if i > 0 {
			body = append(body, ',')
		}
		body = append(body, names[i]...)
		if body, err = row.AppendJSON(body, c.column, values[c.at], asString); err != nil {
			return nil, err
		}
	}
	return append(body, '}'), nil
}
