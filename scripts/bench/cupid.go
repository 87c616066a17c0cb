package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"github.com/masixun71/cupid/ipc"
)

const (
	// fileEvery and statusEvery are how often is looked for what is waited for. A
	// status costs the master about a millisecond, which would show in the figures.
	fileEvery, statusEvery = 10 * time.Millisecond, 100 * time.Millisecond
	// patience bounds each wait. It is waited out only when something is broken.
	patience = 3 * time.Minute
	stopTime = 10 * time.Second
)

// cupid is a running cupid-master with its workers.
type cupid struct {
	cmd           *exec.Cmd
	logDir, state string
	output        string // what the master prints
	ended         chan struct{}
}

// status is what is read of an answer of the master.
type status struct {
	Pid     int `json:"pid"`
	Workers []struct {
		Pid   int    `json:"pid"`
		State string `json:"state"`
	} `json:"workers"`
	Reports map[string]json.RawMessage `json:"reports"`
}

// pids are those of the master and its workers.
func (s status) pids() []int {
	all := []int{s.Pid}
	for _, w := range s.Workers {
		all = append(all, w.Pid)
	}
	return all
}

// start starts cupid and returns when all workers are ready, with the time when they were.
func (w *world) start(ctx context.Context, config map[string]any) (_ *cupid, ready time.Time, err error) {
	c := &cupid{logDir: config["logDir"].(string), state: config["cacheFilePath"].(string), ended: make(chan struct{})}
	dir := filepath.Dir(c.state)
	c.output = filepath.Join(dir, "output")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, ready, err
	}
	text, err := json.MarshalIndent(config, "", "  ")
	if err != nil {
		return nil, ready, err
	}
	path := filepath.Join(dir, "cupid.json")
	if err := os.WriteFile(path, text, 0o600); err != nil {
		return nil, ready, err
	}
	output, err := os.Create(c.output)
	if err != nil {
		return nil, ready, err
	}
	defer func() { _ = output.Close() }() // the process has its own descriptor
	c.cmd = exec.CommandContext(context.WithoutCancel(ctx), filepath.Join(w.bin, "cupid-master"), "-config", path)
	c.cmd.Stdout, c.cmd.Stderr = output, output
	// A group of its own: ^C is ours to pass on.
	c.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := c.cmd.Start(); err != nil {
		return nil, ready, err
	}
	go func() { defer close(c.ended); _ = c.cmd.Wait() }()
	err = c.until(ctx, "all workers to be ready", fileEvery, func() (bool, error) {
		s, err := c.status(ctx)
		if err != nil || len(s.Workers) == 0 {
			return false, nil //nolint:nilerr // it has not got that far yet
		}
		for _, one := range s.Workers {
			if one.State != "ready" {
				return false, nil
			}
		}
		ready = time.Now()
		return true, nil
	})
	if err != nil {
		return nil, ready, errors.Join(err, c.stop())
	}
	return c, ready, nil
}

// stop ends the master, and its workers with it.
func (c *cupid) stop() error {
	_ = c.cmd.Process.Signal(syscall.SIGTERM) // it may have ended
	timer := time.NewTimer(stopTime)
	defer timer.Stop()
	select {
	case <-c.ended:
		return nil
	case <-timer.C:
		_ = c.cmd.Process.Kill()
		<-c.ended
		return fmt.Errorf("cupid-master did not stop within %s and was killed", stopTime)
	}
}

// until waits until ok, which is asked every so often.
func (c *cupid) until(ctx context.Context, what string, every time.Duration, ok func() (bool, error)) error {
	limit := time.NewTimer(patience)
	defer limit.Stop()
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		switch done, err := ok(); {
		case err != nil:
			return fmt.Errorf("wait for %s: %w", what, err)
		case done:
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-c.ended:
			text, err := os.ReadFile(c.output)
			return errors.Join(fmt.Errorf("wait for %s: cupid-master ended: %s", what, text), err)
		case <-limit.C:
			return fmt.Errorf("wait for %s: not within %s", what, patience)
		}
	}
}

// status asks the master.
func (c *cupid) status(ctx context.Context) (status, error) {
	var s status
	err := c.ask(ctx, ipc.TypeStatus, &s)
	return s, err
}
