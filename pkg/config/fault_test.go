package config_test

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/masixun71/cupid/pkg/config"
)

// base is a small valid file. A test replaces one piece of it.
const base = `{
  "logDir": "/log",
  "src": {
    "dsn": "mysql:dbname=s", "user": "u", "password": "hunter2", "table": "t", "byColumn": "k",
    "insert": true, "cacheFilePath": "/c"
  },
  "des": [
    {"dsn": "mysql:dbname=d", "user": "u", "password": "hunter2", "table": "t", "byColumn": "k",
     "columns": {"k": "k"},
     "callbackNotification": {"url": "h/p"}}
  ]
}`

func TestEachFault(t *testing.T) {
	load(t, base)
	update := func(keys string) string { return `"insert": true, "update": true, ` + keys }
	for _, c := range []struct{ old, new, want string }{
		{`"logDir": "/log",`, ``, `test.json:1:1: logDir: missing (add the key "logDir")`},
		{`"/log"`, `""`, `2:13: logDir: empty`},
		{`"/log"`, `null`, `logDir: null is no value (write text in quotes, or leave`},
		{`"/log"`, `7`, `logDir: a number is of the wrong type (write text in quotes)`},
		{`"/log"`, `{}`, `logDir: an object is of the wrong type`},
		{`"logDir"`, `"workerNumber": 2, "logDir"`, `2:19: workerNumber: below the smallest value 3 (write an integer from 3 to 256)`},
		{`"logDir"`, `"workerNumber": 257, "logDir"`, `workerNumber: above the largest value 256`},
		{`"logDir"`, `"workerNumber": 99999999999999999999, "logDir"`, `workerNumber: above the largest value 256`},
		{`"logDir"`, `"workerNumber": -99999999999999999999, "logDir"`, `workerNumber: below`},
		{`"logDir"`, `"workerNumber": 3.0, "logDir"`, `workerNumber: number with a fraction`},
		{`"logDir"`, `"workerNumber": "3", "logDir"`, `workerNumber: text in quotes is of the wrong type (write an integer from 3 to 256 without quotes)`},
		{`"logDir"`, `"workerNumer": 3, "logDir"`, `2:3: workerNumer: unknown key (did you mean "workerNumber"?)`},
		{`"logDir"`, `"wrokerNumber": 3, "logDir"`, `did you mean "workerNumber"?`},
		{`"logDir"`, `"WorkerNumber": 3, "logDir"`, `did you mean "workerNumber"? capitals count`},
		{`"logDir"`, `"updateTimeFormat": "U", "logDir"`, `known here are`},
		{`"logDir"`, `"byColumn": "x", "logDir"`, `this key belongs to src`},
		{`"logDir"`, `"zz\nq q": "x", "logDir"`, `["zz\nq q"]: unknown key`},
		{`"logDir"`, `"logLevel": "verbose", "logDir"`, `logLevel: unknown value (write one of trace, debug, info, warn, error)`},
		{`"logDir"`, `"logValues": "true", "logDir"`, `logValues: text in quotes is of the wrong type (write true or false`},
		{`"logDir"`, `"notify": {"urls": "x://y"}, "logDir"`, `notify.urls: text in quotes is of the wrong type (write a list`},
		{`"logDir"`, `"notify": {"urls": ["hunter2"]}, "logDir"`, `notify.urls[0]: no service URL`},
		{`"logDir"`, `"pushbearUrl": "ftp://h", "logDir"`, `pushbearUrl: URL of a scheme other than`},
		{`"logDir"`, `"jobs": [], "logDir"`, `jobs: empty`},
		{`"logDir"`, `"jobs": [], "logDir"`, `src: stands beside jobs`},
		{`"logDir"`, `"cacheFilePath": "/d", "logDir"`, `src.cacheFilePath: stands at the top level too`},
		{`"password": "hunter2", "table": "t", "byColumn": "k",` + "\n    ", `"password": "hunter2", "password": "hunter2", "table": "t", "byColumn": "k",`, `4:66: src.password: the same key again (it is already in line 4; remove one)`},
		{`, "cacheFilePath": "/c"`, ``, `3:10: src.cacheFilePath: missing`},
		{`"insert": true`, `"insert": false, "sweep": false`, `src.sweep: none of insert, update and sweep is true`},
		{`"insert": true, `, `"sweep": false, `, `src.sweep: none of insert, update and sweep is true`},
		{`"insert": true`, `"sweepIntervalSecond": 0`, `src.sweepIntervalSecond: below the smallest value 1`},
		{`"insert": true`, `"sweepRowPerSecond": -1`, `src.sweepRowPerSecond: below the smallest value 0`},
		{`"insert": true`, `"sweepThreadsRunning": 100001`, `src.sweepThreadsRunning: above the largest value 100000`},
		{`"insert": true`, `"sweepLagSecond": 86401`, `src.sweepLagSecond: above the largest value 86400`},
		{`"insert": true`, `"delete": 1`, `src.delete: a number is of the wrong type (write true or false`},
		{`"insert": true`, `"deletePerHour": 0`, `src.deletePerHour: below the smallest value 1`},
		{`"insert": true`, update(`"updateScanSecond": 5`), `src.updateColumn: missing, and update is true`},
		{`"insert": true`, update(`"updateColumn": "t"`), `src.updateScanSecond: missing, and update is true`},
		{`"insert": true`, update(`"updateColumn": "t", "updateScanSecond": 5, "updateTimeFormate": "d-m-Y"`), `src.updateTimeFormate: text order is not time order from character 1 of the format, 'd'`},
		{`"insert": true`, update(`"updateColumn": "t", "updateScanSecond": 0`), `src.updateScanSecond: below the smallest value 1`},
		{`"insert": true`, `"insert": true, "timeZone": "8 o'clock"`, `src.timeZone: no time zone`},
		{`"mysql:dbname=s"`, `"mysql:dbname=s;hots=hunter2"`, `src.dsn: part 2 after "mysql:" has no known key (known are`},
		{`"mysql:dbname=s", "user": "u"`, `"mysql:dbname=s"`, `src.user: missing`},
		{`"u", "password": "hunter2", "table": "t", "byColumn": "k",` + "\n    ", `"u", "table": "t", "byColumn": "k",`, `src.password: missing (add the key "password"; an account without one has "")`},
		{`"password": "hunter2"`, `"password": "${NOT_SET}"`, `src.password: environment variable NOT_SET is not set`},
		{`"password": "hunter2"`, `"password": "${hunter2"`, `src.password: ${ without a variable's name`},
		{`"password": "hunter2"`, `"password": "${hunter 2}"`, `src.password: ${ without a variable's name`},
		{`"password": "hunter2"`, `"password": "${BINARY}"`, `src.password: text that is not UTF-8`},
		{`"password": "hunter2"`, `"password": 1234567`, `src.password: a number is of the wrong type`},
		{`"table": "t"`, `"table": "` + strings.Repeat("ä", 65) + `"`, `src.table: name longer than 64`},
		{`"table": "t"`, `"table": "t "`, `src.table: name ends with a space`},
		{`"table": "t"`, `"table": "\u0000"`, `src.table: holds a NUL byte`},
		{`"byColumn": "k"`, `"byColumn": ["k", "K"]`, `src.byColumn[1]: the same column again`},
		{`"byColumn": "k"`, `"byColumn": []`, `src.byColumn: empty`},
		{`"byColumn": "k"`, `"byColumn": ""`, `src.byColumn: empty`},
		{`"byColumn": "k"`, `"byColumn": {}`, `src.byColumn: an object is of the wrong type`},
		{`"byColumn": "k"`, `"byColumn": ["k", "l"]`, `des[0].byColumn: 1 columns, and byColumn of the source has 2`},
		{`{"k": "k"}`, `{}`, `des[0].columns: empty`},
		{`{"k": "k"}`, `["k"]`, `des[0].columns: a list is of the wrong type`},
		{`{"k": "k"}`, `{"k": ""}`, `des[0].columns.k: empty`},
		{`{"k": "k"}`, `{"k": "k", "l": "K"}`, `des[0].columns.l: goes to the same column of the destination as "k"`},
		{`{"k": "k"}`, `{"k": "k"}, "maskColumns": ["kk"]`, `des[0].maskColumns[0]: no column of the source`},
		{`{"k": "k"}`, `{"k": "k"}, "tolerance": {"kk": 0.1}`, `des[0].tolerance.kk: no column of the source in columns`},
		{`{"k": "k"}`, `{"price": "k"}, "tolerance": {"prise": 0.1}`, `des[0].tolerance.prise: no column of the source in columns (did you mean "price"?)`},
		{`{"k": "k"}`, `{"k": "k"}, "tolerance": {"k": 0.1, "K": 0.1}`, `des[0].tolerance.K: the same column again`},
		{`{"k": "k"}`, `{"k": "k"}, "tolerance": {"k": 0.1, "k": 0.1}`, `des[0].tolerance.k: the same key again`},
		{`{"k": "k"}`, `{"k": "k"}, "tolerance": {"k": 0}`, `des[0].tolerance.k: no number above 0 (write a number above 0, such as 0.001)`},
		{`{"k": "k"}`, `{"k": "k"}, "tolerance": {"k": -0.1}`, `des[0].tolerance.k: no number above 0`},
		{`{"k": "k"}`, `{"k": "k"}, "tolerance": {"k": 1e999}`, `des[0].tolerance.k: no number above 0`},
		{`{"k": "k"}`, `{"k": "k"}, "tolerance": {"k": 1e-999}`, `des[0].tolerance.k: no number above 0`},
		{`{"k": "k"}`, `{"k": "k"}, "tolerance": {"k": "0.1"}`, `des[0].tolerance.k: text in quotes is of the wrong type (write a number above 0 without quotes)`},
		{`{"k": "k"}`, `{"k": "k"}, "tolerance": 0.1`, `des[0].tolerance: a number is of the wrong type (write an object in braces)`},
		{`"h/p"`, `"http:///p"`, `des[0].callbackNotification.url: URL without a host`},
		{`"h/p"`, `"ftp://h"`, `url: URL of a scheme other than http and https`},
		{`"h/p"`, `"http:h"`, `url: URL has no // after its scheme`},
		{`"h/p"`, `"h:0/p"`, `url: URL with a port`},
		{`"h/p"`, `"h:99999"`, `url: URL with a port`},
		{`"h/p"`, `"h:/p"`, `url: URL with a colon and no port`},
		{`"h/p"`, `"http://hunter2 h/"`, `url: no URL`},
		{`"h/p"`, `"h/p", "secret": "hunter2"`, `secret: signing secret shorter than 16 bytes`},
		{`"h/p"`, `"h/p", "secret": ["whsec_hunter2"]`, `secret[0]: signing secret is no base64`},
		{`"h/p"`, `"h/p", "secret": "whsec_aHVudGVyMg=="`, `secret: signing secret of fewer than 24`},
		{`"h/p"`, `"h/p", "secret": ["0123456789abcdef", "0123456789abcdef", "0123456789abcdef"]`, `secret: too long (at most 2)`},
		{`"h/p"`, `"h/p", "headers": {"a b": "hunter2"}`, `headers["a b"]: no name of a header`},
		{`"h/p"`, `"h/p", "headers": {"Webhook-Id": "1"}`, `headers["Webhook-Id"]: a header that cupid sets itself`},
		{`"h/p"`, `"h/p", "headers": {"cupid-pair": "1"}`, `headers["cupid-pair"]: a header that cupid sets itself`},
		{`"h/p"`, `"h/p", "headers": {"X-A": "hunter2", "x-a": "hunter2"}`, `headers["x-a"]: the same header again (remove one)`},
		{`"h/p"`, `"h/p", "headers": {"A": "hunter2\r\nB: c"}`, `headers.A: header value with a line break`},
		{`  "des"`, `  "dse"`, `did you mean "des"?`},
		{`  "des"`, `  "dse"`, `test.json:1:1: des: missing`},
		{`"/log",`, `"/log"`, `test.json:3:3: this is not JSON`},
		{`"/log",`, `hunter2,`, `test.json:2:13: this is not JSON`},
		{"  ]\n}", "", `the file ends in the middle`},
		{`"/log"`, "\"/l\xffog\"", `test.json:2:16: text is not UTF-8 here`},
		{`"/log"`, `"` + strings.Repeat("x", 5000) + `"`, `logDir: too long`},
	} {
		t.Run(c.want, func(t *testing.T) {
			text := strings.Replace(base, c.old, c.new, 1)
			if text == base {
				t.Fatalf("%q is not in the base file", c.old)
			}
			got := faults(t, text)
			if !strings.Contains(got.Error(), c.want) {
				t.Errorf("got %v\nwant %s", got, c.want)
			}
			if strings.Contains(got.Error(), "hunter2") {
				t.Errorf("a value is quoted: %v", got)
			}
			for _, f := range got {
				if f.Hint == "" || strings.Contains(f.Error(), "\n") || f.Line == 0 || f.File != "test.json" {
					t.Errorf("no hint, no place or not one line: %#v", f)
				}
			}
		})
	}
}

func TestAllFaultsAtOnceInTheOrderOfTheFile(t *testing.T) {
	got := faults(t, `{
  // comment
  "workerNumber": 1,
  "logdir": "/log", /* ä */ "chunkRow": 0,
  "jobs": [
    {"src": {"dsn": "x", "user": "u", "password": "p", "table": "t", "byColumn": "k", "insert": true, "cacheFilePath": "/c"},
     "des": [{"dsn": "mysql:dbname=d", "user": "u", "password": "p", "table": "t", "byColumn": "k", "columns": {"a": "b"}, "callbackNotification": {}}]},
  ],
}`)
	want := []string{"1:1 cacheFilePath", "1:1 logDir", "3:19 workerNumber", "4:3 logdir", "4:41 chunkRow", "6:21 jobs[0].src.dsn", "6:120 jobs[0].src.cacheFilePath", "7:148 jobs[0].des[0].callbackNotification.url"}
	var list []string
	for _, f := range got {
		list = append(list, fmt.Sprintf("%d:%d %s", f.Line, f.Column, f.Key))
	}
	if strings.Join(list, "\n") != strings.Join(append(want[1:2:2], append(want[:1:1], want[2:]...)...), "\n") {
		t.Errorf("got\n%s\n%v", strings.Join(list, "\n"), got)
	}
}

func TestFileThatIsNoConfiguration(t *testing.T) {
	for name, text := range map[string]string{
		"empty": "", "null": "null", "list": "[]", "text": `"x"`, "number": "1", "deep": strings.Repeat("[", config.MaxBrackets+1),
		"deepest": strings.Repeat(`{"a":`, config.MaxBrackets-1), "long": strings.Repeat(" ", config.MaxFileBytes+1), "two": "{}{}", "binary": "\x00\x01",
	} {
		t.Run(name, func(t *testing.T) {
			if got := faults(t, text); got[0].Problem == "" || got[0].Hint == "" {
				t.Errorf("got %#v", got[0])
			}
		})
	}
	var many strings.Builder
	for i := range 500 {
		fmt.Fprintf(&many, `"k%d":1,`, i)
	}
	if got := faults(t, "{"+many.String()+"}"); len(got) != config.MaxFaults+1 || !strings.Contains(got.Error(), "faults more") {
		t.Errorf("got %d faults", len(got))
	}
	if got := faults(t, ""); got[0].Line != 1 {
		t.Errorf("got %#v", got[0])
	}
}

func TestCommentsCommasAndByteOrderMark(t *testing.T) {
	load(t, "\ufeff// first\n"+strings.Replace(base, `"k"}`, `"k", /* last */ }`, 1)+"// end")
}

func TestJobsShareTheTop(t *testing.T) {
	job := func(name string) string {
		return `{"name": "` + name + `", "src": {"dsn": "u:p@/s", "table": "t", "byColumn": "k", "insert": true}, "des": [{"dsn": "u:p@/d", "table": "t", "byColumn": "k", "columns": {"k": "k"}, "callbackNotification": {"url": "h"}}]}`
	}
	file := func(jobs ...string) string {
		return `{"logDir": "l", "cacheFilePath": "c", "jobs": [` + strings.Join(jobs, ",") + `]}`
	}
	c := load(t, file(job("a"), job("")))
	if c.Jobs[0].Name != "a" || c.Jobs[1].Name != "t" || len(c.Pairs()) != 2 {
		t.Errorf("got %+v", c.Pairs())
	}
	if got := faults(t, file(job("a"), job("a"))); !strings.Contains(got.Error(), "jobs[1].name: another job has the same name") {
		t.Errorf("got %v", got)
	}
	if got := faults(t, file(job(""), job(""))); !strings.Contains(got.Error(), "another job has the same name") {
		t.Errorf("got %v", got)
	}
}

func FuzzLoad(f *testing.F) {
	original, err := os.ReadFile("testdata/original.json")
	if err != nil {
		f.Fatal(err)
	}
	for _, seed := range []string{base, full, string(original), "{", "[1,]", `{"jobs":[{"des":[{}]}]}`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := config.Load("f", data, environment)
		if err != nil {
			return
		}
		wire, err := c.EncodeWire()
		if err != nil {
			t.Fatal(err)
		}
		again, err := config.DecodeWire(wire)
		if err != nil {
			t.Fatalf("%v: %s", err, wire)
		}
		if more, err := again.EncodeWire(); err != nil || string(more) != string(wire) {
			t.Errorf("got %s, %v, want %s", more, err, wire)
		}
		names := map[string]bool{}
		for _, p := range c.Pairs() {
			if names[p.Name] || p.Name == "" || len(p.Name) > config.MaxNameBytes {
				t.Errorf("bad name %q", p.Name)
			}
			names[p.Name] = true
		}
	})
}
