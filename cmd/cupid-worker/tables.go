package main

import (
	"errors"
	"sync"

	"github.com/masixun71/cupid/pkg/config"
	"github.com/masixun71/cupid/pkg/table"
)

// tables are both sides of the pairs, by name, and what they share. The zero value has none.
type tables struct {
	servers table.Servers

	mu    sync.Mutex // guards pairs
	pairs map[string]*table.Pair
}

// pair is the tables of one pair.
func (t *tables) pair(c *config.Config, p config.Pair) *table.Pair {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.pairs == nil {
		t.pairs = map[string]*table.Pair{}
	}
	if t.pairs[p.Name] == nil {
		t.pairs[p.Name] = table.NewPair(pairOptions(c, p, sweepConns, &t.servers))
	}
	return t.pairs[p.Name]
}

// close closes all connections. Nil has none.
func (t *tables) close() error {
	if t == nil {
		return nil
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	var all error
	for _, p := range t.pairs {
		all = errors.Join(all, p.Close())
	}
	t.pairs = nil
	return all
}
