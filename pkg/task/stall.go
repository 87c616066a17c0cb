package task

import (
	"sync/atomic"
	"time"
)

// stalled counts the chunks that wait for longer than stallAfter. Safe for concurrent
// use.
type stalled struct {
	n       atomic.Int32
	changed chan struct{} // one: there is one more
}

func (s *stalled) count() int { return int(s.n.Load()) }

// begin is called before something that may wait, and what it returns after it.
func (s *stalled) begin() (end func()) {
	timer := time.AfterFunc(stallAfter, func() {
		s.n.Add(1)
		select {
		case s.changed <- struct{}{}:
		default:
		}
	})
	return func() {
		if !timer.Stop() {
			s.n.Add(-1)
		}
	}
}
