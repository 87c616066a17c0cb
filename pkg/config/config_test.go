package config_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/masixun71/cupid/pkg/config"
	"github.com/masixun71/cupid/pkg/secret"
)

// environment is the look-up that the tests hand in.
func environment(name string) (string, bool) {
	value, found := map[string]string{"PW": "from-${env}", "EMPTY": "", "BINARY": "a\xffb", "WARN": "warn"}[name]
	return value, found
}

func load(t *testing.T, text string) *config.Config {
	t.Helper()
	c, err := config.Load("test.json", []byte(text), environment)
	if err != nil {
		t.Fatalf("load: %v", err)
	}
	return c
}

// faults loads a text that has to be refused.
func faults(t *testing.T, text string) config.Faults {
	t.Helper()
	c, err := config.Load("test.json", []byte(text), environment)
	list, ok := errors.AsType[config.Faults](err)
	if !ok || len(list) == 0 || c != nil {
		t.Fatalf("got %v, error %v, want faults", c, err)
	}
	return list
}

// full uses every key that a job has.
const full = `{
  "$schema": "cupid.schema.json", "logDir": "/log", "cacheFilePath": "/cache", "pushbearSendKey": "push-key-1",
  "pushbearUrl": "push.example/sub", "notify": {"urls": ["slack://token-slack@chan"], "collectSecond": 5, "failedAttempt": 3},
  "logLevel": "${WARN}", "logKeepDay": 0, "logValues": false, "chunkRow": 10000,
  "jobs": [{
    "name": "orders",
    "src": {"dsn": "mysql:dbname=shop;host=db", "user": "u:/@", "password": "${PW}", "table": "order.s", "byColumn": ["a", "b"],
      "insert": true, "update": true, "updateColumn": "t", "updateScanSecond": 5, "updateTimeFormate": "U", "idColumn": "oid",
      "where": "x < 1 && y > '$${z}'", "timeZone": "Asia/Shanghai"},
    "des": [
      {"dsn": "ro:dsn-password@unix(/s)/copy", "table": "o", "byColumn": ["x", "y"], "columns": {"z": "Z", "a": "x", "m": "n"},
       "tolerance": {"Z": 1e-06, "m": 0.25}, "maskColumns": ["Z", "b"], "timeZone": "+08:00",
       "callbackNotification": {"url": "https://hook-user:hook-pw@h.example/p?token=query-token", "timeoutSecond": 1, "concurrency": 2,
         "headers": {"Authorization": "Bearer header-token", "X-A": ""}, "secret": ["whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIz", "raw-secret-of-16-bytes"],
         "valuesAsString": true, "repairGraceSecond": 0, "retryMaxSecond": 9}},
      {"name": "cold", "dsn": "mysql:dbname=copy", "user": "u", "password": "", "table": "o", "byColumn": ["x", "y"], "columns": {"a": "x"},
       "callbackNotification": {"url": "h:1", "secret": "raw-secret-of-16-bytes"}}
    ]}]
}`

func TestOriginalRunsUnchanged(t *testing.T) {
	data, err := os.ReadFile("testdata/original.json")
	if err != nil {
		t.Fatal(err)
	}
	c, err := config.Load("original.json", data, nil)
	if err != nil {
		t.Fatal(err)
	}
	pairs := c.Pairs()
	if len(pairs) != 1 || pairs[0].Name != "user/my2.user" || pairs[0].Job != "user" {
		t.Fatalf("got pairs %+v", pairs)
	}
	s, d := pairs[0].Source, pairs[0].Destination
	if got := s.DSN.Format().Reveal(); got != "test:test@tcp(127.0.0.1:3306)/my" {
		t.Errorf("got source %s", got)
	}
	if got := d.CallbackNotification.URL; got != "http://127.0.0.1:20000/test/callback" {
		t.Errorf("got URL %s", got)
	}
	want := config.Columns{{Src: "number", Des: "number"}, {Src: "name", Des: "name"}, {Src: "avatar", Des: "avatar"}}
	if !reflect.DeepEqual(d.Columns, want) || !reflect.DeepEqual(s.ByColumn, config.Names{"number"}) {
		t.Errorf("got columns %v by %v", d.Columns, s.ByColumn)
	}
	if c.CacheFilePath != "/tmp" || c.PushbearSendKey.Reveal() != "9724-73bdacb319007f53f83d0123213b4ec964" || c.WorkerNumber != 3 {
		t.Errorf("got cache %q, key %q, %d workers", c.CacheFilePath, c.PushbearSendKey.Reveal(), c.WorkerNumber)
	}
	if !s.Insert || !s.Update || s.UpdateScan() != 5*time.Second || s.InsertInterval() != 2*time.Second || s.Granularity() != time.Second {
		t.Errorf("got %+v", s)
	}
}

func TestDefaults(t *testing.T) {
	c := load(t, full)
	if c.Settle() != time.Second || c.QueryTimeout() != time.Minute || c.ConnectTimeout() != 5*time.Second || c.QueueLimit != 1_000_000 ||
		c.CallbackWorkerInterval() != time.Second || c.TaskWorkerInterval() != time.Second {
		t.Errorf("got %+v", c)
	}
	if c.LogKeepDay != 0 || c.LogValues || c.LogLevel != "warn" || c.PushbearURL != "http://push.example/sub" || c.Notify.Collect() != 5*time.Second {
		t.Errorf("what is written does not win: %+v", c)
	}
	s := c.Jobs[0].Src
	if !s.Sweep || s.SweepInterval() != 24*time.Hour || s.SweepRowPerSecond != 0 || s.SweepThreadsRunning != 25 || s.SweepLag() != 10*time.Second ||
		s.Delete || s.DeletePerHour != 100 {
		t.Errorf("sweep is %+v", s)
	}
	n := c.Jobs[0].Des[1].CallbackNotification
	if n.Timeout() != 15*time.Second || n.Concurrency != 8 || n.RepairGrace() != 5*time.Second || n.RetryMax() != 5*time.Minute || n.ValuesAsString {
		t.Errorf("got %+v", n)
	}
	if n.URL != "http://h:1" || len(n.Secret) != 1 {
		t.Errorf("got URL %q and %d secrets", n.URL, len(n.Secret))
	}
}

func TestValuesOfFullFile(t *testing.T) {
	c := load(t, full)
	s, d := c.Jobs[0].Src, c.Jobs[0].Des[0]
	if got := s.Password.Reveal(); got != "from-${env}" || s.DSN.Password != s.Password || s.DSN.User != "u:/@" {
		t.Errorf("got password %q, login %q", got, s.DSN.User)
	}
	if s.Where != "x < 1 && y > '${z}'" {
		t.Errorf("got where %q", s.Where)
	}
	if d.User != "ro" || d.Password.Reveal() != "dsn-password" {
		t.Errorf("login of the dsn not taken: %q", d.User)
	}
	if got := d.Columns.Src(); !reflect.DeepEqual(got, []string{"z", "a", "m"}) {
		t.Errorf("order of columns lost: %v", got)
	}
	if got := d.Columns.Des(); !reflect.DeepEqual(got, []string{"Z", "x", "n"}) {
		t.Errorf("got %v", got)
	}
	if d.Tolerance.Of("z") != 1e-6 || d.Tolerance.Of("M") != 0.25 || d.Tolerance.Of("a") != 0 {
		t.Errorf("got tolerances %v", d.Tolerance)
	}
	if got := d.CallbackNotification.URLForLog(); got != "https://h.example/p" {
		t.Errorf("got URL for the log %s", got)
	}
}

// secretTexts are all the secrets of full.
var secretTexts = []string{
	"push-key-1", "token-slack", "from-${env}", "dsn-password", "hook-user", "hook-pw", "query-token", "header-token",
	"MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIz", "raw-secret-of-16-bytes",
}

func TestPrintsAndMarshalsWithoutSecrets(t *testing.T) {
	c := load(t, full)
	data, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	texts := map[string]string{"JSON": string(data)}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s"} {
		texts[verb] = fmt.Sprintf(verb, c) + fmt.Sprintf(verb, *c) + fmt.Sprintf(verb, c.Pairs()) + fmt.Sprintf(verb, c.Jobs[0].Des[0].CallbackNotification)
	}
	for how, text := range texts {
		for _, s := range secretTexts {
			if strings.Contains(text, s) {
				t.Errorf("%s shows %q: %s", how, s, text)
			}
		}
	}
	if !strings.Contains(string(data), `"columns":{"z":"Z","a":"x","m":"n"}`) {
		t.Errorf("JSON lost the columns: %s", data)
	}
	if !strings.Contains(string(data), `"tolerance":{"Z":1e-06,"m":0.25}`) {
		t.Errorf("JSON lost the tolerances: %s", data)
	}
}

func TestSecretsListsAll(t *testing.T) {
	c := load(t, full)
	for _, s := range secretTexts {
		if got := secret.Redact("<"+s+">", c.Secrets()...); strings.Contains(got, s) {
			t.Errorf("%q is not redacted", s)
		}
	}
	for _, s := range c.Secrets() {
		if s.IsZero() {
			t.Error("an empty secret")
		}
	}
}

func TestWireRoundTrip(t *testing.T) {
	original, err := os.ReadFile("testdata/original.json")
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{full, string(original)} {
		c := load(t, text)
		data, err := c.EncodeWire()
		if err != nil || !json.Valid(data) {
			t.Fatalf("encode: %v, valid %v", err, json.Valid(data))
		}
		got, err := config.DecodeWire(data)
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(got, c) {
			t.Errorf("got  %#v\nwant %#v", got, c)
		}
	}
	// Not only what Load made: what a program changed, and what is not complete.
	bare := &config.Config{Jobs: []config.Job{{Des: []config.Destination{{}}}}}
	data, err := bare.EncodeWire()
	if err != nil {
		t.Fatal(err)
	}
	if got, err := config.DecodeWire(data); err != nil || !reflect.DeepEqual(got, bare) {
		t.Errorf("got %#v, %v, want %#v", got, err, bare)
	}
	for _, bad := range []string{"", "{", `{"x":1}`, `{"workerNumber":"3"}`, `[]`} {
		if _, err := config.DecodeWire([]byte(bad)); err == nil {
			t.Errorf("%q: no error", bad)
		}
	}
}

// The wire form names every list, empty ones too, and so has more of them than the file that it was made of.
func TestWireFormOfAFileAtItsLimit(t *testing.T) {
	const des = `{"dsn":"mysql:dbname=d;host=h%d","user":"u","password":"","table":"t","byColumn":"k","columns":{"k":"k"},"callbackNotification":{"url":"h"}}`
	var jobs []string
	for i := range 1000 {
		jobs = append(jobs, fmt.Sprintf(`{"name":"j%d","src":{"dsn":"mysql:dbname=s","user":"u","password":"","table":"t","byColumn":"k","insert":true},"des":[`+des+`,`+des+`]}`, i, 1, 2))
	}
	c := load(t, `{"logDir":"l","cacheFilePath":"c","jobs":[`+strings.Join(jobs, ",")+`]}`)
	data, err := c.EncodeWire()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := config.DecodeWire(data); err != nil {
		t.Error(err)
	}
}

func TestCachePathOfAFileWithOtherFaults(t *testing.T) {
	none := func(string) (string, bool) { return "", false }
	for text, want := range map[string]string{
		`{"cacheFilePath":"/c","logDir":"${GONE}","workerNumber":-1,"src":{"dsn":"${GONE}","password":"${GONE}"}}`: "/c",
		`{"src":{"cacheFilePath":"/c","dsn":7},"unknown":1}`:                                                       "/c",
		`{"cacheFilePath":"/c","jobs":[{"src":{"password":"${GONE}"}}]}`:                                           "/c",
		`{"cacheFilePath":"${GONE}/c"}`:                                                                            "f:1:18: cacheFilePath: environment variable",
		`{"src":{"cacheFilePath":"${GONE}/c"}}`:                                                                    "f:1:25: src.cacheFilePath: environment variable",
		`{"logDir":"/l"}`:                                                                                          "src.cacheFilePath: missing",
		`{"jobs":[]}`:                                                                                              "cacheFilePath: missing",
		`{"cacheFilePath":"/c"`:                                                                                    "the file ends in the middle",
	} {
		got, err := config.CachePath("f", []byte(text), none)
		if err != nil {
			got = err.Error()
		}
		if !strings.HasPrefix(got, want) && !strings.Contains(got, ": "+want) {
			t.Errorf("%s: got %s, want %s", text, got, want)
		}
	}
}

func TestPairNames(t *testing.T) {
	destination := func(host, name string) string {
		return `{"name":"` + name + `","dsn":"mysql:dbname=d;host=` + host + `","user":"u","password":"","table":"t","byColumn":"k","columns":{"k":"k"},"callbackNotification":{"url":"h"}}`
	}
	file := func(des ...string) string {
		return `{"logDir":"l","cacheFilePath":"c","src":{"dsn":"mysql:dbname=s","user":"u","password":"","table":"t","byColumn":"k","insert":true},"des":[` + strings.Join(des, ",") + `]}`
	}
	names := func(text string) map[string]string {
		byHost := map[string]string{}
		for _, p := range load(t, text).Pairs() {
			byHost[p.Destination.DSN.Host()] = p.Name
		}
		return byHost
	}
	a, b, c, d := destination("a", ""), destination("b", ""), destination("c", "cold"), destination("d", "d.t#2")
	want := map[string]string{"a": "t/d.t", "b": "t/d.t#3", "c": "t/cold", "d": "t/d.t#2"}
	for _, text := range []string{file(a, b, c, d), file(d, c, b, a), file(c, a, d, b)} {
		if got := names(text); !reflect.DeepEqual(got, want) {
			t.Errorf("got %v, want %v", got, want)
		}
	}
	for _, text := range []string{file(c, destination("x", "cold")), file(destination("x", "a\\u0007")), file(destination("x", strings.Repeat("n", 200)))} {
		if got := faults(t, text); !strings.HasSuffix(got[0].Key, ".name") {
			t.Errorf("got %v", got)
		}
	}
}

func TestURLForLog(t *testing.T) {
	for u, want := range map[string]string{
		"http://u:p@h:1/a%2Fb?x=1#f": "http://h:1/a%2Fb", "https://h": "https://h", "": "", "::": "***", "http://[::1]:2/": "http://[::1]:2/",
	} {
		if got := (config.CallbackNotification{URL: u}).URLForLog(); got != want {
			t.Errorf("%q: got %q, want %q", u, got, want)
		}
	}
}

func TestEveryKeyHasOneDefinition(t *testing.T) {
	objects := map[string]reflect.Type{
		"Config": reflect.TypeFor[config.Config](), "Notify": reflect.TypeFor[config.Notify](), "Job": reflect.TypeFor[config.Job](),
		"Source": reflect.TypeFor[config.Source](), "Destination": reflect.TypeFor[config.Destination](), "CallbackNotification": reflect.TypeFor[config.CallbackNotification](),
	}
	fields, keys := map[string]bool{}, map[string]bool{}
	for name, typ := range objects {
		for f := range typ.Fields() {
			key, _, _ := strings.Cut(f.Tag.Get("json"), ",")
			fields[name+"."+key] = true
		}
	}
	for _, k := range config.Keys() {
		keys[k.Object+"."+k.Name] = true
	}
	if !reflect.DeepEqual(fields, keys) {
		t.Errorf("struct fields and keys differ:\n%v\n%v", fields, keys)
	}
}

func TestSweepKeys(t *testing.T) {
	keys := `"sweepIntervalSecond": 60, "sweepRowPerSecond": 1000, "sweepThreadsRunning": 0, "sweepLagSecond": 0, "delete": true, "deletePerHour": 7,`
	data, err := load(t, strings.Replace(full, `"insert": true, "update": true`, keys+`"insert": true, "update": true`, 1)).EncodeWire()
	if err != nil {
		t.Fatal(err)
	}
	c, err := config.DecodeWire(data)
	if err != nil {
		t.Fatal(err)
	}
	s := c.Jobs[0].Src
	if !s.Sweep || s.SweepInterval() != time.Minute || s.SweepRowPerSecond != 1000 || s.SweepThreadsRunning != 0 || s.SweepLag() != 0 ||
		!s.Delete || s.DeletePerHour != 7 {
		t.Errorf("got %+v", s)
	}
}

func TestSweepAloneIsEnough(t *testing.T) {
	s := load(t, strings.Replace(full, `"insert": true, "update": true`, `"insert": false, "update": false`, 1)).Jobs[0].Src
	if s.Insert || s.Update || !s.Sweep {
		t.Errorf("got %+v", s)
	}
}
