package dsn_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/masixun71/cupid/pkg/dsn"
	"github.com/masixun71/cupid/pkg/secret"
)

func TestParse(t *testing.T) {
	tcp := func(addr, database string) dsn.DSN { return dsn.DSN{Net: "tcp", Addr: addr, Database: database} }
	login := func(d dsn.DSN, user, password string) dsn.DSN { return d.With(user, secret.New(password)) }
	params := func(d dsn.DSN, p map[string]string) dsn.DSN { d.Params = p; return d }
	for text, want := range map[string]dsn.DSN{
		"mysql:dbname=my;host=127.0.0.1;port=3306":              tcp("127.0.0.1:3306", "my"),
		"mysql:host=db.example; dbname=my;":                     tcp("db.example:3306", "my"),
		"mysql:dbname=my":                                       tcp("localhost:3306", "my"),
		"mysql:dbname=a;;b;host=h":                              tcp("h:3306", "a;b"),
		"mysql:dbname=a;dbname=b":                               tcp("localhost:3306", "b"),
		"mysql:host=::1;dbname=my":                              tcp("[::1]:3306", "my"),
		"mysql:host=[fe80::1%eth0];port=3307;dbname=my":         tcp("[fe80::1%eth0]:3307", "my"),
		"mysql:unix_socket=/run/my.sock;dbname=my":              {Net: "unix", Addr: "/run/my.sock", Database: "my"},
		"mysql:host=localhost;unix_socket=/s;port=1;dbname=my":  {Net: "unix", Addr: "/s", Database: "my"},
		"mysql:host=10.0.0.1;unix_socket=/run/my.sock;dbname=d": tcp("10.0.0.1:3306", "d"),
		"mysql:dbname=my;user=u;password=p;;w":                  login(tcp("localhost:3306", "my"), "u", "p;w"),
		"mysql:dbname=my;charset=utf8mb4":                       params(tcp("localhost:3306", "my"), map[string]string{"charset": "utf8mb4"}),
		"/my":                                                   tcp("127.0.0.1:3306", "my"),
		"u:pw@tcp(h:3307)/my":                                   login(tcp("h:3307", "my"), "u", "pw"),
		"u:p@s:/s?w@tcp(h)/my":                                  login(tcp("h:3306", "my"), "u", "p@s:/s?w"),
		"mysql:pw@tcp(h)/my":                                    login(tcp("h:3306", "my"), "mysql", "pw"),
		"mysql:pw@/my":                                          login(tcp("127.0.0.1:3306", "my"), "mysql", "pw"),
		"u@tcp([::1])/my":                                       login(tcp("[::1]:3306", "my"), "u", ""),
		"u@unix(/run/my.sock)/my":                               {Net: "unix", Addr: "/run/my.sock", Database: "my", User: "u"},
		"u@unix/my":                                             {Net: "unix", Addr: "/tmp/mysql.sock", Database: "my", User: "u"},
		"tcp/a%2Fb?charset=utf8mb4,utf8&loc=Asia%2FShanghai":    params(tcp("127.0.0.1:3306", "a/b"), map[string]string{"charset": "utf8mb4,utf8", "loc": "Asia/Shanghai"}),
	} {
		got, err := dsn.Parse(text)
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: got %v %v, %v, want %v %v", text, got, got.Params, err, want, want.Params)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	for text, want := range map[string]string{
		"":                                    "empty",
		"mysql:":                              "no database",
		"mysql:host=h":                        "no database",
		"mysql:hots=hunter2;dbname=my":        "part 1 after",
		"mysql:dbname=my;password=a;hunter2":  "part 3 after",
		"mysql:dbname=my;port":                "port has no value",
		"mysql:dbname=my;port=0":              "from 1 to 65535",
		"mysql:dbname=my;port=65536":          "from 1 to 65535",
		"mysql:dbname=my;port=03306":          "from 1 to 65535",
		"mysql:dbname=my;host=h:3307":         "host holds a colon",
		"mysql:dbname=my;host=h h":            "host is no name",
		"pgsql:host=h;dbname=my":              "other than MySQL",
		"MySQL:host=h;dbname=my":              "other than MySQL",
		"mysql://u:hunter2@h/my":              "a URL",
		"hunter2":                             "neither the PDO form nor the Go form",
		"u:hunter2@udp(h)/my":                 "neither tcp nor unix",
		"u:hunter2@tcp(h/my":                  "no closing bracket",
		"u:hunter2@tcp(h)/my?loc=Asia/Tokyo":  "no closing bracket",
		"u:hunter2@tcp(h)/":                   "no database",
		"u:hunter2@tcp(h)/my%zz":              "without two hexadecimal digits",
		"u:hunter2@tcp(h)/my?a=%zz":           "parameter 1",
		"u:hunter2@tcp(h)/my?a=1&hunter2":     "parameter 2",
		"u:hunter2@tcp(h:x)/my":               "from 1 to 65535",
		"u@unix(/a(b)/my":                     "one of @ ( ) ?",
		"mysql:unix_socket=/a@b;dbname=my":    "one of @ ( ) ?",
		"u:hunter2\x00@tcp(h)/my":             "NUL",
		"mysql:dbname=my;host=a%b;port=33066": "host is no name",
	} {
		_, err := dsn.Parse(text)
		typed, ok := errors.AsType[*dsn.Error](err)
		if !ok || !strings.Contains(typed.Problem, want) {
			t.Errorf("%q: got %v, want an error with %q", text, err, want)
			continue
		}
		if strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%q: error quotes the password: %v", text, err)
		}
		if typed.Hint == "" {
			t.Errorf("%q: no hint", text)
		}
	}
}

func TestPrintsWithoutPassword(t *testing.T) {
	d, err := dsn.Parse("u:hunter2@tcp(h)/my?token=hunter2")
	if err != nil {
		t.Fatal(err)
	}
	data, err := json.Marshal(d)
	if err != nil || string(data) != `"u@tcp(h:3306)/my"` {
		t.Errorf("got %s, %v", data, err)
	}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s"} {
		if got := fmt.Sprintf(verb, d); got != "u@tcp(h:3306)/my" {
			t.Errorf("%s: got %s", verb, got)
		}
	}
	if got := d.Format().Reveal(); got != "u:hunter2@tcp(h:3306)/my?token=hunter2" {
		t.Errorf("Format: got %s", got)
	}
	if d.Host() != "h" || (dsn.DSN{}).String() != "" || !(dsn.DSN{}).IsZero() || d.IsZero() {
		t.Errorf("got host %s, zero %q", d.Host(), dsn.DSN{})
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{"mysql:dbname=my;host=127.0.0.1;port=3306", "mysql:unix_socket=/s;dbname=a;;b;charset=x", "u:p@s@tcp([::1]:33)/a%2Fb?x=%20+&y=", "u@unix/my", "mysql:p@/x"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		d, err := dsn.Parse(text)
		if err != nil {
			if _, ok := errors.AsType[*dsn.Error](err); !ok {
				t.Fatalf("error is a %T", err)
			}
			return
		}
		if d.Net == "" || d.Addr == "" || d.Database == "" {
			t.Fatalf("%q: incomplete: %#v", text, d)
		}
		bare := d.With("", secret.String{})
		if again, err := dsn.Parse(bare.Format().Reveal()); err != nil || !reflect.DeepEqual(again, bare) {
			t.Fatalf("%q: without login %q gives %v, %v", text, bare.Format().Reveal(), again, err)
		}
		if strings.ContainsAny(d.User, ":/") || strings.HasPrefix(d.User, "mysql") {
			return // Format says that it cannot carry these
		}
		if again, err := dsn.Parse(d.Format().Reveal()); err != nil || !reflect.DeepEqual(again, d) {
			t.Fatalf("%q: %q gives %v, %v", text, d.Format().Reveal(), again, err)
		}
	})
}
