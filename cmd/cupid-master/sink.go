package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
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

// lines takes the lines of the report that the task workers send, and writes them
// where the command line wants them. It looks into a line for no more than its
// statement and the name of its pair.
type lines struct {
	report *sink // nil: not wanted
	sql    *sink // nil: not wanted
	pair   string
}

const summaryStart = `{"summary":`

// openLines opens the files that are wanted.
func openLines(o options, now time.Time, build string, stdout io.Writer) (*lines, error) {
	l := &lines{}
	var err error
	if o.report != "" {
		if l.report, err = openSink(o.report, stdout, o.resume); err != nil {
			return nil, fmt.Errorf("-report: %w", err)
		}
	}
	if o.sql != "" {
		if l.sql, err = openSink(o.sql, stdout, o.resume); err != nil {
			return nil, errors.Join(fmt.Errorf("-sql: %w", err), l.close())
		}
		if err := l.sql.write([]byte(sqlHeader(o.config, now, build))); err != nil {
			return nil, errors.Join(err, l.close())
		}
	}
	return l, nil
}

// sqlHeader says what the statements are, and makes a session in which each value
// comes out as it was read.
func sqlHeader(config string, now time.Time, build string) string {
	return fmt.Sprintf(`-- Statements that would make each destination hold what its source held when cupid compared them.
-- cupid executes none of them, and rows may have changed since: read them before you run them.
-- Each comment "pair" names the pair on whose destination the statements after it belong.
-- Written %s by cupid-master %s for %s.
SET NAMES utf8mb4;
SET SESSION time_zone = '+00:00', sql_mode = 'STRICT_ALL_TABLES,NO_AUTO_VALUE_ON_ZERO,ALLOW_INVALID_DATES';
`, now.UTC().Format(time.RFC3339), build, strconv.QuoteToASCII(config))
}

// add writes one line of the report.
func (l *lines) add(line json.RawMessage) error {
	rest, sql, pair, err := split(line)
	if err != nil {
		return fmt.Errorf("read line of the report: %w", err)
	}
	if l.sql != nil && sql != "" {
		var text strings.Builder
		if pair != l.pair {
			l.pair = pair
			text.WriteString("-- pair " + strconv.QuoteToASCII(pair) + "\n")
		}
		text.WriteString(strings.TrimRight(sql, "; \n") + ";\n")
		if err := l.sql.write([]byte(text.String())); err != nil {
			return err
		}
	}
	if l.report == nil {
		return nil
	}
	return l.report.write(append(rest, '\n'))
}

// split takes the statement out of a line, whose other fields stay as they are.
func split(line json.RawMessage) (rest []byte, sql, pair string, err error) {
	d := json.NewDecoder(bytes.NewReader(line))
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return nil, "", "", errors.Join(errors.New("it is no JSON object"), err)
	}
	rest = append(make([]byte, 0, len(line)+1), '{')
	for d.More() {
		name, err := d.Token()
		if err != nil {
			return nil, "", "", err
		}
		var value json.RawMessage
		if err := d.Decode(&value); err != nil {
			return nil, "", "", err
		}
		switch name {
		case "sql":
			err = json.Unmarshal(value, &sql)
		case "pair":
			err = json.Unmarshal(value, &pair)
		}
		if err != nil {
			return nil, "", "", err
		}
		if name == "sql" {
			continue
		}
		if len(rest) > 1 {
			rest = append(rest, ',')
		}
		key, err := json.Marshal(name)
		if err != nil {
			return nil, "", "", err
		}
		rest = append(append(append(rest, key...), ':'), value...)
	}
	return append(rest, '}'), sql, pair, nil
}

// finish ends the report with its summary and closes the files.
func (l *lines) finish(summary any) error {
	var err error
	if l.report != nil {
		var text []byte
		if text, err = json.Marshal(summary); err == nil {
			err = l.report.write(append(append(append([]byte(summaryStart), text...), '}'), '\n'))
		}
	}
	return errors.Join(err, l.close())
}

func (l *lines) giveUp() {
	for _, s := range []*sink{l.report, l.sql} {
		if s != nil {
			s.giveUp()
		}
	}
}

func (l *lines) close() error {
	var err error
	for _, s := range []*sink{l.report, l.sql} {
		if s != nil {
			err = errors.Join(err, s.close())
		}
	}
	return err
}
