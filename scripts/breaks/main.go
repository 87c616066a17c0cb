// Command breaks checks the checks: it breaks each promise of the program on purpose and
// demands that the promise's test fails. No file of the checkout is changed; the Go
// tool is given the broken ones in their place (go help build, -overlay).
//
// Its own test sees to it that every break still fits the sources.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"time"
)

// pkg has the tests of the promises.
const pkg = "./cmd/cupid-master"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// run is the whole program: 0 when every test notices, 1 when one does not, 64 for a
// command line that makes no sense.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	f := flag.NewFlagSet("breaks", flag.ContinueOnError)
	f.SetOutput(stderr)
	only := f.String("only", "", "check those alone whose promise or test matches the `regexp`")
	verbose := f.Bool("v", false, "show what the failing tests say")
	if err := f.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return 0
		}
		return 64
	}
	wanted, err := regexp.Compile(*only)
	if err != nil {
		_, _ = fmt.Fprintln(stderr, "breaks:", err)
		return 64
	}
	missed := 0
	for _, b := range breaks {
		if !wanted.MatchString(b.promise) && !wanted.MatchString(b.test) {
			continue
		}
		begin := time.Now()
		out, err := b.check(ctx)
		verdict := "noticed"
		if err != nil {
			missed++
			verdict = "NOT NOTICED: " + err.Error()
		}
		_, _ = fmt.Fprintf(stdout, "%-4s %-60s %-50s %4.0f s  %s\n", b.promise, b.what, b.test, time.Since(begin).Seconds(), verdict)
		if *verbose || err != nil {
			_, _ = stdout.Write(out)
		}
		if ctx.Err() != nil {
			return 1
		}
	}
	if missed > 0 {
		return 1
	}
	return 0
}

// check runs the break's test twice, as it should be and broken. What it returns is the
// output of the broken run.
func (b brk) check(ctx context.Context) ([]byte, error) {
	if out, err := goTest(ctx, b.test, ""); err != nil {
		return out, fmt.Errorf("the test fails without the break: %w", err)
	}
	dir, err := os.MkdirTemp("", "cupid-breaks-")
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	overlay, err := b.overlay(".", dir)
	if err != nil {
		return nil, err
	}
	out, err := goTest(ctx, b.test, overlay)
	name, _, _ := strings.Cut(b.test, "/")
	switch {
	case err == nil:
		return out, errors.New("the test passes with the promise broken")
	case !bytes.Contains(out, []byte("--- FAIL: "+name)):
		return out, fmt.Errorf("the test did not come to an end of its own: %w", err)
	}
	return out, nil
}

// goTest runs one test; with an overlay, the programs that the test builds have it too.
func goTest(ctx context.Context, test, overlay string) ([]byte, error) {
	var levels []string
	for level := range strings.SplitSeq(test, "/") {
		levels = append(levels, "^"+level+"$")
	}
	cmd := exec.CommandContext(ctx, "go", "test", "-count=1", "-timeout=5m", "-run", strings.Join(levels, "/"), pkg)
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 10 * time.Second
	cmd.Env = os.Environ()
	if overlay != "" {
		cmd.Env = append(cmd.Env, strings.TrimSpace("GOFLAGS="+os.Getenv("GOFLAGS")+" -overlay="+overlay))
	}
	out, err := cmd.CombinedOutput()
	if err == nil && bytes.Contains(out, []byte("no tests to run")) {
		err = errors.New("there is no such test")
	}
	return out, err
}

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
