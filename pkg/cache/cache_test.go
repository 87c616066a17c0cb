package cache_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/masixun71/cupid/pkg/cache"
)

// state is a value as a worker keeps it.
type state struct {
	Cursor uint64            `json:"cursor"`
	Marks  map[string]string `json:"marks,omitempty"`
}

func at(n uint64) state {
	return state{Cursor: math.MaxUint64 - n, Marks: map[string]string{"pair <1>": "2026-11-24 06:00:00"}}
}

func path(t *testing.T) string {
	t.Helper()
	return filepath.Join(t.TempDir(), "manager-0.json")
}

func save(t *testing.T, f *cache.File[state], value state) {
	t.Helper()
	if err := f.Save(value); err != nil {
		t.Fatalf("Save: %v", err)
	}
}

func wantLoad(t *testing.T, f *cache.File[state], want state) {
	t.Helper()
	got, err := f.Load()
	if err != nil || fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("Load = %v, %v; want %v", got, err, want)
	}
}

// wantDamaged demands a *Damaged from Load and returns it.
func wantDamaged(t *testing.T, f *cache.File[state], want state) *cache.Damaged {
	t.Helper()
	got, err := f.Load()
	d, ok := errors.AsType[*cache.Damaged](err)
	if !ok || fmt.Sprint(got) != fmt.Sprint(want) {
		t.Fatalf("Load = %v, %v; want %v and a *Damaged", got, err, want)
	}
	return d
}

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func names(t *testing.T, path string) []string {
	t.Helper()
	entries, err := os.ReadDir(filepath.Dir(path))
	if err != nil {
		t.Fatal(err)
	}
	var list []string
	for _, e := range entries {
		list = append(list, e.Name())
	}
	return list
}

func TestWhatIsSavedIsLoaded(t *testing.T) {
	t.Parallel()
	f := cache.New[state](path(t))
	if _, err := f.Load(); !errors.Is(err, fs.ErrNotExist) {
		t.Fatalf("Load without a file = %v, want fs.ErrNotExist", err)
	}
	for n := range uint64(3) {
		save(t, f, at(n))
		wantLoad(t, f, at(n))
		wantLoad(t, cache.New[state](f.Path), at(n))
		if got, ok := cache.New[state](f.Path).Peek(); !ok || !reflect.DeepEqual(got, at(n)) {
			t.Errorf("Peek = %v, %v, want %v", got, ok, at(n))
		}
	}
	if got := fmt.Sprint(names(t, f.Path)); got != "[manager-0.json manager-0.json.previous]" {
		t.Errorf("the directory holds %s", got)
	}
}

func TestFileIsReadable(t *testing.T) {
	t.Parallel()
	f := cache.New[state](path(t))
	save(t, f, state{Cursor: 7})
	want := "{\n  \"version\": 1,\n  \"crc\": \"902179fc\",\n  \"data\": {\n    \"cursor\": 7\n  }\n}\n"
	if got := read(t, f.Path); got != want {
		t.Errorf("got %s\nwant %s", got, want)
	}
	// White space is no damage.
	write(t, f.Path, strings.NewReplacer(" ", "", "\n", "\t").Replace(want))
	wantLoad(t, f, state{Cursor: 7})
}

func TestModeIgnoresTheUmask(t *testing.T) {
	// Not parallel: the umask belongs to the process.
	defer syscall.Umask(syscall.Umask(0))
	f := cache.New[state](path(t))
	save(t, f, at(1))
	save(t, f, at(2))
	for _, name := range []string{f.Path, f.Path + ".previous"} {
		if info, err := os.Stat(name); err != nil || info.Mode() != 0o600 {
			t.Errorf("%s: mode %v, %v; want 0600", name, info.Mode(), err)
		}
	}
}

func TestSameValueIsNotWrittenAgain(t *testing.T) {
	t.Parallel()
	f := cache.New[state](path(t))
	save(t, f, at(1))
	save(t, f, at(2))
	before, err := os.Stat(f.Path)
	if err != nil {
		t.Fatal(err)
	}
	save(t, f, at(2))
	save(t, cache.New[state](f.Path), at(2))
	after, err := os.Stat(f.Path)
	if err != nil || !os.SameFile(before, after) {
		t.Errorf("the file was replaced by one with the same content (%v)", err)
	}
	write(t, f.Path, "{")
	_ = wantDamaged(t, f, at(1)) // and the value before was kept
}

func TestDamagedFile(t *testing.T) {
	t.Parallel()
	good, err := cache.Encode(at(2))
	if err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct{ text, reason string }{
		"zero bytes":     {"", "is empty"},
		"only zeros":     {strings.Repeat("\x00", 100), "no JSON"},
		"garbage":        {"\xff\xfe", "no JSON"},
		"truncated":      {string(good[:len(good)-5]), "no JSON"},
		"something more": {string(good) + "{}", "no JSON"},
		"a flipped bit":  {strings.Replace(string(good), "06:00", "07:00", 1), "checksum"},
		"no checksum":    {`{"version": 1, "data": {"cursor": 7}}`, "checksum"},
		"no data":        {`{"version": 1, "crc": "00000000"}`, "no data"},
		"no version":     {strings.Replace(string(good), `"version": 1`, `"x": 1`, 1), "no version"},
		"newer version":  {strings.Replace(string(good), `"version": 1`, `"version": 2`, 1), "version 2, newer than 1"},
		"another kind":   {"{\"version\": 1, \"crc\": \"8dad3308\", \"data\": {\"cursor\": \"x\"}}", "another kind"},
		"null":           {"null", "no version"},
		"a number":       {"42", "no JSON"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := cache.New[state](path(t))
			write(t, f.Path, test.text)
			d := wantDamaged(t, f, state{})
			if !strings.Contains(d.Reason, test.reason) || d.Recovered {
				t.Errorf("got %+v, want reason %q and nothing recovered", d, test.reason)
			}
			if got := read(t, d.Kept); got != test.text {
				t.Errorf("kept %q", got)
			}
			save(t, f, at(1))
			save(t, f, at(2))
			write(t, f.Path, test.text)
			d = wantDamaged(t, f, at(1))
			if !d.Recovered || read(t, d.Kept) != test.text || !strings.Contains(d.Error(), d.Kept) {
				t.Errorf("got %v, want the previous value", d)
			}
			// Until the next Save the file is missing, and that is no empty file either.
			if d = wantDamaged(t, f, at(1)); d.Reason != "is missing" || d.Kept != "" {
				t.Errorf("got %+v", d)
			}
			save(t, f, at(3))
			wantLoad(t, f, at(3))
		})
	}
}

func TestBothDamaged(t *testing.T) {
	t.Parallel()
	f := cache.New[state](path(t))
	write(t, f.Path, "one")
	write(t, f.Path+".previous", "two")
	d := wantDamaged(t, f, state{})
	if d.Recovered || read(t, d.Kept) != "one" || len(names(t, f.Path)) != 2 {
		t.Errorf("got %+v, files %v", d, names(t, f.Path))
	}
	if _, err := f.Load(); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("second Load = %v, want fs.ErrNotExist", err)
	}
}

func TestDamagedFileIsNotKeptAsThePreviousOne(t *testing.T) {
	t.Parallel()
	f := cache.New[state](path(t))
	save(t, f, at(1))
	save(t, f, at(2))
	write(t, f.Path, "damaged while in use")
	save(t, f, at(3))
	write(t, f.Path, "and again")
	_ = wantDamaged(t, f, at(1))
}

func TestKeptFilesDoNotOverwriteEachOther(t *testing.T) {
	t.Parallel()
	f := cache.New[state](path(t))
	now := time.Date(2026, 11, 24, 6, 0, 0, 0, time.UTC)
	f.SetNow(func() time.Time { return now })
	for i := range 3 {
		write(t, f.Path, fmt.Sprint("garbage ", i))
		d := wantDamaged(t, f, state{})
		want := fmt.Sprintf("%s.damaged-20261124T060000.00%dZ", f.Path, i)
		if d.Kept != want {
			t.Errorf("kept as %s, want %s", d.Kept, want)
		}
	}
	if len(names(t, f.Path)) != 3 {
		t.Errorf("the directory holds %v", names(t, f.Path))
	}
}

func TestLeftoversAreRemoved(t *testing.T) {
	t.Parallel()
	f := cache.New[state](path(t))
	dir := filepath.Dir(f.Path)
	for _, name := range []string{".manager-0.json123", ".manager-0.json.previous9", ".manager-0.jsonx1", ".manager-0.json", ".task-1.json5"} {
		write(t, filepath.Join(dir, name), "x")
	}
	save(t, f, at(1))
	wantLoad(t, f, at(1))
	if got := fmt.Sprint(names(t, f.Path)); got != "[.manager-0.json .manager-0.jsonx1 .task-1.json5 manager-0.json]" {
		t.Errorf("the directory holds %s", got)
	}
}

func TestErrorsNameTheFile(t *testing.T) {
	t.Parallel()
	missing := cache.New[state](filepath.Join(t.TempDir(), "no", "task-2.json"))
	if err := missing.Save(at(1)); !errors.Is(err, fs.ErrNotExist) || !strings.HasPrefix(err.Error(), "write cache file "+missing.Path+": ") {
		t.Errorf("Save in a missing directory = %v", err)
	}
	if _, err := missing.Load(); err == nil || !strings.HasPrefix(err.Error(), "read cache file "+missing.Path+": ") {
		t.Errorf("Load in a missing directory = %v", err)
	}
	under := cache.New[state](filepath.Join(path(t), "task-2.json"))
	write(t, filepath.Dir(under.Path), "no directory")
	if err := under.Save(at(1)); !errors.Is(err, syscall.ENOTDIR) {
		t.Errorf("Save under a file = %v, want ENOTDIR", err)
	}
	if _, err := under.Load(); !errors.Is(err, syscall.ENOTDIR) {
		t.Errorf("Load under a file = %v, want ENOTDIR", err)
	}
	f := cache.New[state](filepath.Join(t.TempDir(), "dir"))
	if err := os.Mkdir(f.Path, 0o700); err != nil {
		t.Fatal(err)
	}
	_, err := f.Load()
	if _, damaged := errors.AsType[*cache.Damaged](err); err == nil || damaged || errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Load of a directory = %v, want an error of reading", err)
	}
	if err := cache.New[func()](path(t)).Save(nil); err == nil {
		t.Error("Save of a function works")
	}
}

func TestUnwritableDirectory(t *testing.T) {
	t.Parallel()
	if os.Geteuid() == 0 {
		t.Skip("root may write everywhere")
	}
	f := cache.New[state](path(t))
	save(t, f, at(1))
	if err := os.Chmod(filepath.Dir(f.Path), 0o500); err != nil {
		t.Fatal(err)
	}
	if err := f.Save(at(2)); !errors.Is(err, fs.ErrPermission) {
		t.Errorf("Save = %v, want fs.ErrPermission", err)
	}
	wantLoad(t, f, at(1))
	if err := os.Chmod(filepath.Dir(f.Path), 0o700); err != nil { // so that TempDir can go
		t.Fatal(err)
	}
}

func TestTooLarge(t *testing.T) {
	t.Parallel()
	f := cache.New[string](path(t))
	if err := f.Save("small"); err != nil {
		t.Fatal(err)
	}
	if err := f.Save(strings.Repeat("x", cache.MaxBytes)); !errors.Is(err, cache.ErrTooLarge) {
		t.Errorf("Save = %v, want ErrTooLarge", err)
	}
	if got, err := f.Load(); got != "small" || err != nil {
		t.Errorf("Load = %.20q, %v", got, err)
	}
	if err := os.Truncate(f.Path, cache.MaxBytes+1); err != nil {
		t.Fatal(err)
	}
	if _, err := f.Load(); err == nil || !strings.Contains(err.Error(), "larger") {
		t.Errorf("Load of a huge file = %v", err)
	}
}

// TestEveryStepMayFail lets each step of a Save and of a Load fail in turn, once
// with the process going on and once with it killed there, and demands the old
// value or the new one from the next process.
func TestEveryStepMayFail(t *testing.T) {
	t.Parallel()
	fault := errors.New("no space left on device")
	for _, dead := range []bool{false, true} {
		for n := 1; ; n++ {
			p := path(t)
			f := cache.New[state](p)
			save(t, f, at(1))
			save(t, f, at(2))
			steps := &cache.Steps{FailAt: n, Fault: fault, Dead: dead}
			err := cache.NewFaulty[state](p, steps).Save(at(3))
			if steps.Count < n {
				if n < 6 || err != nil {
					t.Errorf("a Save takes %d steps: %v", steps.Count, err)
				}
				break
			}
			if err == nil {
				continue // the step did not matter
			}
			if !errors.Is(err, fault) {
				t.Errorf("step %d: Save = %v, want the fault", n, err)
			}
			next := cache.New[state](p)
			got, err := next.Load()
			if err != nil || got.Cursor != at(2).Cursor && got.Cursor != at(3).Cursor {
				t.Errorf("step %d, dead %v: Load = %v, %v; want the old or the new value", n, dead, got, err)
			}
			save(t, next, at(3)) // the next process does it again
			wantLoad(t, next, at(3))
			if list := names(t, p); len(list) != 2 {
				t.Errorf("step %d, dead %v: the directory holds %v", n, dead, list)
			}
		}
		for n := 1; ; n++ {
			p := path(t)
			f := cache.New[state](p)
			save(t, f, at(1))
			save(t, f, at(2))
			write(t, p, "damaged")
			steps := &cache.Steps{FailAt: n, Fault: fault, Dead: dead}
			got, err := cache.NewFaulty[state](p, steps).Load()
			if steps.Count < n {
				break
			}
			if !errors.Is(err, fault) || got.Cursor != 0 {
				t.Errorf("step %d: Load = %v, %v; want the fault", n, got, err)
			}
			if d := wantDamaged(t, cache.New[state](p), at(1)); !d.Recovered {
				t.Errorf("step %d: got %v, want the previous value", n, d)
			}
		}
	}
}

// TestFailedSaveIsNotTakenForDone: the bytes are in place, the directory is not
// synced; the same value again must sync it.
func TestFailedSaveIsNotTakenForDone(t *testing.T) {
	t.Parallel()
	p := path(t)
	count := &cache.Steps{}
	if err := cache.NewFaulty[state](p, count).Save(at(1)); err != nil {
		t.Fatal(err)
	}
	p = path(t)
	steps := &cache.Steps{FailAt: count.Count, Fault: errors.New("sync")}
	f := cache.NewFaulty[state](p, steps)
	if err := f.Save(at(1)); !errors.Is(err, steps.Fault) {
		t.Fatalf("Save = %v, want the fault of the last step", err)
	}
	steps.FailAt = steps.Count + 2 // one step reads the file, the next syncs the directory
	if err := f.Save(at(1)); !errors.Is(err, steps.Fault) {
		t.Errorf("Save = %v; want it to sync the directory again", err)
	}
}

func FuzzDecode(f *testing.F) {
	good, err := cache.Encode(at(1))
	if err != nil {
		f.Fatal(err)
	}
	for _, seed := range []string{string(good), "", "null", "{}", `{"version":1,"crc":"00000000","data":null}`, `{"VERSION":1,"version":2}`, "[", `{"version":1e3}`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		value, reason := cache.Decode[json.RawMessage](text)
		if reason != "" {
			if value != nil {
				t.Fatalf("%s, and a value: %s", reason, value)
			}
			return
		}
		again, err := cache.Encode(value)
		if err != nil {
			t.Fatalf("Encode of what was read: %v", err)
		}
		// Marshalling escapes <, > and & anew, so the second time must be stable.
		value, reason = cache.Decode[json.RawMessage](again)
		if reason != "" {
			t.Fatalf("%q does not come back: %s", text, reason)
		}
		if third, err := cache.Encode(value); err != nil || !bytes.Equal(third, again) {
			t.Fatalf("round trip of %q: got %q, %v; want %q", text, third, err, again)
		}
	})
}

func BenchmarkSave(b *testing.B) {
	f := cache.New[state](filepath.Join(b.TempDir(), "manager-0.json"))
	b.ReportAllocs()
	for n := uint64(0); b.Loop(); n++ {
		if err := f.Save(at(n)); err != nil {
			b.Fatal(err)
		}
	}
}
