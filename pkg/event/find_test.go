package event_test

import (
	"database/sql/driver"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/masixun71/cupid/pkg/event"
	"github.com/masixun71/cupid/pkg/row"
)

// batch makes a batch of rows of (key, name); a nil is NULL.
func batch(t *testing.T, side row.Side, rows ...[2]any) *row.Batch {
	t.Helper()
	text := row.Column{Name: "name", DataType: "varchar", ColumnType: "varchar(255)", Charset: "utf8mb4", Nullable: true}
	rule, err := row.NewRule(text, text)
	if err != nil {
		t.Fatal(err)
	}
	m := row.NewMapping([]row.Rule{rule}, []row.Rule{rule})
	b := row.NewBatch(&m, side, len(rows))
	value := func(v any) driver.Value {
		if v == nil {
			return nil
		}
		return []byte(v.(string))
	}
	for i, r := range rows {
		if err := b.Append(int64(i), []driver.Value{value(r[0])}, []driver.Value{value(r[1])}); err != nil {
			t.Fatal(err)
		}
	}
	return b
}

func TestFindLooksAtBothSides(t *testing.T) {
	src := batch(t, row.Source, [2]any{"equal", "x"}, [2]any{"missing", "x"}, [2]any{nil, "x"}, [2]any{"differs", "x"})
	des := batch(t, row.Destination, [2]any{"differs", "y"}, [2]any{"equal", "x"}, [2]any{nil, "x"})
	found := event.Find(src, des)
	if len(found) != 2 {
		t.Fatalf("found %+v, want the missing and the different row", found)
	}
	if f := found[0]; f.Index != 1 || event.Kind(f.Kind) != event.Missing || f.Look.Destination != 0 || f.Look.Source != src.Version(1) {
		t.Errorf("first is %+v, want the missing row", f)
	}
	if f := found[1]; f.Index != 3 || event.Kind(f.Kind) != event.Different || f.Look.Destination != des.Version(0) || f.Look.Source == f.Look.Destination {
		t.Errorf("second is %+v, want the different row", f)
	}
	if got := len(event.Keys(src)); got != 3 {
		t.Errorf("%d keys, want those of the three rows that have one", got)
	}
}

// A further look asks for the keys that were known, and for others after the source was read.
func TestFindAgainTellsWhichRowsWereReadLate(t *testing.T) {
	src := batch(
		t, row.Source, [2]any{"known", "x"}, [2]any{"equal", "x"}, [2]any{"new", "x"}, [2]any{"new and equal", "x"}, [2]any{"new and missing", "x"}, [2]any{nil, "x"},
	)
	asked := map[row.Key]bool{src.Key(0): true, src.Key(1): true}
	if got := event.Unasked(src, asked); !slices.Equal(got, []row.Key{src.Key(2), src.Key(3), src.Key(4)}) {
		t.Errorf("not asked for: %v", got)
	}
	des := batch(t, row.Destination, [2]any{"equal", "x"}, [2]any{"known", "y"}, [2]any{"new and equal", "of another collation"})
	more := batch(t, row.Destination, [2]any{"new and equal", "x"}, [2]any{"new", "y"}, [2]any{"known", "too late"})
	found := event.FindAgain(src, des, more, asked)
	var got []string
	for _, f := range found {
		got = append(got, fmt.Sprintf("%v %v %t %t", src.Key(f.Index), event.Kind(f.Kind), f.Look.SourceFirst, f.Look.Destination == 0))
	}
	if want := []string{"known different false false", "new different true false", "new and missing missing true true"}; !slices.Equal(got, want) {
		t.Errorf("found %q, want %q", got, want)
	}
	if found[0].Look.Destination != des.Version(1) || found[1].Look.Destination != more.Version(1) {
		t.Error("the looks are not those of the batches that were asked for")
	}
	if got := event.FindAgain(src, des, nil, asked); len(got) != 1 || got[0].Index != 0 {
		t.Errorf("without late reads: found %+v", got)
	}
}

func TestNamesAreBounded(t *testing.T) {
	columns, all := make([]string, 1000), make([]int, 1000)
	for i := range columns {
		columns[i], all[i] = strings.Repeat("n", 60)+fmt.Sprintf("%04d", i), i
	}
	got := event.Names(row.Divergence{Columns: all}, columns)
	if len(got) != 64 || got[63] != columns[63] {
		t.Errorf("%d names, want the first 64", len(got))
	}
	if got := event.Names(row.Divergence{Columns: []int{7, 3}}, columns); !slices.Equal(got, []string{columns[7], columns[3]}) {
		t.Errorf("names %v", got)
	}
}

func TestAddKeepsTheLastLooks(t *testing.T) {
	var looks []event.Look
	for i := range uint64(40) {
		before := slices.Clone(looks)
		more := event.Add(looks, event.Look{Source: i})
		if !slices.Equal(before, looks) {
			t.Fatal("Add changed the looks that it was given")
		}
		looks = more
	}
	if len(looks) != event.MaxLooks || looks[0].Source != 40-event.MaxLooks || looks[event.MaxLooks-1].Source != 39 {
		t.Errorf("looks %v, want the last %d", looks, event.MaxLooks)
	}
}

func TestKindsAreWords(t *testing.T) {
	got := fmt.Sprint(event.Missing, event.Different, event.Kind(9))
	if got != "missing different kind 9" {
		t.Errorf("got %q", got)
	}
}

// With a tolerance the looks of a row that follows with a delay, and not to the last bit,
// are told apart from those of a row that does not follow.
func TestFindKnowsAVersionWithinTheTolerance(t *testing.T) {
	number := row.Column{Name: "n", DataType: "int"}
	float := row.Column{Name: "price", DataType: "double"}
	key, err := row.NewRule(number, number)
	if err != nil {
		t.Fatal(err)
	}
	cell, err := row.NewRule(float, float)
	if err == nil {
		cell, err = cell.WithTolerance(0.01)
	}
	if err != nil {
		t.Fatal(err)
	}
	m := row.NewMapping([]row.Rule{key}, []row.Rule{cell})
	judge := func(prices ...[2]float64) (event.Verdict, int) {
		var looks []event.Look
		for _, p := range prices {
			src, des := row.NewBatch(&m, row.Source, 1), row.NewBatch(&m, row.Destination, 1)
			for b, price := range map[*row.Batch]float64{src: p[0], des: p[1]} {
				if err := b.Append(nil, []driver.Value{int64(1)}, []driver.Value{price}); err != nil {
					t.Fatal(err)
				}
			}
			for _, f := range event.Find(src, des) {
				looks = event.Add(looks, f.Look)
			}
		}
		return event.Judge(looks), len(looks)
	}
	if v, n := judge([2]float64{1, 0.5}, [2]float64{2, 1.005}, [2]float64{3, 1.005}); v != event.Again || n != 3 {
		t.Errorf("a row that follows: verdict %v of %d looks", v, n)
	}
	if v, n := judge([2]float64{1, 0.5}, [2]float64{2, 1.02}, [2]float64{3, 1.02}); v != event.Confirmed || n != 3 {
		t.Errorf("a row that does not: verdict %v of %d looks", v, n)
	}
	if _, n := judge([2]float64{1, 1.01}); n != 0 {
		t.Error("a row within the tolerance was found")
	}
}
