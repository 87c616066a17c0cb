package main

import (
	"encoding/json"
	"io"
	"time"
)

// What is shown and written, for the tests.
type (
	Pair    = pairRun
	Display = display
)

var (
	PlainLine = plainLine
	BarLine   = barLine
	Split     = split
)

// NewPair is a pair with times of its own.
func NewPair(p Pair, began, ended time.Time) Pair {
	p.began, p.ended = began, ended
	return p
}

// NewTerminal is a display on a terminal.
func NewTerminal(out io.Writer) *Display { return &display{out: out, terminal: true} }

// NewPlain is a display elsewhere.
func NewPlain(out io.Writer, began time.Time) *Display { return &display{out: out, told: began} }

// Show draws.
func (d *Display) Show(pairs []Pair, now time.Time) { d.show(pairs, now) }

// WriteReport writes lines and a summary into a file as a run does.
func WriteReport(path string, resume bool, stdout io.Writer, lines ...string) error {
	l, err := openLines(options{report: path, resume: resume}, time.Now(), "test", stdout)
	if err != nil {
		return err
	}
	for _, line := range lines {
		if err := l.add(json.RawMessage(line)); err != nil {
			_ = l.close()
			return err
		}
	}
	l.giveUp()
	return l.finish(struct{}{})
}

// Outcome is the exit code of pairs.
func Outcome(pairs []Pair) (int, string) {
	err := outcome(pairs, nil)
	if err == nil {
		return exitOK, ""
	}
	return exitCode(err), err.Error()
}
