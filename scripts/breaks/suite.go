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
	"regexp"
	"strings"
	"sync"
	"time"
)

// programs has the tests that run the real programs.
const programs = "./cmd/cupid-master"

// suite is the tests.
type suite struct {
	dir  string // of what is written
	path string // of the built tests of the programs
	// patience is how long a test waits for what must happen, without a break as well as with one.
	patience time.Duration

	mu    sync.Mutex
	sound map[string]func() ([]byte, error) // runs a test without a break, the first time it is called
}

// build builds the tests of the programs.
func build(ctx context.Context, dir string, patience time.Duration) (*suite, error) {
	s := &suite{dir: dir, path: filepath.Join(dir, "tests"), patience: patience, sound: map[string]func() ([]byte, error){}}
	if out, err := exec.CommandContext(ctx, "go", "test", "-c", "-o", s.path, programs).CombinedOutput(); err != nil {
		return nil, fmt.Errorf("build the tests: %w\n%s", err, out)
	}
	return s, nil
}

// check runs the break's test as it should be, unless that was done before, and broken. What
// it returns is the output of the last run.
func (s *suite) check(ctx context.Context, b brk) ([]byte, error) {
	s.mu.Lock()
	name := b.pkg + " " + b.test
	sound, ok := s.sound[name]
	if !ok {
		sound = sync.OnceValues(func() ([]byte, error) { return s.run(ctx, b, "") })
		s.sound[name] = sound
	}
	s.mu.Unlock()
	if out, err := sound(); err != nil {
		return out, fmt.Errorf("the test fails without the break: %w", err)
	}
	dir, err := os.MkdirTemp(s.dir, "break-")
	if err != nil {
		return nil, err
	}
	overlay, err := b.overlay(".", dir)
	if err != nil {
		return nil, err
	}
	out, err := s.run(ctx, b, overlay)
	switch {
	case err == nil:
		return out, errors.New("the test passes with the promise broken")
	case !bytes.Contains(out, []byte("--- FAIL: "+b.function())):
		return out, fmt.Errorf("the test did not come to an end of its own: %w", err)
	}
	return out, nil
}

// function is the name of the break's test without that of a subtest.
func (b brk) function() string {
	name, _, _ := strings.Cut(b.test, "/")
	return name
}

// run runs the test of a break; with an overlay, the programs that it builds have it. The
// test of a package is itself built with it.
func (s *suite) run(ctx context.Context, b brk, overlay string) ([]byte, error) {
	var levels []string
	for level := range strings.SplitSeq(b.test, "/") {
		levels = append(levels, "^"+level+"$")
	}
	run := strings.Join(levels, "/")
	cmd := exec.CommandContext(ctx, s.path, "-test.timeout=5m", "-test.v", "-test.run", run)
	if b.pkg == "" {
		cmd.Dir = programs
	} else {
		cmd = exec.CommandContext(ctx, "go", "test", "-count=1", "-timeout=5m", "-v", "-run", run, b.pkg)
	}
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 10 * time.Second
	cmd.Env = append(os.Environ(), "CUPID_TEST_PATIENCE="+s.patience.String())
	if overlay != "" {
		cmd.Env = append(cmd.Env, strings.TrimSpace("GOFLAGS="+os.Getenv("GOFLAGS")+" -overlay="+overlay))
	}
	out, err := cmd.CombinedOutput()
	switch {
	case err != nil:
	case bytes.Contains(out, []byte("no tests to run")):
		err = errors.New("there is no such test")
	case !bytes.Contains(out, []byte("--- PASS: "+b.test+" ")):
		err = errors.New("the test was skipped")
	}
	return out, err
}

// said is a line in which a test says something.
var said = regexp.MustCompile(`(?m)^\s+\w+_test\.go:\d+: .*$`)

// complaint is the first thing that a failing test says.
func complaint(out []byte) string { return strings.TrimSpace(string(said.Find(out))) }

// overlay writes the broken files to dir, and the file that puts them in the place of
// those below root.
func (b brk) overlay(root, dir string) (string, error) {
	texts := map[string]string{}
	for _, e := range b.edits {
		text, ok := texts[e.file]
		if !ok {
			data, err := os.ReadFile(filepath.Join(root, e.file))
			if err != nil {
				return "", fmt.Errorf("read source: %w", err)
			}
			text = string(data)
		}
		if n := strings.Count(text, e.old); n != 1 {
			return "", fmt.Errorf("%s has what is to be replaced %d times, want once: %q", e.file, n, e.old)
		}
		texts[e.file] = strings.Replace(text, e.old, e.new, 1)
	}
	replace := map[string]string{}
	for file, text := range texts {
		from, err := filepath.Abs(filepath.Join(root, file))
		if err != nil {
			return "", fmt.Errorf("find source: %w", err)
		}
		to := filepath.Join(dir, strings.ReplaceAll(file, "/", "-"))
		if err := os.WriteFile(to, []byte(text), 0o600); err != nil {
			return "", fmt.Errorf("write broken source: %w", err)
		}
		replace[from] = to
	}
	data, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		return "", fmt.Errorf("write overlay: %w", err)
	}
	path := filepath.Join(dir, "overlay.json")
	if err := os.WriteFile(path, data, 0o600); err != nil {
		return "", fmt.Errorf("write overlay: %w", err)
	}
	return path, nil
}
