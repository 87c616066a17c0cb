package process

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"time"
)

// probeTimeout is how long a worker binary may take to say its version. It is long for a machine that is swapping.
const probeTimeout = 5 * time.Second

// Version is what a worker binary says about itself with -version, in JSON.
type Version struct {
	Protocol int    `json:"protocol"`
	Build    string `json:"build"`
}

// probe runs the program, which is the worker binary at path, with -version.
func probe(ctx context.Context, path, program string, protocol int) (Version, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, probeTimeout, fmt.Errorf("no answer within %v", probeTimeout))
	defer cancel()
	out := &limited{limit: maxLineBytes}
	cmd := exec.CommandContext(ctx, program, "-version")
	cmd.Env = SafeEnv(os.Environ())
	cmd.Stdout = out
	cmd.WaitDelay = waitDelay
	err := start(cmd)
	if err == nil {
		err = wait(cmd)
	}
	if err != nil {
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		return Version{}, fmt.Errorf("probe: %w", startError(path, err))
	}
	var version Version
	if err := json.Unmarshal(out.kept.Bytes(), &version); err != nil || version.Protocol == 0 {
		return Version{}, fmt.Errorf("%s is no cupid-worker: with -version it says %q", path, shorten(out.kept.Bytes()))
	}
	if version.Protocol != protocol {
		return version, fmt.Errorf("worker binary %s (build %s) speaks protocol %d and this master speaks protocol %d: install both from the same build",
			path, version.Build, version.Protocol, protocol)
	}
	return version, nil
}

// startError says in words what the kernel says in a number when a binary cannot be started.
func startError(path string, err error) error {
	switch {
	case errors.Is(err, syscall.ENOEXEC):
		return fmt.Errorf("%s is no program of this system: %w", path, err)
	case errors.Is(err, syscall.EACCES):
		return fmt.Errorf("%s is not executable for this user: %w", path, err)
	case errors.Is(err, syscall.ETXTBSY):
		return fmt.Errorf("%s is being written: %w", path, err)
	default:
		return fmt.Errorf("start %s: %w", path, err)
	}
}

func shorten(text []byte) []byte { return text[:min(len(text), 80)] }

// limited keeps the first bytes that are written to it.
type limited struct {
	limit int
	kept  bytes.Buffer
}

// Write takes all of p and never fails.
func (l *limited) Write(p []byte) (int, error) {
	l.kept.Write(p[:min(len(p), l.limit-l.kept.Len())])
	return len(p), nil
}
