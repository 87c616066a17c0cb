package main

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/masixun71/cupid/ipc"
	"github.com/masixun71/cupid/pkg/manager"
)

const (
	// managerSlot is the manager's.
	managerSlot = 0
	// retryWait is how long the manager may take to give a row back.
	retryWait = 3 * time.Second
)

// retry has the manager compare a row again that was set aside.
func (m *master) retry(ctx context.Context, request ipc.Envelope) error {
	var g manager.GiveBack
	if err := ipc.Decode(request.Body, &g); err != nil {
		return err
	}
	if !m.isSetAside(ctx, g) {
		return fmt.Errorf("no row %q of pair %q is set aside; status shows which are", g.Row, g.Pair)
	}
	if err := m.pool.Send(managerSlot, ipc.Envelope{Type: ipc.TypeRetry, Body: request.Body}); err != nil {
		return fmt.Errorf("tell the manager: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, retryWait)
	defer cancel()
	for m.isSetAside(ctx, g) {
		if !pause(ctx, 20*time.Millisecond) {
			return fmt.Errorf("the manager has not given the row back within %s", retryWait)
		}
	}
	return nil
}

// isSetAside reports whether the manager says so.
func (m *master) isSetAside(ctx context.Context, g manager.GiveBack) bool {
	m.askWorkers(ctx)
	m.mu.Lock()
	report := m.reports[managerSlot]
	m.mu.Unlock()
	var s manager.Status
	if ipc.Decode(report, &s) != nil {
		return false
	}
	return slices.ContainsFunc(s.State.SetAside, func(a manager.SetAside) bool {
		return a.Chunk.Pair == g.Pair && a.Row() == g.Row
	})
}
