package main_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// patience is how long a test waits for what must happen.
const patience = 2 * time.Minute

// bin is where the programs are.
var bin string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "cupid-demo-test-")
	if err != nil {
		panic(err)
	}
	bin = dir
	code := 1
	cmd := exec.CommandContext(context.Background(), "go", "build", "-o", dir, "../../cmd/...", ".")
	if out, err := cmd.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "build: %v\n%s", err, out)
	} else {
		code = m.Run()
	}
	_ = os.RemoveAll(dir)
	os.Exit(code)
}

// show is a running demo.
type show struct {
	t     *testing.T
	cmd   *exec.Cmd
	stdin io.Writer
	out   *output
	tmp   string // its temporary directory
	ended chan struct{}
}

func start(t *testing.T, args ...string) *show {
	t.Helper()
	s := &show{t: t, out: &output{}, tmp: t.TempDir(), ended: make(chan struct{})}
	s.cmd = exec.Command(filepath.Join(bin, "demo"), args...)
	s.cmd.Env = append(os.Environ(), "TMPDIR="+s.tmp)
	s.cmd.Stdout, s.cmd.Stderr = s.out, s.out
	stdin, err := s.cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	s.stdin = stdin
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { defer close(s.ended); _ = s.cmd.Wait() }()
	t.Cleanup(func() {
		select {
		case <-s.ended:
		default:
			_ = s.cmd.Process.Signal(os.Interrupt)
			<-s.ended
		}
		if t.Failed() {
			t.Logf("the demo said\n%s", s.out)
		}
	})
	return s
}

// says waits until the demo says text.
func (s *show) says(text string) {
	s.t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	late := time.NewTimer(patience)
	defer late.Stop()
	for !strings.Contains(s.out.String(), text) {
		select {
		case <-tick.C:
		case <-s.ended:
			if !strings.Contains(s.out.String(), text) {
				s.t.Fatalf("it ended (%v) and did not say %q", s.cmd.ProcessState, text)
			}
		case <-late.C:
			s.t.Fatalf("within %s it did not say %q", patience, text)
		}
	}
}

// ends waits for the end and checks its exit code.
func (s *show) ends(want int) {
	s.t.Helper()
	select {
	case <-s.ended:
	case <-time.After(patience):
		_ = s.cmd.Process.Kill()
		s.t.Fatalf("it did not end within %s", patience)
	}
	if got := s.cmd.ProcessState.ExitCode(); got != want {
		s.t.Errorf("exit code = %d, want %d", got, want)
	}
}

// nothingLeft checks that no file and no process of the demo is there any more.
func (s *show) nothingLeft() {
	s.t.Helper()
	left, err := os.ReadDir(s.tmp)
	if err != nil || len(left) > 0 {
		s.t.Errorf("left over: %v, %v", left, err)
	}
	fds, err := filepath.Glob("/proc/[0-9]*/fd/*")
	if err != nil {
		s.t.Fatal(err)
	}
	for _, fd := range fds {
		if target, err := os.Readlink(fd); err == nil && strings.HasPrefix(target, s.tmp) {
			s.t.Errorf("%s is still open: %s", target, fd)
		}
	}
}

// The whole demo, its end left open to play with.
func TestDemo(t *testing.T) {
	t.Parallel()
	s := start(t, "-bin", bin, "-keep")
	s.says("It is yours")
	for _, line := range []string{
		"✓ Both tables are equal", "✓ No row that was merely late was called back.",
		"✓ No row was called back to which nothing had happened.", "✓ No worker has died but for the one that was killed.",
		"called back  22 rows with ", " 22 accepted", "12 missing and 8 different", "healed       22 rows",
	} {
		if !strings.Contains(s.out.String(), line) {
			t.Errorf("it did not say %q", line)
		}
	}
	_, _ = io.WriteString(s.stdin, "INSERT INTO shop.user (number, name, balance) VALUES (70001, 'lost', 1);\n")
	s.says("1 row affected")
	s.says("callback: type 1, number 70001, answered 204")
	_, _ = io.WriteString(s.stdin, "\nSELECT CONCAT(full_name, ' and found') AS story, NULL AS nothing FROM warehouse.user WHERE number = 70001\n")
	s.says("story")
	s.says("lost and found  NULL")
	_, _ = io.WriteString(s.stdin, "DROP TABLE nowhere.never\n")
	s.says("✗ Error 1051")
	if err := s.cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	s.ends(0)
	s.nothingLeft()
	if text := s.out.String(); !strings.Contains(text, "no process is left over") || strings.Contains(text, "\x1b") {
		t.Error("it did not say that no process is left over, or said it in colours to a pipe")
	}
}

func TestInterruptCleansUp(t *testing.T) {
	t.Parallel()
	for _, moment := range []string{"A table and its copy", "Ready after", "The master has started"} {
		t.Run(moment, func(t *testing.T) {
			s := start(t, "-bin", bin)
			s.says(moment)
			if err := s.cmd.Process.Signal(syscall.SIGINT); err != nil {
				t.Fatal(err)
			}
			s.ends(130)
			s.nothingLeft()
		})
	}
}

func TestFailureKeepsTheLogs(t *testing.T) {
	t.Parallel()
	lone := t.TempDir()
	if err := os.Link(filepath.Join(bin, "cupid-master"), filepath.Join(lone, "cupid-master")); err != nil {
		t.Fatal(err)
	}
	s := start(t, "-bin", lone)
	s.ends(1)
	s.says("cupid-worker")
	s.says("The logs are in " + s.tmp)
	for _, name := range []string{"cupid.json", "cupid.out", "mariadb.log"} {
		if found, err := filepath.Glob(filepath.Join(s.tmp, "cupid-demo-*", name)); err != nil || len(found) != 1 {
			t.Errorf("kept %v, %v, want %s", found, err, name)
		}
	}
}

func TestWrongUse(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		args []string
		want int
		text string
	}{
		{[]string{"-bin", "/nowhere"}, 1, "make build"},
		{[]string{"-colour"}, 64, "-colour"},
		{[]string{"word"}, 64, `"word"`},
		{[]string{"-help"}, 0, "-keep"},
	} {
		s := start(t, c.args...)
		s.ends(c.want)
		s.says(c.text)
	}
}

// output is what a program says.
type output struct {
	mu   sync.Mutex // guards text
	text bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}
