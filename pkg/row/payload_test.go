package row_test

import (
	"database/sql/driver"
	"encoding/json"
	"math"
	"testing"

	"github.com/masixun71/cupid/pkg/row"
)

func TestPayloadValues(t *testing.T) {
	t.Parallel()
	cases := []struct {
		typ          string
		v            driver.Value
		want, string string
	}{
		{"bigint", int64(math.MinInt64), "-9223372036854775808", `"-9223372036854775808"`},
		{"bigint unsigned", uint64(math.MaxUint64), "18446744073709551615", `"18446744073709551615"`},
		{"int", b("007"), "7", `"7"`},
		{"int", "12", "12", `"12"`},
		{"year", int64(2024), "2024", `"2024"`},
		{"bit(16)", b("\x01\x00"), "256", `"256"`},
		{"float", float32(0.1), "0.1", `"0.1"`},
		{"float", b("0.1"), "0.1", `"0.1"`},
		{"float", float32(16777216), "16777216", `"16777216"`},
		{"double", 1e21, "1e+21", `"1e+21"`},
		{"double", 5e-324, "5e-324", `"5e-324"`},
		{"double", 123456789.125, "123456789.125", `"123456789.125"`},
		{"double", b("1e-7"), "1e-07", `"1e-07"`},
		{"decimal(10,2)", b("-1.50"), `"-1.50"`, `"-1.50"`},
		{"datetime", b("0000-00-00 00:00:00"), `"0000-00-00 00:00:00"`, `"0000-00-00 00:00:00"`},
		{"varchar(9)", b("é😀<\"\\\n\x01"), `"é😀<\"\\\n\u0001"`, `"é😀<\"\\\n\u0001"`},
		{"varchar(9)", b("a\xffb"), `"a` + "\ufffd" + `b"`, `"a` + "\ufffd" + `b"`},
		{"json", b(`{"a": 1}`), `"{\"a\": 1}"`, `"{\"a\": 1}"`},
		{"varbinary(9)", b("\xff\xfe\xfd\xfc"), `"//79/A=="`, `"//79/A=="`},
		{"geometry", b(""), `""`, `""`},
		{"varchar(9)", nil, "null", "null"},
		{"bigint", nil, "null", "null"},
	}
	for _, tc := range cases {
		for _, asString := range []bool{false, true} {
			want := tc.want
			if asString {
				want = tc.string
			}
			got, err := row.AppendJSON([]byte("x"), column(t, tc.typ), tc.v, asString)
			if err != nil || string(got) != "x"+want {
				t.Errorf("%s %v as string %v: got %s and error %v, want %s", tc.typ, tc.v, asString, got, err, want)
			}
		}
	}
}

func TestPayloadValueThatIsNone(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		typ string
		v   driver.Value
	}{{"double", math.NaN()}, {"float", float32(math.Inf(1))}, {"int", b("x")}, {"text", struct{}{}}, {"double", b("")}} {
		if got, err := row.AppendJSON([]byte("x"), column(t, tc.typ), tc.v, true); err == nil || string(got) != "x" {
			t.Errorf("%s %v: got %s and error %v", tc.typ, tc.v, got, err)
		}
	}
}

func FuzzPayloadIsJSON(f *testing.F) {
	f.Add(uint8(12), []byte("a\xff\"\n\x7f"))
	f.Add(uint8(4), []byte("1.5"))
	f.Add(uint8(6), []byte("-1.5e10"))
	f.Add(uint8(0), []byte("-007"))
	f.Fuzz(func(t *testing.T, i uint8, v []byte) {
		for _, asString := range []bool{false, true} {
			c := column(t, everyType[int(i)%len(everyType)])
			got, err := row.AppendJSON(nil, c, v, asString)
			if err == nil && !json.Valid(got) {
				t.Fatalf("%s %q: %q is no JSON", c.ColumnType, v, got)
			}
		}
	})
}
