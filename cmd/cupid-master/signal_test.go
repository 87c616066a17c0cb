package main_test

import (
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/masixun71/cupid/pkg/mariadb/mariadbtest"
)

// A stop comes whenever it likes, and is one.
func TestTermWhenever(t *testing.T) {
	t.Parallel()
	for name, at := range map[string]func(r *rig) *run{
		"while the databases are checked": func(r *rig) *run {
			addr, asked := silentServer(r.t)
			r.with("dsn", "mysql:dbname=x;host=127.0.0.1;port="+addr)
			r.config["connectTimeoutSecond"] = 300 // longer than anybody waits
			m := r.launch()
			receiveWithin(r.t, "the check at work", asked)
			return m
		},
		"while a run's manager checks": func(r *rig) *run {
			addr, asked := silentServer(r.t)
			r.with("dsn", "mysql:dbname=x;host=127.0.0.1;port="+addr)
			r.config["connectTimeoutSecond"] = 300 // longer than anybody waits
			m := r.launch("-once", "-dry-run")
			receiveWithin(r.t, "the check at work", asked)
			return m
		},
		"while a reload checks": func(r *rig) *run {
			m := r.start()
			addr, asked := silentServer(r.t)
			r.with("dsn", "mysql:dbname=x;host=127.0.0.1;port="+addr)
			r.config["connectTimeoutSecond"] = 300 // longer than anybody waits
			r.write()
			sendSignal(r.t.(*testing.T), m.cmd.Process.Pid, syscall.SIGUSR1)
			receiveWithin(r.t, "the check at work", asked)
			return m
		},
		"while workers are renewed": func(r *rig) *run {
			m := r.start()
			sendSignal(r.t.(*testing.T), m.cmd.Process.Pid, syscall.SIGUSR1)
			r.eventually("a worker renewed", func() bool {
				s, err := r.status()
				return err == nil && s.Workers[0].Generation > 1
			})
			return m
		},
		"in the backoff": func(r *rig) *run {
			m := r.start()
			r.eventually("a wait before the next worker", func() bool {
				s, err := r.status()
				if err != nil {
					return false
				}
				w := s.Workers[2]
				if w.Pid != 0 {
					_ = syscall.Kill(w.Pid, syscall.SIGKILL)
				}
				return w.State == "backing off" && w.Restarts > 3 // some time is left of it
			})
			return m
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			m := at(r)
			begin := time.Now()
			sendSignal(t, m.cmd.Process.Pid, syscall.SIGTERM)
			_ = m.cmd.Process.Signal(syscall.SIGTERM) // it may be gone
			want := 0
			if slices.Contains(m.cmd.Args, "-once") {
				want = 2 // it cannot tell
			}
			if code := m.wait(); code != want {
				t.Errorf("exit code %d, want %d\n%s", code, want, m.output)
			}
			// The figure of the design is 1.5 s; this is for a machine that has other things to do.
			if took := time.Since(begin); took > 10*time.Second {
				t.Errorf("stop took %s", took)
			}
			r.noneLeft()
		})
	}
}

// silentServer is a server that takes connections and says nothing.
func silentServer(tb testing.TB) (port string, asked <-chan struct{}) {
	tb.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = l.Close() })
	each := make(chan struct{}, 16) // nobody asks so often
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			each <- struct{}{}
			go func() {
				_, _ = io.Copy(io.Discard, conn)
				_ = conn.Close()
			}()
		}
	}()
	return itoa(l.Addr().(*net.TCPAddr).Port), each
}

func receiveWithin(tb testing.TB, what string, c <-chan struct{}) {
	tb.Helper()
	select {
	case <-c:
	case <-time.After(patience):
		tb.Fatalf("not within %s: %s", patience, what)
	}
}

// Signals come in bursts, and reloads in the middle of work: few of the first, and nothing lost or doubled by the second.
func TestReloadsUnderLoadLoseAndDoubleNothing(t *testing.T) {
	t.Parallel()
	const rows = 1000
	r := newRig(t)
	m := r.start()
	r.insert(1, rows)
	r.eventually("some callbacks", func() bool { return len(r.receiver.all()) > 100 })
	burst := time.NewTicker(10 * time.Millisecond)
	defer burst.Stop()
	for range 100 {
		sendSignal(t, m.cmd.Process.Pid, syscall.SIGUSR1)
		<-burst.C
	}
	begun := func() int { return strings.Count(r.masterLog(), `"message":"reload begins"}`) / 2 } // by the master, and by its pool
	inBurst := begun()
	r.equal()
	calls := map[string]int{}
	for _, c := range r.receiver.all() {
		calls[fmt.Sprint(c.Body.Row["number"])]++
	}
	for number, n := range calls {
		if n != 1 {
			t.Errorf("row %s was called back %d times", number, n)
		}
	}
	if len(calls) != rows {
		t.Errorf("%d rows were called back, want %d", len(calls), rows)
	}
	quiet := 0 // looks in a row: between two reloads that were both asked for there is no time for some
	r.eventually("the last reload done", func() bool {
		done := strings.Count(r.masterLog(), "reload is done")
		if quiet++; done == 0 || done != begun() {
			quiet = 0
		}
		return quiet > 20
	})
	workers := r.allReady("all ready", func([]workerStatus) bool { return true })
	// What was asked for during a reload is one more, and so is what is on its way at the end.
	if got := begun(); got > inBurst+2 {
		t.Errorf("%d reloads began after the last signal", got-inBurst)
	}
	if workers[0].Generation < 2 {
		t.Error("the manager was not renewed")
	}
	for _, w := range workers {
		if w.Restarts != 0 {
			t.Errorf("the %s worker has crashed: %s", w.Role, w.LastExit)
		}
	}
}

// A reload brings in what was installed since the start, when that is any good; else everything stays as it is.
func TestReloadWithAnotherWorkerBinary(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	path := filepath.Join(r.dir, "cupid-worker")
	released := filepath.Join(bin, "cupid-worker")
	install := func(from func(temp string) error) {
		t.Helper()
		if err := from(path + ".new"); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(path+".new", path); err != nil {
			t.Fatal(err)
		}
	}
	script := func(mode os.FileMode, text string) func(string) error {
		return func(temp string) error { return os.WriteFile(temp, []byte("#!/bin/sh\n"+text), mode) }
	}
	answer := `echo '{"protocol":1,"build":"v2"}'`
	install(func(temp string) error { return os.Link(released, temp) })
	r.start("-worker", path)
	before := r.workers()
	for _, bad := range []struct {
		name string
		make func(temp string) error
		want string
	}{
		{"not executable", script(0o600, answer), "not executable"},
		{"another protocol version", script(0o700, `echo '{"protocol":99,"build":"v9"}'`), "speaks protocol 99"},
		{"something else", script(0o700, "echo hello"), "is no cupid-worker"},
		{"one that does not check", script(0o700, `[ "$1" = -version ] && `+answer), "check: "},
		{"none", nil, "does not exist"},
	} {
		if bad.make != nil {
			install(bad.make)
		} else if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
		if out, code := r.command("reload", "-config", r.path); code == 0 || !strings.Contains(out, bad.want) {
			t.Errorf("%s: exit code %d, want one above 0, and %q: %s", bad.name, code, bad.want, out)
		}
	}
	r.undisturbed(before)

	// A worker that dies now gets a successor all the same: the binary that was good is still there.
	sendSignal(t, before[2].Pid, syscall.SIGKILL)
	r.allReady("another task worker", func(now []workerStatus) bool { return now[2].Restarts == 1 })

	install(func(temp string) error {
		text, err := os.ReadFile(released)
		if err != nil {
			return err
		}
		return os.WriteFile(temp, text, 0o700)
	})
	if out, code := r.command("reload", "-config", r.path); code != 0 {
		t.Errorf("reload with a good one: exit code %d: %s", code, out)
	}
	for _, w := range r.allReady("all ready", func([]workerStatus) bool { return true }) {
		if exe, err := os.Readlink(fmt.Sprintf("/proc/%d/exe", w.Pid)); exe != path {
			t.Errorf("the %s worker runs %s, %v, want %s", w.Role, exe, err, path)
		}
	}
	r.insert(1, 10)
	r.equal()
}

// Between the new manager and the new task workers of a reload rows come that are right where the old configuration looks.
func TestG2ReloadWithAnotherDestination(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.with("update", false)
	des := r.config["des"].([]any)[0].(map[string]any)
	des["name"] = "copy"
	answer := make(chan struct{})
	r.receiver.then(func(call) int { <-answer; return 204 })
	m := r.start()
	r.insert(1, 1)
	r.eventually("a call in flight, for which the callback worker waits", func() bool { return len(r.receiver.all()) > 0 })
	other := mariadbtest.New(t)
	other.Exec(t, "CREATE TABLE user "+table)
	des["dsn"], des["user"], des["password"] = other.PDOTCP(), other.User, other.Password
	r.write()
	sendSignal(t, m.cmd.Process.Pid, syscall.SIGUSR1)
	r.eventually("the new manager", func() bool {
		s, err := r.status()
		return err == nil && s.Workers[0].Generation > 1
	})
	r.src.Exec(t, "INSERT INTO user (id, number, name) VALUES (1000, 100, 'x')")
	r.des.Exec(t, "INSERT INTO user (id, number, name) VALUES (1000, 100, 'x')")
	passed := func() bool { return r.cursor("1000") && r.insertSettled() }             // which must not be
	for end := time.Now().Add(8 * time.Second); time.Now().Before(end) && !passed(); { // when the old workers would have done it
		<-time.After(10 * time.Millisecond)
	}
	close(answer)
	r.eventually("a call for the row that the new destination lacks", func() bool {
		return slices.ContainsFunc(r.receiver.all(), func(c call) bool { return fmt.Sprint(c.Body.Row["number"]) == "100" })
	})
}

// A reload adds a pair and takes it away; what it had to do is done by then, or left alone.
func TestReloadAddsAndRemovesAPair(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	m := r.start()
	one := r.config["des"]
	r.des.Exec(t, "CREATE TABLE second "+table)
	second := r.destination(r.des, r.receiver.url())
	second["table"], second["name"] = "second", "second"
	r.config["des"] = slices.Concat(one.([]any), []any{second})
	r.write()
	sendSignal(t, m.cmd.Process.Pid, syscall.SIGUSR1)
	r.insert(1, 10)
	r.equal()
	r.eventually("calls for the new pair, too", func() bool {
		for _, c := range r.receiver.all() {
			if strings.Contains(c.Header.Get("Cupid-Pair"), "second") {
				return true
			}
		}
		return false
	})
	r.config["des"] = one
	r.write()
	if out, code := r.command("reload", "-config", r.path); code != 0 {
		t.Fatalf("reload: exit code %d: %s", code, out)
	}
	r.insert(100, 10)
	r.equal()
	out, code := r.command("status", "-config", r.path)
	if configured, _, _ := strings.Cut(out, "NOT CONFIGURED"); code != 0 || strings.Contains(configured, "second") { // its events stay
		t.Errorf("status: exit code %d, want 0, and nothing of the second pair but its events: %s", code, out)
	}
}

// The databases are away when cupid starts, and for a while longer.
func TestDatabaseThatComesLater(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	gate := l.Addr().String()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	_, port, err := net.SplitHostPort(gate)
	if err != nil {
		t.Fatal(err)
	}
	r.with("dsn", fmt.Sprintf("mysql:dbname=%s;host=127.0.0.1;port=%s", r.src.Name, port))
	r.insert(1, 100)
	r.start()
	before := r.workers()
	r.eventually("the log says so", func() bool { return strings.Contains(r.masterLog(), gate) })
	<-time.After(6 * time.Second) // longer than a heartbeat may be late
	r.undisturbed(before)
	forward(t, gate, net.JoinHostPort(r.src.Host, itoa(r.src.Port)))
	r.equal()
	r.undisturbed(before)
}

// forward takes connections at an address on behalf of another.
func forward(t *testing.T, from, to string) {
	t.Helper()
	l, err := net.Listen("tcp", from)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			near, err := l.Accept()
			if err != nil {
				return
			}
			far, err := net.Dial("tcp", to)
			if err != nil {
				_ = near.Close()
				continue
			}
			go func() { _, _ = io.Copy(far, near); _ = far.Close() }()
			go func() { _, _ = io.Copy(near, far); _ = near.Close() }()
		}
	}()
}
