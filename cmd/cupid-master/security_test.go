package main_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
)

// files are all that the rig's directories hold, by path.
func (r *rig) files() map[string]fs.FileMode {
	r.t.Helper()
	all := map[string]fs.FileMode{}
	err := filepath.WalkDir(r.dir, func(path string, entry fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) { // a temporary file
			return nil
		}
		if err != nil {
			return err
		}
		if info, err := entry.Info(); err == nil {
			all[path] = info.Mode()
		}
		return nil
	})
	if err != nil {
		r.t.Fatal(err)
	}
	return all
}

// Whatever umask cupid is started with, its files and its control socket are its own.
func TestFilesAreTheirOwnersAlone(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.wrap = []string{"sh", "-c", `umask 0; exec "$@"`, "sh"}
	r.src.Exec(t, "INSERT INTO user (number, name) SELECT seq, 'x' FROM seq_1_to_20")
	r.start()
	r.eventually("tables equal", func() bool { return r.differing() == 0 })
	r.eventually("the cursor is written", func() bool { return r.state() != "" })
	seen := 0
	for path, mode := range r.files() {
		if path == r.path || path == r.dir {
			continue
		}
		seen++
		if mode.Perm()&0o077 != 0 {
			t.Errorf("%s is %s", path, mode)
		}
	}
	if seen < 10 {
		t.Errorf("saw %d files only", seen)
	}
}

// Names that SQL would take for something else.
func TestNamesAreQuoted(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	const tableName = "a`;drop table user; --"
	quoted := func(n string) string { return "`" + strings.ReplaceAll(n, "`", "``") + "`" }
	key, value, id, changed := "k`'\"", "v`, (SELECT 1) `", "select", "up`date;"
	create := fmt.Sprintf("CREATE TABLE %s (%s BIGINT AUTO_INCREMENT PRIMARY KEY, %s BIGINT UNIQUE, %s VARCHAR(20), %s TIMESTAMP NOT NULL DEFAULT NOW() ON UPDATE NOW())",
		quoted(tableName), quoted(id), quoted(key), quoted(value), quoted(changed))
	r.src.Exec(t, create)
	r.des.Exec(t, create)
	for k, v := range map[string]any{"table": tableName, "byColumn": key, "idColumn": id, "updateColumn": changed, "sweep": true, "delete": true} {
		r.with(k, v)
	}
	d := r.des0()
	d["table"], d["byColumn"], d["columns"] = tableName, key, map[string]any{value: value}
	count := func() (n int) {
		if err := r.des.DB.GetContext(t.Context(), &n, fmt.Sprintf("SELECT COUNT(*) FROM %s WHERE %s = 'right'", quoted(tableName), quoted(value))); err != nil {
			t.Fatal(err)
		}
		return n
	}
	r.receiver.then(func(c call) int {
		_, err := r.des.DB.ExecContext(t.Context(), fmt.Sprintf("REPLACE INTO %s (%s, %s) VALUES (?, ?)", quoted(tableName), quoted(key), quoted(value)),
			c.Body.Row[key].(json.Number).String(), c.Body.Row[value])
		if err != nil {
			t.Error(err)
		}
		return 204
	})
	r.src.Exec(t, fmt.Sprintf("INSERT INTO %s (%s, %s) VALUES (1, 'right'), (2, 'wrong')", quoted(tableName), quoted(key), quoted(value)))
	r.start()
	r.eventually("the first row is repaired", func() bool { return count() == 1 })
	r.src.Exec(t, fmt.Sprintf("UPDATE %s SET %s = 'right' WHERE %s = 2", quoted(tableName), quoted(value), quoted(key)))
	r.eventually("the second row is repaired", func() bool { return count() == 2 })
	r.src.Exec(t, "SELECT COUNT(*) FROM user")
}

// A receiver that answers without an end, and one that never gets to the end of its
// first line, do no harm to another one.
func TestHostileReceivers(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	var answers, longest atomic.Int64
	endless := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		piece, total := make([]byte, 64<<10), int64(0)
		for {
			n, err := w.Write(piece)
			if total += int64(n); total > longest.Load() {
				longest.Store(total)
			}
			if err != nil || r.t.Context().Err() != nil {
				answers.Add(1)
				return
			}
		}
	}))
	t.Cleanup(endless.Close)
	done := make(chan struct{})
	slow := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		_, _ = conn.Write([]byte("H")) // the second byte would come in a minute
		<-done
		_ = conn.Close()
	}))
	t.Cleanup(func() { close(done); slow.Close() })
	good := r.config["des"].([]any)[0]
	des := []any{good}
	for name, url := range map[string]string{"endless": endless.URL, "slow": slow.URL} {
		d := r.destination(r.des, url)
		d["name"] = name
		d["callbackNotification"].(map[string]any)["timeoutSecond"] = 1
		des = append(des, d)
	}
	r.config["des"] = des
	r.src.Exec(t, "INSERT INTO user (number, name) SELECT seq, 'x' FROM seq_1_to_20")
	r.receiver.then(func(c call) int {
		if answers.Load() == 0 || !strings.Contains(r.logs(), "no answer within 1s") {
			return 503 // the others have their turn first
		}
		return r.repair(c)
	})
	r.start()
	r.eventually("tables equal", func() bool { return r.differing() == 0 })
	if n := longest.Load(); n > 32<<20 { // what the system holds between the two
		t.Errorf("%d bytes of an endless answer were taken", n)
	}
	s, err := r.status()
	if err != nil {
		t.Fatal(err)
	}
	for _, w := range s.Workers {
		if w.Restarts > 0 {
			t.Errorf("the %s worker was restarted", w.Role)
		}
	}
}
