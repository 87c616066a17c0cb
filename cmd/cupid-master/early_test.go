package main_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	master "github.com/masixun71/cupid/cmd/cupid-master"
	"github.com/masixun71/cupid/ipc"
	"github.com/masixun71/cupid/pkg/process"
	"github.com/masixun71/cupid/pkg/supervisor"
)

// hatchery starts real workers, which wait for a welcome.
type hatchery struct {
	mu       sync.Mutex
	children map[int]*process.Child
}

func (h *hatchery) start(ctx context.Context, order supervisor.Order) (*process.Child, error) {
	child, err := process.Start(ctx, process.Command{
		Path: filepath.Join(bin, "cupid-worker"),
		Env:  []string{fmt.Sprintf("%s=%d", ipc.EnvSlot, order.Slot), fmt.Sprintf("%s=%d", ipc.EnvGeneration, order.Generation)},
	})
	if err != nil {
		return nil, err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.children == nil {
		h.children = map[int]*process.Child{}
	}
	h.children[order.Slot] = child
	return child, nil
}

func (h *hatchery) child(slot int) *process.Child {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.children[slot]
}

// waitEnd waits until a process has ended.
func waitEnd(t *testing.T, child *process.Child) {
	t.Helper()
	select {
	case <-child.Done():
	case <-time.After(patience):
		t.Errorf("process %d has not ended", child.Pid())
	}
}

func TestEarlyWorkersAreTakenOnceOrDiscarded(t *testing.T) {
	t.Parallel()
	var h hatchery
	e := master.StartEarly(t.Context(), 4, 0, h.start)
	if child := e.Take(t.Context(), 1, 1); child != nil || h.child(1) != nil {
		t.Error("the callback worker was started early")
	}
	if child := e.Take(t.Context(), 2, 2); child != nil {
		t.Error("a second generation was started early")
	}
	taken := e.Take(t.Context(), 2, 1)
	if taken == nil || taken != h.child(2) {
		t.Fatalf("took %v, want the worker of slot 2", taken)
	}
	if again := e.Take(t.Context(), 2, 1); again != nil {
		t.Error("one worker was taken twice")
	}
	e.Discard()
	for _, slot := range []int{0, 3} {
		select {
		case <-h.child(slot).Done():
		default:
			t.Errorf("the worker of slot %d lives on", slot)
		}
	}
	select {
	case <-taken.Done():
		t.Error("the worker that was taken is gone")
	default:
	}
	_ = taken.Signal(os.Kill)
	waitEnd(t, taken)
	_ = taken.Conn().Close()
}

func TestEarlyWorkersThatAreOldAreNotTaken(t *testing.T) {
	t.Parallel()
	var h hatchery
	e := master.StartEarly(t.Context(), 3, time.Minute, h.start)
	defer e.Discard()
	if child := e.Take(t.Context(), 0, 1); child != nil {
		t.Error("a worker was taken that may end by itself soon")
	}
	waitEnd(t, h.child(0))
}

func TestEarlyWorkersThatDoNotStartAreLeftToThePool(t *testing.T) {
	t.Parallel()
	e := master.StartEarly(t.Context(), 3, 0, func(context.Context, supervisor.Order) (*process.Child, error) {
		return nil, errors.New("out of processes")
	})
	defer e.Discard()
	if child := e.Take(t.Context(), 0, 1); child != nil {
		t.Errorf("took %v", child)
	}
}

// A run that its check ends has started workers meanwhile, and leaves none.
func TestOnceThatIsNotGood(t *testing.T) {
	t.Parallel()
	r := newOnceRig(t, 10)
	r.with("table", "users")
	if out := r.once(78, "-dry-run"); !strings.Contains(out, "users") {
		t.Errorf("the fault is not named: %s", out)
	}
	r.with("table", "user")
	stranger := r.file("stranger")
	if err := os.WriteFile(stranger, []byte("#!/bin/sh\necho hello\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	if out := r.once(78, "-dry-run", "-worker", stranger); !strings.Contains(out, "is no cupid-worker") {
		t.Errorf("the binary is not named: %s", out)
	}
	if out := r.once(78, "-dry-run", "-worker", "/nonexistent/cupid-worker"); !strings.Contains(out, "does not exist") {
		t.Errorf("the binary is not named: %s", out)
	}
	r.once(0, "-dry-run")
}
