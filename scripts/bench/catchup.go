package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/masixun71/cupid/pkg/boot"
	"github.com/masixun71/cupid/pkg/cache"
)

// catchUpLeast and updatesLeast are how fast an insert and an update scan catch up at least, of
// the sweep's rate.
const (
	catchUpLeast = 0.7
	updatesLeast = 0.5
)

// catchUp measures how fast an insert and an update scan are level with rows that were written while
// cupid was down, and a sweep of the same rows.
func (w *world) catchUp(ctx context.Context) (inserts, updates, sweep float64, err error) {
	if inserts, _, err = w.rateOf(ctx, byID(w.scan("user", nobodyAnswers, 4))); err != nil {
		return 0, 0, 0, err
	}
	if updates, err = w.updateRate(ctx); err != nil {
		return 0, 0, 0, err
	}
	sweep, err = w.sweepRate(ctx, byID(w.scan("user", nobodyAnswers, 4)))
	return inserts, updates, sweep, err
}

// userPairName names the pair that is measured.
const userPairName = "user/copy"

// beforeAll is a time before the update time of every row.
var beforeAll = time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC)

// updateRate is the rate of an update scan over all rows, of which the state says that it was down since
// before the first.
func (w *world) updateRate(ctx context.Context) (rows float64, err error) {
	config := byID(w.scan("user", nobodyAnswers, 4))
	src := config["src"].(map[string]any)
	src["insert"], src["update"], src["updateColumn"], src["updateScanSecond"] = false, true, "update_time", 1
	file := boot.ManagerFile(config["cacheFilePath"].(string))
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		return 0, err
	}
	down := scans{Update: map[string]watermark{userPairName: {beforeAll}}}
	if err := cache.New[scans](file).Save(down); err != nil {
		return 0, err
	}
	c, start, err := w.start(ctx, config)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, c.stop()) }()
	end, err := c.untilScans(ctx, "the end of the update scan", func(s scans) bool {
		return s.Update[userPairName].Watermark.After(beforeAll)
	})
	return perSecond(w.rows, end.Sub(start)), err
}

// byID joins the tables of a configuration by their primary key.
func byID(config map[string]any) map[string]any {
	config["src"].(map[string]any)["byColumn"] = "id"
	config["des"].([]any)[0].(map[string]any)["byColumn"] = "id"
	config["taskWorkerIntervalMillisecond"] = 10 // how long an idle worker rests is no part of a rate
	return config
}

// sweepRate is the rate of one sweep, as its report has it: without the start of the program.
func (w *world) sweepRate(ctx context.Context, config map[string]any) (float64, error) {
	dir := filepath.Dir(config["cacheFilePath"].(string))
	text, err := json.Marshal(config)
	if err = errors.Join(err, os.MkdirAll(dir, 0o700)); err != nil {
		return 0, err
	}
	path, report := filepath.Join(dir, "cupid.json"), filepath.Join(dir, "report")
	if err := os.WriteFile(path, text, 0o600); err != nil {
		return 0, err
	}
	cmd := exec.CommandContext(ctx, filepath.Join(w.bin, "cupid-master"), "-config", path, "-once", "-dry-run", "-report", report)
	if output, err := cmd.CombinedOutput(); err != nil {
		return 0, fmt.Errorf("run cupid-master -once: %w: %s", err, output)
	}
	lines, err := os.ReadFile(report)
	if err != nil {
		return 0, err
	}
	all := bytes.Split(bytes.TrimSpace(lines), []byte("\n"))
	var last struct {
		Summary struct {
			Pairs []struct {
				Rows    int
				Seconds float64
			}
		}
	}
	if err := json.Unmarshal(all[len(all)-1], &last); err != nil || len(last.Summary.Pairs) != 1 || last.Summary.Pairs[0].Seconds <= 0 {
		return 0, fmt.Errorf("the report ends with %s: %w", all[len(all)-1], errors.Join(err, errors.New("no summary of one pair")))
	}
	return float64(last.Summary.Pairs[0].Rows) / last.Summary.Pairs[0].Seconds, nil
}
