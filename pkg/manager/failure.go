package manager

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/masixun71/cupid/pkg/backoff"
	"github.com/masixun71/cupid/pkg/chunk"
)

const (
	// probeBase and probeCap are the first and the longest wait before what
	// failed is tried again.
	probeBase, probeCap = 500 * time.Millisecond, 30 * time.Second
	// alertFailures is after how many failures in a row an operator is told.
	alertFailures = 5
	// unfitTime is for how long a chunk is offered to workers of another configuration before that is a failure. A
	// reload renews the task workers last, after the callback worker has finished and its successor has opened the queue.
	unfitTime = 10 * time.Minute
	// unreadToHalve is how often a chunk's own rows must have been what it failed for before it is halved. Both
	// sides answered in between, so it was not a whole database that hung. A half begins with one less.
	unreadToHalve = 2
	// maxPieces bounds how many chunks of a lane there are while some are halved: a table that somebody has locked
	// is not cut into single rows.
	maxPieces = 4 * maxOpen
)

// finish takes a task worker's word on a chunk.
func (l *lane) finish(r chunk.Result) {
	p, ok := l.open[r.Chunk]
	if !ok || slices.Contains(l.staged, p) || slices.Contains(l.crashed, p) {
		return // not out
	}
	if r.Error == "" && p.chunk.Stage == chunk.AddUp {
		if err := p.out.add(r.Sums); err != nil {
			r.Error = err.Error()
		}
	}
	if r.Error == "" {
		l.window = min(l.window+1, maxOpen)
		if p.owed != nil {
			l.drop(p)
			l.paid(p)
			return
		}
		p.out.found.add(p.chunk, r)
		if l.sweep != nil {
			l.sweep.measure(p.chunk, r)
		} else {
			l.growth.measure(p.chunk.Rows, time.Duration(r.Millisecond)*time.Millisecond)
		}
		l.drop(p)
		l.settle(p.out.look)
		if l.sweep != nil {
			l.sweep.show()
		}
		l.heal()
		return
	}
	if r.Unfit && (p.unfit.IsZero() || time.Since(p.unfit) < unfitTime) {
		if p.unfit.IsZero() {
			p.unfit = time.Now()
		}
		p.retry = time.Now().Add(probeBase)
		l.staged = append(l.staged, p)
		return
	}
	if p.failures++; p.failures == 1 {
		p.failing = time.Now()
	}
	p.retry = time.Now().Add(delay(p.failures))
	l.log.Warn().Str("error", r.Error).Stringer("chunk", p.chunk).Int("failures", p.failures).Msg("chunk could not be compared; it is offered again")
	if r.Unread {
		if p.unread++; p.unread == 1 && p.owed == nil {
			l.growth.shrink(p.chunk.Rows)
		}
	}
	if p.owed != nil && r.Unread {
		l.putOff(p, r.Error)
		return // it stops nobody else
	}
	if p.unread >= unreadToHalve && r.Unread && len(l.open) < maxPieces {
		p.why = r.Error
		l.crashed = append(l.crashed, p)
	} else {
		l.staged = append(l.staged, p)
	}
	l.window = failedOut
	if !l.broken { // the others that were out fail for the same reason
		l.broken, l.wait = true, time.Now().Add(delay(1))
		if l.sweep != nil {
			l.sweep.shrink()
		}
	}
	l.tell(p.failures, "compare chunk "+p.chunk.String(), r.Error)
	if p.failures >= alertFailures { // fewer may be of several short outages
		l.despair("compare chunk "+p.chunk.String(), errors.New(r.Error), p.failing)
	}
}

// fail makes the lane wait, longer each time.
func (l *lane) fail(ctx context.Context, what string, err error) {
	if ctx.Err() != nil {
		return // the manager stops
	}
	if l.failures++; l.failures == 1 {
		l.failing = time.Now()
	}
	l.wait = time.Now().Add(delay(l.failures))
	l.log.Warn().Err(err).Int("failures", l.failures).Msg(what)
	l.tell(l.failures, what, err.Error())
	l.despair(what, err, l.failing)
}

// patience is how long a run with -once tries what fails.
const patience = time.Minute

// errForeign ends the sweep of a pair in a run with -once.
var errForeign = &Definite{errors.New("another cupid owns the pair")}

// despair gives a pair up in a run with -once, so that it ends: at once for what
// does not pass by itself, else when it has failed for too long.
func (l *lane) despair(what string, err error, since time.Time) {
	if l.sweep == nil || !l.sweep.once {
		return
	}
	if _, definite := errors.AsType[*Definite](err); !definite && time.Since(since) < patience {
		return
	}
	l.log.Error().Err(err).Msg("the pair is given up: " + what)
	l.abandon()
	l.sweep.giveUp(what + ": " + err.Error())
}

// abandon forgets all chunks; what becomes of those that are out is of no interest
// any more.
func (l *lane) abandon() {
	l.looks, l.staged, l.crashed = nil, nil, nil
	clear(l.open)
}

// delay is the wait after n failures in a row.
func delay(n int) time.Duration {
	return backoff.Delay(n, probeBase, probeCap, 0.2, rand.Float64)
}

// tell lets an operator know, once, that the lane does not get on.
func (l *lane) tell(failures int, what, why string) {
	if failures < alertFailures || l.alerted {
		return
	}
	l.alerted = true
	l.alerts.Alert("pair stopped", fmt.Sprintf("%s: %s: %s; tried again until it works", l.pair, what, why))
}

// recovered hears that the source answers.
func (l *lane) recovered() {
	if l.failures == 0 {
		return
	}
	l.log.Info().Int("failures", l.failures).Msg("scan goes on")
	l.failures = 0
	l.heal()
}

// heal takes an alert back once nothing is left that failed too often.
func (l *lane) heal() {
	if !l.alerted || l.failures > 0 {
		return
	}
	for _, p := range l.open {
		if p.failures >= alertFailures && p.owed == nil {
			return
		}
	}
	l.alerted = false
	l.alerts.Alert("pair goes on", l.pair+" gets on again")
}
