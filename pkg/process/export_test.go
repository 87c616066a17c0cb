package process

import (
	"context"
	"io"
)

// Probe opens and probes the worker binary at path.
func Probe(ctx context.Context, path string, protocol int) (Version, error) {
	b, err := OpenBinary(path)
	if err != nil {
		return Version{}, err
	}
	defer func() { _ = b.Close() }()
	return b.Probe(ctx, protocol)
}

// Reap opens one look of the reaper to a process that is not process 1.
func Reap(parent int) { reap(parent) }

// NewOutput and CloseOutput open the cutting of lines to its tests.
func NewOutput(receive func(string)) io.Writer { return newOutput(receive) }

func CloseOutput(w io.Writer) { w.(*output).close() }
