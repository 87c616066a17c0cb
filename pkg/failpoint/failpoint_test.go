package failpoint_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/masixun71/cupid/pkg/failpoint"
)

// Released binaries are built as this test is: without the tag.
func TestNothingHappensWithoutTheTag(t *testing.T) {
	if failpoint.Enabled {
		t.Fatal("the points are there without the build tag")
	}
	failpoint.Reach("anything")
}

// program reaches its point twice.
const program = `package main

import "github.com/masixun71/cupid/pkg/failpoint"

func main() {
	failpoint.Reach("here")
	println("went on")
	failpoint.Reach("here")
}
`

func TestPoints(t *testing.T) {
	dir := t.TempDir()
	source := filepath.Join(dir, "main.go")
	if err := os.WriteFile(source, []byte(program), 0o600); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "program")
	build := exec.CommandContext(t.Context(), "go", "build", "-tags", "failpoint", "-o", path, source)
	build.Dir = "." // of the module
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	armed := filepath.Join(dir, "failpoints", "armed")
	for _, sub := range []string{armed, filepath.Join(dir, "failpoints", "reached")} {
		if err := os.MkdirAll(sub, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	run := func() (string, syscall.WaitStatus) {
		cmd := exec.Command(path)
		cmd.Args[0] = "cupid: task worker 2"
		out, _ := cmd.CombinedOutput() // how it ended is what is looked at
		return string(out), cmd.ProcessState.Sys().(syscall.WaitStatus)
	}
	for _, c := range []struct {
		file, what string
		code       int // -1: by a signal
		goesOn     bool
	}{
		{"", "", 0, true},
		{"manager.here", "kill", 0, true}, // of another role
		{"task.elsewhere", "kill", 0, true},
		{"task.here", "exit 0", 0, false},
		{"task.here", "exit 1", 1, false},
		{"task.here", "kill", -1, false},
		{"task.here", "segv", 2, false}, // the runtime prints its stacks
	} {
		if c.file != "" { // else nothing is armed
			if err := os.WriteFile(filepath.Join(armed, c.file), []byte(c.what), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		out, status := run()
		if got := strings.Contains(out, "went on"); got != c.goesOn || status.ExitStatus() != c.code {
			t.Errorf("%s in %s: went on %t, exit %d, want %t and %d\n%s", c.what, c.file, got, status.ExitStatus(), c.goesOn, c.code, out)
		}
		if c.file == "task.here" {
			if reached, _ := filepath.Glob(filepath.Join(dir, "failpoints", "reached", "task.here.*")); len(reached) != 1 {
				t.Errorf("%s: reached %v, want one file", c.what, reached)
			} else if err := os.Remove(reached[0]); err != nil {
				t.Fatal(err)
			}
		}
		if c.file != "" {
			_ = os.Remove(filepath.Join(armed, c.file)) // taken away, where it was reached
		}
	}
}
