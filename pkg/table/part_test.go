package table_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"testing"

	"github.com/masixun71/cupid/pkg/chunk"
	"github.com/masixun71/cupid/pkg/mariadb/mariadbtest"
	"github.com/masixun71/cupid/pkg/table"
)

// keyed makes a table whose key is a column of a type, and is the id, too.
func keyed(t *testing.T, typ string) *world {
	t.Helper()
	w := newWorld(t, mariadbtest.New, "k INT, v INT", "", func(o *table.PairOptions) {
		o.Source.By, o.Destination.By = []string{"id"}, []string{"id"}
	})
	for _, d := range []*mariadbtest.Database{w.src, w.des} {
		d.Exec(t, "ALTER TABLE t MODIFY id "+typ+" NOT NULL")
	}
	return w
}

// Parts of a chunk have every value of it once, whatever its bounds are, and are about
// equally wide.
func TestPartsHaveAllOfAChunk(t *testing.T) {
	for _, c := range []struct {
		typ, after, upTo string
		rows, want       int
		open             bool
	}{
		{"BIGINT", "0", "40000", 40_000, 8, false},
		{"BIGINT", "0", "40000", 40_000, 8, true},
		{"BIGINT", "-9223372036854775808", "9223372036854775807", 10_000, 2, false},
		{"BIGINT", "-100000", "100000", 20_000, 4, false},
		{"BIGINT", "-100000", "-5", 20_000, 4, false},
		{"BIGINT", "7", "10007", 5001, 2, false},
		{"BIGINT", "7", "10007", 5000, 1, false},
		{"BIGINT UNSIGNED", "9223372036854775807", "18446744073709551615", 30_000, 6, false},
		{"BIGINT UNSIGNED", "5", "18446744073709551615", 1_000_000, 16, false},
		{"BIGINT", "5", "6", 20_000, 1, false},        // only by mistake
		{"BIGINT", "50", "6", 20_000, 1, false},       // so is this
		{"BIGINT", "5", "-6", 20_000, 1, false},       // and this
		{"VARCHAR(20)", "5", "600", 20_000, 1, false}, // which sorts as text
	} {
		w := keyed(t, c.typ)
		for _, scan := range []chunk.Scan{chunk.Sweep, chunk.Insert} {
			whole := chunk.Chunk{Pair: "p", Scan: scan, After: &chunk.Position{ID: c.after}, UpTo: chunk.Position{ID: c.upTo}, Open: c.open, Rows: c.rows, Salt: 3}
			parts, err := w.pair.Parts(t.Context(), whole)
			if err != nil {
				t.Fatal(err)
			}
			if len(parts) != c.want {
				t.Errorf("%s %s: %d parts, want %d: %v", c.typ, whole, len(parts), c.want, parts)
			}
			if joined := chunk.Join(parts, 1<<30); len(joined) != 1 || joined[0].String() != whole.String() || joined[0].Salt != 3 {
				t.Errorf("%s %s: the parts are together %v", c.typ, whole, joined)
			}
			last := parts[len(parts)-1]
			if last.UpTo.ID != c.upTo || last.Open != c.open || slices.ContainsFunc(parts[:len(parts)-1], func(p chunk.Chunk) bool { return p.Open }) {
				t.Errorf("%s %s: the last part is %v, open %v", c.typ, whole, last, last.Open)
			}
		}
		open := chunk.Chunk{Pair: "p", Scan: chunk.Sweep, UpTo: chunk.Position{ID: c.upTo}, Rows: c.rows}
		if parts, err := w.pair.Parts(t.Context(), open); err != nil || len(parts) != 1 {
			t.Errorf("%s: a chunk without a lower bound has the parts %v, %v", c.typ, parts, err)
		}
	}
}

// The parts that differ are those that have a row which does, and no other.
func TestSumPartsFindTheParts(t *testing.T) {
	w := keyed(t, "BIGINT")
	const rows = 21_000
	fill := fmt.Sprintf("INSERT INTO t SELECT seq, seq, seq FROM seq_1_to_%d", rows)
	w.src.Exec(t, fill)
	w.des.Exec(t, fill)
	rnd := rand.New(rand.NewPCG(1, 2))
	for _, scan := range []chunk.Scan{chunk.Sweep, chunk.Insert} {
		for salt := range uint32(4) {
			whole := chunk.Chunk{Pair: "p", Scan: scan, After: &chunk.Position{ID: "0"}, UpTo: chunk.Position{ID: strconv.Itoa(rows)}, Rows: rows, Salt: salt}
			if differ, n, err := w.pair.SumParts(t.Context(), whole); err != nil || len(differ) != 0 || n != rows {
				t.Fatalf("equal tables: parts %v of %d rows differ, %v", differ, n, err)
			}
			id := 1 + rnd.IntN(rows)
			for _, damage := range []string{"UPDATE t SET v = NULL WHERE id = %d", "DELETE FROM t WHERE id = %d"} {
				w.des.Exec(t, fmt.Sprintf(damage, id))
				differ, n, err := w.pair.SumParts(t.Context(), whole)
				if err != nil || n != rows || len(differ) != 1 || differ[0].Rows != rows/5 {
					t.Fatalf("row %d: parts %v of %d rows differ, %v", id, differ, n, err)
				}
				after, _ := strconv.Atoi(differ[0].After.ID)
				upTo, _ := strconv.Atoi(differ[0].UpTo.ID)
				if id <= after || id > upTo {
					t.Errorf("row %d: part %v differs", id, differ[0])
				}
				src, des, err := w.pair.Sums(t.Context(), differ[0])
				if err != nil || src == des {
					t.Errorf("row %d: the sums of the part are %v and %v, %v", id, src, des, err)
				}
			}
			w.des.Exec(t, fmt.Sprintf("INSERT INTO t VALUES (%[1]d, %[1]d, %[1]d)", id))
		}
	}
	// What lies above the last part is in it where that is open.
	w.des.Exec(t, fmt.Sprintf("INSERT INTO t VALUES (%d, 1, 1)", 2*rows))
	whole := chunk.Chunk{Pair: "p", Scan: chunk.Sweep, After: &chunk.Position{ID: "0"}, UpTo: chunk.Position{ID: strconv.Itoa(rows)}, Rows: rows, Open: true}
	differ, _, err := w.pair.SumParts(t.Context(), whole)
	if err != nil || len(differ) != 1 || !differ[0].Open || differ[0].Rows != rows/5+1 {
		t.Errorf("parts %v differ, %v", differ, err)
	}
	if _, des, err := w.pair.ReadBoth(t.Context(), differ[0], chunk.Groups{}); err != nil || des.Len() != rows/5+1 {
		t.Errorf("%v rows, %v", des, err)
	}
}
