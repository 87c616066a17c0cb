package main

import (
	"context"
	"fmt"
	"maps"
	"os"
	"slices"
	"syscall"
	"time"

	"github.com/masixun71/cupid/pkg/boot"
)

// measured is a process and what it has.
type measured struct {
	size
	routines int
}

// grown is what a process had when it was young and when it was old.
type grown struct {
	name       string
	young, old measured
}

// slack is by how much a number may differ between two processes in the same state: pools of connections and of threads
// are filled by chance. What leaks at each kill or each callback grows by far more.
const slackFiles, slackThreads, slackRoutines = 10, 16, 24

// measure has every process say how many goroutines it has, by SIGQUIT; so they are all new after it.
func (r *runner) measure(ctx context.Context) (map[string]measured, error) {
	if r.original || !pause(ctx, idle) {
		return nil, context.Cause(ctx)
	}
	s, err := r.subject.status(ctx)
	if err != nil {
		return nil, err
	}
	all := map[string]measured{}
	pids := s.pids()
	for name, pid := range pids {
		n, err := sizeOf(pid)
		if err != nil {
			return nil, fmt.Errorf("measure the %s: %w", name, err)
		}
		all[name] = measured{size: n}
	}
	for _, w := range s.Workers {
		crash := boot.CrashFile(r.subject.stateIn, w.Slot)
		if err := os.Truncate(crash, 0); err != nil {
			return nil, err
		}
		text, err := r.stacks(ctx, w.Pid, crash, 0)
		if err != nil {
			return nil, err
		}
		for name, pid := range pids {
			if pid == w.Pid {
				m := all[name]
				m.routines = goroutines(text)
				all[name] = m
			}
		}
	}
	said, err := os.Stat(r.subject.output)
	if err != nil {
		return nil, err
	}
	text, err := r.stacks(ctx, s.Pid, r.subject.output, said.Size())
	if err != nil {
		return nil, err
	}
	m := all["master"]
	m.routines = goroutines(text)
	all["master"] = m
	return all, nil
}

// stacks has a process write its stacks and die, waits until another has taken its place, and returns them.
func (r *runner) stacks(ctx context.Context, pid int, path string, from int64) ([]byte, error) {
	if !send(pid, syscall.SIGQUIT) {
		return nil, fmt.Errorf("ask process %d for its stacks: it is gone", pid)
	}
	if _, err := r.hand.recovers(ctx, kill{at: time.Now(), pid: pid}); err != nil {
		return nil, err
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	return text[min(from, int64(len(text))):], context.Cause(ctx)
}

// compare puts side by side what processes had.
func compare(young, old map[string]measured) []grown {
	var all []grown
	for _, name := range slices.Sorted(maps.Keys(young)) {
		all = append(all, grown{name, young[name], old[name]})
	}
	return all
}

// broken says what has grown.
func (g grown) broken() []string {
	var all []string
	for _, n := range []struct {
		what              string
		young, old, slack int
	}{
		{"file descriptors", g.young.files, g.old.files, slackFiles},
		{"threads", g.young.threads, g.old.threads, slackThreads},
		{"goroutines", g.young.routines, g.old.routines, slackRoutines},
		{"zombies", 0, g.old.zombies, 0},
	} {
		if n.old > n.young+n.slack {
			all = append(all, fmt.Sprintf("grown: the %s has %d %s, and had %d when it was young", g.name, n.old, n.what, n.young))
		}
	}
	if g.old.routines == 0 {
		all = append(all, "grown: the stacks of the "+g.name+" were not found")
	}
	return all
}
