package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"sync"
	"syscall"
	"time"
)

// spoolBytes is how much of a spool is in memory.
const spoolBytes = 1 << 20

// spool holds bytes for somebody who takes them at his own pace. Whoever adds some does not
// wait for him: what is more than spoolBytes is in a file without a name, which is as large
// as what is behind at most since the reader last had everything.
type spool struct {
	dir string // of the file; empty: the spool is in memory alone, and its user bounds it

	mu       sync.Mutex // guards all below
	more     sync.Cond  // of mu: there is something to read, or the end
	memory   []byte     // comes before what is in the file
	file     *os.File   // nil until memory was full
	from, to int64      // what is in the file
	ended    bool
}

func newSpool(dir string) *spool {
	s := &spool{dir: dir}
	s.more.L = &s.mu
	return s
}

// Write adds bytes.
func (s *spool) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	defer s.more.Signal()
	if s.dir == "" || s.from == s.to && len(s.memory)+len(b) <= spoolBytes {
		s.memory = append(s.memory, b...)
		return len(b), nil
	}
	if s.file == nil {
		f, err := os.CreateTemp(s.dir, ".unread-")
		if err != nil {
			return 0, err
		}
		if err := os.Remove(f.Name()); err != nil { // the file goes with its last user, whatever becomes of this process
			return 0, errors.Join(err, f.Close())
		}
		s.file = f
	}
	n, err := s.file.WriteAt(b, s.to)
	s.to += int64(n)
	return n, err
}

// Read waits for bytes, and ends in io.EOF when all were read after the end.
func (s *spool) Read(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(s.memory) == 0 && s.from == s.to && !s.ended {
		s.more.Wait()
	}
	switch {
	case len(s.memory) > 0:
		n := copy(b, s.memory)
		s.memory = append(s.memory[:0], s.memory[n:]...)
		return n, nil
	case s.from == s.to:
		return 0, io.EOF
	}
	n, err := s.file.ReadAt(b[:min(int64(len(b)), s.to-s.from)], s.from)
	if s.from += int64(n); s.from == s.to {
		s.from, s.to = 0, 0
		err = errors.Join(err, s.file.Truncate(0))
	}
	return n, err
}

// end says that nothing more is added.
func (s *spool) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ended = true
	s.more.Signal()
}

// unread is how many bytes nobody has taken.
func (s *spool) unread() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return int64(len(s.memory)) + s.to - s.from
}

// close gives the file up.
func (s *spool) close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.file == nil {
		return nil
	}
	return s.file.Close()
}

// relay writes what it is given by a goroutine of its own, so that nobody else waits for
// whoever reads it.
type relay struct {
	*spool
	over chan struct{} // closed when all is written, or nothing can be any more
	err  error         // why it cannot; set before over is closed
}

var (
	errSlowReader = errors.New("its reader does not read")
	errReaderGone = errors.New("nobody reads it any more")
	errNoReader   = errors.New("nobody reads it")
)

// newRelay writes to what open opens. What waits is kept in dir, or, without one, in memory
// alone. broken, when set, hears of the first error at once.
func newRelay(dir string, open func() (io.Writer, error), broken func(error)) *relay {
	r := &relay{spool: newSpool(dir), over: make(chan struct{})}
	go func() { // it may be in a write for ever, so nobody waits for it but close, and that not for ever
		out, err := open()
		if err == nil {
			_, err = io.Copy(out, r.spool)
		}
		if path, ok := errors.AsType[*fs.PathError](err); ok {
			err = path.Err // who reads of it may know what is written to under another name
		}
		if errors.Is(err, syscall.EPIPE) {
			err = errReaderGone
		}
		r.err = err
		close(r.over)
		if err != nil && broken != nil {
			broken(err)
		}
	}()
	return r
}

// failed is why nothing can be written any more; nil when it can, or is not known yet.
func (r *relay) failed() error {
	select {
	case <-r.over:
		return r.err
	default:
		return nil
	}
}

// wait waits until all is written, after the last write and for so long at most. It reports
// whether nothing is left to wait for.
func (r *relay) wait(patience time.Duration) bool {
	r.end()
	t := time.NewTimer(patience)
	defer t.Stop()
	select {
	case <-r.over:
		return true
	case <-t.C:
		return false
	}
}

// fifoAsk is how often a named pipe is tried that has no reader.
const fifoAsk = 50 * time.Millisecond

// openFIFO opens a named pipe as soon as somebody reads it, and gives up with hurry. It is
// opened for writing alone: with an end to read from of its own, the master would not notice
// that the reader goes.
func openFIFO(name string, hurry <-chan struct{}) (*os.File, error) {
	tick := time.NewTicker(fifoAsk)
	defer tick.Stop()
	for {
		f, err := os.OpenFile(name, os.O_WRONLY|syscall.O_NONBLOCK, 0)
		if !errors.Is(err, syscall.ENXIO) {
			return f, err
		}
		select {
		case <-hurry:
			return nil, errNoReader
		case <-tick.C:
		}
	}
}

// lostError says that lines have not come to their reader. A run that goes on would not
// write them again, since their chunks are done.
type lostError struct {
	name string
	err  error
}

func (e *lostError) Error() string {
	return fmt.Sprintf("write %s: %v; what it has not taken is lost: begin anew, without -resume", e.name, e.err)
}

func (e *lostError) Unwrap() error { return e.err }
