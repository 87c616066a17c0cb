package task

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/masixun71/cupid/pkg/chunk"
)

// slowFailure is from when on a failed read counts as one that waited for a
// database: a timeout, and not a refused connection.
const slowFailure = time.Second

// reader is a pair with its own places for those who read it, so that a database
// that does not answer holds up nobody but its own chunks.
type reader struct {
	Pair
	places chan struct{}
	// How chunks of the sweep and those of the scans are begun.
	sweeps, inserts, updates course
	stalled                  *stalled

	mu       sync.Mutex // guards the fields below
	failures int        // slow ones
	err      error      // the last of them
}

func newReader(p Pair, s *stalled) *reader {
	return &reader{Pair: p, places: make(chan struct{}, readers), stalled: s}
}

// read takes a place for as long as f runs, which reads rows of c. When another read of the pair fails
// slowly meanwhile, it fails with it: a worker whose hands are full of chunks of
// one dead database would else wait for it once for each of them. Rows that are too large say
// nothing of the database, and nor does a chunk of one row, which may be one that cannot be read and
// is tried again and again.
func (r *reader) read(ctx context.Context, c chunk.Chunk, f func() error) error {
	defer r.stalled.begin()()
	before, _ := r.failed()
	select {
	case r.places <- struct{}{}:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	defer func() { <-r.places }()
	if now, err := r.failed(); now != before {
		return fmt.Errorf("not read, since another chunk of the pair could not be: %v", err) //nolint:errorlint // it is not this chunk's rows that could not be read
	}
	start := time.Now()
	err := f()
	_, _, large := tooLarge(err)
	if err != nil && !large && c.Rows != 1 && time.Since(start) >= slowFailure {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.failures++
		r.err = err
	}
	return err
}

func (r *reader) failed() (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.failures, r.err
}
