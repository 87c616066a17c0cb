package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"time"
)

const (
	// standardOutput as a file name means standard output.
	standardOutput = "-"
	// sinkLines is how many lines may wait for a reader of a pipe.
	sinkLines = 1024
	// sinkPatience is how long a reader of a pipe may take when the run is to end:
	// within the 1.5 s of a stop.
	sinkPatience = 300 * time.Millisecond
	// tailBytes is how much of a file is read to find its last line.
	tailBytes = 8 << 20
)

// sink is a file that lines are added to. A line for a regular file is with the
// kernel when write returns, so a kill of the process does not take it away; one for a
// pipe waits for the reader beside the master's work, which must not stand still for
// it.
type sink struct {
	name  string
	out   io.Writer
	file  *os.File    // nil: not ours to close
	lines chan []byte // nil: lines are written at once
	ended chan struct{}
	stop  chan struct{} // closed when the run is to end

	mu  sync.Mutex // guards err
	err error      // the first
}

var errSlowReader = errors.New("its reader does not read")

// openSink makes the file, readable by its owner alone. With resume what is there is
// kept, but for a torn last line and a summary.
func openSink(name string, stdout io.Writer, resume bool) (*sink, error) {
	s := &sink{name: name, out: stdout}
	if name != standardOutput {
		f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o600)
		if errors.Is(err, os.ErrPermission) || errors.Is(err, os.ErrInvalid) { // a pipe that is only for writing
			f, err = os.OpenFile(name, os.O_WRONLY, 0)
		}
		if err != nil {
			return nil, err
		}
		s.out, s.file = f, f
	}
	if f, ok := s.out.(*os.File); ok {
		info, err := f.Stat()
		if err != nil {
			return nil, errors.Join(err, s.close())
		}
		if info.Mode().IsRegular() {
			if s.file == nil {
				return s, nil // what is there is not ours
			}
			if err := keep(f, info.Size(), resume); err != nil {
				return nil, errors.Join(err, s.close())
			}
			return s, nil
		}
	}
	s.lines, s.ended, s.stop = make(chan []byte, sinkLines), make(chan struct{}), make(chan struct{})
	go s.pass()
	return s, nil
}

// keep cuts a file to what is to be kept of it, and goes to its end.
func keep(f *os.File, size int64, resume bool) error {
	end := int64(0)
	if resume {
		from := max(size-tailBytes, 0)
		tail, err := io.ReadAll(io.NewSectionReader(f, from, size-from))
		if err != nil {
			return err
		}
		tail = tail[:bytes.LastIndexByte(tail, '\n')+1]
		last := bytes.LastIndexByte(bytes.TrimSuffix(tail, []byte{'\n'}), '\n') + 1
		if bytes.HasPrefix(tail[last:], []byte(summaryStart)) {
			tail = tail[:last]
		}
		if end = from + int64(len(tail)); end == from && from > 0 {
			return errors.New("it does not end in a line of a report")
		}
	}
	if err := f.Truncate(end); err != nil {
		return err
	}
	_, err := f.Seek(end, io.SeekStart)
	return err
}

// write adds lines. The first error stays, and every later write returns it.
func (s *sink) write(b []byte) error {
	if err := s.failed(); err != nil {
		return err
	}
	if s.lines == nil {
		_, err := s.out.Write(b)
		return s.fail(err)
	}
	b = bytes.Clone(b)
	select {
	case s.lines <- b:
		return nil
	case <-s.stop:
	}
	t := time.NewTimer(sinkPatience)
	defer t.Stop()
	select {
	case s.lines <- b:
		return nil
	case <-t.C:
		return s.fail(errSlowReader)
	}
}

// pass writes what waits.
func (s *sink) pass() {
	defer close(s.ended)
	for b := range s.lines {
		if s.failed() == nil {
			_, err := s.out.Write(b)
			_ = s.fail(err)
		}
	}
}

func (s *sink) failed() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}

func (s *sink) fail(err error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err == nil && err != nil {
		s.err = fmt.Errorf("write %s: %w", s.name, err)
	}
	return s.err
}

// giveUp bounds every further wait for the reader of a pipe.
func (s *sink) giveUp() {
	if s.stop != nil {
		close(s.stop)
	}
}

// close writes what waits, syncs a file and closes it. It is called after the last
// write. What a reader has not taken within sinkPatience is lost, and said so.
func (s *sink) close() error {
	if s.lines != nil {
		close(s.lines)
		t := time.NewTimer(sinkPatience)
		defer t.Stop()
		select {
		case <-s.ended:
		case <-t.C:
			return s.fail(errSlowReader)
		}
	}
	if s.file == nil {
		return s.failed()
	}
	if s.lines == nil && s.failed() == nil {
		_ = s.fail(s.file.Sync())
	}
	_ = s.fail(s.file.Close())
	return s.failed()
}
