package logfile_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/masixun71/cupid/pkg/logfile"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m)
}

// clock is a time that tests set.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) set(now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = now
}

// buffer is a writer that may be read while it is written to.
type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

var noon = time.Date(2026, 3, 4, 12, 0, 0, 123e6, time.Local)

func open(t *testing.T, o logfile.Options, c *clock) *logfile.File {
	t.Helper()
	if c != nil {
		o = o.WithNow(c.Now)
	}
	f, err := logfile.Open(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Close() })
	return f
}

// lines returns the lines of a log file, each of which must be JSON.
func lines(t *testing.T, path string) []map[string]any {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var out []map[string]any
	for line := range strings.Lines(string(data)) {
		var fields map[string]any
		if err := json.Unmarshal([]byte(line), &fields); err != nil {
			t.Fatalf("%s: %q: %v", path, line, err)
		}
		out = append(out, fields)
	}
	return out
}

func names(t *testing.T, dir string) string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, e := range entries {
		out = append(out, e.Name())
	}
	return strings.Join(out, " ")
}

func TestLinesAreJSONInTheFileOfTheDay(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "new", "logs")
	f := open(t, logfile.Options{Dir: dir, Process: "worker2"}, &clock{now: noon})
	log := f.Logger()
	log.Debug().Msg("not logged")
	log.Info().Str("pair", "订单").Int("rows", 3).Msg("first")
	log.Error().Err(errors.New("boom")).Msg("second\nline")

	path := filepath.Join(dir, "cupid-worker2-process-2026-03-04.log")
	if f.Path() != path {
		t.Errorf("path: got %s, want %s", f.Path(), path)
	}
	got := lines(t, path)
	if len(got) != 2 || got[0]["pair"] != "订单" || got[0]["level"] != "info" || got[1]["message"] != "second\nline" {
		t.Errorf("got %v", got)
	}
	at, err := time.Parse(time.RFC3339Nano, fmt.Sprint(got[0]["time"]))
	if err != nil || !at.Equal(noon) {
		t.Errorf("time: got %v, want %v", got[0]["time"], noon)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode: got %v, %v", info.Mode(), err)
	}
}

func TestMidnightOpensTheNextFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	c := &clock{now: time.Date(2026, 3, 4, 23, 59, 59, 999e6, time.Local)}
	f := open(t, logfile.Options{Dir: dir, Process: "manager"}, c)
	log := f.Logger()
	log.Info().Msg("before")
	c.set(time.Date(2026, 3, 5, 0, 0, 0, 0, time.Local))
	log.Info().Msg("after")
	c.set(time.Date(2026, 3, 4, 23, 0, 0, 0, time.Local))
	log.Info().Msg("the clock was set back")

	if got := lines(t, filepath.Join(dir, "cupid-manager-process-2026-03-04.log")); len(got) != 2 {
		t.Errorf("first day: got %v", got)
	}
	if got := lines(t, filepath.Join(dir, "cupid-manager-process-2026-03-05.log")); len(got) != 1 || got[0]["message"] != "after" {
		t.Errorf("second day: got %v", got)
	}
}

func TestOldFilesOfTheSameProcessAreRemoved(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, name := range []string{
		"cupid-manager-process-2026-03-01.log", "cupid-manager-process-2026-03-02.log", "cupid-manager-process-2026-03-03.log",
		"cupid-callback-process-2020-01-01.log", "cupid-manager-process-2020-01-01.log.gz", "cupid-manager-process-notes.log",
		"cupid-manager-process-2020-13-01.log", "other.log",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(filepath.Join(dir, "cupid-manager-process-2019-01-01.log"), 0o700); err != nil {
		t.Fatal(err)
	}
	c := &clock{now: noon}
	f := open(t, logfile.Options{Dir: dir, Process: "manager", KeepDay: 3}, c)
	const others = "cupid-callback-process-2020-01-01.log cupid-manager-process-2019-01-01.log cupid-manager-process-2020-01-01.log.gz " +
		"cupid-manager-process-2020-13-01.log "
	if got, want := names(t, dir), others+"cupid-manager-process-2026-03-02.log cupid-manager-process-2026-03-03.log "+
		"cupid-manager-process-2026-03-04.log cupid-manager-process-notes.log other.log"; got != want {
		t.Errorf("after open:\ngot  %s\nwant %s", got, want)
	}
	c.set(noon.AddDate(0, 0, 1))
	log := f.Logger()
	log.Info().Msg("next day")
	if got, want := names(t, dir), others+"cupid-manager-process-2026-03-03.log "+
		"cupid-manager-process-2026-03-04.log cupid-manager-process-2026-03-05.log cupid-manager-process-notes.log other.log"; got != want {
		t.Errorf("next day:\ngot  %s\nwant %s", got, want)
	}
}

func TestReopenMakesADeletedFileAnew(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	f := open(t, logfile.Options{Dir: dir, Process: "master"}, &clock{now: noon})
	log := f.Logger()
	log.Info().Msg("moved away")
	if err := os.Rename(f.Path(), filepath.Join(dir, "moved")); err != nil {
		t.Fatal(err)
	}
	log.Info().Msg("still there")
	if err := f.Reopen(); err != nil {
		t.Fatal(err)
	}
	log.Info().Msg("new")
	if got := lines(t, filepath.Join(dir, "moved")); len(got) != 2 {
		t.Errorf("moved: got %v", got)
	}
	if got := lines(t, f.Path()); len(got) != 1 || got[0]["message"] != "new" {
		t.Errorf("new: got %v", got)
	}
}

func TestSeveralWritersOfOneFileDoNotMix(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	c := &clock{now: noon}
	var path string
	var wg sync.WaitGroup
	for i := range 4 {
		f := open(t, logfile.Options{Dir: dir, Process: "callback"}, c)
		path = f.Path()
		for range 2 {
			wg.Go(func() {
				log := f.Logger()
				for n := range 200 {
					log.Info().Int("writer", i).Int("n", n).Str("long", strings.Repeat("x", 3000)).Msg("m")
				}
			})
		}
	}
	wg.Wait()
	if got := len(lines(t, path)); got != 1600 {
		t.Errorf("lines: got %d, want 1600", got)
	}
}

func TestOpenSaysWhatIsWrong(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		o    logfile.Options
		want string
	}{
		"dir is a file":   {logfile.Options{Dir: file, Process: "master"}, file},
		"dir under proc":  {logfile.Options{Dir: "/proc/cupid", Process: "master"}, "make log directory: mkdir /proc/cupid"},
		"dir unwritable":  {logfile.Options{Dir: "/proc/sys", Process: "master"}, "open log file: open /proc/sys/cupid-master"},
		"no dir":          {logfile.Options{Process: "master"}, "no directory"},
		"no process":      {logfile.Options{Dir: dir}, "process name"},
		"process is path": {logfile.Options{Dir: dir, Process: "../x"}, "process name"},
		"level":           {logfile.Options{Dir: dir, Process: "master", Level: "loud"}, `level "loud"`},
	} {
		f, err := logfile.Open(c.o)
		if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: got %v, want %s", name, err, c.want)
		}
		if f != nil {
			t.Errorf("%s: got a file", name)
		}
	}
}

func TestCloseTwice(t *testing.T) {
	t.Parallel()
	f := open(t, logfile.Options{Dir: t.TempDir(), Process: "master"}, nil)
	for range 2 {
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	}
	log := f.Logger()
	log.Info().Msg("late")
	if err := f.Reopen(); !errors.Is(err, logfile.ErrClosed) {
		t.Errorf("reopen: got %v", err)
	}
}
