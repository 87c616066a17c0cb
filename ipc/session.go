package ipc

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// BeatInterval is how often a worker tells the master that it lives.
const BeatInterval = time.Second

// Session is the conversation of a worker with its master after the handshake:
// it reads all frames, answers what every worker answers alike, beats, and hands
// the rest to the handlers. Its methods may be called from several goroutines,
// but for Handle and the exported fields, which are set before Run.
type Session struct {
	// Status returns what the master is told about this worker: a value for
	// json.Marshal, quickly made. It may be nil.
	Status func() any
	// ReopenLogs is called when the log files are to be opened by name again. It may be nil.
	ReopenLogs func()
	// RSSBytes returns the resident memory of this process. It may be nil.
	RSSBytes func() int64

	worker   *Worker
	handlers map[string]func(Envelope)
	progress atomic.Uint64
	draining chan struct{}
	drain    sync.Once
	ended    chan struct{} // closed when Run returns

	mu      sync.Mutex // guards nextAsk and asked
	nextAsk uint64
	asked   map[uint64]chan Envelope
}

// NewSession makes a session on w; Run starts it.
func NewSession(w *Worker) *Session {
	return &Session{
		worker: w, handlers: map[string]func(Envelope){}, draining: make(chan struct{}), ended: make(chan struct{}),
		asked: map[uint64]chan Envelope{},
	}
}

// Handle makes fn the receiver of every frame of a type. It runs on the reading
// goroutine and must not block: while it does, no other frame is read.
func (s *Session) Handle(typ string, fn func(Envelope)) { s.handlers[typ] = fn }

// Step says that the worker's own loop got on. A worker whose loop makes no step
// for the master's heartbeat timeout is taken for hung, so a loop makes one at
// least every second, idle or not.
func (s *Session) Step() { s.progress.Add(1) }

// Draining is closed when the master wants no new work to be taken.
func (s *Session) Draining() <-chan struct{} { return s.draining }

// Drain starts draining from this side, as after a SIGTERM.
func (s *Session) Drain() { s.drain.Do(func() { close(s.draining) }) }

// Run reads frames and beats until the connection ends or ctx is done, which is
// no error. An error means that the master is gone or spoke nonsense: the worker
// exits. The connection is closed when Run returns. It is called once.
func (s *Session) Run(ctx context.Context) error {
	defer close(s.ended)
	running, cancel := context.WithCancelCause(ctx)
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := s.worker.Beat(running, BeatInterval, s.beat); err != nil {
			cancel(err)
		}
	})
	wg.Go(func() { // an end for whichever reason ends the read below, too
		<-running.Done()
		s.worker.Conn.end(context.Cause(running))
	})
	err := s.read(running)
	stopped := ctx.Err() != nil
	cancel(err)
	wg.Wait()
	if err := s.worker.Conn.Close(); err != nil {
		return err
	}
	if stopped {
		return nil
	}
	return err
}

func (s *Session) read(ctx context.Context) error {
	for {
		env, err := s.worker.Conn.Receive()
		if err != nil {
			return err
		}
		if err := s.take(ctx, env); err != nil {
			return err
		}
	}
}

func (s *Session) take(ctx context.Context, env Envelope) error {
	switch env.Type {
	case TypeDrain:
		s.Drain()
	case TypeReopenLogs:
		if s.ReopenLogs != nil {
			s.ReopenLogs()
		}
	case TypeStatus:
		return s.status(ctx, env.ID)
	case TypeEventsAck:
		s.answered(env)
	default:
		handle, ok := s.handlers[env.Type]
		if !ok {
			return fmt.Errorf("read frame: the master sent %q, which this worker does not take", env.Type)
		}
		handle(env)
	}
	return nil
}

// status answers the master's question. What cannot be said is no reason to end.
func (s *Session) status(ctx context.Context, id uint64) error {
	var status any
	if s.Status != nil {
		status = s.Status()
	}
	env, err := NewEnvelope(TypeStatusReply, id, status)
	if err == nil && len(env.Body) > maxStatusBytes {
		err = fmt.Errorf("status of %d bytes is too long", len(env.Body))
	}
	if err != nil {
		return s.Tell(ctx, TypeStatusReply, id, map[string]string{"error": err.Error()})
	}
	return s.worker.Conn.Send(ctx, env)
}

// maxStatusBytes is the longest status that is sent. The answer on the control socket has to be one frame with those of all
// workers in it, of which two, those that know of all pairs, have long ones.
const maxStatusBytes = MaxFrameBytes * 3 / 8

func (s *Session) beat() Heartbeat {
	h := Heartbeat{Progress: s.progress.Load()}
	if s.RSSBytes != nil {
		h.RSSBytes = s.RSSBytes()
	}
	return h
}

// Tell sends one message. It waits while the connection's queue is full.
func (s *Session) Tell(ctx context.Context, typ string, id uint64, body any) error {
	env, err := NewEnvelope(typ, id, body)
	if err != nil {
		return err
	}
	return s.worker.Conn.Send(ctx, env)
}

// TryTell sends one message if there is room at once, and reports whether it did.
func (s *Session) TryTell(typ string, id uint64, body any) bool {
	env, err := NewEnvelope(typ, id, body)
	return err == nil && s.worker.Conn.TrySend(env) == nil
}

// Ask sends a message and waits for its acknowledgment, for as long as that takes
// while the session runs.
func (s *Session) Ask(ctx context.Context, typ string, body any) (Envelope, error) {
	s.mu.Lock()
	s.nextAsk++
	id := s.nextAsk
	answer := make(chan Envelope, 1) // its one sender never waits
	s.asked[id] = answer
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		delete(s.asked, id)
		s.mu.Unlock()
	}()
	if err := s.Tell(ctx, typ, id, body); err != nil {
		return Envelope{}, err
	}
	select {
	case env := <-answer:
		return env, nil
	case <-s.ended:
		return Envelope{}, fmt.Errorf("wait for the answer to %s: %w", typ, ErrClosed)
	case <-ctx.Done():
		return Envelope{}, context.Cause(ctx)
	}
}

func (s *Session) answered(env Envelope) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if answer, ok := s.asked[env.ID]; ok {
		delete(s.asked, env.ID)
		answer <- env
	}
}

// Flush waits until everything that was sent is with the kernel.
func (s *Session) Flush(ctx context.Context) error { return s.worker.Conn.Flush(ctx) }
