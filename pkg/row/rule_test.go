package row_test

import (
	"bytes"
	"database/sql/driver"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/masixun71/cupid/pkg/row"
)

func b(s string) driver.Value { return []byte(s) }

// TestValuesOfTwoTypes has for each pair of types values that are equal and values that are not. The verdict is the same
// when source and destination change places.
func TestValuesOfTwoTypes(t *testing.T) {
	t.Parallel()
	const e53 = 1 << 53
	cases := []struct {
		src, des string
		a, b     driver.Value
		want     bool
	}{
		{"bigint", "bigint", int64(math.MinInt64), int64(math.MinInt64), true},
		{"bigint", "bigint", int64(e53 + 1), int64(e53), false},
		{"bigint unsigned", "bigint unsigned", uint64(math.MaxUint64), b("18446744073709551615"), true},
		{"bigint unsigned", "bigint unsigned", uint64(math.MaxUint64), uint64(math.MaxUint64 - 1), false},
		{"bigint unsigned", "bigint", uint64(7), int64(7), true},
		{"bigint unsigned", "bigint", uint64(math.MaxUint64), int64(-1), false},
		{"int", "bigint", b("0000000042"), int64(42), true}, // ZEROFILL in the text protocol
		{"tinyint", "bit(1)", int64(1), b("\x01"), true},
		{"tinyint", "bit(1)", int64(0), b("\x01"), false},
		{"bit(64)", "bigint unsigned", b("\xff\xff\xff\xff\xff\xff\xff\xff"), uint64(math.MaxUint64), true},
		{"bit(9)", "bit(16)", b("\x01\x02"), b("\x01\x02"), true},
		{"bit(8)", "bit(16)", b("\x31"), b("\x00\x31"), true},
		{"bit(8)", "tinyint", b("1"), int64(1), false}, // the byte 0x31 and not the digit
		{"bit(16)", "binary(2)", b("\x00\x31"), b("\x00\x31"), true},
		{"bit(8)", "varchar(8)", b("\x07"), b("7"), true},
		{"year", "int", int64(2024), int64(2024), true},
		{"year", "varchar(4)", b("0000"), b("0000"), true},

		{"decimal(10,2)", "decimal(10,1)", b("1.50"), b("1.5"), true},
		{"decimal(10,2)", "decimal(10,2)", b("-0.00"), b("0.00"), true},
		{"decimal(10,2)", "decimal(10,2)", b("-0.01"), b("0.01"), false},
		{
			"decimal(65,30)", "decimal(65,30)", b("99999999999999999999999999999999999.000000000000000000000000000001"),
			b("99999999999999999999999999999999999.000000000000000000000000000002"), false,
		},
		{"decimal(20,0)", "bigint", b("9007199254740993"), int64(e53 + 1), true},
		{"decimal(20,0)", "bigint", b("9007199254740993"), int64(e53), false},
		{"decimal(10,2)", "int", b("100.00"), int64(100), true},
		{"decimal(10,2)", "int", b("0.01"), int64(0), false},

		{"float", "float", float32(0.1), b("0.1"), true},
		{"float", "float", float32(0.1), math.Nextafter32(0.1, 1), false},
		{"float", "float", float32(math.Copysign(0, -1)), float32(0), true},
		{"float", "float", float32(math.SmallestNonzeroFloat32), float32(0), false},
		{"float", "double", float32(0.1), 0.1, true},
		{"float", "double", float32(0.1), float64(float32(0.1)), true},
		{"float", "double", float32(16777216), float64(16777217), true}, // one float32
		{"float", "double", float32(math.MaxFloat32), 1e300, false},
		{"float", "decimal(20,10)", float32(0.1), b("0.1000000015"), true},
		{"double", "double", math.Copysign(0, -1), 0.0, true},
		{"double", "double", 5e-324, 0.0, false},
		{"double", "double", 0.1, math.Nextafter(0.1, 1), false},
		{"double", "double", math.MaxFloat64, b("1.7976931348623157e308"), true},
		{"double", "double", 1e15, 1e15 + 0.125, false}, // no absolute or relative slack
		{"double", "decimal(10,2)", 0.1, b("0.10"), true},
		{"double", "decimal(30,20)", 0.1, b("0.10000000000000001000"), true}, // the same float64
		{"double", "decimal(10,2)", 0.12, b("0.10"), false},
		{"double", "bigint", float64(e53), int64(e53), true},
		{"double", "bigint", float64(e53), int64(e53 + 1), false},
		{"double", "bigint unsigned", math.Pow(2, 64), uint64(math.MaxUint64), false},
		{"double", "bigint", 0.5, int64(0), false},
		{"double", "int", math.Copysign(0, -1), int64(0), true},
		{"double", "bigint", float64(1 << 60), int64(1 << 60), true},

		{"bigint", "varchar(32)", int64(7), b("7"), true},
		{"bigint", "varchar(32)", int64(7), b("7abc"), false},
		{"bigint", "varchar(32)", int64(7), b("7 "), false},
		{"bigint", "varchar(32)", int64(7), b(" 7"), false},
		{"bigint", "varchar(32)", int64(7), b("+7"), false},
		{"bigint", "varchar(32)", int64(0), b(""), false},
		{"bigint", "varchar(32)", int64(0), b("abc"), false},
		{"bigint", "varchar(32)", int64(7), b("007"), true},
		{"bigint", "varbinary(32)", int64(-7), b("-7"), true},
		{"decimal(10,2)", "varchar(32)", b("1.50"), b("1.5"), true},
		{"decimal(10,2)", "varchar(32)", b("1.50"), b("1.5e0"), false},
		{"double", "varchar(32)", 1.5e-7, b("1.5e-7"), true},
		{"double", "varchar(32)", 1e20, b("100000000000000000000"), true},
		{"double", "varchar(32)", 0.0, b("null"), false},

		{"date", "date", b("0000-00-00"), b("0000-00-00"), true},
		{"date", "datetime", b("2024-02-29"), b("2024-02-29 00:00:00"), true},
		{"date", "datetime(3)", b("2024-02-29"), b("2024-02-29 00:00:00.000"), true},
		{"date", "datetime(3)", b("2024-02-29"), b("2024-02-29 00:00:00.001"), false},
		{"date", "datetime", b("0000-00-00"), b("0000-00-00 00:00:00"), true},
		{"datetime", "timestamp", b("2024-02-29 12:00:00"), b("2024-02-29 12:00:00"), true},
		{"datetime", "datetime", b("0000-00-00 00:00:00"), b("1970-01-01 00:00:00"), false},
		{"datetime(6)", "datetime(3)", b("2024-01-01 00:00:00.678999"), b("2024-01-01 00:00:00.678"), true},
		{"datetime(6)", "datetime(3)", b("2024-01-01 00:00:00.678999"), b("2024-01-01 00:00:00.679"), false},
		{"datetime", "datetime(6)", b("2024-01-01 00:00:01"), b("2024-01-01 00:00:01.000000"), true},
		{"datetime(6)", "varchar(32)", b("2024-01-01 00:00:01.500000"), b("2024-01-01 00:00:01.5"), true},
		{"datetime(6)", "varchar(32)", b("2024-01-01 00:00:01.000000"), b("2024-01-01 00:00:01"), true},
		{"datetime", "varchar(32)", b("2024-01-01 00:00:01"), b("2024-01-01T00:00:01"), false},
		{"date", "varchar(32)", b("2024-01-01"), b("2024-01-01"), true},
		{"time", "time(3)", b("-00:00:00"), b("00:00:00.000"), true},
		{"time", "time", b("-838:59:59"), b("838:59:59"), false},
		{"time(3)", "time", b("-00:00:00.900"), b("00:00:00"), true}, // cut to the second
		{"time", "varchar(20)", b("-00:00:00"), b("00:00:00"), true},

		{"json", "json", b(`{"a": 1, "b": [1, 2]}`), b(`{"b":[1,2],"a":1}`), true},
		{"json", "json", b(`[1, 2]`), b(`[2, 1]`), false},
		{"json", "json", b(`[1, 1.0, 1e0, 10e-1]`), b(`[1,1,1,1]`), true},
		{"json", "json", b(`9007199254740993`), b(`9007199254740992`), false},
		{"json", "json", b(`18446744073709551615`), b(`18446744073709551614`), false},
		{"json", "json", b(`0.1`), b(`0.1000000000000000055511151231257827`), false},
		{"json", "json", b(`-0.0`), b(`0`), true},
		{"json", "json", b(`1e20`), b(`100000000000000000000`), true},
		{"json", "json", b(`1e-200`), b(`0.` + strings.Repeat("0", 199) + `1`), true},
		{"json", "json", b(`1e300`), b(`1` + strings.Repeat("0", 300)), true},
		{"json", "json", b(`1e999999999`), b(`1e999999998`), false},
		{"json", "json", b(`1`), b(`"1"`), false},
		{"json", "json", b(`null`), b(`"null"`), false},
		{"json", "json", b(`{"a":1,"a":2}`), b(`{"a":2}`), true},
		{"json", "json", b(`{"a":1,"\u0061":2}`), b(`{"a":2}`), true},
		{"json", "json", b(`"\u00e9\ud83d\ude00\/"`), b(`"é😀/"`), true},
		{"json", "json", b(`"\ud83d"`), b(`"\ud83e"`), false},
		{"json", "json", b("\"e\u0301\""), b("\"\u00e9\""), false}, // a combining mark
		{"json", "json", b(`{}`), b(`[]`), false},
		{"json", "text", b(`{"a": [true, null]}`), b("{ \"a\":[true,null] }\n"), true},
		{"json", "text", b(`"x"`), b(`x`), false},
		{"json", "text", b(`{}`), b(``), false},
		{"json", "bigint", b(`9007199254740993`), int64(e53 + 1), true},
		{"json", "decimal(10,2)", b(`1.5`), b("1.50"), true},
		{"json", "double", b(`0.1`), 0.1, true},
		{"json", "int", b(`true`), int64(1), false},

		{"varchar(9)", "varchar(9)", b("a"), b("a "), false},
		{"varchar(9)", "varchar(9)", b("a"), b("A"), false},
		{"varchar(9)", "char(9)", b("😀"), b("😀"), true},
		{"varchar(9)", "text", b("e\u0301"), b("\u00e9"), false},
		{"varchar(9)", "text", b("\xff"), b("\xfe"), false},
		{"enum", "varchar(9)", b("on"), b("on"), true},
		{"enum", "tinyint", b("on"), int64(1), false},
		{"set", "set", b("a,b"), b("a"), false},
		{"uuid", "char(36)", b("123e4567-e89b-12d3-a456-426614174000"), b("123e4567-e89b-12d3-a456-426614174000"), true},
		{"binary(2)", "varbinary(2)", b("a\x00"), b("a"), false},
		{"blob", "binary(1)", b("\xff"), b("\xfe"), false},
		{"varchar(9)", "blob", b("é"), b("\xc3\xa9"), true},
		{"geometry", "geometry", b("\x00\x01"), b("\x00\x01"), true},
		{"vector", "blob", b("\x00\x01"), b("\x00\x02"), false},
	}
	for _, tc := range cases {
		for _, swap := range []bool{false, true} {
			src, des, v, w := tc.src, tc.des, tc.a, tc.b
			if swap {
				src, des, v, w = des, src, w, v
			}
			r := newRule(t, src, des)
			got := canonical(t, r, row.Source, v) == canonical(t, r, row.Destination, w)
			if got != tc.want {
				t.Errorf("%s %v, %s %v: equal %v, want %v (%q, %q)", src, v, des, w, got, tc.want,
					canonical(t, r, row.Source, v), canonical(t, r, row.Destination, w))
			}
		}
	}
}

func TestFractionIsRoundedWhereTheServerRounds(t *testing.T) {
	t.Parallel()
	cases := []struct{ fine, coarse, value, want string }{
		{"datetime(6)", "datetime(3)", "2024-01-01 00:00:00.678500", "2024-01-01 00:00:00.679"},
		{"datetime(6)", "datetime(3)", "2024-01-01 00:00:00.678499", "2024-01-01 00:00:00.678"},
		{"datetime(6)", "datetime(3)", "2024-12-31 23:59:59.999500", "2025-01-01 00:00:00.000"},
		{"datetime(6)", "datetime", "2024-02-28 23:59:59.500000", "2024-02-29 00:00:00"},
		{"timestamp(6)", "datetime(5)", "2024-02-28 23:59:59.123456", "2024-02-28 23:59:59.12346"},
		{"datetime(6)", "datetime", "0000-00-00 00:00:00.000000", "0000-00-00 00:00:00"},
		{"datetime(1)", "datetime", "9999-12-31 23:59:59.9", "9999-12-31 23:59:59"},
		{"time(3)", "time", "-00:00:59.500", "-00:01:00"},
		{"time(3)", "time", "99:59:59.500", "100:00:00"},
		{"time(3)", "time", "838:59:59.500", "838:59:59"},
		{"time(3)", "time", "-00:00:00.400", "00:00:00"},
	}
	for _, tc := range cases {
		r := newRule(t, tc.fine, tc.coarse)
		r.RoundFraction = true
		if got := canonical(t, r, row.Source, b(tc.value)); got != tc.want {
			t.Errorf("%s as %s: got %s, want %s", tc.value, tc.coarse, got, tc.want)
		}
		if got := canonical(t, r, row.Destination, b(tc.want)); got != tc.want {
			t.Errorf("%s: the coarse side became %s", tc.want, got)
		}
	}
}

// everyType has one type of every family.
var everyType = []string{
	"tinyint", "bigint unsigned", "bit(8)", "year", "decimal(10,2)", "float", "double", "date", "datetime(3)",
	"timestamp", "time", "json", "varchar(9)", "enum", "varbinary(9)", "geometry",
}

func TestEveryPairOfTypesHasWords(t *testing.T) {
	t.Parallel()
	for _, src := range everyType {
		for _, des := range everyType {
			r, err := row.NewRule(column(t, src), column(t, des))
			_, errBack := row.NewRule(column(t, des), column(t, src))
			if (err == nil) != (errBack == nil) {
				t.Errorf("%s, %s: %v; changed places: %v", src, des, err, errBack)
			}
			if err != nil {
				if src == des {
					t.Errorf("%s with itself: %v", src, err)
				}
				continue
			}
			if _, words, _ := strings.Cut(r.Describe(), ": "); words == "" {
				t.Errorf("no words in %q", r.Describe())
			}
		}
	}
}

func TestDescribe(t *testing.T) {
	t.Parallel()
	src, des := column(t, "bigint(20) unsigned"), column(t, "varchar(32)")
	src.Name, des.Name = "number", "order_no"
	r, err := row.NewRule(src, des)
	if err != nil {
		t.Fatal(err)
	}
	const want = "number BIGINT UNSIGNED ↔ order_no VARCHAR(32): as decimal text, by value; text that is no plain number differs"
	if got := r.Describe(); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	r = newRule(t, "datetime(6)", "datetime(3)")
	const cut = "c DATETIME(6) ↔ DATETIME(3): to 3 fractional digits, the finer side cut"
	if got := r.Describe(); got != cut {
		t.Errorf("got  %s\nwant %s", got, cut)
	}
}

func TestTypesWithoutACommonForm(t *testing.T) {
	t.Parallel()
	for _, p := range [][2]string{{"datetime", "bigint"}, {"time", "date"}, {"json", "date"}, {"geometry", "int"}} {
		_, err := row.NewRule(column(t, p[0]), column(t, p[1]))
		if err == nil || !strings.Contains(err.Error(), strings.ToUpper(p[0])) {
			t.Errorf("%s, %s: got error %v, want one that names the types", p[0], p[1], err)
		}
	}
}

func TestValueThatItsColumnCannotHave(t *testing.T) {
	t.Parallel()
	cases := []struct {
		typ string
		v   driver.Value
	}{
		{"int", b("abc")},
		{"decimal(10,2)", b("")},
		{"double", b("1x")},
		{"bit(8)", b("123456789")},
		{"datetime", time.Now()}, // parseTime=true
		{"int", nil},
	}
	for _, tc := range cases {
		r := newRule(t, tc.typ, tc.typ)
		if got, err := r.AppendSource([]byte("x"), tc.v); err == nil || string(got) != "x" {
			t.Errorf("%s %v: got %q and error %v", tc.typ, tc.v, got, err)
		}
	}
}

func TestMariaDBJSONIsJSON(t *testing.T) {
	t.Parallel()
	c := column(t, "longtext")
	c.JSON = true
	r, err := row.NewRule(c, column(t, "json"))
	if err != nil {
		t.Fatal(err)
	}
	if got, want := canonical(t, r, row.Source, b(`{"a" : 1}`)), canonical(t, r, row.Destination, b(`{"a": 1}`)); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestLogTextIsReadableAndBounded(t *testing.T) {
	t.Parallel()
	cases := []struct {
		typ, value string
		null       bool
		want       string
	}{
		{"bigint", "-7", false, "-7"},
		{"datetime", "2024-01-01 00:00:00", false, "2024-01-01 00:00:00"},
		{"varchar(9)", "NULL", false, "'NULL'"},
		{"varchar(9)", "", true, "NULL"},
		{"varchar(9)", "", false, "''"},
		{"varchar(9)", "a\nb\x00", false, `'a\nb\x00'`},
		{"blob", "\xff\x00", false, "0xff00"},
		{"json", `{"a":1}`, false, `{"a":1}`},
		{"text", strings.Repeat("é", 300), false, "'" + strings.Repeat("é", 92) + "…(600 bytes)'"},
		{"blob", strings.Repeat("\xff", 300), false, "0x" + strings.Repeat("ff", 92) + "…(300 bytes)"},
	}
	for _, tc := range cases {
		got := string(newRule(t, tc.typ, tc.typ).AppendLog(nil, []byte(tc.value), tc.null))
		if got != tc.want {
			t.Errorf("%s %q: got %s, want %s", tc.typ, tc.value, got, tc.want)
		}
	}
}

// FuzzCompareIsSymmetric takes any bytes as the values of any two types that hold bytes.
func FuzzCompareIsSymmetric(f *testing.F) {
	f.Add(uint8(4), uint8(12), []byte("1.50"), []byte("1.5"))
	f.Add(uint8(8), uint8(9), []byte("2024-12-31 23:59:59.9999"), []byte("2025-01-01 00:00:00"))
	f.Add(uint8(11), uint8(12), []byte(`{"a":1e2,"a":"\ud83d\ude00"}`), []byte(`{"a":100}`))
	f.Add(uint8(10), uint8(10), []byte("-00:00:59.9"), []byte("-838:59:59"))
	f.Add(uint8(2), uint8(6), []byte("\x01"), []byte("1e0"))
	f.Fuzz(func(t *testing.T, i, j uint8, v, w []byte) {
		src, des := everyType[int(i)%len(everyType)], everyType[int(j)%len(everyType)]
		r, err := row.NewRule(column(t, src), column(t, des))
		if err != nil {
			return
		}
		back := newRule(t, des, src)
		for _, round := range []bool{false, true} {
			r.RoundFraction, back.RoundFraction = round, round
			a1, err1 := r.AppendSource(nil, v)
			a2, err2 := back.AppendDestination(nil, v)
			b1, err3 := r.AppendDestination(nil, w)
			b2, err4 := back.AppendSource(nil, w)
			if (err1 == nil) != (err2 == nil) || (err3 == nil) != (err4 == nil) {
				t.Fatalf("errors %v, %v, %v, %v", err1, err2, err3, err4)
			}
			if err1 != nil || err3 != nil {
				return
			}
			if bytes.Equal(a1, b1) != bytes.Equal(a2, b2) {
				t.Fatalf("%s %q, %s %q: %q %q, changed places %q %q", src, v, des, w, a1, b1, a2, b2)
			}
			if src == des && bytes.Equal(v, w) && !bytes.Equal(a1, b1) {
				t.Fatalf("%s %q differs from itself: %q, %q", src, v, a1, b1)
			}
			if src != "bit(8)" { // its form is digits, its values are bits
				again, err := r.AppendSource(nil, a1)
				if err != nil || !bytes.Equal(again, a1) {
					t.Fatalf("%s against %s: form %q became %q: %v", src, des, a1, again, err)
				}
			}
			if text := r.AppendLog(nil, a1, false); len(text) > 200 {
				t.Fatalf("log text of %d bytes: %s", len(text), text)
			}
		}
	})
}
