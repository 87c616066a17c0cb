package main

import (
	"context"
	"encoding/json"
	"io"
	"os"
	"time"

	"github.com/masixun71/cupid/pkg/config"
	"github.com/masixun71/cupid/pkg/manager"
	"github.com/masixun71/cupid/pkg/process"
	"github.com/masixun71/cupid/pkg/supervisor"
)

// What is shown and written, for the tests.
type (
	Pair    = pairRun
	Display = display
)

var (
	PlainLine = plainLine
	BarLine   = barLine
	Total     = total
	Split     = split
)

// NewPair is a pair with times of its own.
func NewPair(p Pair, began, ended time.Time) Pair {
	p.began, p.ended = began, ended
	return p
}

// Hear is pairs after news of one.
func Hear(pairs []Pair, now time.Time, news manager.SweepProgress) []Pair {
	r := &once{pairs: pairs, over: true}
	r.hear([]manager.SweepProgress{news}, now)
	return r.pairs
}

// NewTerminal is a display on a terminal.
func NewTerminal(out io.Writer) *Display { return &display{offer: always(out), terminal: true} }

// NewPlain is a display elsewhere.
func NewPlain(out io.Writer, began time.Time) *Display {
	return &display{offer: always(out), told: began}
}

// always drops nothing.
func always(out io.Writer) func(string) bool {
	return func(text string) bool {
		_, err := io.WriteString(out, text)
		return err == nil
	}
}

// Outlet is an outlet.
type Outlet = outlet

// NewOutlet makes an outlet.
var NewOutlet = newOutlet

// Offer shows what may be dropped.
func (o *outlet) Offer(text string) bool { return o.offer(text) }

// Close shows the rest.
func (o *outlet) Close() { o.close() }

// Show draws.
func (d *Display) Show(pairs []Pair, now time.Time) { d.show(pairs, now) }

// WriteReport writes lines and a summary into a file as a run does.
func WriteReport(path string, resume bool, stdout io.Writer, lines ...string) error {
	hurry := make(chan struct{})
	close(hurry)
	l, err := openLines(options{config: os.DevNull, report: path, resume: resume}, time.Now(), "test", around{stdout, nil, os.TempDir(), hurry, func(error) {}})
	if err != nil {
		return err
	}
	for _, line := range lines {
		if err := l.add(json.RawMessage(line)); err != nil {
			_ = l.close(nobody)
			return err
		}
	}
	return l.finish(struct{}{}, nobody)
}

// Outcome is the exit code of pairs.
func Outcome(pairs []Pair) (int, string) {
	err := outcome(pairs, nil)
	if err == nil {
		return exitOK, ""
	}
	return exitCode(err), err.Error()
}

// Early are workers that are started early.
type Early = early

// StartEarly starts the workers of n slots, which count as that old already.
func StartEarly(ctx context.Context, n int, age time.Duration, start func(context.Context, supervisor.Order) (*process.Child, error)) *Early {
	e := startEarly(ctx, (&master{}).slots(&config.Config{WorkerNumber: n}), start)
	e.began = e.began.Add(-age)
	return e
}

// Take hands over a worker.
func (e *early) Take(ctx context.Context, slot int, generation uint64) *process.Child {
	return e.take(ctx, supervisor.Order{Slot: slot, Generation: generation})
}

// Discard ends the rest.
func (e *early) Discard() { e.discard() }

// PrintStatus prints what workers say, by slot.
func PrintStatus(out io.Writer, workers []supervisor.SlotStatus, reports map[int]json.RawMessage) error {
	return (&status{Workers: workers, Reports: reports}).print(out)
}
