package table_test

import (
	"slices"
	"testing"

	"github.com/masixun71/cupid/pkg/mariadb/mariadbtest"
	"github.com/masixun71/cupid/pkg/table"
)

// A chunk that is bounded by counting has no more rows than it was to have, and ends below the
// last key.
func TestStepKeys(t *testing.T) {
	for _, c := range []struct {
		typ, after, upTo string
		n                int
		want             string // empty: it cannot be
	}{
		{"BIGINT", "100", "1000", 500, "600"},
		{"BIGINT", "100", "600", 500, ""},
		{"BIGINT", "100", "601", 500, "600"},
		{"BIGINT", "600", "100", 500, ""},
		{"BIGINT", "-3", "100", 2, "-1"},
		{"BIGINT", "-3", "100", 4, "1"},
		{"BIGINT", "-9223372036854775808", "9223372036854775807", 10, "-9223372036854775798"},
		{"BIGINT", "9223372036854775800", "9223372036854775807", 10, ""},
		{"BIGINT UNSIGNED", "9223372036854775800", "18446744073709551615", 10, "9223372036854775810"},
		{"BIGINT UNSIGNED", "18446744073709551610", "18446744073709551615", 10, ""},
		{"TINYINT", "100", "1000", 500, "600"},
		{"DECIMAL(20)", "100", "1000", 500, ""},
		{"VARCHAR(20)", "100", "1000", 500, ""},
	} {
		w := keyed(t, c.typ)
		last, rows, err := w.pair.StepKeys(t.Context(), c.after, c.upTo, c.n, c.n)
		if err != nil || last != c.want || (rows == c.n) != (c.want != "") {
			t.Errorf("%s: %d above %s and below %s is %q, %d, error %v, want %q", c.typ, c.n, c.after, c.upTo, last, rows, err, c.want)
		}
	}
}

// Towards the end steps get smaller, as far as they may.
func TestLastStepsAreSmaller(t *testing.T) {
	w := keyed(t, "BIGINT")
	var rows []int
	for at := "0"; ; {
		next, n, err := w.pair.StepKeys(t.Context(), at, "400", 80, 20)
		if err != nil {
			t.Fatal(err)
		}
		if n == 0 {
			break
		}
		at, rows = next, append(rows, n)
	}
	if want := []int{80, 80, 40, 40, 40, 20, 20, 20, 20, 20}; !slices.Equal(rows, want) {
		t.Errorf("steps of %v rows, want %v", rows, want)
	}
	if _, n, err := w.pair.StepKeys(t.Context(), "0", "100", 80, 41); err != nil || n != 80 {
		t.Errorf("a step of %d, error %v, which may be no smaller than 41", n, err)
	}
}

// Keys of which many are missing, or which many rows share, are not cut by counting.
func TestDenseKeys(t *testing.T) {
	for _, c := range []struct {
		what, fill string
		change     func(o *table.PairOptions)
		dense      bool
	}{
		{"all", "SELECT seq, seq, seq FROM seq_1_to_1000", nil, true},
		{"nine of ten", "SELECT seq, seq, seq FROM seq_1_to_1000 WHERE seq % 10 > 0", nil, true},
		{"every second", "SELECT seq, seq, seq FROM seq_2_to_2000_step_2", nil, false},
		{"the condition hides half", "SELECT seq, seq, seq % 2 FROM seq_1_to_1000", func(o *table.PairOptions) { o.Source.Where = "v = 1" }, false},
		{"many rows with one key", "SELECT seq, seq DIV 3, seq FROM seq_1_to_1000", func(o *table.PairOptions) {
			o.Source.By, o.Destination.By = []string{"k"}, []string{"k"}
		}, false},
	} {
		t.Run(c.what, func(t *testing.T) {
			w := newWorld(t, mariadbtest.New, "k INT, v INT", "", func(o *table.PairOptions) {
				o.Source.By, o.Destination.By = []string{"id"}, []string{"id"}
				if c.change != nil {
					c.change(o)
				}
			})
			for _, d := range []*mariadbtest.Database{w.src, w.des} {
				d.Exec(t, "ALTER TABLE t ADD INDEX (k)")
			}
			w.src.Exec(t, "INSERT INTO t (id, k, v) "+c.fill)
			after := "100"
			cut, err := w.pair.CutKeys(t.Context(), &after, nil, 200)
			if err != nil || cut.Rows != 200 || cut.Dense != c.dense {
				t.Errorf("cut %+v, error %v, want 200 rows, dense %v", cut, err, c.dense)
			}
			if cut, err = w.pair.CutKeys(t.Context(), nil, nil, 200); err != nil || cut.Dense {
				t.Errorf("cut %+v, error %v, want it not dense, since nobody knows where the keys begin", cut, err)
			}
			if _, n, err := w.pair.StepKeys(t.Context(), after, "500", 200, 200); err != nil || (n > 0) != (c.what != "many rows with one key") {
				t.Errorf("a step of %d, error %v", n, err)
			}
			last, ok, err := w.pair.LastKey(t.Context())
			if err != nil || !ok {
				t.Fatalf("last key %q, %v, error %v", last, ok, err)
			}
			if cut, err = w.pair.CutKeys(t.Context(), &last, nil, 200); err != nil || cut.Rows != 0 {
				t.Errorf("above the last key %s is %+v, error %v", last, cut, err)
			}
			if cut, err = w.pair.CutKeys(t.Context(), &after, &last, 5000); err != nil || cut.UpTo != last || cut.Rows == 0 {
				t.Errorf("up to the last key %s is %+v, error %v", last, cut, err)
			}
			up := "150"
			if cut, err = w.pair.CutKeys(t.Context(), &after, &up, 500); err != nil || cut.Rows == 0 || cut.Rows > 150 || len(cut.UpTo) > 3 || cut.UpTo > up {
				t.Errorf("up to %s is %+v, error %v", up, cut, err)
			}
		})
	}
}
