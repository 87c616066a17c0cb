package table_test

import (
	"database/sql/driver"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/masixun71/cupid/pkg/mariadb/mariadbtest"
	"github.com/masixun71/cupid/pkg/row"
	"github.com/masixun71/cupid/pkg/table"
)

// scanned executes a statement and counts the rows that the server reads by scanning
// the table and by an index.
func scanned(t *testing.T, db *mariadbtest.Database, text string, args []driver.Value) (scan, index int) {
	t.Helper()
	c, err := db.DB.Connx(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	}()
	var values []any
	for _, a := range args {
		values = append(values, a)
	}
	for _, s := range []string{"SET time_zone = '+00:00'", "SET NAMES utf8mb4", "FLUSH STATUS"} {
		if _, err := c.ExecContext(t.Context(), s); err != nil {
			t.Fatal(err)
		}
	}
	rows, err := c.QueryContext(t.Context(), text, values...)
	if err != nil {
		t.Fatal(err)
	}
	for rows.Next() { // what is in them does not matter
	}
	if err := errors.Join(rows.Err(), rows.Close()); err != nil {
		t.Fatal(err)
	}
	var counts []struct {
		Name  string `db:"Variable_name"`
		Value int    `db:"Value"`
	}
	if err := c.SelectContext(t.Context(), &counts, "SHOW SESSION STATUS LIKE 'Handler_read%'"); err != nil {
		t.Fatal(err)
	}
	for _, n := range counts {
		switch n.Name {
		case "Handler_read_rnd_next":
			scan += n.Value
		case "Handler_read_key", "Handler_read_next":
			index += n.Value
		}
	}
	return scan, index
}

// keyTypes are key columns of the destination, with a source that is of another type
// where that is likely to make the server compare otherwise than the index is ordered.
var keyTypes = []struct{ src, des, value string }{
	{"BIGINT", "BIGINT", "seq"},
	{"BIGINT", "BIGINT UNSIGNED", "seq"},
	{"BIGINT", "VARCHAR(20)", "seq"},
	{"VARCHAR(20)", "INT", "seq"},
	{"VARCHAR(20)", "VARCHAR(20)", "CONCAT('k', seq)"},
	{"VARCHAR(20)", "VARCHAR(20) CHARACTER SET latin1", "CONCAT('k', seq)"},
	{"VARCHAR(20)", "VARCHAR(20) CHARACTER SET ascii COLLATE ascii_bin", "CONCAT('k', seq)"},
	{"VARCHAR(20)", "CHAR(20) CHARACTER SET utf8mb3", "CONCAT('k', seq)"},
	{"VARCHAR(20)", "VARBINARY(20)", "CONCAT('k', seq)"},
	{"BINARY(16)", "BINARY(16)", "UNHEX(MD5(seq))"},
	{"DECIMAL(20,4)", "DECIMAL(20,4)", "1000000000000000 + seq * 0.0001"},
	{"DECIMAL(20,0)", "DECIMAL(20,0)", "seq + 1000000000000000000"},
	{"DOUBLE", "DOUBLE", "seq + 0.1"},
	{"DATETIME(3)", "DATETIME(3)", "'2024-01-01' + INTERVAL seq * 1000 MICROSECOND"},
	{"DATE", "DATE", "'2004-01-01' + INTERVAL seq DAY"},
	{"TIMESTAMP", "TIMESTAMP", "'2024-01-01' + INTERVAL seq SECOND"},
	{"DATETIME", "TIMESTAMP", "'2024-06-01' + INTERVAL seq SECOND"},
	{"BIT(40)", "BIT(40)", "seq"},
}

func TestKeysOfEveryTypeAreFoundByTheIndex(t *testing.T) {
	for server, db := range servers() {
		t.Run(server, func(t *testing.T) {
			for _, k := range keyTypes {
				t.Run(k.src+" "+k.des, func(t *testing.T) {
					w := newWorld(t, db, "k "+k.src+" NOT NULL", "k "+k.des+" NOT NULL", func(o *table.PairOptions) {
						o.Source.TimeZone, o.Destination.TimeZone = "+00:00", "+00:00"
					})
					fill(t, w, k.value)
					w.des.Exec(t, "ALTER TABLE t ADD UNIQUE (k)", "DELETE FROM t WHERE id = 7")
					w.wantFound(t, "7 missing")
					keys := someKeys(t, w, 100)
					queries, err := w.pair.DestinationQueries(t.Context(), keys)
					if err != nil {
						t.Fatal(err)
					}
					if scan, index := scanned(t, w.des, queries[0].Text, queries[0].Args); scan > 0 || index > 2500 {
						t.Errorf("%d keys: %d rows scanned, %d read by the index", len(keys), scan, index)
					}
				})
			}
		})
	}
}

func TestCompositeKeysAreFoundByTheIndex(t *testing.T) {
	for server, db := range servers() {
		t.Run(server, func(t *testing.T) {
			w := newWorld(t, db, "k BIGINT NOT NULL, l VARCHAR(20) NOT NULL", "", func(o *table.PairOptions) {
				o.Source.By, o.Destination.By = []string{"k", "l"}, []string{"k", "l"}
			})
			fill(t, w, "seq DIV 50, CONCAT('l', seq)")
			w.des.Exec(t, "ALTER TABLE t ADD UNIQUE (k, l)", "DELETE FROM t WHERE id = 7", "ANALYZE TABLE t")
			w.wantFound(t, "7 missing")
			keys := someKeys(t, w, 1000)
			queries, err := w.pair.DestinationQueries(t.Context(), keys)
			if err != nil {
				t.Fatal(err)
			}
			if scan, index := scanned(t, w.des, queries[0].Text, queries[0].Args); scan > 0 || index > 2500 {
				t.Errorf("%d keys: %d rows scanned, %d read by the index", len(keys), scan, index)
			}
		})
	}
}

// fill puts 5,000 rows into both sides; values is an expression of seq.
func fill(t *testing.T, w *world, values string) {
	t.Helper()
	for _, d := range []*mariadbtest.Database{w.src, w.des} {
		insert(t, d, 5000, values)
	}
}

// insert puts rows 1 to n into table t in one statement.
func insert(tb testing.TB, d *mariadbtest.Database, n int, values string) {
	tb.Helper()
	d.Exec(tb, fmt.Sprintf("INSERT INTO t SELECT seq, %s FROM (%s) s", values, sequence(n)))
}

// sequence is a query for the numbers seq from 1 to n, at most a million.
func sequence(n int) string {
	digit := "(SELECT 0 d UNION ALL SELECT 1 UNION ALL SELECT 2 UNION ALL SELECT 3 UNION ALL SELECT 4 UNION ALL " +
		"SELECT 5 UNION ALL SELECT 6 UNION ALL SELECT 7 UNION ALL SELECT 8 UNION ALL SELECT 9)"
	var sum, from []string
	power := 1
	for i := range len(fmt.Sprint(n - 1)) {
		sum = append(sum, fmt.Sprintf("d%d.d * %d", i, power))
		from = append(from, fmt.Sprintf("%s d%d", digit, i))
		power *= 10
	}
	expression := "1 + " + strings.Join(sum, " + ")
	return fmt.Sprintf("SELECT %s AS seq FROM %s WHERE %s <= %d", expression, strings.Join(from, ", "), expression, n)
}

func someKeys(t *testing.T, w *world, n int) []row.Key {
	t.Helper()
	src, err := w.pair.ReadRange(t.Context(), w.everything(t))
	if err != nil {
		t.Fatal(err)
	}
	var keys []row.Key
	for i := range n {
		keys = append(keys, src.Key(i*src.Len()/n))
	}
	return keys
}
