package row_test

import (
	"database/sql/driver"
	"math"
	"math/big"
	"math/rand/v2"
	"reflect"
	"strconv"
	"strings"
	"testing"

	"github.com/masixun71/cupid/pkg/row"
)

func tolerant(tb testing.TB, src, des string, within float64) row.Rule {
	tb.Helper()
	r, err := newRule(tb, src, des).WithTolerance(within)
	if err != nil {
		tb.Fatal(err)
	}
	return r
}

// equal says whether a comparison of two rows with one column finds them equal.
func equal(tb testing.TB, r row.Rule, v, w driver.Value) bool {
	tb.Helper()
	m := row.NewMapping([]row.Rule{newRule(tb, "int", "int")}, []row.Rule{r})
	found := row.Compare(newBatch(tb, &m, row.Source, values(int64(1), v)), newBatch(tb, &m, row.Destination, values(int64(1), w)))
	if len(found) > 0 && !reflect.DeepEqual(found[0].Columns, []int{0}) {
		tb.Fatalf("found %+v", found)
	}
	return len(found) == 0
}

func TestTolerance(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		src, des string
		within   float64
		a, b     driver.Value
		want     bool
	}{
		{"double", "double", 0.001, 0.3, 0.301, true}, // which a float64 says are further apart
		{"double", "double", 0.001, 0.3, math.Nextafter(0.301, 1), false},
		{"double", "double", 0.001, -0.0005, 0.0005, true},
		{"double", "double", 0.001, -0.0006, 0.0005, false},
		{"double", "double", 0.001, 1e15, 1e15 + 0.125, false}, // absolute, whatever the size
		{"double", "double", 0.25, 1e15, 1e15 + 0.25, true},
		{"double", "double", 1e300, math.MaxFloat64, -math.MaxFloat64, false},
		{"double", "double", math.MaxFloat64, math.MaxFloat64, 0.0, true},
		{"double", "double", math.MaxFloat64, math.MaxFloat64, -1.0, false},
		{"double", "double", 5e-324, 0.0, 5e-324, true},
		{"double", "double", 5e-324, 0.0, 1e-323, false},
		{"double", "double", 0.001, nil, 0.0, false},
		{"double", "double", 0.001, nil, nil, true},
		{"float", "float", 0.1, float32(0.1), float32(0.2), true},
		{"float", "float", 0.1, float32(0.1), math.Nextafter32(0.2, 1), false},
		{"float", "double", 0.001, float32(0.1), 0.101, true},
		{"float", "double", 0.001, float32(0.1), 0.1011, false},
		{"float", "double", 1e30, float32(math.MaxFloat32), 1e300, false},
		{"float", "decimal(20,10)", 0.001, float32(0.1), b("0.1010000000"), true},
		{"double", "decimal(10,2)", 0.01, 0.12, b("0.13"), true},
		{"double", "decimal(10,2)", 0.01, 0.12, b("0.14"), false},
		{"double", "decimal(65,0)", 1, 1e40, b("10000000000000000000000000000000000000000"), true},
	} {
		r := tolerant(t, c.src, c.des, c.within)
		if got := equal(t, r, c.a, c.b); got != c.want {
			t.Errorf("%s, %v and %v: equal %v, want %v", r.Describe(), c.a, c.b, got, c.want)
		}
		if got := equal(t, tolerant(t, c.des, c.src, c.within), c.b, c.a); got != c.want {
			t.Errorf("%s, %v and %v: the other way round equal %v", r.Describe(), c.b, c.a, got)
		}
		if r.Shape() != row.ShapeNone {
			t.Errorf("%s has a shape", r.Describe())
		}
	}
}

// TestToleranceIsOfTheDigits compares with arithmetic on the texts, near the limit most of all.
func TestToleranceIsOfTheDigits(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(1, 2))
	exact := func(f float64) *big.Rat {
		r, _ := new(big.Rat).SetString(strconv.FormatFloat(f, 'g', -1, 64))
		return r
	}
	counts := map[bool]int{}
	for range 20_000 {
		within := math.Pow(10, float64(random.IntN(12)-8)) * float64(1+random.IntN(9))
		a := (random.Float64() - 0.5) * math.Pow(10, float64(random.IntN(14)))
		if random.IntN(2) == 0 {
			a = math.Round(a/within) * within
		}
		z := a + within*float64(random.IntN(5)-2)/2
		for range random.IntN(3) {
			z = math.Nextafter(z, float64(random.IntN(3)-1)*math.MaxFloat64)
		}
		gap := new(big.Rat).Sub(exact(a), exact(z))
		want := gap.Abs(gap).Cmp(exact(within)) <= 0
		counts[want]++
		if got := equal(t, tolerant(t, "double", "double", within), a, z); got != want {
			t.Fatalf("%v and %v within %v: equal %v, want %v", a, z, within, got, want)
		}
	}
	if counts[true] < 1000 || counts[false] < 1000 {
		t.Errorf("%v: that tests nothing", counts)
	}
}

func TestToleranceFindsTheOtherColumns(t *testing.T) {
	t.Parallel()
	m := row.NewMapping([]row.Rule{newRule(t, "int", "int")}, []row.Rule{
		tolerant(t, "double", "double", 0.5), newRule(t, "varchar(9)", "varchar(9)"), tolerant(t, "float", "double", 0.5), newRule(t, "double", "double"),
	})
	src := newBatch(t, &m, row.Source,
		values(int64(1), 1.0, b("a"), float32(1), 1.0), values(int64(2), 1.0, b("a"), float32(1), 1.0), values(int64(3), 1.0, b("a"), float32(1), 1.0))
	des := newBatch(t, &m, row.Destination,
		values(int64(1), 1.25, b("a"), 1.125, 1.0), values(int64(2), 1.25, b("b"), 1.75, 1.0), values(int64(3), 1.25, b("a"), 1.0, 1.125))
	want := []row.Divergence{
		{Index: 1, Kind: row.Different, Columns: []int{1, 2}, Des: 1}, {Index: 2, Kind: row.Different, Columns: []int{3}, Des: 2},
	}
	if got := row.Compare(src, des); !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	twice := newBatch(t, &m, row.Destination,
		values(int64(1), 1.25, b("a"), 1.125, 1.0), values(int64(1), 1.25, b("a"), 1.125, 1.0))
	if got := row.Compare(src, twice); !got[0].Ambiguous || len(got[0].Columns) > 0 {
		t.Errorf("two rows within the tolerance: got %+v", got[0])
	}
}

func TestNearbyKnowsAVersionAgain(t *testing.T) {
	t.Parallel()
	m := row.NewMapping([]row.Rule{newRule(t, "int", "int")}, []row.Rule{
		tolerant(t, "double", "double", 0.25), newRule(t, "varchar(9)", "varchar(9)"), tolerant(t, "double", "double", 1e-300),
	})
	src := newBatch(t, &m, row.Source, values(int64(1), 1.5, b("a"), nil), values(int64(1), 0.5, b("a"), 1e300))
	for _, c := range []struct {
		des  []driver.Value
		want [2]bool
	}{
		{values(int64(1), 1.5, b("a"), nil), [2]bool{true, false}},
		{values(int64(1), 1.75, b("a"), nil), [2]bool{true, false}},
		{values(int64(1), 1.25, b("a"), nil), [2]bool{true, false}},
		{values(int64(1), 1.76, b("a"), nil), [2]bool{false, false}},
		{values(int64(1), 1.5, b("b"), nil), [2]bool{false, false}},
		{values(int64(1), 1.5, b("a"), 0.0), [2]bool{false, false}},
		{values(int64(1), nil, b("a"), nil), [2]bool{false, false}},
		{values(int64(1), 0.75, b("a"), 1e300), [2]bool{false, true}},
	} {
		des := newBatch(t, &m, row.Destination, c.des)
		for i, want := range c.want {
			if got := row.Near(des.Nearby(0), src.Nearby(i)); got != want {
				t.Errorf("%v is near source row %d: %v, want %v (%q, %q)", c.des, i, got, want, des.Nearby(0), src.Nearby(i))
			}
		}
	}
	plain := newMapping(t, nil, [2]string{"double", "double"})
	b := newBatch(t, plain, row.Source, values(int64(1), 1.5))
	if text := b.Nearby(0); text != "" || row.Near(text, text) {
		t.Errorf("a mapping without tolerances has %q", text)
	}
}

func TestToleranceIsForFloats(t *testing.T) {
	t.Parallel()
	for _, types := range [][2]string{
		{"int", "int"},
		{"double", "int"},
		{"bigint", "float"},
		{"decimal(10,2)", "decimal(10,2)"},
		{"double", "varchar(9)"},
		{"double", "json"},
		{"datetime", "datetime"},
		{"text", "text"},
		{"year", "double"},
	} {
		if _, err := newRule(t, types[0], types[1]).WithTolerance(0.1); err == nil || !strings.Contains(err.Error(), "only FLOAT and DOUBLE") {
			t.Errorf("%v: error %v", types, err)
		}
	}
	for _, within := range []float64{0, -1, math.NaN(), math.Inf(1)} {
		if _, err := newRule(t, "double", "double").WithTolerance(within); err == nil {
			t.Errorf("%v is a tolerance", within)
		}
	}
	r := tolerant(t, "float", "double", 0.001)
	if got, want := r.Describe(), "c FLOAT ↔ DOUBLE: as single-precision floats, -0 is 0, equal within 0.001"; got != want || r.Tolerance() != 0.001 {
		t.Errorf("got %q, want %q", got, want)
	}
}
