package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

const (
	// bufferPerRow is what the tables and their indexes take, generously: the server's
	// memory holds all of them, so that no disk is measured.
	bufferPerRow, leastBuffer, mostBuffer = 2500, 512 << 20, 8 << 30
	// chunkRows is the size of the bare chunk queries' chunks.
	chunkRows = 5000
	// leastGrowth is where -growth begins.
	leastGrowth = 100_000
	// settleMillisecond is the part of a run that waits before it looks at a divergence
	// once more. The default of a second is for tables that are written to.
	settleMillisecond = 100
)

// sweepSettings are those of the command that measures whole sweeps.
type sweepSettings struct {
	growth bool
	pt     string // the program pt-table-sync
}

// sweeps has units: one bare checksum query over each side, one after the other, measured
// right before each run.
var sweeps = command{
	name: "sweep", rows: 1_000_000, only: "take only measurements with this text in their name",
	flags: func(flags *flag.FlagSet, s *settings) {
		flags.BoolVar(&s.growth, "growth", false, "measure how the time grows, from a hundred thousand rows by tens to -rows, and nothing else")
		flags.StringVar(&s.pt, "pt", "pt-table-sync", "the program pt-table-sync, which is measured where it is installed")
	},
	valid: func(s settings) error {
		if s.rows < minRows {
			return fmt.Errorf("-rows must be %d at least", minRows)
		}
		return nil
	},
	measure: measureSweeps,
	head:    []string{"MEASURED", "TABLE", "SECONDS", "UNITS", "ROWS/S", "CPU S CUPID", "SERVER", "MEMORY"},
	foot: "\nAll times are those of whole runs, from the start of cupid-master to its end; settleMillisecond is " + strconv.Itoa(settleMillisecond) +
		". Memory is RSS, the sum of all processes at the most.\n",
}

func measureSweeps(ctx context.Context, s settings, progress func(string)) ([]line, error) {
	if !s.growth {
		return sized(ctx, s, progress, userSchema, wideSchema)
	}
	var lines []line
	most := s.rows
	for s.rows = min(leastGrowth, most); s.rows <= most; s.rows *= 10 {
		more, err := sized(ctx, s, progress, growthSchema)
		lines = append(lines, more...)
		if err != nil {
			return lines, err
		}
	}
	return lines, nil
}

// sized measures schemas with one number of rows, on a server of their own, and on the
// MySQL that mysqlEnv names.
func sized(ctx context.Context, s settings, progress func(string), schemas ...schema) (lines []line, err error) {
	w, err := newWorld(ctx, s, progress,
		"--innodb-buffer-pool-size="+strconv.Itoa(min(max(s.rows*bufferPerRow, leastBuffer), mostBuffer)),
		"--innodb-log-file-size=1G", "--innodb-doublewrite=0")
	if err != nil {
		return nil, err
	}
	if lines, err = w.sweepSchemas(ctx, schemas); err != nil {
		return lines, err
	}
	dsn := os.Getenv(mysqlEnv)
	if dsn == "" {
		return lines, nil
	}
	progress("the same on the server of " + mysqlEnv)
	other, err := openNamed(dsn)
	if err != nil {
		return lines, err
	}
	if w, err = newWorldOn(ctx, &world{settings: s, progress: progress, server: other, mysql: true}); err != nil {
		return lines, err
	}
	if err := w.fillNumbers(ctx, s.rows+s.rows/10_000); err != nil {
		return lines, errors.Join(err, w.close())
	}
	more, err := w.sweepSchemas(ctx, schemas)
	return append(lines, more...), err
}

// sweepSchemas measures schemas and ends the world.
func (w *world) sweepSchemas(ctx context.Context, schemas []schema) (lines []line, err error) {
	defer func() { err = errors.Join(err, w.close()) }()
	for _, one := range schemas {
		more, err := w.sweepAll(ctx, one)
		lines = append(lines, more...)
		if err != nil {
			return lines, fmt.Errorf("measure %s: %w", one.table, err)
		}
	}
	return lines, nil
}

// sized puts names and numbers into a text of a schema.
func (w *world) sized(s schema, text string) string {
	rows := w.rows / s.part
	return w.in(text, rows, rows+rows/10_000)
}

func (w *world) fill(ctx context.Context, s schema) error {
	w.progress(fmt.Sprintf("filling %s with %s rows", s.table, thousands(float64(w.rows/s.part))))
	for _, text := range s.fill {
		if err := w.execute(ctx, w.sized(s, text)); err != nil {
			return err
		}
	}
	return w.calm(ctx)
}

// calm waits until the server has cleaned up behind the statements that filled it.
func (w *world) calm(ctx context.Context) error {
	if w.private() == nil {
		return nil
	}
	for range 60 {
		before, err := w.serverCPU()
		if err != nil {
			return err
		}
		if err := sleep(ctx, time.Second); err != nil {
			return err
		}
		after, err := w.serverCPU()
		if err != nil {
			return err
		}
		if after-before < 50*time.Millisecond {
			return nil
		}
	}
	w.progress("the server is still busy with itself after a minute")
	return nil
}

// once is a configuration for a case.
func (w *world) once(s schema, c sweepCase) map[string]any {
	config := w.config(watch{table: s.table, copy: c.copy, by: c.by, columns: strings.Split(s.columns, ", "), url: nobodyAnswers, workers: c.workers})
	config["settleMillisecond"] = settleMillisecond
	config["src"].(map[string]any)["delete"] = true
	return config
}
