package main_test

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// A killed worker of any role is replaced, and what was on its way still arrives.
func TestG1KilledWorkersLoseNothing(t *testing.T) {
	t.Parallel()
	for _, role := range []string{"manager", "callback", "task"} {
		t.Run(role, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			r.start()
			for round := range 3 {
				r.src.Exec(t, "INSERT INTO user (number, name) SELECT seq + "+itoa(round*1000)+", 'x' FROM seq_1_to_300")
				pid := r.pidOf(role)
				if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
					t.Fatal(err)
				}
				r.eventually("another "+role+" worker", func() bool { p := r.pidOf(role); return p != 0 && p != pid })
			}
			r.eventually("tables equal", func() bool { return r.differing() == 0 })
		})
	}
}

// The master and all workers are killed at once, again and again.
func TestG1KilledMasterLosesNothing(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	for round := range 4 {
		m := r.start()
		r.src.Exec(t, "INSERT INTO user (number, name) SELECT seq + "+itoa(round*1000)+", 'x' FROM seq_1_to_300")
		r.eventually("a callback of this round", func() bool { return len(r.receiver.all()) > round*100 })
		m.kill()
		r.noneLeft()
	}
	r.start()
	r.eventually("tables equal", func() bool { return r.differing() == 0 })
}

func TestStopsWithinOneAndAHalfSeconds(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	hang := make(chan struct{})
	t.Cleanup(func() { close(hang) })
	r.receiver.then(func(call) int { <-hang; return 500 })
	r.src.Exec(t, "INSERT INTO user (number, name) SELECT seq, 'x' FROM seq_1_to_300")
	m := r.start()
	r.eventually("a hanging callback", func() bool { return len(r.receiver.all()) > 0 })
	if err := syscall.Kill(r.pidOf("task"), syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	begin := time.Now()
	m.stop()
	// supervisord kills after 2 s; the time itself is shown by the benchmark.
	if took := time.Since(begin); took > 10*time.Second {
		t.Errorf("stop took %s", took)
	}
	if code := m.cmd.ProcessState.ExitCode(); code != 0 {
		t.Errorf("exit code %d, want 0\n%s", code, m.output)
	}
	r.noneLeft()
}

func TestG8SecondMasterIsRefused(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	first := r.start()
	second := r.launch()
	if code, out := second.wait(), second.output.String(); code != 75 || !strings.Contains(out, "already running") {
		t.Errorf("second start: exit code %d, want 75: %s", code, out)
	}
	first.stop()
}

func TestStatusReloadAndStopAskTheRunningMaster(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	for _, command := range []string{"status", "reload", "stop"} {
		r.write()
		if out, code := r.command(command, "-config", r.path); code != 69 {
			t.Errorf("%s without a master: exit code %d, want 69: %s", command, code, out)
		}
	}
	m := r.start()
	out, code := r.command("status", "-config", r.path)
	if code != 0 || !strings.Contains(out, "callback") || !strings.Contains(out, "ready") {
		t.Errorf("status: exit code %d: %s", code, out)
	}
	info, err := os.Stat(filepath.Join(r.dir, "cache", "cupid.sock"))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("control socket: %v, %v, want mode 0600", info, err)
	}
	if out, code := r.command("stop", "-config", r.path); code != 0 {
		t.Errorf("stop: exit code %d: %s", code, out)
	}
	m.wait()
}

// A reload brings in another number of workers and another pair, by signal and by command.
func TestReload(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	m := r.start()
	before := r.pidOf("manager")
	r.config["workerNumber"] = 5
	r.write()
	if out, code := r.command("reload", "-config", r.path); code != 0 {
		t.Fatalf("reload: exit code %d: %s", code, out)
	}
	s, err := r.status()
	if err != nil || len(s.Workers) != 5 {
		t.Fatalf("after the reload: %d workers, want 5 (%v)", len(s.Workers), err)
	}
	if r.pidOf("manager") == before {
		t.Error("the manager was not renewed")
	}
	r.config["workerNumber"] = 3
	r.write()
	if err := m.cmd.Process.Signal(syscall.SIGUSR1); err != nil {
		t.Fatal(err)
	}
	r.eventually("3 workers again", func() bool { s, err := r.status(); return err == nil && len(s.Workers) == 3 })
	r.src.Exec(t, "INSERT INTO user (number, name) VALUES (1, 'after the reload')")
	r.eventually("tables equal", func() bool { return r.differing() == 0 })
}

func TestG9BadReloadChangesNothing(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.start()
	before := r.pidOf("manager")
	for name, bad := range map[string]string{
		"broken JSON": `{"workerNumber": 3,`,
		"no file":     "",
	} {
		if bad == "" {
			if err := os.Remove(r.path); err != nil {
				t.Fatal(err)
			}
		} else if err := os.WriteFile(r.path, []byte(bad), 0o600); err != nil {
			t.Fatal(err)
		}
		m := mustMaster(t, r)
		if err := syscall.Kill(m, syscall.SIGUSR1); err != nil {
			t.Fatal(err)
		}
		r.eventually(name+" is reported", func() bool { return strings.Contains(r.logs(), "cupid goes on as it was") })
		r.write()
		if r.pidOf("manager") != before {
			t.Errorf("%s: the workers were renewed", name)
		}
	}
	r.with("table", "no_such_table")
	r.write()
	out, code := r.command("reload", "-config", r.path)
	if code == 0 || !strings.Contains(out, "no_such_table") {
		t.Errorf("reload with a missing table: exit code %d: %s", code, out)
	}
	r.with("table", "user")
	r.write()
	r.src.Exec(t, "INSERT INTO user (number, name) VALUES (1, 'still works')")
	r.eventually("tables equal", func() bool { return r.differing() == 0 })
}

func mustMaster(t *testing.T, r *rig) int {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(r.dir, "cache", "cupid.pid"))
	if err != nil {
		t.Fatal(err)
	}
	return atoi(t, strings.TrimSpace(string(text)))
}
