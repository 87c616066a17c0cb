package main

import (
	"context"
	"errors"
	"fmt"
	"time"
)

const (
	idleBytes   = 100_000_000
	idlePercent = 1
	// idleSettle is how long a started program is left alone before it is watched.
	idleSettle = 5 * time.Second
)

// idleness measures master and three workers with default intervals, both scans on, on
// tables in which nothing happens.
func (w *world) idleness(ctx context.Context) (_ []line, err error) {
	config := w.scan("quiet", nobodyAnswers, 1)
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
	if err := sleep(ctx, w.idle); err != nil {
		return nil, err
	}
	after, err := usageOf(s.pids())
	if err != nil {
		return nil, err
	}
	percent := 100 * (after.cpu - before.cpu).Seconds() / time.Since(start).Seconds()
	return []line{
		{
			cells: []string{
				"idle: memory of master and 3 workers", megabytes(after.rss) + " resident (RSS)", "shared pages once (PSS): " + megabytes(after.pss),
			},
			target: "RSS < " + megabytes(idleBytes), met: after.rss < idleBytes,
		},
		{
			cells:  []string{"idle: CPU of master and 3 workers", fmt.Sprintf("%.2f %% of a core", percent)},
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
