package callback

import (
	"context"
	"maps"
	"time"
)

// memoEvery is how often figures are saved that change all the time, and how often a
// save is tried that has failed.
const memoEvery = 10 * time.Second

// memo saves what is known of URLs and storms, so that a worker that starts anew does
// not begin with a burst at a receiver that is down or a storm's.
type memo struct {
	worker *Worker
	kick   chan struct{} // one: something has changed
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
// found out anew.
func (m *memo) restore() {
	if m.worker.config.Memory == nil {
		return
	}
	was, err := m.worker.config.Memory.Load()
	if err != nil {
		m.worker.config.Log.Error().Err(err).Msg("which URLs were down is not known; it is found out anew")
	}
	m.saved = was
	now := time.Now()
	seen := map[*Gate]bool{}
	for name, l := range m.worker.lanes {
		if g, ok := was.Gates[l.dest.GateID]; ok && !seen[l.dest.Gate] {
			seen[l.dest.Gate] = true
			l.dest.Gate.resume(g, now)
		}
		if s, ok := was.Storms[name]; ok {
			l.mu.Lock()
			l.storm.resume(s)
			l.mu.Unlock()
		}
	}
}

// run saves what changes until ctx is done, and then a last time.
func (m *memo) run(ctx context.Context) {
	if m.worker.config.Memory == nil {
		return
	}
	tick := time.NewTicker(memoEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			m.save()
			return
		case <-m.kick:
		case <-tick.C:
		}
		m.save()
	}
}

// save writes what is known when that is not what was written last.
func (m *memo) save() {
	now := Memo{Gates: map[string]GateMemo{}, Storms: map[string]StormStatus{}}
	for name, l := range m.worker.lanes {
		if g, down := l.dest.Gate.memo(); down && l.dest.GateID != "" {
			now.Gates[l.dest.GateID] = g
		}
		if s := l.status().Storm; s != nil {
			now.Storms[name] = *s
		}
	}
	if unchanged(now, m.saved) {
		return
	}
	if err := m.worker.config.Memory.Save(now); err != nil {
		if !m.failed {
			m.failed = true
			m.worker.config.Log.Error().Err(err).Msg("which URLs are down could not be written down; it is tried again")
		}
		return
	}
	m.saved, m.failed = now, false
}

func unchanged(a, b Memo) bool { return maps.Equal(a.Gates, b.Gates) && maps.Equal(a.Storms, b.Storms) }
