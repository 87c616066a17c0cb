package table_test

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/masixun71/cupid/pkg/row"
	"github.com/masixun71/cupid/pkg/table"
)

// comparison is one line of a verdict.
type comparison struct {
	src, des string
	equal    bool
}

func (v verdict) comparisons(tb testing.TB) []comparison {
	tb.Helper()
	var all []comparison
	for line := range strings.Lines(v.values) {
		line = strings.TrimSpace(line)
		if line == "" {
			continue
		}
		src, des, equal := strings.Cut(line, " = ")
		if !equal {
			var ok bool
			if src, des, ok = strings.Cut(line, " ≠ "); !ok {
				tb.Fatalf("no comparison: %s", line)
			}
		}
		all = append(all, comparison{src, des, equal})
	}
	return all
}

// turned is the verdict with its sides changed.
func turned(all []comparison) []comparison {
	var back []comparison
	for _, c := range all {
		back = append(back, comparison{c.des, c.src, c.equal})
	}
	return back
}

// The verdict on every type and its edges is that of the table written by hand: row by row, by
// checksum, and with the sides changed.
func TestTypeOracle(t *testing.T) {
	for server, db := range servers() {
		t.Run(server, func(t *testing.T) {
			all := verdicts
			if server == "mariadb" {
				all = slices.Concat(all, mariaDBVerdicts)
			}
			for _, v := range all {
				t.Run(v.src+" "+v.des, func(t *testing.T) {
					t.Parallel()
					judge(t, db, v.src, v.des, v.comparisons(t))
				})
				t.Run(v.des+" "+v.src+" turned", func(t *testing.T) {
					t.Parallel()
					judge(t, db, v.des, v.src, turned(v.comparisons(t)))
				})
			}
		})
	}
}

// judge puts each comparison into a row of its own on both sides.
func judge(t *testing.T, db databases, src, des string, all []comparison) {
	t.Helper()
	w := newWorld(t, db, "k BIGINT NOT NULL UNIQUE, v "+src, "k BIGINT NOT NULL UNIQUE, v "+des)
	for i, c := range all {
		insert := fmt.Sprintf("INSERT IGNORE INTO t VALUES (%[1]d, %[1]d, ", i+1)
		execAs(t, w.src, "SET sql_mode = ''", insert+c.src+")")
		execAs(t, w.des, "SET sql_mode = ''", insert+c.des+")")
	}
	_, _, divergences, err := compare(t.Context(), w.pair, w.everything(t))
	if err != nil {
		t.Fatal(err)
	}
	plan, err := w.pair.Sweep(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for i, c := range all {
		same := !slices.ContainsFunc(divergences, func(d row.Divergence) bool { return d.Index == i })
		if same != c.equal {
			t.Errorf("%s | %s: row by row equal is %v, want %v", c.src, c.des, same, c.equal)
		}
		if !plan.Checksum {
			continue
		}
		a, b, err := w.pair.Sums(t.Context(), sweepChunk(strconv.Itoa(i), strconv.Itoa(i+1)))
		if err != nil {
			t.Fatal(err)
		}
		if a.Rows != 1 || b.Rows != 1 || (a == b) != c.equal {
			t.Errorf("%s | %s: sums %v and %v, want equal %v", c.src, c.des, a, b, c.equal)
		}
	}
}

// Every type that a table can have stands in the oracle.
func TestTypeOracleHasEveryType(t *testing.T) {
	var have []string
	for _, v := range slices.Concat(verdicts, mariaDBVerdicts) {
		have = append(have, bare(v.src), bare(v.des))
	}
	for _, e := range everyType {
		if !slices.Contains(have, bare(e.ddl)) {
			t.Errorf("the oracle has nothing on %s", e.ddl)
		}
	}
}

// bare is a type without its length and attributes.
func bare(ddl string) string {
	word, _, _ := strings.Cut(ddl, " ")
	word, _, _ = strings.Cut(word, "(")
	return word
}

func TestTypesWithoutACommonFormAreRefused(t *testing.T) {
	for server, db := range servers() {
		for _, s := range strangers {
			for _, s := range [][2]string{s, {s[1], s[0]}} {
				t.Run(server+" "+s[0]+" "+s[1], func(t *testing.T) {
					t.Parallel()
					w := newWorld(t, db, "v "+s[0], "v "+s[1])
					if _, ok := errors.AsType[*table.Fault](w.pair.Load(t.Context())); !ok {
						t.Error("the mapping is taken")
					}
				})
			}
		}
	}
}
