package main

import (
	"context"
	"encoding/json"
	"errors"

	"github.com/masixun71/cupid/pkg/supervisor"
)

// reloadWhenWanted does the reloads that signals ask for, one at a time: many
// signals in a burst are one reload more.
func (m *master) reloadWhenWanted(ctx context.Context, reloads <-chan struct{}) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-reloads:
			_ = m.reload(ctx) // it is logged
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
	next, err := load(ctx, m.options)
	if err != nil {
		return err
	}
	m.mu.Lock()
	now := m.setup
	m.mu.Unlock()
	if next.stateDir != now.stateDir {
		return &setupError{errors.New("cacheFilePath cannot change while cupid runs: stop it and start it again")}
	}
	if err := next.makeDirs(); err != nil {
		return err
	}
	if err := next.preflight(ctx, m.warn); err != nil {
		return err
	}
	m.swap(next)
	err = m.pool.Reload(ctx, supervisor.Update{
		Slots: slots(next.config.WorkerNumber), Payload: func(int) json.RawMessage { return next.orders },
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
