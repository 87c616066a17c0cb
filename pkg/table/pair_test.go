package table_test

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/masixun71/cupid/pkg/chunk"
	"github.com/masixun71/cupid/pkg/mariadb/mariadbtest"
	"github.com/masixun71/cupid/pkg/table"
)

func TestMissingAndDifferentRowsAreFound(t *testing.T) {
	for server, db := range servers() {
		t.Run(server, func(t *testing.T) {
			w := newWorld(t, db, "v INT, w VARCHAR(20)", "")
			w.both(t, 1, "1, 'a'")
			w.insert(t, w.src, 2, "1, 'a'")
			w.insert(t, w.src, 3, "1, 'a'")
			w.insert(t, w.des, 3, "1, 'b'")
			w.wantFound(t, "2 missing", "3 different w")
		})
	}
}

// everyType is a column of every type, and a value of each.
var everyType = []struct{ ddl, value string }{
	{"TINYINT", "-128"},
	{"TINYINT UNSIGNED", "255"},
	{"BOOL", "TRUE"},
	{"SMALLINT ZEROFILL", "7"},
	{"MEDIUMINT", "-8388608"},
	{"INT UNSIGNED", "4294967295"},
	{"BIGINT", "-9223372036854775808"},
	{"BIGINT UNSIGNED", "18446744073709551615"},
	{"DECIMAL(65,30)", "12345678901234567890123456789012345.123456789012345678901234567890"},
	{"FLOAT", "0.1"},
	{"DOUBLE", "1.7976931348623157e308"},
	{"BIT(1)", "b'1'"},
	{"BIT(64)", "x'FFFFFFFFFFFFFFFF'"},
	{"YEAR", "2155"},
	{"DATE", "'9999-12-31'"},
	{"TIME", "'-838:59:59'"},
	{"TIME(6)", "'12:34:56.789012'"},
	{"DATETIME", "'1000-01-01 00:00:00'"},
	{"DATETIME(6)", "'2024-02-29 23:59:59.999999'"},
	{"TIMESTAMP NULL", "'2024-02-29 23:59:59'"},
	{"TIMESTAMP(3) NULL", "'2024-02-29 23:59:59.999'"},
	{"CHAR(10)", "'ab'"},
	{"VARCHAR(10) CHARACTER SET latin1", "'äöü'"},
	{"VARCHAR(10) CHARACTER SET ucs2", "'中文'"},
	{"TINYTEXT", "'tiny'"},
	{"TEXT", `'quote " backslash \\\\ line \n end'`},
	{"MEDIUMTEXT", "'😀'"},
	{"LONGTEXT", "''"},
	{"BINARY(4)", "x'00FF'"},
	{"VARBINARY(10)", "x'FFFE00'"},
	{"TINYBLOB", "x'00'"},
	{"BLOB", "x'80'"},
	{"MEDIUMBLOB", "REPEAT(x'C3', 70000)"},
	{"LONGBLOB", "x''"},
	{"ENUM('a','b c')", "'b c'"},
	{"SET('a','b','c')", "'a,c'"},
	{"JSON", `'{"a": [1, 2.50, null, "x"]}'`},
	{"GEOMETRY", "POINT(1.5, -2)"},
}

func TestEqualRowsOfEveryTypeDoNotDiverge(t *testing.T) {
	for server, db := range servers() {
		t.Run(server, func(t *testing.T) {
			var columns, values, nulls []string
			for i, e := range everyType {
				columns = append(columns, fmt.Sprintf("c%d %s", i, e.ddl))
				values = append(values, e.value)
				nulls = append(nulls, "NULL")
			}
			// One INSERT for both sides, whose zones differ as those of two servers may.
			w := newWorld(t, db, strings.Join(columns, ", "), "")
			w.both(t, 1, strings.Join(values, ", "))
			w.both(t, 2, strings.Join(nulls, ", "))
			w.wantFound(t)
			for i, e := range everyType {
				w.des.Exec(t, fmt.Sprintf("UPDATE t SET c%d = NULL WHERE id = 1", i))
				if got, want := w.found(t), []string{fmt.Sprintf("1 different c%d", i)}; !slices.Equal(got, want) {
					t.Errorf("%s against NULL: found %q, want %q", e.ddl, got, want)
				}
				w.des.Exec(t, fmt.Sprintf("UPDATE t SET c%d = %s WHERE id = 1", i, e.value))
			}
		})
	}
}

func TestReadFull(t *testing.T) {
	for server, db := range servers() {
		t.Run(server, func(t *testing.T) {
			w := newWorld(t, db, "n DECIMAL(10,2), d DATETIME(3), s TIMESTAMP NULL, x VARCHAR(30), b VARBINARY(5), f FLOAT, u BIGINT UNSIGNED, `odd \"name` INT",
				"", func(o *table.PairOptions) {
					o.Source.TimeZone = "+08:00"
					o.Columns = o.Columns[:1]
				})
			execAs(t, w.src, "SET time_zone = '+08:00'",
				`INSERT INTO t VALUES (1, 10, 1.50, '2024-05-06 07:08:09.120', '2024-05-06 07:08:09', 'a"ü', x'FF00', 0.1, 18446744073709551615, NULL)`,
				"INSERT INTO t (id, k) VALUES (2, 20)")
			batch, payloads, err := w.pair.ReadFull(t.Context(), []string{"2", "3", "1", "1"}, false)
			if err != nil {
				t.Fatal(err)
			}
			if batch.Len() != 2 || len(payloads) != 2 {
				t.Fatalf("%d rows, %d payloads", batch.Len(), len(payloads))
			}
			i := slices.Index([]string{batch.ID(0), batch.ID(1)}, "1")
			want := `{"id":1,"k":10,"n":"1.50","d":"2024-05-06 07:08:09.120","s":"2024-05-06 07:08:09","x":"a\"ü","b":"/wA=","f":0.1,` +
				`"u":18446744073709551615,"odd \"name":null}`
			if got := string(payloads[i]); got != want {
				t.Errorf("payload\n%s, want\n%s", got, want)
			}
			if got := batch.Key(i).String(); got != "10" {
				t.Errorf("key %s, want 10", got)
			}
			_, payloads, err = w.pair.ReadFull(t.Context(), []string{"1"}, true)
			if err != nil {
				t.Fatal(err)
			}
			if got, want := string(payloads[0]), `{"id":"1","k":"10",`; !strings.HasPrefix(got, want) {
				t.Errorf("payload of strings %s", got)
			}
		})
	}
}

func TestReadSource(t *testing.T) {
	for server, db := range servers() {
		t.Run(server, func(t *testing.T) {
			w := newWorld(t, db, "v INT", "", func(o *table.PairOptions) { o.Source.Where = "v <> 13" })
			insert(t, w.src, 3000, "seq, seq")
			var ids []string
			for i := range 3100 {
				ids = append(ids, strconv.Itoa(i+1))
			}
			batch, err := w.pair.ReadSource(t.Context(), ids)
			if err != nil {
				t.Fatal(err)
			}
			if batch.Len() != 2999 {
				t.Errorf("%d rows, want those that exist and meet the condition, 2999", batch.Len())
			}
		})
	}
}

func TestUnsignedAndTextIDs(t *testing.T) {
	for server, db := range servers() {
		t.Run(server, func(t *testing.T) {
			for _, c := range []struct{ ddl, values string }{
				{"`row id` BIGINT UNSIGNED PRIMARY KEY", "(1,1), (9223372036854775808,2), (18446744073709551615,3)"},
				{"`row id` VARCHAR(20) CHARACTER SET latin1 PRIMARY KEY", "('a',1), ('ä b',2), ('z''z',3)"},
				{"`row id` BINARY(3) PRIMARY KEY", "(x'000001',1), (x'5C5C5C',2), (x'FFFFFF',3)"},
			} {
				t.Run(c.ddl, func(t *testing.T) {
					w := newWorld(t, db, "v INT", "", func(o *table.PairOptions) {
						o.Source.Table, o.Source.IDColumn = "a`;drop", "row id"
						o.Columns = nil
					})
					w.src.Exec(t, "CREATE TABLE `a``;drop` ("+c.ddl+", k INT)", "INSERT INTO `a``;drop` VALUES "+c.values)
					w.des.Exec(t, "INSERT INTO t VALUES (1, 1, 0), (2, 3, 0)")
					src, _, found, err := compare(t.Context(), w.pair, w.everything(t))
					if err != nil {
						t.Fatal(err)
					}
					if len(found) != 1 || found[0].Kind != 1 {
						t.Fatalf("found %+v", found)
					}
					id := src.ID(found[0].Index)
					again, err := w.pair.ReadSource(t.Context(), []string{id})
					if err != nil || again.Len() != 1 || again.ID(0) != id || again.Key(0).String() != "2" {
						t.Errorf("reading row %q again: %d rows, error %v", id, again.Len(), err)
					}
				})
			}
		})
	}
}

// TestTimestampAgainstDatetime has a source whose writers are in +08:00 and mapped columns
// that hold the same times, once as an instant and once as the writers' clock showed it.
func TestTimestampAgainstDatetime(t *testing.T) {
	for server, db := range servers() {
		t.Run(server, func(t *testing.T) {
			for _, c := range []struct{ src, des string }{
				{"TIMESTAMP(3) NULL", "DATETIME(3)"},
				{"DATETIME(3)", "TIMESTAMP(3) NULL"},
				{"TIMESTAMP(3) NULL", "VARCHAR(30)"},
				{"TIMESTAMP(3) NULL", "TIMESTAMP(3) NULL"},
			} {
				t.Run(c.src+" "+c.des, func(t *testing.T) {
					w := newWorld(t, db, "v "+c.src, "v "+c.des, func(o *table.PairOptions) {
						o.Source.TimeZone, o.Destination.TimeZone = "+08:00", "+08:00"
					})
					for n, value := range []string{"'2024-05-06 07:08:09.125'", "NULL", "'2024-10-27 02:30:00.000'"} {
						for _, d := range []*mariadbtest.Database{w.src, w.des} {
							execAs(t, d, "SET time_zone = '+08:00'", fmt.Sprintf("INSERT INTO t VALUES (%d, %d, %s)", n, n, value))
						}
					}
					w.wantFound(t)
					w.des.Exec(t, "UPDATE t SET v = '2024-05-06 07:08:10.125' WHERE id = 0")
					w.wantFound(t, "0 different v")
				})
			}
		})
	}
}

func TestSessionIsPinned(t *testing.T) {
	for server, db := range servers() {
		t.Run(server, func(t *testing.T) {
			w := newWorld(t, db, "v CHAR(5), s TIMESTAMP NULL, x VARCHAR(5)", "", func(o *table.PairOptions) {
				// What a server may have as its defaults, and a dsn of the original may say.
				o.Source.DSN.Params = map[string]string{
					"charset": "latin1", "time_zone": "'-05:00'", "parseTime": "true", "sql_select_limit": "1",
					"sql_mode": "'PAD_CHAR_TO_FULL_LENGTH,ANSI_QUOTES'",
				}
			})
			w.both(t, 1, "'a', '2024-05-06 07:08:09', '中'")
			w.both(t, 2, "'b', '2024-05-06 07:08:09', '😀'")
			w.wantFound(t)
			w.insert(t, w.src, 3, "'c', NULL, NULL")
			w.wantFound(t, "3 missing")
		})
	}
}

func TestConcurrentReads(t *testing.T) {
	w := newWorld(t, mariadbtest.New, "v INT", "")
	insert(t, w.src, 2000, "seq, seq")
	insert(t, w.des, 2000, "seq, seq")
	w.des.Exec(t, "DELETE FROM t WHERE id = 1500")
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			c := chunk.Chunk{Scan: chunk.Insert, After: &chunk.Position{ID: strconv.Itoa(i * 250)}, UpTo: chunk.Position{ID: strconv.Itoa(i*250 + 250)}, Rows: 250}
			for range 5 {
				src, des, found, err := compare(t.Context(), w.pair, c)
				if err != nil {
					t.Error(err)
					return
				}
				missing := 0
				if i == 5 {
					missing = 1
				}
				if src.Len() != 250 || des.Len() != 250-missing || len(found) != missing {
					t.Errorf("chunk %d: %d and %d rows, %d divergences", i, src.Len(), des.Len(), len(found))
				}
			}
		})
	}
	wg.Wait()
}
