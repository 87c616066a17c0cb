package main

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"strings"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"github.com/masixun71/cupid/ipc"
	"github.com/masixun71/cupid/pkg/process"
	"github.com/masixun71/cupid/pkg/supervisor"
)

const (
	restartSlots = 4
	// After the first restarts a program has what it keeps for reuse: threads, stacks, buffers.
	restartWarmUp = 500
	// What may come and go by chance between two looks.
	growthGoroutines, growthDescriptors, growthThreads = 8, 8, 8
	growthBytes                                        = 2_000_000
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

// restarts has the pool replace workers that crash at once, by the thousand, and looks what grows in the process that does it. The pool is that
// of cupid-master with its real processes, without the wait between two crashes.
func restarts(ctx context.Context, n int) ([]line, error) {
	pool := supervisor.New(supervisor.Config{
		Slots: make([]supervisor.Slot, restartSlots), Handler: nobody{}, Log: zerolog.Nop(), HealthyAfter: 1,
		Starter: supervisor.StarterFunc(func(ctx context.Context, order supervisor.Order) (supervisor.Child, error) {
			child, err := process.Start(ctx, process.Command{
				Path: "/bin/sh", Args: []string{"-c", shortLife(order)},
			})
			if err != nil {
				return nil, err
			}
			return child, nil
		}),
	})
	var running sync.WaitGroup
	defer running.Wait()
	defer pool.Stop()
	running.Go(func() { _ = pool.Run(context.WithoutCancel(ctx)) }) // its error is nil
	if err := restarted(ctx, pool, restartWarmUp); err != nil {
		return nil, err
	}
	before, err := lookAtSelf()
	if err != nil {
		return nil, err
	}
	began := time.Now()
	if err := restarted(ctx, pool, restartWarmUp+n); err != nil {
		return nil, err
	}
	took := time.Since(began)
	after, err := lookAtSelf()
	if err != nil {
		return nil, err
	}
	return []line{{
		what: fmt.Sprintf("%s restarts of crashing workers: growth of the master", thousands(float64(n))),
		got: fmt.Sprintf("%+d goroutines, %+d descriptors, %+d threads, %+.1f MB heap, %+.1f MB RSS", after.goroutines-before.goroutines,
			after.descriptors-before.descriptors, after.threads-before.threads, float64(after.heap-before.heap)/1e6, float64(after.rss-before.rss)/1e6),
		limit: fmt.Sprintf("%.0f restarts/s", perSecond(n, took)), target: "none", met: after.near(before),
	}}, nil
}

// restarted waits until the pool has replaced that many workers, and does not stay for ever where it does not.
func restarted(ctx context.Context, pool *supervisor.Pool, n int) error {
	tick := time.NewTicker(fileEvery)
	defer tick.Stop()
	limit := time.NewTimer(patience)
	defer limit.Stop()
	for {
		all := 0
		status := pool.Status()
		for _, s := range status {
			all += s.Restarts
			if s.LastExit != "" && !strings.Contains(s.LastExit, "exit status 1") {
				return fmt.Errorf("a worker of the bench did not do what it is for: %s", s.LastExit)
			}
		}
		if all >= n {
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-limit.C:
			return fmt.Errorf("only %d of %d restarts within %s: %+v", all, n, patience, status)
		}
	}
}

// footprint is what a process holds.
type footprint struct {
	goroutines, descriptors, threads int
	heap, rss                        int64
}

// near tells whether f is no more than what it was, but for chance.
func (f footprint) near(was footprint) bool {
	return f.goroutines <= was.goroutines+growthGoroutines && f.descriptors <= was.descriptors+growthDescriptors &&
		f.threads <= was.threads+growthThreads && f.heap <= was.heap+growthBytes && f.rss <= was.rss+growthBytes
}

func lookAtSelf() (f footprint, err error) {
	debug.FreeOSMemory()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	f.goroutines, f.heap = runtime.NumGoroutine(), int64(m.HeapAlloc)
	for dir, n := range map[string]*int{"fd": &f.descriptors, "task": &f.threads} {
		entries, err := os.ReadDir("/proc/self/" + dir)
		if err != nil {
			return f, err
		}
		*n = len(entries)
	}
	f.rss, err = process.RSSBytes(os.Getpid())
	return f, err
}

// nobody hears what workers do.
type nobody struct{}

// Ready does nothing.
func (nobody) Ready(int, uint64) {}

// Message does nothing.
func (nobody) Message(int, uint64, ipc.Envelope) {}

// Gone does nothing.
func (nobody) Gone(int, uint64, string, bool) {}
