package router

import (
	"maps"
	"slices"
	"time"

	"github.com/masixun71/cupid/ipc"
)

// undelivered is a message of events that the callback worker has not acknowledged.
type undelivered struct {
	slot int    // of the task worker that waits for the acknowledgment
	id   uint64 // the task worker's
	env  ipc.Envelope
	sent bool // to the callback worker that is there now
}

// deliver sends events to the callback worker, those first that came first.
func (r *Router) deliver() {
	slot, ok := r.slotOf(RoleCallback)
	if !ok {
		return
	}
	for _, id := range slices.Sorted(maps.Keys(r.events)) {
		if u := r.events[id]; !u.sent {
			u.sent = true
			env := u.env
			env.ID = id
			r.to(slot, env)
		}
	}
}

// acknowledged passes an acknowledgment back to the worker that waits for it.
func (r *Router) acknowledged(env ipc.Envelope) {
	u, ok := r.events[env.ID]
	if !ok {
		return
	}
	delete(r.events, env.ID)
	env.ID = u.id
	r.to(u.slot, env)
}

// forget drops the events of a task worker that is gone, those on their way
// included: nobody waits for their acknowledgment, and the next worker of the slot
// counts its messages from 1 again. Their chunk is not done and is compared again.
func (r *Router) forget(slot int) {
	maps.DeleteFunc(r.events, func(_ uint64, u *undelivered) bool { return u.slot == slot })
}

// losses hears of which pairs events were lost, by name with the time when that was
// found, all of them under the empty name. It is said again at each start of the
// callback worker, and to each manager: so no kill can keep it from the manager, which
// knows what it has swept since.
func (r *Router) losses(env ipc.Envelope) error {
	var lost map[string]time.Time
	if err := ipc.Decode(env.Body, &lost); err != nil {
		return err
	}
	for pair, at := range lost {
		if at.After(r.lost[pair]) {
			r.lost[pair] = at
		}
	}
	r.sweepAgain(lost)
	return nil
}

func (r *Router) sweepAgain(lost map[string]time.Time) {
	if len(lost) > 0 {
		r.sendTo(RoleManager, ipc.TypeSweepAgain, lost)
	}
}

// alert passes on what an operator should hear, or keeps it for a while.
func (r *Router) alert(env ipc.Envelope) {
	slot, ready := r.slotOf(RoleCallback)
	switch {
	case ready && len(r.unsent[slot]) < maxHeld:
		r.to(slot, env)
	case !ready && len(r.alerts) < maxHeld:
		r.alerts = append(r.alerts, env)
	default:
		r.counts.LostAlerts++
		r.log.Warn().RawJSON("alert", env.Body).Msg("alert not passed on: too many wait")
	}
}
