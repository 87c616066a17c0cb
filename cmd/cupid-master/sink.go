package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"time"
)

const (
	// standardOutput as a file name means standard output.
	standardOutput = "-"
	// sinkPatience is how long a reader of a pipe may take when the run is to end:
	// within the 1.5 s of a stop.
	sinkPatience = 200 * time.Millisecond
	// sinkQuiet is how long a reader is waited for before a person is told.
	sinkQuiet = time.Second
	// tailBytes is how much of a file is read to find its last line.
	tailBytes = 8 << 20
)

// sink is a file that lines are added to. A line for a regular file is with the
// kernel when write returns, so a kill of the process does not take it away. One for a
// pipe or a terminal waits beside the master's work, which never waits for a reader.
type sink struct {
	name  string
	out   io.Writer // of a regular file
	file  *os.File  // nil: not ours to close
	relay *relay    // nil: lines are written at once
	err   error     // the first of out
}

// around is what sinks have around them.
type around struct {
	stdout, stderr io.Writer
	dir            string          // where what is unread may be kept
	hurry          <-chan struct{} // closed when the run is to end: no reader is waited for any more
	broken         func(error)     // hears when a reader is gone
}

// target is where lines are to go, opened and not changed yet.
type target struct {
	flag, name string // as on the command line
	standard   bool   // it is standard output, under whatever name
	out        io.Writer
	file       *os.File    // nil: not ours to close
	info       fs.FileInfo // nil: out is no file
}

// infoOf is what is known of a file; nil when it is none, or closed.
func infoOf(w io.Writer) fs.FileInfo {
	f, ok := w.(*os.File)
	if !ok {
		return nil
	}
	info, err := f.Stat()
	if err != nil {
		return nil
	}
	return info
}

// same reports whether two files are one, under whatever names.
func same(a, b fs.FileInfo) bool { return a != nil && b != nil && os.SameFile(a, b) }

// openTarget opens what a name stands for, or makes a file that is readable by its owner
// alone. A named pipe is left to its sink: only a reader can open it.
func openTarget(flag, name string, stdout io.Writer) (_ *target, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("%s: %w", flag, err)
		}
	}()
	std := &target{flag: flag, name: name, standard: true, out: stdout, info: infoOf(stdout)}
	if name == standardOutput {
		return std, nil
	}
	info, err := os.Stat(name)
	switch {
	case err != nil: // opening it says why, or makes it
	case same(info, std.info): // which may be appended to, and has a place of its own in the file
		return std, nil
	case info.Mode()&fs.ModeNamedPipe != 0:
		return &target{flag: flag, name: name, info: info}, nil
	}
	f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o600)
	if errors.Is(err, fs.ErrPermission) { // only for writing
		f, err = os.OpenFile(name, os.O_WRONLY, 0)
	}
	if err != nil {
		return nil, err
	}
	t := &target{flag: flag, name: name, out: f, file: f}
	if t.info, err = f.Stat(); err != nil {
		return nil, errors.Join(err, t.close())
	}
	return t, nil
}

// distinct refuses files in which something else stands, or is written by others.
func distinct(targets []*target, config string, stderr fs.FileInfo) error {
	clash := func(t *target, other string) error {
		return &usageError{fmt.Sprintf("%s %s and %s are the same file", t.flag, t.name, other)}
	}
	configured, err := os.Stat(config)
	if err != nil {
		return err
	}
	for i, t := range targets {
		switch {
		case same(t.info, configured):
			return clash(t, "-config "+config)
		case t.regular() && !t.standard && same(t.info, stderr):
			return clash(t, "standard error")
		case i > 0 && (same(t.info, targets[0].info) || t.standard && targets[0].standard):
			return clash(targets[0], t.flag+" "+t.name)
		}
	}
	return nil
}

func (t *target) regular() bool { return t.info != nil && t.info.Mode().IsRegular() }

func (t *target) close() error {
	if t.file == nil {
		return nil
	}
	return t.file.Close()
}

// sink begins to write. With resume what a file has is kept, but for a torn last line and a
// summary.
func (t *target) sink(resume bool, by around) (*sink, error) {
	s := &sink{name: t.name, out: t.out, file: t.file}
	if t.standard {
		s.name = "standard output"
	}
	switch {
	case t.out == nil:
		s.pass(by, func() (io.Writer, error) {
			f, err := openFIFO(t.name, by.hurry)
			s.file = f
			return f, err
		})
	case !t.regular():
		s.pass(by, func() (io.Writer, error) { return t.out, nil })
	case t.file != nil: // else what is there is not ours
		if err := keep(t.file, t.info.Size(), resume); err != nil {
			return nil, fmt.Errorf("%s: %w", t.flag, err)
		}
	}
	return s, nil
}

// pass has what is written passed on to a reader.
func (s *sink) pass(by around, open func() (io.Writer, error)) {
	s.relay = newRelay(by.dir, open, func(err error) { by.broken(&lostError{s.name, err}) })
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

// write adds lines. The first error stays, and every later write and close return it.
func (s *sink) write(b []byte) error {
	if s.relay == nil {
		if s.err == nil {
			_, err := s.out.Write(b)
			s.fail(err)
		}
		return s.err
	}
	err := s.relay.failed()
	if err == nil {
		_, err = s.relay.Write(b)
	}
	if err != nil {
		return &lostError{s.name, err}
	}
	return nil
}

func (s *sink) fail(err error) {
	if s.err == nil && err != nil {
		s.err = fmt.Errorf("write %s: %w", s.name, err)
	}
}

// close writes what waits, syncs a file and closes it. It is called after the last
// write. It waits for a reader until hurry is closed, and for sinkPatience after that; waits
// hears when that takes a while.
func (s *sink) close(hurry <-chan struct{}, waits func(name string)) error {
	if s.relay != nil {
		if err := s.awaitReader(hurry, waits); err != nil {
			return &lostError{s.name, err}
		}
		return nil
	}
	if s.file != nil {
		if s.err == nil {
			s.fail(s.file.Sync())
		}
		s.fail(s.file.Close())
	}
	return s.err
}

func (s *sink) awaitReader(hurry <-chan struct{}, waits func(name string)) error {
	s.relay.end()
	quiet := time.NewTimer(sinkQuiet)
	defer quiet.Stop()
	for over := false; !over; {
		select {
		case <-s.relay.over:
			over = true
		case <-hurry:
			if over = s.relay.wait(sinkPatience); !over {
				return errSlowReader
			}
		case <-quiet.C:
			waits(s.name)
		}
	}
	if s.file != nil {
		_ = s.file.Close() // of a pipe, that has everything
	}
	return errors.Join(s.relay.err, s.relay.close())
}
