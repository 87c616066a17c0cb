package table_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/masixun71/cupid/pkg/chunk"
	"github.com/masixun71/cupid/pkg/dsn"
	"github.com/masixun71/cupid/pkg/mariadb/mariadbtest"
	"github.com/masixun71/cupid/pkg/row"
	"github.com/masixun71/cupid/pkg/table"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(mariadbtest.Suite{M: m}) }

// databases makes a fresh database with each call.
type databases func(testing.TB) *mariadbtest.Database

// servers are what a test runs on: MariaDB, and the MySQL that CUPID_TEST_MYSQL_DSN
// names.
func servers() map[string]databases {
	all := map[string]databases{"mariadb": mariadbtest.New}
	if os.Getenv("CUPID_TEST_MYSQL_DSN") != "" {
		all["mysql"] = func(tb testing.TB) *mariadbtest.Database {
			tb.Helper()
			d, _ := mariadbtest.MySQL(tb)
			return d
		}
	}
	return all
}

// world is a source table and a destination table with a pair that reads them.
type world struct {
	src, des *mariadbtest.Database
	options  table.PairOptions
	pair     *table.Pair
	source   *table.Source
}

// side is the options of a table called t, joined by column k.
func side(tb testing.TB, name string, db *mariadbtest.Database) table.SideOptions {
	tb.Helper()
	d, err := dsn.Parse(db.DSN)
	if err != nil {
		tb.Fatal(err)
	}
	return table.SideOptions{Name: name, DSN: d, Table: "t", By: []string{"k"}}
}

// newWorld makes the table t (id, k and columns) on both sides. columns is DDL such
// as "v INT, w TEXT"; every column in it is mapped to that of the same place in
// desColumns, which is the same DDL when empty.
func newWorld(tb testing.TB, db databases, columns, desColumns string, change ...func(*table.PairOptions)) *world {
	tb.Helper()
	if desColumns == "" {
		desColumns = columns
	}
	w := &world{src: db(tb), des: db(tb)}
	create := "CREATE TABLE t (id BIGINT PRIMARY KEY, %s) DEFAULT CHARACTER SET utf8mb4"
	w.src.Exec(tb, fmt.Sprintf(create, withKey(columns)))
	w.des.Exec(tb, fmt.Sprintf(create, withKey(desColumns)))
	w.options = table.PairOptions{
		Name: "p", Source: side(tb, "p: src", w.src), Destination: side(tb, "p: des", w.des),
	}
	src, des := names(columns), names(desColumns)
	for i := range src {
		w.options.Columns = append(w.options.Columns, table.ColumnPair{Src: src[i], Des: des[i]})
	}
	w.open(tb, change...)
	return w
}

// open makes pair and source anew.
func (w *world) open(tb testing.TB, change ...func(*table.PairOptions)) {
	tb.Helper()
	for _, c := range change {
		c(&w.options)
	}
	pair, source := table.NewPair(w.options), table.NewSource(w.options.Source)
	w.pair, w.source = pair, source
	tb.Cleanup(func() {
		if err := errors.Join(pair.Close(), source.Close()); err != nil {
			tb.Error(err)
		}
	})
}

// withKey puts a key k before columns unless they have one.
func withKey(columns string) string {
	if slices.Contains(names(columns), "k") {
		return columns
	}
	return "k BIGINT NOT NULL UNIQUE, " + columns
}

// names are the columns of DDL. Types are written without ", ".
func names(columns string) []string {
	var n []string
	for c := range strings.SplitSeq(columns, ", ") {
		n = append(n, strings.Trim(strings.Fields(c)[0], "`"))
	}
	return n
}

// both inserts the same row on both sides; id and k are n.
func (w *world) both(tb testing.TB, n int, values string) {
	tb.Helper()
	w.insert(tb, w.src, n, values)
	w.insert(tb, w.des, n, values)
}

func (w *world) insert(tb testing.TB, db *mariadbtest.Database, n int, values string) {
	tb.Helper()
	db.Exec(tb, fmt.Sprintf("INSERT INTO t VALUES (%d, %d, %s)", n, n, values))
}

// everything is a chunk that has every row.
func (w *world) everything(tb testing.TB) chunk.Chunk {
	tb.Helper()
	head, ok, err := w.source.Head(tb.Context())
	if err != nil {
		tb.Fatal(err)
	}
	if !ok {
		tb.Fatal("the source is empty")
	}
	return chunk.Chunk{ID: "1", Pair: "p", Scan: chunk.Insert, UpTo: chunk.Position{ID: head}}
}

// compare reads both sides as a task worker does.
func compare(ctx context.Context, p *table.Pair, c chunk.Chunk) (src, des *row.Batch, found []row.Divergence, err error) {
	if src, err = p.ReadRange(ctx, c); err != nil {
		return nil, nil, nil, err
	}
	keys := make([]row.Key, src.Len())
	for i := range keys {
		keys[i] = src.Key(i)
	}
	if des, err = p.ReadDestination(ctx, keys); err != nil {
		return nil, nil, nil, err
	}
	return src, des, row.Compare(src, des), nil
}

// found describes the divergences of the whole table: "7 missing", "7 different v w",
// "7 ambiguous".
func (w *world) found(tb testing.TB) []string {
	tb.Helper()
	src, _, divergences, err := compare(tb.Context(), w.pair, w.everything(tb))
	if err != nil {
		tb.Fatal(err)
	}
	texts := []string{}
	for _, d := range divergences {
		text := src.ID(d.Index)
		switch {
		case d.Kind == 1:
			text += " missing"
		case d.Ambiguous && len(d.Columns) == 0:
		default:
			text += " different"
		}
		for _, c := range d.Columns {
			text += " " + w.pair.Columns()[c]
		}
		if d.Ambiguous {
			text += " ambiguous"
		}
		texts = append(texts, text)
	}
	slices.Sort(texts)
	return texts
}

func (w *world) wantFound(tb testing.TB, want ...string) {
	tb.Helper()
	if got := w.found(tb); !slices.Equal(got, want) {
		tb.Errorf("found %q, want %q", got, want)
	}
}
