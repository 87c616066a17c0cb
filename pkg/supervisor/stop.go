package supervisor

import (
	"syscall"
	"time"
)

// beginStop starts the end of the pool.
func (p *Pool) beginStop(reason string) {
	if p.stopping {
		return
	}
	p.config.Log.Info().Str("reason", reason).Msg("stopping")
	p.stopping = true
	now := time.Now()
	p.stopAt = now.Add(p.config.StopTimeout)
	p.stageAt = now.Add(p.config.StopTimeout * 2 / 3)
	p.endStarts()
	p.refuseReloads()
	for _, s := range p.slots {
		if s.state == Idle || s.state == BackingOff {
			p.enter(s, Stopped, 0)
		}
	}
}

// stage is the lowest stage that has a worker, or all of them when their time has come.
func (p *Pool) stage(now time.Time) int {
	const all = int(^uint(0) >> 1)
	lowest := all
	if !now.Before(p.stageAt) {
		return all
	}
	for _, s := range p.slots {
		if s.state != Stopped {
			lowest = min(lowest, s.spec().Stage)
		}
	}
	return lowest
}

// stopFurther asks the workers whose turn it is to go, and kills those that are left when the time is over. It is called after
// everything that happens.
func (p *Pool) stopFurther(now time.Time) {
	over := !now.Before(p.stopAt)
	stage := p.stage(now)
	if over {
		p.stopAt = now.Add(killAgain)
	}
	if !now.Before(p.stageAt) {
		p.stageAt = time.Time{}
	}
	for _, s := range p.slots {
		switch {
		case s.worker == nil:
		case over:
			p.kill(s, "not stopped in time", syscall.SIGKILL, killAgain)
		case s.spec().Stage > stage || s.asked:
		default:
			s.asked = true
			p.sendOff(s)
		}
	}
}

// sendOff asks one worker to go. How long it may take is the matter of stopFurther.
func (p *Pool) sendOff(s *slot) {
	switch s.state {
	case Ready:
		p.drain(s, 0)
	case Greeting, Preparing:
		// It has nothing to finish.
		p.log(s).Info().Msg("worker is not ready yet: terminated")
		p.kill(s, "stopped before it was ready", syscall.SIGTERM, p.config.StopTimeout)
	case Draining, Killing, Idle, Starting, BackingOff, Stopped:
	}
}

// finished tells whether the loop has nothing left to do.
func (p *Pool) finished() bool {
	if !p.stopping {
		return false
	}
	for _, s := range p.slots {
		if s.state != Stopped {
			return false
		}
	}
	return true
}
