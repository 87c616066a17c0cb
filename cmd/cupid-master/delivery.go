package main

import (
	"context"
	"fmt"
	"time"

	"github.com/masixun71/cupid/ipc"
	"github.com/masixun71/cupid/pkg/callback"
)

const (
	// deliveryWait bounds the wait for the callbacks after the sweep. What has not
	// been delivered by then stays queued.
	deliveryWait = 60 * time.Second
	// callbackSlot is the callback worker's.
	callbackSlot = 1
)

// delivery is what the callback worker made of what was found.
type delivery struct {
	Healed   uint64 `json:"healed"`
	Accepted uint64 `json:"accepted"`
	Waiting  int    `json:"waiting"`
}

// awaitDelivery waits until nothing is queued any more, or only what waits for a URL
// that is down, or for deliveryWait.
func (m *master) awaitDelivery(ctx context.Context) {
	if m.options.dryRun {
		return
	}
	m.mu.Lock()
	// Whatever was stored, its acknowledgment came before the end of the sweep: so
	// does every report from before it.
	delete(m.reports, callbackSlot)
	m.mu.Unlock()
	ctx, cancel := context.WithTimeout(ctx, deliveryWait)
	defer cancel()
	for told := false; ; {
		_ = m.pool.Broadcast(ipc.Envelope{Type: ipc.TypeStatus})
		if !pause(ctx, 100*time.Millisecond) {
			return
		}
		d, waits, heard := m.delivery()
		if !heard {
			continue
		}
		m.once.mu.Lock()
		m.once.calls = &d
		m.once.mu.Unlock()
		if !waits {
			return
		}
		if !told {
			told = true
			m.once.say("", fmt.Sprintf("waiting up to %s for the callbacks of %d rows", deliveryWait, d.Waiting))
		}
	}
}

// delivery is how far the callback worker is; waits says whether waiting for more
// makes sense.
func (m *master) delivery() (d delivery, waits, heard bool) {
	pairs, heard := m.deliveries()
	for _, p := range pairs {
		if p.NotConfigured { // nobody calls its events back
			continue
		}
		d.Healed += p.HealedItself + p.HealedByCallback
		d.Accepted += p.Accepted
		d.Waiting += p.Depth
		waits = waits || p.Depth > 0 && !p.Gate.Down
	}
	return d, waits, heard
}

// deliveries is what the callback worker said last of each pair.
func (m *master) deliveries() (pairs map[string]callback.Status, heard bool) {
	m.mu.Lock()
	report := m.reports[callbackSlot]
	m.mu.Unlock()
	if len(report) == 0 || ipc.Decode(report, &pairs) != nil {
		return nil, false
	}
	return pairs, true
}
