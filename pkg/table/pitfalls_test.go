package table_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/masixun71/cupid/pkg/mariadb/mariadbtest"
	"github.com/masixun71/cupid/pkg/row"
	"github.com/masixun71/cupid/pkg/table"
)

// pitfall is a pair of tables with planted rows, and what has to be found.
type pitfall struct {
	name       string
	columns    string // of the source
	desColumns string // of the destination; empty for the same
	both       string // values of row 1, equal on both sides; none when empty
	src, des   string // values of row 2, on each side; no row when empty
	want       string // what is found of row 2; empty for nothing
}

// The numbers are those of the list of pitfalls that comparing tools fall into.
var pitfalls = []pitfall{
	{name: "09 zero is not NULL", columns: "v DOUBLE", both: "0", src: "0", des: "NULL", want: "2 different v"},
	{name: "09 integer zero is not NULL", columns: "v INT", both: "NULL", src: "NULL", des: "0", want: "2 different v"},
	{name: "09 the last bit of a double", columns: "v DOUBLE", both: "0.1", src: "0.30000000000000004", des: "0.3", want: "2 different v"},
	{name: "09 small doubles", columns: "v DOUBLE", src: "1e-300", des: "2e-300", want: "2 different v"},
	{name: "09 a float has its own precision", columns: "v FLOAT", both: "0.1", src: "16777216", des: "16777218", want: "2 different v"},
	{name: "09 float and double of one text", columns: "v FLOAT", desColumns: "v DOUBLE", both: "0.1", src: "0.1", des: "0.1"},
	{
		name: "10 unsigned above 2^63", columns: "v BIGINT UNSIGNED", both: "18446744073709551615",
		src: "18446744073709551615", des: "18446744073709551614", want: "2 different v",
	},
	{
		name: "10 integers above 2^53", columns: "v BIGINT", desColumns: "v VARCHAR(30)", both: "9007199254740993",
		src: "9007199254740993", des: "'9007199254740992'", want: "2 different v",
	},
	{name: "10 unsigned against signed", columns: "v INT UNSIGNED", desColumns: "v BIGINT", both: "4294967295", src: "4294967295", des: "-1", want: "2 different v"},
	{
		name: "12 JSON integers above 2^53", columns: "v JSON", both: `'{"a": [9007199254740993, 1]}'`,
		src: `'{"a": 9007199254740993}'`, des: `'{"a": 9007199254740992}'`, want: "2 different v",
	},
	{name: "12 JSON by value", columns: "v JSON", desColumns: "v LONGTEXT", src: `'{"a": 1, "b": "ü"}'`, des: `'{"b":"\\u00fc","a":1.0}'`},
	{name: "12 JSON null is not NULL", columns: "v JSON", src: `'null'`, des: "NULL", want: "2 different v"},
	{name: "13 bytes that are no text", columns: "v VARBINARY(4)", both: "x'FF'", src: "x'FE'", des: "x'C3'", want: "2 different v"},
	{name: "13 a zero byte", columns: "v BLOB", both: "x'0061'", src: "x'6100'", des: "x'61'", want: "2 different v"},
	{name: "13 bits", columns: "v BIT(64)", both: "b'1'", src: "x'8000000000000000'", des: "x'0000000000000001'", want: "2 different v"},
	{name: "13 bits against a number", columns: "v BIT(9)", desColumns: "v INT", both: "257", src: "b'100000001'", des: "257"},
	{name: "14 a value that moved to the next column", columns: "v VARCHAR(9), w VARCHAR(9)", src: "'ab', ''", des: "'', 'ab'", want: "2 different v w"},
	{name: "14 a letter that moved to the next column", columns: "v VARCHAR(9), w VARCHAR(9)", src: "'ab', 'c'", des: "'a', 'bc'", want: "2 different v w"},
	{name: "14 a NULL that moved to the next column", columns: "v INT, w INT", src: "NULL, 1", des: "1, NULL", want: "2 different v w"},
	{name: "15 text beyond the basic plane", columns: "v VARCHAR(9)", both: "'😀ä'", src: "'😀'", des: "'?'", want: "2 different v"},
	{
		name: "15 one text in two character sets", columns: "v VARCHAR(9) CHARACTER SET latin1", desColumns: "v VARCHAR(9) CHARACTER SET utf8mb4",
		both: "'äöü€'", src: "'ä'", des: "'Ã¤'", want: "2 different v",
	},
	{name: "16 trailing spaces", columns: "v VARCHAR(9)", both: "'a '", src: "'a'", des: "'a '", want: "2 different v"},
	{name: "16 a CHAR has none", columns: "v CHAR(9)", desColumns: "v VARCHAR(9)", src: "'a'", des: "'a'"},
	{name: "16 case and accents", columns: "v VARCHAR(9), w VARCHAR(9)", src: "'a', 'e'", des: "'A', 'é'", want: "2 different v w"},
	{name: "16 empty is not NULL", columns: "v VARCHAR(9), w VARBINARY(9)", both: "NULL, ''", src: "'', NULL", des: "NULL, ''", want: "2 different v w"},
	{name: "decimals by value", columns: "v DECIMAL(30,10)", desColumns: "v DECIMAL(30,2)", src: "12345678901234567890.5", des: "12345678901234567890.50"},
	{name: "a digit of a decimal", columns: "v DECIMAL(30,10)", src: "12345678901234567890.0000000001", des: "12345678901234567890.0000000002", want: "2 different v"},
	{name: "negative times", columns: "v TIME(6)", both: "'-838:59:59.000000'", src: "'-00:00:01.5'", des: "'00:00:01.5'", want: "2 different v"},
	{name: "enum by its text", columns: "v ENUM('a','b')", desColumns: "v ENUM('b','a')", both: "'b'", src: "'a'", des: "'b'", want: "2 different v"},
	{name: "set", columns: "v SET('a','b','c')", both: "'c,a'", src: "'a,b'", des: "'a,c'", want: "2 different v"},
	{name: "year", columns: "v YEAR", desColumns: "v INT", both: "2024", src: "2024", des: "24", want: "2 different v"},
	{name: "geometry", columns: "v POINT", both: "POINT(1, 2)", src: "POINT(1, 2)", des: "POINT(2, 1)", want: "2 different v"},
	{name: "long text", columns: "v LONGTEXT", both: "REPEAT('x', 300000)", src: "REPEAT('x', 300000)", des: "CONCAT(REPEAT('x', 299999), 'y')", want: "2 different v"},
}

func TestPitfalls(t *testing.T) {
	for server, db := range servers() {
		t.Run(server, func(t *testing.T) {
			for _, p := range pitfalls {
				t.Run(p.name, func(t *testing.T) {
					w := newWorld(t, db, p.columns, p.desColumns)
					if p.both != "" {
						w.both(t, 1, p.both)
					}
					if p.src != "" {
						w.insert(t, w.src, 2, p.src)
					}
					if p.des != "" {
						w.insert(t, w.des, 2, p.des)
					}
					want := []string{}
					if p.want != "" {
						want = append(want, p.want)
					}
					w.wantFound(t, want...)
				})
			}
		})
	}
}

func TestPitfall08KeyUnderACollationWithoutCase(t *testing.T) {
	for server, db := range servers() {
		t.Run(server, func(t *testing.T) {
			for _, charset := range []string{"utf8mb4", "latin1", "utf8mb3"} {
				t.Run(charset, func(t *testing.T) {
					w := newWorld(t, db, "k VARCHAR(20) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin, v INT",
						"k VARCHAR(20) CHARACTER SET "+charset+", v INT, KEY(k)", func(o *table.PairOptions) {
							o.Columns = []table.ColumnPair{{Src: "v", Des: "v"}}
						})
					w.src.Exec(t, "INSERT INTO t VALUES (1,'abc',1), (2,'ABC',2), (3,'abc ',3), (4,'äbc',4), (5,'x',5), (6,'😀',6)")
					w.des.Exec(t, "INSERT INTO t VALUES (11,'ABC',2), (12,'abc  ',3), (13,'äbc',4), (14,'x',5), (15,'x',5)")
					w.wantFound(t, "1 missing", "3 missing", "5 ambiguous", "6 missing")
				})
			}
		})
	}
}

func TestPitfall08CollationTwinsInTwoQueriesAreNotAmbiguous(t *testing.T) {
	for server, db := range servers() {
		t.Run(server, func(t *testing.T) {
			w := newWorld(t, db, "k VARCHAR(20) COLLATE utf8mb4_bin, v INT", "k VARCHAR(20), v INT, KEY(k)", func(o *table.PairOptions) {
				o.Columns = []table.ColumnPair{{Src: "v", Des: "v"}}
			})
			w.src.Exec(t, "INSERT INTO t VALUES (1, 'A', 1), (2, 'a', 1)")
			w.des.Exec(t, "INSERT INTO t VALUES (1, 'a', 1)")
			// 'A' sorts before and 'a' after these, so they end up in two lists.
			var rows []string
			for i := range 3000 {
				rows = append(rows, fmt.Sprintf("(%d, 'B%d', 1)", 10+i, i))
			}
			all := "INSERT INTO t VALUES " + strings.Join(rows, ", ")
			w.src.Exec(t, all)
			w.des.Exec(t, all)
			w.wantFound(t, "1 missing")
		})
	}
}

func TestPitfall08IntegerKeyAgainstText(t *testing.T) {
	for server, db := range servers() {
		t.Run(server, func(t *testing.T) {
			w := newWorld(t, db, "k INT, v INT", "k VARCHAR(20), v INT, KEY(k)", func(o *table.PairOptions) {
				o.Columns = []table.ColumnPair{{Src: "v", Des: "v"}}
			})
			w.src.Exec(t, "INSERT INTO t VALUES (1,123,1), (2,7,1), (3,8,1), (4,NULL,1)")
			w.des.Exec(t, "INSERT INTO t VALUES (1,'123abc',1), (2,'7',1), (3,'8',2), (4,NULL,1)")
			w.wantFound(t, "1 missing", "3 different v", "4 missing")
		})
	}
}

func TestPitfall08TextKeyAgainstInteger(t *testing.T) {
	for server, db := range servers() {
		t.Run(server, func(t *testing.T) {
			w := newWorld(t, db, "k VARCHAR(20), v INT", "k INT UNIQUE, v INT", func(o *table.PairOptions) {
				o.Columns = []table.ColumnPair{{Src: "v", Des: "v"}}
			})
			w.src.Exec(t, "INSERT INTO t VALUES (1,'123',1), (2,'123abc',1), (3,'99999999999',1), (4,'-5',1)")
			w.des.Exec(t, "INSERT INTO t VALUES (1,123,1), (4,-5,1)")
			w.wantFound(t, "2 missing", "3 missing")
		})
	}
}

func TestPitfall11ZeroDates(t *testing.T) {
	for server, db := range servers() {
		t.Run(server, func(t *testing.T) {
			w := newWorld(t, db, "v DATE, w DATETIME(3), x TIMESTAMP NULL", "")
			for _, d := range []*mariadbtest.Database{w.src, w.des} {
				c, err := d.DB.Connx(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				for _, s := range []string{
					"SET SESSION sql_mode = ''",
					"INSERT INTO t VALUES (1, 1, '0000-00-00', '0000-00-00 00:00:00', '0000-00-00 00:00:00')",
					"INSERT INTO t VALUES (2, 2, '2024-00-00', '0000-00-00 00:00:00', NULL)",
				} {
					if _, err := c.ExecContext(t.Context(), s); err != nil {
						t.Fatal(err)
					}
				}
				if err := c.Close(); err != nil {
					t.Fatal(err)
				}
			}
			w.wantFound(t)
			w.des.Exec(t, "UPDATE t SET v = NULL WHERE id = 1", "UPDATE t SET x = '2024-01-01' WHERE id = 2")
			w.wantFound(t, "1 different v", "2 different x")
		})
	}
}

func TestPitfall17GeneratedAndInvisibleColumns(t *testing.T) {
	for server, db := range servers() {
		t.Run(server, func(t *testing.T) {
			w := newWorld(t, db, "v INT, g INT AS (v * 2) STORED, h INT AS (v + 1) VIRTUAL, i INT DEFAULT 7 INVISIBLE", "")
			for n, d := range []*mariadbtest.Database{w.src, w.des} {
				d.Exec(t, "INSERT INTO t (id, k, v) VALUES (1, 1, 5)",
					fmt.Sprintf("INSERT INTO t (id, k, v, i) VALUES (2, 2, %d, %d)", 5+n, 8+n))
			}
			w.wantFound(t, "2 different v g h i")
			if err := w.pair.Load(t.Context()); err != nil {
				t.Fatal(err)
			}
			rules := w.pair.Mapping().Columns()
			if c := rules[1].Source(); !c.Generated || c.Invisible {
				t.Errorf("column g is %+v", c)
			}
			if c := rules[3].Source(); c.Generated || !c.Invisible {
				t.Errorf("column i is %+v", c)
			}
			_, payloads, err := w.pair.ReadFull(t.Context(), []string{"1"}, false)
			if err != nil {
				t.Fatal(err)
			}
			if got, want := string(payloads[0]), `{"id":1,"k":1,"v":5,"g":10,"h":6,"i":7}`; got != want {
				t.Errorf("payload %s, want %s", got, want)
			}
		})
	}
}

func TestFractionsOfSecondsGoByTheCoarserSide(t *testing.T) {
	for server, db := range servers() {
		t.Run(server, func(t *testing.T) {
			w := newWorld(t, db, "v DATETIME(6), w TIME(6)", "v DATETIME(3), w TIME")
			// Each server makes its own of what does not fit; the rule has to follow it.
			w.both(t, 1, "'2024-05-06 07:08:09.678600', '10:11:12.9'")
			w.insert(t, w.src, 2, "'2024-05-06 07:08:09.678600', '10:11:12.9'")
			w.insert(t, w.des, 2, "'2024-05-06 07:08:09.6770', '10:11:11'")
			w.wantFound(t, "2 different v w")
		})
	}
}

func TestCompositeKey(t *testing.T) {
	for server, db := range servers() {
		t.Run(server, func(t *testing.T) {
			w := newWorld(t, db, "k INT, l VARCHAR(10), v INT", "", func(o *table.PairOptions) {
				o.Source.By, o.Destination.By = []string{"k", "l"}, []string{"k", "l"}
				o.Columns = []table.ColumnPair{{Src: "v", Des: "v"}}
			})
			w.des.Exec(t, "ALTER TABLE t ADD UNIQUE (k, l)")
			w.src.Exec(t, "INSERT INTO t VALUES (1,1,'a',1), (2,1,'b',1), (3,11,'',1), (4,1,'1',1), (5,2,NULL,1)")
			w.des.Exec(t, "INSERT INTO t VALUES (1,1,'a',1), (2,1,'b',2), (3,1,'1',1)")
			w.wantFound(t, "2 different v", "3 missing", "5 missing")
		})
	}
}

func TestKeysThatCannotExistAreNotAskedFor(t *testing.T) {
	w := newWorld(t, mariadbtest.New, "v INT", "")
	w.both(t, 1, "1")
	one := row.NewKey([]byte("1"))
	batch, err := w.pair.ReadDestination(t.Context(), []row.Key{row.NewKey([]byte("abc")), row.NewKey(nil), one, row.NewKey([]byte("1"), []byte("1")), one})
	if err != nil {
		t.Fatal(err)
	}
	if batch.Len() != 1 {
		t.Errorf("read %d rows, want 1", batch.Len())
	}
	if batch, err = w.pair.ReadDestination(t.Context(), nil); err != nil || batch.Len() != 0 {
		t.Errorf("no keys: %d rows, error %v", batch.Len(), err)
	}
}
