package row_test

import (
	"database/sql/driver"
	"strconv"
	"strings"
	"testing"

	"github.com/masixun71/cupid/pkg/row"
)

// column makes a column of a type as SQL writes it: "decimal(10,2)", "bigint unsigned", "datetime(3)".
func column(tb testing.TB, typ string) row.Column {
	tb.Helper()
	base, unsigned := strings.CutSuffix(typ, " unsigned")
	name, args, _ := strings.Cut(strings.TrimSuffix(base, ")"), "(")
	c := row.Column{Name: "c", DataType: name, ColumnType: typ, Unsigned: unsigned}
	if args == "" {
		return c
	}
	list := strings.Split(args, ",")
	n, err := strconv.Atoi(list[len(list)-1])
	if err != nil {
		tb.Fatalf("type %s: %v", typ, err)
	}
	switch name {
	case "decimal":
		c.Scale = n
	case "datetime", "timestamp", "time":
		c.FSP = n
	default:
		c.Length = int64(n)
	}
	return c
}

func newRule(tb testing.TB, src, des string) row.Rule {
	tb.Helper()
	r, err := row.NewRule(column(tb, src), column(tb, des))
	if err != nil {
		tb.Fatal(err)
	}
	return r
}

// newMapping maps a BIGINT key, and columns given as pairs of types.
func newMapping(tb testing.TB, keys []row.Rule, pairs ...[2]string) *row.Mapping {
	tb.Helper()
	var columns []row.Rule
	for _, p := range pairs {
		columns = append(columns, newRule(tb, p[0], p[1]))
	}
	if keys == nil {
		keys = []row.Rule{newRule(tb, "bigint", "bigint")}
	}
	m := row.NewMapping(keys, columns)
	return &m
}

// values is a row without its id: the key, then the cells.
func values(v ...driver.Value) []driver.Value { return v }

// newBatch fills a batch of rows that have their key first.
func newBatch(tb testing.TB, m *row.Mapping, side row.Side, rows ...[]driver.Value) *row.Batch {
	tb.Helper()
	b := row.NewBatch(m, side, len(rows))
	n := len(m.Keys())
	for i, r := range rows {
		if err := b.Append(int64(i), r[:n], r[n:]); err != nil {
			tb.Fatal(err)
		}
	}
	return b
}

func canonical(tb testing.TB, r row.Rule, side row.Side, v driver.Value) string {
	tb.Helper()
	appendTo := r.AppendSource
	if side == row.Destination {
		appendTo = r.AppendDestination
	}
	b, err := appendTo([]byte("before"), v)
	if err != nil {
		tb.Fatalf("%s %v: %v", side, v, err)
	}
	rest, ok := strings.CutPrefix(string(b), "before")
	if !ok {
		tb.Fatalf("%s %v: what was there before is gone: %q", side, v, b)
	}
	return rest
}
