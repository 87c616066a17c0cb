package main_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jmoiron/sqlx"

	"github.com/masixun71/cupid/pkg/manager"
)

// unknownRows are the rows of the first pair of a report of which nothing can be told, and
// whether its orphans were looked for.
func unknownRows(t *testing.T, path string) (u manager.Unknown, orphans bool) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	all := strings.Split(strings.TrimSpace(string(text)), "\n")
	var last struct {
		Summary struct {
			Pairs []struct {
				Unknown manager.Unknown `json:"unknown"`
				Orphans *int            `json:"orphans"`
			} `json:"pairs"`
		} `json:"summary"`
	}
	if err := json.Unmarshal([]byte(all[len(all)-1]), &last); err != nil || len(last.Summary.Pairs) == 0 {
		t.Fatalf("no summary: %v: %s", err, all[len(all)-1])
	}
	return last.Summary.Pairs[0].Unknown, last.Summary.Pairs[0].Orphans != nil
}

// A row without a key is in no chunk of a sweep by key, and its pair is not equal for that.
func TestOnceCannotTellOfRowsWithoutAKey(t *testing.T) {
	t.Parallel()
	r := newOnceRig(t, 5000)
	r.src.Exec(t, "ALTER TABLE user MODIFY number BIGINT NULL", "INSERT INTO user (number) SELECT NULL FROM seq_1_to_1000")
	r.write()
	if out, code := r.command("-config", r.path, "-check"); code != 0 || !strings.Contains(out, "byColumn `number` may be NULL") {
		t.Errorf("-check: exit code %d: %s", code, out)
	}
	out := r.once(2, "-dry-run", "-report", r.file("report"))
	if !strings.Contains(out, "1000 rows have a NULL in byColumn") || !strings.Contains(out, "UNKNOWN") {
		t.Errorf("it says %s", out)
	}
	_, end := readReport(t, r.file("report"))
	if u, _ := unknownRows(t, r.file("report")); u.NullKeys != 1000 || end.Verdict != "unknown" || end.Pairs[0].Rows != 5000 {
		t.Errorf("the summary is %+v, with %+v", end, u)
	}

	r.with("sweep", true)
	r.with("sweepIntervalSecond", 1)
	m := r.start()
	r.eventually("the status says it", func() bool {
		out, _ := r.command("status", "-config", r.path)
		return strings.Contains(out, "NOT JUDGED BY THE LAST SWEEP") && strings.Contains(out, "1000 rows have a NULL in byColumn")
	})
	m.stop()
	r.src.Exec(t, "DELETE FROM user WHERE number IS NULL")
	r.once(0, "-dry-run", "-report", r.file("report"))
}

// A row without an id is not looked at again, and its chunk is done all the same.
func TestOnceCannotTellOfRowsWithoutAnID(t *testing.T) {
	t.Parallel()
	r := newOnceRig(t, 100)
	r.src.Exec(t, "ALTER TABLE user MODIFY id BIGINT NULL, DROP PRIMARY KEY, ADD PRIMARY KEY (number)",
		"UPDATE user SET id = NULL WHERE number IN (7, 8, 9)")
	r.once(0, "-dry-run")
	r.des.Exec(t, "UPDATE user SET name = 'x' WHERE number IN (7, 8, 70)")
	out := r.once(2, "-dry-run", "-report", r.file("report"))
	lines, _ := readReport(t, r.file("report"))
	if u, _ := unknownRows(t, r.file("report")); u.NullIDs != 2 || len(lines) != 1 || lines[0].Key != "70" {
		t.Errorf("reported %+v with %+v\n%s", lines, u, out)
	}
}

// moves keeps row 7 changing on both sides, which never have the same version: whatever time
// lies between the reads of the two, the row differs. What it returns ends that, and makes both
// sides equal.
func (r *rig) moves() (end func()) {
	ctx, cancel := context.WithCancel(context.Background())
	set := func(db *sqlx.DB, version string) {
		if _, err := db.ExecContext(context.Background(), "UPDATE user SET name = ? WHERE number = 7", version); err != nil {
			r.t.Error(err)
		}
	}
	var writing sync.WaitGroup
	writing.Go(func() {
		for v := 1; ctx.Err() == nil; v++ {
			set(r.src.DB, fmt.Sprint("version ", v))
			set(r.des.DB, fmt.Sprint("version of the copy ", v))
			select {
			case <-ctx.Done():
			case <-time.After(10 * time.Millisecond):
			}
		}
	})
	return sync.OnceFunc(func() {
		cancel()
		writing.Wait()
		r.des.Exec(r.t, "UPDATE user SET name = 'version last' WHERE number = 7")
		r.src.Exec(r.t, "UPDATE user SET name = 'version last' WHERE number = 7")
	})
}

// A row that is another one at every look is neither equal nor a divergence.
func TestOnceCannotTellOfARowThatKeepsChanging(t *testing.T) {
	t.Parallel()
	r := newOnceRig(t, 100)
	r.config["settleMillisecond"] = 500 // a row that stands still for that long, since the machine is busy, is a divergence
	end := r.moves()
	defer end()
	out := r.once(2, "-dry-run", "-report", r.file("report"), "-sql", r.file("sql"))
	lines, _ := readReport(t, r.file("report"))
	if u, _ := unknownRows(t, r.file("report")); u.Moving != 1 || len(lines) != 1 || lines[0].Kind != "moving" || lines[0].Key != "7" ||
		!strings.Contains(out, "1 rows changed at every look and could not be judged") || strings.Contains(out, "callback worker") {
		t.Errorf("reported %+v with %+v\n%s", lines, u, out)
	}
	if sql, err := os.ReadFile(r.file("sql")); err != nil || strings.Contains(string(sql), "version") {
		t.Errorf("a statement for a version that is gone: %s, %v", sql, err)
	}

	// Without -dry-run somebody goes on with it, and the run waits for that.
	m := r.launch("-once")
	r.eventually("the end of the sweep", func() bool { return strings.Contains(m.output.String(), "waiting up to") })
	end()
	if code := m.wait(); code != 2 {
		t.Errorf("exit code %d, want 2", code)
	}
	said := m.output.String()
	if !strings.Contains(said, "1 rows that kept changing were handed to the callback worker") || !strings.Contains(said, "1 rows healed, 0 still wait") {
		t.Errorf("it says %s", said)
	}
	if n := len(r.receiver.all()); n != 0 {
		t.Errorf("%d callbacks of a row that healed", n)
	}
	r.once(0)
}

// The rest of a pass would be compared by what is configured now, and the part before was not.
func TestOnceResumedWithOtherColumnsBeginsAgain(t *testing.T) {
	t.Parallel()
	const rows = 100_000
	r := newOnceRig(t, rows)
	r.with("sweepRowPerSecond", 40_000)
	r.des.Exec(t, "UPDATE user SET balance = 1 WHERE number = 5")
	columns, ok := r.des0()["columns"].(map[string]any)
	if !ok {
		t.Fatal("the destination has no columns")
	}
	delete(columns, "balance")
	m := r.launch("-once", "-dry-run")
	r.eventually("the middle of the sweep", func() bool {
		s, err := r.swept()
		return err == nil && s > rows/4
	})
	m.stop()
	columns["balance"] = "balance"
	r.once(1, "-dry-run", "-resume", "-report", r.file("report"))
	lines, _ := readReport(t, r.file("report"))
	if len(lines) != 1 || lines[0].Key != "5" {
		t.Errorf("reported %+v, want row 5, which the first run had passed without a look at its balance", lines)
	}
}

// A count of orphans that nobody could see would say that there is none.
func TestOnceCountsNoOrphansThatItDoesNotSee(t *testing.T) {
	t.Parallel()
	r := newOnceRig(t, 100)
	r.once(0, "-dry-run", "-report", r.file("report"))
	if _, orphans := unknownRows(t, r.file("report")); !orphans {
		t.Error("orphans are not counted although they are seen")
	}
	r.des.Exec(t, "ALTER TABLE user DROP INDEX number")
	out := r.once(0, "-dry-run", "-report", r.file("report"))
	if _, orphans := unknownRows(t, r.file("report")); orphans || !strings.Contains(out, "orphans are not seen") {
		t.Errorf("orphans are counted that are not seen: %s", out)
	}
}
