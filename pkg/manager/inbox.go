package manager

import (
	"sync"
	"time"

	"github.com/masixun71/cupid/pkg/chunk"
)

// inbox is what a lane is told about the chunks it has given out, and of rows that are
// given back. Whoever tells never waits: a source that hangs must not hold up the goroutine that reads the
// master's frames for all pairs. It holds no more than the lane has out.
type inbox struct {
	mu      sync.Mutex // guards all but wake
	results []chunk.Result
	crashed []chunk.Chunk
	retries []SetAside    // rows that are given back
	lost    time.Time     // when events of the pair were lost last
	wake    chan struct{} // holds one token when there may be something
}

// put adds what is not nil.
func (b *inbox) put(r *chunk.Result, c *chunk.Chunk) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if r != nil {
		b.results = append(b.results, *r)
	}
	if c != nil {
		b.crashed = append(b.crashed, *c)
	}
	wake(b.wake)
}

// lose notes that events of the pair were lost.
func (b *inbox) lose(at time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if at.After(b.lost) {
		b.lost = at
	}
	wake(b.wake)
}

// lostAt is when events of the pair were lost last, zero for never.
func (b *inbox) lostAt() time.Time {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.lost
}

// again adds a row that is given back.
func (b *inbox) again(s SetAside) {
	b.mu.Lock()
	b.retries = append(b.retries, s)
	b.mu.Unlock()
	wake(b.wake)
}

// take empties the inbox.
func (b *inbox) take() (results []chunk.Result, crashed []chunk.Chunk, retries []SetAside) {
	b.mu.Lock()
	defer b.mu.Unlock()
	results, crashed, retries = b.results, b.crashed, b.retries
	b.results, b.crashed, b.retries = nil, nil, nil
	return results, crashed, retries
}
