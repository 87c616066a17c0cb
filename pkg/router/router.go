// Package router passes work around inside the master: chunks from the manager to
// whichever task worker asks for one, events from the task workers to the callback
// worker, and every acknowledgment back. It keeps what is not acknowledged in
// memory and nothing on disk: a router that dies takes all workers with it, and the
// manager's cursors have not passed what was on its way. It knows nothing of rows,
// databases or callbacks, and reads of a message no more than it needs to route it.
package router

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"github.com/masixun71/cupid/ipc"
	"github.com/masixun71/cupid/pkg/chunk"
)

// The roles that the router knows.
const (
	RoleManager  = "manager"
	RoleCallback = "callback"
	RoleTask     = "task"
)

const (
	// crashesToHalve is how many workers may die with a chunk in hand before the
	// manager is asked to halve it.
	crashesToHalve = 2
	// maxHeld bounds the alerts that wait for the callback worker; those beyond it
	// are lost, and stand in the log.
	maxHeld = 256
	// retryEvery is how often a worker that was too busy to be sent to is tried again.
	retryEvery = 50 * time.Millisecond
)

// Sender sends to a worker; the pool is one. Send does not block. ipc.ErrFull says
// that the worker is behind and the envelope was not taken; every other error, that
// the worker is gone or about to be.
type Sender interface {
	Send(slot int, env ipc.Envelope) error
}

// Router routes. Its methods may be called from several goroutines; the pool calls
// Ready, Message and Gone in the order of what happened.
type Router struct {
	log  zerolog.Logger
	send Sender
	role func(slot int) string
	kept chan struct{} // one: something could not be sent

	mu     sync.Mutex // guards all below
	ready  map[int]bool
	unsent map[int][]ipc.Envelope // by slot: what was not taken yet, the first to send first

	waiting []want            // task workers that want work, the first to ask first
	idle    []chunk.Chunk     // chunks without a worker
	hand    map[string]inHand // by the id of the chunk
	given   uint64            // how often a chunk was given to a worker
	credit  int               // chunks that the manager was asked for and has not sent

	events map[uint64]*undelivered // by our id, until acknowledged
	nextID uint64
	alerts []ipc.Envelope       // until the callback worker is ready
	lost   map[string]time.Time // by pair, since when a sweep is to begin anew; for every manager that comes
	counts Counts
}

// Counts is what the router tells of itself.
type Counts struct {
	Wanted       int    `json:"wanted"`
	Idle         int    `json:"idleChunks"`
	InHand       int    `json:"chunksInHand"`
	Events       int    `json:"eventMessagesUnacknowledged"`
	Unsent       int    `json:"messagesUnsent"`
	Chunks       uint64 `json:"chunks"`
	Returned     uint64 `json:"chunksReturned"`
	SentToHalve  uint64 `json:"chunksSentToHalve"`
	StaleResults uint64 `json:"staleResults"`
	LostAlerts   uint64 `json:"lostAlerts"`
}

// New makes a router; role tells what a slot is for. Connect follows before any
// worker starts.
func New(log zerolog.Logger, role func(slot int) string) *Router {
	return &Router{
		log: log, role: role, kept: make(chan struct{}, 1), ready: map[int]bool{}, unsent: map[int][]ipc.Envelope{},
		hand: map[string]inHand{}, events: map[uint64]*undelivered{}, lost: map[string]time.Time{},
	}
}

// Connect tells the router by whom it sends.
func (r *Router) Connect(s Sender) { r.send = s }

// Run sends again what workers were too busy to take, until ctx is done.
func (r *Router) Run(ctx context.Context) error {
	tick := time.NewTicker(retryEvery)
	defer tick.Stop()
	for {
		tick.Stop() // an idle router sleeps
		select {
		case <-ctx.Done():
			return nil
		case <-r.kept:
		}
		tick.Reset(retryEvery)
		for left := true; left; {
			select {
			case <-ctx.Done():
				return nil
			case <-tick.C:
			}
			left = r.resendAll()
		}
	}
}

// resendAll sends what workers did not take before, and reports whether some of it
// is still left.
func (r *Router) resendAll() (left bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for slot := range r.unsent {
		r.resend(slot)
		left = left || len(r.unsent[slot]) > 0
	}
	return left
}

// Counts is what the router knows at this moment.
func (r *Router) Counts() Counts {
	r.mu.Lock()
	defer r.mu.Unlock()
	c := r.counts
	c.Wanted, c.Idle, c.InHand, c.Events = r.wanted(), len(r.idle), len(r.hand), len(r.events)
	for _, unsent := range r.unsent {
		c.Unsent += len(unsent)
	}
	return c
}

// Ready hears that a worker can work.
func (r *Router) Ready(slot int, _ uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ready[slot] = true
	switch r.role(slot) {
	case RoleManager:
		r.forsake()
		r.sweepAgain(r.lost)
		r.ask()
	case RoleCallback:
		r.deliver()
		alerts := r.alerts
		r.alerts = nil
		for _, env := range alerts {
			r.alert(env)
		}
	}
}

// Gone hears that a worker is no more. A drained one took nothing down with it. The answer
// is whether a chunk is to blame that is halved for it.
func (r *Router) Gone(slot int, _ uint64, reason string, drained bool) (blamed bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.ready, slot)
	delete(r.unsent, slot)
	switch r.role(slot) {
	case RoleManager:
		r.forsake()
	case RoleCallback:
		for _, u := range r.events {
			u.sent = false
		}
	case RoleTask:
		r.forget(slot)
		blamed = r.takeBack(slot, reason, drained)
		r.assign()
	}
	return blamed
}

// Message takes a frame of a worker.
func (r *Router) Message(slot int, _ uint64, env ipc.Envelope) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := r.take(slot, env); err != nil {
		r.log.Error().Err(err).Int("slot", slot).Str("type", env.Type).Msg("message dropped")
	}
}

func (r *Router) take(slot int, env ipc.Envelope) error {
	switch env.Type {
	case ipc.TypeWant:
		return r.want(slot, env)
	case ipc.TypeChunk:
		return r.chunk(env)
	case ipc.TypeDone:
		return r.done(slot, env)
	case ipc.TypeEvents:
		r.nextID++
		r.events[r.nextID] = &undelivered{slot: slot, id: env.ID, env: env}
		r.deliver()
	case ipc.TypeEventsAck:
		r.acknowledged(env)
	case ipc.TypeAlert:
		r.alert(env)
	case ipc.TypeSweepAgain:
		return r.losses(env)
	default:
		return fmt.Errorf("route message: nobody takes %q", env.Type)
	}
	return nil
}

// Alert tells the operator something that the master itself knows.
func (r *Router) Alert(kind, text string) {
	body, err := json.Marshal(Alert{kind, text})
	if err != nil {
		panic("router: an alert of two strings cannot be encoded: " + err.Error())
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.alert(ipc.Envelope{Type: ipc.TypeAlert, Body: body})
}

// Alert is the body of an alert message.
type Alert struct {
	Kind string `json:"kind"`
	Text string `json:"text"`
}

// Memory is the memory of the workers, for the manager's log.
type Memory struct {
	Slot  int    `json:"slot"`
	Role  string `json:"role"`
	Bytes int64  `json:"bytes"`
}

// TypeMemory is the message that carries []Memory to the manager.
const TypeMemory = "memory"

// MemoryEvery is how often the manager logs it, as the original did.
const MemoryEvery = 10 * time.Second
