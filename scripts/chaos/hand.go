package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

const (
	armedDir, reachedDir = "failpoints/armed", "failpoints/reached"
	// killEvery is how often a process is killed, on average.
	killEvery = 2 * time.Second
	// pointWait is how long an armed point has to be reached.
	pointWait = 5 * time.Second
	// hangLimit is longer than cupid lets a worker hang.
	hangLimit = 7 * time.Second
	// recovery is how long it may take until all workers are ready again. Workers that die again and again are
	// replaced ever more slowly, up to 30 s, and the machine may be busy.
	recovery = 2 * time.Minute
)

// points are the named points of each role, as pkg/failpoint has them.
var points = map[string][]string{
	"manager":  {"start", "step", "offering", "done", "renaming", "renamed"},
	"callback": {"start", "step", "stored", "destination", "source", "posting", "posted", "applying", "applied"},
	"task":     {"start", "step", "taken", "destination", "source", "found", "acknowledged", "done", "renaming", "renamed"},
	"master":   {"start", "ready", "gone", "route-want", "route-chunk", "route-done", "route-events", "route-events-ack"},
}

// kill is something that was done to a process.
type kill struct {
	what      string // KILL, STOP, exit 1 …
	role      string
	point     string // empty: at random
	pid       int    // 0 when it lives on
	at        time.Time
	recovered time.Duration // until all were ready again; 0: another kill came before
}

// hand kills.
type hand struct {
	*subject
	dice *rand.Rand
	say  func(format string, args ...any)

	mu     sync.Mutex // guards all below
	kills  []kill
	missed map[string]int // points that were armed and not reached
}

// run kills until ctx is done. After spare the master is left alone, so that it gets old.
func (h *hand) run(ctx context.Context, spare time.Time) error {
	for pause(ctx, between(h.dice, killEvery/5, killEvery*9/5)) {
		k := h.choose(time.Now().Before(spare))
		done, err := h.do(ctx, &k)
		if err != nil {
			return err
		}
		if !done {
			continue
		}
		// Now and then the next one comes before this one is over.
		if h.dice.IntN(4) > 0 {
			if k.recovered, err = h.recovers(ctx, k); err != nil {
				return err
			}
		}
		h.mu.Lock()
		h.kills = append(h.kills, k)
		h.mu.Unlock()
	}
	return nil
}

// choose throws the dice for what is done to whom.
func (h *hand) choose(masterToo bool) kill {
	k := kill{what: []string{"KILL", "KILL", "SEGV", "STOP", "exit 0", "exit 1"}[h.dice.IntN(6)]}
	roles := []string{"manager", "callback", "task", "task 2", "task"}
	if masterToo {
		roles = append(roles, "master", "all")
	}
	if h.original {
		k.role = "master"
		if strings.HasPrefix(k.what, "exit") {
			k.what = "KILL"
		}
		return k
	}
	switch k.role = roles[h.dice.IntN(len(roles))]; {
	case k.role == "all":
		k.what = "KILL"
	case h.dice.IntN(2) == 0 || strings.HasPrefix(k.what, "exit"):
		k.role, _, _ = strings.Cut(k.role, " ")
		k.point = points[k.role][h.dice.IntN(len(points[k.role]))]
		if k.point == "destination" {
			k.what = "STOP" // one side is read, and the other is another when the process goes on
		}
	}
	return k
}

// do does it; false when there was nobody to do it to.
func (h *hand) do(ctx context.Context, k *kill) (bool, error) {
	if k.point != "" {
		return h.atPoint(ctx, k)
	}
	pid := h.pid()
	if k.role != "master" && k.role != "all" {
		pid = h.pidOf(ctx, k.role)
	}
	k.at, k.pid = time.Now(), pid
	switch {
	case k.role == "all":
		return send(-pid, syscall.SIGKILL), nil
	case k.what == "KILL":
		return send(pid, syscall.SIGKILL), nil
	case k.what == "SEGV":
		return send(pid, syscall.SIGSEGV), nil
	}
	return h.stop(ctx, k, pid), nil
}

// stop stops a process, and lets it go on.
func (h *hand) stop(ctx context.Context, k *kill, pid int) bool {
	if k.point == "" && !send(pid, syscall.SIGSTOP) {
		return false
	}
	k.pid = 0
	wait := between(h.dice, settle/10, settle*3/2)
	if h.dice.IntN(4) == 0 && k.role != "master" {
		wait, k.what = hangLimit, "STOP until replaced"
	}
	pause(ctx, wait)
	send(pid, syscall.SIGCONT)
	return true
}

// atPoint arms a point and waits until it is reached.
func (h *hand) atPoint(ctx context.Context, k *kill) (bool, error) {
	name := k.role + "." + k.point
	base := filepath.Dir(h.args[0])
	armed := filepath.Join(base, armedDir, name)
	if err := os.WriteFile(armed+".new", []byte(strings.ToLower(k.what)), 0o600); err != nil {
		return false, err
	}
	if err := os.Rename(armed+".new", armed); err != nil {
		return false, err
	}
	if k.point == "start" { // nobody starts by himself
		if pid := h.pidOf(ctx, k.role); !send(pid, syscall.SIGKILL) {
			_ = os.Remove(armed)
			return false, nil
		}
	}
	late := time.NewTimer(pointWait)
	defer late.Stop()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		reached, err := filepath.Glob(filepath.Join(base, reachedDir, name+".*"))
		if err != nil {
			return false, err
		}
		if len(reached) > 0 {
			k.at = time.Now()
			return true, h.reached(ctx, k, reached[0])
		}
		select {
		case <-tick.C:
			continue
		case <-late.C:
		case <-ctx.Done():
		}
		if err := os.Remove(armed); errors.Is(err, os.ErrNotExist) {
			late.Reset(pointWait) // it was reached this moment
			continue
		}
		h.mu.Lock()
		h.missed[name]++
		h.mu.Unlock()
		return false, nil
	}
}

// reached clears up after a point was reached, and lets a process go on that was stopped there.
func (h *hand) reached(ctx context.Context, k *kill, path string) error {
	pid, err := strconv.Atoi(path[strings.LastIndexByte(path, '.')+1:])
	if err != nil {
		return err
	}
	if k.pid = pid; k.what == "STOP" {
		h.stop(ctx, k, pid)
	}
	return os.Remove(path)
}

func (h *hand) pidOf(ctx context.Context, role string) int {
	if role == "master" {
		return h.pid()
	}
	s, err := h.status(ctx)
	if err != nil {
		return 0
	}
	return s.pids()[role]
}

// send sends a signal and reports whether there was somebody to get it.
func send(pid int, s syscall.Signal) bool { return pid != 0 && syscall.Kill(pid, s) == nil }

// recovers waits until all workers are ready again, and returns how long after the kill that was.
func (h *hand) recovers(ctx context.Context, k kill) (time.Duration, error) {
	limit := time.Now().Add(recovery)
	for pause(ctx, 10*time.Millisecond) {
		if s, err := h.status(ctx); err == nil && s.ready() && !s.has(k.pid) {
			return time.Since(k.at), nil
		}
		if time.Now().After(limit) {
			return 0, fmt.Errorf("the program was not ready again within %s", recovery)
		}
		select {
		case err := <-h.failed:
			return 0, err
		default:
		}
	}
	return 0, nil
}

// disarm takes all points away.
func (h *hand) disarm() error {
	left, err := filepath.Glob(filepath.Join(filepath.Dir(h.args[0]), armedDir, "*"))
	for _, path := range left {
		err = errors.Join(err, os.Remove(path))
	}
	return err
}

// done is what was done, in the order of time.
func (h *hand) done() []kill {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.kills)
}
