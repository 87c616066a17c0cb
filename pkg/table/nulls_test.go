package table_test

import (
	"fmt"
	"testing"

	"github.com/masixun71/cupid/pkg/chunk"
	"github.com/masixun71/cupid/pkg/table"
)

// tableOf makes the table t anew on both sides, and the pair.
func (w *world) tableOf(t *testing.T, columns string, change func(*table.PairOptions)) {
	t.Helper()
	w.src.Exec(t, "DROP TABLE t", "CREATE TABLE t ("+columns+")")
	w.des.Exec(t, "DROP TABLE t", "CREATE TABLE t ("+columns+")")
	w.open(t, change)
}

func TestNullRowsAreThoseThatNoChunkHas(t *testing.T) {
	for server, db := range servers() {
		for name, c := range map[string]struct {
			columns   string
			by        []string
			where     string
			nulls     []string // of 100 rows
			mode      table.SweepMode
			keys, ids int64
		}{
			"one column": {
				"id INT PRIMARY KEY, k INT UNIQUE, l INT, v INT",
				[]string{"k"},
				"",
				[]string{"k = NULL WHERE v > 93", "l = NULL"},
				table.SweepByKey, 7, 0,
			},
			"with a condition": {
				"id INT PRIMARY KEY, k INT UNIQUE, l INT, v INT",
				[]string{"k"},
				"v < 5 OR v > 97 -- all but some",
				[]string{"k = NULL WHERE v > 93"},
				table.SweepByKey, 3, 0,
			},
			"any part": {
				"id INT PRIMARY KEY, k INT, l INT, v INT, UNIQUE (k, l)",
				[]string{"k", "l"},
				"",
				[]string{"k = NULL WHERE v > 93", "l = NULL WHERE v < 10 OR v = 100"},
				table.SweepByKey, 16, 0,
			},
			"one of the parts": {
				"id INT PRIMARY KEY, k INT NOT NULL, l INT, v INT, UNIQUE (l, k)",
				[]string{"k", "l"},
				"",
				[]string{"l = NULL WHERE v > 90"},
				table.SweepByKey, 10, 0,
			},
			"never NULL": {
				"id INT PRIMARY KEY, k INT NOT NULL UNIQUE, l INT, v INT",
				[]string{"k"},
				"",
				[]string{"l = NULL"},
				table.SweepByKey, 0, 0,
			},
			"no ids": {
				"id INT, k INT, l INT, v INT, INDEX (id)",
				[]string{"k"},
				"",
				[]string{"id = NULL WHERE v <= 5", "k = NULL WHERE v > 93"},
				table.SweepByRow, 0, 5,
			},
		} {
			t.Run(server+"/"+name, func(t *testing.T) {
				w := newWorld(t, db, "v INT", "")
				w.tableOf(t, c.columns, func(o *table.PairOptions) {
					o.Source.By, o.Destination.By, o.Source.Where = c.by, c.by, c.where
				})
				w.src.Exec(t, "INSERT INTO t (id, k, l, v) SELECT seq, seq, seq, seq FROM seq_1_to_100")
				for _, set := range c.nulls {
					w.src.Exec(t, "UPDATE t SET "+set)
				}
				if got := w.sweep(t).Mode; got != c.mode {
					t.Fatalf("swept by %v, want by %v", got, c.mode)
				}
				keys, ids, err := w.pair.NullRows(t.Context())
				if err != nil || keys != c.keys || ids != c.ids {
					t.Errorf("%d rows without a key and %d without an id, error %v; want %d and %d", keys, ids, err, c.keys, c.ids)
				}
			})
		}
	}
}

// Most tables have no such column: these are not asked.
func TestNullRowsAsksNothingWhereThereCanBeNone(t *testing.T) {
	for server, db := range servers() {
		t.Run(server, func(t *testing.T) {
			w := newWorld(t, db, "v INT", "")
			if err := w.pair.Load(t.Context()); err != nil {
				t.Fatal(err)
			}
			w.src.Exec(t, "DROP TABLE t")
			if keys, ids, err := w.pair.NullRows(t.Context()); keys+ids != 0 || err != nil {
				t.Errorf("%d and %d, error %v of a table that nobody had to ask", keys, ids, err)
			}
		})
	}
}

// A first chunk has no lower bound, and where all rows fit into it no upper one either.
func TestRowsWithoutIDsAreInNoChunkOfIDs(t *testing.T) {
	for server, db := range servers() {
		t.Run(server, func(t *testing.T) {
			w := newWorld(t, db, "v INT", "")
			w.tableOf(t, "id INT, k INT, v INT, INDEX (id)", func(*table.PairOptions) {})
			w.src.Exec(t, "INSERT INTO t SELECT IF(seq <= 5, NULL, seq), seq, seq FROM seq_1_to_12")
			last, rows, err := w.source.CutIDs(t.Context(), nil, nil, 3)
			if err != nil || last != "8" || rows != 3 {
				t.Errorf("the first chunk of 3 ends at %q and has %d rows, error %v", last, rows, err)
			}
			for _, open := range []bool{true, false} {
				c := chunk.Chunk{ID: "1", Pair: "p", Scan: chunk.Sweep, UpTo: chunk.Position{ID: "12"}, Open: open}
				src, _, err := w.pair.ReadBoth(t.Context(), c, chunk.Groups{})
				if err != nil || src.Len() != 7 {
					t.Errorf("%v: %d rows, error %v; want the 7 that have an id", c, src.Len(), err)
				}
			}
			w.src.Exec(t, "DELETE FROM t WHERE id IS NOT NULL")
			if head, ok, err := w.source.Head(t.Context()); ok || err != nil {
				t.Errorf("the greatest id is %q, %v, error %v; want none", head, ok, err)
			}
		})
	}
}

// A binary id is hexadecimal, and NULL no text at all.
func TestRowKnowsThatItsIDIsNull(t *testing.T) {
	for server, db := range servers() {
		for _, typ := range []string{"INT", "VARCHAR(20)", "VARBINARY(20)"} {
			t.Run(fmt.Sprint(server, "/", typ), func(t *testing.T) {
				w := newWorld(t, db, "v INT", "")
				w.tableOf(t, "id "+typ+", k INT NOT NULL UNIQUE, v INT", func(*table.PairOptions) {})
				w.src.Exec(t, "INSERT INTO t VALUES (NULL, 1, 1), (1, 2, 1)")
				src, _, err := w.pair.ReadBoth(t.Context(), chunk.Chunk{ID: "1", Pair: "p", Scan: chunk.Sweep, Open: true}, chunk.Groups{})
				if err != nil {
					t.Fatal(err)
				}
				for i := range src.Len() {
					if got, want := src.HasNullID(i), src.Key(i).String() == "1"; got != want {
						t.Errorf("row %v: its id is NULL is %v, want %v", src.Key(i), got, want)
					}
				}
			})
		}
	}
}
