package row_test

import (
	"slices"
	"testing"

	"github.com/masixun71/cupid/pkg/row"
)

func TestOrphansAreRowsOfNoKeyOfTheSource(t *testing.T) {
	t.Parallel()
	m := newMapping(t, []row.Rule{newRule(t, "int", "varchar(9)")}, [2]string{"int", "int"})
	src := newBatch(t, m, row.Source, values(int64(1), int64(1)), values(int64(2), int64(1)), values(nil, int64(1)))
	des := newBatch(t, m, row.Destination,
		values(b("2"), int64(9)), values(b("3"), int64(1)), values(nil, int64(1)), values(b("1x"), int64(1)), values(b("3"), int64(2)))
	if got, want := row.Orphans(src, des), []int{1, 3, 4}; !slices.Equal(got, want) {
		t.Errorf("orphans %v, want %v", got, want)
	}
	if got := row.NullKeys(des); got != 1 {
		t.Errorf("%d rows without a key, want 1", got)
	}
	empty := newBatch(t, m, row.Source)
	if got := row.Orphans(empty, des); len(got) != 4 {
		t.Errorf("against nothing: orphans %v, want all 4 with a key", got)
	}
}

func TestShapeIsSymmetricAndOnlyNoneWhereSQLCannotCompare(t *testing.T) {
	t.Parallel()
	cases := []struct {
		src, des string
		want     row.Shape
	}{
		{"int", "bigint unsigned", row.ShapeNumber},
		{"bit(8)", "decimal(10,2)", row.ShapeNumber},
		{"int", "double", row.ShapeNone},
		{"int", "varchar(9)", row.ShapeNone},
		{"float", "float", row.ShapeFloat},
		{"float", "double", row.ShapeNone},
		{"double", "decimal(10,2)", row.ShapeNone},
		{"date", "datetime(3)", row.ShapeDateTime},
		{"date", "date", row.ShapeBytes},
		{"datetime", "varchar(30)", row.ShapeNone},
		{"time", "time(3)", row.ShapeTime},
		{"json", "json", row.ShapeNone},
		{"varchar(9)", "blob", row.ShapeBytes},
		{"bit(8)", "binary(1)", row.ShapeBytes},
		{"geometry", "geometry", row.ShapeNone},
	}
	for _, c := range cases {
		if got, back := newRule(t, c.src, c.des).Shape(), newRule(t, c.des, c.src).Shape(); got != c.want || back != c.want {
			t.Errorf("%s, %s: shape %d, changed places %d, want %d", c.src, c.des, got, back, c.want)
		}
	}
	r := newRule(t, "time(3)", "time")
	r.RoundFraction = true
	if got := r.Shape(); got != row.ShapeNone {
		t.Errorf("a TIME that is rounded has shape %d", got)
	}
}
