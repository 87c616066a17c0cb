package supervisor_test

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/masixun71/cupid/ipc"
	"github.com/masixun71/cupid/pkg/process"
	"github.com/masixun71/cupid/pkg/supervisor"
)

// shortLife is the shortest life of a worker, as a program of sh: it greets, is ready without waiting for an answer, and crashes.
func shortLife(order supervisor.Order) string {
	hello, err := ipc.NewEnvelope(ipc.TypeHello, 0, ipc.Hello{Protocol: ipc.ProtocolVersion, Build: "bench", Slot: order.Slot, Generation: order.Generation})
	if err != nil {
		panic(err) // numbers and a word
	}
	var frames []byte
	for _, env := range []ipc.Envelope{hello, {Type: ipc.TypeReady}} {
		if frames, err = ipc.AppendFrame(frames, env); err != nil {
			panic(err) // two short ones
		}
	}
	var octal strings.Builder
	for _, b := range frames {
		fmt.Fprintf(&octal, "\\%03o", b)
	}
	return "printf '" + octal.String() + "' >&3; exit 1"
}

// TestRestartsLeaveNothing has the pool replace workers that crash at once, without the wait between two crashes, and looks what grows in the
// process that does it. CUPID_TEST_RESTARTS says how often; make bench takes 10,000.
func TestRestartsLeaveNothing(t *testing.T) {
	restarts := 300
	if text := os.Getenv("CUPID_TEST_RESTARTS"); text != "" {
		var err error
		if restarts, err = strconv.Atoi(text); err != nil {
			t.Fatal(err)
		}
	} else if testing.Short() {
		t.Skip("it starts many processes")
	}
	h := newHouse(t, []string{"", "", "", ""}, func(c *supervisor.Config) {
		c.HealthyAfter, c.Handler, c.Log = 1, announced{}, zerolog.Nop()
		c.Starter = supervisor.StarterFunc(func(ctx context.Context, order supervisor.Order) (supervisor.Child, error) {
			child, err := process.Start(ctx, process.Command{Path: "/bin/sh", Args: []string{"-c", shortLife(order)}})
			if err != nil {
				return nil, err
			}
			return child, nil
		})
	})
	const warmUp = 100 // after these a program has what it keeps for reuse: threads, stacks, buffers
	h.restarted(warmUp)
	before := lookAtSelf(t)
	began := time.Now()
	h.restarted(warmUp + restarts)
	took := time.Since(began)
	after := lookAtSelf(t)
	t.Logf("%d restarts, %.0f a second; before: %+v, after: %+v", restarts, float64(restarts)/took.Seconds(), before, after)
	// What may come and go by chance between two looks.
	const some, bytes = 12, 4_000_000
	if after.goroutines > before.goroutines+some || after.descriptors > before.descriptors+some || after.threads > before.threads+some ||
		after.heapBytes > before.heapBytes+bytes {
		t.Errorf("%d restarts left something: before %+v, after %+v", restarts, before, after)
	}
	h.stop()
}

// restarted waits until the pool has replaced that many workers.
func (h *house) restarted(n int) {
	h.t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		all := 0
		for _, s := range h.pool.Status() {
			all += s.Restarts
			if s.LastExit != "" && !strings.Contains(s.LastExit, "exit status 1") {
				h.t.Fatalf("a worker did not do what it is for: %s", s.LastExit)
			}
		}
		if all >= n {
			return
		}
		select {
		case <-tick.C:
		case <-h.t.Context().Done():
			h.t.Fatalf("only %d of %d restarts", all, n)
		}
	}
}

// footprint is what a process holds.
type footprint struct {
	goroutines, descriptors, threads int
	heapBytes, rssBytes              int64
}

func lookAtSelf(t *testing.T) (f footprint) {
	t.Helper()
	debug.FreeOSMemory()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	f.goroutines, f.heapBytes = runtime.NumGoroutine(), int64(m.HeapAlloc)
	for dir, n := range map[string]*int{"fd": &f.descriptors, "task": &f.threads} {
		entries, err := os.ReadDir("/proc/self/" + dir)
		if err != nil {
			t.Fatal(err)
		}
		*n = len(entries)
	}
	var err error
	if f.rssBytes, err = process.RSSBytes(os.Getpid()); err != nil {
		t.Fatal(err)
	}
	return f
}

// announced hears what workers do and keeps nothing.
type announced struct{}

func (announced) Ready(int, uint64)                 {}
func (announced) Message(int, uint64, ipc.Envelope) {}
func (announced) Gone(int, uint64, string, bool) bool {
	return false
}
