package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"
)

// lines takes the lines of the report that the task workers send, and writes them
// where the command line wants them. It looks into a line for no more than its
// statement and the name of its pair.
type lines struct {
	report *sink // nil: not wanted
	sql    *sink // nil: not wanted
	by     around
	// standard says that one of them is standard output.
	standard bool
	pair     string
}

const summaryStart = `{"summary":`

// openLines opens the files that are wanted, all of them before one is changed.
func openLines(o options, now time.Time, build string, by around) (_ *lines, err error) {
	var targets []*target
	defer func() {
		for _, t := range targets {
			if err != nil {
				err = errors.Join(err, t.close())
			}
		}
	}()
	for _, wanted := range [][2]string{{"-report", o.report}, {"-sql", o.sql}} {
		if wanted[1] == "" {
			continue
		}
		t, err := openTarget(wanted[0], wanted[1], by.stdout)
		if err != nil {
			return nil, err
		}
		targets = append(targets, t)
	}
	if err := distinct(targets, o.config, infoOf(by.stderr)); err != nil {
		return nil, err
	}
	l := &lines{by: by}
	for _, t := range targets {
		l.standard = l.standard || t.standard
		s, err := t.sink(o.resume, by)
		if err != nil {
			return nil, err
		}
		if t.flag == "-report" {
			l.report = s
			continue
		}
		l.sql = s
		if err := s.write([]byte(sqlHeader(o.config, now, build))); err != nil {
			return nil, err
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

// addAll writes lines of the report.
func (l *lines) addAll(body json.RawMessage) error {
	var all []json.RawMessage
	if err := json.Unmarshal(body, &all); err != nil {
		return fmt.Errorf("read lines of the report: %w", err)
	}
	for _, line := range all {
		if err := l.add(line); err != nil {
			return err
		}
	}
	return nil
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

// finish ends the report with its summary and closes the files. waits hears whose reader
// takes a while.
func (l *lines) finish(summary any, waits func(name string)) error {
	var err error
	if l.report != nil {
		var text []byte
		if text, err = json.Marshal(summary); err == nil {
			_ = l.report.write(append(append(append([]byte(summaryStart), text...), '}'), '\n')) // close says what it says
		}
	}
	return errors.Join(err, l.close(waits))
}

// nobody is told that a reader is waited for.
func nobody(string) {}

// close closes both files at the same time, since each may wait for its reader.
func (l *lines) close(tell func(name string)) error {
	var all [2]error
	var one sync.Mutex
	waits := func(name string) {
		one.Lock()
		defer one.Unlock()
		tell(name)
	}
	var wg sync.WaitGroup
	for i, s := range []*sink{l.report, l.sql} {
		if s != nil {
			wg.Go(func() { all[i] = s.close(l.by.hurry, waits) })
		}
	}
	wg.Wait()
	return errors.Join(all[:]...)
}
