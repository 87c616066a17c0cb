package logfile

import (
	"io"
	"os"
	"sync"
	"time"

	"github.com/rs/zerolog"
	"golang.org/x/sys/unix"
)

const (
	// sideLines is the queue of a side: enough for a burst, and bounded.
	sideLines = 256

	// closeWait is how long Close waits for a side that has lines left. All of cupid has to stop within 1.5 s.
	closeWait = 200 * time.Millisecond
)

// consoleWriter returns what writes lines for people to w, nil when w is not to have any.
func consoleWriter(w io.Writer) io.Writer {
	if w == nil {
		return nil
	}
	file, isFile := w.(*os.File)
	if isFile && !isTerminal(file) {
		return nil
	}
	return zerolog.ConsoleWriter{Out: w, NoColor: !isFile, TimeFormat: "15:04:05.000"}
}

// isTerminal says whether file is a terminal.
func isTerminal(file *os.File) bool {
	if file == nil {
		return false
	}
	raw, err := file.SyscallConn()
	if err != nil {
		return false
	}
	terminal := false
	err = raw.Control(func(fd uintptr) {
		_, err := unix.IoctlGetTermios(int(fd), unix.TCGETS)
		terminal = err == nil
	})
	return err == nil && terminal
}

// side is a writer that never makes its callers wait. A nil side takes everything and writes nothing.
type side struct {
	mu     sync.Mutex // guards closed, and lines against being closed under a put
	closed bool
	lines  chan []byte
	done   chan struct{}
}

// newSide starts the goroutine that writes to w; close ends it.
func newSide(w io.Writer) *side {
	s := &side{lines: make(chan []byte, sideLines), done: make(chan struct{})}
	go func() {
		defer close(s.done)
		for line := range s.lines {
			_, _ = w.Write(line) // whoever reads a terminal sees that nothing comes
		}
	}()
	return s
}

// put queues a line, or drops it when the queue is full or closed. It keeps line.
func (s *side) put(line []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return
	}
	select {
	case s.lines <- line:
	default:
	}
}

// Write queues a copy of line, which belongs to zerolog.
func (s *side) Write(line []byte) (int, error) {
	s.put(append([]byte(nil), line...))
	return len(line), nil
}

// close waits until the lines are written, or closeWait. A goroutine that hangs in a write is left behind then.
func (s *side) close() {
	if s == nil {
		return
	}
	s.mu.Lock()
	if !s.closed {
		s.closed = true
		close(s.lines)
	}
	s.mu.Unlock()
	late := time.NewTimer(closeWait)
	defer late.Stop()
	select {
	case <-s.done:
	case <-late.C:
	}
}
