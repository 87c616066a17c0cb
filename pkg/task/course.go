package task

import "sync"

const (
	// manyDiffer is after how many chunks in a row that were not equal the next is taken
	// not to be either.
	manyDiffer = 3
	// trySums is every how many of these chunks is found out whether they are again.
	trySums = 16
)

// course decides whether a chunk is begun with a checksum of the whole of it. That
// costs least where the sides are equal, and is for nothing where chunk after chunk
// differs. The zero value begins with checksums. It is safe for concurrent use.
type course struct {
	mu    sync.Mutex // guards state
	state courseState
}

// courseState is what a course decides from.
type courseState struct {
	differing int // chunks in a row
	without   int // chunks that were begun without a checksum since one was
}

// sums reports whether a chunk is begun with its checksum.
func (s courseState) sums() bool { return s.differing < manyDiffer || s.without >= trySums-1 }

// after is the state after a chunk that was begun with sums, or without, and found to be equal or not.
func (s courseState) after(sums, equal bool) courseState {
	switch {
	case equal:
		return courseState{}
	case sums:
		return courseState{differing: min(s.differing+1, manyDiffer)}
	}
	return courseState{s.differing, s.without + 1}
}

func (c *course) sums() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.state.sums()
}

func (c *course) saw(sums, equal bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.state = c.state.after(sums, equal)
}
