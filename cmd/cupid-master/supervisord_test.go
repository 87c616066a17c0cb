package main_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// A real supervisord runs cupid by the file that is shipped: whatever dies comes back, and nothing is left over.
func TestSupervisordKeepsCupidRunning(t *testing.T) {
	t.Parallel()
	s := newSupervised(t)
	first := s.until("cupid to run", func(statusReply) bool { return true })
	s.hasUser(first.Pid)
	s.repairs(1)

	sendSignal(t, first.Pid, syscall.SIGKILL)
	second := s.until("another master with workers of its own", func(now statusReply) bool { return disjoint(pids(first), pids(now)) })
	s.repairs(2)

	victim := second.Workers[len(second.Workers)-1]
	sendSignal(t, victim.Pid, syscall.SIGKILL)
	third := s.until("another worker for the killed one", func(now statusReply) bool { return !slices.Contains(pids(now), victim.Pid) })
	if kept := common(pids(second), pids(third)); kept != len(second.Workers) {
		t.Errorf("of %v %d are still there in %v, want all but %d", pids(second), kept, pids(third), victim.Pid)
	}

	s.ctl("signal", "USR1", "cupid")
	s.until("the same master with new workers", func(now statusReply) bool {
		return now.Pid == third.Pid && common(pids(third), pids(now)) == 1
	})
	s.repairs(3)

	// supervisorctl answers when the process is gone. KILL would come after stopwaitsecs.
	s.ctl("stop", "cupid")
	if left := s.rig.processes(); len(left) != 0 {
		t.Errorf("processes after stop = %v, want none", left)
	}
	if log := s.log(); !strings.Contains(log, "stopped: cupid (exit status 0)") || strings.Contains(log, "killing 'cupid'") {
		t.Errorf("cupid was not stopped in order\n%s", log)
	}

	s.ctl("start", "cupid")
	s.until("cupid to run again", func(statusReply) bool { return true })
	s.repairs(4)
	s.shutdown()
	if left := s.rig.processes(); len(left) != 0 {
		t.Errorf("processes after the end of supervisord = %v, want none", left)
	}
}

// supervised is cupid under a supervisord of its own.
type supervised struct {
	t       *testing.T
	rig     *rig
	program supervisorProgram
	conf    string
	daemon  *exec.Cmd
	ended   chan struct{}
}

const supervisordConf = `[supervisord]
nodaemon = true
%[2]s
logfile = %[1]s/supervisord.log
pidfile = %[1]s/supervisord.pid
childlogdir = %[1]s
[unix_http_server]
file = %[1]s/supervisord.sock
[rpcinterface:supervisor]
supervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface
[supervisorctl]
serverurl = unix://%[1]s/supervisord.sock
[include]
files = %[1]s/cupid.conf
`

// newSupervised starts supervisord on the shipped file, in which only the paths are others. A user who is not root
// cannot become nobody, so there the line is left out.
func newSupervised(t *testing.T) *supervised {
	t.Helper()
	r := newRig(t)
	s := &supervised{t: t, rig: r, program: findSupervisor(t), conf: filepath.Join(r.dir, "supervisord.conf")}
	r.write()
	for _, name := range []string{"cupid-master", "cupid-worker"} {
		// The directory bin is closed to nobody.
		if err := os.Link(filepath.Join(bin, name), filepath.Join(r.dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	replace := []string{
		"/usr/local/bin/cupid-master", filepath.Join(r.dir, "cupid-master"),
		"/etc/cupid.json", r.path,
		"/var/log/cupid.supervisord.log", filepath.Join(r.dir, "supervisord.out"),
	}
	self := ""
	if os.Getuid() == 0 {
		self = "user = root"
		giveTo(t, "nobody", r)
	} else {
		replace = append(replace, "\nuser=nobody\n", "\n")
	}
	writeFile(t, filepath.Join(r.dir, "cupid.conf"), shipped(t, "supervisord.conf", replace...))
	writeFile(t, s.conf, fmt.Sprintf(supervisordConf, r.dir, self))
	s.start()
	return s
}

// giveTo makes a user the owner of what cupid reads and writes.
func giveTo(t *testing.T, name string, r *rig) {
	t.Helper()
	owner, err := user.Lookup(name)
	if err != nil {
		t.Fatal(err)
	}
	uid, _ := strconv.Atoi(owner.Uid) // numbers on Unix
	gid, _ := strconv.Atoi(owner.Gid)
	err = os.Chmod(r.dir, 0o755)
	for _, dir := range []string{"cache", "log"} {
		err = errors.Join(err, os.Mkdir(filepath.Join(r.dir, dir), 0o700), os.Chown(filepath.Join(r.dir, dir), uid, gid))
	}
	if err = errors.Join(err, os.Chown(r.path, uid, gid)); err != nil {
		t.Fatal(err)
	}
}

func (s *supervised) start() {
	s.t.Helper()
	s.daemon = s.program.command("supervisord", "-c", s.conf)
	var err error
	if s.ended, err = spawn(s.daemon, syscall.SIGTERM); err != nil { // by which it ends cupid, too
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() {
		s.shutdown()
		if s.t.Failed() {
			s.t.Logf("== supervisord\n%s", s.log())
		}
		s.rig.noneLeft()
	})
}

// shutdown ends supervisord, which ends cupid.
func (s *supervised) shutdown() {
	s.t.Helper()
	_ = s.daemon.Process.Signal(syscall.SIGTERM) // it may be gone
	select {
	case <-s.ended:
	case <-time.After(patience):
		_ = s.daemon.Process.Kill()
		<-s.ended
		s.t.Error("supervisord did not end on SIGTERM")
	}
}

// until waits until all workers are ready and ok, and checks that no other process of this cupid lives.
func (s *supervised) until(what string, ok func(statusReply) bool) statusReply {
	s.t.Helper()
	var now statusReply
	s.rig.eventually(what, func() bool {
		select {
		case <-s.ended:
			s.t.Fatalf("supervisord ended: %v\n%s", s.daemon.ProcessState, s.log())
		default:
		}
		var err error
		if now, err = s.rig.status(); err != nil || len(now.Workers) == 0 {
			return false
		}
		for _, w := range now.Workers {
			if w.State != "ready" {
				return false
			}
		}
		return ok(now)
	})
	want := pids(now)
	slices.Sort(want)
	s.rig.eventually(fmt.Sprintf("processes %v and no others", want), func() bool {
		var got []int
		for _, text := range s.rig.processes() {
			pid, _ := strconv.Atoi(text) // a name in /proc
			got = append(got, pid)
		}
		slices.Sort(got)
		return slices.Equal(got, want)
	})
	return now
}

// repairs checks that cupid does its work.
func (s *supervised) repairs(number int) {
	s.t.Helper()
	s.rig.src.Exec(s.t, fmt.Sprintf("INSERT INTO user (number, name) VALUES (%d, 'lost')", number))
	s.rig.eventually("the row repaired", func() bool { return s.rig.differing() == 0 })
}

// hasUser checks whose process it is.
func (s *supervised) hasUser(pid int) {
	s.t.Helper()
	want := uint32(os.Getuid())
	if want == 0 {
		want = 65534 // nobody, everywhere
		if owner, err := user.Lookup("nobody"); err == nil {
			n, _ := strconv.ParseUint(owner.Uid, 10, 32)
			want = uint32(n)
		}
	}
	info, err := os.Stat(fmt.Sprintf("/proc/%d", pid))
	if err != nil {
		s.t.Fatal(err)
	}
	if got := info.Sys().(*syscall.Stat_t).Uid; got != want {
		s.t.Errorf("cupid runs as user %d, want %d", got, want)
	}
}

func (s *supervised) ctl(args ...string) {
	s.t.Helper()
	out, err := s.program.command("supervisorctl", append([]string{"-c", s.conf}, args...)...).CombinedOutput()
	if err != nil {
		s.t.Fatalf("supervisorctl %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

func (s *supervised) log() string {
	text, _ := os.ReadFile(filepath.Join(s.rig.dir, "supervisord.log"))
	out, _ := os.ReadFile(filepath.Join(s.rig.dir, "supervisord.out"))
	return string(text) + string(out)
}

// pids are the master's and the workers'.
func pids(s statusReply) []int {
	all := []int{s.Pid}
	for _, w := range s.Workers {
		all = append(all, w.Pid)
	}
	return all
}

func common(a, b []int) int {
	n := 0
	for _, v := range a {
		if slices.Contains(b, v) {
			n++
		}
	}
	return n
}

func disjoint(a, b []int) bool { return common(a, b) == 0 }

func sendSignal(t *testing.T, pid int, s syscall.Signal) {
	t.Helper()
	if err := syscall.Kill(pid, s); err != nil {
		t.Fatalf("signal %d: %v", pid, err)
	}
}

// shipped is the text of an example with other paths; each of them has to be there.
func shipped(t *testing.T, name string, replace ...string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "examples", name))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(replace); i += 2 {
		if !strings.Contains(string(text), replace[i]) {
			t.Fatalf("examples/%s does not have %q", name, replace[i])
		}
	}
	return strings.NewReplacer(replace...).Replace(string(text))
}

func writeFile(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}
