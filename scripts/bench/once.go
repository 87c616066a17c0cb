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
	"syscall"
	"time"
)

const (
	// sampleEvery is how often the memory is looked at.
	sampleEvery = 20 * time.Millisecond
	exitEqual   = 0
	exitDiffers = 1
)

// outcome is one run of cupid.
type outcome struct {
	took, cpu, server time.Duration
	unit              time.Duration // measured right before
	memory            int64         // of master and workers together, at the most
	wrong             string
}

// sweep runs cupid-master once and looks at its report.
func (w *world) sweep(ctx context.Context, s schema, c sweepCase, planted map[string]string) (out outcome, err error) {
	config := w.once(s, c)
	dir := filepath.Dir(config["logDir"].(string))
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return out, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	text, err := json.MarshalIndent(config, "", "  ")
	if err != nil {
		return out, err
	}
	path, report := filepath.Join(dir, "cupid.json"), filepath.Join(dir, "report")
	if err := os.WriteFile(path, text, 0o600); err != nil {
		return out, err
	}
	before, err := w.serverCPU()
	if err != nil {
		return out, err
	}
	cmd := exec.CommandContext(ctx, filepath.Join(w.bin, "cupid-master"), "-config", path, "-once", "-dry-run", "-report", report)
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) } // so that it ends its workers
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	var output bytes.Buffer
	cmd.Stdout, cmd.Stderr = &output, &output
	start := time.Now()
	if err := cmd.Start(); err != nil {
		return out, err
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	err = memoryUntil(cmd.Process.Pid, ended, &out.memory)
	out.took = time.Since(start)
	if err != nil {
		if _, ok := errors.AsType[*exec.ExitError](err); !ok || ctx.Err() != nil {
			return out, errors.Join(err, context.Cause(ctx))
		}
	}
	// With the processes that it has waited for: getrusage(2).
	out.cpu = cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	after, err := w.serverCPU()
	if err != nil {
		return out, err
	}
	out.server = after - before
	want := exitEqual
	if len(planted) > 0 {
		want = exitDiffers
	}
	if got := cmd.ProcessState.ExitCode(); got != want {
		return out, fmt.Errorf("cupid-master ended with exit code %d and not %d: %s", got, want, output.Bytes())
	}
	out.wrong, err = check(report, planted)
	return out, err
}

// memoryUntil samples the memory of a process and its children until it has ended.
func memoryUntil(pid int, ended <-chan error, most *int64) error {
	tick := time.NewTicker(sampleEvery)
	defer tick.Stop()
	for {
		select {
		case err := <-ended:
			return err
		case <-tick.C:
			*most = max(*most, memoryOf(pid))
		}
	}
}

// planted are the keys of a case with their kinds.
func (w *world) planted(ctx context.Context, s schema, c sweepCase) (_ map[string]string, err error) {
	if c.planted == "" {
		return nil, nil //nolint:nilnil // nothing is planted in equal tables
	}
	rows, err := w.src.QueryxContext(ctx, w.sized(s, c.planted))
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	all := map[string]string{}
	for rows.Next() {
		var key, kind string
		if err := rows.Scan(&key, &kind); err != nil {
			return nil, err
		}
		all[key] = kind
	}
	if len(all) == 0 {
		return nil, errors.New("nothing was planted")
	}
	return all, rows.Err()
}

// check compares a report with what was planted and says what is wrong with it.
func check(path string, planted map[string]string) (wrong string, err error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return "", err
	}
	found := map[string]bool{}
	summaries, more := 0, 0
	for one := range bytes.Lines(text) {
		var l struct {
			Key, Kind string
			Summary   json.RawMessage
		}
		if err := json.Unmarshal(one, &l); err != nil {
			return "", fmt.Errorf("read report: %w", err)
		}
		switch {
		case l.Summary != nil:
			summaries++
		case planted[l.Key] != l.Kind || found[l.Key]:
			more++
		default:
			found[l.Key] = true
		}
	}
	if missed := len(planted) - len(found); missed > 0 || more > 0 || summaries != 1 {
		return fmt.Sprintf("of %d planted %d are not in the report, %d lines are too many, %d summaries", len(planted), missed, more, summaries), nil
	}
	return "", nil
}
