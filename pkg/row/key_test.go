package row_test

import (
	"bytes"
	"database/sql/driver"
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"

	"github.com/masixun71/cupid/pkg/row"
)

func key(parts ...string) row.Key {
	var list [][]byte
	for _, p := range parts {
		list = append(list, []byte(p))
	}
	return row.NewKey(list...)
}

func TestKeyText(t *testing.T) {
	t.Parallel()
	cases := []struct {
		key  row.Key
		want string
	}{
		{key("42"), "42"},
		{key("Müller 😀"), "Müller 😀"},
		{key(""), ""},
		{key("", ""), ","},
		{key("a,b"), `a\,b`},
		{key("a", "b"), "a,b"},
		{key(`a\`, "b"), `a\\,b`},
		{key("0x41"), "0x30783431"},
		{key("\xff\x00"), "0xff00"},
		{key("a\tb"), "0x610962"},
		{row.NewKey(nil, []byte(`\N`)), `\N,\\N`},
	}
	for _, tc := range cases {
		text, err := tc.key.MarshalText()
		if err != nil || string(text) != tc.want {
			t.Errorf("got %s and error %v, want %s", text, err, tc.want)
		}
		var back row.Key
		if err := back.UnmarshalText(text); err != nil || back != tc.key {
			t.Errorf("%s came back as %s, error %v", text, back, err)
		}
	}
}

func TestKeyTextThatIsNone(t *testing.T) {
	t.Parallel()
	for _, text := range []string{`\`, `a\b`, "0x4", "0xzz", `\Nx`, `x\N`, "a,0x1"} {
		k := key("before")
		if err := k.UnmarshalText([]byte(text)); err == nil || k != key("before") {
			t.Errorf("%s was read as %s, error %v", text, k, err)
		}
	}
}

func TestKeyStringIsBounded(t *testing.T) {
	t.Parallel()
	got := key(strings.Repeat("é", 1000)).String()
	if len(got) > 200 || !utf8.ValidString(got) || !strings.HasSuffix(got, "…(2000 bytes)") {
		t.Errorf("%d bytes: %s", len(got), got)
	}
}

func TestKeyIsJSONText(t *testing.T) {
	t.Parallel()
	in := map[string]row.Key{"key": key("a\"\x00", "😀")}
	data, err := json.Marshal(in)
	if err != nil {
		t.Fatal(err)
	}
	var out map[string]row.Key
	if err := json.Unmarshal(data, &out); err != nil || !reflect.DeepEqual(in, out) {
		t.Errorf("%s came back as %v, error %v", data, out, err)
	}
}

func TestKeyRoundTrip(t *testing.T) {
	t.Parallel()
	part := rapid.OneOf(
		rapid.SliceOfN(rapid.SampledFrom([]byte{0, 1, 2, 0xff, 'a', ',', '\\', 'N', '0', 'x'}), 0, 8),
		rapid.SliceOf(rapid.Byte()), rapid.Just([]byte(nil)))
	parts := rapid.SliceOfN(part, 1, 4)
	rapid.Check(t, func(t *rapid.T) {
		a, b := parts.Draw(t, "a"), parts.Draw(t, "b")
		for i := range a {
			if a[i] != nil && len(a[i]) == 0 {
				a[i] = []byte{}
			}
		}
		k := row.NewKey(a...)
		if got := k.Parts(); !sameParts(got, a) {
			t.Fatalf("parts %q came back as %q", a, got)
		}
		if (k == row.NewKey(b...)) != sameParts(a, b) {
			t.Fatalf("%q, %q: equal is %v", a, b, k == row.NewKey(b...))
		}
		text, _ := k.MarshalText()
		var back row.Key
		if err := back.UnmarshalText(text); err != nil || back != k {
			t.Fatalf("%q as text %s came back as %q: %v", a, text, back.Parts(), err)
		}
	})
}

func sameParts(a, b [][]byte) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if (a[i] == nil) != (b[i] == nil) || !bytes.Equal(a[i], b[i]) {
			return false
		}
	}
	return true
}

func FuzzKeyText(f *testing.F) {
	f.Add([]byte(`a\,b,0xff,\N`))
	f.Add([]byte(`0x00,\\N`))
	f.Fuzz(func(t *testing.T, text []byte) {
		var k, back row.Key
		if k.UnmarshalText(text) == nil {
			again, err := k.MarshalText()
			if err != nil || back.UnmarshalText(again) != nil || back != k {
				t.Fatalf("%q is %q, came back as %q", text, again, back.Parts())
			}
			if !utf8.Valid(again) {
				t.Fatalf("%q is no UTF-8", again)
			}
		}
		k = row.NewKey(text, text)
		again, _ := k.MarshalText()
		if err := back.UnmarshalText(again); err != nil || back != k {
			t.Fatalf("part %q as %q came back as %q: %v", text, again, back.Parts(), err)
		}
	})
}

// TestKeyIsBoundAsItsColumn has the key as the source's driver delivers it and what both sides are asked with; nil for a
// key that cannot exist there.
func TestKeyIsBoundAsItsColumn(t *testing.T) {
	t.Parallel()
	cases := []struct {
		src, des   string
		v          driver.Value
		toSrc, arg any
	}{
		{"bigint", "varchar(32)", int64(7), int64(7), "7"},
		{"bigint", "bigint unsigned", int64(7), int64(7), uint64(7)},
		{"bigint", "bigint unsigned", int64(-7), int64(-7), nil},
		{"bigint unsigned", "bigint", uint64(1 << 63), uint64(1 << 63), nil},
		{"bigint", "tinyint", int64(-128), int64(-128), int64(-128)},
		{"bigint", "tinyint", int64(128), int64(128), nil},
		{"int", "mediumint unsigned", int64(1 << 24), int64(1 << 24), nil},
		{"varchar(9)", "int", b("007"), "007", int64(7)},
		{"varchar(9)", "int", b("abc"), "abc", nil},
		{"varchar(9)", "int", b("7 "), "7 ", nil},
		{"varchar(9)", "int", b("7.5"), "7.5", nil},
		{"varchar(9)", "varchar(9)", b("é "), "é ", "é "},
		{"varchar(9)", "varbinary(9)", b("é"), "é", []byte("é")},
		{"varbinary(9)", "varchar(9)", b("\xff"), []byte("\xff"), nil},
		{"varbinary(9)", "binary(9)", b("\x00\xff"), []byte("\x00\xff"), []byte("\x00\xff")},
		{"varbinary(9)", "varbinary(9)", b(""), []byte{}, []byte{}},
		{"decimal(10,2)", "varchar(9)", b("1.50"), "1.5", "1.50"},
		{"decimal(10,2)", "decimal(10,4)", b("1.50"), "1.5", "1.5"},
		{"decimal(20,0)", "bigint", b("9007199254740993"), int64(9007199254740993), int64(9007199254740993)},
		{"decimal(20,0)", "decimal(30,0)", b("99999999999999999999"), "99999999999999999999", "99999999999999999999"},
		{"decimal(10,2)", "bigint", b("1.50"), "1.5", nil},
		{"varchar(9)", "decimal(10,2)", b("1.500"), "1.500", "1.5"},
		{"bit(16)", "bigint", b("\x01\x00"), uint64(256), int64(256)},
		{"bigint", "bit(8)", int64(256), int64(256), nil},
		{"bit(8)", "binary(1)", b("\x07"), uint64(7), []byte("\x07")},
		{"year", "int", int64(2024), int64(2024), int64(2024)},
		{"int", "year", int64(9999), int64(9999), nil},
		{"float", "double", float32(0.5), 0.5, 0.5},
		{"double", "bigint", float64(1 << 60), float64(1 << 60), int64(1 << 60)},
		{"double", "bigint", 0.5, 0.5, nil},
		{"datetime(6)", "datetime(3)", b("2024-01-01 00:00:00.123456"), "2024-01-01 00:00:00.123456", "2024-01-01 00:00:00.123"},
		{"datetime", "date", b("2024-01-01 00:00:00"), "2024-01-01 00:00:00", "2024-01-01"},
		{"datetime", "date", b("2024-01-01 00:00:01"), "2024-01-01 00:00:01", nil},
		{"date", "datetime", b("2024-01-01"), "2024-01-01", "2024-01-01 00:00:00"},
		{"datetime(3)", "varchar(32)", b("2024-01-01 00:00:00.100"), "2024-01-01 00:00:00.100", "2024-01-01 00:00:00.100"},
		{"varchar(32)", "datetime", b("2024-02-30 00:00:00"), "2024-02-30 00:00:00", nil},
		{"varchar(32)", "datetime", b("2024-02-29 24:00:00"), "2024-02-29 24:00:00", nil},
		{"varchar(32)", "date", b("2024-00-00"), "2024-00-00", "2024-00-00"},
		{"varchar(32)", "time", b("839:00:00"), "839:00:00", nil},
		{"varchar(32)", "time", b("-838:59:59"), "-838:59:59", "-838:59:59"},
		{"uuid", "char(36)", b("a-b"), "a-b", "a-b"},
	}
	for _, tc := range cases {
		rules := []row.Rule{newRule(t, tc.src, tc.des)}
		k := newBatch(t, newMapping(t, rules), row.Source, values(tc.v)).Key(0)
		got, err := k.Args(rules)
		checkArgs(t, tc.src+" to "+tc.des+" "+k.String(), got, err, tc.arg)
		got, err = k.SourceArgs(rules)
		checkArgs(t, tc.src+" from "+tc.des+" "+k.String(), got, err, tc.toSrc)
	}
}

func checkArgs(t *testing.T, name string, got []any, err error, want any) {
	t.Helper()
	if want == nil {
		if !errors.Is(err, row.ErrImpossibleKey) || got != nil {
			t.Errorf("%s: got %#v and error %v, want ErrImpossibleKey", name, got, err)
		}
		return
	}
	if err != nil || len(got) != 1 || !reflect.DeepEqual(got[0], want) {
		t.Errorf("%s: got %#v and error %v, want %#v", name, got, err, want)
	}
}

func TestCompositeKeyIsBoundInOrder(t *testing.T) {
	t.Parallel()
	rules := []row.Rule{newRule(t, "bigint", "varchar(9)"), newRule(t, "varbinary(9)", "varbinary(9)")}
	batch := newBatch(t, newMapping(t, rules), row.Source, values(int64(7), b("\x00\x01")), values(int64(7), nil))
	before := []any{"before"}
	got, err := batch.Key(0).AppendArgs(before, row.Destination, rules)
	if want := []any{"before", "7", []byte("\x00\x01")}; err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %#v and error %v, want %#v", got, err, want)
	}
	got, err = batch.Key(1).AppendArgs(before, row.Destination, rules)
	if !errors.Is(err, row.ErrImpossibleKey) || !reflect.DeepEqual(got, before) {
		t.Errorf("NULL part: got %#v and error %v", got, err)
	}
	if _, err = batch.Key(0).Args(rules[:1]); !errors.Is(err, row.ErrOtherColumns) || errors.Is(err, row.ErrImpossibleKey) {
		t.Errorf("two parts for one column: got error %v", err)
	}
}

// TestSourceSpellingOfAKey: '007' and '7' match the INT 7, and each source row is found again by its own text.
func TestSourceSpellingOfAKey(t *testing.T) {
	t.Parallel()
	rules := []row.Rule{newRule(t, "varchar(9)", "int"), newRule(t, "bit(8)", "int")}
	m := newMapping(t, rules)
	src := newBatch(t, m, row.Source, values(b("007"), b("1")), values(b("7"), b("1")))
	des := newBatch(t, m, row.Destination, values(int64(7), int64('1')))
	if got := row.Compare(src, des); got != nil {
		t.Errorf("got %+v", got)
	}
	if got := src.Key(0).String() + " " + src.Key(1).String() + " " + des.Key(0).String(); got != "007,49 7,49 7,49" {
		t.Errorf("keys are %s", got)
	}
	if !bytes.Equal(src.KeyBytes(0), des.KeyBytes(0)) {
		t.Errorf("match by %q and %q", src.KeyBytes(0), des.KeyBytes(0))
	}
	if got, err := src.Key(0).SourceArgs(rules); err != nil || !reflect.DeepEqual(got, []any{"007", uint64('1')}) {
		t.Errorf("got %#v, error %v", got, err)
	}
	if got, err := src.Key(0).Args(rules); err != nil || !reflect.DeepEqual(got, []any{int64(7), int64('1')}) {
		t.Errorf("got %#v, error %v", got, err)
	}
}

// FuzzKeyArgs: whatever a key holds, both sides are asked for it or it is impossible.
func FuzzKeyArgs(f *testing.F) {
	f.Add(uint8(12), uint8(7), []byte("2024-02-30"))
	f.Add(uint8(10), uint8(12), []byte("-00:00:00.5"))
	f.Add(uint8(4), uint8(5), []byte("1.50"))
	f.Fuzz(func(t *testing.T, i, j uint8, part []byte) {
		r, err := row.NewRule(column(t, everyType[int(i)%len(everyType)]), column(t, everyType[int(j)%len(everyType)]))
		if err != nil {
			return
		}
		k := row.NewKey(part)
		for _, side := range []row.Side{row.Source, row.Destination} {
			args, err := k.AppendArgs(nil, side, []row.Rule{r})
			if err == nil && len(args) != 1 || err != nil && !errors.Is(err, row.ErrImpossibleKey) {
				t.Fatalf("%s, %s %q: got %#v, error %v", r.Describe(), side, part, args, err)
			}
		}
	})
}
