package main_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// startStopping starts a cupid whose processes stop where stopAt says.
func (r *rig) startStopping() *run {
	r.t.Helper()
	// The points are found beside the binaries.
	link := func(build func() (string, error), name string) string {
		path, err := build()
		if err != nil {
			r.t.Fatal(err)
		}
		own := filepath.Join(r.dir, name)
		if err := os.Link(path, own); err != nil {
			r.t.Fatal(err)
		}
		return own
	}
	worker, master := link(faultyWorker, "worker"), link(faultyMaster, "master")
	for _, sub := range []string{"armed", "reached"} {
		if err := os.MkdirAll(filepath.Join(r.dir, "failpoints", sub), 0o700); err != nil {
			r.t.Fatal(err)
		}
	}
	r.prepare = func(cmd *exec.Cmd) { cmd.Path = master }
	return r.start("-worker", worker)
}

// stopAt has the process of a role that is the next to reach a point stop there: before it reads a side, or ends.
func (r *rig) stopAt(role string, points ...string) {
	r.t.Helper()
	for _, point := range points {
		path := filepath.Join(r.dir, "failpoints", "armed", role+"."+point)
		if err := errors.Join(os.WriteFile(path+".new", []byte("stop"), 0o600), os.Rename(path+".new", path)); err != nil {
			r.t.Fatal(err)
		}
	}
}

// stopped waits until a process has stopped, has something happen, and lets it go on. It is
// false when the machine held the test up.
func (r *rig) stopped(meanwhile func()) bool {
	r.t.Helper()
	var path string
	r.eventually("a process stops", func() bool {
		reached, err := filepath.Glob(filepath.Join(r.dir, "failpoints", "reached", "*"))
		if err != nil {
			r.t.Fatal(err)
		}
		if len(reached) == 1 {
			path = reached[0]
		}
		return path != "" || r.heldUp()
	})
	if r.heldUp() {
		return false
	}
	pid, err := strconv.Atoi(path[strings.LastIndexByte(path, '.')+1:])
	if err != nil {
		r.t.Fatal(err)
	}
	r.eventually("it stands still", func() bool {
		text, err := os.ReadFile("/proc/" + itoa(pid) + "/stat")
		return err != nil || strings.Contains(string(text), ") T ")
	})
	if err := os.Remove(path); err != nil {
		r.t.Fatal(err)
	}
	meanwhile()
	if err := syscall.Kill(pid, syscall.SIGCONT); err != nil && !errors.Is(err, syscall.ESRCH) {
		r.t.Fatal(err)
	}
	return !r.heldUp()
}

// heldUp reports whether a worker that the test had stopped was replaced meanwhile.
func (r *rig) heldUp() bool {
	r.t.Helper()
	return strings.Contains(r.masterLog(), `"reason":"hung: `)
}

// unlessHeldUp runs f again when it says that the machine held it up.
func unlessHeldUp(t *testing.T, f func(r *rig) bool) {
	t.Helper()
	for range 3 {
		if f(newRig(t)) {
			return
		}
	}
	t.Fatal("the machine held the test up each time")
}

// bothAre makes a row equal on both sides, as its pipeline would.
func (r *rig) bothAre(version int) {
	r.t.Helper()
	r.src.Exec(r.t, fmt.Sprintf("UPDATE user SET name = 'v%d' WHERE number = 1", version))
	r.des.Exec(r.t, fmt.Sprintf("REPLACE INTO user (number, name) VALUES (1, 'v%d')", version))
}

// A worker stands still before it looks at a row, and between its reads of the two sides.
// The row is never behind for the settle time, and moves on each time.
func TestG3FrozenBetweenTheReadsIsNoAlarm(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("it takes a faulty build")
	}
	t.Run("task", func(t *testing.T) {
		t.Parallel()
		unlessHeldUp(t, func(r *rig) bool {
			r.with("update", false)
			r.startStopping()
			r.des.Exec(t, "INSERT INTO user (number, name) VALUES (1, 'v0')")
			r.stopAt("task", "destination")
			r.src.Exec(t, "INSERT INTO user (number, name) VALUES (1, 'v1')")
			next := func() { r.stopAt("task", "destination", "source") } // in the first look, which the next one begins after
			if !r.stopped(next) || !r.stopped(func() { r.bothAre(1) }) || !r.stopped(func() { r.bothAre(2) }) {
				return false
			}
			var counts struct{ InHand, SelfHealed, Events, Watched int }
			r.eventually("the row heals", func() bool {
				return r.heldUp() || r.taskCounts(&counts) && counts.InHand == 0 && counts.SelfHealed+counts.Events > 0
			})
			if r.heldUp() {
				return false
			}
			if counts.Events > 0 || counts.Watched > 0 || len(r.receiver.all()) > 0 {
				t.Errorf("counts %+v, %d calls; want no event", counts, len(r.receiver.all()))
			}
			return true
		})
	})
	t.Run("callback", func(t *testing.T) {
		t.Parallel()
		unlessHeldUp(t, func(r *rig) bool {
			r.with("update", false)
			r.startStopping()
			r.stopAt("callback", "destination", "source")
			r.src.Exec(t, "INSERT INTO user (number, name) VALUES (1, 'v1')")
			// The first time after it was confirmed.
			if !r.stopped(func() { r.bothAre(1) }) || !r.stopped(func() { r.bothAre(2) }) {
				return false
			}
			r.eventually("the row leaves the queue", func() bool {
				p := r.onlyPair()
				return r.heldUp() || p.Depth == 0 && p.HealedItself+p.HealedByCallback > 0
			})
			if r.heldUp() {
				return false
			}
			if calls := r.receiver.all(); len(calls) > 0 {
				t.Errorf("%d calls for a row that only moved, the first %s", len(calls), calls[0].Raw)
			}
			return true
		})
	})
}
