package table_test

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/masixun71/cupid/pkg/chunk"
	"github.com/masixun71/cupid/pkg/mariadb/mariadbtest"
	"github.com/masixun71/cupid/pkg/row"
	"github.com/masixun71/cupid/pkg/table"
)

// family is types whose values are compared with each other, and values that any of
// them takes in some way when the server is not strict.
type family struct {
	types, values []string
}

var families = map[string]family{
	"numbers": {
		[]string{
			"TINYINT", "INT ZEROFILL", "BIGINT NOT NULL", "BIGINT UNSIGNED", "BIGINT UNSIGNED ZEROFILL", "BIT(1)", "BIT(64)",
			"YEAR", "DECIMAL(20,0)", "DECIMAL(10,2) UNSIGNED ZEROFILL", "DECIMAL(65,30)", "DECIMAL(10,1) NOT NULL",
		},
		[]string{"NULL", "0", "-0.0", "1", "-1", "100", "1.5", "1.25", "2024", "9007199254740993", "18446744073709551615"},
	},
	"floats": {[]string{"FLOAT", "FLOAT(7,2)"}, []string{"NULL", "0", "-0e0", "0.1", "0.10000001", "16777216", "16777218", "-1.5", "1e-45", "3.4e38"}},
	"doubles": {
		[]string{"DOUBLE", "DOUBLE(10,2)", "DOUBLE NOT NULL"},
		[]string{"NULL", "0", "-0e0", "0.1", "0.30000000000000004", "0.3", "1e15", "1000000000000000.125", "5e-324", "1.7976931348623157e308", "-1.25"},
	},
	"dates": {
		[]string{"DATE", "DATETIME", "DATETIME(3)", "DATETIME(6) NOT NULL", "TIMESTAMP NULL", "TIMESTAMP(6) NULL"},
		[]string{
			"NULL", "'0000-00-00 00:00:00'", "'2024-00-00'", "'2024-02-29'", "'2024-02-28 23:59:59.9996'", "'2024-02-28 23:59:59.9994'",
			"'2024-02-28 23:59:59.4996'", "'2024-02-28 23:59:59.5'", "'9999-12-31 23:59:59.9'", "'2024-12-31 23:59:59'",
		},
	},
	"times": {
		[]string{"TIME", "TIME(3)", "TIME(6) NOT NULL"},
		[]string{"NULL", "'00:00:00'", "'-00:00:00'", "'-00:00:00.4'", "'-00:00:00.0004'", "'838:59:59'", "'-838:59:59'", "'01:02:03.456789'", "'101:02:03.456'"},
	},
	"texts": {
		[]string{
			"CHAR(9)", "VARCHAR(9) CHARACTER SET latin1", "VARCHAR(9) COLLATE utf8mb4_bin", "TEXT", "LONGTEXT CHARACTER SET ucs2",
			"VARCHAR(9) CHARACTER SET utf8mb3", "VARCHAR(9) CHARACTER SET ascii NOT NULL", "ENUM('a','b','é','a,b','')", "SET('a','b') CHARACTER SET latin1",
			"TINYTEXT CHARACTER SET gbk",
		},
		[]string{"NULL", "''", "'a'", "'A'", "'a '", "'é'", "'é'", "'😀'", "'a,b'", "'中'", `'\0'`},
	},
	"bytes": {
		[]string{"BINARY(3)", "VARBINARY(9)", "TINYBLOB", "BLOB", "LONGBLOB NOT NULL", "VARCHAR(9) CHARACTER SET latin1", "MEDIUMTEXT"},
		[]string{"NULL", "x''", "x'FF'", "x'FE'", "x'C3'", "x'00'", "x'0061'", "x'6100'", "'ab,'", "'é'", "x'FF00FF'"},
	},
	"bits and bytes": {[]string{"BIT(8)", "BIT(16)", "BINARY(2)", "VARBINARY(2)"}, []string{"NULL", "x'00'", "x'2C'", "x'FF'", "x'0031'", "x'31'"}},
}

// TestSumsAreEqualExactlyWhenRowsAre is the oracle: whatever the types and the values,
// the verdict of the checksums is that of the comparison of the rows.
func TestSumsAreEqualExactlyWhenRowsAre(t *testing.T) {
	for server, db := range servers() {
		for name, f := range families {
			t.Run(server+" "+name, func(t *testing.T) {
				equal, different := 0, 0
				for i, src := range f.types {
					for _, des := range f.types[i:] {
						t.Run(src+" "+des, func(t *testing.T) {
							o := newOracle(t, db, src, des, f.values)
							equal, different = equal+o.equal, different+o.different
						})
					}
				}
				if equal == 0 || different == 0 {
					t.Errorf("%d ranges were equal, %d different: that tests nothing", equal, different)
				}
			})
		}
	}
}

// oracle has a row of each value against itself and against the next one, each with
// a key of its own, and compares them by sums and by value.
type oracle struct {
	w                *world
	words            []string // of each key
	equal, different int
}

func newOracle(t *testing.T, db databases, srcType, desType string, values []string) *oracle {
	t.Helper()
	o := &oracle{w: newWorld(t, db, "k BIGINT NOT NULL UNIQUE, v "+srcType, "k BIGINT NOT NULL UNIQUE, v "+desType)}
	var src, des []string
	for shift := range 2 {
		for i := range values {
			a, b := values[i], values[(i+shift)%len(values)]
			src = append(src, fmt.Sprintf("(%[1]d, %[1]d, %s)", len(src), a))
			des = append(des, fmt.Sprintf("(%[1]d, %[1]d, %s)", len(des), b))
			o.words = append(o.words, a+" | "+b)
		}
	}
	execAs(t, o.w.src, "SET sql_mode = ''", "INSERT IGNORE INTO t VALUES "+strings.Join(src, ", "))
	execAs(t, o.w.des, "SET sql_mode = ''", "INSERT IGNORE INTO t VALUES "+strings.Join(des, ", "))
	maria := strings.Contains(version(t, o.w.src), "MariaDB")
	if maria {
		o.ask(t, table.HashMariaCRC32, false)
	}
	if !maria || srcType == desType {
		o.ask(t, table.HashCRC32, false)
	}
	if srcType == desType {
		o.ask(t, table.HashSHA2, false)
		if maria {
			o.ask(t, table.HashMariaCRC32C, false)
		}
	} else if strings.HasPrefix(srcType, "D") || strings.HasPrefix(srcType, "T") { // a time, among others
		o.ask(t, table.HashCRC32, true)
	}
	return o
}

// ask compares all rows in one way.
func (o *oracle) ask(t *testing.T, hash int, round bool) {
	t.Helper()
	if err := o.w.pair.Pretend(t.Context(), hash, round); err != nil {
		t.Fatal(err)
	}
	plan, err := o.w.pair.Sweep(t.Context())
	if err != nil || !plan.Checksum {
		if err != nil || !round {
			t.Fatal(plan.Why, err)
		}
		return
	}
	src, des, err := o.w.pair.ReadBoth(t.Context(), sweepChunk("", ""), chunk.Groups{})
	if err != nil {
		t.Fatal(err)
	}
	if src.Len() != len(o.words) || des.Len() != len(o.words) {
		t.Fatalf("read %d and %d rows, want %d", src.Len(), des.Len(), len(o.words))
	}
	differ := map[string]row.Divergence{}
	for _, d := range row.Compare(src, des) {
		differ[src.Key(d.Index).String()] = d
	}
	for i, words := range o.words {
		key := strconv.Itoa(i)
		d, different := differ[key]
		a, b, err := o.w.pair.Sums(t.Context(), sweepChunk(strconv.Itoa(i-1), key))
		if err != nil {
			t.Fatal(err)
		}
		if a.Rows != 1 || b.Rows != 1 {
			t.Fatalf("%s: sums of %d and %d rows", words, a.Rows, b.Rows)
		}
		if (a != b) != different {
			t.Errorf("%s: sums %v and %v, rows differ %v: %+v (hash %d, rounded %v)", words, a, b, different, d, hash, round)
		}
		if different {
			o.different++
		} else {
			o.equal++
		}
	}
}

func version(t *testing.T, d *mariadbtest.Database) string {
	t.Helper()
	var v string
	if err := d.DB.GetContext(t.Context(), &v, "SELECT VERSION()"); err != nil {
		t.Fatal(err)
	}
	return v
}

// sweepChunk is a range; an empty bound is open.
func sweepChunk(after, upTo string) chunk.Chunk {
	c := chunk.Chunk{Pair: "p", Scan: chunk.Sweep, UpTo: chunk.Position{ID: upTo}, Open: upTo == ""}
	if after != "" {
		c.After = &chunk.Position{ID: after}
	}
	return c
}

// wantSums says whether the sums of everything are equal, with either salt.
func (w *world) wantSums(tb testing.TB, equal bool) {
	tb.Helper()
	for salt := range uint32(2) {
		c := sweepChunk("", "")
		c.Salt = salt
		src, des, err := w.pair.Sums(tb.Context(), c)
		if err != nil {
			tb.Fatal(err)
		}
		if (src == des) != equal {
			tb.Errorf("salt %d: sums %v and %v, want equal %v", salt, src, des, equal)
		}
	}
}

// TestSumsSee has what a checksum of texts in a row, or of rows in a XOR, overlooks.
func TestSumsSee(t *testing.T) {
	cases := []struct{ name, columns, src, des string }{
		{"a swap between two rows", "v VARCHAR(9)", "(1,1,'ab'), (2,2,'cd')", "(1,1,'cd'), (2,2,'ab')"},
		{"a swap of numbers", "v INT", "(1,1,10), (2,2,20), (3,3,0)", "(1,1,20), (2,2,10), (3,3,0)"},
		{"one change on an even number of rows", "v INT", "(1,1,0), (2,2,0), (3,3,0), (4,4,0)", "(1,1,1), (2,2,1), (3,3,1), (4,4,1)"},
		{"a value in the next column", "v VARCHAR(9), w VARCHAR(9)", "(1,1,'ab',''), (2,2,'a','b')", "(1,1,'','ab'), (2,2,'a','b')"},
		{"a letter in the next column", "v VARCHAR(9), w VARCHAR(9)", "(1,1,'ab','c')", "(1,1,'a','bc')"},
		{"a comma in the next column", "v VARCHAR(9), w VARCHAR(9)", "(1,1,'a,','b')", "(1,1,'a',',b')"},
		{"a length in the next column", "v VARCHAR(9), w VARCHAR(9), x VARCHAR(9)", "(1,1,'a','b,1','c')", "(1,1,'a,b','1','c')"},
		{"a separator in the next column", "v VARBINARY(9), w VARBINARY(9)", "(1,1,x'61FF',x'62')", "(1,1,x'61',x'FF62')"},
		{"a separator between bytes and text", "v VARBINARY(9), w VARCHAR(9), x VARBINARY(9)", "(1,1,x'61FF',x'62',x'63')", "(1,1,x'61',x'62',x'FF63')"},
		{"NULL and the byte for it", "v VARBINARY(9)", "(1,1,NULL)", "(1,1,x'FE')"},
		{"a NULL in the next column", "v INT, w INT", "(1,1,NULL,1)", "(1,1,1,NULL)"},
		{"NULL and empty", "v VARCHAR(9)", "(1,1,NULL)", "(1,1,'')"},
		{"NULL and empty change places", "v VARCHAR(9), w VARCHAR(9)", "(1,1,NULL,'')", "(1,1,'',NULL)"},
		{"NULL and zero in floats", "v DOUBLE, w FLOAT", "(1,1,NULL,0)", "(1,1,0,NULL)"},
		{"floats change places", "v DOUBLE, w DOUBLE", "(1,1,0.5,NULL)", "(1,1,NULL,0.5)"},
		{"NULL and zero", "v DOUBLE, w INT", "(1,1,NULL,0)", "(1,1,0,NULL)"},
		{"another key", "v INT", "(1,1,1), (2,2,1)", "(1,1,1), (2,3,1)"},
		{"missing and extra", "v INT", "(1,1,1), (2,2,1)", "(1,1,1), (2,4,1)"},
		{"case", "v VARCHAR(9)", "(1,1,'a')", "(1,1,'A')"},
		{"the end of a long text", "v LONGTEXT", "(1,1,REPEAT('x', 300000))", "(1,1,CONCAT(REPEAT('x', 299999), 'y'))"},
	}
	for server, db := range servers() {
		for _, c := range cases {
			t.Run(server+" "+c.name, func(t *testing.T) {
				w := newWorld(t, db, c.columns, "")
				w.src.Exec(t, "INSERT INTO t VALUES "+c.src)
				w.des.Exec(t, "INSERT INTO t VALUES "+c.des)
				w.wantSums(t, false)
				w.des.Exec(t, "DELETE FROM t", "INSERT INTO t VALUES "+c.src)
				w.wantSums(t, true)
			})
		}
	}
}

func TestSumsOfManyColumnsOfEveryType(t *testing.T) {
	for server, db := range servers() {
		t.Run(server, func(t *testing.T) {
			var columns, values, nulls []string
			for _, e := range everyType {
				if e.ddl == "JSON" || e.ddl == "GEOMETRY" {
					continue
				}
				for range 2 { // so that there are more NULLs than one number can say
					columns = append(columns, fmt.Sprintf("c%d %s", len(columns), e.ddl))
					values = append(values, e.value)
					nulls = append(nulls, "NULL")
				}
			}
			w := newWorld(t, db, strings.Join(columns, ", "), "")
			w.both(t, 1, strings.Join(values, ", "))
			w.both(t, 2, strings.Join(nulls, ", "))
			w.wantSums(t, true)
			for i := range columns {
				w.des.Exec(t, fmt.Sprintf("UPDATE t SET c%d = NULL WHERE id = 1", i))
				w.wantSums(t, false)
				w.des.Exec(t, fmt.Sprintf("UPDATE t SET c%d = %s WHERE id = 1", i, values[i]))
			}
			w.wantSums(t, true)
		})
	}
}

func TestSaltChangesTheSums(t *testing.T) {
	w := newWorld(t, mariadbtest.New, "v INT", "")
	w.both(t, 1, "1")
	var seen []table.Sum
	for salt := range uint32(4) {
		c := sweepChunk("", "")
		c.Salt = salt
		src, des, err := w.pair.Sums(t.Context(), c)
		if err != nil || src != des {
			t.Fatal(src, des, err)
		}
		if slices.Contains(seen, src) {
			t.Errorf("salt %d gives the sum %v of another one", salt, src)
		}
		seen = append(seen, src)
	}
}
