package router

import (
	"errors"

	"github.com/masixun71/cupid/ipc"
)

// slotOf is the ready worker of a role that has only one.
func (r *Router) slotOf(role string) (int, bool) {
	for slot := range r.ready {
		if r.role(slot) == role {
			return slot, true
		}
	}
	return 0, false
}

func (r *Router) sendTo(role, typ string, body any) {
	if slot, ok := r.slotOf(role); ok {
		r.sendSlot(slot, typ, body)
	}
}

func (r *Router) sendSlot(slot int, typ string, body any) {
	env, err := ipc.NewEnvelope(typ, 0, body)
	if err != nil {
		r.log.Error().Err(err).Str("type", typ).Msg("message could not be made")
		return
	}
	r.to(slot, env)
}

// to sends, behind what a busy worker has not taken yet. How much that can be is
// bounded by what is asked for: chunks by wants, words on chunks and acknowledgments
// by chunks in hand. A worker that cannot be sent to at all is replaced by the pool,
// and Gone then takes back what it had.
func (r *Router) to(slot int, env ipc.Envelope) {
	r.unsent[slot] = append(r.unsent[slot], env)
	select {
	case r.kept <- struct{}{}:
	default:
	}
	r.resend(slot)
}

// resend sends what a worker has not taken yet, as far as it takes it now.
func (r *Router) resend(slot int) {
	unsent := r.unsent[slot]
	for len(unsent) > 0 {
		err := r.send.Send(slot, unsent[0])
		if errors.Is(err, ipc.ErrFull) {
			r.unsent[slot] = unsent
			return
		}
		if err != nil {
			r.log.Warn().Err(err).Int("slot", slot).Str("type", unsent[0].Type).Msg("message not sent")
		}
		unsent = unsent[1:]
	}
	delete(r.unsent, slot)
}
