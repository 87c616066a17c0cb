package task

import (
	"sync"
	"time"
)

// stalled counts the chunks that wait, and so leave their places in the worker's hands to
// others: for a database for longer than after, for the settle time, or until their
// events are durable. Safe for concurrent use.
type stalled struct {
	changed chan struct{} // one: there is one more

	mu           sync.Mutex    // guards all below
	after        time.Duration // see stallAfter
	n            int           // those that wait for a database
	chunks, rows int           // of those that wait with suspects
}

// count is how many wait for a database.
func (s *stalled) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.n
}

// free is how many places are left to others.
func (s *stalled) free() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return min(s.n, maxStalled) + s.chunks
}

// lend leaves the place of a chunk that has so many suspects or events to others, until
// what it returns is called. It does not when too many do that already.
func (s *stalled) lend(rows int) (end func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.chunks >= maxLent || s.rows+rows > maxLentRows {
		return func() {}
	}
	s.chunks++
	s.rows += rows
	s.more()
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.chunks--
		s.rows -= rows
	}
}

// more tells the worker that there is a place more.
func (s *stalled) more() {
	select {
	case s.changed <- struct{}{}:
	default:
	}
}

func (s *stalled) waits(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.n += n; n > 0 {
		s.more()
	}
}

// waitFor sets after.
func (s *stalled) waitFor(after time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.after = after
}

// begin is called before something that may wait, and what it returns after it.
func (s *stalled) begin() (end func()) {
	s.mu.Lock()
	after := s.after
	s.mu.Unlock()
	timer := time.AfterFunc(after, func() { s.waits(1) })
	return func() {
		if !timer.Stop() {
			s.waits(-1)
		}
	}
}
