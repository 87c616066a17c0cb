package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

const (
	idleBytes   = 100_000_000
	idlePercent = 1
	// idleSettle is how long a started program is left alone before it is watched.
	idleSettle = 5 * time.Second
	// ticksPerSecond is USER_HZ, the unit of times in /proc/PID/stat on all of Linux.
	ticksPerSecond = 100
)

// idle measures master and three workers with default intervals, both scans on, on
// tables in which nothing happens.
func (w *world) idle(ctx context.Context) (_ []line, err error) {
	config := w.config("quiet", nobodyAnswers, 3)
	src := config["src"].(map[string]any)
	src["update"], src["updateColumn"], src["updateScanSecond"] = true, "update_time", 20
	c, _, err := w.start(ctx, config)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, c.stop()) }()
	if err := sleep(ctx, idleSettle); err != nil {
		return nil, err
	}
	s, err := c.status(ctx)
	if err != nil {
		return nil, err
	}
	before, err := usageOf(s.pids())
	if err != nil {
		return nil, err
	}
	start := time.Now()
	if err := sleep(ctx, w.settings.idle); err != nil {
		return nil, err
	}
	after, err := usageOf(s.pids())
	if err != nil {
		return nil, err
	}
	percent := 100 * (after.cpu - before.cpu).Seconds() / time.Since(start).Seconds()
	return []line{
		{
			what: "idle: memory of master and 3 workers", got: megabytes(after.rss) + " resident (RSS)",
			limit:  "shared pages once (PSS): " + megabytes(after.pss),
			target: "RSS < " + megabytes(idleBytes), met: after.rss < idleBytes,
		},
		{
			what: "idle: CPU of master and 3 workers", got: fmt.Sprintf("%.2f %% of a core", percent),
			target: fmt.Sprintf("< %d %%", idlePercent), met: percent < idlePercent,
		},
	}, nil
}

func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// usage is what processes use in all.
type usage struct {
	rss, pss int64 // in bytes; pss has each shared page once
	cpu      time.Duration
}

func usageOf(pids []int) (all usage, err error) {
	for _, pid := range pids {
		memory, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
		if err != nil {
			return all, err
		}
		for line := range strings.Lines(string(memory)) { // "Rss:    1234 kB": proc_pid_smaps(5)
			fields := strings.Fields(line)
			if len(fields) != 3 || fields[0] != "Rss:" && fields[0] != "Pss:" {
				continue
			}
			n, err := strconv.ParseInt(fields[1], 10, 64)
			if err != nil {
				return all, err
			}
			if fields[0] == "Rss:" {
				all.rss += n * 1024
			} else {
				all.pss += n * 1024
			}
		}
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if err != nil {
			return all, err
		}
		// The name in brackets may hold anything; utime and stime are 12th and 13th behind it: proc_pid_stat(5).
		_, rest, _ := strings.Cut(string(stat[strings.LastIndexByte(string(stat), ')'):]), " ")
		fields := strings.Fields(rest)
		if len(fields) < 13 {
			return all, fmt.Errorf("/proc/%d/stat is %q", pid, stat)
		}
		for _, f := range fields[11:13] {
			n, err := strconv.ParseInt(f, 10, 64)
			if err != nil {
				return all, err
			}
			all.cpu += time.Duration(n) * time.Second / ticksPerSecond
		}
	}
	return all, nil
}

func megabytes(n int64) string { return fmt.Sprintf("%.0f MB", float64(n)/1e6) }
