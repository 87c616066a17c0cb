package table_test

import (
	"math/rand/v2"
	"slices"
	"strconv"
	"testing"

	"github.com/masixun71/cupid/pkg/chunk"
	"github.com/masixun71/cupid/pkg/mariadb/mariadbtest"
	"github.com/masixun71/cupid/pkg/table"
)

// changed makes a table whose key is the id, of a type, with an update column.
func changed(t *testing.T, typ string, change ...func(*table.PairOptions)) *world {
	t.Helper()
	w := newWorld(t, mariadbtest.New, "k INT, v INT, u TIMESTAMP NOT NULL DEFAULT '2026-01-01', INDEX (u)", "", append(change, func(o *table.PairOptions) {
		o.Source.By, o.Destination.By, o.Source.UpdateColumn = []string{"id"}, []string{"id"}, "u"
		o.Columns = []table.ColumnPair{{Src: "v", Des: "v"}}
	})...)
	for _, d := range []*mariadbtest.Database{w.src, w.des} {
		d.Exec(t, "ALTER TABLE t MODIFY id "+typ+" NOT NULL")
	}
	return w
}

// window is the chunk of everything that was updated in the first hour.
func (w *world) window(t *testing.T, rows int) chunk.Chunk {
	t.Helper()
	const from, to = "2026-01-01 00:00:00", "2026-01-01 01:00:00"
	last, n, err := w.source.CutUpdates(t.Context(), nil, from, to, 1<<20)
	if err != nil || n != rows {
		t.Fatalf("%d rows, %v, want %d", n, err, rows)
	}
	return chunk.Chunk{Pair: "p", Scan: chunk.Update, From: from, UpTo: last, Rows: n}
}

// Rows that were written in bulk are compared by checksums, also where others were
// written among them, and what differs is found wherever it lies.
func TestUpdatesInBulkAreSummed(t *testing.T) {
	w := changed(t, "BIGINT")
	const bulk, old, rows = 12_000, 30, 12_030
	for _, d := range []*mariadbtest.Database{w.src, w.des} {
		// 10,001 to 22,000 in bulk, a row a gap; in between 30 old rows; those of other times do not count.
		d.Exec(t, "INSERT INTO t (id, v, u) SELECT 10000 + seq, seq, '2026-01-01' + INTERVAL seq DIV 100 SECOND FROM seq_1_to_12000",
			"INSERT INTO t (id, v, u) SELECT seq * 100, seq, '2026-01-01' + INTERVAL seq SECOND FROM seq_1_to_30",
			"INSERT INTO t (id, v, u) SELECT 50000 + seq, seq, '2026-02-01' FROM seq_1_to_50")
	}
	equal, known, err := w.pair.SumUpdates(t.Context(), w.window(t, rows))
	if err != nil || !known || equal.Rows != rows || equal.Summed != bulk || equal.Differ != 0 || len(equal.Read) != old {
		t.Fatalf("equal: %d of %d rows added up, %d differ, %d to be read, known %v, %v", equal.Summed, equal.Rows, equal.Differ, len(equal.Read), known, err)
	}
	for _, c := range []struct {
		name    string
		damage  string
		differs []string
		repair  string
	}{
		{"in the middle", "UPDATE t SET v = -1 WHERE id = 17000", []string{"17000"}, "UPDATE t SET v = 7000 WHERE id = 17000"},
		{"the first", "UPDATE t SET v = NULL WHERE id = 10001", []string{"10001"}, "UPDATE t SET v = 1 WHERE id = 10001"},
		{"the last", "DELETE FROM t WHERE id = 22000", []string{"22000"}, "INSERT INTO t (id, v) VALUES (22000, 12000)"},
		{"scattered", "UPDATE t SET v = -1 WHERE id = 700", []string{"700"}, "UPDATE t SET v = 7 WHERE id = 700"},
		{
			"two at once", "UPDATE t SET v = IF(id = 13000, 3001, 3000) WHERE id IN (13000, 13001)",
			[]string{"13000", "13001"},
			"UPDATE t SET v = id - 10000 WHERE id IN (13000, 13001)",
		},
		{
			"in two parts", "UPDATE t SET v = -1 WHERE id IN (10500, 21500)",
			[]string{"10500", "21500"},
			"UPDATE t SET v = id - 10000 WHERE id IN (10500, 21500)",
		},
	} {
		for salt := range uint32(2) {
			w.des.Exec(t, c.damage)
			all := w.window(t, rows)
			all.Salt = salt
			u, _, err := w.pair.SumUpdates(t.Context(), all)
			if err != nil || len(u.Read) != old+u.Differ || u.Summed != bulk || u.Differ > 2*bulk/3 {
				t.Errorf("%s: %+v, %v", c.name, u, err)
			}
			for _, id := range c.differs {
				if !slices.Contains(u.Read, id) {
					t.Errorf("%s, salt %d: row %s is not to be read", c.name, salt, id)
				}
			}
			all.Skip = c.differs
			if u, _, err := w.pair.SumUpdates(t.Context(), all); err != nil || u.Differ != 0 || u.Rows != rows-len(c.differs) {
				t.Errorf("%s, which is left out: %d of %d rows differ, %v", c.name, u.Differ, u.Rows, err)
			}
			w.des.Exec(t, c.repair)
		}
	}
}

// Runs may be anywhere in the range of a type.
func TestUpdatesAtTheEndsOfAType(t *testing.T) {
	for _, c := range []struct{ typ, first string }{
		{"BIGINT", "-9223372036854775808"},
		{"BIGINT", "-100"},
		{"BIGINT", "9223372036854775608"},
		{"BIGINT UNSIGNED", "0"},
		{"BIGINT UNSIGNED", "9223372036854775708"},
		{"BIGINT UNSIGNED", "18446744073709551416"},
		{"TINYINT UNSIGNED", "0"},
	} {
		t.Run(c.typ+" "+c.first, func(t *testing.T) {
			w := changed(t, c.typ)
			for _, d := range []*mariadbtest.Database{w.src, w.des} {
				d.Exec(t, "INSERT INTO t (id, v) SELECT CAST('"+c.first+"' AS DECIMAL(30)) + seq - 1, seq FROM seq_1_to_200")
			}
			for _, row := range []string{"MIN", "MAX"} {
				var id string
				if err := w.src.DB.GetContext(t.Context(), &id, "SELECT "+row+"(id) FROM t"); err != nil {
					t.Fatal(err)
				}
				if u, _, err := w.pair.SumUpdates(t.Context(), w.window(t, 200)); err != nil || u.Summed != 200 || u.Differ != 0 {
					t.Errorf("equal: %+v, %v", u, err)
				}
				w.des.Exec(t, "UPDATE t SET v = -v WHERE id = "+id)
				if u, _, err := w.pair.SumUpdates(t.Context(), w.window(t, 200)); err != nil || !slices.Contains(u.Read, id) {
					t.Errorf("row %s: %+v, %v", id, u, err)
				}
				w.des.Exec(t, "UPDATE t SET v = ABS(v)")
			}
		})
	}
}

// Rows all over a table are not added up with all that lies between them, but read in parts.
func TestScatteredUpdatesAreReadInParts(t *testing.T) {
	w := changed(t, "BIGINT")
	const rows = 11_000
	for _, d := range []*mariadbtest.Database{w.src, w.des} {
		d.Exec(t, "INSERT INTO t (id, v, u) SELECT seq * 50, seq, '2026-01-01' + INTERVAL seq * 7919 % 3 SECOND FROM seq_1_to_11000")
	}
	all := w.window(t, rows)
	if u, known, err := w.pair.SumUpdates(t.Context(), all); err != nil || !known || u.Summed != 0 || u.Rows != rows || len(u.Read) != 0 {
		t.Errorf("%+v, known %v, %v", u, known, err)
	}
	all.Salt, all.Skip = 3, []string{"50"}
	parts, err := w.pair.Parts(t.Context(), all)
	if err != nil || len(parts) != 3 || parts[0].After != nil || parts[2].UpTo != all.UpTo {
		t.Fatalf("parts %v, %v", parts, err)
	}
	seen := map[string]bool{}
	for i, part := range parts {
		if i > 0 && *part.After != parts[i-1].UpTo || part.From != all.From || part.Salt != 3 {
			t.Errorf("part %+v behind %v", part, parts[max(i-1, 0)])
		}
		b, err := w.pair.ReadRange(t.Context(), part)
		if err != nil || b.Len() < rows/3-1 || b.Len() > rows/3+2 {
			t.Errorf("%d rows in part %d, %v", b.Len(), i, err)
		}
		for i := range b.Len() {
			seen[b.ID(i)] = true
		}
	}
	if len(seen) != rows-1 || seen["50"] {
		t.Errorf("%d rows in all parts, want %d", len(seen), rows-1)
	}
	all.Rows = 100_000 // but most are gone
	if parts, err := w.pair.Parts(t.Context(), all); err != nil || len(parts) > 3 || parts[len(parts)-1].UpTo != all.UpTo {
		t.Errorf("parts %v, %v", parts, err)
	}
}

func TestUpdatesWithoutSums(t *testing.T) {
	w := changed(t, "BIGINT", func(o *table.PairOptions) { o.Source.IDColumn = "k" })
	if _, known, err := w.pair.SumUpdates(t.Context(), chunk.Chunk{Pair: "p", Scan: chunk.Update}); known || err != nil {
		t.Errorf("known %v, %v, though ranges of ids are none of keys", known, err)
	}
}

// Whatever the ids are, each is in one run or in none, and a run has few others between its own.
func TestRunsHaveAllIDs(t *testing.T) {
	rnd := rand.New(rand.NewPCG(3, 4))
	for range 200 {
		var ids []int64
		id := -rnd.Int64N(100_000)
		for range 1 + rnd.IntN(20) {
			gap := 1 + rnd.Int64N(12)
			for range rnd.IntN(3000) {
				id += 1 + rnd.Int64N(gap)
				ids = append(ids, id)
			}
			id += rnd.Int64N(1000)
		}
		runs, scattered := table.RunsOf(ids)
		all := slices.Clone(scattered)
		for _, run := range runs {
			if width := run[len(run)-1] - run[0] + 1; len(run) < table.MinRun || len(run) > table.PartRows || width > int64(2*len(run)) {
				t.Errorf("a run of %d ids from %d to %d", len(run), run[0], run[len(run)-1])
			}
			all = append(all, run...)
		}
		slices.Sort(all)
		if !slices.Equal(all, ids) {
			t.Errorf("%d ids of %d", len(all), len(ids))
		}
	}
	for _, c := range []struct {
		name      string
		ids       []int64
		runs      []int
		scattered int
	}{
		{"none", nil, nil, 0},
		{"too few", count(1, table.MinRun-1), nil, table.MinRun - 1},
		{"enough", count(1, table.MinRun), []int{table.MinRun}, 0},
		{"equal parts", count(1, table.PartRows+2), []int{table.PartRows/2 + 1, table.PartRows/2 + 1}, 0},
		{"over zero", count(-300, 600), []int{600}, 0},
		{"two, and one far off", slices.Concat(count(-1<<40, 1), count(1, 200), count(1000, 300)), []int{200, 300}, 1},
	} {
		runs, scattered := table.RunsOf(c.ids)
		var lengths []int
		for _, run := range runs {
			lengths = append(lengths, len(run))
		}
		if !slices.Equal(lengths, c.runs) || len(scattered) != c.scattered {
			t.Errorf("%s: runs of %v, %d scattered, want %v and %d", c.name, lengths, len(scattered), c.runs, c.scattered)
		}
	}
}

// count are n ids from first on.
func count(first int64, n int) []int64 {
	ids := make([]int64, n)
	for i := range ids {
		ids[i] = first + int64(i)
	}
	return ids
}

// Ids without a gap are read as a range, others as a list: the rows are those that were asked for.
func TestSourceRowsByManyIDs(t *testing.T) {
	w := changed(t, "BIGINT", func(o *table.PairOptions) { o.Source.Where = "v <> 150" })
	w.src.Exec(t, "INSERT INTO t (id, v) SELECT seq, seq FROM seq_1_to_400")
	for name, c := range map[string]struct {
		from, step, n, want int
	}{
		"a range":         {101, 1, 100, 99},
		"a range of few":  {101, 1, 10, 10},
		"a list":          {102, 2, 100, 99},
		"beyond the last": {380, 1, 100, 21},
	} {
		var ids []string
		for i := range c.n {
			ids = append(ids, strconv.Itoa(c.from+i*c.step))
		}
		rand.Shuffle(len(ids), func(i, j int) { ids[i], ids[j] = ids[j], ids[i] })
		ids = append(ids, ids[0]) // twice
		b, err := w.pair.ReadSource(t.Context(), ids)
		if err != nil || b.Len() != c.want {
			t.Errorf("%s: %d rows, %v, want %d", name, b.Len(), err, c.want)
			continue
		}
		for i := range b.Len() {
			if !slices.Contains(ids, b.ID(i)) {
				t.Errorf("%s: row %s was not asked for", name, b.ID(i))
			}
		}
	}
}
