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
)

// catchUpLeast is how fast an insert scan catches up at least, of the sweep's rate.
const catchUpLeast = 0.7

// catchUp measures how fast an insert scan is level with rows that were written while
// cupid was down, and a sweep of the same rows.
func (w *world) catchUp(ctx context.Context) (scan, sweep float64, err error) {
	if scan, _, err = w.rateOf(ctx, byID(w.scan("user", nobodyAnswers, 4))); err != nil {
		return 0, 0, err
	}
	sweep, err = w.sweepRate(ctx, byID(w.scan("user", nobodyAnswers, 4)))
	return scan, sweep, err
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
