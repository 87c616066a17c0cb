package main_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/masixun71/cupid/pkg/mariadb/mariadbtest"
)

// Rows that commit behind a higher id, and updates older than the scan window,
// are still found.
func TestG2LateCommitIsFound(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.with("updateScanSecond", 1)
	r.start()
	late, err := r.src.DB.BeginTxx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = late.Rollback() }()
	for _, q := range []string{
		"INSERT INTO user (number, name) VALUES (1, 'late')",
		"INSERT INTO user (number, name, update_time) VALUES (2, 'late and old', '2020-01-01')",
	} {
		if _, err := late.ExecContext(t.Context(), q); err != nil {
			t.Fatal(err)
		}
	}
	// A later id is seen and passed while the transaction is open.
	r.src.Exec(t, "INSERT INTO user (number, name) VALUES (3, 'early')")
	r.eventually("the higher id is repaired", func() bool { return r.differing() == 0 })
	r.eventually("the cursor is past it", func() bool {
		return strings.Contains(r.state(), `"cursor": "3"`) || strings.Contains(r.state(), `"cursor":"3"`)
	})
	if err := late.Commit(); err != nil {
		t.Fatal(err)
	}
	r.eventually("the late rows are repaired", func() bool { return r.differing() == 0 && r.count() == 3 })
}

// What happened while cupid was down is found.
func TestG2DowntimeIsScanned(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.src.Exec(t, "INSERT INTO user (number, name) SELECT seq, 'x' FROM seq_1_to_50")
	m := r.start()
	r.eventually("tables equal", func() bool { return r.differing() == 0 })
	r.eventually("the watermark is written", func() bool { return strings.Contains(r.state(), "watermark") })
	m.stop()
	stopped := r.now()
	r.eventually("time passes, so that no span that was looked at has what comes now", func() bool { return r.now() > stopped+1 })
	r.src.Exec(t, "UPDATE user SET name = 'changed' WHERE number = 7", "INSERT INTO user (number, name) VALUES (99, 'new')")
	r.with("updateScanSecond", 1)
	r.with("insert", false) // which would look once more at ids that it saw last
	changed := r.now()
	r.eventually("it is longer ago than updateScanSecond", func() bool { return r.now() > changed+2 })
	r.start()
	r.eventually("tables equal again", func() bool { return r.differing() == 0 })
}

// Many rows were written while cupid was down: an update scan compares them by checksums, and
// finds those that are wrong among them.
func TestG2BulkOfADowntimeIsScanned(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	for _, d := range []*mariadbtest.Database{r.src, r.des} {
		d.Exec(t, "INSERT INTO user (number, name) SELECT seq, 'x' FROM seq_1_to_9000", "INSERT INTO user (number, name) VALUES (1000000, 'x'), (2000000, 'x')")
	}
	r.des.Exec(t, "UPDATE user SET name = 'y' WHERE number IN (1, 3000, 3001, 2000000)", "DELETE FROM user WHERE number = 9000")
	r.with("idColumn", "number")
	r.with("insert", false)
	r.with("updateScanSecond", 600)
	r.start()
	r.eventually("tables equal", func() bool { return r.differing() == 0 })
	called := map[string]bool{}
	for _, call := range r.receiver.all() {
		called[call.Body.Row["number"].(json.Number).String()] = true
	}
	if len(called) != 5 {
		t.Errorf("callbacks of the rows %v, want those of the five that differ", called)
	}
}

// Id columns of other names and kinds: sparse, and unsigned above 2^63.
func TestIDColumns(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ column, values string }{
		"another name":       {"uid BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY", "(1, 1), (2, 2), (3, 3)"},
		"snowflake":          {"uid BIGINT NOT NULL PRIMARY KEY", "(1541815603606036480, 1), (1541815603606036481, 2), (1741815603606036480, 3)"},
		"unsigned and large": {"uid BIGINT UNSIGNED NOT NULL PRIMARY KEY", "(1, 1), (9223372036854775808, 2), (18446744073709551615, 3)"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			r.src.Exec(t, "DROP TABLE user", "CREATE TABLE user ("+c.column+", number BIGINT NOT NULL UNIQUE, name VARCHAR(64), balance DECIMAL(20,4) NOT NULL DEFAULT 0)",
				"INSERT INTO user (uid, number) VALUES "+c.values)
			r.with("idColumn", "uid")
			r.with("update", false)
			r.start()
			r.eventually("tables equal", func() bool { return r.differing() == 0 })
			for _, call := range r.receiver.all() {
				if _, ok := call.Body.Row["uid"].(json.Number); !ok {
					t.Errorf("uid is %T in the body, want a number", call.Body.Row["uid"])
				}
			}
		})
	}
}

func TestStartID(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		args []string
		file string
	}{
		"command line":      {[]string{"-start-id", "40"}, ""},
		"original's cursor": {nil, "40"},
		"file before flag":  {[]string{"-start-id", "10"}, "40\n"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			r.with("update", false)
			r.src.Exec(t, "INSERT INTO user (number, name) SELECT seq, 'x' FROM seq_1_to_50")
			if c.file != "" {
				dir := filepath.Join(r.dir, "cache")
				if err := os.Mkdir(dir, 0o700); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(filepath.Join(dir, "cupid.txt"), []byte(c.file), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			r.start(c.args...)
			r.eventually("the rest is repaired", func() bool { return r.differing() == 40 })
			r.src.Exec(t, "INSERT INTO user (number, name) VALUES (51, 'next')")
			r.eventually("the next row is repaired", func() bool { return r.count() == 11 })
		})
	}
}

// One destination's URL is dead: the other destination is repaired all the same.
func TestG6DeadURLDelaysNoOtherDestination(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	dead := r.destination(r.des, "127.0.0.1:1/nobody")
	r.des.Exec(t, "CREATE TABLE dead LIKE user") // which nobody repairs
	dead["name"], dead["table"] = "dead", "dead"
	r.config["des"] = []any{dead, r.config["des"].([]any)[0]}
	r.src.Exec(t, "INSERT INTO user (number, name) SELECT seq, 'x' FROM seq_1_to_300")
	r.start()
	r.eventually("tables equal", func() bool { return r.differing() == 0 })
	r.eventually("the dead URL is told of", func() bool { return strings.Contains(r.logs(), "callback URL is down") })
}

// A destination server that does not answer stops its own pair only.
func TestG6DeadDestinationDelaysNoOtherPair(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	dead := r.destination(r.des, r.receiver.url())
	dead["name"], dead["dsn"] = "dead", "mysql:dbname=x;host=127.0.0.1;port=1"
	r.config["chunkRow"] = 10 // more chunks of the dead pair than a task worker has hands
	r.config["des"] = []any{dead, r.config["des"].([]any)[0]}
	r.src.Exec(t, "INSERT INTO user (number, name) SELECT seq, 'x' FROM seq_1_to_300")
	r.start()
	r.eventually("tables equal", func() bool { return r.differing() == 0 })
}

// A dry run calls nobody, and takes nothing from the next run.
func TestDryRunCallsNobody(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.src.Exec(t, "INSERT INTO user (number, name) SELECT seq, 'x' FROM seq_1_to_20")
	m := r.start("-dry-run")
	r.eventually("divergences are logged", func() bool { return strings.Count(r.logs(), `"message":"divergence"`) >= 20 })
	m.stop()
	if calls := r.receiver.all(); len(calls) != 0 {
		t.Errorf("a dry run made %d calls", len(calls))
	}
	r.start()
	r.eventually("tables equal", func() bool { return r.differing() == 0 })
}

// A cache file that cannot be read is kept, told of, and not taken for a first start.
func TestDamagedCacheFileIsKeptAndTold(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.src.Exec(t, "INSERT INTO user (number, name) SELECT seq, 'x' FROM seq_1_to_20")
	m := r.start()
	r.eventually("tables equal", func() bool { return r.differing() == 0 })
	m.stop()
	path := filepath.Join(r.dir, "cache", "manager-0.json")
	if err := os.Truncate(path, 10); err != nil {
		t.Fatal(err)
	}
	r.start()
	r.src.Exec(t, "INSERT INTO user (number, name) VALUES (21, 'x')")
	r.eventually("tables equal", func() bool { return r.differing() == 0 })
	if kept, _ := filepath.Glob(path + ".damaged-*"); len(kept) != 1 {
		t.Errorf("the damaged file is not kept: %v", kept)
	}
	if !strings.Contains(r.logs(), "damaged") {
		t.Error("the log does not tell")
	}
}

// No secret of the configuration is in a log, an argument list, an environment, a
// status answer or any file but the configuration.
func TestG10SecretsStaySecret(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	secrets := []string{r.src.Password, "signing-secret-of-the-test", "header-secret-of-the-test", "query-secret-of-the-test"}
	r.des0()["callbackNotification"] = map[string]any{
		"url": "http://127.0.0.1:1/x?token=" + secrets[3], "secret": secrets[1], "headers": map[string]any{"Authorization": secrets[2]},
	}
	r.src.Exec(t, "INSERT INTO user (number, name) SELECT seq, 'x' FROM seq_1_to_20")
	m := r.start()
	r.eventually("failures are logged", func() bool { return strings.Contains(r.logs(), "callback URL is down") })
	out, _ := r.command("status", "-json", "-config", r.path)
	checked, _ := r.command("-check", "-config", r.path)
	places := map[string]string{"status": out, "check": checked, "output": m.output.String()}
	s, err := r.status()
	if err != nil {
		t.Fatal(err)
	}
	pids := []int{s.Pid}
	for _, w := range s.Workers {
		pids = append(pids, w.Pid)
	}
	for _, pid := range pids {
		for _, file := range []string{"cmdline", "environ"} {
			text, err := os.ReadFile(filepath.Join("/proc", itoa(pid), file))
			if err != nil {
				t.Fatal(err)
			}
			places[file+" of "+itoa(pid)] = string(text)
		}
	}
	for path := range r.files() {
		if path != r.path {
			text, _ := os.ReadFile(path) // a socket cannot be read
			places[path] = string(text)
		}
	}
	if len(places) < 12 {
		t.Errorf("looked at %d places only", len(places))
	}
	for place, text := range places {
		for _, s := range secrets {
			if strings.Contains(text, s) {
				t.Errorf("%s holds the secret %q", place, s)
			}
		}
	}
}

// now is the source server's clock, in seconds.
func (r *rig) now() int64 {
	r.t.Helper()
	var now int64
	if err := r.src.DB.GetContext(r.t.Context(), &now, "SELECT UNIX_TIMESTAMP()"); err != nil {
		r.t.Fatal(err)
	}
	return now
}

// state is the manager's cache file.
func (r *rig) state() string {
	text, _ := os.ReadFile(filepath.Join(r.dir, "cache", "manager-0.json"))
	return string(text)
}

// count is how many rows the destination has.
func (r *rig) count() int {
	r.t.Helper()
	var n int
	if err := r.des.DB.GetContext(r.t.Context(), &n, "SELECT COUNT(*) FROM user"); err != nil {
		r.t.Fatal(err)
	}
	return n
}
