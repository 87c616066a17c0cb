package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/masixun71/cupid/ipc"
)

// forgetWait is how long the callback worker may remove nothing.
const forgetWait = 10 * time.Second

// forget has the callback worker remove the events of a pair that is not configured, and
// returns how many there were.
func (m *master) forget(ctx context.Context, request ipc.Envelope) (events int, err error) {
	var pair string
	if err := ipc.Decode(request.Body, &pair); err != nil {
		return 0, err
	}
	events, err = m.abandoned(ctx, pair)
	if err != nil {
		return 0, err
	}
	if events == 0 {
		return 0, fmt.Errorf("no events of a pair %q are queued; status shows of which pairs there are some", pair)
	}
	if err := m.pool.Send(callbackSlot, ipc.Envelope{Type: ipc.TypeForget, Body: request.Body}); err != nil {
		return 0, fmt.Errorf("tell the callback worker: %w", err)
	}
	left, since := events, time.Now()
	for left > 0 && pause(ctx, 20*time.Millisecond) {
		n, err := m.abandoned(ctx, pair)
		switch {
		case err != nil:
			return 0, err
		case n < left:
			left, since = n, time.Now()
		case time.Since(since) > forgetWait:
			return 0, fmt.Errorf("%d of %d events are left, and the callback worker has removed none within %s; its log says why", left, events, forgetWait)
		}
	}
	return events, ctx.Err()
}

// abandoned is how many events the callback worker has of a pair, which must not be
// configured.
func (m *master) abandoned(ctx context.Context, pair string) (events int, err error) {
	m.askWorkers(ctx)
	pairs, heard := m.deliveries()
	if !heard {
		return 0, errors.New("the callback worker does not answer")
	}
	p, ok := pairs[pair]
	if ok && !p.NotConfigured {
		return 0, fmt.Errorf("pair %q is configured; its events leave the queue when their rows are right", pair)
	}
	return p.Depth, nil
}
