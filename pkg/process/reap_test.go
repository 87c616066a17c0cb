package process_test

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"strconv"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/masixun71/cupid/pkg/process"
)

// A process can ask for what process 1 cannot refuse: to be the parent of its orphaned descendants.
func TestReaperTakesOrphansAndLeavesChildrenAlone(t *testing.T) {
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0) }()
	child, lines := start(t, "leaver", "", nil)
	orphan, err := strconv.Atoi(next(t, lines))
	if err != nil {
		t.Fatal(err)
	}
	if err := wait(t, child); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(orphan, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	// Children of our own end in between, and keep their exit codes.
	for gone := false; !gone; {
		one, _ := start(t, "exit", "3", nil)
		for range 3 {
			process.Reap(os.Getpid())
		}
		if exit, ok := errors.AsType[*exec.ExitError](wait(t, one)); !ok || exit.ExitCode() != 3 {
			t.Fatalf("a child's end: got %v, want exit status 3", exit)
		}
		gone = errors.Is(syscall.Kill(orphan, 0), syscall.ESRCH)
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatal("the orphan is still there")
		}
	}
}
