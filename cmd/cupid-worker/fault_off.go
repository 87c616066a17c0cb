//go:build !faults

package main

import "github.com/masixun71/cupid/pkg/failpoint"

// step says that the worker's own loop got on.
func (w *worker) step() {
	failpoint.Reach("step") // anywhere
	w.session.Step()
}
