//go:build !faults

package main

// step says that the worker's own loop got on.
func (w *worker) step() { w.session.Step() }
