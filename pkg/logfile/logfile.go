package logfile

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/rs/zerolog"
)

const (
	dateLayout = "2006-01-02"
	// timeLayout is RFC 3339 with milliseconds, which the console writer reads too.
	timeLayout = "2006-01-02T15:04:05.000Z07:00"

	openRetry    = time.Second // between attempts to open a file that could not be opened
	complainWait = time.Minute // between lines to standard error
)

// ErrClosed is returned by Reopen after Close.
var ErrClosed = errors.New("log file is closed")

// Options say where and what to log.
type Options struct {
	// Dir is the directory; it is made, with mode 0700, when it does not exist. Required.
	Dir string
	// Process names the file: "master", "manager", "callback", "worker2". Letters, digits and "_". Required.
	Process string
	// KeepDay is the number of days whose files are kept, today included. Zero or less keeps all.
	KeepDay int
	// Level is the least level that is logged: "trace", "debug", "info", "warn", "error". Empty means "info".
	Level string
	// Console gets every line in a form for people as well. A *os.File gets it only when it is a terminal, and then in
	// colour. Nil means none.
	Console io.Writer
	// Stderr gets the lines that the file does not take. Nil means os.Stderr.
	Stderr io.Writer

	now func() time.Time // set by tests
}

// File is the log of one process. It is an io.Writer of whole lines.
type File struct {
	o       Options
	level   zerolog.Level
	stderr  *side
	console *side // nil: none
	logger  zerolog.Logger

	mu         sync.Mutex
	closed     bool
	file       *os.File  // nil: could not be opened
	from       time.Time // file is for the lines from here ...
	until      time.Time // ... to here, midnight to midnight
	retryAt    time.Time // when to try again to open it
	torn       bool      // the file ends in the middle of a line
	lost       int       // lines that went nowhere since the last complaint
	complainAt time.Time // when standard error may have a line again
}

// Open opens today's file. Its error says what is wrong with the directory in one line.
func Open(o Options) (*File, error) {
	if o.now == nil {
		o.now = time.Now
	}
	if o.Stderr == nil {
		o.Stderr = os.Stderr
	}
	if !isName(o.Process) {
		return nil, fmt.Errorf("open log: process name %q is not made of letters and digits", o.Process)
	}
	if o.Dir == "" {
		return nil, errors.New("open log: no directory is given")
	}
	level := zerolog.InfoLevel
	if o.Level != "" {
		var err error
		if level, err = zerolog.ParseLevel(strings.ToLower(o.Level)); err != nil || level == zerolog.NoLevel {
			return nil, fmt.Errorf("open log: level %q is not one of trace, debug, info, warn, error", o.Level)
		}
	}
	if err := os.MkdirAll(o.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("make log directory: %w", err)
	}

	f := &File{o: o, level: level}
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.open(o.now()); err != nil {
		return nil, err
	}
	f.stderr = newSide(o.Stderr)
	var out io.Writer = f
	if pretty := consoleWriter(o.Console); pretty != nil {
		f.console = newSide(pretty)
		out = zerolog.MultiLevelWriter(f, f.console)
	}
	// The time is written by a hook and not by zerolog's timestamp, whose layout is a global variable.
	f.logger = zerolog.New(out).Level(level).Hook(zerolog.HookFunc(func(e *zerolog.Event, _ zerolog.Level, _ string) {
		e.Str(zerolog.TimestampFieldName, o.now().Format(timeLayout))
	}))
	return f, nil
}

// Logger returns the logger that writes into the file, and onto the console if there is one.
func (f *File) Logger() zerolog.Logger { return f.logger }

// Path is the name of the file that is written to now.
func (f *File) Path() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.path(f.from)
}

func (f *File) path(day time.Time) string {
	return filepath.Join(f.o.Dir, "cupid-"+f.o.Process+"-process-"+day.Format(dateLayout)+".log")
}

// Write appends one line, which ends with a line break. It always returns len(line) and nil: see Failures in the
// package comment for what becomes of a line that the disk does not take.
func (f *File) Write(line []byte) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	now := f.o.now()
	if err := f.write(line, now); err != nil {
		f.complain(line, err, now)
	}
	return len(line), nil
}

func (f *File) write(line []byte, now time.Time) error {
	if f.closed {
		return ErrClosed
	}
	if now.Before(f.from) || !now.Before(f.until) || (f.file == nil && !now.Before(f.retryAt)) {
		if err := f.open(now); err != nil {
			return err
		}
	}
	if f.file == nil {
		return errors.New("log file is not open")
	}
	if f.torn {
		line = append([]byte{'\n'}, line...)
	}
	n, err := f.file.Write(line)
	switch {
	case err == nil:
		f.torn = false
	case n > 0:
		f.torn = line[n-1] != '\n'
	}
	return err
}

// open changes to the file of the day that now is in, and removes the old ones. It closes the file before.
func (f *File) open(now time.Time) error {
	year, month, day := now.Date()
	f.from = time.Date(year, month, day, 0, 0, 0, 0, now.Location())
	f.until = time.Date(year, month, day+1, 0, 0, 0, 0, now.Location())
	f.retryAt = now.Add(openRetry)
	if f.file != nil {
		_ = f.file.Close()
		f.file = nil
	}

	file, err := os.OpenFile(f.path(now), os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o600)
	if err != nil {
		return fmt.Errorf("open log file: %w", err)
	}
	f.file, f.torn = file, false
	f.removeOld(f.from)
	return nil
}

// removeOld removes the files of this process that are too old. What cannot be removed is tried again with the next
// file.
func (f *File) removeOld(today time.Time) {
	if f.o.KeepDay <= 0 {
		return
	}
	year, month, day := today.Date()
	oldest := time.Date(year, month, day-f.o.KeepDay+1, 0, 0, 0, 0, today.Location())
	entries, err := os.ReadDir(f.o.Dir)
	if err != nil {
		return
	}
	prefix := "cupid-" + f.o.Process + "-process-"
	for _, entry := range entries {
		date, ok := strings.CutPrefix(entry.Name(), prefix)
		date, ok2 := strings.CutSuffix(date, ".log")
		at, err := time.ParseInLocation(dateLayout, date, today.Location())
		if ok && ok2 && err == nil && at.Before(oldest) && entry.Type().IsRegular() {
			_ = os.Remove(filepath.Join(f.o.Dir, entry.Name()))
		}
	}
}

// complain tells standard error about a line that the file did not take, seldom.
func (f *File) complain(line []byte, err error, now time.Time) {
	if now.Before(f.complainAt) {
		f.lost++
		return
	}
	before := ""
	if f.lost > 0 {
		before = fmt.Sprintf(" (%d lines lost before this one)", f.lost)
	}
	f.lost, f.complainAt = 0, now.Add(complainWait)
	f.stderr.put([]byte(fmt.Sprintf("cupid: log of %s: %v%s: %s\n", f.o.Process, err, before, strings.TrimSpace(string(line)))))
}

// Reopen closes the file and opens the one of today, which is made anew when it is gone. Lines that are logged
// meanwhile wait. It also ends a time in which the file could not be opened.
func (f *File) Reopen() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed {
		return ErrClosed
	}
	return f.open(f.o.now())
}

// Close closes the file and hands over to the console what waits for it, within 200 ms. Lines that are logged later are
// lost. It may be called more than once.
func (f *File) Close() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed {
		return nil
	}
	f.closed = true
	f.console.close()
	f.stderr.close()
	if f.file == nil {
		return nil
	}
	err := f.file.Close()
	f.file = nil
	if err != nil {
		return fmt.Errorf("close log file: %w", err)
	}
	return nil
}

// isName reports whether text is made of ASCII letters, digits and "_".
func isName(text string) bool {
	return text != "" && !strings.ContainsFunc(text, func(r rune) bool {
		return r != '_' && (r < '0' || r > '9') && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z')
	})
}
