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
	"strconv"
	"strings"
	"syscall"
	"time"
)

const (
	// sampleEvery is how often the memory is looked at.
	sampleEvery = 20 * time.Millisecond
	// ticksPerSecond is USER_HZ, the unit of times in /proc/PID/stat on all of Linux.
	ticksPerSecond = 100
	exitEqual      = 0
	exitDiffers    = 1
)

// outcome is one run of cupid.
type outcome struct {
	took, cpu, server time.Duration
	memory            int64 // of master and workers together, at the most
	wrong             string
}

// sweep runs cupid-master once and looks at its report.
func (w *world) sweep(ctx context.Context, s schema, c sweepCase, planted map[string]string) (out outcome, err error) {
	config := w.config(s, c)
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
	before, err := cpuOf(w.server.Pid())
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
	err = watch(cmd.Process.Pid, ended, &out.memory)
	out.took = time.Since(start)
	if err != nil {
		if _, ok := errors.AsType[*exec.ExitError](err); !ok || ctx.Err() != nil {
			return out, errors.Join(err, context.Cause(ctx))
		}
	}
	// With the processes that it has waited for: getrusage(2).
	out.cpu = cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	after, err := cpuOf(w.server.Pid())
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

// watch samples the memory of a process and its children until it has ended.
func watch(pid int, ended <-chan error, most *int64) error {
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

// memoryOf is the resident memory of a process and its children; one that ends
// meanwhile has none.
func memoryOf(pid int) int64 {
	all := resident(pid)
	children, _ := os.ReadDir(fmt.Sprintf("/proc/%d/task", pid))
	for _, thread := range children {
		text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/task/%s/children", pid, thread.Name()))
		for field := range strings.FieldsSeq(string(text)) {
			if child, err := strconv.Atoi(field); err == nil {
				all += resident(child)
			}
		}
	}
	return all
}

func resident(pid int) int64 {
	text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/statm", pid))
	fields := strings.Fields(string(text))
	if len(fields) < 2 {
		return 0
	}
	pages, _ := strconv.ParseInt(fields[1], 10, 64)
	return pages * int64(os.Getpagesize())
}

// cpuOf is the time that a process has computed.
func cpuOf(pid int) (all time.Duration, err error) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	// The name in brackets may hold anything; utime and stime are 12th and 13th behind it: proc_pid_stat(5).
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	if len(fields) < 13 {
		return 0, fmt.Errorf("/proc/%d/stat is %q", pid, stat)
	}
	for _, f := range fields[11:13] {
		n, err := strconv.ParseInt(f, 10, 64)
		if err != nil {
			return 0, err
		}
		all += time.Duration(n) * time.Second / ticksPerSecond
	}
	return all, nil
}

// planted are the keys of a case with their kinds.
func (w *world) planted(ctx context.Context, s schema, c sweepCase) (_ map[string]string, err error) {
	if c.planted == "" {
		return nil, nil //nolint:nilnil // nothing is planted in equal tables
	}
	rows, err := w.db.QueryxContext(ctx, w.in(s, c.planted))
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
