package main_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/masixun71/cupid/pkg/manager"
)

// A row that kills every worker that reads it is found, set aside and shown; the rest
// goes on, later looks over it kill nobody, and it is compared when it is given back.
func TestG6RowThatCrashesItsWorkerIsSetAsideAndGivenBack(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.with("update", false)
	r.with("sweep", true)
	r.with("sweepIntervalSecond", 1)
	// Each halving of so many rows takes one of the few workers with it.
	r.src.Exec(t, "INSERT INTO user (number, name) SELECT seq, IF(seq = 45, 'crash the worker', 'x') FROM seq_1_to_100")
	r.des.Exec(t, "INSERT INTO user (number, name) SELECT seq, 'x' FROM seq_1_to_100 WHERE seq NOT IN (44, 45, 46, 100)")
	r.startFaulty()
	r.eventually("all others are repaired", func() bool { return r.differing() == 1 })
	shown := func() int {
		out, _ := r.command("status", "-config", r.path)
		_, aside, _ := strings.Cut(out, "SET ASIDE")
		return strings.Count(aside, " 45 ")
	}
	r.eventually("the row is shown as set aside by both scans", func() bool { return shown() == 2 })

	restarts := r.restarts()
	r.src.Exec(t, "INSERT INTO user (number, name) SELECT seq, 'y' FROM seq_101_to_120")
	r.eventually("later rows are repaired", func() bool { return r.differing() == 1 })
	passes := r.passes()
	r.eventually("the sweep has passed over it twice", func() bool { return r.passes() >= passes+2 })
	if n := r.restarts(); n != restarts {
		t.Errorf("%d workers died of a row that is set aside", n-restarts)
	}

	if out, code := r.command("retry", r.pairName(), "46", "-config", r.path); code != 1 || !strings.Contains(out, "is set aside") {
		t.Errorf("retry of a row that is not set aside: exit code %d, %s", code, out)
	}
	r.src.Exec(t, "UPDATE user SET name = 'mended' WHERE number = 45")
	if out, code := r.command("retry", r.pairName(), "45", "-config", r.path); code != 0 {
		t.Fatalf("retry: exit code %d, %s", code, out)
	}
	r.eventually("the row is repaired", func() bool { return r.differing() == 0 })
	if shown() != 0 {
		t.Error("the row is still shown as set aside")
	}
}

// A run with -once finds such a row with one task worker, too, and says that it knows nothing
// of it; all others are in the report.
func TestOnceSetsARowAsideThatCrashesItsWorker(t *testing.T) {
	t.Parallel()
	r := newOnceRig(t, 0)
	r.src.Exec(t, "INSERT INTO user (number, name) SELECT seq, IF(seq = 45, 'crash the worker', 'x') FROM seq_1_to_100")
	r.copyOver("user")
	r.des.Exec(t, "UPDATE user SET name = 'y' WHERE number IN (44, 45, 46)")
	path, err := faultyWorker()
	if err != nil {
		t.Fatal(err)
	}
	out := r.once(2, "-worker", path, "-dry-run", "-report", r.file("report"))
	if !strings.Contains(out, "1 rows kill every worker") {
		t.Errorf("the row is not told of:\n%s", out)
	}
	lines, _ := readReport(t, r.file("report"))
	if len(lines) != 2 || lines[0].Key != "44" || lines[1].Key != "46" {
		t.Errorf("reported %+v, want 44 and 46", lines)
	}
}

// restarts counts those of all workers.
func (r *rig) restarts() int {
	r.t.Helper()
	s, err := r.status()
	if err != nil {
		r.t.Fatal(err)
	}
	n := 0
	for _, w := range s.Workers {
		n += w.Restarts
	}
	return n
}

// passes is how many sweeps of the one pair there were.
func (r *rig) passes() int {
	for _, s := range r.managed().State.Sweep {
		return int(s.Pass)
	}
	return 0
}

// pairName is the name of the one pair.
func (r *rig) pairName() string {
	for name := range r.pairs() {
		return name
	}
	return ""
}

// managed is what the manager says of itself.
func (r *rig) managed() (m manager.Status) {
	if s, err := r.status(); err == nil {
		_ = json.Unmarshal(s.Reports["0"], &m)
	}
	return m
}
