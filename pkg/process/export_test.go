package process

import "io"

// NewOutput and CloseOutput open the cutting of lines to its tests.
func NewOutput(receive func(string)) io.Writer { return newOutput(receive) }

func CloseOutput(w io.Writer) { w.(*output).close() }
