package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/masixun71/cupid/ipc"
	"github.com/masixun71/cupid/pkg/manager"
	"github.com/masixun71/cupid/pkg/supervisor"
)

// readyWait is how long a worker may take to be ready for the first time; then the
// run cannot tell.
const readyWait = 60 * time.Second

var (
	// errSwept ends a run that has done what it is for.
	errSwept = errors.New("the sweep is over")
	// errStopCommand ends a run that was told to stop.
	errStopCommand = errors.New("stopped by the stop command")
)

// once is a run that sweeps every pair once, tells, and ends.
type once struct {
	options options
	began   time.Time
	stdout  io.Writer // for the summary, unless lines are there
	tell    *outlet   // for all else that a person should see
	display *display
	end     context.CancelCauseFunc // ends the run
	swept   chan struct{}           // closed when all pairs are done
	hurry   chan struct{}           // closed by giveUp
	hurried sync.Once

	mu     sync.Mutex // guards all below
	lines  *lines     // nil until the files are open
	broken error      // why the report cannot be written any more
	pairs  []pairRun  // in the order of the configuration
	heard  time.Time  // when the manager was heard last
	over   bool       // swept is closed
	calls  *delivery

	// How each pair is compared, what it waits for, whether it resolves buckets and whether
	// it was restarted, as far as it was told. They belong to who shows the progress.
	how, waiting        map[string]string
	resolves, restarted map[string]bool
}

// newOnce makes the run. What a person should see goes to tell, and the summary
// to stdout unless lines are there.
func newOnce(o options, stdout io.Writer, tell *outlet, end context.CancelCauseFunc) *once {
	now := time.Now()
	r := &once{
		options: o, began: now, stdout: stdout, tell: tell, display: newDisplay(tell, now, os.Getenv), end: end,
		swept: make(chan struct{}), hurry: make(chan struct{}), how: map[string]string{}, waiting: map[string]string{}, resolves: map[string]bool{}, restarted: map[string]bool{},
	}
	return r
}

// begin is the last step before the workers start.
func (r *once) begin(s *setup) error {
	if len(s.unreachable) == len(s.config.Pairs()) {
		return &unknownError{"no pair can be compared:\n  " + strings.Join(s.unreachable, "\n  ")}
	}
	l, err := openLines(r.options, r.began, ipc.Build, around{r.stdout, r.tell.to, s.stateDir, r.hurry, r.unreadable})
	if usage, ok := errors.AsType[*usageError](err); ok {
		return usage
	}
	if err != nil {
		return &setupError{err}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.lines = l; l.standard {
		r.stdout = r.tell
	}
	for _, p := range s.config.Pairs() {
		r.pairs = append(r.pairs, pairRun{SweepProgress: manager.SweepProgress{Pair: p.Name}, orphans: p.Source.Delete})
	}
	return nil
}

// ready hears that the manager begins, for the first time or anew.
func (r *once) ready() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.heard.IsZero() {
		r.heard = time.Now()
	}
}

// take takes the messages that are for this run, and reports whether the message is
// done with. A line of the report is written before the message after it is looked at:
// a chunk is not done before its lines are with the kernel or wait for their reader, and
// once they cannot be written, no chunk is done any more.
func (r *once) take(env ipc.Envelope) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.broken != nil {
		return env.Type != ipc.TypeStatusReply
	}
	switch env.Type {
	case ipc.TypeReportLines:
		if r.lines == nil {
			return true
		}
		if err := r.lines.addAll(env.Body); err != nil {
			r.broken = err
			r.end(err)
		}
		return true
	case ipc.TypeSweepProgress:
		var news []manager.SweepProgress
		if err := ipc.Decode(env.Body, &news); err != nil {
			r.broken = fmt.Errorf("read progress: %w", err)
			r.end(r.broken)
			return true
		}
		r.hear(news, time.Now())
		return true
	}
	return false
}

// hear takes the manager's news.
func (r *once) hear(news []manager.SweepProgress, now time.Time) {
	for _, n := range news {
		i := slices.IndexFunc(r.pairs, func(p pairRun) bool { return p.Pair == n.Pair })
		if i < 0 {
			continue
		}
		p := &r.pairs[i]
		if p.began.IsZero() && (n.Chunks > 0 || n.Done) {
			p.began = r.heard // when its first chunk was cut, at the earliest
			if r.options.resume {
				p.base = n.Rows
			}
		}
		if n.Resolving > 0 && p.Resolving == 0 {
			p.turned, p.again = now, n.Again
		}
		p.SweepProgress = n
		p.base = min(p.base, n.Rows)
		if n.Done && p.ended.IsZero() {
			p.ended = now
		}
	}
	r.heard = now
	done := len(r.pairs) > 0 && !slices.ContainsFunc(r.pairs, func(p pairRun) bool { return !p.Done })
	if done && !r.over {
		r.over = true
		close(r.swept)
	}
}

// progress is a copy of how the pairs get on.
func (r *once) progress() []pairRun {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.pairs)
}

// giveUp lets nobody wait for whoever reads the report: the run is to end. A run whose sweep
// is over waits for him otherwise, also when the pool has ended.
func (r *once) giveUp() { r.hurried.Do(func() { close(r.hurry) }) }

// unreadable ends the run, whose lines do not get to their reader.
func (r *once) unreadable(err error) {
	r.end(err)
	r.giveUp()
}

// sweeps are the pairs in the words of a status.
func sweeps(pairs []pairRun) []manager.SweepProgress {
	all := make([]manager.SweepProgress, len(pairs))
	for i, p := range pairs {
		all[i] = p.SweepProgress
	}
	return all
}

// say tells a person something beside the progress.
func (r *once) say(pair, text string) {
	if pair != "" {
		pair += ": "
	}
	r.display.say("%s%s", pair, text)
}

// show shows how the pairs get on, how they are compared and what they wait for.
func (r *once) show(now time.Time) {
	pairs := r.progress()
	for _, p := range pairs {
		if p.How != r.how[p.Pair] {
			r.how[p.Pair] = p.How
			r.say(p.Pair, p.How)
		}
		if p.Waiting != r.waiting[p.Pair] && p.Waiting != "" {
			r.say(p.Pair, "waits: "+p.Waiting)
		}
		r.waiting[p.Pair] = p.Waiting
		if p.Restarted && !r.restarted[p.Pair] {
			r.restarted[p.Pair] = true
			r.say(p.Pair, "is compared in another way than by the run that is gone on with, and so from its beginning; the files may have lines of that run too")
		}
		if p.Resolving > 0 && !r.resolves[p.Pair] {
			r.resolves[p.Pair] = true
			r.say(p.Pair, resolving(p.Resolving)+" for the rows of these")
		}
	}
	r.display.show(pairs, now)
}

// followOnce shows the progress of a run and ends it when it is over. ctx ends with
// the pool.
func (m *master) followOnce(ctx context.Context) {
	r := m.once
	tick := time.NewTicker(drawEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-r.swept:
			r.show(time.Now())
			m.awaitDelivery(ctx)
			r.end(errSwept)
			return
		case now := <-tick.C:
			r.show(now)
			if now.Sub(r.began) > readyWait {
				if what := m.unready(); what != "" {
					r.end(fmt.Errorf("%s is not ready after %s; the logs in logDir say why", what, readyWait))
					return
				}
			}
		}
	}
}

// unready names a worker that was never ready, with how it ended last.
func (m *master) unready() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	waiting := m.unreadyLocked()
	if len(waiting) == 0 {
		return ""
	}
	s := waiting[0]
	text := fmt.Sprintf("the %s worker in slot %d", s.Role, s.Slot)
	if s.LastExit != "" {
		text += " (" + s.LastExit + ")"
	}
	return text
}

// unreadyLocked are the slots whose worker was never ready. m.mu is held.
func (m *master) unreadyLocked() []supervisor.SlotStatus {
	return slices.DeleteFunc(m.pool.Status(), func(s supervisor.SlotStatus) bool {
		return m.readied[s.Slot] || s.State == supervisor.Idle.String()
	})
}
