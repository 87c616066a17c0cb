package manager

import "sync"

// credit is what the task workers have room for: chunks that were asked for and not
// given yet, and chunks that were given and are not back. A share of it is kept from
// sweeps, so that a scan never waits until theirs are done.
type credit struct {
	mu     sync.Mutex // guards all below
	asked  int
	given  map[string]bool // by the id of the chunk; true is a sweep's
	sweeps int             // in given
}

// ask adds n chunks that are asked for.
func (c *credit) ask(n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.asked += n
}

// give takes note of a chunk that is given.
func (c *credit) give(id string, sweep bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.asked--
	c.given[id] = sweep
	if sweep {
		c.sweeps++
	}
}

// back takes note that the task workers do not have a chunk any more.
func (c *credit) back(id string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.given[id] {
		c.sweeps--
	}
	delete(c.given, id)
}

// room reports whether a scan may give a chunk now, and whether a sweep may. Sweeps
// have at most half of the room, rounded up.
func (c *credit) room() (scan, sweep bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.asked > 0, c.asked > 0 && c.sweeps < (c.asked+len(c.given)+1)/2
}
