package supervisor_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/masixun71/cupid/ipc"
	"github.com/masixun71/cupid/pkg/process"
	"github.com/masixun71/cupid/pkg/supervisor"
)

// patience is how long a test waits for what must happen.
const patience = 20 * time.Second

// starter starts this test binary as a worker; the slot's role is the kind of worker. With dir, slots are locked there.
func starter(dir string) supervisor.Starter {
	return supervisor.StarterFunc(func(ctx context.Context, order supervisor.Order) (supervisor.Child, error) {
		command := process.Command{
			Path: os.Args[0], Title: order.Title,
			Env: []string{
				roleVariable + "=" + order.Role,
				fmt.Sprintf("%s=%d", ipc.EnvSlot, order.Slot),
				fmt.Sprintf("%s=%d", ipc.EnvGeneration, order.Generation),
			},
		}
		if dir != "" {
			command.LockPath = filepath.Join(dir, fmt.Sprintf("slot-%d.lock", order.Slot))
		}
		child, err := process.Start(ctx, command)
		if err != nil {
			return nil, err
		}
		return child, nil
	})
}

// house is a pool of real processes.
type house struct {
	t    *testing.T
	pool *supervisor.Pool
	mu   sync.Mutex // guards heard
	// heard is what the Handler heard, of each slot.
	heard map[int][]string
}

func newHouse(t *testing.T, kinds []string, change func(*supervisor.Config)) *house {
	t.Helper()
	h := &house{t: t, heard: map[int][]string{}}
	config := supervisor.Config{
		Starter: starter(""), Handler: h, Log: zerolog.Nop(),
		QuitTimeout: 300 * time.Millisecond,
	}
	for _, kind := range kinds {
		config.Slots = append(config.Slots, supervisor.Slot{Role: kind, Title: "cupid: " + kind})
	}
	if change != nil {
		change(&config)
	}
	h.pool = supervisor.New(config)
	var running sync.WaitGroup
	running.Go(func() {
		if err := h.pool.Run(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(func() {
		h.pool.Stop()
		running.Wait()
	})
	return h
}

func (h *house) note(slot int, text string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.heard[slot]) < 10000 { // A flood is not kept.
		h.heard[slot] = append(h.heard[slot], text)
	}
}

func (h *house) Ready(slot int, _ uint64) { h.note(slot, "ready") }
func (h *house) Message(slot int, _ uint64, env ipc.Envelope) {
	h.note(slot, fmt.Sprint(env.Type, env.ID))
}

func (h *house) Gone(slot int, _ uint64, reason string, _ bool) bool {
	h.note(slot, "gone: "+reason)
	return false
}

func (h *house) of(slot int) []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.heard[slot])
}

// until waits for a slot to be as wanted.
func (h *house) until(slot int, what string, ok func(supervisor.SlotStatus) bool) supervisor.SlotStatus {
	h.t.Helper()
	ticker := time.NewTicker(2 * time.Millisecond)
	defer ticker.Stop()
	deadline := time.After(patience)
	for {
		status := h.pool.Status()[slot]
		if ok(status) {
			return status
		}
		select {
		case <-ticker.C:
		case <-deadline:
			h.t.Fatalf("slot %d is not %s: %+v", slot, what, status)
		}
	}
}

func ready(status supervisor.SlotStatus) bool { return status.State == "ready" }

// stop stops the pool and fails when that takes longer than the design allows, or leaves a process.
func (h *house) stop() {
	h.t.Helper()
	const limit = 1500 * time.Millisecond
	var pids []int
	for _, status := range h.pool.Status() {
		if status.Pid != 0 {
			pids = append(pids, status.Pid)
		}
	}
	begin := time.Now()
	h.pool.Stop()
	if took := time.Since(begin); took > limit {
		h.t.Errorf("stop took %v, want at most %v", took, limit)
	}
	for _, pid := range pids {
		if _, err := os.Stat(filepath.Join("/proc", strconv.Itoa(pid))); err == nil {
			h.t.Errorf("process %d is left", pid)
		}
	}
}

// strike sends a signal to the worker of a slot.
func (h *house) strike(slot int, sig syscall.Signal) {
	h.t.Helper()
	worker, err := os.FindProcess(h.pool.Status()[slot].Pid)
	if err == nil {
		err = worker.Signal(sig)
	}
	if err != nil {
		h.t.Fatal(err)
	}
}

func TestKilledWorkerIsReplacedAtOnce(t *testing.T) {
	h := newHouse(t, []string{"good", "good"}, nil)
	for slot := range 2 {
		h.until(slot, "ready", ready)
	}
	h.strike(0, syscall.SIGKILL)
	begin := time.Now()
	h.until(0, "replaced", func(s supervisor.SlotStatus) bool { return s.Generation == 2 && ready(s) })
	t.Logf("kill to ready: %v", time.Since(begin))
	if got := h.pool.Status()[1]; got.Generation != 1 {
		t.Errorf("the other worker: got %+v", got)
	}
	h.until(0, "heard of", func(supervisor.SlotStatus) bool { // a moment after the status says so
		return slices.Equal(h.of(0), []string{"ready", "gone: signal: killed", "ready"})
	})
	h.stop()
}

func TestWorkersWithFaultsStopNobodyElse(t *testing.T) {
	tests := []struct{ kind, want string }{
		{"other-version", "speaks protocol 2 and the master"},
		{"huge-frame", "frame larger than 4 MiB"},
		{"half-frame", "unexpected EOF"},
		{"no-json", "frame holds no valid envelope"},
		{"silent", "no hello within 5s"},
		{"crash", "exit status 2"},
	}
	kinds := []string{"good"}
	for _, test := range tests {
		kinds = append(kinds, test.kind)
	}
	h := newHouse(t, kinds, func(c *supervisor.Config) { c.ReadyTimeout = 5 * time.Second })
	for i, test := range tests {
		status := h.until(i+1, "replaced", func(s supervisor.SlotStatus) bool { return s.Restarts > 0 })
		if !strings.Contains(status.LastExit, test.want) {
			t.Errorf("%s: last exit %q, want %q", test.kind, status.LastExit, test.want)
		}
	}
	if got := h.until(0, "ready", ready); got.Generation != 1 {
		t.Errorf("the good worker: got %+v", got)
	}
	h.stop()
}

func TestFloodDoesNotCrowdOutTheOthers(t *testing.T) {
	h := newHouse(t, []string{"flood", "good"}, func(c *supervisor.Config) { c.HeartbeatTimeout = 3 * time.Second })
	h.until(1, "ready", ready)
	h.until(0, "ready", ready)
	h.strike(1, syscall.SIGKILL)
	h.until(1, "replaced", func(s supervisor.SlotStatus) bool { return s.Generation == 2 && ready(s) })
	<-time.After(4 * time.Second) // longer than a heartbeat may be late
	for slot, want := range []uint64{1, 2} {
		if got := h.pool.Status()[slot]; got.Generation != want || !ready(got) {
			t.Errorf("got %+v, want generation %d ready", got, want)
		}
	}
	h.stop()
}

func TestAllThatAWorkerSaidComesBeforeItsEnd(t *testing.T) {
	h := newHouse(t, []string{"last-words"}, nil)
	h.until(0, "replaced", func(s supervisor.SlotStatus) bool { return s.Restarts > 0 })
	got := h.of(0)
	if len(got) < 502 || got[0] != "ready" || got[500] != "done500" || got[501] != "gone: exit status 3" {
		t.Errorf("heard %d things: %.200q", len(got), got)
	}
}

func TestStoppedWorkerIsReplacedAndHoldsUpNothing(t *testing.T) {
	h := newHouse(t, []string{"good", "good", "ignores-term"}, func(c *supervisor.Config) { c.HeartbeatTimeout = time.Second })
	for slot := range 3 {
		h.until(slot, "ready", ready)
	}
	h.strike(0, syscall.SIGSTOP)
	status := h.until(0, "replaced", func(s supervisor.SlotStatus) bool { return s.Generation == 2 && ready(s) })
	if want := "hung: no progress for 1s (signal: killed)"; status.LastExit != want {
		t.Errorf("last exit: got %q, want %q", status.LastExit, want)
	}
	h.strike(1, syscall.SIGSTOP)
	h.stop()
}

func TestHungWorkerLeavesItsStacks(t *testing.T) {
	lines := make(chan string, 10000) // all that a stack dump can be
	h := newHouse(t, []string{"good"}, func(c *supervisor.Config) {
		c.HeartbeatTimeout = 30 * time.Millisecond // shorter than the worker's beat
		c.QuitTimeout = patience
		c.Starter = supervisor.StarterFunc(func(ctx context.Context, order supervisor.Order) (supervisor.Child, error) {
			return process.Start(ctx, process.Command{
				Path: os.Args[0], Output: func(line string) { lines <- line },
				Env: []string{roleVariable + "=good", fmt.Sprintf("%s=0", ipc.EnvSlot), fmt.Sprintf("%s=%d", ipc.EnvGeneration, order.Generation)},
			})
		})
	})
	h.until(0, "replaced", func(s supervisor.SlotStatus) bool { return s.Restarts > 0 })
	for {
		select {
		case line := <-lines:
			if strings.HasPrefix(line, "goroutine ") {
				return
			}
		case <-time.After(patience):
			t.Fatal("no stacks")
		}
	}
}

func TestReloadOfProcesses(t *testing.T) {
	h := newHouse(t, []string{"good", "good", "good"}, nil)
	for slot := range 3 {
		h.until(slot, "ready", ready)
	}
	bad := func(int) json.RawMessage { return json.RawMessage(`"bad"`) }
	if err := h.pool.Reload(t.Context(), supervisor.Update{Payload: bad}); err == nil || !strings.Contains(err.Error(), "exit status 78") {
		t.Errorf("bad configuration: got %v", err)
	}
	before := h.pool.Status()
	if err := h.pool.Reload(t.Context(), supervisor.Update{}); err != nil {
		t.Errorf("afterwards: %v", err)
	}
	for slot := range 3 {
		if got := h.until(slot, "ready", ready); got.Pid == before[slot].Pid {
			t.Errorf("slot %d was not renewed", slot)
		}
	}
	h.stop()
}

// beMaster is a master in a process of its own, which the test kills.
func beMaster() int {
	pool := supervisor.New(supervisor.Config{
		Slots:   []supervisor.Slot{{Role: "good"}, {Role: "ignores-term"}, {Role: "silent"}},
		Starter: starter(os.Getenv("CUPID_TEST_DIR")), Handler: announcer{}, Log: zerolog.Nop(),
	})
	if err := pool.Run(context.Background()); err != nil {
		return 1
	}
	return 0
}

// announcer says on standard output who is ready.
type announcer struct{}

func (announcer) Ready(slot int, _ uint64)          { fmt.Println("ready", slot) }
func (announcer) Message(int, uint64, ipc.Envelope) {}
func (announcer) Gone(int, uint64, string, bool) bool {
	return false
}

func TestG8NoWorkerOutlivesItsMaster(t *testing.T) {
	dir := t.TempDir()
	first := exec.CommandContext(t.Context(), os.Args[0])
	first.Env = append(os.Environ(), roleVariable+"=master", "CUPID_TEST_DIR="+dir)
	out, err := first.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := first.Start(); err != nil {
		t.Fatal(err)
	}
	var line string
	for range 2 {
		if _, err := fmt.Fscanln(out, &line, new(int)); err != nil {
			t.Fatal(err)
		}
	}
	if err := first.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	// A new master on the same directory gets all of the slots.
	h := newHouse(t, []string{"good", "good", "good"}, func(c *supervisor.Config) { c.Starter = starter(dir) })
	for slot := range 3 {
		if got := h.until(slot, "ready", ready); got.Generation != 1 {
			t.Errorf("slot %d: got %+v, want that the first start waited for the old worker", slot, got)
		}
	}
	_ = first.Wait()
	h.stop()
}
