package main

import (
	"context"
	"os"
	"sync"
	"time"

	"github.com/masixun71/cupid/pkg/process"
	"github.com/masixun71/cupid/pkg/router"
	"github.com/masixun71/cupid/pkg/supervisor"
)

// earlyAge is how old a worker that was started early may be when the pool takes it. One
// that is not answered for ten seconds ends by itself.
const earlyAge = 5 * time.Second

// early has the workers of a run with -once started beside the check of the databases,
// which takes as long as their start. They say hello and wait: nobody answers, and so
// none knows its role or touches anything, before the check is over and the pool has
// taken them.
//
//	start ──▶ take (by the pool, once for each slot) ── too old, or not started ──▶ the pool starts one itself
//	  └─ the check failed, or nobody took it ──▶ discard
type early struct {
	began  time.Time
	cancel context.CancelFunc
	starts sync.WaitGroup

	mu       sync.Mutex             // guards children
	children map[int]*process.Child // by slot; those that are there and not taken
	pending  map[int]chan struct{}  // by slot, closed when its start is over; never changed
}

// startEarly starts the first generation of the manager and of the task workers.
func startEarly(ctx context.Context, slots []supervisor.Slot, start func(context.Context, supervisor.Order) (*process.Child, error)) *early {
	ctx, cancel := context.WithCancel(ctx)
	e := &early{began: time.Now(), cancel: cancel, children: map[int]*process.Child{}, pending: map[int]chan struct{}{}}
	for i, slot := range slots {
		if slot.Role == router.RoleCallback {
			continue // it has nothing to do before a row was found that differs
		}
		over := make(chan struct{})
		e.pending[i] = over
		e.starts.Go(func() {
			defer close(over)
			child, err := start(ctx, supervisor.Order{Slot: i, Generation: 1, Role: slot.Role, Title: slot.Title})
			if err != nil {
				return // the pool tries it again, and says why it fails
			}
			e.mu.Lock()
			defer e.mu.Unlock()
			e.children[i] = child
		})
	}
	return e
}

// take hands over the worker of a slot, once it is started; nil when there is none.
func (e *early) take(ctx context.Context, order supervisor.Order) *process.Child {
	if e == nil || order.Generation != 1 || e.pending[order.Slot] == nil {
		return nil
	}
	select {
	case <-e.pending[order.Slot]:
	case <-ctx.Done():
		return nil
	}
	e.mu.Lock()
	child := e.children[order.Slot]
	delete(e.children, order.Slot)
	e.mu.Unlock()
	if child != nil && time.Since(e.began) > earlyAge {
		end(child)
		return nil
	}
	return child
}

// discard ends the workers that nobody took.
func (e *early) discard() {
	if e == nil {
		return
	}
	e.cancel()
	e.starts.Wait()
	e.mu.Lock()
	defer e.mu.Unlock()
	for slot, child := range e.children {
		end(child)
		delete(e.children, slot)
	}
}

// end kills a worker that has done nothing yet, and waits for it.
func end(child *process.Child) {
	_ = child.Signal(os.Kill) // it may have ended
	<-child.Done()
	_ = child.Conn().Close() // nothing was said over it
}
