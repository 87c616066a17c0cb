package main_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/masixun71/cupid/pkg/secret"
	"github.com/masixun71/cupid/pkg/webhook"
)

// The original's file, comments included, runs; only addresses, names of the
// databases and directories are those of the test.
func TestOriginalConfigurationRunsUnchanged(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	text, err := os.ReadFile("../../pkg/config/testdata/original.json")
	if err != nil {
		t.Fatal(err)
	}
	r.src.Exec(t, "ALTER TABLE user ADD avatar VARCHAR(64)")
	r.des.Exec(t, "ALTER TABLE user ADD avatar VARCHAR(64)")
	file := strings.NewReplacer(
		"mysql:dbname=my;host=127.0.0.1;port=3306", r.src.PDOTCP(),
		"mysql:dbname=my2;host=127.0.0.1;port=3306", r.des.PDOTCP(),
		`"user": "test"`, `"user": "`+r.src.User+`"`, `"password": "test"`, `"password": "`+r.src.Password+`"`,
		`"/tmp"`, `"`+filepath.Join(r.dir, "cache")+`"`,
		"127.0.0.1:20000/test/callback", strings.TrimPrefix(r.receiver.url(), "http://"),
	).Replace(string(text))
	r.verbatim = file
	r.receiver.then(func(c call) int {
		if _, err := r.des.DB.Exec("REPLACE INTO user (number, name, avatar) VALUES (?,?,?)",
			c.Body.Row["number"].(json.Number).String(), c.Body.Row["name"], c.Body.Row["avatar"]); err != nil {
			t.Error(err)
		}
		return 200
	})
	r.src.Exec(t, "INSERT INTO user (number, name, avatar) VALUES (7, 'seven', 'a.png'), (8, 'eight', NULL)")
	r.start()
	r.eventually("tables equal", func() bool { return r.differing() == 0 && r.count() == 2 })
}

// The body is exact, the headers say the rest, and the signature is right.
func TestCallbackContract(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.src.Exec(t, "DROP TABLE user", `CREATE TABLE user (id BIGINT PRIMARY KEY, number BIGINT UNSIGNED NOT NULL, name VARCHAR(64), balance DECIMAL(20,4),
		score DOUBLE, raw VARBINARY(8), at DATETIME(3))`,
		`INSERT INTO user VALUES (1, 18446744073709551615, '张伟 "x" 😀', 1.5, 0.1, x'00FF', '2026-01-02 03:04:05.678'), (2, 2, NULL, NULL, NULL, NULL, NULL)`)
	r.des.Exec(t, "ALTER TABLE user MODIFY number BIGINT UNSIGNED NOT NULL, MODIFY balance DECIMAL(20,4)")
	r.with("update", false)
	r.des0()["callbackNotification"] = map[string]any{"url": r.receiver.url(), "secret": "a-secret-of-sixteen-bytes", "headers": map[string]any{"X-Token": "t"}}
	r.start()
	r.eventually("two callbacks", func() bool { return len(r.receiver.all()) >= 2 })
	bodies := map[string]bool{}
	for _, c := range r.receiver.all() {
		bodies[string(c.Raw)] = true
		if got := c.Header.Get("Content-Type"); got != "application/json" {
			t.Errorf("Content-Type = %q", got)
		}
		if c.Header.Get("Cupid-Attempt") != "1" || c.Header.Get("X-Token") != "t" || !strings.HasPrefix(c.Header.Get("Webhook-Id"), "evt_") {
			t.Errorf("headers = %v", c.Header)
		}
		if err := webhook.Verify(c.Header, c.Raw, []secret.String{secret.New("a-secret-of-sixteen-bytes")}, time.Now(), time.Minute); err != nil {
			t.Errorf("signature: %v", err)
		}
	}
	for _, want := range []string{
		`{"type":1,"srcColumn":{"id":1,"number":18446744073709551615,"name":"张伟 \"x\" 😀","balance":"1.5000","score":0.1,"raw":"AP8=","at":"2026-01-02 03:04:05.678"}}`,
		`{"type":1,"srcColumn":{"id":2,"number":2,"name":null,"balance":null,"score":null,"raw":null,"at":null}}`,
	} {
		if !bodies[want] {
			t.Errorf("no body is %s\ngot %v", want, bodies)
		}
	}
}

func TestValuesAsString(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.des0()["callbackNotification"] = map[string]any{"url": r.receiver.url(), "valuesAsString": true}
	r.receiver.then(func(call) int { return 200 })
	r.src.Exec(t, "INSERT INTO user (number, name, update_time) VALUES (5, NULL, '2026-01-01')")
	r.start()
	r.eventually("a callback", func() bool { return len(r.receiver.all()) > 0 })
	row := r.receiver.all()[0].Body.Row
	if row["id"] != "1" || row["number"] != "5" || row["name"] != nil || row["balance"] != "0.0000" {
		t.Errorf("row = %v, want strings and null", row)
	}
}

// A receiver that accepts and repairs nothing is called again, and that is told.
func TestG5AcceptedAndNotRepairedIsCalledAgain(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	accepting := true
	var mu sync.Mutex
	r.receiver.then(func(c call) int {
		mu.Lock()
		defer mu.Unlock()
		if accepting {
			return 200
		}
		return r.repair(c)
	})
	r.src.Exec(t, "INSERT INTO user (number, name) VALUES (1, 'x')")
	r.start()
	r.eventually("it is called again", func() bool { return len(r.receiver.all()) >= 2 })
	mu.Lock()
	accepting = false
	mu.Unlock()
	r.eventually("tables equal", func() bool { return r.differing() == 0 })
	r.eventually("it is told", func() bool {
		return strings.Contains(r.logs(), "accepted, not repaired") && strings.Contains(r.logs(), `"how":"after callback"`)
	})
	ids := map[string]bool{}
	for _, c := range r.receiver.all() {
		ids[c.Header.Get("Webhook-Id")] = true
	}
	if len(ids) != 1 {
		t.Errorf("ids = %v, want one over all attempts", ids)
	}
}

// Rows that arrive within the settle time cause no callback.
func TestG3LateRowIsNoAlarm(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.config["settleMillisecond"] = 3000
	r.start()
	r.src.Exec(t, "INSERT INTO user (number, name) SELECT seq, 'x' FROM seq_1_to_100")
	r.eventually("they are suspects", func() bool {
		report := r.taskReport()
		return report != "" && !strings.Contains(report, `"suspects":0`)
	})
	r.des.Exec(t, "INSERT INTO user SELECT * FROM "+r.src.Name+".user")
	r.eventually("they healed by themselves", func() bool {
		return !strings.Contains(r.taskReport(), `"selfHealed":0`) && strings.Contains(r.taskReport(), `"inHand":0`)
	})
	if calls := r.receiver.all(); len(calls) != 0 {
		t.Errorf("%d callbacks for rows that only were late", len(calls))
	}
}

// taskReport is what the task worker says of itself.
func (r *rig) taskReport() string {
	s, err := r.status()
	if err != nil {
		return ""
	}
	return string(s.Reports["2"])
}

// taskCounts reads what the task worker says of itself.
func (r *rig) taskCounts(into any) bool {
	return json.Unmarshal([]byte(r.taskReport()), into) == nil
}

// Operators are told by PushBear and by a webhook, collected and without secrets.
func TestNotifications(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	var told []string
	service := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		b := make([]byte, 1<<16)
		n, _ := req.Body.Read(b)
		mu.Lock()
		defer mu.Unlock()
		told = append(told, req.URL.String()+" "+string(b[:n]))
		_, _ = w.Write([]byte(`{"code":0}`))
	}))
	t.Cleanup(service.Close)
	r := newRig(t)
	r.config["pushbearUrl"] = service.URL + "/sub"
	r.config["src"].(map[string]any)["pushbearSendKey"] = "the-key"
	r.config["notify"] = map[string]any{"collectSecond": 1, "failedAttempt": 2, "urls": []string{service.URL + "/hook"}}
	r.des0()["callbackNotification"] = map[string]any{"url": "127.0.0.1:1/nobody", "retryMaxSecond": 1}
	r.src.Exec(t, "INSERT INTO user (number, name) SELECT seq, 'x' FROM seq_1_to_300")
	r.start()
	r.eventually("both services are told", func() bool {
		mu.Lock()
		defer mu.Unlock()
		all := strings.Join(told, "\n")
		return strings.Contains(all, "/sub?") && strings.Contains(all, "sendkey=the-key") && strings.Contains(all, "/hook") && strings.Contains(all, "callback URL down")
	})
	mu.Lock()
	defer mu.Unlock()
	if len(told) > 20 {
		t.Errorf("%d messages for 300 rows: they are not collected", len(told))
	}
}

// The log files are opened again on WINCH, by all processes.
func TestLogsAreReopened(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	m := r.start()
	dir := filepath.Join(r.dir, "log")
	files, err := filepath.Glob(filepath.Join(dir, "*.log"))
	if err != nil || len(files) != 4 {
		t.Fatalf("log files = %v, want one for each of 4 processes", files)
	}
	for _, f := range files {
		if err := os.Rename(f, f+".old"); err != nil {
			t.Fatal(err)
		}
	}
	if err := m.cmd.Process.Signal(syscall.SIGWINCH); err != nil {
		t.Fatal(err)
	}
	r.eventually("four files again", func() bool {
		again, _ := filepath.Glob(filepath.Join(dir, "*.log"))
		return len(again) == 4
	})
}
