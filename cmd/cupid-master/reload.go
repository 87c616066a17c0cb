package main

import (
	"context"
	"encoding/json"
	"errors"
	"sync"

	"github.com/masixun71/cupid/pkg/supervisor"
)

// reloads are the reloads that were asked for and have not begun. All that are asked for while one runs are one more: they get its result.
type reloads struct {
	wanted chan struct{} // one: a reload is wanted

	mu      sync.Mutex     // guards callers
	callers []chan<- error // each has room for its one answer
}

// want asks for a reload and waits for nothing.
func (r *reloads) want() {
	select {
	case r.wanted <- struct{}{}:
	default: // one is wanted already
	}
}

// wait asks for a reload and returns its result.
func (r *reloads) wait(ctx context.Context) error {
	answer := make(chan error, 1)
	r.mu.Lock()
	r.callers = append(r.callers, answer)
	r.mu.Unlock()
	r.want()
	select {
	case err := <-answer:
		return err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// run does the reloads that are wanted, one at a time, until ctx is done.
func (r *reloads) run(ctx context.Context, reload func(context.Context) error) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-r.wanted:
		}
		r.mu.Lock()
		callers := r.callers
		r.callers = nil
		r.mu.Unlock()
		err := reload(ctx)
		for _, answer := range callers {
			answer <- err
		}
	}
}

// reload reads the configuration again and renews the workers. On any fault
// nothing is touched.
func (m *master) reload(ctx context.Context) error {
	if m.once != nil {
		m.log.Warn().Msg("not reloaded: a run with -once keeps the configuration that it began with")
		return errors.New("this is a run with -once, which keeps the configuration that it began with")
	}
	m.log.Info().Msg("reload begins")
	notifySystemd("RELOADING=1")
	err := m.tryReload(ctx)
	notifySystemd("READY=1")
	if err != nil {
		m.log.Error().Err(err).Msg("reload failed; cupid goes on as it was")
		return err
	}
	m.log.Info().Msg("reload is done")
	return nil
}

func (m *master) tryReload(ctx context.Context) error {
	next, err := load(m.options)
	if err != nil {
		return err
	}
	// In the end one of the two is not used any more.
	now := m.current(next)
	defer func() {
		if m.current(next) == next {
			now.close()
		} else {
			next.close()
		}
	}()
	if next.stateDir != now.stateDir {
		return &setupError{errors.New("cacheFilePath cannot change while cupid runs: stop it and start it again")}
	}
	if err := next.makeDirs(); err != nil {
		return err
	}
	if err := next.preflight(ctx, next.checkDatabases, none, m.warn); err != nil {
		return err
	}
	m.swap(next)
	err = m.pool.Reload(ctx, supervisor.Update{
		Slots: m.slots(next.config), Payload: func(int) json.RawMessage { return next.orders },
		Starter: m.starter(next),
	})
	if err != nil {
		m.swap(now)
	}
	return err
}

func (m *master) swap(s *setup) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.setup = s
}
