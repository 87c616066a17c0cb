package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"github.com/masixun71/cupid/ipc"
	"github.com/masixun71/cupid/pkg/config"
	"github.com/masixun71/cupid/pkg/queue"
)

// losses has the rows looked for again whose events were lost on disk: which they were
// cannot be read any more, so the whole table is swept. What was lost stays on disk and
// is told at every start; the manager knows what it has swept since.
type losses struct {
	config *config.Config
	once   bool
	alert  func(kind, text string)
	tell   func(context.Context, map[string]time.Time) error
	log    zerolog.Logger
	fresh  chan struct{} // holds one token when something was lost
}

func (w *worker) losses(alert func(kind, text string)) *losses {
	l := &losses{config: w.config, once: w.orders.Once, alert: alert, log: w.log, fresh: make(chan struct{}, 1)}
	l.tell = func(ctx context.Context, lost map[string]time.Time) error {
		return w.session.Tell(ctx, ipc.TypeSweepAgain, 0, lost)
	}
	l.wake()
	return l
}

// options are those of a queue that reports what it loses.
func (l *losses) options() queue.Options {
	return queue.Options{
		Limit: l.config.QueueLimit, Log: l.log,
		Damaged: func(r queue.Record, reason string) {
			l.alert("event damaged", fmt.Sprintf("%.200q: an event on disk was damaged and is set aside: %s; %s", r.Group, reason, l.remedy(r.Group)))
			l.wake()
		},
		Replaced: func(r queue.Replacement) {
			l.alert("queue damaged", fmt.Sprintf("the queue file could not be used and is kept as %s: %s; %d events were rescued; %s",
				r.Old, r.Reason, r.Rescued, l.remedy("")))
			l.wake()
		},
	}
}

func (l *losses) wake() {
	select {
	case l.fresh <- struct{}{}:
	default:
	}
}

// remedy says what becomes of the rows of a pair; the names of pairs that are not
// configured stand for all.
func (l *losses) remedy(pair string) string {
	var unswept []string
	pairs := l.config.Pairs()
	all := !slices.ContainsFunc(pairs, func(p config.Pair) bool { return p.Name == pair })
	for _, p := range pairs {
		if (all || p.Name == pair) && !p.Source.Sweep {
			unswept = append(unswept, p.Name)
		}
	}
	switch {
	case l.once:
		return "run cupid-master -once again to find what was lost"
	case len(unswept) > 0:
		return "only a sweep finds what was lost, and src.sweep is off for " + strings.Join(unswept[:min(len(unswept), 10)], ", ") + ": run cupid-master -once"
	case all:
		return "all tables are swept anew"
	}
	return "its table is swept anew"
}

// beside runs an actor, and tells of losses meanwhile.
func (l *losses) beside(run func(context.Context) error, q *queue.Queue) func(context.Context) error {
	return func(ctx context.Context) error {
		telling, stop := context.WithCancel(ctx)
		var wg sync.WaitGroup
		wg.Go(func() { l.run(telling, q) })
		err := run(ctx)
		stop()
		wg.Wait()
		return err
	}
}

func (l *losses) run(ctx context.Context, q *queue.Queue) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-l.fresh:
		}
		lost, err := q.Lost(ctx)
		if err == nil && len(lost) > 0 {
			err = l.tell(ctx, l.named(lost))
		}
		if err != nil && ctx.Err() == nil {
			l.log.Error().Err(err).Msg("lost events could not be told of; they are told of at the next start")
		}
	}
}

// named puts groups that are no pair under the empty name, which stands for all pairs.
func (l *losses) named(lost map[string]time.Time) map[string]time.Time {
	pairs := map[string]time.Time{}
	known := map[string]bool{}
	for _, p := range l.config.Pairs() {
		known[p.Name] = true
	}
	for group, at := range lost {
		if !known[group] {
			group = ""
		}
		if at.After(pairs[group]) {
			pairs[group] = at
		}
	}
	return pairs
}
