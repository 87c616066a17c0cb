package table_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/masixun71/cupid/pkg/chunk"
	"github.com/masixun71/cupid/pkg/mariadb/mariadbtest"
	"github.com/masixun71/cupid/pkg/row"
	"github.com/masixun71/cupid/pkg/table"
)

// cutBuckets cuts both tables, the last chunk being open.
func (w *world) cutBuckets(tb testing.TB, limit int) []chunk.Chunk {
	tb.Helper()
	var chunks []chunk.Chunk
	var after *string
	for {
		last, rows, err := w.pair.CutBuckets(tb.Context(), after, nil, limit)
		if err != nil {
			tb.Fatal(err)
		}
		c := sweepChunk("", last)
		c.Rows, c.Open, c.Salt = rows, rows < limit, uint32(limit)
		if after != nil {
			c.After = &chunk.Position{ID: *after}
		}
		chunks = append(chunks, c)
		if c.Open {
			return chunks
		}
		after = &last
	}
}

// sums adds all chunks up, and returns how many rows the source has.
func (w *world) sums(tb testing.TB, chunks []chunk.Chunk) (all chunk.Sums, rows int) {
	tb.Helper()
	for _, c := range chunks {
		c.Stage = chunk.AddUp
		b, n, err := w.pair.AddUp(tb.Context(), c)
		if err != nil {
			tb.Fatal(err)
		}
		if err := all.JoinBytes(b); err != nil {
			tb.Fatal(err)
		}
		rows += n
	}
	return all, rows
}

// sweptByBuckets is swept by buckets: what is found among the rows of those that differ.
func (w *world) sweptByBuckets(tb testing.TB, limit int) []string {
	tb.Helper()
	chunks := w.cutBuckets(tb, limit)
	sums, _ := w.sums(tb, chunks)
	differ := sums.Differ()
	var found []string
	for _, c := range chunks {
		c.Stage, c.Differ = chunk.Resolve, differ.String()
		src, des, err := w.pair.ReadBuckets(tb.Context(), c)
		if err != nil {
			tb.Fatal(err)
		}
		var keys []row.Key
		for i := range src.Len() {
			keys = append(keys, src.Key(i))
		}
		more, err := w.pair.ReadDestination(tb.Context(), keys)
		if err != nil {
			tb.Fatal(err)
		}
		for _, d := range row.Compare(src, more) {
			text := src.Key(d.Index).String() + " different"
			if d.Kind == row.Missing {
				text = src.Key(d.Index).String() + " missing"
			}
			for _, i := range d.Columns {
				text += " " + w.pair.Columns()[i]
			}
			found = append(found, text)
		}
		keys = keys[:0]
		for i := range des.Len() {
			keys = append(keys, des.Key(i))
		}
		if src, err = w.pair.ReadSourceByKeys(tb.Context(), keys); err != nil {
			tb.Fatal(err)
		}
		for _, i := range row.Orphans(src, des) {
			found = append(found, des.Key(i).String()+" orphan")
		}
	}
	slices.Sort(found)
	if (differ.Len() == 0) != (len(found) == 0) {
		tb.Errorf("%d buckets differ, found %q", differ.Len(), found)
	}
	return found
}

// TestBucketsOfTablesInDifferentOrder has primary keys of any type, and sides that lie
// in different orders.
func TestBucketsOfTablesInDifferentOrder(t *testing.T) {
	cases := map[string]struct{ src, srcPrimary, des, desPrimary string }{
		"numbers":        {"p BIGINT UNSIGNED NOT NULL", "18446744073709551615 - seq", "p INT NOT NULL", "seq - 50"},
		"text":           {"p VARCHAR(20) NOT NULL", "CONCAT(CHAR(65 + seq % 26), seq)", "p VARCHAR(20) CHARACTER SET latin1 NOT NULL", "CONCAT(seq % 7, 'é', seq)"},
		"bytes":          {"p VARBINARY(9) NOT NULL", "UNHEX(LPAD(HEX(seq * 77 % 256), 4, '0'))", "p BINARY(2) NOT NULL", "UNHEX(LPAD(HEX(256 - seq), 4, '0'))"},
		"decimal, time":  {"p DECIMAL(10,3) NOT NULL", "seq * 13 % 101 / 8", "p DATETIME(3) NOT NULL", "'2024-01-01' + INTERVAL (200 - seq) SECOND"},
		"of two columns": {"p INT NOT NULL, q VARCHAR(9) NOT NULL", "seq % 3, CONCAT('x', seq)", "p VARCHAR(9) NOT NULL, q INT NOT NULL", "CHAR(97 + seq % 5), seq * 31 % 100"},
	}
	for server, db := range servers() {
		for name, c := range cases {
			t.Run(server+" "+name, func(t *testing.T) {
				w := newWorld(t, db, "v INT", "")
				for d, of := range map[*mariadbtest.Database][2]string{w.src: {c.src, c.srcPrimary}, w.des: {c.des, c.desPrimary}} {
					key := "p"
					if strings.Contains(of[0], "q ") {
						key = "p, q"
					}
					d.Exec(t, "DROP TABLE t", fmt.Sprintf("CREATE TABLE t (id BIGINT NOT NULL, %s, k BIGINT NOT NULL UNIQUE, v INT, PRIMARY KEY (%s)) DEFAULT CHARACTER SET utf8mb4", of[0], key),
						fmt.Sprintf("INSERT INTO t SELECT seq, %s, 1000 - seq, seq %% 7 FROM (%s) s", of[1], sequence(100)))
				}
				if plan := w.sweep(t); !plan.Choice {
					t.Fatalf("plan %+v, want one with a choice", plan)
				}
				chunks := w.cutBuckets(t, 7)
				if sums, rows := w.sums(t, chunks); rows != 100 || sums.Bytes() != nil || len(chunks) != 15 {
					t.Errorf("%d rows in %d chunks, want 100 in 15, and no difference", rows, len(chunks))
				}
				w.src.Exec(t, "UPDATE t SET v = 9 WHERE k IN (920, 930)", "DELETE FROM t WHERE k = 950")
				w.des.Exec(t, "DELETE FROM t WHERE k IN (901, 999)")
				want := []string{"901 missing", "920 different v", "930 different v", "950 orphan", "999 missing"}
				for _, limit := range []int{1, 7, 1000} {
					if got := w.sweptByBuckets(t, limit); !slices.Equal(got, want) {
						t.Errorf("chunks of %d: found %q, want %q", limit, got, want)
					}
				}
			})
		}
	}
}

func TestSwappedValuesDoNotCancelOutInBuckets(t *testing.T) {
	w := newWorld(t, mariadbtest.New, "v INT", "")
	for i := range 40 {
		w.both(t, i, fmt.Sprint(i))
	}
	w.des.Exec(t, "UPDATE t SET v = 39 - v")
	if got := w.sweptByBuckets(t, 7); len(got) != 40 {
		t.Errorf("found %d rows that swapped their values, want 40", len(got))
	}
	for _, hash := range []int{table.HashSHA2, table.HashMariaCRC32C, table.HashMariaCRC32, table.HashCRC32} {
		if err := w.pair.Pretend(t.Context(), hash, false); err != nil {
			t.Fatal(err)
		}
		if got := w.sweptByBuckets(t, 7); len(got) != 40 {
			t.Errorf("hash %d: found %d rows that swapped their values, want 40", hash, len(got))
		}
	}
	w.src.Exec(t, "UPDATE t SET v = 39 - v")
	for salt := range uint32(4) {
		chunks := w.cutBuckets(t, 7)
		for i := range chunks {
			chunks[i].Salt = salt
		}
		if sums, _ := w.sums(t, chunks); sums.Bytes() != nil {
			t.Errorf("salt %d: equal tables differ", salt)
		}
	}
}

// A chunk that is cut again within its bounds has two halves that have all of it.
func TestBucketChunkIsHalved(t *testing.T) {
	w := newWorld(t, mariadbtest.New, "v INT", "")
	for i := range 40 {
		w.insert(t, w.src, i, "1")
		if i > 30 {
			w.insert(t, w.des, i, "1")
		}
	}
	whole := w.cutBuckets(t, 20)[1]
	want, rows := w.sums(t, []chunk.Chunk{whole})
	upTo := &whole.UpTo.ID
	mid, n, err := w.pair.CutBuckets(t.Context(), &whole.After.ID, upTo, 5)
	if err != nil || n != 5 {
		t.Fatalf("cut %d rows, error %v", n, err)
	}
	first, second := whole, whole
	first.UpTo.ID, second.After = mid, &chunk.Position{ID: mid}
	got, halves := w.sums(t, []chunk.Chunk{first, second})
	if !slices.Equal(got.Bytes(), want.Bytes()) || halves != rows || rows != 20 {
		t.Errorf("the halves have %d rows, the whole %d", halves, rows)
	}
	last, n, err := w.pair.CutBuckets(t.Context(), &mid, upTo, 1000)
	if err != nil || n != 15 || last != whole.UpTo.ID {
		t.Errorf("the second half ends at %s with %d rows, want %s with 15; error %v", last, n, whole.UpTo.ID, err)
	}
	if _, n, err := w.pair.CutBuckets(t.Context(), upTo, upTo, 10); err != nil || n != 0 {
		t.Errorf("%d rows in an empty range, error %v", n, err)
	}
	for _, bad := range []string{"7", `{"src":["x"]}`, `{"src":["1","2"],"des":["1"]}`} {
		if _, _, err := w.pair.CutBuckets(t.Context(), &bad, nil, 10); err == nil {
			t.Errorf("%q was taken for a place", bad)
		}
	}
}

// TestWhoIsSweptByBuckets has tables large enough for the choice.
func TestWhoIsSweptByBuckets(t *testing.T) {
	const scattered = "seq * 7368787 % 1000000007"
	cases := []struct {
		name, columns, key string
		rows               int
		mode               table.SweepMode
		choice             bool
		why                string
	}{
		{"scattered", "k BIGINT NOT NULL UNIQUE, v INT", scattered, 60_000, table.SweepByBucket, true, "index `k` of p: src is scattered"},
		{"scattered text", "k VARCHAR(40) UNIQUE, v INT", "LEFT(SHA2(seq, 224), 20)", 60_000, table.SweepByBucket, true, "index `k` of p: src is scattered"},
		{"in order", "k BIGINT NOT NULL UNIQUE, v INT", "seq * 3", 60_000, table.SweepByKey, true, "slower than that of the primary key"},
		{"nearly in order", "k BIGINT NOT NULL UNIQUE, v INT", "seq * 10 + seq % 7 * 1000", 60_000, table.SweepByKey, true, "slower"},
		{"few rows", "k BIGINT NOT NULL UNIQUE, v INT", scattered, 1000, table.SweepByKey, true, "slower"},
		{"not unique", "k BIGINT NOT NULL, v INT, KEY (k)", scattered, 10, table.SweepByKey, false, "unique on neither side"},
		{"no checksum", "k BIGINT NOT NULL UNIQUE, v JSON", scattered, 10, table.SweepByKey, false, "v JSON"},
	}
	for server, db := range servers() {
		for _, c := range cases {
			t.Run(server+" "+c.name, func(t *testing.T) {
				w := newWorld(t, db, c.columns, "", func(o *table.PairOptions) { o.Columns = []table.ColumnPair{{Src: "v", Des: "v"}} })
				for _, d := range []*mariadbtest.Database{w.src, w.des} {
					d.Exec(t, fmt.Sprintf("INSERT INTO t SELECT seq, %s, 1 FROM (%s) s", c.key, sequence(c.rows)), "ANALYZE TABLE t")
				}
				plan := w.sweep(t)
				if plan.Mode != c.mode || plan.Choice != c.choice || (plan.Sums != "") != c.choice || !strings.Contains(plan.Why, c.why) {
					t.Errorf("plan %+v, want mode %s because of %q", plan, c.mode, c.why)
				}
				if plan.Mode != table.SweepByBucket {
					return
				}
				if r := table.Check(t.Context(), w.options); !slices.Contains(r.Lines, plan.Why) {
					t.Errorf("Check does not say how the pair is swept: %q", r.Lines)
				}
				chunks := w.cutBuckets(t, 1000)
				q, err := w.pair.AddUpQuery(t.Context(), row.Destination, chunks[30])
				if err != nil {
					t.Fatal(err)
				}
				if scan, index := scanned(t, w.des, q.Text, q.Args); scan > 10 || index < 900 || index > 1100 {
					t.Errorf("read %d rows by a scan and %d by an index, want about 1,000 by the index\n%s", scan, index, q.Text)
				}
			})
		}
	}
}

// What is added up has a name, which is another one for other columns.
func TestSumsOfOtherColumnsHaveAnotherName(t *testing.T) {
	w := newWorld(t, mariadbtest.New, "v INT, w INT", "")
	first := w.sweep(t).Sums
	w.open(t, func(o *table.PairOptions) { o.Columns = o.Columns[:1] })
	second := w.sweep(t).Sums
	w.open(t)
	if again := w.sweep(t).Sums; first == "" || first == second || second != again {
		t.Errorf("names %q, %q and %q", first, second, again)
	}
}

// A table that has lost its primary key is not swept by buckets any more.
func TestDroppedPrimaryKeyEndsBuckets(t *testing.T) {
	w := newWorld(t, mariadbtest.New, "v INT", "")
	w.both(t, 1, "1")
	chunks := w.cutBuckets(t, 10)
	w.des.Exec(t, "ALTER TABLE t DROP PRIMARY KEY")
	if _, _, err := w.pair.AddUp(t.Context(), chunks[0]); err == nil {
		t.Error("rows were added up in the order of no index")
	}
	if plan := w.sweep(t); plan.Choice {
		t.Errorf("plan %+v, want no choice", plan)
	}
	if _, _, err := w.pair.ReadBuckets(t.Context(), chunks[0]); err == nil {
		t.Error("rows were read in the order of no index")
	}
}

// The destination row of a source row that is left out of what is read is looked for like an
// orphan. A bound names the row before it.
func TestRowLeftOutOfBucketsIsThereForItsDestination(t *testing.T) {
	for server, db := range servers() {
		for name, columns := range map[string][2]string{
			"one column":  {"k BIGINT NOT NULL UNIQUE, l INT", "k INT NOT NULL UNIQUE, l INT"},
			"two columns": {"k VARCHAR(20), l INT, UNIQUE (k, l)", "l VARCHAR(30), k BIGINT, UNIQUE (l, k)"},
		} {
			t.Run(server+" "+name, func(t *testing.T) {
				w := newWorld(t, db, "v INT", "", func(o *table.PairOptions) {
					if name == "two columns" {
						o.Source.By, o.Destination.By = []string{"k", "l"}, []string{"l", "k"}
					}
					o.Columns = []table.ColumnPair{{Src: "v", Des: "v"}}
				})
				w.src.Exec(t, "DROP TABLE t", "CREATE TABLE t (id BIGINT NOT NULL, p INT PRIMARY KEY, "+columns[0]+", v INT)",
					fmt.Sprintf("INSERT INTO t SELECT seq, -seq, 100 + seq, seq %% 4, 1 FROM (%s) s", sequence(20)))
				w.des.Exec(t, "DROP TABLE t", "CREATE TABLE t (p INT PRIMARY KEY, "+columns[1]+", v INT)",
					fmt.Sprintf("INSERT INTO t SELECT seq, 100 + seq, seq %% 4, 1 FROM (%s) s", sequence(20)))
				w.src.Exec(t, "DELETE FROM t WHERE id = 12")
				rows := 0
				var orphans, ids []string
				for _, c := range w.cutBuckets(t, 1) {
					c.Stage, c.Skip = chunk.Resolve, []string{"7", "12", "20", "99"}
					src, des, err := w.pair.ReadBuckets(t.Context(), c)
					if err != nil {
						t.Fatal(err)
					}
					rows += src.Len()
					keys := make([]row.Key, des.Len())
					for i := range keys {
						keys[i] = des.Key(i)
					}
					there, err := w.pair.ReadSourceKeys(t.Context(), keys)
					if err != nil {
						t.Fatal(err)
					}
					for _, i := range row.Orphans(there, des) {
						orphans = append(orphans, des.Key(i).String())
					}
					w.pair.Release(src, des, there)
					var after *string
					if c.After != nil {
						after = &c.After.ID
					}
					id, err := w.pair.IDBetween(t.Context(), after, c.UpTo.ID)
					if err != nil {
						t.Fatal(err)
					}
					ids = append(ids, id)
				}
				if rows != 17 || len(orphans) != 1 || !strings.HasPrefix(orphans[0], "112") {
					t.Errorf("%d source rows, orphans %q, want 17 and the destination row of 12", rows, orphans)
				}
				if slices.Sort(ids); len(ids) != 21 || ids[0] != "" || ids[1] != "" || ids[2] != "1" || ids[20] != "9" {
					t.Errorf("the bounds name %q, want each row once, and twice none", ids)
				}
			})
		}
	}
}
