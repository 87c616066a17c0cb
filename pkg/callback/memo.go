package callback

import (
	"context"
	"maps"
	"sync"
	"time"
)

// memoEvery is how often figures are saved that change all the time, and how often a
// save is tried that has failed.
const memoEvery = 10 * time.Second

// memo saves what is known of URLs and storms, so that a worker that starts anew does
// not begin with a burst at a receiver that is down or a storm's, and what was spent of
// the budgets of orphans, so that it does not begin with whole ones.
type memo struct {
	worker *Worker
	kick   chan struct{} // one: something has changed

	mu     sync.Mutex // guards all below; lanes save, too, and the Memory is called by one at a time
	saved  Memo
	failed bool // it was said that it cannot be saved
}

func newMemo(w *Worker) *memo { return &memo{worker: w, kick: make(chan struct{}, 1)} }

// changed does not wait.
func (m *memo) changed() {
	select {
	case m.kick <- struct{}{}:
	default:
	}
}

// restore takes up what was saved, before anything is posted. What cannot be read is
// found out anew, but for the budgets: what may have been spent is taken for spent.
func (m *memo) restore() {
	if m.worker.config.Memory == nil {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	was, err := m.worker.config.Memory.Load()
	if err != nil {
		m.worker.config.Log.Error().Err(err).Msg("which URLs were down is not known, and is found out anew; orphans wait for an hour")
	}
	m.saved = was
	now := time.Now()
	seen := map[*Gate]bool{}
	for name, l := range m.worker.lanes {
		if g, ok := was.Gates[l.dest.GateID]; ok && !seen[l.dest.Gate] {
			seen[l.dest.Gate] = true
			l.dest.Gate.resume(g, now)
		}
		l.mu.Lock()
		if s, ok := was.Storms[name]; ok {
			l.storm.resume(s)
		}
		maps.Copy(l.budget.spent, was.Deletes[name])
		if err != nil {
			l.budget.exhaust(now)
		}
		l.mu.Unlock()
	}
}

// run saves what changes until ctx is done, and then a last time.
func (m *memo) run(ctx context.Context) {
	tick := time.NewTicker(memoEvery)
	defer tick.Stop()
	for {
		// A failure is said by save, and is tried again with the next tick.
		select {
		case <-ctx.Done():
			_ = m.save()
			return
		case <-m.kick:
		case <-tick.C:
		}
		_ = m.save()
	}
}

// save writes what is known when that is not what was written last; it is durable when
// it returns nil. Safe for concurrent use: who comes while another one saves finds that
// it is written already, or writes what has come since.
func (m *memo) save() error {
	if m.worker.config.Memory == nil {
		return nil
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	now := m.worker.memorable()
	if unchanged(now, m.saved) {
		return nil
	}
	if err := m.worker.config.Memory.Save(now); err != nil {
		if !m.failed {
			m.failed = true
			m.worker.config.Log.Error().Err(err).Msg("which URLs are down could not be written down; it is tried again, and no orphan is called back before")
		}
		return err
	}
	m.saved, m.failed = now, false
	return nil
}

// memorable is what a restart must not forget.
func (w *Worker) memorable() Memo {
	m := Memo{Gates: map[string]GateMemo{}, Storms: map[string]StormStatus{}, Deletes: map[string]map[int64]int{}}
	now := time.Now()
	for name, l := range w.lanes {
		if g, down := l.dest.Gate.memo(); down && l.dest.GateID != "" {
			m.Gates[l.dest.GateID] = g
		}
		if s := l.status().Storm; s != nil {
			m.Storms[name] = *s
		}
		if spent := l.spent(now); len(spent) > 0 {
			m.Deletes[name] = spent
		}
	}
	return m
}

func unchanged(a, b Memo) bool {
	return maps.Equal(a.Gates, b.Gates) && maps.Equal(a.Storms, b.Storms) && maps.EqualFunc(a.Deletes, b.Deletes, maps.Equal)
}
