package cache_test

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/masixun71/cupid/pkg/cache"
	"github.com/masixun71/cupid/pkg/powercut"
)

// childDir names, to a test binary that runs as a child, the directory to work in.
const childDir = "CUPID_CACHE_TEST_DIR"

// powerSaves is how many values the recorded program saves.
const powerSaves = 8

// wide is a value of more than one sector.
func wide(n int) state {
	s := state{Cursor: uint64(n), Marks: map[string]string{}}
	for i := range 200 {
		s.Marks[fmt.Sprint("pair", i)] = fmt.Sprint("value ", n)
	}
	return s
}

// TestChildMeetsPowerLoss saves, and says so after each value.
func TestChildMeetsPowerLoss(t *testing.T) {
	dir := os.Getenv(childDir)
	if dir == "" {
		t.Skip("a child of TestPowerLoss")
	}
	f := cache.New[state](filepath.Join(dir, "manager-0.json"))
	for n := range powerSaves {
		save(t, f, wide(n+1))
		powercut.Say("saved")
	}
}

// wantSaved demands the last value whose Save has returned, or the one that was being
// saved, and a file that works on.
func wantSaved(dir string, saved int) error {
	f := cache.New[state](filepath.Join(dir, "manager-0.json"))
	got, err := f.Load()
	if errors.Is(err, fs.ErrNotExist) && saved == 0 {
		err = nil
	}
	if n := int(got.Cursor); err != nil || n != saved && n != saved+1 {
		return fmt.Errorf("after %d values it holds number %d: %w", saved, n, err)
	}
	if want := wide(int(got.Cursor)); got.Cursor > 0 && fmt.Sprint(got) != fmt.Sprint(want) {
		return fmt.Errorf("it holds %v, want %v", got, want)
	}
	return f.Save(wide(saved + 2))
}

func TestPowerLoss(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	out, err := os.Create(filepath.Join(t.TempDir(), "out"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = out.Close() }()
	rec, err := powercut.Record(dir, powercut.Program{
		Args: []string{os.Args[0], "-test.run=^TestChildMeetsPowerLoss$"}, Env: append(os.Environ(), childDir+"="+dir), Output: out,
	})
	if errors.Is(err, errors.ErrUnsupported) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	disks, err := powercut.Memory(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = os.RemoveAll(disks) }()
	look := func(dir string, marks []string) error { return wantSaved(dir, len(marks)) }
	r := powercut.Check{Torn: 6, Look: look}.Run(disks, rec)
	t.Logf("%d operations, %d directories", len(rec.Ops), r.Disks)
	for _, err := range r.Faults[:min(3, len(r.Faults))] {
		t.Error(err)
	}
	for what, kind := range map[string]powercut.Kind{"file": powercut.Sync, "directory": powercut.SyncDir} {
		control := rec.Without(func(op powercut.Op) bool { return op.Kind == kind })
		if r := (powercut.Check{Torn: 6, Enough: 1, Look: look}).Run(disks, control); len(r.Faults) == 0 {
			t.Errorf("without a sync of the %s every cut is survived: the test sees nothing", what)
		}
	}
}
