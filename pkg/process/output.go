package process

import (
	"bytes"
	"fmt"
	"sync"
)

const (
	// maxLineBytes is where a line is cut; a stack of one goroutine fits many times.
	maxLineBytes = 64 << 10
	// maxQueuedBytes is how much output waits for a slow receiver before lines are dropped.
	maxQueuedBytes = 1 << 20
)

// output turns what a child writes into lines and hands them to a receiver. Write never waits for the receiver: a
// child whose pipe is not read stands still after 64 KiB, and a log must not stop a worker.
type output struct {
	receive func(string)
	rest    []byte // an unfinished line; belongs to Write
	cut     int    // bytes of it that were thrown away

	mu      sync.Mutex // guards all below
	lines   []string
	bytes   int
	dropped int
	closed  bool
	wake    *sync.Cond
}

func newOutput(receive func(string)) *output {
	o := &output{receive: receive}
	o.wake = sync.NewCond(&o.mu)
	if receive != nil {
		go o.deliver() // ends after close, when all is delivered
	}
	return o
}

// Write takes all of p and never fails.
func (o *output) Write(p []byte) (int, error) {
	if o.receive == nil {
		return len(p), nil
	}
	for rest := p; len(rest) > 0; {
		line, after, whole := bytes.Cut(rest, []byte("\n"))
		keep := min(len(line), maxLineBytes-len(o.rest))
		o.rest = append(o.rest, line[:keep]...)
		o.cut += len(line) - keep
		if whole {
			o.endLine()
		}
		rest = after
	}
	return len(p), nil
}

func (o *output) endLine() {
	line := string(bytes.TrimSuffix(o.rest, []byte("\r")))
	if o.cut > 0 {
		line += fmt.Sprintf(" [%d bytes cut]", o.cut)
	}
	o.rest, o.cut = o.rest[:0], 0
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.bytes+len(line) > maxQueuedBytes {
		o.dropped++
		return
	}
	o.lines = append(o.lines, line)
	o.bytes += len(line)
	o.wake.Signal()
}

// close ends the output. A last line without an end is a line, too.
func (o *output) close() {
	if len(o.rest) > 0 {
		o.endLine()
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.closed = true
	o.wake.Signal()
}

func (o *output) deliver() {
	for {
		lines, ended := o.next()
		for _, line := range lines {
			o.receive(line)
		}
		if ended {
			return
		}
	}
}

func (o *output) next() (lines []string, ended bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for len(o.lines) == 0 && o.dropped == 0 && !o.closed {
		o.wake.Wait()
	}
	lines = o.lines
	if o.dropped > 0 {
		lines = append(lines, fmt.Sprintf("[%d lines dropped]", o.dropped))
	}
	o.lines, o.bytes, o.dropped = nil, 0, 0
	return lines, o.closed
}
