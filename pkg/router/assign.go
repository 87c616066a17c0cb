package router

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/masixun71/cupid/ipc"
	"github.com/masixun71/cupid/pkg/chunk"
)

// want is a task worker's wish for n chunks.
type want struct {
	slot, n int
}

// inHand is a chunk that a task worker has.
type inHand struct {
	slot  int
	chunk chunk.Chunk
	order uint64 // in which chunks were given
	stale bool   // the manager that cut it is gone, and the next one cuts it again
}

// want hears that a task worker has room.
func (r *Router) want(slot int, env ipc.Envelope) error {
	var n int
	if err := ipc.Decode(env.Body, &n); err != nil {
		return err
	}
	if n < 1 {
		return fmt.Errorf("take want: %d chunks", n)
	}
	r.waiting = append(r.waiting, want{slot, n})
	r.assign()
	return nil
}

// chunk takes a chunk from the manager.
func (r *Router) chunk(env ipc.Envelope) error {
	var c chunk.Chunk
	if err := ipc.Decode(env.Body, &c); err != nil {
		return err
	}
	r.credit = max(r.credit-1, 0)
	r.idle = append(r.idle, c)
	r.counts.Chunks++
	r.assign()
	return nil
}

// done passes a task worker's word on a chunk to the manager.
func (r *Router) done(slot int, env ipc.Envelope) error {
	var res chunk.Result
	if err := ipc.Decode(env.Body, &res); err != nil {
		return err
	}
	h, ok := r.hand[res.Chunk]
	if !ok || h.slot != slot {
		r.counts.StaleResults++
		return nil // given to another worker meanwhile
	}
	delete(r.hand, res.Chunk)
	if h.stale {
		r.counts.StaleResults++
	} else {
		r.sendTo(RoleManager, ipc.TypeDone, res)
	}
	r.assign()
	return nil
}

// forsake forgets what an earlier manager was asked for and has cut. Its cursors
// have not passed these chunks, so the next one cuts them again.
func (r *Router) forsake() {
	r.credit, r.idle = 0, nil
	for id, h := range r.hand {
		h.stale = true
		r.hand[id] = h
	}
}

// takeBack makes the chunks of a dead worker idle again, ahead of the others. blamed says that
// one of them is halved.
func (r *Router) takeBack(slot int, reason string, drained bool) (blamed bool) {
	r.waiting = slices.DeleteFunc(r.waiting, func(w want) bool { return w.slot == slot })
	var back []inHand
	for id, h := range r.hand {
		if h.slot == slot {
			delete(r.hand, id)
			back = append(back, h)
		}
	}
	slices.SortFunc(back, func(a, b inHand) int { return cmp.Compare(a.order, b.order) })
	var idle []chunk.Chunk
	for _, h := range back {
		c := h.chunk
		if h.stale {
			continue
		}
		if !drained {
			c.Crashes++
			r.log.Warn().Stringer("chunk", c).Int("slot", slot).Int("crashes", c.Crashes).Str("reason", reason).Msg("worker died with this chunk in hand")
		}
		r.counts.Returned++
		if !drained && c.Crashes >= crashesToHalve {
			r.counts.SentToHalve++
			r.sendTo(RoleManager, ipc.TypeChunkFailed, c)
			blamed = true
			continue
		}
		idle = append(idle, c)
	}
	r.idle = append(idle, r.idle...)
	return blamed
}

// assign gives idle chunks to waiting workers and asks for more. A chunk that a
// worker died with goes to one that has nothing else in hand, and which gets
// nothing else until it is done: so the next death tells which chunk it was. While
// such a chunk waits, the worker with the least in hand gets nothing, so that it
// comes to have nothing.
func (r *Router) assign() {
	hands := map[int]held{}
	for _, h := range r.hand {
		hands[h.slot] = hands[h.slot].with(h.chunk)
	}
	slices.SortStableFunc(r.idle, func(a, b chunk.Chunk) int { return cmp.Compare(min(b.Crashes, 1), min(a.Crashes, 1)) })
	reserved := nobody
	for i := 0; i < len(r.idle); {
		c := r.idle[i]
		w := pick(r.waiting, hands, reserved)
		if w < 0 {
			break
		}
		slot := r.waiting[w].slot
		if c.Crashes > 0 && hands[slot].chunks > 0 {
			if reserved == nobody { // one worker at a time, or all would stand still
				reserved = slot
			}
			i++
			continue
		}
		r.idle = slices.Delete(r.idle, i, i+1)
		if r.waiting[w].n--; r.waiting[w].n == 0 {
			r.waiting = slices.Delete(r.waiting, w, w+1)
		}
		hands[slot] = hands[slot].with(c)
		r.given++
		r.hand[c.ID] = inHand{slot: slot, chunk: c, order: r.given}
		r.sendSlot(slot, ipc.TypeChunk, c)
	}
	r.ask()
}

// nobody is no worker's slot.
const nobody = -1

// held is what a task worker has in hand.
type held struct {
	chunks  int
	crashed bool // one of them has a crash
}

func (h held) with(c chunk.Chunk) held {
	return held{h.chunks + 1, h.crashed || c.Crashes > 0}
}

// pick is the want of the worker with the least in hand that may take a chunk, -1
// for none.
func pick(waiting []want, hands map[int]held, reserved int) int {
	best := -1
	for i, w := range waiting {
		h := hands[w.slot]
		if h.crashed || w.slot == reserved {
			continue
		}
		if best < 0 || h.chunks < hands[waiting[best].slot].chunks {
			best = i
		}
	}
	return best
}

func (r *Router) wanted() int {
	n := 0
	for _, w := range r.waiting {
		n += w.n
	}
	return n
}

// ask keeps the manager asked for as much as the task workers want.
func (r *Router) ask() {
	slot, ok := r.slotOf(RoleManager)
	if !ok {
		return
	}
	if n := r.wanted() - r.credit - len(r.idle); n > 0 {
		r.credit += n
		r.sendSlot(slot, ipc.TypeDemand, n)
	}
}
