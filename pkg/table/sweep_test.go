package table_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/masixun71/cupid/pkg/chunk"
	"github.com/masixun71/cupid/pkg/mariadb/mariadbtest"
	"github.com/masixun71/cupid/pkg/row"
	"github.com/masixun71/cupid/pkg/table"
)

func (w *world) sweep(tb testing.TB) table.SweepPlan {
	tb.Helper()
	plan, err := w.pair.Sweep(tb.Context())
	if err != nil {
		tb.Fatal(err)
	}
	return plan
}

// cutAll cuts the whole source, the last chunk being open.
func (w *world) cutAll(tb testing.TB, limit int) []chunk.Chunk {
	tb.Helper()
	var chunks []chunk.Chunk
	var after *string
	for {
		cut, err := w.pair.CutKeys(tb.Context(), after, nil, limit)
		if err != nil {
			tb.Fatal(err)
		}
		c := sweepChunk("", cut.UpTo)
		c.Rows = cut.Rows
		if after != nil {
			c.After = &chunk.Position{ID: *after}
		}
		c.Open = cut.Rows < limit
		chunks = append(chunks, c)
		if c.Open {
			return chunks
		}
		after = &cut.UpTo
	}
}

// swept is what a whole sweep finds, by key: "7 missing", "7 different v", "7 orphan". Chunks
// with equal sums must be equal when read.
func (w *world) swept(tb testing.TB, limit int) []string {
	tb.Helper()
	plan := w.sweep(tb)
	found := []string{}
	for _, c := range w.cutAll(tb, limit) {
		some := w.differences(tb, c, chunk.Groups{})
		found = append(found, some...)
		if !plan.Checksum {
			continue
		}
		a, b, err := w.pair.Sums(tb.Context(), c)
		if err != nil {
			tb.Fatal(err)
		}
		if (a == b) != (len(some) == 0) {
			tb.Errorf("%s: sums %v and %v, found %q", c, a, b, some)
		}
		groups, rows, err := w.pair.GroupSums(tb.Context(), c)
		if err != nil || rows != int(a.Rows) {
			tb.Fatalf("%s: groups of %d rows, want %d, error %v", c, rows, a.Rows, err)
		}
		var grouped []string
		for _, one := range groups.Portions(1) {
			in := w.differences(tb, c, one)
			if len(in) == 0 {
				tb.Errorf("%s: nothing differs in group %+v", c, one)
			}
			grouped = append(grouped, in...)
		}
		if slices.Sort(some); !slices.Equal(slices.Sorted(slices.Values(grouped)), some) {
			tb.Errorf("%s: found %q in the groups that differ, and %q in all rows", c, grouped, some)
		}
	}
	slices.Sort(found)
	return found
}

// differences are what differs among the rows of groups of a chunk.
func (w *world) differences(tb testing.TB, c chunk.Chunk, groups chunk.Groups) (found []string) {
	tb.Helper()
	src, des, err := w.pair.ReadBoth(tb.Context(), c, groups)
	if err != nil {
		tb.Fatal(err)
	}
	for _, d := range row.Compare(src, des) {
		text := src.Key(d.Index).String() + " different"
		if d.Kind == row.Missing {
			text = src.Key(d.Index).String() + " missing"
		}
		for _, i := range d.Columns {
			text += " " + w.pair.Columns()[i]
		}
		found = append(found, text)
	}
	if w.sweep(tb).Orphans {
		for _, i := range row.Orphans(src, des) {
			found = append(found, des.Key(i).String()+" orphan")
		}
	}
	return found
}

func (w *world) wantSwept(tb testing.TB, want ...string) {
	tb.Helper()
	for _, limit := range []int{1, 2, 3, 1000} {
		if got := w.swept(tb, limit); !slices.Equal(got, want) {
			tb.Errorf("chunks of %d: found %q, want %q", limit, got, want)
		}
		if !w.sweep(tb).Choice {
			continue
		}
		if got := w.sweptByBuckets(tb, limit); !slices.Equal(got, want) {
			tb.Errorf("by buckets, chunks of %d: found %q, want %q", limit, got, want)
		}
	}
}

func TestSweepFindsWhatDiverges(t *testing.T) {
	v := func(o *table.PairOptions) { o.Columns = []table.ColumnPair{{Src: "v", Des: "v"}} }
	both := func(o *table.PairOptions) {
		o.Source.By, o.Destination.By = []string{"k", "l"}, []string{"k", "l"}
		v(o)
	}
	cases := []struct {
		name, columns string
		change        func(*table.PairOptions)
		src, des      string // of k, v, or k, l, v
		want          []string
	}{
		{"numbers", "k BIGINT NOT NULL UNIQUE, v INT", v, "(-5,1), (0,1), (7,1), (8,1)", "(-9,1), (0,1), (7,2), (9,1)", []string{"-5 missing", "-9 orphan", "7 different v", "8 missing", "9 orphan"}},
		{
			"unsigned above 2^63", "k BIGINT UNSIGNED NOT NULL UNIQUE, v INT", v, "(1,1), (9223372036854775807,1), (9223372036854775808,1), (18446744073709551614,1)",
			"(1,1), (9223372036854775808,2), (18446744073709551614,1), (18446744073709551615,1)",
			[]string{"18446744073709551615 orphan", "9223372036854775807 missing", "9223372036854775808 different v"},
		},
		{"decimals", "k DECIMAL(30,4) NOT NULL UNIQUE, v INT", v, "(-1.5,1), (0.0001,1), (12345678901234567890.5,1)", "(0,1), (0.0001,2), (12345678901234567890.5,1)", []string{"-1.5 missing", "0 orphan", "0.0001 different v"}},
		{"case twins", "k VARCHAR(20) NOT NULL, v INT, KEY(k)", v, "('A',2), ('b',1), ('a',1), ('a ',4)", "('A',3), ('b',1), ('B',1), ('a ',4)", []string{"A different v", "B orphan", "a missing"}},
		{"composite", "k INT NOT NULL, l VARCHAR(9) COLLATE utf8mb4_bin NOT NULL, v INT, UNIQUE (k, l)", both, "(1,'a',1), (1,'b,c',1), (1,'x',1), (2,'',1), (3,'a',1)", "(1,'a',1), (1,'b,c',2), (2,'',1), (2,'z',1), (4,'a',1)", []string{`1,b\,c different v`, "1,x missing", "2,z orphan", "3,a missing", "4,a orphan"}},
		{"composite, indexed the other way", "k INT NOT NULL, l INT NOT NULL, v INT, UNIQUE (l, k)", both, "(1,9,1), (2,8,1), (3,7,1), (3,8,1)", "(1,9,1), (2,8,2), (3,7,1), (4,8,1)", []string{"2,8 different v", "3,8 missing", "4,8 orphan"}},
		{"binary", "k BINARY(2) NOT NULL UNIQUE, v INT", v, "(x'0000',1), (x'002C',1), (x'FF5C',1)", "(x'0000',1), (x'FF5C',2), (x'FFFF',1)", []string{"0x002c missing", "0xff5c different v", "0xffff orphan"}},
		{"times", "k DATETIME(3) NOT NULL UNIQUE, v INT", v, "('2024-01-01',1), ('2024-01-01 00:00:00.001',1)", "('2024-01-01',1), ('2025-01-01',1)", []string{"2024-01-01 00:00:00.001 missing", "2025-01-01 00:00:00.000 orphan"}},
		{"latin1", "k VARCHAR(9) CHARACTER SET latin1 NOT NULL UNIQUE, v INT", v, "('é',1), ('z',1), ('ü',1)", "('é',2), ('z',1), ('ÿ',1)", []string{"é different v", "ü missing", "ÿ orphan"}},
		{"NULL keys", "k INT UNIQUE, v INT", v, "(NULL,1), (1,1), (NULL,2), (3,1)", "(NULL,7), (1,1), (2,1), (NULL,8)", []string{"2 orphan", "3 missing"}},
		{"nothing on the source", "k INT UNIQUE, v INT", v, "", "(1,1)", []string{"1 orphan"}},
	}
	for server, db := range servers() {
		for _, c := range cases {
			t.Run(server+" "+c.name, func(t *testing.T) {
				w := newWorld(t, db, c.columns, "", c.change)
				fill := func(d *mariadbtest.Database, values string) {
					for i, v := range strings.Split(values, "), (") {
						if v = strings.Trim(v, "()"); v != "" {
							d.Exec(t, fmt.Sprintf("INSERT INTO t VALUES (%d, %s)", 100-i, v))
						}
					}
				}
				fill(w.src, c.src)
				fill(w.des, c.des)
				if plan := w.sweep(t); plan.Mode != table.SweepByKey || !plan.Orphans {
					t.Fatalf("plan %+v", plan)
				}
				w.wantSwept(t, c.want...)
			})
		}
	}
}

func TestRowsOutsideTheConditionAreOrphans(t *testing.T) {
	for server, db := range servers() {
		t.Run(server, func(t *testing.T) {
			w := newWorld(t, db, "v INT", "", func(o *table.PairOptions) { o.Source.Where = "v < 10" })
			for i := range 6 {
				w.both(t, i, "1")
			}
			w.wantSwept(t)
			w.src.Exec(t, "UPDATE t SET v = 10 WHERE id IN (0, 3, 5)")
			w.wantSwept(t, "0 orphan", "3 orphan", "5 orphan")
			batch, err := w.pair.ReadSourceByKeys(t.Context(), []row.Key{row.NewKey([]byte("3")), row.NewKey([]byte("4"))})
			if err != nil || batch.Len() != 1 || batch.Key(0).String() != "4" {
				t.Errorf("read %d rows, error %v, want key 4 only", batch.Len(), err)
			}
		})
	}
}

// TestWhatCannotBeSweptFast has pairs that are swept without checksums, or row by row.
func TestWhatCannotBeSweptFast(t *testing.T) {
	const key = "k BIGINT NOT NULL UNIQUE, "
	cases := []struct {
		name, src, des string
		mode           table.SweepMode
		why            string
	}{
		{"JSON", key + "v JSON", "", table.SweepByKey, "v JSON"},
		{"a number against text", key + "v INT", key + "v VARCHAR(20)", table.SweepByKey, "v INT ↔ VARCHAR(20)"},
		{"a float against a decimal", key + "v DOUBLE", key + "v DECIMAL(10,2)", table.SweepByKey, "v DOUBLE"},
		{"a time against text", key + "v DATETIME", key + "v VARCHAR(30)", table.SweepByKey, "v DATETIME"},
		{"geometry", key + "v POINT", "", table.SweepByKey, "v POINT"},
		{"no unique key", "k INT, v INT, KEY(k)", "", table.SweepByKey, "unique on neither side"},
		{"two collations", "k VARCHAR(9) COLLATE utf8mb4_bin UNIQUE, v INT", "k VARCHAR(9) COLLATE utf8mb4_general_ci UNIQUE, v INT", table.SweepByRow, "do not sort alike by k VARCHAR(9)"},
		{"number and text", "k INT UNIQUE, v INT", "k VARCHAR(9) UNIQUE, v INT", table.SweepByRow, "do not sort alike by k INT"},
		{"an ENUM", "k ENUM('b','a') UNIQUE, v INT", "", table.SweepByRow, "do not sort alike by k ENUM"},
		{"no index on the source", "k INT, v INT", "k INT UNIQUE, v INT", table.SweepByRow, "no index of p: src begins with byColumn `k`"},
		{"no index on the destination", "k INT UNIQUE, v INT", "k INT, v INT", table.SweepByRow, "no index of p: des begins with byColumn `k`"},
	}
	for server, db := range servers() {
		for _, c := range cases {
			t.Run(server+" "+c.name, func(t *testing.T) {
				w := newWorld(t, db, c.src, c.des, func(o *table.PairOptions) { o.Columns = o.Columns[1:2] })
				plan := w.sweep(t)
				if plan.Mode != c.mode || plan.Checksum || plan.Orphans != (c.mode == table.SweepByKey) || !strings.Contains(plan.Why, c.why) {
					t.Errorf("plan %+v, want mode %s without checksum because of %q", plan, c.mode, c.why)
				}
				if _, _, err := w.pair.Sums(t.Context(), sweepChunk("", "")); err == nil {
					t.Error("a checksum was made all the same")
				}
				if cut, err := w.pair.CutKeys(t.Context(), nil, nil, 10); err != nil || cut.Rows != 0 {
					t.Errorf("cut an empty table: %+v, error %v", cut, err)
				}
			})
		}
	}
}

func TestSweepByRow(t *testing.T) {
	for server, db := range servers() {
		t.Run(server, func(t *testing.T) {
			w := newWorld(t, db, "k VARCHAR(9) COLLATE utf8mb4_bin UNIQUE, v INT", "k VARCHAR(9) COLLATE utf8mb4_general_ci UNIQUE, v INT",
				func(o *table.PairOptions) { o.Columns = o.Columns[1:] })
			w.src.Exec(t, "INSERT INTO t VALUES (9,'a',1), (7,'A',1), (5,'b',1), (3,'c',1), (1,'d',1)")
			w.des.Exec(t, "INSERT INTO t VALUES (1,'A',1), (2,'b',2), (3,'c',1), (4,'e',1)")
			w.wantSwept(t, "a missing", "b different v", "d missing")
		})
	}
}

func TestNothingIsFoundOutOfAPassOverMovingBounds(t *testing.T) {
	w := newWorld(t, mariadbtest.New, "v INT", "")
	for i := range 9 {
		w.both(t, i*10, "1")
	}
	// Bounds need not be keys of rows, and may be more than the column holds.
	w.des.Exec(t, "ALTER TABLE t MODIFY k TINYINT NOT NULL")
	for _, c := range []chunk.Chunk{sweepChunk("", "-1000"), sweepChunk("-1000", "35"), sweepChunk("35", "36"), sweepChunk("36", "1000"), sweepChunk("1000", "18446744073709551615"), sweepChunk("18446744073709551615", "")} {
		src, des, err := w.pair.Sums(t.Context(), c)
		if err != nil || src != des {
			t.Errorf("%s: %v and %v, error %v", c, src, des, err)
		}
		if want := map[string]int64{"35": 4, "1000": 5}[c.UpTo.ID]; src.Rows != want {
			t.Errorf("%s: %d rows, want %d", c, src.Rows, want)
		}
	}
	for _, bad := range []string{"abc", "1,2", `\N`, `\x`} {
		if _, _, err := w.pair.Sums(t.Context(), sweepChunk(bad, "")); err == nil {
			t.Errorf("bound %q was taken", bad)
		}
		if _, err := w.pair.CutKeys(t.Context(), &bad, nil, 10); err == nil {
			t.Errorf("bound %q was taken to cut", bad)
		}
	}
}

func TestReadDestinationFull(t *testing.T) {
	for server, db := range servers() {
		t.Run(server, func(t *testing.T) {
			w := newWorld(t, db, "k VARCHAR(9), n DECIMAL(10,2)", "k VARCHAR(9), n DECIMAL(10,3), s TIMESTAMP NULL, b VARBINARY(5), extra INT", func(o *table.PairOptions) {
				o.Destination.TimeZone = "+08:00"
				o.Columns = o.Columns[1:2]
			})
			execAs(t, w.des, "SET time_zone = '+08:00'",
				"INSERT INTO t VALUES (1, 'a', 1.5, '2024-05-06 07:08:09', x'FF00', 7), (2, 'A', NULL, NULL, NULL, NULL)")
			batch, payloads, err := w.pair.ReadDestinationFull(t.Context(), []row.Key{row.NewKey([]byte("a")), row.NewKey([]byte("x")), row.NewKey(nil)}, false)
			if err != nil {
				t.Fatal(err)
			}
			if batch.Len() != len(payloads) {
				t.Fatalf("%d rows, %d payloads", batch.Len(), len(payloads))
			}
			want := map[string]string{
				"a": `{"id":1,"k":"a","n":"1.500","s":"2024-05-06 07:08:09","b":"/wA=","extra":7}`,
				"A": `{"id":2,"k":"A","n":null,"s":null,"b":null,"extra":null}`, // a twin for the collation, for the caller to tell apart
			}
			for i, p := range payloads {
				key := batch.Key(i).String()
				if string(p) != want[key] {
					t.Errorf("payload of %s\n%s, want\n%s", key, p, want[key])
				}
				delete(want, key)
			}
			if len(want) > 0 {
				t.Errorf("no payload for %v", want)
			}
			_, payloads, err = w.pair.ReadDestinationFull(t.Context(), []row.Key{row.NewKey([]byte("a"))}, true)
			if err != nil || !strings.HasPrefix(string(payloads[0]), `{"id":"`) {
				t.Errorf("payload of strings %s, error %v", payloads, err)
			}
		})
	}
}

func TestReadSourceByKeysNeedsOneSpelling(t *testing.T) {
	w := newWorld(t, mariadbtest.New, "k VARCHAR(9), v INT", "k INT, v INT")
	if _, err := w.pair.ReadSourceByKeys(t.Context(), []row.Key{row.NewKey([]byte("7"))}); err == nil {
		t.Error("'007' on the source would have been taken for absent")
	}
}

// TestSweepReadsOnlyItsRange counts what the server reads for a range in the middle.
func TestSweepReadsOnlyItsRange(t *testing.T) {
	for server, db := range servers() {
		for name, c := range map[string]struct{ columns, after, upTo string }{
			"number":    {"k BIGINT NOT NULL UNIQUE, v INT", "500", "600"},
			"decimal":   {"k DECIMAL(20,2) NOT NULL UNIQUE, v INT", "500", "600"},
			"binary":    {"k VARBINARY(20) NOT NULL UNIQUE, v INT", "500", "59"},
			"latin1":    {"k VARCHAR(20) CHARACTER SET latin1 NOT NULL UNIQUE, v INT", "500", "59"},
			"composite": {"k BIGINT NOT NULL, l VARCHAR(9) NOT NULL DEFAULT 'x', v INT, UNIQUE (k, l)", "500,x", "600,x"},
		} {
			t.Run(server+" "+name, func(t *testing.T) {
				w := newWorld(t, db, c.columns, "", func(o *table.PairOptions) {
					if name == "composite" {
						o.Source.By, o.Destination.By = []string{"k", "l"}, []string{"k", "l"}
					}
					o.Columns = []table.ColumnPair{{Src: "v", Des: "v"}}
				})
				for _, d := range []*mariadbtest.Database{w.src, w.des} {
					d.Exec(t, fmt.Sprintf("INSERT INTO t (id, k, v) SELECT seq, seq, seq FROM (%s) s", sequence(3000)), "ANALYZE TABLE t")
				}
				q, err := w.pair.SumQuery(t.Context(), row.Destination, sweepChunk(c.after, c.upTo))
				if err != nil {
					t.Fatal(err)
				}
				scan, index := scanned(t, w.des, q.Text, q.Args)
				if scan > 10 || index < 90 || index > 130 {
					t.Errorf("read %d rows by a scan and %d by an index, want about 100 by the index\n%s", scan, index, q.Text)
				}
			})
		}
	}
}

func TestRowsThatAreSkippedAreNotRead(t *testing.T) {
	for server, db := range servers() {
		for name, c := range map[string]struct {
			columns string
			key     string // of row 3, as a sweep has it
		}{
			"number":    {"k BIGINT NOT NULL UNIQUE, v INT", "3"},
			"decimal":   {"k DECIMAL(20,2) NOT NULL UNIQUE, v INT", "3"},
			"text":      {"k VARCHAR(20) CHARACTER SET latin1 NOT NULL UNIQUE, v INT", "3"},
			"composite": {"k BIGINT NOT NULL, l VARCHAR(9) NOT NULL DEFAULT 'x', v INT, UNIQUE (k, l)", "3,x"},
		} {
			t.Run(server+" "+name, func(t *testing.T) {
				w := newWorld(t, db, c.columns, "", func(o *table.PairOptions) {
					if name == "composite" {
						o.Source.By, o.Destination.By = []string{"k", "l"}, []string{"k", "l"}
					}
					o.Columns = []table.ColumnPair{{Src: "v", Des: "v"}}
				})
				for _, d := range []*mariadbtest.Database{w.src, w.des} {
					d.Exec(t, fmt.Sprintf("INSERT INTO t (id, k, v) SELECT seq, seq, seq FROM (%s) s", sequence(5)))
				}
				whole := w.cutAll(t, 100)[0]
				whole.Skip = []string{c.key}
				src, des, err := w.pair.ReadBoth(t.Context(), whole, chunk.Groups{})
				if err != nil {
					t.Fatal(err)
				}
				if src.Len() != 4 || des.Len() != 4 {
					t.Errorf("read %d and %d rows of 5 without one", src.Len(), des.Len())
				}
				a, b, err := w.pair.Sums(t.Context(), whole)
				if err != nil || a != b || a.Rows != 4 {
					t.Errorf("sums %+v and %+v, %v, want those of 4 rows", a, b, err)
				}
				insert := chunk.Chunk{Scan: chunk.Insert, UpTo: chunk.Position{ID: "5"}, Skip: []string{"2", "4"}}
				if b, err := w.pair.ReadRange(t.Context(), insert); err != nil || b.Len() != 3 {
					t.Errorf("read %d rows, %v, want 3", b.Len(), err)
				}
			})
		}
	}
}

// A key that was set aside by another byColumn is no row of this one, and what a position is made of has a name.
func TestKeysOfAnotherByColumnLeaveNothingOut(t *testing.T) {
	w := newWorld(t, mariadbtest.New, "v INT", "")
	for n := range 5 {
		w.both(t, n+1, "1")
	}
	c := chunk.Chunk{Pair: "p", Scan: chunk.Sweep, Open: true, Skip: []string{"2", "abc", "1,2", `\x`}}
	src, des, err := w.pair.ReadBoth(t.Context(), c, chunk.Groups{})
	if err != nil {
		t.Fatal(err)
	}
	if src.Len() != 4 || des.Len() != 4 {
		t.Errorf("read %d and %d rows, want all but row 2", src.Len(), des.Len())
	}
	was, err := w.pair.Ranges(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	w.open(t, func(o *table.PairOptions) { o.Source.By, o.Destination.By = []string{"id"}, []string{"id"} })
	is, err := w.pair.Ranges(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if was.Key == "" || was.Key == is.Key {
		t.Errorf("keys %q and %q of two byColumns", was.Key, is.Key)
	}
}

// Who cuts a chunk and who reads it notice one after the other that a table was altered, and nothing of the bounds says
// that they mean something else by then.
func TestG2ChunkOfOtherMetadataIsNotRead(t *testing.T) {
	w := newWorld(t, mariadbtest.New, "v INT, j INT NOT NULL DEFAULT 0", "")
	for _, db := range []*mariadbtest.Database{w.src, w.des} {
		db.Exec(t, "ALTER TABLE t ADD INDEX kj (k, j)")
	}
	byBoth := func() table.SweepPlan {
		w.open(t, func(o *table.PairOptions) { o.Source.By, o.Destination.By = []string{"k", "j"}, []string{"k", "j"} })
		plan, err := w.pair.Ranges(t.Context())
		if err != nil || plan.Mode != table.SweepByKey {
			t.Fatalf("%+v, %v", plan, err)
		}
		return plan
	}
	was := byBoth()
	for _, db := range []*mariadbtest.Database{w.src, w.des} {
		db.Exec(t, "ALTER TABLE t ADD INDEX jk (j, k), DROP INDEX kj")
	}
	is := byBoth()
	if was.Key == is.Key {
		t.Error("bounds in another order have the same key")
	}
	for key, want := range map[string]error{was.Key: chunk.ErrUnfit, is.Key: nil, "": nil} {
		c := chunk.Chunk{Pair: "p", Scan: chunk.Sweep, Key: key, Open: true}
		if _, _, err := w.pair.ReadBoth(t.Context(), c, chunk.Groups{}); !errors.Is(err, want) {
			t.Errorf("chunk of %q: %v, want %v", key, err, want)
		}
	}
}
