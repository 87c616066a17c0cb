package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/masixun71/cupid/pkg/manager"
	"github.com/masixun71/cupid/pkg/process"
)

// differError is the outcome of a run that found divergences.
type differError struct{ rows int64 }

func (e *differError) Error() string {
	if e.rows == 1 {
		return "1 row differs"
	}
	return fmt.Sprintf("%d rows differ", e.rows)
}

// unknownError is the outcome of a run that could not tell.
type unknownError struct{ why string }

func (e *unknownError) Error() string { return "could not tell: " + e.why }

// Verdicts on a pair.
const (
	verdictEqual      = "equal"
	verdictDiffers    = "differs"
	verdictNothing    = "nothing compared"
	verdictFailed     = "failed"
	verdictUnfinished = "unfinished"
)

// verdict is what can be said of a pair.
func (p pairRun) verdict() string {
	switch {
	case p.Done && p.Error != "":
		return verdictFailed
	case !p.Done:
		return verdictUnfinished
	case p.Rows == 0:
		return verdictNothing
	case p.differing() > 0:
		return verdictDiffers
	}
	return verdictEqual
}

// outcome is what a run comes to. stopped is why it ended early; nil if it did not.
func outcome(pairs []pairRun, stopped error) error {
	var why []string
	var differing int64
	for _, p := range pairs {
		differing += p.differing()
		switch p.verdict() {
		case verdictFailed:
			why = append(why, p.Pair+": "+p.Error)
		case verdictUnfinished:
			if stopped == nil {
				why = append(why, p.Pair+" is unfinished")
			}
		case verdictNothing:
			why = append(why, p.Pair+": nothing was compared, the source has no rows to compare")
		}
	}
	if stopped != nil {
		why = append([]string{stopped.Error()}, why...)
	}
	switch {
	case len(why) > 0:
		return &unknownError{strings.Join(why, "\n  ")}
	case differing > 0:
		return &differError{differing}
	}
	return nil
}

// summary is the last line of a report.
type summary struct {
	Verdict  string        `json:"verdict"`
	ExitCode int           `json:"exitCode"`
	Why      string        `json:"why,omitempty"`
	Started  time.Time     `json:"started"`
	Seconds  float64       `json:"seconds"`
	DryRun   bool          `json:"dryRun"`
	Resumed  bool          `json:"resumed,omitempty"`
	Pairs    []pairSummary `json:"pairs"`
	Calls    *delivery     `json:"callbacks,omitempty"`
}

type pairSummary struct {
	Pair      string `json:"pair"`
	Rows      int64  `json:"rows"`
	Missing   int64  `json:"missing"`
	Different int64  `json:"different"`
	Orphans   *int64 `json:"orphans"` // null: they were not looked for
	// Unknown counts the rows that could not be judged, by the reason.
	Unknown manager.Unknown `json:"unknown,omitzero"`
	Seconds float64         `json:"seconds"`
	Verdict string          `json:"verdict"`
	Error   string          `json:"error,omitempty"`
	How     string          `json:"how,omitempty"`
	// Restarted says that lines of the pair may be there from before it was begun anew.
	Restarted bool `json:"restarted,omitempty"`
}

// finish ends a run: files, table, and what the program exits with. cause is why ctx
// ended, err what the start or the pool said.
func (r *once) finish(cause, err error) error {
	if running, ok := errors.AsType[*process.AlreadyRunningError](err); ok {
		return fmt.Errorf("%w; beside it, -once needs -dry-run, which has files of its own", running)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	stopped := cause
	switch {
	case r.lines == nil && cause == nil && exitCode(err) != exitFailure: // it did not get as far as that
		return err
	case r.lines == nil && cause == nil: // the code of a failure means something else here
		return &unknownError{err.Error()}
	case r.lines == nil:
		return &unknownError{cause.Error()}
	case r.over: // all was compared, and only callbacks were waited for
		stopped = nil
	case cause == nil && err == nil:
		stopped = errStopCommand
	}
	now := time.Now()
	stopped = cmp.Or(r.broken, stopped, err)
	result := outcome(r.pairs, stopped)
	err = r.lines.finish(r.summary(result, now), func(name string) {
		r.say("", "waiting for the reader of "+name)
	})
	if err != nil && r.broken == nil {
		result = &unknownError{err.Error()}
	}
	out := newOutlet(r.stdout)
	defer out.close()
	r.table(out, now)
	if _, lost := errors.AsType[*lostError](cmp.Or(r.broken, err)); !r.over && !lost {
		_, _ = fmt.Fprintln(out, "not everything was compared; -resume goes on where this run stopped")
	}
	return result
}

func (r *once) summary(result error, now time.Time) summary {
	s := summary{
		Verdict: verdictEqual, ExitCode: exitCode(result), Started: r.began.UTC().Truncate(time.Millisecond), Seconds: seconds(now.Sub(r.began)),
		DryRun: r.options.dryRun, Resumed: r.options.resume, Calls: r.calls,
	}
	if _, ok := errors.AsType[*differError](result); ok {
		s.Verdict = verdictDiffers
	}
	if unknown, ok := errors.AsType[*unknownError](result); ok {
		s.Verdict, s.Why = "unknown", unknown.why
	}
	for _, p := range r.pairs {
		line := pairSummary{
			Pair: p.Pair, Rows: p.Rows, Missing: p.Missing, Different: p.Different, Unknown: p.Unknown,
			Seconds: seconds(p.took(now)), Verdict: p.verdict(), Error: p.Error, How: p.How,
			Restarted: p.Restarted,
		}
		if p.seesOrphans() {
			line.Orphans = &p.Orphans
		}
		s.Pairs = append(s.Pairs, line)
	}
	return s
}

func seconds(d time.Duration) float64 { return d.Round(time.Millisecond).Seconds() }

// table is the summary for a person. What a run that was stopped has gone over again is
// not in it.
func (r *once) table(out io.Writer, now time.Time) {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(w, "PAIR\tROWS\tMISSING\tDIFFERENT\tORPHANS\tUNKNOWN\tTIME\tROWS/S\tVERDICT")
	line := func(p pairRun, verdict string) {
		orphans := "-" // not looked for
		if p.seesOrphans() {
			orphans = strconv.FormatInt(p.Orphans, 10)
		}
		_, _ = fmt.Fprintf(w, "%s\t%d\t%d\t%d\t%s\t%d\t%.1fs\t%.0f\t%s\n",
			p.Pair, p.Rows, p.Missing, p.Different, orphans, p.Count(), p.took(now).Seconds(), p.rate(now), verdict)
	}
	for i := range r.pairs {
		r.pairs[i].Resolving, r.pairs[i].Again, r.pairs[i].again = 0, 0, 0
		line(r.pairs[i], r.pairs[i].verdict())
	}
	if len(r.pairs) > 1 {
		line(total(r.pairs), "")
	}
	_ = w.Flush()
	if r.calls != nil && (r.calls.Waiting > 0 || r.calls.Healed > 0 || r.calls.Accepted > 0) {
		_, _ = fmt.Fprintf(out, "callbacks: %d accepted, %d rows healed, %d still wait and are looked at again and delivered by the next run\n",
			r.calls.Accepted, r.calls.Healed, r.calls.Waiting)
	}
	if n := total(r.pairs).Moving; n > 0 && !r.options.dryRun {
		_, _ = fmt.Fprintf(out, "%d rows that kept changing were handed to the callback worker: it goes on looking at them, and calls back what turns out to differ\n", n)
	}
}

// onceOutcome is what a run with -once exits with, after its workers are gone.
func (m *master) onceOutcome(ctx context.Context, err error) error {
	return m.once.finish(context.Cause(ctx), err)
}
