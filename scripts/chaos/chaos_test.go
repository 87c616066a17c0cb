package main_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// programs is where the programs are, cupid's with failpoints.
var programs string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "cupid-chaos-test-")
	if err != nil {
		panic(err)
	}
	programs = dir
	code := 1
	cmd := exec.CommandContext(context.Background(), "go", "build", "-tags", "failpoint", "-o", dir, "../../cmd/...", ".")
	if out, err := cmd.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "build: %v\n%s", err, out)
	} else {
		code = m.Run()
	}
	_ = os.RemoveAll(dir)
	os.Exit(code)
}

// run runs the harness and returns what it said and its exit code. It ends with the test, and its processes with it.
func run(t *testing.T, tmp string, args ...string) (string, int) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), filepath.Join(programs, "chaos"), args...)
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = time.Minute
	cmd.Env = append(os.Environ(), "TMPDIR="+tmp)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	out, err := cmd.CombinedOutput()
	if cmd.ProcessState == nil {
		t.Fatal(err)
	}
	return string(out), cmd.ProcessState.ExitCode()
}

// logs shows what a failed run has left.
func logs(t *testing.T, tmp string) {
	t.Helper()
	for _, pattern := range []string{"output", "log/*"} {
		files, _ := filepath.Glob(filepath.Join(tmp, "cupid-chaos-*", pattern))
		for _, path := range files {
			text, _ := os.ReadFile(path)
			t.Logf("== %s\n%s", filepath.Base(path), text[max(0, len(text)-10_000):])
		}
	}
}

// All promises at once, for three minutes; for some seconds with -short.
func TestG1ToG8UnderChaos(t *testing.T) {
	t.Parallel()
	minutes, seed := "3", "1"
	if testing.Short() {
		minutes = "0.35"
	}
	if s := os.Getenv("CUPID_CHAOS_SEED"); s != "" {
		seed = s
	}
	tmp := t.TempDir()
	out, code := run(t, tmp, "-bin", programs, "-seed", seed, "-minutes", minutes)
	t.Log(out)
	if code != 0 {
		t.Errorf("exit code %d, want 0", code)
		logs(t, tmp)
		return
	}
	if left, err := os.ReadDir(tmp); err != nil || len(left) > 0 {
		t.Errorf("left over: %v, %v", left, err)
	}
	kept := strings.Count(out, "Every promise was kept.")
	if kept != 1 || !strings.Contains(out, "equal: true") || strings.Contains(out, "kills        0") {
		t.Error("it did not say that it has killed and that every promise was kept")
	}
}

// The algorithm of the original breaks them, on the same kind of run.
func TestControlBreaksThePromises(t *testing.T) {
	t.Parallel()
	tmp := t.TempDir()
	out, code := run(t, tmp, "-original", "-seed", "1", "-minutes", "0.35")
	if code != 1 {
		t.Errorf("exit code %d, want 1", code)
	}
	for _, want := range []string{
		"lost: rows that still differ in the end", "lost: planted divergences that were neither delivered nor overtaken",
		"false alarm: called back for a row that was merely late", "to repeat: make chaos SEED=1",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("it did not say %q", want)
		}
	}
	if kept, _ := filepath.Glob(filepath.Join(tmp, "cupid-chaos-*", "mariadb.log")); len(kept) != 1 {
		t.Errorf("the files of the run were not kept: %v", kept)
	}
	if t.Failed() {
		t.Log(out)
	}
}

func TestReleasedBinariesHaveNoFailpoints(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", dir, "../../cmd/...").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for where, want := range map[string]bool{dir: false, programs: true} {
		for _, name := range []string{"cupid-master", "cupid-worker"} {
			text, err := os.ReadFile(filepath.Join(where, name))
			if err != nil {
				t.Fatal(err)
			}
			if got := bytes.Contains(text, []byte("failpoints")); got != want {
				t.Errorf("%s in %s has failpoints: %t, want %t", name, where, got, want)
			}
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
		{[]string{"-minutes", "0.1"}, 64, "too short"},
		{[]string{"-colour"}, 64, "-colour"},
		{[]string{"word"}, 64, `"word"`},
		{[]string{"-help"}, 0, "-original"},
		{[]string{"-bin", "/nowhere"}, 2, "make chaos"},
	} {
		if out, code := run(t, t.TempDir(), c.args...); code != c.want || !strings.Contains(out, c.text) {
			t.Errorf("%v: exit code %d, want %d and %q\n%s", c.args, code, c.want, c.text, out)
		}
	}
}
