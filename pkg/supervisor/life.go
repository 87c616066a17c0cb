package supervisor

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"
	"time"

	"github.com/rs/zerolog"

	"github.com/masixun71/cupid/ipc"
	"github.com/masixun71/cupid/pkg/backoff"
)

// afterDeath is how long a dead worker's connection is still read. End of file comes at once, unless something
// that the worker has started holds its end open.
const afterDeath = 200 * time.Millisecond

// enter brings a slot into a state that may last for limit; 0: for ever.
func (p *Pool) enter(s *slot, state State, limit time.Duration) {
	s.state, s.deadline = state, time.Time{}
	if limit > 0 {
		s.deadline = time.Now().Add(limit)
	}
	p.publish(s)
}

// log returns the log with the fields that tell of which worker a line speaks.
func (p *Pool) log(s *slot) *zerolog.Logger {
	fields := p.config.Log.With().Int("slot", s.number).Str("role", s.spec().Role).Uint64("generation", s.generation)
	if s.worker != nil {
		fields = fields.Int("pid", s.worker.child.Pid())
	}
	log := fields.Logger()
	return &log
}

// start starts the next generation of a slot that has no worker.
func (p *Pool) start(s *slot) {
	s.generation++
	s.asked = false
	p.enter(s, Starting, 0)
	spec, with := s.spec(), s.plan
	order := Order{Slot: s.number, Generation: s.generation, Role: spec.Role, Title: spec.Title}
	p.launch(with.starter, order, func(child Child, err error) { p.started(s, with, child, err) })
}

// started: the Starter has answered.
func (p *Pool) started(s *slot, with *plan, child Child, err error) {
	if err != nil {
		p.log(s).Error().Err(err).Msg("worker not started")
		s.lastExit = err.Error()
		p.stillborn(s, with, fmt.Sprintf("not started: %v", err), false)
		return
	}
	w := &worker{generation: s.generation, plan: with, child: child}
	w.conn = ipc.NewConn(child.Conn(), ipc.Options{
		Peer:         fmt.Sprintf("%s (slot %d)", s.spec().Title, s.number),
		QueueBytes:   p.config.QueueBytes,
		WriteTimeout: p.config.HeartbeatTimeout,
	})
	s.worker = w
	p.enter(s, Greeting, p.config.ReadyTimeout)
	p.helpers.Go(func() { p.receive(s, w) })
	p.helpers.Go(func() {
		<-child.Done()
		p.post(func() { p.exited(s, w) })
	})
	if p.stopping || s.asked {
		p.kill(s, "not wanted any more", syscall.SIGKILL, killAgain)
	}
}

// receive hands over all frames of one worker, and then its end.
func (p *Pool) receive(s *slot, w *worker) {
	for {
		env, err := w.conn.Receive()
		if err != nil {
			p.post(func() { p.lost(s, w, err) })
			return
		}
		if !p.post(func() { p.frame(s, w, env) }) {
			return
		}
	}
}

// frame: a worker has said something. Nothing of an older generation comes here: its end was waited for.
func (p *Pool) frame(s *slot, w *worker, env ipc.Envelope) {
	if s.worker != w {
		panic("supervisor: frame of a generation that has ended")
	}
	switch {
	case s.state == Greeting && env.Type == ipc.TypeHello:
		p.hello(s, env)
	case s.state == Preparing && env.Type == ipc.TypeReady:
		p.ready(s)
	case env.Type == ipc.TypeHeartbeat && s.state != Greeting:
		p.heartbeat(s, env)
	case env.Type == ipc.TypeHello, env.Type == ipc.TypeReady, !w.announced:
		// What comes while it is being killed is of no interest, unless it works still.
		if s.state != Killing {
			p.kill(s, fmt.Sprintf("protocol: sent %q while %s", env.Type, s.state), nil, 0)
		}
	default:
		p.config.Handler.Message(s.number, w.generation, env)
	}
}

func (p *Pool) hello(s *slot, env ipc.Envelope) {
	var hello ipc.Hello
	if err := ipc.Decode(env.Body, &hello); err != nil {
		p.kill(s, fmt.Sprintf("protocol: hello: %v", err), nil, 0)
		return
	}
	if reason := refusal(hello, s); reason != "" {
		p.answer(s, ipc.TypeRefuse, ipc.Refuse{Reason: reason})
		p.kill(s, "refused: "+reason, nil, p.config.QuitTimeout)
		return
	}
	spec := s.worker.plan.slots[s.number]
	welcome := ipc.Welcome{Role: spec.Role, Slot: s.number, Generation: s.generation, Title: spec.Title}
	if payload := s.worker.plan.payload; payload != nil {
		welcome.Config = payload(s.number)
	}
	left := time.Until(s.deadline) + p.readyTimeout(s) - p.config.ReadyTimeout
	p.enter(s, Preparing, max(left, 1))
	p.answer(s, ipc.TypeWelcome, welcome)
}

// refusal says why a worker cannot take part; "" means that it can.
func refusal(hello ipc.Hello, s *slot) string {
	switch {
	case hello.Protocol != ipc.ProtocolVersion:
		return fmt.Sprintf("the worker (build %q) speaks protocol %d and the master (build %q) speaks protocol %d: install both from the same build",
			hello.Build, hello.Protocol, ipc.Build, ipc.ProtocolVersion)
	case hello.Slot != s.number || hello.Generation != s.generation:
		return fmt.Sprintf("the worker says that it is slot %d, generation %d, and was started as slot %d, generation %d",
			hello.Slot, hello.Generation, s.number, s.generation)
	}
	return ""
}

// answer sends one of the pool's own frames. That it cannot be sent is a fault of the worker, unless that has ended the connection by itself:
// then it is about to exit, and its reasons are its own.
func (p *Pool) answer(s *slot, typ string, body any) {
	env, err := ipc.NewEnvelope(typ, 0, body)
	if err == nil {
		err = s.worker.conn.TrySendUrgent(env)
	}
	switch {
	case err == nil:
	case peerEnded(err):
		p.enter(s, Killing, p.config.QuitTimeout)
	default:
		p.kill(s, err.Error(), nil, 0)
	}
}

// peerEnded tells whether a connection has ended because the worker has closed its end.
func peerEnded(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
}

func (p *Pool) ready(s *slot) {
	w := s.worker
	now := time.Now()
	w.announced, w.readySince, w.beatBy = true, now, now.Add(p.config.HeartbeatTimeout)
	w.rssLimit = int64(float64(p.config.MaxRSSBytes) * (1 + 0.1*p.config.Rand()))
	p.enter(s, Ready, 0)
	p.log(s).Info().Msg("worker ready")
	p.config.Handler.Ready(s.number, w.generation)
	if s.asked || s.removed {
		p.drain(s, p.drainTimeout(s))
	}
}

func (p *Pool) heartbeat(s *slot, env ipc.Envelope) {
	w := s.worker
	var beat ipc.Heartbeat
	if err := ipc.Decode(env.Body, &beat); err != nil {
		p.kill(s, fmt.Sprintf("protocol: heartbeat: %v", err), nil, 0)
		return
	}
	if w.announced && (beat.Waiting || beat.Progress != w.progress) {
		w.beatBy = time.Now().Add(p.config.HeartbeatTimeout)
	}
	w.progress, w.rssBytes = beat.Progress, beat.RSSBytes
	p.publish(s)
	if p.config.MaxRSSBytes > 0 && w.rssBytes > w.rssLimit && s.state == Ready && p.quiet() {
		p.log(s).Warn().Int64("rssBytes", w.rssBytes).Msg("worker uses too much memory: renewed")
		s.asked = true
		p.drain(s, p.drainTimeout(s))
	}
}

// quiet tells whether no slot is on its way anywhere, so that one may be renewed.
func (p *Pool) quiet() bool {
	for _, s := range p.slots {
		if s.state != Ready && !s.spec().Unused {
			return false
		}
	}
	return p.reload == nil && !p.stopping
}

// drain asks a ready worker to finish and to exit.
// drainTimeout is how long the worker of a slot may take to finish when it is renewed.
func (p *Pool) drainTimeout(s *slot) time.Duration {
	return cmp.Or(s.spec().DrainTimeout, p.config.DrainTimeout)
}

// readyTimeout is how long the worker of a slot may take to say ready.
func (p *Pool) readyTimeout(s *slot) time.Duration {
	return cmp.Or(s.spec().ReadyTimeout, p.config.ReadyTimeout)
}

func (p *Pool) drain(s *slot, limit time.Duration) {
	p.enter(s, Draining, limit)
	p.answer(s, ipc.TypeDrain, nil)
}

// kill makes sure that a worker goes: it gets first, if any, and SIGKILL when it is still there after wait.
func (p *Pool) kill(s *slot, reason string, first os.Signal, wait time.Duration) {
	w := s.worker
	w.blame(reason)
	if wait <= 0 {
		first, wait = syscall.SIGKILL, killAgain
	}
	p.log(s).Warn().Str("reason", reason).Msg("worker has to go")
	p.enter(s, Killing, wait)
	if first != nil && !w.exited {
		// The one error there can be is that it has ended meanwhile.
		_ = w.child.Signal(first)
	}
}

// lost: nothing more can be received from a worker.
func (p *Pool) lost(s *slot, w *worker, err error) {
	w.lost = true
	ended := peerEnded(err)
	switch {
	case w.exited:
		// A frame cut off or broken is told of whichever is seen first, it or the exit; that the wait after death
		// has ended is no fault.
		if !ended && !errors.Is(err, os.ErrDeadlineExceeded) && !errors.Is(err, ipc.ErrClosed) {
			w.blame(err.Error())
		}
		p.gone(s)
	case ended, s.state == Killing:
		// It is about to exit, or has: the end of the connection is seen first. Stacks of a crash take a moment more.
		p.enter(s, Killing, p.config.QuitTimeout)
	default:
		p.kill(s, err.Error(), nil, p.config.QuitTimeout)
	}
}

// exited: the process has ended and was waited for.
func (p *Pool) exited(s *slot, w *worker) {
	w.exited = true
	if w.lost {
		p.gone(s)
		return
	}
	// The frames it has left come first.
	if w.conn.SetReceiveDeadline(time.Now().Add(afterDeath)) != nil {
		_ = w.conn.Close() // Then this ends the receiving.
	}
}

// gone: the process has ended, and all it said was heard.
func (p *Pool) gone(s *slot) {
	w := s.worker
	_ = w.conn.Close()
	reason, drained := w.end(), w.child.Err() == nil && w.reason == ""
	level := zerolog.WarnLevel
	if s.asked || p.stopping {
		level = zerolog.InfoLevel
	}
	p.log(s).WithLevel(level).Str("reason", reason).Bool("drained", drained).Msg("worker gone")
	s.lastExit = reason
	s.worker = nil
	p.publish(s)
	if !w.announced {
		p.stillborn(s, w.plan, reason, drained)
		return
	}
	if time.Since(w.readySince) >= p.config.HealthyAfter {
		s.failures, s.blamed = 0, 0
	}
	blamed := p.config.Handler.Gone(s.number, w.generation, reason, drained)
	p.replace(s, drained, blamed)
}

// stillborn: a generation has ended without having been ready.
func (p *Pool) stillborn(s *slot, with *plan, reason string, drained bool) {
	p.reloadFailed(s, with, reason)
	p.replace(s, drained, false)
}

// replace decides what comes after a worker.
func (p *Pool) replace(s *slot, drained, blamed bool) {
	switch {
	case p.stopping || s.removed:
		p.enter(s, Stopped, 0)
	case s.spec().Unused:
		p.enter(s, Idle, 0)
	case s.asked:
		p.start(s)
	default:
		s.restarts++
		failures := min(s.failures+s.blamed, 1)
		if blamed && s.blamed < p.config.MaxBlamed {
			s.blamed++
		} else {
			failures = s.failures
			s.failures++
		}
		wait := backoff.Delay(failures, p.config.BackoffBase, p.config.BackoffLimit, p.config.BackoffJitter, p.config.Rand)
		if drained {
			wait = max(wait, p.config.CleanExitWait)
		}
		if wait <= 0 {
			p.start(s)
			return
		}
		p.enter(s, BackingOff, wait)
	}
}
