package manager

import (
	"sync"

	"github.com/masixun71/cupid/pkg/chunk"
)

// inbox is what a lane is told about the chunks it has given out. Whoever tells
// never waits: a source that hangs must not hold up the goroutine that reads the
// master's frames for all pairs. It holds no more than the lane has out.
type inbox struct {
	mu      sync.Mutex // guards results and crashed
	results []chunk.Result
	crashed []chunk.Chunk
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
	select {
	case b.wake <- struct{}{}:
	default:
	}
}

// take empties the inbox.
func (b *inbox) take() ([]chunk.Result, []chunk.Chunk) {
	b.mu.Lock()
	defer b.mu.Unlock()
	results, crashed := b.results, b.crashed
	b.results, b.crashed = nil, nil
	return results, crashed
}
