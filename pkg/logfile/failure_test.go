package logfile_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/masixun71/cupid/pkg/logfile"
)

// eventually waits until ok, as the side writers have a goroutine of their own.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	late := time.After(10 * time.Second)
	for !ok() {
		select {
		case <-tick.C:
		case <-late:
			t.Fatalf("never came: %s", what)
		}
	}
}

func TestFullDiskIsToldOnceAMinute(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "cupid-manager-process-2026-03-04.log")
	if err := os.Symlink("/dev/full", path); err != nil {
		t.Fatal(err)
	}
	var stderr buffer
	c := &clock{now: noon}
	f := open(t, logfile.Options{Dir: dir, Process: "manager", Stderr: &stderr}, c)
	log := f.Logger()
	for i := range 10 {
		log.Info().Int("i", i).Msg("lost")
	}
	eventually(t, "the first line", func() bool { return strings.Contains(stderr.String(), "\n") })
	if got := stderr.String(); strings.Count(got, "\n") != 1 || !strings.Contains(got, "no space left") || !strings.Contains(got, `"i":0`) {
		t.Errorf("got %q", got)
	}
	c.set(noon.Add(time.Minute))
	log.Info().Int("i", 10).Msg("lost")
	eventually(t, "the second line", func() bool { return strings.Count(stderr.String(), "\n") == 2 })
	if got := stderr.String(); !strings.Contains(got, "(9 lines lost before this one)") {
		t.Errorf("got %q", got)
	}

	// There is room again.
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := f.Reopen(); err != nil {
		t.Fatal(err)
	}
	log.Info().Msg("kept")
	if got := lines(t, path); len(got) != 1 || got[0]["message"] != "kept" {
		t.Errorf("got %v", got)
	}
}

func TestDirectoryThatVanishesIsTriedAgain(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "logs")
	var stderr buffer
	c := &clock{now: noon}
	f := open(t, logfile.Options{Dir: dir, Process: "manager", Stderr: &stderr}, c)
	log := f.Logger()
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	if err := f.Reopen(); err == nil {
		t.Error("reopen: got no error")
	}
	log.Info().Msg("lost")
	eventually(t, "the line", func() bool { return strings.Contains(stderr.String(), "lost") })
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	c.set(noon.Add(2 * time.Second))
	log.Info().Msg("kept")
	if got := lines(t, f.Path()); len(got) != 1 || got[0]["message"] != "kept" {
		t.Errorf("got %v", got)
	}
}

// stuck is a terminal after Ctrl-S.
type stuck struct{ release chan struct{} }

func (s stuck) Write(p []byte) (int, error) {
	<-s.release
	return len(p), nil
}

func TestStuckConsoleStopsNobody(t *testing.T) {
	t.Parallel()
	console := stuck{make(chan struct{})}
	f := open(t, logfile.Options{Dir: t.TempDir(), Process: "master", Console: console}, nil)
	log := f.Logger()
	for range 2000 {
		log.Info().Msg("m")
	}
	if got := len(lines(t, f.Path())); got != 2000 {
		t.Errorf("lines: got %d, want 2000", got)
	}
	start := time.Now()
	if err := f.Close(); err != nil {
		t.Error(err)
	}
	if took := time.Since(start); took > 5*time.Second {
		t.Errorf("close took %v", took)
	}
	close(console.release)
}

func TestConsoleIsReadable(t *testing.T) {
	t.Parallel()
	var console buffer
	f := open(t, logfile.Options{Dir: t.TempDir(), Process: "master", Console: &console}, &clock{now: noon})
	log := f.Logger()
	log.Warn().Str("pair", "a").Msg("hello")
	if err := f.Close(); err != nil { // hands over what waits
		t.Fatal(err)
	}
	if got, want := console.String(), "12:00:00.123 WRN hello pair=a\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestFileThatIsNoTerminalIsNoConsole(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	out, err := os.Create(filepath.Join(dir, "stdout"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = out.Close() }()
	f := open(t, logfile.Options{Dir: dir, Process: "master", Console: out}, nil)
	log := f.Logger()
	log.Info().Msg("hello")
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	if info, err := out.Stat(); err != nil || info.Size() != 0 {
		t.Errorf("got %d bytes, %v", info.Size(), err)
	}
}

func TestConcurrentWritesReopensAndDays(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	c := &clock{now: noon}
	f := open(t, logfile.Options{Dir: dir, Process: "worker3"}, c)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			log := f.Logger()
			for range 250 {
				log.Info().Msg("m")
			}
		})
	}
	wg.Go(func() {
		for i := range 20 {
			c.set(noon.AddDate(0, 0, i%3))
			if err := f.Reopen(); err != nil {
				t.Error(err)
			}
		}
	})
	wg.Wait()
	total := 0
	for i := range 3 {
		path := filepath.Join(dir, fmt.Sprintf("cupid-worker3-process-2026-03-%02d.log", 4+i))
		if _, err := os.Stat(path); err == nil {
			total += len(lines(t, path))
		}
	}
	if total != 1000 {
		t.Errorf("lines: got %d, want 1000", total)
	}
}

// BenchmarkLine is one line with three fields.
func BenchmarkLine(b *testing.B) {
	f, err := logfile.Open(logfile.Options{Dir: b.TempDir(), Process: "master"})
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	log := f.Logger()
	b.ReportAllocs()
	for b.Loop() {
		log.Info().Str("pair", "orders").Str("key", "4711").Int("attempt", 3).Msg("called back")
	}
}
