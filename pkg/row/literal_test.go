package row_test

import (
	"bytes"
	"encoding/hex"
	"math"
	"strconv"
	"strings"
	"testing"

	"github.com/masixun71/cupid/pkg/row"
)

func TestLiterals(t *testing.T) {
	t.Parallel()
	// The double between these two floats: rounding twice would take the wrong one.
	const halfway = "1.00000017881393432617187499"
	cases := []struct {
		src, des, canonical, want string
	}{
		{"bigint", "bigint", "-7", "-7"},
		{"bigint unsigned", "decimal(20,0)", "18446744073709551615", "18446744073709551615"},
		{"decimal(10,2)", "decimal(10,2)", "0.5", "0.5"},
		{"double", "double", "1e+300", "1e+300"},
		{"float", "float", "0.1", "0.1"},
		{"varchar(40)", "float", halfway, "1.0000001192092896"},
		{"bit(8)", "bit(8)", "5", "5"},
		{"binary(1)", "bit(8)", "\x05", "x'05'"},
		{"year", "year", "0", "0"},
		{"bigint", "varchar(9)", "7", "'7'"},
		{"bigint", "varbinary(9)", "7", "x'37'"},
		{"varchar(9)", "bigint", "7); DROP TABLE t; --", "'7); DROP TABLE t; --'"},
		{"varchar(9)", "double", "1e5'", "_utf8mb4 x'31653527'"},
		{"date", "date", "0000-00-00", "'0000-00-00'"},
		{"datetime(3)", "timestamp(3)", "2024-01-01 00:00:00.000", "'2024-01-01 00:00:00.000'"},
		{"time", "time", "-838:59:59", "'-838:59:59'"},
		{"varchar(9)", "varchar(9)", "", "''"},
		{"varchar(9)", "varchar(9)", `say "hi" `, `'say "hi" '`},
		{"varchar(9)", "varchar(9)", "it's", "_utf8mb4 x'69742773'"},
		{"varchar(9)", "varchar(9)", `\`, "_utf8mb4 x'5c'"},
		{"varchar(9)", "varchar(9)", "\n", "_utf8mb4 x'0a'"},
		{"varchar(9)", "varchar(9)", "é", "_utf8mb4 x'c3a9'"},
		{"varbinary(9)", "varchar(9)", "\xff", "x'ff'"},
		{"varchar(9)", "blob", "abc", "x'616263'"},
		{"blob", "blob", "", "x''"},
		{"json", "json", `{"a":"b"}`, `'{"a":"b"}'`},
		{"json", "json", `"\u0000"`, "_utf8mb4 x'225c753030303022'"},
		{"geometry", "geometry", "\x00\x01", "x'0001'"},
	}
	for _, tc := range cases {
		r := newRule(t, tc.src, tc.des)
		if got := string(r.AppendLiteral(nil, []byte(tc.canonical), false)); got != tc.want {
			t.Errorf("%s to %s, %q: got %s, want %s", tc.src, tc.des, tc.canonical, got, tc.want)
		}
		if got := string(r.AppendLiteral([]byte("a="), nil, true)); got != "a=NULL" {
			t.Errorf("%s to %s: NULL is %s", tc.src, tc.des, got)
		}
	}
}

// FuzzLiteralIsOneToken takes any bytes as a value, of which nothing may get out of its literal.
func FuzzLiteralIsOneToken(f *testing.F) {
	f.Add(uint8(4), uint8(12), []byte("1.50"))
	f.Add(uint8(11), uint8(0), []byte("' OR 1=1 -- "))
	f.Add(uint8(11), uint8(3), []byte("1e5"))
	f.Add(uint8(12), uint8(12), []byte("\\'\x00\xff"))
	f.Fuzz(func(t *testing.T, i, j uint8, v []byte) {
		r, err := row.NewRule(column(t, everyType[int(i)%len(everyType)]), column(t, everyType[int(j)%len(everyType)]))
		if err != nil {
			return
		}
		text := string(r.AppendLiteral(nil, v, false))
		value, ok := literalValue(text)
		if !ok {
			t.Fatalf("%q became %s, which is no literal", v, text)
		}
		if bytes.Equal(value, v) {
			return
		}
		got, err1 := strconv.ParseFloat(string(value), 64)
		want, err2 := strconv.ParseFloat(string(v), 32)
		if err1 != nil || err2 != nil || math.Float32bits(float32(got)) != math.Float32bits(float32(want)) {
			t.Fatalf("%q became %s", v, text)
		}
	})
}

// literalValue is what a server in any sql_mode reads a literal as.
func literalValue(text string) ([]byte, bool) {
	quoted, isText := strings.CutPrefix(text, "'")
	digits, isHex := strings.CutPrefix(strings.TrimPrefix(text, "_utf8mb4 "), "x'")
	switch {
	case isHex:
		b, err := hex.DecodeString(strings.TrimSuffix(digits, "'"))
		return b, err == nil && strings.HasSuffix(digits, "'")
	case isText:
		inner, closed := strings.CutSuffix(quoted, "'")
		bad := strings.IndexFunc(inner, func(r rune) bool { return r == '\'' || r == '\\' || r < ' ' || r > '~' })
		return []byte(inner), closed && bad < 0
	}
	return []byte(text), text != "" && strings.Trim(text, "-+.0123456789eE") == ""
}
