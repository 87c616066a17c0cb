package table_test

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/masixun71/cupid/pkg/row"
	"github.com/masixun71/cupid/pkg/table"
)

// within gives the first column a tolerance.
func within(d float64) func(*table.PairOptions) {
	return func(o *table.PairOptions) { o.Columns[0].Tolerance = d }
}

// TestToleranceIsTheServersArithmetic is the oracle: each value against each other one, for
// every pair of types, compared by cupid and subtracted by the server.
func TestToleranceIsTheServersArithmetic(t *testing.T) {
	values := []string{"NULL", "0", "-0e0", "0.3", "0.301", "0.302", "-0.001", "0.0005", "1e15", "1000000000000000.125", "100.5", "-100.5", "100.501"}
	types := []string{"DOUBLE", "FLOAT", "DECIMAL(30,4)"}
	for server, db := range servers() {
		for _, src := range types {
			for _, des := range types {
				if src == des && strings.HasPrefix(src, "DECIMAL") {
					continue
				}
				t.Run(server+" "+src+" "+des, func(t *testing.T) {
					w := newWorld(t, db, "v "+src, "v "+des, within(0.001))
					var a, b []string
					for i, v := range values {
						for j, u := range values {
							n := i*len(values) + j + 1
							a, b = append(a, fmt.Sprintf("(%d, %d, %s)", n, n, v)), append(b, fmt.Sprintf("(%d, %d, %s)", n, n, u))
						}
					}
					execAs(t, w.src, "SET sql_mode = ''", "INSERT INTO t VALUES "+strings.Join(a, ", "))
					execAs(t, w.des, "SET sql_mode = ''", "INSERT INTO t VALUES "+strings.Join(b, ", "))
					found, want := w.found(t), apart(t, w)
					if n := len(values) * len(values); len(want) < n/3 || len(want) > n*9/10 {
						t.Fatalf("%d of %d pairs of values differ: that tests nothing", len(want), n)
					}
					for n := range len(a) {
						row := strconv.Itoa(n+1) + " different v"
						if got, want := slices.Contains(found, row), slices.Contains(want, row); got != want {
							t.Errorf("%s and %s: differ %v, want %v", a[n], b[n], got, want)
						}
					}
					wantReadInFull(t, w)
				})
			}
		}
	}
}

// apart are the rows, as found has them, whose values are more than 0.001 apart in the digits that
// the server prints. Of a FLOAT these are six, which is enough but for those that are as
// large as its precision.
func apart(t *testing.T, w *world) []string {
	t.Helper()
	digits := func(v string) string { return "CAST(CAST(" + v + " AS CHAR) AS DECIMAL(65,30))" }
	coarse := "0"
	if slices.ContainsFunc([]row.Column{w.rule(t).Source(), w.rule(t).Destination()}, func(c row.Column) bool { return c.DataType == "float" }) {
		coarse = "a.v > 1e9"
	}
	var ids []int
	if err := w.src.DB.SelectContext(t.Context(), &ids, fmt.Sprintf(
		"SELECT a.id FROM `%s`.t a JOIN `%s`.t b ON b.id = a.id WHERE NOT (a.v <=> b.v OR IFNULL(ABS(%s - %s) <= IF(%s, 1, 0.001), 0))",
		w.src.Name, w.des.Name, digits("a.v"), digits("b.v"), coarse)); err != nil {
		t.Fatal(err)
	}
	texts := make([]string, len(ids))
	for i, id := range ids {
		texts[i] = strconv.Itoa(id) + " different v"
	}
	slices.Sort(texts)
	return texts
}

// rule is how the first column is compared.
func (w *world) rule(t *testing.T) row.Rule {
	t.Helper()
	if err := w.pair.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	return w.pair.Mapping().Columns()[0]
}

// wantReadInFull checks that the pair is swept without checksums.
func wantReadInFull(t *testing.T, w *world) {
	t.Helper()
	plan, err := w.pair.Sweep(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if plan.Checksum || !strings.Contains(plan.Why, "all rows are read") || !strings.Contains(plan.Why, "equal within 0.001") {
		t.Errorf("checksums %v: %s", plan.Checksum, plan.Why)
	}
}

func TestSweepHeedsTheTolerance(t *testing.T) {
	for server, db := range servers() {
		t.Run(server, func(t *testing.T) {
			w := newWorld(t, db, "v DOUBLE, w DOUBLE", "", within(0.001))
			for n, values := range []string{"1.0, 1.0", "1.0, 1.0", "1.0, 1.0"} {
				w.both(t, n, values)
			}
			w.des.Exec(t, "UPDATE t SET v = 1.001 WHERE id = 0", "UPDATE t SET v = 1.002 WHERE id = 1", "UPDATE t SET w = 1.0001 WHERE id = 2")
			w.wantFound(t, "1 different v", "2 different w")
			if _, _, err := w.pair.Sums(t.Context(), sweepChunk("", "")); err == nil {
				t.Error("a column with a tolerance was added up")
			}
		})
	}
}

func TestCheckOfTolerances(t *testing.T) {
	for server, db := range servers() {
		t.Run(server, func(t *testing.T) {
			w := newWorld(t, db, "v FLOAT, w INT", "", within(0.001))
			r := table.Check(t.Context(), w.options)
			if len(r.Faults) > 0 {
				t.Errorf("faults %q", r.Faults)
			}
			wantLine(t, r.Lines, "v FLOAT ↔ FLOAT", "equal within 0.001")
			wantLine(t, r.Lines, "sweep: ", "all rows are read, because a checksum cannot express v FLOAT")
			w.options.Columns[1].Tolerance = 0.5
			r = table.Check(t.Context(), w.options)
			wantLine(t, r.Faults, "p: des: tolerance of column w: INT against INT: only FLOAT and DOUBLE have one", "remove it from tolerance")
		})
	}
}
