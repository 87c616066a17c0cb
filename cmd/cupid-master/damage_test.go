package main_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// depth is how many events wait, by the callback worker's report.
func (r *rig) depth() int {
	s, err := r.status()
	if err != nil {
		return -1
	}
	var pairs map[string]struct {
		Depth int `json:"depth"`
	}
	if json.Unmarshal(s.Reports["1"], &pairs) != nil {
		return -1
	}
	n := 0
	for _, p := range pairs {
		n += p.Depth
	}
	return n
}

// queueFile is the callback worker's.
func (r *rig) queueFile() string { return filepath.Join(r.dir, "cache", "callback-1.db") }

// Events that are lost on disk are found again: the rows they are of are behind every
// cursor, and the next sweep would come in a day.
func TestG1DamagedQueueIsSweptAgain(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		spoil func(file []byte) []byte
		alert string
		kept  bool // the file, under another name
	}{
		"one bit of an event": {func(file []byte) []byte {
			// In every copy of it: those that SQLite has no use for any more stand in the file, too.
			return bytes.ReplaceAll(file, []byte(`"src":"200"`), []byte(`"src":"201"`))
		}, "event damaged", false},
		"zero bytes": {func([]byte) []byte { return nil }, "queue damaged", true},
		"cut off":    {func(file []byte) []byte { return file[:len(file)/2+100] }, "queue damaged", true},
		"a newer version": {func(file []byte) []byte {
			file[63]++ // the last byte of user_version
			return file
		}, "queue damaged", true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			r.with("sweep", true)
			r.with("update", false)
			r.receiver.then(func(call) int { return 500 })
			r.src.Exec(t, "INSERT INTO user (number, name) SELECT seq, 'x' FROM seq_1_to_200")
			m := r.start()
			r.eventually("all events are stored, and the sweep is over", func() bool {
				return r.depth() == 200 && strings.Contains(r.state(), `"ended"`)
			})
			m.stop()
			// A worker that was not fast enough to close the queue leaves a journal, which would be worked into the spoilt file.
			for range 5 {
				if _, err := os.Stat(r.queueFile() + "-wal"); errors.Is(err, fs.ErrNotExist) {
					break
				}
				r.start().stop()
			}
			spoilt, err := os.ReadFile(r.queueFile())
			if err != nil {
				t.Fatal(err)
			}
			spoilt = test.spoil(spoilt)
			writeFile(t, r.queueFile(), string(spoilt))
			r.receiver.then(r.repair)
			m = r.start()
			r.eventually("tables equal", func() bool { return r.differing() == 0 })
			r.eventually("an urgent pass is over", func() bool {
				return strings.Contains(r.state(), `"urgent"`) && !strings.Contains(r.state(), `"pass": 1,`)
			})
			if n := r.told(test.alert); n != 1 {
				t.Errorf("%d alerts, want one: %q", n, test.alert)
			}
			kept, err := filepath.Glob(r.queueFile() + ".damaged-*Z")
			if err != nil || (len(kept) == 1) != test.kept {
				t.Fatalf("kept %q, %v", kept, err)
			}
			if test.kept {
				if old, err := os.ReadFile(kept[0]); !bytes.Equal(old, spoilt) {
					t.Errorf("the old file was changed: %v", err)
				}
			}
			// Later starts know that it was swept since.
			passes := strings.Count(r.logs(), "sweep goes over the table")
			m.stop()
			r.start()
			r.src.Exec(t, "INSERT INTO user (number, name) VALUES (1000, 'x')")
			r.eventually("tables equal", func() bool { return r.differing() == 0 })
			if n := strings.Count(r.logs(), "sweep goes over the table"); n != passes || r.told(test.alert) != 1 {
				t.Errorf("%d passes and %d alerts after another start, want %d and 1", n, r.told(test.alert), passes)
			}
		})
	}
}

// Without a sweep nobody can find them, and the alert says so.
func TestDamagedQueueWithoutASweepIsToldOf(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	if err := os.MkdirAll(filepath.Dir(r.queueFile()), 0o700); err != nil {
		t.Fatal(err)
	}
	writeFile(t, r.queueFile(), "no database")
	r.start()
	r.eventually("an alert that says what to do", func() bool {
		return r.told("queue damaged") == 1 && strings.Contains(r.logs(), "src.sweep is off for ")
	})
}
