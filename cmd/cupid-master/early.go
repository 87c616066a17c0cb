package main

import (
	"context"
	"errors"
	"os"
	"sync"
	"time"

	"github.com/masixun71/cupid/ipc"
	"github.com/masixun71/cupid/pkg/boot"
	"github.com/masixun71/cupid/pkg/process"
	"github.com/masixun71/cupid/pkg/router"
	"github.com/masixun71/cupid/pkg/supervisor"
)

// earlyAge is how old a worker that was started early may be when the pool takes it. One
// that is not answered for ten seconds ends by itself.
const earlyAge = 5 * time.Second

// early has the workers of a run with -once started before the databases are checked, so
// that the two take no longer than one. The manager does the check, and goes on with the
// connections and what it has learnt by it. The others say hello and wait: nobody answers, and so
// none knows its role or touches anything, before the check is over and the pool has
// taken them.
//
//	start ──▶ take (by the pool, once for each slot) ── too old, dead, or not started ──▶ the pool starts one itself
//	  ├─ the manager: check ── it could not ──▶ a process of its own does the check, and the pool starts a manager
//	  └─ the check found a fault, or nobody took it ──▶ discard
type early struct {
	began  time.Time
	cancel context.CancelFunc
	starts sync.WaitGroup

	mu       sync.Mutex             // guards children and checked
	children map[int]*process.Child // by slot; those that are there and not taken
	checked  time.Time              // when the manager was told to wait for its role, after the check
	pending  map[int]chan struct{}  // by slot, closed when its start is over; never changed
}

// startEarly starts the first generation of the manager and of the task workers.
func startEarly(ctx context.Context, slots []supervisor.Slot, start func(context.Context, supervisor.Order) (*process.Child, error)) *early {
	ctx, cancel := context.WithCancel(ctx)
	e := &early{began: time.Now(), cancel: cancel, children: map[int]*process.Child{}, pending: map[int]chan struct{}{}}
	var manager chan struct{} // closed when the start of the manager is over: everything waits for what it finds out
	for i, slot := range slots {
		if slot.Role == router.RoleCallback {
			continue // it has nothing to do before a row was found that differs
		}
		over := make(chan struct{})
		e.pending[i] = over
		first := manager
		if i == managerSlot {
			manager = over
		}
		e.starts.Go(func() {
			defer close(over)
			if first != nil {
				<-first
			}
			if ctx.Err() != nil {
				return
			}
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
	child, since := e.children[order.Slot], e.began
	delete(e.children, order.Slot)
	if order.Slot == managerSlot && !e.checked.IsZero() {
		since = e.checked
	}
	e.mu.Unlock()
	if child == nil {
		return nil
	}
	select {
	case <-child.Done():
	default:
		if time.Since(since) <= earlyAge {
			return child
		}
	}
	end(child)
	return nil
}

// check has the early manager check the databases; where there is none, or it cannot, a
// process of its own does that, and says why when that cannot either.
func (e *early) check(ctx context.Context, s *setup) (boot.Report, error) {
	waiting, cancel := context.WithTimeout(ctx, earlyAge)
	child := e.take(waiting, supervisor.Order{Slot: managerSlot, Generation: 1})
	cancel()
	if child == nil {
		return s.checkDatabases(ctx)
	}
	checking, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	r, err := s.checkFirst(checking, child)
	if err == nil {
		e.mu.Lock()
		defer e.mu.Unlock()
		e.children[managerSlot], e.checked = child, time.Now()
		return r, nil
	}
	end(child)
	if checking.Err() != nil {
		return r, err
	}
	return s.checkDatabases(ctx)
}

// checkFirst has a worker that was just started check the databases, and then say hello anew.
func (s *setup) checkFirst(ctx context.Context, child *process.Child) (boot.Report, error) {
	conn := ipc.NewConn(child.Conn(), ipc.Options{Peer: "early manager"})
	r, err := s.talk(ctx, conn, earlyAge, "cupid: manager worker")
	if err == nil {
		err = conn.Send(ctx, ipc.Envelope{Type: ipc.TypeAgain})
	}
	if err == nil {
		return r, conn.Detach(ctx)
	}
	return r, errors.Join(err, conn.Close())
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
