package table_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/masixun71/cupid/pkg/chunk"
	"github.com/masixun71/cupid/pkg/dsn"
	"github.com/masixun71/cupid/pkg/mariadb"
	"github.com/masixun71/cupid/pkg/mariadb/mariadbtest"
	"github.com/masixun71/cupid/pkg/table"
)

// sourceOf makes a source on a table t of this DDL.
func sourceOf(tb testing.TB, db *mariadbtest.Database, columns string, change ...func(*table.SideOptions)) *table.Source {
	tb.Helper()
	db.Exec(tb, "CREATE TABLE t ("+columns+")")
	o := side(tb, "p: src", db)
	for _, c := range change {
		c(&o)
	}
	s := table.NewSource(o)
	tb.Cleanup(func() {
		if err := s.Close(); err != nil {
			tb.Error(err)
		}
	})
	return s
}

// cutAll cuts everything above after into chunks, as "last/rows".
func cutAll(t *testing.T, s *table.Source, after *string, limit int) []string {
	t.Helper()
	chunks := []string{}
	for {
		last, rows, err := s.CutIDs(t.Context(), after, nil, limit)
		if err != nil {
			t.Fatal(err)
		}
		if rows == 0 {
			return chunks
		}
		chunks = append(chunks, fmt.Sprintf("%s/%d", last, rows))
		after = &last
	}
}

func TestCutIDs(t *testing.T) {
	for server, db := range servers() {
		t.Run(server, func(t *testing.T) {
			for _, c := range []struct {
				name, columns, values, idColumn string
				want                            []string
			}{
				{name: "dense", columns: "id INT PRIMARY KEY", values: "(1), (2), (3), (4), (5)", want: []string{"2/2", "4/2", "5/1"}},
				{name: "full chunks only", columns: "id INT PRIMARY KEY", values: "(1), (2)", want: []string{"2/2"}},
				{
					name: "snowflake", columns: "id BIGINT PRIMARY KEY", values: "(1541815603606036480), (1541815603606036485), (7241815603606036480)",
					want: []string{"1541815603606036485/2", "7241815603606036480/1"},
				},
				{
					name: "unsigned above 2^63", columns: "id BIGINT UNSIGNED PRIMARY KEY", values: "(9223372036854775807), (9223372036854775808), (18446744073709551615)",
					want: []string{"9223372036854775808/2", "18446744073709551615/1"},
				},
				{name: "negative", columns: "id INT PRIMARY KEY", values: "(-5), (0), (5)", want: []string{"0/2", "5/1"}},
				{name: "text", columns: "id VARCHAR(20) PRIMARY KEY", values: "('b'), ('A'), ('c')", want: []string{"b/2", "c/1"}},
				{name: "text in latin1", columns: "id VARCHAR(20) CHARACTER SET latin1 PRIMARY KEY", values: "('b'), ('ä'), ('c')", want: []string{"c/2", "ä/1"}},
				{name: "binary", columns: "id BINARY(2) PRIMARY KEY", values: "(x'00ff'), (x'ff00'), (x'0100')", want: []string{"0100/2", "ff00/1"}},
				{name: "decimal", columns: "id DECIMAL(30,0) PRIMARY KEY", values: "(100000000000000000001), (100000000000000000002), (9)", want: []string{"100000000000000000001/2", "100000000000000000002/1"}},
				{name: "another name", columns: "`order id` INT PRIMARY KEY", idColumn: "order id", values: "(10), (20), (30)", want: []string{"20/2", "30/1"}},
				{name: "not unique", columns: "id INT, KEY(id)", values: "(1), (1), (1), (2)", want: []string{"1/2", "2/1"}},
				{name: "empty", columns: "id INT PRIMARY KEY", want: []string{}},
			} {
				t.Run(c.name, func(t *testing.T) {
					d := db(t)
					s := sourceOf(t, d, c.columns, func(o *table.SideOptions) { o.IDColumn = c.idColumn })
					if c.values != "" {
						d.Exec(t, "INSERT INTO t VALUES "+c.values)
					}
					if got := cutAll(t, s, nil, 2); !slices.Equal(got, c.want) {
						t.Errorf("cut into %q, want %q", got, c.want)
					}
				})
			}
		})
	}
}

func TestCutIDsKeepsToItsBounds(t *testing.T) {
	for server, db := range servers() {
		t.Run(server, func(t *testing.T) {
			d := db(t)
			s := sourceOf(t, d, "id INT PRIMARY KEY, v INT", func(o *table.SideOptions) { o.Where = "v > 0 -- only these" })
			d.Exec(t, "INSERT INTO t VALUES (1,1), (2,1), (3,0), (4,1), (5,1), (6,1)")
			after, upTo := "1", "5"
			last, rows, err := s.CutIDs(t.Context(), &after, &upTo, 10)
			if err != nil || last != "5" || rows != 3 {
				t.Errorf("cut %s, %d rows, error %v; want 5, 3 rows", last, rows, err)
			}
			if last, rows, err = s.CutIDs(t.Context(), &after, &upTo, 2); err != nil || last != "4" || rows != 2 {
				t.Errorf("cut %s, %d rows, error %v; want 4, 2 rows", last, rows, err)
			}
			if _, rows, err = s.CutIDs(t.Context(), &upTo, &upTo, 2); err != nil || rows != 0 {
				t.Errorf("cut %d rows of nothing, error %v", rows, err)
			}
			if _, _, err = s.CutIDs(t.Context(), &upTo, nil, 0); err == nil {
				t.Error("a chunk of no rows was cut")
			}
		})
	}
}

func TestATableThatGrowsWhileItIsCutIsCutWhole(t *testing.T) {
	d := mariadbtest.New(t)
	s := sourceOf(t, d, "id BIGINT AUTO_INCREMENT PRIMARY KEY, v INT")
	grow := func() { d.Exec(t, "INSERT INTO t (v) VALUES (1), (2), (3), (4), (5), (6), (7)") }
	grow()
	var after *string
	total := 0
	for range 20 {
		last, rows, err := s.CutIDs(t.Context(), after, nil, 3)
		if err != nil {
			t.Fatal(err)
		}
		grow()
		total += rows
		after = &last
	}
	head, ok, err := s.Head(t.Context())
	if err != nil || !ok || head != "147" {
		t.Errorf("head %s %v, error %v", head, ok, err)
	}
	rest := cutAll(t, s, after, 1000)
	if total != 60 || len(rest) != 1 || rest[0] != "147/87" {
		t.Errorf("%d rows, then %q; want 60, then 147/87", total, rest)
	}
}

func TestHeadOfAnEmptyTable(t *testing.T) {
	for server, db := range servers() {
		t.Run(server, func(t *testing.T) {
			s := sourceOf(t, db(t), "id INT AUTO_INCREMENT PRIMARY KEY")
			if id, ok, err := s.Head(t.Context()); ok || err != nil {
				t.Errorf("head %q %v, error %v", id, ok, err)
			}
			if gives, err := s.ServerGivesIDs(t.Context()); !gives || err != nil {
				t.Errorf("server gives ids: %v, error %v", gives, err)
			}
		})
	}
}

func TestAnIDOfAnotherTypeIsAFault(t *testing.T) {
	s := sourceOf(t, mariadbtest.New(t), "id INT PRIMARY KEY")
	after := "abc"
	_, _, err := s.CutIDs(t.Context(), &after, nil, 10)
	wantFault(t, err, `"abc" is no value of column`+" `id`")
}

// pageUpdates reads a window page by page through cuts and ranges, and returns the
// ids in the order in which they came and the number of pages.
func pageUpdates(t *testing.T, w *world, lo, hi string, limit int) (ids []string, pages int) {
	t.Helper()
	var after *chunk.Position
	for {
		last, rows, err := w.source.CutUpdates(t.Context(), after, lo, hi, limit)
		if err != nil {
			t.Fatal(err)
		}
		if rows == 0 {
			return ids, pages
		}
		c := chunk.Chunk{ID: "1", Pair: "p", Scan: chunk.Update, After: after, From: lo, UpTo: last, Rows: rows}
		src, err := w.pair.ReadRange(t.Context(), c)
		if err != nil {
			t.Fatal(err)
		}
		if src.Len() != rows {
			t.Errorf("page up to %v has %d rows, %d were cut", last, src.Len(), rows)
		}
		for i := range src.Len() {
			ids = append(ids, src.ID(i))
		}
		pages++
		after = &last
	}
}

func TestUpdatesArePagedOnValueAndID(t *testing.T) {
	for server, db := range servers() {
		t.Run(server, func(t *testing.T) {
			for _, kind := range []string{"DATETIME", "TIMESTAMP NULL", "VARCHAR(30)"} {
				t.Run(kind, func(t *testing.T) {
					w := newWorld(t, db, "u "+kind, "", func(o *table.PairOptions) { o.Source.UpdateColumn = "u" })
					w.src.Exec(t, "SET time_zone = '+00:00'", `INSERT INTO t VALUES (1,1,'2024-05-06 00:00:00'), (9,9,'2024-05-06 00:00:01'),
					(4,4,'2024-05-06 00:00:01'), (5,5,'2024-05-06 00:00:01'), (6,6,'2024-05-06 00:00:01'), (2,2,'2024-05-06 00:00:02'),
					(3,3,'2024-05-06 00:00:03'), (7,7,NULL), (8,8,'2024-05-06 00:00:04')`)
					ids, pages := pageUpdates(t, w, "2024-05-06 00:00:01", "2024-05-06 00:00:03", 2)
					slices.Sort(ids)
					if want := []string{"2", "3", "4", "5", "6", "9"}; !slices.Equal(ids, want) || pages != 3 {
						t.Errorf("read %q on %d pages, want %q on 3", ids, pages, want)
					}
				})
			}
		})
	}
}

// indexReads is how many rows the server has read so far by walking along an index.
func indexReads(t *testing.T, d *mariadbtest.Database) int {
	t.Helper()
	var counts []struct {
		Name  string `db:"Variable_name"`
		Value int    `db:"Value"`
	}
	err := d.DB.SelectContext(t.Context(), &counts, `SHOW GLOBAL STATUS WHERE Variable_name IN
		('Handler_read_next', 'Handler_read_prev', 'Handler_read_rnd_next')`)
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, c := range counts {
		n += c.Value
	}
	return n
}

// TestAMillionRowsOfOneTimestampArePages has fewer rows than that, and counts what the
// server reads: a page in the middle must not pass over the pages before it.
func TestAMillionRowsOfOneTimestampArePages(t *testing.T) {
	for server, db := range servers() {
		t.Run(server, func(t *testing.T) {
			const rows, page = 50_000, 500
			w := newWorld(t, db, "u DATETIME", "", func(o *table.PairOptions) { o.Source.UpdateColumn = "u" })
			insert(t, w.src, rows, "seq, '2024-05-06 07:08:09'")
			w.src.Exec(t, "INSERT INTO t VALUES (60000, 60000, '2024-05-06 07:08:08'), (60001, 60001, '2024-05-06 07:08:10')",
				"ALTER TABLE t ADD INDEX (u)", "ANALYZE TABLE t")
			lo, hi := "2024-05-06 07:08:08", "2024-05-06 07:08:10"
			var after *chunk.Position
			total := 0
			for n := 0; ; n++ {
				before := indexReads(t, w.src)
				last, count, err := w.source.CutUpdates(t.Context(), after, lo, hi, page)
				if err != nil {
					t.Fatal(err)
				}
				if count == 0 {
					break
				}
				cut := indexReads(t, w.src)
				c := chunk.Chunk{ID: "1", Pair: "p", Scan: chunk.Update, After: after, From: lo, UpTo: last, Rows: count}
				batch, err := w.pair.ReadRange(t.Context(), c)
				if err != nil {
					t.Fatal(err)
				}
				if read := indexReads(t, w.src); n > 0 && (cut-before > 5*page || read-cut > 5*page) {
					t.Fatalf("page %d of %d rows: the server read %d rows to cut it and %d to read it", n, page, cut-before, read-cut)
				}
				total, after = total+batch.Len(), &last
			}
			if total != rows+2 {
				t.Errorf("%d rows, want %d", total, rows+2)
			}
		})
	}
}

func TestWindow(t *testing.T) {
	at := func(text string) time.Time {
		parsed, err := time.Parse(time.RFC3339Nano, text)
		if err != nil {
			t.Fatal(err)
		}
		return parsed
	}
	for _, c := range []struct {
		name, column, zone, format, from, to, lo, hi string
	}{
		{"datetime", "DATETIME", "+08:00", "", "2024-05-06T00:00:01.9Z", "2024-05-06T00:00:07.9Z", "2024-05-06 08:00:01", "2024-05-06 08:00:07"},
		{"fractions", "DATETIME(3)", "-03:30", "", "2024-05-06T00:00:01.9876Z", "2024-05-06T00:00:07.1234Z", "2024-05-05 20:30:01.987", "2024-05-05 20:30:07.123"},
		{"timestamp", "TIMESTAMP(6) NULL", "+08:00", "", "2024-05-06T00:00:01.9Z", "2024-05-06T00:00:07Z", "2024-05-06 00:00:01.900000", "2024-05-06 00:00:07.000000"},
		{"date", "DATE", "Asia/Shanghai", "", "2024-05-06T15:59:59Z", "2024-05-06T16:00:01Z", "2024-05-06", "2024-05-07"},
		{"text", "VARCHAR(30)", "Asia/Shanghai", "Y/m/d H:i", "2024-05-06T00:00:01Z", "2024-05-06T00:01:07Z", "2024/05/06 08:00", "2024/05/06 08:01"},
		{"seconds", "BIGINT", "Asia/Shanghai", "U", "2024-05-06T00:00:01Z", "2024-05-06T00:01:07Z", "1714953601", "1714953667"},
		// Clocks in Berlin went back from 03:00 to 02:00 at 01:00Z: 02:59:58 came before 02:00:01.
		{"end of daylight saving", "DATETIME", "Europe/Berlin", "", "2024-10-27T00:59:58Z", "2024-10-27T01:00:01Z", "2024-10-27 01:59:58", "2024-10-27 03:00:01"},
		{"start of daylight saving", "DATETIME", "Europe/Berlin", "", "2024-03-31T00:59:58Z", "2024-03-31T01:00:01Z", "2024-03-31 00:59:58", "2024-03-31 04:00:01"},
		{"in the hour that comes twice", "DATETIME", "Europe/Berlin", "", "2024-10-27T01:30:00Z", "2024-10-27T01:30:05Z", "2024-10-27 02:30:00", "2024-10-27 02:30:05"},
		{"timestamps have no such hour", "TIMESTAMP NULL", "Europe/Berlin", "", "2024-10-27T00:59:58Z", "2024-10-27T01:00:01Z", "2024-10-27 00:59:58", "2024-10-27 01:00:01"},
		{"after days without cupid", "DATETIME", "Europe/Berlin", "", "2024-01-01T00:00:00Z", "2024-01-10T00:00:00Z", "2023-12-31 23:00:00", "2024-01-10 03:00:00"},
		{"a clock that was set back", "DATETIME", "+00:00", "", "2024-05-06T00:00:09Z", "2024-05-06T00:00:07Z", "2024-05-06 00:00:07", "2024-05-06 00:00:09"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := sourceOf(t, mariadbtest.New(t), "id INT PRIMARY KEY, u "+c.column, func(o *table.SideOptions) {
				o.UpdateColumn, o.TimeZone, o.UpdateFormat = "u", c.zone, c.format
			})
			lo, hi, err := s.Window(t.Context(), at(c.from), at(c.to))
			if err != nil || lo != c.lo || hi != c.hi {
				t.Errorf("window %q to %q, error %v; want %q to %q", lo, hi, err, c.lo, c.hi)
			}
		})
	}
}

// TestWindowCoversEveryWallClock walks over both changes of a year: whatever the clock
// on the wall shows between two instants lies in their window.
func TestWindowCoversEveryWallClock(t *testing.T) {
	zone, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Skip(err)
	}
	s := sourceOf(t, mariadbtest.New(t), "id INT PRIMARY KEY, u DATETIME", func(o *table.SideOptions) {
		o.UpdateColumn, o.TimeZone = "u", zone.String()
	})
	for _, change := range []string{"2024-03-31T01:00:00Z", "2024-10-27T01:00:00Z"} {
		middle, err := time.Parse(time.RFC3339, change)
		if err != nil {
			t.Fatal(err)
		}
		for from := middle.Add(-3 * time.Hour); from.Before(middle.Add(2 * time.Hour)); from = from.Add(29 * time.Minute) {
			to := from.Add(61 * time.Minute)
			lo, hi, err := s.Window(t.Context(), from, to)
			if err != nil {
				t.Fatal(err)
			}
			for at := from; !at.After(to); at = at.Add(time.Minute) {
				if text := at.In(zone).Format(time.DateTime); text < lo || text > hi {
					t.Fatalf("%s, on the wall %s, is outside of %s to %s", at, text, lo, hi)
				}
			}
		}
	}
}

func TestWindowOfTheServersDefaultZone(t *testing.T) {
	for server, db := range servers() {
		t.Run(server, func(t *testing.T) {
			d := db(t)
			s := sourceOf(t, d, "id INT PRIMARY KEY, u DATETIME", func(o *table.SideOptions) { o.UpdateColumn = "u" })
			c, err := s.Clock(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			d.Exec(t, "INSERT INTO t VALUES (1, NOW())")
			lo, hi, err := s.Window(t.Context(), c.Now.Add(-time.Second), c.Now.Add(5*time.Second))
			if err != nil {
				t.Fatal(err)
			}
			if _, rows, err := s.CutUpdates(t.Context(), nil, lo, hi, 10); rows != 1 || err != nil {
				t.Errorf("a row of now is not between %s and %s: %d rows, error %v", lo, hi, rows, err)
			}
		})
	}
}

// TestZonesOfTheSession shows that TIMESTAMP and DATETIME find what a session with a
// zone of its own has written, with TimeZone naming that zone.
func TestZonesOfTheSession(t *testing.T) {
	for server, db := range servers() {
		t.Run(server, func(t *testing.T) {
			for _, kind := range []string{"DATETIME", "DATETIME(6)", "TIMESTAMP NULL", "TIMESTAMP(3) NULL"} {
				t.Run(kind, func(t *testing.T) {
					d := db(t)
					s := sourceOf(t, d, "id INT PRIMARY KEY, u "+kind, func(o *table.SideOptions) {
						o.UpdateColumn, o.TimeZone = "u", "-07:00"
					})
					execAs(t, d, "SET time_zone = '-07:00'", "INSERT INTO t VALUES (1, NOW(6))")
					c, err := s.Clock(t.Context())
					if err != nil {
						t.Fatal(err)
					}
					lo, hi, err := s.Window(t.Context(), c.Now.Add(-time.Minute), c.Now)
					if err != nil {
						t.Fatal(err)
					}
					if _, rows, err := s.CutUpdates(t.Context(), nil, lo, hi, 10); rows != 1 || err != nil {
						t.Errorf("%d rows between %s and %s, error %v", rows, lo, hi, err)
					}
				})
			}
		})
	}
}

// execAs executes statements in one session.
func execAs(tb testing.TB, d *mariadbtest.Database, statements ...string) {
	tb.Helper()
	c, err := d.DB.Connx(tb.Context())
	if err != nil {
		tb.Fatal(err)
	}
	for _, s := range statements {
		if _, err := c.ExecContext(tb.Context(), s); err != nil {
			tb.Fatalf("%s: %v", s, err)
		}
	}
	if _, err := c.ExecContext(tb.Context(), "SET time_zone = DEFAULT"); err != nil {
		tb.Fatal(err)
	}
	if err := c.Close(); err != nil {
		tb.Fatal(err)
	}
}

func TestClock(t *testing.T) {
	for server, db := range servers() {
		t.Run(server, func(t *testing.T) {
			d := db(t)
			s := sourceOf(t, d, "id INT PRIMARY KEY, v INT")
			before := time.Now().Add(-time.Second)
			c, err := s.Clock(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if c.Now.Before(before) || c.Now.After(time.Now().Add(time.Second)) || !c.Visible {
				t.Errorf("clock %+v", c)
			}
			tx, err := d.DB.BeginTxx(t.Context(), nil)
			if err != nil {
				t.Fatal(err)
			}
			var n int
			if err := tx.GetContext(t.Context(), &n, "SELECT COUNT(*) FROM t"); err != nil {
				t.Fatal(err)
			}
			until(t, func() bool { return clock(t, s).Oldest.IsZero() }, "an idle transaction that wrote nothing counts")
			if _, err := tx.ExecContext(t.Context(), "INSERT INTO t VALUES (1, 1)"); err != nil {
				t.Fatal(err)
			}
			until(t, func() bool { return !clock(t, s).Oldest.IsZero() }, "a transaction that wrote does not show")
			if age := time.Since(clock(t, s).Oldest); age < 0 || age > 20*time.Second {
				t.Errorf("the transaction is %v old", age)
			}
			if err := tx.Rollback(); err != nil {
				t.Fatal(err)
			}
			until(t, func() bool { return clock(t, s).Oldest.IsZero() }, "a transaction that ended shows")
		})
	}
}

func clock(t *testing.T, s *table.Source) table.Clock {
	t.Helper()
	c, err := s.Clock(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// until waits for a condition: the server's list of transactions is up to 100 ms old.
func until(t *testing.T, condition func() bool, otherwise string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !condition() {
		select {
		case <-ctx.Done():
			t.Fatal(otherwise)
		case <-tick.C:
		}
	}
}

// A replica lists its own transactions only, and those whose rows it gets run elsewhere.
func TestClockOfAReplicaSeesNoTransactions(t *testing.T) {
	server := mariadbtest.Start(t, mariadb.Options{TCP: true, Args: []string{"--read-only=1"}})
	name, err := server.CreateDatabase(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	d, err := dsn.Parse(server.DSN(name))
	if err != nil {
		t.Fatal(err)
	}
	s := table.NewSource(table.SideOptions{Name: "src", DSN: d, Table: "t", By: []string{"id"}})
	defer func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}()
	if c := clock(t, s); c.Visible || c.Now.IsZero() {
		t.Errorf("clock %+v, want invisible transactions", c)
	}
}

func TestClockWithoutThePrivilege(t *testing.T) {
	for server, db := range servers() {
		t.Run(server, func(t *testing.T) {
			d := db(t)
			reader(t, d, "SELECT ON `"+d.Name+"`.*")
			s := sourceOf(t, d, "id INT PRIMARY KEY", asReader(d))
			for range 2 { // the second time it is not even asked
				if c := clock(t, s); c.Visible || c.Now.IsZero() || !c.Oldest.IsZero() {
					t.Errorf("clock %+v", c)
				}
			}
		})
	}
}
