package supervisor

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// request is a reload that was asked for, by one caller or several.
type request struct {
	update  Update
	callers []chan<- error // each has room for its one answer
}

// reload is a reload in progress: the slots of queue, one by one, are brought over to the plan target. First target is next;
// when a worker does not get ready with that, target is the plan from before, and queue those that were touched.
type reload struct {
	request
	before, next, target *plan
	queue                []*slot
	current              *slot  // being renewed; nil: none
	from                 uint64 // its generation before
	touched              []*slot
	failed               error // why target is before
	giveUp               bool  // current has failed while rolling back: it goes on alone, with backoff
}

// Reload renews all workers one by one with what update changes: drain, stop, start, ready, the next. Slots that are new are started after
// the others, those that are no more are stopped last. When a new worker does not get ready, all that was renewed goes
// back to what it was, and the error says why.
//
// One reload runs at a time. Those asked for meanwhile become one more, with the newest update, and all get its result. The end of
// ctx ends only the wait.
func (p *Pool) Reload(ctx context.Context, update Update) error {
	answer := make(chan error, 1)
	select {
	case p.happenings <- func() { p.requestReload(update, answer) }:
	case <-p.ended:
		return fmt.Errorf("reload: %w", ErrStopping)
	case <-ctx.Done():
		return fmt.Errorf("wait for reload: %w", context.Cause(ctx))
	}
	select {
	case err := <-answer:
		if err != nil {
			return fmt.Errorf("reload: %w", err)
		}
		return nil
	case <-ctx.Done():
		return fmt.Errorf("wait for reload: %w", context.Cause(ctx))
	}
}

func (p *Pool) requestReload(update Update, answer chan<- error) {
	if p.stopping {
		answer <- ErrStopping
		return
	}
	if p.waiting == nil {
		p.waiting = &request{}
	}
	p.waiting.update = update
	p.waiting.callers = append(p.waiting.callers, answer)
}

func (r *request) answerAll(err error) {
	for _, caller := range r.callers {
		caller <- err
	}
}

// refuseReloads answers all that ask for a reload when the pool stops.
func (p *Pool) refuseReloads() {
	if p.reload != nil {
		p.reload.answerAll(ErrStopping)
		p.reload = nil
	}
	if p.waiting != nil {
		p.waiting.answerAll(ErrStopping)
		p.waiting = nil
	}
}

// advance moves stop and reload on as far as they get now. It is called after everything that happens.
func (p *Pool) advance() {
	if p.stopping {
		p.stopFurther(time.Now())
		return
	}
	for {
		switch r := p.reload; {
		case r == nil && p.waiting == nil:
			return
		case r == nil:
			p.beginReload()
		case r.current != nil:
			if !r.arrived() {
				return
			}
			r.current = nil
		case len(r.queue) > 0:
			p.renew(r)
		default:
			p.endReload()
		}
	}
}

func (p *Pool) beginReload() {
	request := *p.waiting
	p.waiting = nil
	next := &plan{slots: request.update.Slots, payload: request.update.Payload, starter: request.update.Starter}
	if next.slots == nil {
		next.slots = p.plan.slots
	}
	if next.payload == nil {
		next.payload = p.plan.payload
	}
	if next.starter == nil {
		next.starter = p.plan.starter
	}
	p.config.Log.Info().Int("slots", len(next.slots)).Msg("reload begins")
	kept := len(p.slots)
	p.reload = &reload{request: request, before: p.plan, next: next, target: next}
	if len(next.slots) > kept {
		p.plan = next // for the slots that are added
		p.fit(len(next.slots))
		p.plan = p.reload.before
	}
	for number := range next.slots {
		p.reload.queue = append(p.reload.queue, p.slots[number])
	}
	for number := len(next.slots); number < kept; number++ {
		p.reload.queue = append(p.reload.queue, p.slots[number])
	}
}

// renew brings the next slot of the queue over to the target.
func (p *Pool) renew(r *reload) {
	s := r.queue[0]
	r.queue = r.queue[1:]
	r.current, r.from, r.giveUp = s, s.generation, false
	if r.failed == nil {
		r.touched = append(r.touched, s)
	}
	if s.number < len(r.target.slots) {
		s.plan = r.target
	} else {
		s.removed = true
	}
	p.turnOver(s)
}

// turnOver ends the worker of a slot, if there is one, so that the slot's plan takes hold.
func (p *Pool) turnOver(s *slot) {
	s.asked = true
	s.failures, s.blamed = 0, 0
	switch s.state {
	case Ready:
		p.drain(s, p.drainTimeout(s))
	case Greeting, Preparing:
		p.kill(s, "renewed before it was ready", nil, 0)
	case Starting, Draining, Killing:
		// What comes of it goes by itself, because of asked.
	case Idle, BackingOff, Stopped:
		p.replace(s, false, false)
	}
}

// arrived tells whether the slot being renewed has come to where it should be.
func (r *reload) arrived() bool {
	s := r.current
	switch {
	case s.removed:
		return s.state == Stopped
	case s.spec().Unused:
		return s.state == Idle
	case r.giveUp:
		return true
	default:
		return s.state == Ready && s.worker.plan == r.target && s.generation > r.from
	}
}

// reloadFailed: a worker that was started with some plan has ended before it was ready. If that is the slot being renewed,
// everything goes back; going back, it is left to the backoff and the others go on.
func (p *Pool) reloadFailed(s *slot, with *plan, reason string) {
	r := p.reload
	if r == nil || r.current != s || with != r.target {
		return
	}
	if r.failed != nil {
		r.giveUp = true
		return
	}
	r.failed = fmt.Errorf("%s of slot %d did not get ready, everything goes back: %w", with.slots[s.number].Role, s.number, errors.New(reason))
	p.config.Log.Error().Err(r.failed).Msg("reload failed")
	r.target, r.queue = r.before, nil
	for _, touched := range r.touched {
		if touched != s {
			r.queue = append(r.queue, touched)
		}
	}
	// This one has no worker at the moment and is replaced as soon as its end is dealt with.
	r.from = s.generation
	s.asked, s.failures = true, 0
	if s.number < len(r.before.slots) {
		s.plan = r.before
	} else {
		s.removed = true
	}
}

func (p *Pool) endReload() {
	r := p.reload
	p.reload = nil
	p.plan = r.target
	p.fit(len(r.target.slots))
	if r.failed == nil {
		p.config.Log.Info().Int("slots", len(p.slots)).Msg("reload done")
	}
	r.answerAll(r.failed)
}
