package table_test

import (
	"fmt"
	"math/big"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/masixun71/cupid/pkg/chunk"
	"github.com/masixun71/cupid/pkg/mariadb/mariadbtest"
	"github.com/masixun71/cupid/pkg/row"
	"github.com/masixun71/cupid/pkg/table"
)

// TestGroupsHaveEveryRowOnce has keys of all kinds, of other types on the other side among
// them: each row is in one group, which is the same on both sides.
func TestGroupsHaveEveryRowOnce(t *testing.T) {
	cases := []struct{ name, src, des, values string }{
		{"numbers", "k INT ZEROFILL UNIQUE", "k BIGINT UNIQUE", "(NULL), (0), (1), (7), (100), (2147483647)"},
		{"unsigned", "k BIGINT UNSIGNED UNIQUE", "k BIGINT UNSIGNED ZEROFILL UNIQUE", "(0), (9223372036854775808), (18446744073709551615)"},
		{"decimals", "k DECIMAL(20,4) UNIQUE", "k DECIMAL(10,2) UNSIGNED ZEROFILL UNIQUE", "(NULL), (0), (0.5), (1.25), (10), (100)"},
		{"texts", "k CHAR(9) UNIQUE", "k VARCHAR(9) UNIQUE", "(NULL), (''), ('a'), ('B'), ('é'), ('a,b'), ('中')"},
		{"latin1", "k VARCHAR(9) CHARACTER SET latin1 UNIQUE", "", "('a'), ('é'), ('ÿ')"},
		{"binary", "k BINARY(2) UNIQUE", "k VARBINARY(2) UNIQUE", "(NULL), (x'0000'), (x'002C'), (x'FF5C'), (x'FFFF')"},
		{"times", "k DATETIME(3) UNIQUE", "", "(NULL), ('2024-01-01'), ('2024-01-01 00:00:00.001')"},
		{"composite", "k INT, l VARCHAR(9), UNIQUE (k, l)", "k BIGINT, l CHAR(9), UNIQUE (k, l)", "(1,''), (1,'a'), (1,'b,c'), (1,NULL), (NULL,'a'), (2,'A'), (3,'1')"},
	}
	for server, db := range servers() {
		for _, c := range cases {
			t.Run(server+" "+c.name, func(t *testing.T) {
				t.Parallel()
				w := newWorld(t, db, c.src, c.des, func(o *table.PairOptions) {
					if c.name == "composite" {
						o.Source.By, o.Destination.By = []string{"k", "l"}, []string{"k", "l"}
					}
					o.Columns = o.Columns[:1]
				})
				if plan := w.sweep(t); !plan.Checksum {
					t.Fatal(plan.Why)
				}
				keys := 0
				for i, v := range strings.Split(c.values, ", ") {
					for _, d := range []*mariadbtest.Database{w.src, w.des} {
						d.Exec(t, fmt.Sprintf("INSERT INTO t VALUES (%d, %s)", i, strings.Trim(v, "()")))
					}
					if !strings.Contains(v, "NULL") {
						keys++
					}
				}
				all := sweepChunk("", "")
				all.Rows = 1 // the fewest groups
				found := 0
				const groups = 16
				for n := range groups {
					src, des, err := w.pair.ReadBoth(t.Context(), all, chunk.Groups{Of: groups, Some: []chunk.Group{{Number: n, Rows: 1}}})
					if err != nil {
						t.Fatal(err)
					}
					found += src.Len()
					if src.Len() != des.Len() || len(row.Compare(src, des)) > 0 || len(row.Orphans(src, des)) > 0 {
						t.Errorf("group %d has %d rows of the source and %d of the destination", n, src.Len(), des.Len())
					}
				}
				if differ, rows, err := w.pair.GroupSums(t.Context(), all); err != nil || len(differ.Some) > 0 || rows != keys || found != keys {
					t.Errorf("%d rows in the groups, %d added up, want %d; %+v differ, error %v", found, rows, keys, differ, err)
				}
			})
		}
	}
}

// TestGroupsCountRows has chunks of which everything, and one row, differs.
func TestGroupsCountRows(t *testing.T) {
	for server, db := range servers() {
		t.Run(server, func(t *testing.T) {
			w := newWorld(t, db, "v INT", "")
			const rows = 3000
			insert(t, w.src, rows, "seq, seq")
			c := sweepChunk("", "")
			c.Rows = 1 // it has no bounds, and the destination may have any number of rows out there
			differ, n, err := w.pair.GroupSums(t.Context(), c)
			if err != nil || n != rows || differ.Rows() != rows || len(differ.Some) < rows/10 {
				t.Errorf("an empty destination: %d rows, %d groups of %d rows differ, error %v", n, len(differ.Some), differ.Rows(), err)
			}
			insert(t, w.des, rows, "seq, seq")
			w.des.Exec(t, "UPDATE t SET v = 0 WHERE k = 77")
			for salt := range uint32(2) {
				c.Salt = salt
				differ, n, err = w.pair.GroupSums(t.Context(), c)
				if err != nil || n != rows || len(differ.Some) != 1 || differ.Rows() > 10*table.GroupRows {
					t.Errorf("salt %d: %d rows, %+v differ, error %v", salt, n, differ, err)
				}
				if got := w.differences(t, c, differ); !slices.Equal(got, []string{"77 different v"}) {
					t.Errorf("salt %d: found %q", salt, got)
				}
			}
		})
	}
}

// TestGroupsByKey has keys of all signs and sizes: of a part that has at least a quarter of the keys
// the rows that differ are read, and no others.
func TestGroupsByKey(t *testing.T) {
	cases := []struct{ name, src, des, base string }{
		{"small", "TINYINT", "BIGINT", "-60"},
		{"around zero", "BIGINT", "INT", "-50"},
		{"31 bits", "BIGINT", "BIGINT UNSIGNED", "2147483600"},
		{"32 bits", "INT UNSIGNED ZEROFILL", "BIGINT", "4294967190"},
		{"negative", "BIGINT", "BIGINT", "-9223372036854775807"},
		{"63 bits", "BIGINT UNSIGNED", "BIGINT UNSIGNED", "9223372036854775750"},
		{"the greatest", "BIGINT UNSIGNED", "BIGINT UNSIGNED", "18446744073709551514"},
	}
	for server, db := range servers() {
		for _, c := range cases {
			t.Run(server+" "+c.name, func(t *testing.T) {
				t.Parallel()
				w := newWorld(t, db, "k "+c.src+" NOT NULL UNIQUE, v INT", "k "+c.des+" NOT NULL UNIQUE, v INT", func(o *table.PairOptions) {
					o.Columns, o.Source.Where = o.Columns[1:], "v <> 9"
				})
				base, ok := new(big.Int).SetString(c.base, 10)
				if !ok {
					t.Fatal(c.base)
				}
				key := func(i int64) string { return new(big.Int).Add(base, big.NewInt(i)).String() }
				var src, des, want []string
				hidden := ""
				for i := range int64(101) {
					switch {
					case i == 1 || i == 100: // both ends of the part
						src = append(src, fmt.Sprintf("(%d, %s, 1)", i, key(i)))
						want = append(want, key(i)+" missing")
					case i == 50:
						src = append(src, fmt.Sprintf("(%d, %s, 1)", i, key(i)))
						des = append(des, fmt.Sprintf("(%d, %s, 2)", i, key(i)))
						want = append(want, key(i)+" different v")
					case i == 77:
						des = append(des, fmt.Sprintf("(%d, %s, 1)", i, key(i)))
						want = append(want, key(i)+" orphan")
					case i == 78: // the source's condition hides it
						hidden = fmt.Sprintf(", (%d, %s, 9)", i, key(i))
						des = append(des, fmt.Sprintf("(%d, %s, 9)", i, key(i)))
						want = append(want, key(i)+" orphan")
					case i == 79: // it is left out
						src = append(src, fmt.Sprintf("(%d, %s, 1)", i, key(i)))
					case i > 90:
						src = append(src, fmt.Sprintf("(%d, %s, 1)", i, key(i)))
						want = append(want, key(i)+" missing")
					case i%10 > 3:
						src = append(src, fmt.Sprintf("(%d, %s, 1)", i, key(i)))
						des = append(des, fmt.Sprintf("(%d, %s, 1)", i, key(i)))
					}
				}
				w.src.Exec(t, "INSERT INTO t VALUES "+strings.Join(src, ", ")+hidden)
				w.des.Exec(t, "INSERT INTO t VALUES "+strings.Join(des, ", "))
				left, err := row.NewKey([]byte(key(79))).MarshalText()
				if err != nil {
					t.Fatal(err)
				}
				rows := len(src) - 1 // with the one that is left out
				for salt := range uint32(2) {
					part := sweepChunk(key(0), key(100))
					part.Rows, part.Salt, part.Skip = len(src), salt, []string{string(left)}
					groups, n, err := w.pair.GroupSums(t.Context(), part)
					if err != nil || !groups.ByKey || len(groups.Some) != len(want) || n != rows || groups.Rows() != len(want) {
						t.Fatalf("%d rows, %+v differ, error %v, want %d rows and %d groups by key", n, groups, err, rows, len(want))
					}
					a, b, err := w.pair.ReadBoth(t.Context(), part, groups)
					if err != nil || a.Len()+b.Len() != len(want)+1 {
						t.Errorf("%d and %d rows were read, error %v, want those that differ", a.Len(), b.Len(), err)
					}
					if got := w.differences(t, part, groups); !slices.Equal(slices.Sorted(slices.Values(got)), slices.Sorted(slices.Values(want))) {
						t.Errorf("found %q, want %q", got, want)
					}
					part.Rows = 20 // of 100 values
					if groups, _, err = w.pair.GroupSums(t.Context(), part); err != nil || groups.ByKey {
						t.Errorf("%+v differ, error %v, want groups by a hash where few keys exist", groups, err)
					}
					if got := w.differences(t, part, groups); !slices.Equal(slices.Sorted(slices.Values(got)), slices.Sorted(slices.Values(want))) {
						t.Errorf("by hash: found %q, want %q", got, want)
					}
				}
			})
		}
	}
}

func TestGroupsGrowWithTheChunk(t *testing.T) {
	for rows, want := range map[int]int{0: 1024, 1: 16, 100: 16, 500: 64, 2000: 256, 5000: 1024, 10_000: 2048, 1_000_000: 4096} {
		if got := table.GroupsOf(rows); got != want {
			t.Errorf("%d rows are parted into %d groups, want %d", rows, got, want)
		}
	}
}

// TestSumsOfAnInsertScan compares ranges of ids where the ids are the keys.
func TestSumsOfAnInsertScan(t *testing.T) {
	byID := func(o *table.PairOptions) { o.Source.By, o.Destination.By = []string{"id"}, []string{"id"} }
	cases := []struct {
		name, columns string
		change        func(*table.PairOptions)
		want          bool
	}{
		{"the id is the key", "k INT, v INT", byID, true},
		{"another key", "k INT NOT NULL UNIQUE, v INT", func(*table.PairOptions) {}, false},
		{"no checksum", "k INT, v JSON", byID, false},
	}
	for server, db := range servers() {
		for _, c := range cases {
			t.Run(server+" "+c.name, func(t *testing.T) {
				w := newWorld(t, db, c.columns, "", c.change)
				for i := range 10 {
					w.both(t, i-3, strconv.Itoa(i))
				}
				insert := chunk.Chunk{Scan: chunk.Insert, After: &chunk.Position{ID: "-2"}, UpTo: chunk.Position{ID: "4"}}
				if got, err := w.pair.HasSums(t.Context(), insert); got != c.want || err != nil {
					t.Errorf("has sums %v, error %v, want %v", got, err, c.want)
				}
				if got, err := w.pair.HasSums(t.Context(), chunk.Chunk{Scan: chunk.Update}); got || err != nil {
					t.Errorf("an update scan has sums %v, error %v", got, err)
				}
				if !c.want {
					return
				}
				w.des.Exec(t, "UPDATE t SET v = 99 WHERE id IN (-2, 5)") // on either side of the range
				src, des, err := w.pair.Sums(t.Context(), insert)
				if err != nil || src != des || src.Rows != 6 {
					t.Errorf("sums %v and %v, error %v, want 6 equal rows", src, des, err)
				}
				w.des.Exec(t, "UPDATE t SET v = 99 WHERE id = 4")
				if src, des, err = w.pair.Sums(t.Context(), insert); err != nil || src == des {
					t.Errorf("sums %v and %v, error %v, want different ones", src, des, err)
				}
				insert.After, insert.UpTo.ID = nil, "18446744073709551615"
				if src, des, err = w.pair.Sums(t.Context(), insert); err != nil || src.Rows != 10 || des.Rows != 10 {
					t.Errorf("sums %v and %v of all, error %v", src, des, err)
				}
			})
		}
	}
}

// TestDenseKeysAreReadAsARange has what a range has more than a list, or less.
func TestDenseKeysAreReadAsARange(t *testing.T) {
	const top = "18446744073709551615"
	cases := []struct {
		name, columns string
		keys          func(i int) string
		n             int
		want          bool
	}{
		{"dense", "k BIGINT NOT NULL UNIQUE, v INT", func(i int) string { return strconv.Itoa(i - 50) }, 100, true},
		{"every third is missing", "k INT NOT NULL UNIQUE, v INT", func(i int) string { return strconv.Itoa(i + i/2) }, 100, true},
		{"every second is missing", "k INT NOT NULL UNIQUE, v INT", func(i int) string { return strconv.Itoa(2 * i) }, 100, false},
		{"one is far off", "k BIGINT NOT NULL UNIQUE, v INT", func(i int) string { return strconv.Itoa(i/99*1_000_000 + i) }, 100, false},
		{"few", "k BIGINT NOT NULL UNIQUE, v INT", strconv.Itoa, 10, false},
		{"the greatest", "k BIGINT UNSIGNED NOT NULL UNIQUE, v INT", func(i int) string { return top[:17] + strconv.Itoa(516+i) }, 100, true},
		{"text", "k VARCHAR(20) NOT NULL UNIQUE, v INT", strconv.Itoa, 100, false},
		{"decimals", "k DECIMAL(20,0) NOT NULL UNIQUE, v INT", strconv.Itoa, 100, false},
	}
	for server, db := range servers() {
		for _, c := range cases {
			t.Run(server+" "+c.name, func(t *testing.T) {
				t.Parallel()
				w := newWorld(t, db, c.columns, "")
				var keys []row.Key
				var values []string
				for i := range c.n {
					keys = append(keys, row.NewKey([]byte(c.keys(i))))
					values = append(values, fmt.Sprintf("(%d, '%s', 1)", i, c.keys(i)))
				}
				w.src.Exec(t, "INSERT INTO t VALUES "+strings.Join(values, ", "))
				w.des.Exec(t, "INSERT INTO t VALUES "+strings.Join(values, ", "), "DELETE FROM t WHERE id = 3", "UPDATE t SET v = 2 WHERE id = 5")
				queries, err := w.pair.DestinationQueries(t.Context(), keys)
				if err != nil {
					t.Fatal(err)
				}
				if got := !strings.Contains(queries[0].Text, " IN ("); got != c.want || len(queries) != 1 {
					t.Errorf("a range %v, want %v: %s", got, c.want, queries[0].Text)
				}
				w.wantFound(t, "3 missing", "5 different v")
			})
		}
	}
}

// TestReleasedBatchesAreEmptyAndOfTheTable reads into batches that were used before, also
// after the table has changed.
func TestReleasedBatchesAreEmptyAndOfTheTable(t *testing.T) {
	w := newWorld(t, mariadbtest.New, "v INT", "")
	for i := range 20 {
		w.both(t, i, strconv.Itoa(i))
	}
	w.des.Exec(t, "UPDATE t SET v = 99 WHERE k = 7")
	read := func(v string) {
		t.Helper()
		var wg sync.WaitGroup
		defer wg.Wait()
		for range 4 {
			wg.Go(func() {
				for range 20 {
					src, des, err := w.pair.ReadBoth(t.Context(), sweepChunk("", ""), chunk.Groups{})
					if err != nil {
						t.Error(err)
						return
					}
					differ := row.Compare(src, des)
					if src.Len() != 20 || des.Len() != 20 || len(differ) != 1 || src.ID(differ[0].Index) != "7" {
						t.Errorf("read %d and %d rows, %+v", src.Len(), des.Len(), differ)
						return
					}
					if cell, _ := src.Cell(differ[0].Index, 0); string(cell) != v {
						t.Errorf("v is %q, want %q", cell, v)
					}
					w.pair.Release(src, nil, des)
				}
			})
		}
	}
	read("7")
	w.src.Exec(t, "ALTER TABLE t MODIFY v VARCHAR(20)", "UPDATE t SET v = CONCAT('text ', v) WHERE k = 7")
	w.des.Exec(t, "ALTER TABLE t MODIFY v VARCHAR(20)")
	w.pair.Forget()
	read("text 7")
}
