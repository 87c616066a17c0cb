package row_test

import (
	"database/sql/driver"
	"fmt"
	"math"
	"reflect"
	"strconv"
	"strings"
	"testing"

	"github.com/masixun71/cupid/pkg/row"
)

func TestCompareFindsMissingAndDifferent(t *testing.T) {
	t.Parallel()
	m := newMapping(t, nil, [2]string{"varchar(9)", "varchar(9)"}, [2]string{"int", "bigint"})
	src := newBatch(t, m, row.Source,
		values(int64(1), b("a"), int64(1)), values(int64(2), b("b"), int64(2)),
		values(int64(3), b("c"), nil), values(int64(4), b("d"), int64(4)))
	des := newBatch(t, m, row.Destination,
		values(int64(4), b("D"), int64(5)), values(int64(3), b("c"), int64(0)),
		values(int64(9), b("x"), nil), values(int64(1), b("a"), int64(1)))
	want := []row.Divergence{
		{Index: 1, Kind: row.Missing, Des: -1},
		{Index: 2, Kind: row.Different, Columns: []int{1}, Des: 1},
		{Index: 3, Kind: row.Different, Columns: []int{0, 1}, Des: 0},
	}
	if got := row.Compare(src, des); !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

func TestCompareOfNothing(t *testing.T) {
	t.Parallel()
	m := newMapping(t, nil)
	empty := row.NewBatch(m, row.Destination, 0)
	if got := row.Compare(row.NewBatch(m, row.Source, 0), empty); got != nil {
		t.Errorf("got %+v, want none", got)
	}
	if got := row.Compare(newBatch(t, m, row.Source, values(int64(1))), empty); len(got) != 1 || got[0].Kind != row.Missing {
		t.Errorf("got %+v, want one missing", got)
	}
}

// TestKeyIsMatchedByValue: a case-insensitive, blank-padding collation returns more rows than were asked for, and an
// integer against a VARCHAR finds '123abc'.
func TestKeyIsMatchedByValue(t *testing.T) {
	t.Parallel()
	m := newMapping(t, []row.Rule{newRule(t, "varchar(9)", "varchar(9)")}, [2]string{"int", "int"})
	src := newBatch(t, m, row.Source, values(b("abc"), int64(1)))
	des := newBatch(t, m, row.Destination, values(b("ABC"), int64(2)), values(b("abc "), int64(3)), values(b("abc"), int64(1)))
	if got := row.Compare(src, des); got != nil {
		t.Errorf("the row itself is there: got %+v", got)
	}
	des = newBatch(t, m, row.Destination, values(b("ABC"), int64(1)), values(b("abc "), int64(1)))
	if got := row.Compare(src, des); len(got) != 1 || got[0].Kind != row.Missing {
		t.Errorf("only look-alikes are there: got %+v, want missing", got)
	}
	m = newMapping(t, []row.Rule{newRule(t, "bigint", "varchar(9)")})
	src = newBatch(t, m, row.Source, values(int64(123)))
	des = newBatch(t, m, row.Destination, values(b("123abc")))
	if got := row.Compare(src, des); len(got) != 1 || got[0].Kind != row.Missing {
		t.Errorf("123 against '123abc': got %+v, want missing", got)
	}
}

func TestTwoDestinationRowsAreAmbiguous(t *testing.T) {
	t.Parallel()
	m := newMapping(t, nil, [2]string{"int", "int"})
	src := newBatch(t, m, row.Source, values(int64(1), int64(7)), values(int64(1), int64(7)))
	des := newBatch(t, m, row.Destination, values(int64(1), int64(7)), values(int64(1), int64(8)))
	want := []row.Divergence{
		{Index: 0, Kind: row.Different, Ambiguous: true},
		{Index: 1, Kind: row.Different, Ambiguous: true},
	}
	if got := row.Compare(src, des); !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

func TestSourceRowsOfOneKeyAreComparedEach(t *testing.T) {
	t.Parallel()
	m := newMapping(t, nil, [2]string{"int", "int"})
	src := newBatch(t, m, row.Source, values(int64(1), int64(7)), values(int64(1), int64(8)))
	des := newBatch(t, m, row.Destination, values(int64(1), int64(7)))
	want := []row.Divergence{{Index: 1, Kind: row.Different, Columns: []int{0}}}
	if got := row.Compare(src, des); !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestNullKeyMatchesNothing(t *testing.T) {
	t.Parallel()
	keys := []row.Rule{newRule(t, "varchar(9)", "varchar(9)"), newRule(t, "int", "int")}
	m := newMapping(t, keys)
	src := newBatch(t, m, row.Source, values(b("a"), nil), values(nil, nil), values(b("a"), int64(0)))
	des := newBatch(t, m, row.Destination, values(b("a"), nil), values(nil, nil), values(b("a"), int64(0)))
	got := row.Compare(src, des)
	want := []row.Divergence{{Index: 0, Kind: row.Missing, Des: -1}, {Index: 1, Kind: row.Missing, Des: -1}}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
	for i, want := range []bool{true, true, false} {
		if got := src.HasNullKey(i); got != want || src.Key(i).HasNull() != want {
			t.Errorf("row %d: HasNullKey %v, Key.HasNull %v, want %v", i, got, src.Key(i).HasNull(), want)
		}
	}
	if got := src.Key(0).String(); got != `a,\N` {
		t.Errorf("key is %s", got)
	}
}

func TestNullEqualsOnlyNull(t *testing.T) {
	t.Parallel()
	m := newMapping(t, nil, [2]string{"varchar(9)", "varchar(9)"}, [2]string{"double", "double"})
	rows := [][]driver.Value{
		values(int64(1), nil, nil), values(int64(1), b(""), nil), values(int64(1), nil, 0.0),
		values(int64(1), b("NULL"), nil), values(int64(1), b("0"), 0.0),
	}
	for i, v := range rows {
		for j, w := range rows {
			got := row.Compare(newBatch(t, m, row.Source, v), newBatch(t, m, row.Destination, w))
			if (got == nil) != (i == j) {
				t.Errorf("%v, %v: got %+v", v, w, got)
			}
		}
	}
}

func TestFloatsHaveNoSlack(t *testing.T) {
	t.Parallel()
	m := newMapping(t, nil, [2]string{"double", "double"})
	for _, v := range []float64{0, 1e-7, 1, 1e15, math.MaxFloat64, 5e-324} {
		src := newBatch(t, m, row.Source, values(int64(1), v))
		des := newBatch(t, m, row.Destination, values(int64(1), math.Nextafter(v, 0.5)))
		if got := row.Compare(src, des); len(got) != 1 {
			t.Errorf("%g and its neighbour: got %+v", v, got)
		}
	}
}

func TestUnsignedBigintNeedsNoFloat(t *testing.T) {
	t.Parallel()
	m := newMapping(t, []row.Rule{newRule(t, "bigint unsigned", "bigint unsigned")})
	src := newBatch(t, m, row.Source, values(uint64(math.MaxUint64)), values(uint64(1<<63)))
	des := newBatch(t, m, row.Destination, values(uint64(math.MaxUint64-1)), values(uint64(1<<63)))
	if got := row.Compare(src, des); len(got) != 1 || got[0].Index != 0 {
		t.Errorf("got %+v, want the first missing", got)
	}
}

func TestZeroDatesAreValues(t *testing.T) {
	t.Parallel()
	m := newMapping(t, nil, [2]string{"datetime", "datetime"}, [2]string{"date", "date"})
	zero := values(int64(1), b("0000-00-00 00:00:00"), b("2024-00-00"))
	if got := row.Compare(newBatch(t, m, row.Source, zero), newBatch(t, m, row.Destination, zero)); got != nil {
		t.Errorf("got %+v", got)
	}
	null := values(int64(1), nil, nil)
	if got := row.Compare(newBatch(t, m, row.Source, zero), newBatch(t, m, row.Destination, null)); len(got) != 1 {
		t.Errorf("against NULL: got %+v", got)
	}
}

func TestJSONIntegersAboveTwoTo53(t *testing.T) {
	t.Parallel()
	m := newMapping(t, nil, [2]string{"json", "json"})
	src := newBatch(t, m, row.Source, values(int64(1), b(`{"id": 9007199254740993}`)))
	des := newBatch(t, m, row.Destination, values(int64(1), b(`{"id": 9007199254740992}`)))
	if got := row.Compare(src, des); len(got) != 1 {
		t.Errorf("got %+v, want different", got)
	}
}

func TestInvalidBytesStayApart(t *testing.T) {
	t.Parallel()
	m := newMapping(t, nil, [2]string{"binary(1)", "binary(1)"}, [2]string{"bit(8)", "bit(8)"})
	for _, v := range []string{"\xff", "\xfe", "\xc3", "\x00", "?"} {
		for _, w := range []string{"\xff", "\xfe", "\xc3", "\x00", "?"} {
			src := newBatch(t, m, row.Source, values(int64(1), b(v), b(v)))
			des := newBatch(t, m, row.Destination, values(int64(1), b(w), b(w)))
			if got := row.Compare(src, des); (got == nil) != (v == w) {
				t.Errorf("%q, %q: got %+v", v, w, got)
			}
		}
	}
}

// TestValueMovedToNeighbour: the rows' bytes are the same, the borders of their cells are not.
func TestValueMovedToNeighbour(t *testing.T) {
	t.Parallel()
	m := newMapping(t, nil, [2]string{"varchar(9)", "varchar(9)"}, [2]string{"varchar(9)", "varchar(9)"})
	rows := [][]driver.Value{
		values(int64(1), b("ab"), b("c")), values(int64(1), b("a"), b("bc")), values(int64(1), b("abc"), nil),
		values(int64(1), nil, b("abc")), values(int64(1), b("abc"), b("")), values(int64(1), b(""), b("abc")),
	}
	for i, v := range rows {
		for j, w := range rows {
			src, des := newBatch(t, m, row.Source, v), newBatch(t, m, row.Destination, w)
			if got := row.Compare(src, des); (got == nil) != (i == j) {
				t.Errorf("%v, %v: got %+v", v, w, got)
			}
			if (src.Version(0) == des.Version(0)) != (i == j) {
				t.Errorf("%v, %v: versions %x, %x", v, w, src.Version(0), des.Version(0))
			}
		}
	}
	keys := []row.Rule{newRule(t, "varchar(9)", "varchar(9)"), newRule(t, "varbinary(9)", "varbinary(9)")}
	m = newMapping(t, keys)
	src := newBatch(t, m, row.Source, values(b("a"), b("\x00b")))
	for _, other := range [][]driver.Value{values(b("a\x00"), b("b")), values(b("a\x00\x01"), b("b")), values(b("a"), b("b"))} {
		if got := row.Compare(src, newBatch(t, m, row.Destination, other)); len(got) != 1 {
			t.Errorf("key %q: got %+v, want missing", other, got)
		}
	}
}

func TestTrailingSpacesCount(t *testing.T) {
	t.Parallel()
	m := newMapping(t, nil, [2]string{"varchar(9)", "varchar(9)"})
	src := newBatch(t, m, row.Source, values(int64(1), b("a ")))
	if got := row.Compare(src, newBatch(t, m, row.Destination, values(int64(1), b("a")))); len(got) != 1 {
		t.Errorf("got %+v, want different", got)
	}
}

func TestBatchGivesBackItsRows(t *testing.T) {
	t.Parallel()
	m := newMapping(t, nil, [2]string{"varchar(9)", "varchar(9)"}, [2]string{"decimal(10,2)", "decimal(10,2)"})
	batch := row.NewBatch(m, row.Source, 1)
	text := []byte("text")
	for round := range 2 {
		for i := range 100 {
			err := batch.Append(math.MaxUint64-uint64(i), values(int64(i)), values(text, nil))
			if err != nil {
				t.Fatal(err)
			}
		}
		copy(text, "gone") // what Append was given is not kept
		if batch.Len() != 100 {
			t.Fatalf("round %d: %d rows", round, batch.Len())
		}
		cell, null := batch.Cell(99, 0)
		if _, null1 := batch.Cell(99, 1); string(cell) != "text" || null || !null1 {
			t.Errorf("cells %q %v, %v", cell, null, null1)
		}
		if batch.ID(99) != "18446744073709551516" || batch.Key(99).String() != "99" || string(batch.KeyBytes(99)) != "99" {
			t.Errorf("id %s, key %s", batch.ID(99), batch.Key(99))
		}
		batch.Reset()
		copy(text, "text")
	}
	if batch.Len() != 0 {
		t.Errorf("%d rows after Reset", batch.Len())
	}
}

func TestFailedAppendLeavesTheBatch(t *testing.T) {
	t.Parallel()
	m := newMapping(t, nil, [2]string{"varchar(9)", "varchar(9)"}, [2]string{"int", "int"})
	batch := newBatch(t, m, row.Destination, values(int64(1), b("a"), int64(1)))
	err := batch.Append(nil, values(int64(2)), values(b("b"), b("x")))
	if err == nil || !strings.Contains(err.Error(), "destination column c") {
		t.Errorf("got error %v, want one that names the column", err)
	}
	if err := batch.Append(nil, values(int64(3)), values(b("c"), int64(3))); err != nil {
		t.Fatal(err)
	}
	if cell, _ := batch.Cell(1, 0); batch.Len() != 2 || string(cell) != "c" || batch.ID(1) != "" {
		t.Errorf("%d rows, the second has %q and id %q", batch.Len(), cell, batch.ID(1))
	}
}

func TestIndexFollowsTheBatch(t *testing.T) {
	t.Parallel()
	m := newMapping(t, nil)
	src := newBatch(t, m, row.Source, values(int64(1)), values(int64(2)))
	des := row.NewBatch(m, row.Destination, 1)
	for want := 2; want >= 0; want-- {
		if got := row.Compare(src, des); len(got) != want {
			t.Fatalf("%d destination rows: got %+v", des.Len(), got)
		}
		if err := des.Append(nil, values(int64(des.Len()+1)), nil); err != nil {
			t.Fatal(err)
		}
	}
	des.Reset()
	if got := row.Compare(src, des); len(got) != 2 {
		t.Errorf("after Reset: got %+v", got)
	}
}

func TestVersionIsTheSameEverywhere(t *testing.T) {
	t.Parallel()
	m := newMapping(t, nil, [2]string{"decimal(10,2)", "varchar(9)"}, [2]string{"int", "int"})
	src := newBatch(t, m, row.Source, values(int64(1), b("1.50"), nil))
	des := newBatch(t, m, row.Destination, values(int64(2), b("1.5"), nil))
	const want = 0xc68d1b2541bba763
	if src.Version(0) != want || des.Version(0) != want {
		t.Errorf("got %#x and %#x, want %#x", src.Version(0), des.Version(0), uint64(want))
	}
}

// benchRows are rows of a usual table: a key and seven columns.
func benchRows(tb testing.TB, n int) (*row.Mapping, [][]driver.Value) {
	tb.Helper()
	var pairs [][2]string
	for _, t := range []string{"bigint", "varchar(64)", "varchar(255)", "decimal(20,4)", "double", "datetime(3)", "timestamp"} {
		pairs = append(pairs, [2]string{t, t})
	}
	rows := make([][]driver.Value, n)
	for i := range rows {
		rows[i] = values(int64(i*7), int64(i), b(fmt.Sprintf("name-%d", i)), b(strings.Repeat("x", 80)+strconv.Itoa(i)),
			b(fmt.Sprintf("%d.2500", i)), float64(i)*1.1, b("2024-05-06 07:08:09.123"), b("2024-05-06 07:08:09"))
	}
	return newMapping(tb, nil, pairs...), rows
}

// BenchmarkCompare reads a page of 1,000 rows into both batches and compares them, as a task worker does it.
func BenchmarkCompare(b *testing.B) {
	m, rows := benchRows(b, 1000)
	src, des := row.NewBatch(m, row.Source, len(rows)), row.NewBatch(m, row.Destination, len(rows))
	b.ReportAllocs()
	for b.Loop() {
		src.Reset()
		des.Reset()
		for i := range rows {
			r, w := rows[i], rows[len(rows)-1-i]
			if err := src.Append(r[0], r[:1], r[1:]); err != nil {
				b.Fatal(err)
			}
			if err := des.Append(nil, w[:1], w[1:]); err != nil {
				b.Fatal(err)
			}
		}
		if d := row.Compare(src, des); d != nil {
			b.Fatal(d)
		}
	}
	b.ReportMetric(float64(b.N*len(rows))/b.Elapsed().Seconds(), "rows/s")
}

// BenchmarkArgs makes the values that ask the destination for a page of keys.
func BenchmarkArgs(b *testing.B) {
	m, rows := benchRows(b, 1000)
	src := row.NewBatch(m, row.Source, 1000)
	for _, r := range rows {
		if err := src.Append(r[0], r[:1], r[1:]); err != nil {
			b.Fatal(err)
		}
	}
	var args []any
	b.ReportAllocs()
	for b.Loop() {
		args = args[:0]
		for i := range src.Len() {
			var err error
			if args, err = src.Key(i).AppendArgs(args, row.Destination, m.Keys()); err != nil {
				b.Fatal(err)
			}
		}
	}
	b.ReportMetric(float64(b.N*src.Len())/b.Elapsed().Seconds(), "rows/s")
}
