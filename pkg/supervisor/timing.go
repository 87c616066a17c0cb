package supervisor

import (
	"fmt"
	"syscall"
	"time"
)

// killAgain is how long after a SIGKILL the next one follows. One is enough but for a process that the kernel has
// in a wait without end, and for that one nothing is.
const killAgain = time.Second

// pulse is how often the loop looks at the clock even if nothing is due, so that it notices that it was not scheduled.
func (p *Pool) pulse() time.Duration { return p.config.HeartbeatTimeout / 5 }

// setTimer arms the timer for what is due next.
func (p *Pool) setTimer() {
	next := time.Now().Add(p.pulse())
	earlier := func(t time.Time) {
		if !t.IsZero() && t.Before(next) {
			next = t
		}
	}
	for _, s := range p.slots {
		earlier(s.deadline)
		if s.worker != nil && s.watched() {
			earlier(s.worker.beatBy)
		}
	}
	if p.stopping {
		earlier(p.stopAt)
		earlier(p.stageAt)
	}
	// Nearly every frame leaves things as they were. A timer that is due too early costs one look.
	if p.timerAt.IsZero() || next.Before(p.timerAt) {
		p.timerAt = next
		p.timer.Reset(time.Until(next))
	}
}

// watched tells whether the slot's worker owes heartbeats.
func (s *slot) watched() bool { return s.state == Ready || s.state == Draining }

// timePasses does what is due.
func (p *Pool) timePasses() {
	now := time.Now()
	if late := now.Sub(p.timerAt); !p.timerAt.IsZero() && late > p.pulse() {
		p.giveBack(late)
	}
	p.timerAt = time.Time{}
	if p.stopping {
		p.stopFurther(now)
	}
	for _, s := range p.slots {
		switch {
		case due(s.deadline, now):
			p.deadline(s)
		case s.worker != nil && s.watched() && due(s.worker.beatBy, now):
			p.hung(s)
		}
	}
}

func due(t, now time.Time) bool { return !t.IsZero() && !t.After(now) }

// giveBack moves all deadlines by the time that this process was not scheduled: its workers probably were not, either, or could not be
// heard. Not those of a stop, which somebody else is waiting for.
func (p *Pool) giveBack(late time.Duration) {
	if p.stopping {
		return
	}
	p.config.Log.Warn().Int64("lateMillisecond", late.Milliseconds()).Msg("the master was not scheduled; its workers get the time back")
	for _, s := range p.slots {
		if !s.deadline.IsZero() {
			s.deadline = s.deadline.Add(late)
		}
		if s.worker != nil && !s.worker.beatBy.IsZero() {
			s.worker.beatBy = s.worker.beatBy.Add(late)
		}
	}
}

// deadline ends the state of a slot by force.
func (p *Pool) deadline(s *slot) {
	switch s.state {
	case Greeting:
		p.kill(s, fmt.Sprintf("no hello within %v", p.config.ReadyTimeout), syscall.SIGQUIT, p.config.QuitTimeout)
	case Preparing:
		p.kill(s, fmt.Sprintf("not ready within %v", p.readyTimeout(s)), syscall.SIGQUIT, p.config.QuitTimeout)
	case Draining:
		p.kill(s, fmt.Sprintf("not drained within %v", p.drainTimeout(s)), syscall.SIGKILL, killAgain)
	case Killing:
		p.kill(s, "did not exit by itself", syscall.SIGKILL, killAgain)
	case BackingOff:
		p.start(s)
	case Idle, Starting, Ready, Stopped:
		panic("supervisor: deadline in state " + s.state.String())
	}
}

func (p *Pool) hung(s *slot) {
	p.kill(s, fmt.Sprintf("hung: no progress for %v", p.config.HeartbeatTimeout), syscall.SIGQUIT, p.config.QuitTimeout)
}
