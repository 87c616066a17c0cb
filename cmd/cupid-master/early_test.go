package main_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	master "github.com/masixun71/cupid/cmd/cupid-master"
	"github.com/masixun71/cupid/ipc"
	"github.com/masixun71/cupid/pkg/boot"
	"github.com/masixun71/cupid/pkg/cache"
	"github.com/masixun71/cupid/pkg/chunk"
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

// Everything waits for what the manager finds out: nothing is started beside it, and nothing at all
// once that is in vain.
func TestEarlyManagerIsStartedFirst(t *testing.T) {
	t.Parallel()
	none := errors.New("no process")
	manager, began := make(chan struct{}), make(chan int, 4)
	start := func(ctx context.Context, order supervisor.Order) (*process.Child, error) {
		began <- order.Slot
		if order.Slot == 0 {
			select {
			case <-manager:
			case <-ctx.Done():
			}
		}
		return nil, none
	}
	e := master.StartEarly(t.Context(), 4, 0, start)
	if slot := <-began; slot != 0 {
		t.Errorf("slot %d was started first", slot)
	}
	waiting, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	e.Take(waiting, 2, 1)
	if len(began) > 0 {
		t.Error("others were started beside the manager")
	}
	close(manager)
	e.Take(t.Context(), 2, 1)
	e.Take(t.Context(), 3, 1)
	if len(began) != 2 {
		t.Errorf("%d others were started, want 2", len(began))
	}
	e.Discard()

	for len(began) > 0 {
		<-began
	}
	manager = make(chan struct{})
	e = master.StartEarly(t.Context(), 4, 0, start)
	<-began
	e.Discard()
	if len(began) > 0 {
		t.Error("workers were started that nobody wants any more")
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

// spied is a worker binary that notes in the file what is written for each start of a slot: its
// process. first is a line of shell for the first start of the manager's slot.
func (r *rig) spied(first string) (path string, starts func(slot int) []string) {
	r.t.Helper()
	path = r.file("spied")
	script := fmt.Sprintf("#!/bin/sh\necho $$ >>%[1]s/start-$CUPID_SLOT\nif [ $CUPID_SLOT = 0 ] && mkdir %[1]s/began 2>/dev/null; then :; %[2]s\nfi\nexec %[3]s/cupid-worker \"$@\"\n",
		r.dir, first, bin)
	if err := os.WriteFile(path, []byte(script), 0o700); err != nil {
		r.t.Fatal(err)
	}
	return path, func(slot int) []string {
		text, err := os.ReadFile(r.file("start-" + itoa(slot)))
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			r.t.Error(err)
		}
		return strings.Fields(string(text))
	}
}

// The manager checks the databases before it is one, and no other process does.
func TestOnceIsCheckedByItsManager(t *testing.T) {
	t.Parallel()
	r := newOnceRig(t, 10)
	path, starts := r.spied("")
	r.once(0, "-dry-run", "-worker", path)
	if got := starts(0); len(got) != 1 {
		t.Errorf("%d processes in the place of the manager, want one", len(got))
	}
}

// What keeps the early manager from its check keeps nobody from the run.
func TestOnceWhoseEarlyManagerFails(t *testing.T) {
	t.Parallel()
	for name, first := range map[string]string{
		"it ends":         "exit 1",
		"it says nothing": "exec sleep 600",
		"it is killed":    "kill -9 $$",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newOnceRig(t, 10)
			path, starts := r.spied(first)
			r.once(0, "-dry-run", "-worker", path)
			if got := starts(0); len(got) != 3 { // it, a check, and a manager
				t.Errorf("%d processes in the place of the manager, want three", len(got))
			}
		})
	}
}

func TestOnceWhoseEarlyManagerIsKilledAtTheCheck(t *testing.T) {
	t.Parallel()
	r := newOnceRig(t, 10)
	port, asked := silentServer(t)
	r.with("dsn", "mysql:dbname=x;host=127.0.0.1;port="+port)
	r.config["connectTimeoutSecond"] = 300 // longer than anybody waits
	path, starts := r.spied("")
	m := r.launch("-once", "-dry-run", "-report", r.file("report"), "-worker", path)
	receiveWithin(t, "the manager checks", asked)
	pid, err := strconv.Atoi(starts(0)[0])
	if err != nil {
		t.Fatal(err)
	}
	sendSignal(t, pid, syscall.SIGKILL)
	receiveWithin(t, "another process checks", asked)
	sendSignal(t, m.cmd.Process.Pid, syscall.SIGTERM)
	if code := m.wait(); code != 2 {
		t.Errorf("exit code %d, want 2\n%s", code, m.output)
	}
	r.noneLeft()
	if _, err := os.Stat(r.file("report")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a report was written before anything was compared: %v", err)
	}
}

// Whoever looks at the file of chunks in hand after a run that has ended finds none.
func TestNoChunkIsInHandAfterTheEnd(t *testing.T) {
	t.Parallel()
	r := newOnceRig(t, 10)
	dir := r.file("cache/dry-run")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	file := cache.New[[]chunk.Chunk](boot.TaskFile(dir, 2))
	if err := file.Save([]chunk.Chunk{{ID: "of a worker that was killed"}}); err != nil {
		t.Fatal(err)
	}
	r.once(0, "-dry-run")
	if left, err := file.Load(); err != nil || len(left) > 0 {
		t.Errorf("in hand are %v, %v", left, err)
	}
}
