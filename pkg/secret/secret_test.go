package secret_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/masixun71/cupid/pkg/secret"
)

const plain = "hunter2-äß"

func TestNothingPrintsTheText(t *testing.T) {
	s := secret.New(plain)
	type inner struct{ hidden secret.String }
	values := []any{
		s, &s,
		[]secret.String{s},
		map[string]secret.String{"k": s},
		map[secret.String]int{s: 1},
		struct{ S secret.String }{s},
		inner{s},
		&inner{s},
		struct{ p *inner }{&inner{s}},
		fmt.Errorf("wrapped %v: %s", s, s),
	}
	for i, v := range values {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%t", "%10.3s"} {
			if got := fmt.Sprintf(verb, v); strings.Contains(got, plain[:6]) || strings.Contains(got, fmt.Sprintf("%x", plain[:6])) {
				t.Errorf("value %d, %s: got %q, which holds the text", i, verb, got)
			}
		}
		if data, err := json.Marshal(v); err == nil && strings.Contains(string(data), plain[:6]) {
			t.Errorf("value %d: JSON %s holds the text", i, data)
		}
	}
	if got := fmt.Sprintf("%v %#v", s, struct{ S secret.String }{s}); !strings.Contains(got, "*** struct") {
		t.Errorf("got %q, want stars", got)
	}
}

func TestRevealAndEquality(t *testing.T) {
	a, b := secret.New(plain), secret.New(strings.Clone(plain))
	if a.Reveal() != plain || a != b || a == secret.New("x") {
		t.Errorf("got %q, a == b %v; want the text, and equality by text", a.Reveal(), a == b)
	}
	var zero secret.String
	if !zero.IsZero() || zero.Reveal() != "" || secret.New("") != zero || a.IsZero() {
		t.Error("zero value is not the empty text")
	}
}

func TestUnmarshal(t *testing.T) {
	var v struct{ S secret.String }
	if err := json.Unmarshal([]byte(`{"S":"a\u0062c"}`), &v); err != nil || v.S.Reveal() != "abc" {
		t.Errorf("got %q, %v, want abc", v.S.Reveal(), err)
	}
	for _, bad := range []string{`{"S":12345}`, `{"S":null}`, `{"S":["tok"]}`} {
		err := json.Unmarshal([]byte(bad), &v)
		if err == nil || strings.Contains(err.Error(), "12345") {
			t.Errorf("%s: got error %v, want one that quotes nothing", bad, err)
		}
	}
	if got, err := json.Marshal(v); err != nil || string(got) != `{"S":"***"}` {
		t.Errorf("got %s, %v", got, err)
	}
	if err := v.S.UnmarshalText([]byte("t")); err != nil || v.S.Reveal() != "t" {
		t.Errorf("got %q, %v", v.S.Reveal(), err)
	}
}

func TestRedact(t *testing.T) {
	for _, c := range []struct {
		name, text string
		secrets    []string
		want       string
	}{
		{"plain", "dial root:hunter2@db", []string{"hunter2"}, "dial root:***@db"},
		{"twice", "hunter2 hunter2", []string{"hunter2"}, "*** ***"},
		{"query escaped", "GET /?k=a%26b+c%2Fd", []string{"a&b c/d"}, "GET /?k=***"},
		{"path escaped", "GET /a&b%20c%2Fd/x", []string{"a&b c/d"}, "GET /***/x"},
		{"userinfo escaped", "http://u:p%40ss%2Fw@h", []string{"p@ss/w"}, "http://u:***@h"},
		{"Go quoted", `parse "pa\"ss"`, []string{`pa"ss`}, `parse "***"`},
		{"JSON quoted", `{"k":"a\u003cbc"}`, []string{"a<bc"}, `{"k":"***"}`},
		{"overlapping", "xabcdefx", []string{"abcd", "cdef"}, "x***x"},
		{"one in the other", "xabcdefx", []string{"bcde", "abcdef"}, "x***x"},
		{"of stars", "a *** b", []string{"***"}, "a *** b"},
		{"short inside of a word", "table admin, a 'a'", []string{"a"}, "table admin, *** '***'"},
		{"short beside a letter of two bytes", "äab ab", []string{"ab"}, "äab ***"},
		{"empty", "text", []string{""}, "text"},
		{"none", "text", nil, "text"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var secrets []secret.String
			for _, s := range c.secrets {
				secrets = append(secrets, secret.New(s))
			}
			if got := secret.Redact(c.text, secrets...); got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

func FuzzRedact(f *testing.F) {
	f.Add("dial root:hunter2@db", "hunter2", "root")
	f.Fuzz(func(t *testing.T, text, a, b string) {
		got := secret.Redact(text, secret.New(a), secret.New(b))
		if len(a) >= 4 && !strings.Contains(a, "*") && strings.Contains(got, a) {
			t.Errorf("%q still holds %q", got, a)
		}
		if a == "" && b == "" && got != text {
			t.Errorf("got %q from %q without secrets", got, text)
		}
	})
}
