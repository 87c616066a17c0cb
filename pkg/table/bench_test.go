package table_test

import (
	"context"
	"database/sql/driver"
	"fmt"
	"io"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/masixun71/cupid/pkg/chunk"
	"github.com/masixun71/cupid/pkg/mariadb/mariadbtest"
)

// benchColumns are those of the measurements that the design goes by.
const benchColumns = "name VARCHAR(64), address VARCHAR(255), amount DECIMAL(20,4), score DOUBLE, made DATETIME(3), seen TIMESTAMP NULL"

const benchValues = "seq * 7919, CONCAT('name of ', seq), CONCAT('a longer text that stands for an address, number ', seq), " +
	"seq * 1.0625, seq / 7, '2024-01-01' + INTERVAL seq SECOND, '2024-01-01' + INTERVAL seq SECOND"

// BenchmarkCompare compares pages of rows as a task worker does. It reports rows/s, and
// the ratio to the bare queries (the same statements, rows decoded by the driver and
// dropped) and to the original's way of one row at a time, both in the same run.
func BenchmarkCompare(b *testing.B) {
	const rows = 100_000
	w := newWorld(b, mariadbtest.New, benchColumns, "")
	insert(b, w.src, rows, benchValues)
	insert(b, w.des, rows, benchValues)
	for _, page := range []int{1000, 2000} {
		b.Run(strconv.Itoa(page), func(b *testing.B) {
			b.ReportAllocs()
			bare := openBare(b, w, page)
			one := openOne(b, w)
			var compareTime, bareTime time.Duration
			n := 0
			for b.Loop() {
				after := n * page % (rows - page)
				c := chunk.Chunk{Scan: chunk.Insert, After: &chunk.Position{ID: strconv.Itoa(after)}, UpTo: chunk.Position{ID: strconv.Itoa(after + page)}, Rows: page}
				start := time.Now()
				src, _, found, err := compare(b.Context(), w.pair, c)
				if err != nil || src.Len() != page || len(found) != 0 {
					b.Fatal(src.Len(), found, err)
				}
				compareTime += time.Since(start)
				start = time.Now()
				bare(b, after)
				bareTime += time.Since(start)
				n++
			}
			start := time.Now()
			const single = 2000
			for i := range single {
				one(b, i+1)
			}
			oneRate := single / time.Since(start).Seconds()
			rate := float64(n*page) / compareTime.Seconds()
			b.ReportMetric(rate, "rows/s")
			b.ReportMetric(bareTime.Seconds()/compareTime.Seconds(), "of-bare")
			b.ReportMetric(rate/oneRate, "x-row-by-row")
		})
	}
}

// openBare prepares the two queries of a page on the driver's own connections.
func openBare(b *testing.B, w *world, page int) func(b *testing.B, after int) {
	b.Helper()
	names := "k, name, address, amount, score, made, seen"
	src := bareStatement(b, w.src, "SELECT id, "+names+" FROM t WHERE id > ? AND id <= ?")
	size := 1024
	if page > size {
		size = 2048
	}
	des := bareStatement(b, w.des, "SELECT "+names+" FROM t WHERE k IN (?"+strings.Repeat(", ?", size-1)+")")
	return func(b *testing.B, after int) {
		b.Helper()
		args := []driver.Value{}
		src(b, 8, int64(after), int64(after+page))
		for i := range size {
			args = append(args, int64(after+min(i+1, page))*7919)
		}
		des(b, 7, args...)
	}
}

func bareStatement(b *testing.B, d *mariadbtest.Database, text string) func(b *testing.B, width int, args ...driver.Value) {
	b.Helper()
	raw, err := d.DB.Driver().Open(d.DSN)
	if err != nil {
		b.Fatal(err)
	}
	st, err := raw.(driver.ConnPrepareContext).PrepareContext(b.Context(), text)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := st.Close(); err != nil {
			b.Error(err)
		}
		if err := raw.Close(); err != nil {
			b.Error(err)
		}
	})
	return func(b *testing.B, width int, args ...driver.Value) {
		b.Helper()
		named := make([]driver.NamedValue, len(args))
		for i, a := range args {
			named[i] = driver.NamedValue{Ordinal: i + 1, Value: a}
		}
		rows, err := st.(driver.StmtQueryContext).QueryContext(context.WithoutCancel(b.Context()), named)
		if err != nil {
			b.Fatal(err)
		}
		dest := make([]driver.Value, width)
		for err == nil {
			err = rows.Next(dest)
		}
		if err != io.EOF { //nolint:errorlint // as in the code under test
			b.Fatal(err)
		}
		if err := rows.Close(); err != nil {
			b.Fatal(err)
		}
	}
}

// openOne checks one row as the original did: a statement for each side, its values
// compared as texts.
func openOne(b *testing.B, w *world) func(b *testing.B, id int) {
	b.Helper()
	return func(b *testing.B, id int) {
		b.Helper()
		read := func(d *mariadbtest.Database, column string, value any) []any {
			values, err := d.DB.QueryRowxContext(b.Context(), "SELECT * FROM t WHERE "+column+" = ?", value).SliceScan()
			if err != nil {
				b.Fatal(err)
			}
			return values
		}
		src := read(w.src, "id", id)
		des := read(w.des, "k", src[1])
		for i := range src {
			if fmt.Sprint(src[i]) != fmt.Sprint(des[i]) {
				b.Fatalf("row %d differs", id)
			}
		}
	}
}

// BenchmarkReadRange reads pages of source rows.
func BenchmarkReadRange(b *testing.B) {
	const rows, page = 50_000, 1000
	w := newWorld(b, mariadbtest.New, benchColumns, "")
	insert(b, w.src, rows, benchValues)
	b.ReportAllocs()
	n := 0
	for b.Loop() {
		after := n * page % (rows - page)
		n++
		c := chunk.Chunk{Scan: chunk.Insert, After: &chunk.Position{ID: strconv.Itoa(after)}, UpTo: chunk.Position{ID: strconv.Itoa(after + page)}, Rows: page}
		if batch, err := w.pair.ReadRange(b.Context(), c); err != nil || batch.Len() != page {
			b.Fatal(batch.Len(), err)
		}
	}
	b.ReportMetric(float64(n*page)/b.Elapsed().Seconds(), "rows/s")
}
