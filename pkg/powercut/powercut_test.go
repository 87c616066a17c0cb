package powercut_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/masixun71/cupid/pkg/powercut"
)

// childDir names, to a test binary that runs as a child, the directory to work in.
const childDir = "CUPID_POWERCUT_TEST_DIR"

// try ends the child at the first error.
func try(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// TestChild writes, from more than one thread.
func TestChild(t *testing.T) {
	dir := os.Getenv(childDir)
	if dir == "" {
		t.Skip("a child of the other tests")
	}
	var wg sync.WaitGroup
	for range 4 { // threads beside, that do nothing to the directory
		wg.Go(func() { _, _ = os.Stat(dir) })
	}
	wg.Wait()
	f, err := os.Create(filepath.Join(dir, "a.new"))
	try(t, err)
	_, err = f.WriteString(strings.Repeat("x", 1000))
	try(t, err)
	try(t, f.Sync())
	_, err = f.WriteAt([]byte("yyyy"), 510)
	try(t, err)
	try(t, f.Truncate(600))
	powercut.Say("half")
	try(t, f.Close())
	try(t, os.Rename(filepath.Join(dir, "a.new"), filepath.Join(dir, "a")))
	try(t, os.Remove(filepath.Join(dir, "old")))
	d, err := os.Open(dir)
	try(t, err)
	try(t, d.Sync())
	try(t, d.Close())
	try(t, os.Link(filepath.Join(dir, "a"), filepath.Join(dir, "b")))
	if os.Getenv("CUPID_POWERCUT_TEST_ODD") != "" {
		try(t, syscall.Mkdir(filepath.Join(dir, "sub"), 0o700))
	}
	powercut.Say("whole")
}

func record(t *testing.T, env ...string) (*powercut.Recording, error) {
	t.Helper()
	dir := t.TempDir()
	try(t, os.WriteFile(filepath.Join(dir, "old"), []byte("old"), 0o600))
	out, err := os.Create(filepath.Join(t.TempDir(), "out"))
	try(t, err)
	defer func() { _ = out.Close() }()
	rec, err := powercut.Record(dir, powercut.Program{
		Args: []string{os.Args[0], "-test.run=^TestChild$"}, Env: append(append(os.Environ(), childDir+"="+dir), env...), Output: out,
	})
	if errors.Is(err, errors.ErrUnsupported) {
		t.Skip(err)
	}
	return rec, err
}

func TestRecordsWhatAProgramDoes(t *testing.T) {
	t.Parallel()
	rec, err := record(t)
	try(t, err)
	var got []string
	for _, op := range rec.Ops {
		got = append(got, fmt.Sprint(op.Kind, op.File, op.Offset, len(op.Data), op.Names, op.Text))
	}
	want := []string{
		fmt.Sprint(powercut.Rename, 0, 0, 0, map[string]int{"a.new": 2}, ""),
		fmt.Sprint(powercut.Write, 2, 0, 1000, map[string]int{}, ""),
		fmt.Sprint(powercut.Sync, 2, 0, 0, map[string]int{}, ""),
		fmt.Sprint(powercut.Write, 2, 510, 4, map[string]int{}, ""),
		fmt.Sprint(powercut.Truncate, 2, 600, 0, map[string]int{}, ""),
		fmt.Sprint(powercut.Mark, 0, 0, 0, map[string]int{}, "half"),
		fmt.Sprint(powercut.Rename, 0, 0, 0, map[string]int{"a": 2, "a.new": 0}, ""),
		fmt.Sprint(powercut.Rename, 0, 0, 0, map[string]int{"old": 0}, ""),
		fmt.Sprint(powercut.SyncDir, 0, 0, 0, map[string]int{}, ""),
		fmt.Sprint(powercut.Rename, 0, 0, 0, map[string]int{"b": 2}, ""),
		fmt.Sprint(powercut.Mark, 0, 0, 0, map[string]int{}, "whole"),
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestCutsLeaveWhatADiskMayHold(t *testing.T) {
	t.Parallel()
	rec, err := record(t)
	try(t, err)
	old, x := "old=old", strings.Repeat("x", 1000)
	// Of the write at 510 the first sector ends at 512: one half may be there alone.
	y := x[:510] + "yy" + x[512:]
	yy := x[:510] + "yyyy" + x[514:600]
	for _, test := range []struct {
		done int
		keep string // an answer for each question; those beyond are answered with no
		want string
	}{
		{0, "", old},
		{2, "0", old},
		{2, "1000", "a.new= " + old}, // the name without content
		{3, "0", old},
		{3, "1", "a.new=" + x + " " + old},
		{5, "1100", "a.new=" + y + " " + old},
		{5, "1001", "a.new=" + x[:600] + " " + old},
		{5, "1111", "a.new=" + yy + " " + old},
		{8, "000", old},
		{8, "100", "a.new=" + x + " " + old},
		{8, "001", ""}, // the removal came first
		{8, "010", "a=" + x + " " + old},
		{10, "1111", "a=" + yy + " b=" + yy},
	} {
		for c := range rec.Cuts() {
			if c.Done != test.done {
				continue
			}
			asked := 0
			d := c.Disk(512, func() bool {
				asked++
				return asked <= len(test.keep) && test.keep[asked-1] == '1'
			})
			var got []string
			for name, content := range d {
				got = append(got, name+"="+string(content))
			}
			slices.Sort(got)
			if strings.Join(got, " ") != test.want {
				t.Errorf("cut after %d, kept %s: %.2000q, want %.2000q", test.done, test.keep, got, test.want)
			}
		}
	}
}

func TestNothingIsUncertainAfterTheSyncs(t *testing.T) {
	t.Parallel()
	rec, err := record(t)
	try(t, err)
	for c := range rec.Without(func(op powercut.Op) bool { return op.Kind == powercut.Truncate || op.File > 0 && op.Offset > 0 }).Cuts() {
		if want := c.Done > 0 && c.Done < 7 || c.Done > 7; c.Pending() != want {
			t.Errorf("after %d operations: pending %v, want %v", c.Done, c.Pending(), want)
		}
	}
}

func TestUnknownCallsAreRefused(t *testing.T) {
	t.Parallel()
	if _, err := record(t, "CUPID_POWERCUT_TEST_ODD=1"); err == nil || !strings.Contains(err.Error(), "not followed") {
		t.Errorf("Record of a program that makes a directory = %v", err)
	}
}

func TestFailedProgramIsReported(t *testing.T) {
	t.Parallel()
	out, err := os.Create(filepath.Join(t.TempDir(), "out"))
	try(t, err)
	defer func() { _ = out.Close() }()
	_, err = powercut.Record(t.TempDir(), powercut.Program{Args: []string{"/bin/false"}, Output: out})
	if errors.Is(err, errors.ErrUnsupported) {
		t.Skip(err)
	}
	if err == nil || !strings.Contains(err.Error(), "ended with") {
		t.Errorf("Record of /bin/false = %v", err)
	}
}
