package row_test

import (
	"bytes"
	"encoding/json"
	"io"
	"math/big"
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/masixun71/cupid/pkg/row"
)

func TestCanonicalJSON(t *testing.T) {
	t.Parallel()
	deep := strings.Repeat("[", 100) + strings.Repeat("]", 100)
	deeper := strings.Repeat("[ ", 300) + strings.Repeat("]", 300)
	cases := []struct{ in, want string }{
		{` { "b" : 1 , "a" : { "d" : [ ] , "c" : { } } } `, `{"a":{"c":{},"d":[]},"b":1}`},
		{`{"b":{"y":1,"x":2},"a":{"y":3,"x":4}}`, `{"a":{"x":4,"y":3},"b":{"x":2,"y":1}}`},
		{`{"a":1,"b":2,"a":3,"a":4}`, `{"a":4,"b":2}`},
		{`"\u000a\u0022\u005c\u0041\b\f\n\r\t\""`, `"\u000a\"\\A\u0008\u000c\u000a\u000d\u0009\""`},
		{`"<>&` + "\u2028" + `"`, `"<>&` + "\u2028" + `"`},
		{`-0`, `0`},
		{`-12.50e1`, `-125`},
		{`0.00`, `0`},
		{`1.25E-3`, `0.00125`},
		{`0e999`, `0`},
		{`12345e-3`, `12.345`},
		{deep, deep},
		// What is no JSON stays.
		{deeper, deeper},
		{``, ``},
		{` `, ` `},
		{`{"a":1,}`, `{"a":1,}`},
		{`[1,]`, `[1,]`},
		{`{"a"}`, `{"a"}`},
		{`01`, `01`},
		{`+1`, `+1`},
		{`1.`, `1.`},
		{`.5`, `.5`},
		{`NaN`, `NaN`},
		{`1e1234567890123456`, `1e1234567890123456`},
		{`1 2`, `1 2`},
		{`"a`, `"a`},
		{`"\u12"`, `"\u12"`},
		{"\"\n\"", "\"\n\""},
		{`"\x"`, `"\x"`},
		{`[`, `[`},
		{`tru`, `tru`},
	}
	r := newRule(t, "json", "text")
	for _, tc := range cases {
		if got := canonical(t, r, row.Source, b(tc.in)); got != tc.want {
			t.Errorf("%s: got %s, want %s", tc.in, got, tc.want)
		}
	}
}

// FuzzCanonicalJSON holds the canonical form against encoding/json.
func FuzzCanonicalJSON(f *testing.F) {
	for _, s := range []string{
		`{"b":[1.50,-0,1e3,true,false,null],"a":"\u00e9\n\/","a":{}}`, `"\ud83d\ude00"`, `[[[]]]`, `1e-400`, `0.10`, `{`, ``, "\xff",
	} {
		f.Add([]byte(s))
	}
	r, err := row.NewRule(row.Column{DataType: "json"}, row.Column{DataType: "json"})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		if len(in) > 2000 {
			return
		}
		out, err := r.AppendSource(nil, in)
		if err != nil {
			t.Fatal(err)
		}
		if len(out) > 6*len(in)+200*(1+bytes.Count(in, []byte{'e'})+bytes.Count(in, []byte{'E'})) {
			t.Fatalf("%d bytes became %d", len(in), len(out))
		}
		if !json.Valid(in) {
			if !bytes.Equal(in, out) {
				t.Fatalf("%q is no JSON and became %q", in, out)
			}
			return
		}
		want, wantOK := decode(in)
		if !utf8.Valid(in) || bytes.Contains(bytes.ToLower(in), []byte(`\ud`)) || !wantOK {
			return // encoding/json replaces what it cannot decode
		}
		got, ok := decode(out)
		if !ok || !reflect.DeepEqual(got, want) {
			t.Fatalf("%s became %s", in, out)
		}
	})
}

// decode reads JSON into maps, with numbers as the text of their exact value. Numbers of large exponents are not looked at.
func decode(text []byte) (any, bool) {
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	var v any
	if d.Decode(&v) != nil {
		return nil, false
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, false
	}
	return exact(v)
}

func exact(v any) (any, bool) {
	ok := true
	switch v := v.(type) {
	case json.Number:
		if i := strings.IndexAny(v.String(), "eE"); i >= 0 && len(v.String())-i > 5 {
			return nil, false
		}
		n, ok := new(big.Rat).SetString(v.String())
		if !ok {
			return nil, false
		}
		return "number " + n.RatString(), true
	case []any:
		for i := range v {
			var good bool
			v[i], good = exact(v[i])
			ok = ok && good
		}
	case map[string]any:
		for k := range v {
			var good bool
			v[k], good = exact(v[k])
			ok = ok && good
		}
	}
	return v, ok
}
