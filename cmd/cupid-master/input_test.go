package main_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	master "github.com/masixun71/cupid/cmd/cupid-master"
	"github.com/masixun71/cupid/pkg/mariadb/mariadbtest"
	"github.com/masixun71/cupid/pkg/supervisor"
)

func itoa(n int) string { return strconv.Itoa(n) }

func atoi(t *testing.T, s string) int {
	t.Helper()
	n, err := strconv.Atoi(s)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// Bad input ends in a clear error with the right exit code, and starts nothing.
func TestBadInputIsRefusedWithItsPlace(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		spoil func(r *rig)
		code  int
		want  []string
	}{
		"unknown key":         {func(r *rig) { r.with("tabel", "user") }, 78, []string{"src.tabel", "table"}},
		"wrong type":          {func(r *rig) { r.config["workerNumber"] = "three" }, 78, []string{"workerNumber"}},
		"two workers":         {func(r *rig) { r.config["workerNumber"] = 2 }, 78, []string{"workerNumber", "3"}},
		"URL without a host":  {func(r *rig) { r.des0()["callbackNotification"] = map[string]any{"url": "http:///x"} }, 78, []string{"url"}},
		"wrong password":      {func(r *rig) { r.with("password", "wrong") }, 78, []string{"src", "denied"}},
		"missing table":       {func(r *rig) { r.with("table", "users") }, 78, []string{"users"}},
		"missing column":      {func(r *rig) { r.des0()["columns"] = map[string]any{"number": "number", "nam": "name"} }, 78, []string{"nam"}},
		"log dir not a dir":   {func(r *rig) { r.config["logDir"] = r.path + "/log" }, 78, []string{"logDir"}},
		"cache dir not a dir": {func(r *rig) { r.with("cacheFilePath", r.path+"/cache") }, 78, []string{"cacheFilePath"}},
		"worker missing":      {func(r *rig) { r.extra = []string{"-worker", "/nonexistent/cupid-worker"} }, 78, []string{"/nonexistent/cupid-worker"}},
		"worker of another version": {func(r *rig) {
			path := filepath.Join(r.dir, "old-worker")
			if err := os.WriteFile(path, []byte("#!/bin/sh\necho '{\"protocol\":99,\"build\":\"v9\"}'\n"), 0o700); err != nil {
				r.t.Fatal(err)
			}
			r.extra = []string{"-worker", path}
		}, 78, []string{"99", "old-worker"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			c.spoil(r)
			r.write()
			out, code := r.command(append([]string{"-config", r.path}, r.extra...)...)
			if code != c.code {
				t.Errorf("exit code %d, want %d: %s", code, c.code, out)
			}
			for _, w := range c.want {
				if !strings.Contains(out, w) {
					t.Errorf("the error does not name %q: %s", w, out)
				}
			}
			r.noneLeft()
		})
	}
}

func TestWrongUsage(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{{}, {"-nosuch"}, {"fly", "-config", "x"}, {"-config", "x", "-start-id", "abc"}} {
		out, code := execute(t, filepath.Join(bin, "cupid-master"), args...)
		if code != 64 {
			t.Errorf("%q: exit code %d, want 64: %s", args, code, out)
		}
	}
	for _, args := range [][]string{{"-help"}, {"-version"}} {
		if out, code := execute(t, filepath.Join(bin, "cupid-master"), args...); code != 0 || !strings.Contains(out, "cupid") {
			t.Errorf("%q: exit code %d, want 0: %s", args, code, out)
		}
	}
}

// Who asks a running cupid need not have what the master got from its environment.
func TestCommandsNeedNoVariablesOfTheMaster(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.with("dsn", "${CUPID_TEST_DSN}")
	des := r.config["des"].([]any)[0].(map[string]any)["callbackNotification"].(map[string]any)
	des["secret"] = "${CUPID_TEST_SECRET}"
	r.prepare = func(cmd *exec.Cmd) {
		cmd.Env = append(os.Environ(), "CUPID_TEST_DSN="+r.src.PDOTCP(), "CUPID_TEST_SECRET=whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
	}
	m := r.launch()
	r.eventually("status", func() bool {
		out, code := r.command("status", "-config", r.path)
		if m.ended() || code != 0 && code != 69 {
			t.Fatalf("status: exit code %d: %s\n%s", code, out, m.output)
		}
		return strings.Contains(out, "callback")
	})
	for _, command := range []string{"reload", "stop"} {
		if out, code := r.command(command, "-config", r.path); code != 0 {
			t.Errorf("%s: exit code %d: %s", command, code, out)
		}
	}
	if code := m.wait(); code != 0 {
		t.Errorf("exit code %d: %s", code, m.output)
	}
}

func TestStatusSaysWhichWorkerSaysNothing(t *testing.T) {
	t.Parallel()
	workers := []supervisor.SlotStatus{{Slot: 0, Role: "manager"}, {Slot: 1, Role: "callback"}, {Slot: 2, Role: "task"}}
	var out strings.Builder
	err := master.PrintStatus(&out, workers, map[int]json.RawMessage{
		0: json.RawMessage(`{"error":"status of 9 bytes is too long"}`), 1: json.RawMessage(`{"error":{"depth":7}}`),
	})
	if err != nil || !strings.Contains(out.String(), "the manager worker cannot say how it is: status of 9 bytes is too long") {
		t.Errorf("%v: %s", err, &out)
	}
	if !regexp.MustCompile(`(?m)^error +7 `).MatchString(out.String()) || strings.Count(out.String(), "cannot say") != 1 {
		t.Errorf("the pair of the name error is not there:\n%s", &out)
	}
}

// A database that does not answer is no reason to end: it may come back.
func TestUnreachableDatabaseIsWaitedFor(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.with("dsn", "mysql:dbname=x;host=127.0.0.1;port=1")
	r.write()
	out, code := r.command("-config", r.path, "-check")
	if code != 78 || !strings.Contains(out, "127.0.0.1:1") {
		t.Errorf("-check: exit code %d: %s", code, out)
	}
	r.start()
	r.eventually("the log says so", func() bool { return strings.Contains(r.logs(), "127.0.0.1:1") })
}

// The table of one pair is gone when the master starts again: that pair waits, and no other.
func TestG6StartWithAPairWhoseTableIsGone(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	gone := mariadbtest.New(t)
	r.config["des"] = append(r.config["des"].([]any), r.destination(gone, r.receiver.url()))
	r.write()
	if out, code := r.command("-config", r.path); code != 78 {
		t.Errorf("first start: exit code %d, want 78: %s", code, out)
	}
	gone.Exec(t, "CREATE TABLE user "+table)
	m := r.start()
	r.eventually("both pairs have begun", func() bool { return strings.Count(r.state(), `"watermark"`) == 2 })
	m.kill()
	gone.Exec(t, "DROP TABLE user")
	m = r.start()
	r.insert(1, 10)
	r.equal()
	m.kill()
	r.des.Exec(t, "DROP TABLE user")
	if out, code := r.command("-config", r.path); code != 78 {
		t.Errorf("without a sound pair: exit code %d, want 78: %s", code, out)
	}
}

func TestCheckSaysInWordsAndChangesNothing(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.des.Exec(t, "ALTER TABLE user DROP KEY number")
	r.src.Exec(t, "ALTER TABLE user DROP KEY update_time")
	r.write()
	out, code := r.command("-config", r.path, "-check")
	if code != 0 {
		t.Fatalf("exit code %d: %s", code, out)
	}
	for _, want := range []string{"balance", "WARNING", "ALTER TABLE", "update_time", "number"} {
		if !strings.Contains(out, want) {
			t.Errorf("-check does not say %q:\n%s", want, out)
		}
	}
	if _, err := os.Stat(filepath.Join(r.dir, "cache")); !os.IsNotExist(err) {
		t.Errorf("-check made the cache directory: %v", err)
	}
}

func (r *rig) des0() map[string]any { return r.config["des"].([]any)[0].(map[string]any) }
