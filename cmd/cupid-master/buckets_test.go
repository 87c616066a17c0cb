package main_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/masixun71/cupid/pkg/boot"
)

// scatteredRows is more than a table has at least that is swept by buckets, as its
// server estimates it.
const scatteredRows = 80_000

// newScatteredRig is a rig whose tables hold the same rows in different order, joined by
// a key that is scattered over both. Some rows are spoiled then.
func newScatteredRig(t *testing.T) (r *rig, planted map[string]string) {
	t.Helper()
	r = newRig(t)
	r.with("insert", false)
	r.with("update", false)
	r.with("sweep", true)
	r.with("delete", true)
	const row = "%s, CONCAT('name of ', seq), seq / 4"
	number := "seq * 7368787 % 1000000007"
	r.src.Exec(t, fmt.Sprintf("INSERT INTO user (number, name, balance) SELECT "+row+" FROM seq_1_to_%d ORDER BY seq", number, scatteredRows), "ANALYZE TABLE user")
	r.des.Exec(t, fmt.Sprintf("INSERT INTO user (number, name, balance) SELECT "+row+" FROM seq_1_to_%d ORDER BY seq DESC", number, scatteredRows),
		"DELETE FROM user WHERE number % 10000 = 7",
		"UPDATE user SET balance = balance + 0.0001, update_time = update_time WHERE number % 10000 = 8",
		"UPDATE user d JOIN "+r.src.Name+".user s ON s.number = d.number + 7368787 SET d.name = s.name, d.update_time = d.update_time WHERE d.number IN (7368787, 22106361)",
		"UPDATE user d JOIN "+r.src.Name+".user s ON s.number = d.number - 7368787 SET d.name = s.name, d.update_time = d.update_time WHERE d.number IN (14737574, 29475148)",
		"INSERT INTO user (number, name) SELECT 2000000000 + seq, 'left over' FROM seq_1_to_9", "ANALYZE TABLE user")
	planted = map[string]string{"7368787": "different", "14737574": "different", "22106361": "different", "29475148": "different"}
	for i := 1; i <= scatteredRows; i++ {
		switch n := i * 7368787 % 1000000007; n % 10000 {
		case 7:
			planted[fmt.Sprint(n)] = "missing"
		case 8:
			planted[fmt.Sprint(n)] = "different"
		}
	}
	for i := 1; i <= 9; i++ {
		planted[fmt.Sprint(2000000000+i)] = "orphan"
	}
	return r, planted
}

// repairOrDelete is repair, and takes orphans away.
func (r *rig) repairOrDelete(c call) int {
	if c.Body.Type == 3 {
		r.des.Exec(r.t, "DELETE FROM user WHERE number = "+c.Body.Row["number"].(interface{ String() string }).String())
		return 204
	}
	return r.repair(c)
}

func TestScatteredKeyIsSweptByBuckets(t *testing.T) {
	t.Parallel()
	r, planted := newScatteredRig(t)
	r.once(1, "-dry-run", "-report", r.file("report"))
	lines, end := readReport(t, r.file("report"))
	for _, l := range lines {
		if planted[l.Key] != l.Kind {
			t.Errorf("%s is said to be %s, planted was %q", l.Key, l.Kind, planted[l.Key])
		}
		delete(planted, l.Key)
	}
	if len(planted) > 0 {
		t.Errorf("not found: %v", planted)
	}
	if end.Pairs[0].Rows != scatteredRows {
		t.Errorf("%d rows were compared, want %d", end.Pairs[0].Rows, scatteredRows)
	}
	out, _ := r.command("-check", "-config", r.path)
	if !strings.Contains(out, "added up by buckets") {
		t.Errorf("-check does not say how the pair is swept:\n%s", out)
	}
}

// The master is killed in the middle of the sums, and in the middle of what they
// differ in; a master after that finds everything, and nothing else.
func TestG1ScatteredSweepGoesOnAfterTheMasterIsKilled(t *testing.T) {
	t.Parallel()
	r, planted := newScatteredRig(t)
	r.with("sweepIntervalSecond", 1)
	r.with("sweepRowPerSecond", 12_000)
	r.with("sweepThreadsRunning", 0) // the server is that of other tests, too
	r.receiver.then(r.repairOrDelete)
	m := r.start()
	r.eventually("sums are kept", func() bool {
		files, _ := filepath.Glob(r.file("cache/sweep-*.json"))
		return len(files) > 0
	})
	m.kill()
	m = r.start()
	r.eventually("it resolves", func() bool { return strings.Contains(r.state(), `"resolve"`) })
	m.kill()
	r.start()
	r.eventually("tables equal", func() bool { return r.differing() == 0 && r.count() == scatteredRows })
	if strings.Contains(r.logs(), "it adds them up again") {
		t.Error("a manager added both tables up anew, want it to go on where the one before it was")
	}
	kinds := map[int]string{1: "missing", 2: "different", 3: "orphan"}
	for _, c := range r.receiver.all() {
		key := c.Body.Row["number"].(interface{ String() string }).String()
		if planted[key] != kinds[c.Body.Type] {
			t.Errorf("called for %s as %s, planted was %q", key, kinds[c.Body.Type], planted[key])
		}
	}
}

// A row that kills who compares the rows of buckets is set aside by its id. That its destination
// row has no other half then neither makes it an orphan nor kills again.
func TestG6RowThatCrashesASweepByBucketsIsSetAside(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("it takes a faulty build")
	}
	r, _ := newScatteredRig(t)
	r.with("sweepIntervalSecond", 1)
	r.with("sweepThreadsRunning", 0)
	r.receiver.then(r.repairOrDelete)
	r.src.Exec(t, "UPDATE user SET name = 'crash the worker' WHERE id = 40000")
	r.startFaulty()
	r.eventually("all others are repaired", func() bool { return r.differing() == 1 && r.count() == scatteredRows })
	r.eventually("the row is shown as set aside", func() bool {
		out, _ := r.command("status", "-config", r.path)
		_, aside, _ := strings.Cut(out, "SET ASIDE")
		return strings.Contains(aside, " 40000 ")
	})
	restarts, passes := r.restarts(), r.passes()
	r.eventually("the sweep has passed over it twice", func() bool { return r.passes() >= passes+2 })
	if n := r.restarts(); n != restarts {
		t.Errorf("%d workers died of a row that is set aside", n-restarts)
	}
}

// Sums of a pair that is not configured any more are of no use to anybody.
func TestSumsOfPairsThatAreGoneAreRemoved(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	cache := r.file("cache [a-z]*") // no pattern, whatever it looks like
	r.with("cacheFilePath", cache)
	r.start()
	gone := boot.SumsFile(cache, "another/pair")
	stays := []string{
		boot.SumsFile(cache, r.pairName()), boot.SumsFile(cache, r.pairName()) + ".previous",
		gone + ".damaged-20260102T030405.000Z", filepath.Join(cache, "sweep-notes.json"), filepath.Join(cache, "manager-0.json"),
	}
	for _, path := range append(stays, gone, gone+".previous") {
		if filepath.Base(path) != "manager-0.json" {
			writeFile(t, path, "{}")
		}
	}
	if out, code := r.command("reload", "-config", r.path); code != 0 {
		t.Fatalf("reload: exit code %d: %s", code, out)
	}
	exists := func(path string) bool { _, err := os.Stat(path); return err == nil }
	r.eventually("the files are gone", func() bool { return !exists(gone) && !exists(gone+".previous") })
	for _, path := range stays {
		if !exists(path) {
			t.Errorf("%s was removed", path)
		}
	}
}
