package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"time"
)

// partSettings are those of the command that measures parts.
type partSettings struct {
	lost        int // rows that callbacks repair
	concurrency int // of callbacks
	idle        time.Duration
}

var parts = command{
	name: "bench", rows: 1_000_000, only: "measure one of ipc, compare, callback, queue, idle, supervise, isolation",
	flags: func(flags *flag.FlagSet, s *settings) {
		flags.IntVar(&s.lost, "lost", 20_000, "rows that callbacks repair")
		flags.IntVar(&s.concurrency, "concurrency", 8, "callbacks at a time")
		flags.DurationVar(&s.idle, "idle", 20*time.Second, "how long the idle program is watched")
	},
	valid: func(s settings) error {
		if s.rows < 1 || s.lost < 1 || s.concurrency < 1 || s.idle <= 0 {
			return errors.New("every number must be above 0")
		}
		return nil
	},
	measure: measureParts,
	head:    []string{"MEASURED", "RESULT", "LIMIT, SAME RUN", "RATIO"},
}

// partArgs are the server's settings for bulk work: all tables fit into its memory.
var partArgs = []string{"--innodb-buffer-pool-size=512M", "--innodb-log-file-size=256M"}

func measureParts(ctx context.Context, s settings, progress func(string)) (lines []line, err error) {
	if s.only == "" || s.only == "ipc" {
		progress("frames through a socket pair")
		if lines, err = frames(ctx, s.rounds); err != nil || s.only == "ipc" {
			return lines, err
		}
	}
	w, err := newWorld(ctx, s, progress, partArgs...)
	if err != nil {
		return lines, err
	}
	defer func() { err = errors.Join(err, w.close()) }()
	if err := w.fillParts(ctx); err != nil {
		return lines, err
	}
	for _, m := range []struct {
		name, doing string
		take        func(context.Context) ([]line, error)
	}{
		{"compare", "rows compared", w.compare},
		{"callback", "callbacks", w.callbacks},
		{"queue", "a queue of a million events", w.queue},
		{"idle", "the idle program", w.idleness},
		{"supervise", "kills and stops", w.supervise},
		{"isolation", "rows beside black holes", w.isolation},
	} {
		if s.only != "" && s.only != m.name {
			continue
		}
		progress(m.doing)
		more, err := m.take(ctx)
		lines = append(lines, more...)
		if err != nil {
			return lines, fmt.Errorf("measure %s: %w", m.name, err)
		}
	}
	return lines, nil
}

// fillParts makes the tables: user is equal on both sides; lost has rows on the source
// only, and des.lost_bare is the same work for the client that is not cupid.
func (w *world) fillParts(ctx context.Context) error {
	var texts []string
	for _, t := range []struct {
		name  string
		rows  int
		equal bool
	}{{"user", w.rows, true}, {"lost", w.lost, false}, {"quiet", 100, true}} {
		texts = append(texts,
			w.in("CREATE TABLE {src}."+t.name+" "+userTable, 0, 0), w.in("INSERT INTO {src}."+t.name+" "+userRows, t.rows, t.rows),
			w.in("CREATE TABLE {des}."+t.name+" "+userTable, 0, 0))
		if t.equal {
			texts = append(texts, w.in("INSERT INTO {des}."+t.name+" SELECT * FROM {src}."+t.name+" ORDER BY id", 0, 0))
		}
		texts = append(texts, w.in("ANALYZE TABLE {src}."+t.name+", {des}."+t.name, 0, 0))
	}
	return w.execute(ctx, append(texts, w.in("CREATE TABLE {des}.lost_bare "+userTable, 0, 0))...)
}

// scan is a configuration for an insert scan over one table.
func (w *world) scan(table, url string, workers int) map[string]any {
	config := w.config(watch{table: table, copy: table, by: "number", columns: userColumns[1:], url: url, workers: workers})
	config["src"].(map[string]any)["insert"] = true
	return config
}

// sample is one round of a measurement: a rate, and that of its limit.
type sample struct{ got, limit float64 }

// samples are the rounds of a measurement.
type samples []sample

func (all samples) got() float64   { return median(all, func(s sample) float64 { return s.got }) }
func (all samples) limit() float64 { return median(all, func(s sample) float64 { return s.limit }) }

// ratio is the median of the rounds' ratios: what disturbs a round disturbs both of its sides.
func (all samples) ratio() float64 {
	return median(all, func(s sample) float64 { return s.got / s.limit })
}

// rate is the line of a rate against a limit. A least of 0 is no target.
func rate(what, unit string, all samples, limit string, least float64) line {
	ratio := fmt.Sprintf("%.2f", all.ratio())
	if all.ratio() >= 10 {
		ratio = fmt.Sprintf("%.0f", all.ratio())
	}
	l := line{cells: []string{what, thousands(all.got()) + " " + unit, limit + ": " + thousands(all.limit()), ratio}}
	if least > 0 {
		l.target, l.met = fmt.Sprintf("ratio ≥ %g", least), all.ratio() >= least
	}
	return l
}
