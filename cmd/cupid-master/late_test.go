package main_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jmoiron/sqlx"

	"github.com/masixun71/cupid/pkg/cache"
	"github.com/masixun71/cupid/pkg/manager"
	"github.com/masixun71/cupid/pkg/mariadb/mariadbtest"
)

// begin opens a transaction on the source.
func (r *rig) begin() *sqlx.Tx {
	r.t.Helper()
	tx, err := r.src.DB.BeginTxx(r.t.Context(), nil)
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { _ = tx.Rollback() }) // it was committed, unless the test failed
	return tx
}

func (r *rig) in(tx *sqlx.Tx, statements ...string) {
	r.t.Helper()
	for _, s := range statements {
		if _, err := tx.ExecContext(r.t.Context(), s); err != nil {
			r.t.Fatal(err)
		}
	}
}

func (r *rig) commit(tx *sqlx.Tx) {
	r.t.Helper()
	if err := tx.Commit(); err != nil {
		r.t.Fatal(err)
	}
}

// passed waits until the cursor of the insert scan is at an id.
func (r *rig) passed(id int) {
	r.t.Helper()
	r.eventually(fmt.Sprintf("the cursor is at %d", id), func() bool { return r.cursor(strconv.Itoa(id)) })
}

// insertSettled reports whether the insert scan looks at no id again.
func (r *rig) insertSettled() bool {
	state, _ := cache.New[manager.State](r.file("cache/manager-0.json")).Peek() // status only counts what is late
	for _, s := range state.Insert {
		return s.Cursor != nil && len(s.Late) == 0
	}
	return false
}

// blind gives cupid an account that does not see the transactions of others.
func (r *rig) blind() {
	r.t.Helper()
	name := "blind_" + r.src.Name
	r.src.Exec(r.t, fmt.Sprintf("CREATE USER '%s'@'%%' IDENTIFIED BY 'p'", name),
		fmt.Sprintf("GRANT SELECT ON %s.* TO '%s'@'%%'", r.src.Name, name))
	r.t.Cleanup(func() {
		if _, err := r.src.DB.ExecContext(context.WithoutCancel(r.t.Context()), fmt.Sprintf("DROP USER '%s'@'%%'", name)); err != nil {
			r.t.Error(err)
		}
	})
	r.with("user", name)
	r.with("password", "p")
}

// A transaction inserts and updates, and commits long after higher ids and newer update
// times were passed.
func TestG2TransactionCommitsLate(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		after time.Duration
		blind int // insertLateSecond of an account that sees no transactions
		long  bool
	}{
		"7 s, seen":   {after: 7 * time.Second},
		"7 s, unseen": {after: 7 * time.Second, blind: 12},
		"70 s":        {after: 70 * time.Second, long: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if c.long && os.Getenv("CUPID_TEST_LONG") == "" {
				t.Skip("CUPID_TEST_LONG=1 runs it")
			}
			r := newRig(t)
			if c.blind > 0 {
				r.blind()
				r.with("insertLateSecond", c.blind)
			}
			r.with("updateScanSecond", 1)
			r.src.Exec(t, "INSERT INTO user (number, name) VALUES (1, 'old')")
			r.start()
			r.eventually("the first row is there", func() bool { return r.count() == 1 })
			if c.blind == 0 { // else the update would be found by a look at ids
				r.eventually("its id is not looked at again", r.insertSettled)
			}
			late := r.begin()
			r.in(late, "UPDATE user SET name = 'changed late' WHERE number = 1", "INSERT INTO user (number, name) VALUES (2, 'late')")
			r.src.Exec(t, "INSERT INTO user (number, name) VALUES (3, 'early')")
			r.passed(3)
			wait := time.NewTimer(c.after)
			defer wait.Stop()
			select {
			case <-wait.C:
			case <-t.Context().Done():
			}
			r.commit(late)
			r.eventually("insert and update are repaired", func() bool { return r.count() == 3 && r.differing() == 0 })
		})
	}
}

// A statement waits for a lock of the server, so the time that it writes is old when InnoDB hears of it.
func TestG2StatementWaitsForALock(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.with("updateScanSecond", 1)
	r.src.Exec(t, "INSERT INTO user (number, name) VALUES (1, 'old')")
	r.start()
	r.eventually("the row is there", func() bool { return r.count() == 1 })
	r.eventually("its id is not looked at again", r.insertSettled)
	holder, err := r.src.DB.Connx(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = holder.Close() }() // and with it the lock, unless the test got that far
	if _, err := holder.ExecContext(t.Context(), "LOCK TABLES user READ"); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() {
		_, err := r.src.DB.ExecContext(t.Context(), "UPDATE user SET name = 'changed late'")
		done <- err
	}()
	wait(t.Context(), 7*time.Second)
	if _, err := holder.ExecContext(t.Context(), "UNLOCK TABLES"); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	r.eventually("the update is repaired", func() bool { return r.differing() == 0 })
}

// The source is a replica that stands still, and then gets what was changed meanwhile, with
// the update times of then.
func TestG2ReplicaStandsStill(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	primary, replica := mariadbtest.Replicated(t)
	r.with("dsn", replica.PDOTCP())
	r.with("insert", false) // an id that is looked at again would find the update
	r.with("insertLateSecond", 1)
	r.with("updateScanSecond", 1)
	primary.Exec(t, "CREATE TABLE user "+table, "INSERT INTO user (number, name) VALUES (1, 'old')")
	r.des.Exec(t, "INSERT INTO user (number, name) VALUES (1, 'old')")
	named := func(d *mariadbtest.Database, name string) func() bool {
		return func() bool {
			var n int
			err := d.DB.GetContext(t.Context(), &n, "SELECT COUNT(*) FROM user WHERE name = ?", name)
			return err == nil && n == 1
		}
	}
	r.eventually("the replica has the row", named(replica, "old"))
	r.start()
	r.eventually("the watermark is written", func() bool { return strings.Contains(r.state(), "watermark") })
	replica.Exec(t, "STOP SLAVE SQL_THREAD")
	primary.Exec(t, "UPDATE user SET name = 'arrives late'")
	wait(t.Context(), 8*time.Second)
	replica.Exec(t, "START SLAVE")
	r.eventually("the update is repaired", named(r.des, "arrives late"))
}

// Ids of two bulk inserts interleave, a third one is rolled back and leaves gaps, and the
// one with the lower ids commits last.
func TestG2InterleavedBlocksAndGaps(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.config["chunkRow"] = 10
	r.start()
	odd, even, gone := r.begin(), r.begin(), r.begin()
	for block := range 10 {
		for i, tx := range []*sqlx.Tx{odd, even, gone} {
			r.in(tx, fmt.Sprintf("SET SESSION auto_increment_increment = 3, auto_increment_offset = %d", i+1))
			var values []string
			for row := range 7 {
				values = append(values, fmt.Sprintf("(%d, 'x')", 1000*i+10*block+row))
			}
			r.in(tx, "INSERT INTO user (number, name) VALUES "+strings.Join(values, ", "))
		}
	}
	r.commit(even)
	if err := gone.Rollback(); err != nil {
		t.Fatal(err)
	}
	r.eventually("the upper block is repaired", func() bool { return r.count() == 70 })
	r.commit(odd)
	r.eventually("both blocks are repaired", func() bool { return r.count() == 140 && r.differing() == 0 })
}

// Many rows have one update time of one second, and some of them change again within it.
func TestG2ManyRowsInOneSecond(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{"TIMESTAMP", "DATETIME"} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			r.src.Exec(t, "ALTER TABLE user MODIFY update_time "+kind+" NOT NULL DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP")
			r.config["chunkRow"] = 50
			r.with("insert", false)
			r.with("updateScanSecond", 1)
			r.src.Exec(t, "INSERT INTO user (number, name, update_time) SELECT seq, 'x', '2020-01-01' FROM seq_1_to_500")
			r.des.Exec(t, "INSERT INTO user (number, name) SELECT seq, 'x' FROM seq_1_to_500")
			r.start()
			r.eventually("the watermark is written", func() bool { return strings.Contains(r.state(), "watermark") })
			r.src.Exec(t, "UPDATE user SET name = 'y'")
			for number := range 5 {
				r.src.Exec(t, fmt.Sprintf("UPDATE user SET name = 'z%d' WHERE number = %d", number, 100*number+1))
			}
			r.eventually("every row is repaired", func() bool { return r.differing() == 0 })
		})
	}
}

// cupid was down for ten minutes, in which rows changed; its cache file is as old as that.
func TestG2DownForTenMinutes(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.with("updateScanSecond", 1)
	r.src.Exec(t, "INSERT INTO user (number, name, update_time) SELECT seq, 'x', NOW() - INTERVAL 1 HOUR FROM seq_1_to_30")
	m := r.start()
	r.eventually("tables equal", func() bool { return r.count() == 30 && r.differing() == 0 })
	r.eventually("the watermark is written", func() bool { return strings.Contains(r.state(), "watermark") })
	m.stop()
	file := cache.New[manager.State](filepath.Join(r.dir, "cache", "manager-0.json"))
	state, err := file.Load()
	if err != nil {
		t.Fatal(err)
	}
	for pair, s := range state.Update {
		s.Watermark, s.Late = s.Watermark.Add(-10*time.Minute), nil
		state.Update[pair] = s
	}
	if err := file.Save(state); err != nil {
		t.Fatal(err)
	}
	r.src.Exec(t, "UPDATE user SET name = 'early', update_time = NOW() - INTERVAL 9 MINUTE WHERE number = 1",
		"UPDATE user SET name = 'later', update_time = NOW() - INTERVAL 1 MINUTE WHERE number = 2")
	r.start()
	r.eventually("what changed meanwhile is repaired", func() bool { return r.differing() == 0 })
}
