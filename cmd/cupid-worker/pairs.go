package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/rs/zerolog"

	"github.com/masixun71/cupid/ipc"
	"github.com/masixun71/cupid/pkg/chunk"
	"github.com/masixun71/cupid/pkg/config"
	"github.com/masixun71/cupid/pkg/failpoint"
	"github.com/masixun71/cupid/pkg/router"
	"github.com/masixun71/cupid/pkg/row"
	"github.com/masixun71/cupid/pkg/table"
)

// pairOptions is a pair of the configuration in the words of pkg/table.
func pairOptions(c *config.Config, p config.Pair, conns int, servers *table.Servers) table.PairOptions {
	columns := make([]table.ColumnPair, 0, len(p.Destination.Columns))
	for _, col := range p.Destination.Columns {
		columns = append(columns, table.ColumnPair{Src: col.Src, Des: col.Des, Tolerance: p.Destination.Tolerance.Of(col.Src)})
	}
	src := sourceOptions(c, p, conns, servers)
	return table.PairOptions{
		Name: p.Name, Source: src, Columns: columns,
		Destination: table.SideOptions{
			Name: p.Name + ": des", DSN: p.Destination.DSN.With(p.Destination.User, p.Destination.Password),
			CA: p.Destination.CAFile, Table: p.Destination.Table, By: p.Destination.ByColumn, TimeZone: p.Destination.TimeZone,
			QueryTimeout: c.QueryTimeout(), ConnectTimeout: c.ConnectTimeout(), MaxConns: conns, Servers: servers,
		},
	}
}

func sourceOptions(c *config.Config, p config.Pair, conns int, servers *table.Servers) table.SideOptions {
	s := p.Source
	updateColumn := s.UpdateColumn
	if !s.Update {
		updateColumn = "" // the original allowed the key to stay with update false
	}
	return table.SideOptions{
		Name: p.Name + ": src", DSN: s.DSN.With(s.User, s.Password), CA: s.CAFile, Table: s.Table, By: s.ByColumn,
		IDColumn: s.IDColumn, UpdateColumn: updateColumn, UpdateFormat: s.UpdateTimeFormat, Where: s.Where,
		TimeZone: s.TimeZone, QueryTimeout: c.QueryTimeout(), ConnectTimeout: c.ConnectTimeout(), MaxConns: conns, Servers: servers,
	}
}

// pair adapts a table.Pair to the interfaces of the task and callback workers.
type pair struct {
	*table.Pair
	masked   []bool // by the mapped column
	asString bool
}

func newPair(c *config.Config, p config.Pair, conns int, servers *table.Servers, log zerolog.Logger) *pair {
	o := pairOptions(c, p, conns, servers)
	o.Source.Altered, o.Destination.Altered = altered(log), altered(log)
	a := &pair{Pair: table.NewPair(o), asString: p.Destination.CallbackNotification.ValuesAsString}
	for _, col := range p.Destination.Columns {
		a.masked = append(a.masked, slices.ContainsFunc(p.Destination.MaskColumns, func(name string) bool {
			return strings.EqualFold(name, col.Src) // as MySQL compares names of columns
		}))
	}
	return a
}

// altered logs what has changed in a table.
func altered(log zerolog.Logger) func(table.Change) {
	return func(c table.Change) {
		log.Info().Str("side", c.Side).Str("what", c.What).Str("from", c.From).Str("to", c.To).Msg("table was altered")
	}
}

// LogValue is a value for the log.
func (p *pair) LogValue(b *row.Batch, i, column int) string {
	if p.masked[column] {
		return "***"
	}
	value, null := b.Cell(i, column)
	return string(b.Mapping().Columns()[column].AppendLog(nil, value, null))
}

// ReportValue is a value for a report: text as it is, other bytes in hexadecimal.
func (p *pair) ReportValue(b *row.Batch, i, column int) *string {
	value, null := b.Cell(i, column)
	text := string(value)
	switch {
	case p.masked[column]:
		text = "***"
	case null:
		return nil
	case !utf8.Valid(value):
		text = fmt.Sprintf("0x%X", value)
	}
	return &text
}

// ReadDestination reads the destination rows of keys.
func (p *pair) ReadDestination(ctx context.Context, keys []row.Key) (*row.Batch, error) {
	failpoint.Reach("destination") // the other side is read, or is read next
	return p.Pair.ReadDestination(ctx, keys)
}

// ReadSource reads the source rows of ids.
func (p *pair) ReadSource(ctx context.Context, ids []string) (*row.Batch, error) {
	failpoint.Reach("source") // likewise
	return p.Pair.ReadSource(ctx, ids)
}

// ReadFull reads whole source rows.
func (p *pair) ReadFull(ctx context.Context, ids []string) (*row.Batch, [][]byte, error) {
	failpoint.Reach("source")
	return p.Pair.ReadFull(ctx, ids, p.asString)
}

// SumParts compares a chunk by checksums.
func (p *pair) SumParts(ctx context.Context, c chunk.Chunk) (differ []chunk.Chunk, known bool, rows int, err error) {
	if has, err := p.HasSums(ctx, c); err != nil || !has {
		return nil, false, 0, err
	}
	differ, rows, err = p.Pair.SumParts(ctx, c)
	return differ, true, rows, err
}

// SeesOrphans reports whether the sweep sees rows that only the destination has.
func (p *pair) SeesOrphans(ctx context.Context) (bool, error) {
	plan, err := p.Ranges(ctx)
	return plan.Orphans, err
}

// ReadDestinationFull reads whole destination rows.
func (p *pair) ReadDestinationFull(ctx context.Context, keys []row.Key) (*row.Batch, [][]byte, error) {
	return p.Pair.ReadDestinationFull(ctx, keys, p.asString)
}

// closers closes many things.
type closers []func() error

func (c closers) close() error {
	var all error
	for _, f := range slices.Backward(c) {
		all = errors.Join(all, f())
	}
	return all
}

// alerts sends alerts to the callback worker.
type alerts struct{ session *ipc.Session }

// Alert does not wait: an alert that has no room is in the log all the same.
func (a alerts) Alert(kind, text string) {
	a.session.TryTell(ipc.TypeAlert, 0, router.Alert{Kind: kind, Text: text})
}
