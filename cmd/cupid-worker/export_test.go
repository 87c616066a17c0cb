package main

import "github.com/masixun71/cupid/pkg/row"

// LogValue is a value for the log of a pair that has read nothing.
func LogValue(b *row.Batch, i, column int) string {
	return (&pair{masked: make([]bool, column+1)}).LogValue(b, i, column)
}
