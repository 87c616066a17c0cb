package main

import (
	"github.com/masixun71/cupid/pkg/row"
	"github.com/masixun71/cupid/pkg/table"
)

// LogValue is a value for the log of a pair that has read nothing.
func LogValue(b *row.Batch, i, column int) string {
	return (&pair{masked: make([]bool, column+1)}).LogValue(b, i, column)
}

// Pair is the pair of a task worker.
type Pair = pair

// NewPair is the pair of a table's.
func NewPair(p *table.Pair) *Pair { return &pair{Pair: p, masked: make([]bool, len(p.Columns()))} }
