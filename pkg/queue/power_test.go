package queue_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/masixun71/cupid/pkg/powercut"
	"github.com/masixun71/cupid/pkg/queue"
	"github.com/masixun71/cupid/pkg/queue/queuetest"
)

// childSetting names a setting of SQLite for a child.
const childSetting = "CUPID_QUEUE_TEST_SETTING"

// powerSteps is how many calls of Put and Apply the recorded program makes.
const powerSteps = 18

// powerStep is one call. It adds and renews records, some longer than a page, or takes
// out and changes those that are due.
func powerStep(ctx context.Context, s queuetest.Store, n int) error {
	if n%4 < 3 {
		list := puts("g", n*4, n*4+6) // two of them are there already, but for those taken out
		for i := range list {
			list[i].Payload = bytes.Repeat(list[i].Payload, 1+(n*n+i)%5*30)
		}
		return s.Put(ctx, list)
	}
	due, err := s.Due(ctx, "g", late, 8, nil)
	if err != nil {
		return err
	}
	changes := removals(due)
	for i := range changes[:2] {
		changes[i] = queue.Change{Group: "g", Key: due[i].Key, Version: due[i].Version, Due: due[i].Due.Add(time.Hour), Attempts: n}
	}
	_, err = s.Apply(ctx, changes)
	return err
}

// TestChildMeetsPowerLoss makes the calls, and says so after each.
func TestChildMeetsPowerLoss(t *testing.T) {
	path := os.Getenv(childPath)
	if path == "" {
		t.Skip("a child of TestPowerLoss")
	}
	queue.Set("PRAGMA wal_autocheckpoint = 30") // many checkpoints in a short run
	if s := os.Getenv(childSetting); s != "" {
		queue.Set(s)
	}
	q := open(t, path, queue.Options{})
	for n := range powerSteps {
		if n == powerSteps/2 {
			closeQueue(t, q)
			q = open(t, path, queue.Options{})
		}
		if err := powerStep(t.Context(), q, n); err != nil {
			t.Fatal(err)
		}
		powercut.Say("acknowledged")
	}
	closeQueue(t, q)
}

// recorded records a child that works on the queue at path.
func recorded(t *testing.T, test, path string, env ...string) *powercut.Recording {
	t.Helper()
	out, err := os.Create(filepath.Join(t.TempDir(), "out"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = out.Close() }()
	rec, err := powercut.Record(filepath.Dir(path), powercut.Program{
		Args: []string{os.Args[0], "-test.run=^" + test + "$"}, Output: out,
		Env: append(append(os.Environ(), childPath+"="+path), env...),
	})
	if errors.Is(err, errors.ErrUnsupported) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatalf("%v\n%s", err, readFile(t, out.Name()))
	}
	return rec
}

// held is what a queue holds, in one line a record.
func held(ctx context.Context, s queuetest.Store) (string, error) {
	all, err := s.Due(ctx, "g", late.AddDate(1, 0, 0), 1000, nil)
	if err != nil {
		return "", err
	}
	lines := make([]string, len(all))
	for i, r := range all {
		lines[i] = fmt.Sprintf("%s %d %d %x", r.Key, r.Due.UnixMilli(), r.Attempts, sha256.Sum256(r.Payload))
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n"), nil
}

// heldAfter is what the queue must hold after each number of calls.
func heldAfter(t *testing.T) []string {
	t.Helper()
	m := &queuetest.Memory{Limit: 1000}
	states := []string{""}
	for n := range powerSteps {
		if err := powerStep(t.Context(), m, n); err != nil {
			t.Fatal(err)
		}
		state, err := held(t.Context(), m)
		if err != nil {
			t.Fatal(err)
		}
		states = append(states, state)
	}
	return states
}

// cut looks at every directory that a cut of the recording may leave.
func cut(t *testing.T, rec *powercut.Recording, c powercut.Check) powercut.Result {
	t.Helper()
	dir, err := powercut.Memory(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	if c.Enough == 0 {
		c.Every = cutEvery
	}
	result := c.Run(dir, rec)
	t.Logf("%d operations, %d directories, %d faults", len(rec.Ops), result.Disks, len(result.Faults))
	return result
}

// wantHeld opens a queue that a cut has left and demands all that was acknowledged,
// nothing half, and a queue that works on.
func wantHeld(ctx context.Context, dir string, acknowledged int, states []string) (err error) {
	var r told
	path := filepath.Join(dir, "q.db")
	q, err := reopen(ctx, path, r.options())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, q.Close()) }()
	got, err := held(ctx, q)
	if err != nil {
		return err
	}
	if len(r.replaced)+len(r.damaged) > 0 {
		return fmt.Errorf("told of %v and %v", r.replaced, r.damaged)
	}
	if got != states[acknowledged] && (acknowledged == powerSteps || got != states[acknowledged+1]) {
		return fmt.Errorf("after %d calls it holds\n%s\nwant\n%s", acknowledged, got, states[acknowledged])
	}
	if err := q.Put(ctx, puts("h", 0, 1)); err != nil || q.Depth("h") != 1 {
		return fmt.Errorf("put after it: %w", err)
	}
	return nil
}

func wantNoFaults(t *testing.T, r powercut.Result) {
	t.Helper()
	for _, err := range r.Faults[:min(3, len(r.Faults))] {
		t.Error(err)
	}
}

func TestPowerLoss(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "q.db")
	rec := recorded(t, "TestChildMeetsPowerLoss", path)
	states := heldAfter(t)
	look := func(dir string, marks []string) error { return wantHeld(t.Context(), dir, len(marks), states) }
	wantNoFaults(t, cut(t, rec, powercut.Check{Torn: 2, Look: look}))

	// Without the sync of the directory the file may have no name.
	unnamed := rec.Without(func(op powercut.Op) bool { return op.Kind == powercut.SyncDir })
	if r := cut(t, unnamed, powercut.Check{Enough: 1, Look: look}); len(r.Faults) == 0 {
		t.Error("without a sync of the directory every cut is survived: the test sees nothing")
	}
}

// TestPowerLossWithoutSync is the control: it demands that the same test fails.
func TestPowerLossWithoutSync(t *testing.T) {
	t.Parallel()
	for _, setting := range []string{"PRAGMA synchronous = OFF", "PRAGMA synchronous = NORMAL"} {
		t.Run(setting, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "q.db")
			rec := recorded(t, "TestChildMeetsPowerLoss", path, childSetting+"="+setting)
			states := heldAfter(t)
			r := cut(t, rec, powercut.Check{Torn: 1, Enough: 1, Look: func(dir string, marks []string) error {
				return wantHeld(t.Context(), dir, len(marks), states)
			}})
			if len(r.Faults) == 0 {
				t.Error("every cut is survived: the test sees nothing")
			}
		})
	}
}

// TestPowerLossWhileRecovering cuts a second time, while the queue that the first cut
// has left is opened.
func TestPowerLossWhileRecovering(t *testing.T) {
	t.Parallel()
	first := recorded(t, "TestChildMeetsPowerLoss", filepath.Join(t.TempDir(), "q.db"))
	states := heldAfter(t)
	for c := range first.Cuts() {
		if c.Done != len(first.Ops)*2/5 && c.Done != len(first.Ops)*4/5 {
			continue
		}
		path := filepath.Join(t.TempDir(), "q.db")
		n := 0
		err := c.Disk(512, func() bool { n++; return n%7 > 0 }).WriteTo(filepath.Dir(path))
		if err != nil {
			t.Fatal(err)
		}
		acknowledged := len(c.Marks)
		again := recorded(t, "TestChildRecovers", path)
		wantNoFaults(t, cut(t, again, powercut.Check{Torn: 2, Look: func(dir string, marks []string) error {
			if err := wantHeld(t.Context(), dir, acknowledged, states); err != nil {
				return fmt.Errorf("first cut after %d operations: %w", c.Done, err)
			}
			return wantGroup(t.Context(), dir, len(marks))
		}}))
	}
}

// TestChildRecovers opens what a power loss has left and works on.
func TestChildRecovers(t *testing.T) {
	path := os.Getenv(childPath)
	if path == "" {
		t.Skip("a child of the tests of power loss")
	}
	q := open(t, path, queue.Options{})
	for n := range 3 {
		mustPut(t, q, puts("new", n, n+1))
		powercut.Say("acknowledged")
	}
}

// reopen is Open for who may have closed the same file just now: a child that another test starts at that moment has
// all descriptors, and so the lock, until it executes its program.
func reopen(ctx context.Context, path string, opt queue.Options) (*queue.Queue, error) {
	for {
		q, err := queue.Open(ctx, path, opt)
		if !errors.Is(err, queue.ErrLocked) || ctx.Err() != nil {
			return q, err
		}
		runtime.Gosched()
	}
}

// wantGroup demands that all records that TestChildRecovers has put are there.
func wantGroup(ctx context.Context, dir string, acknowledged int) (err error) {
	q, err := reopen(ctx, filepath.Join(dir, "q.db"), queue.Options{})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, q.Close()) }()
	if n := q.Depth("new"); n < acknowledged || n > acknowledged+1 {
		return fmt.Errorf("%d records, %d acknowledged", n, acknowledged)
	}
	return nil
}

// TestPowerLossWhileReplacing begins with a file that is cut off: what was rescued of it
// stays, and the old file as well.
func TestPowerLossWhileReplacing(t *testing.T) {
	t.Parallel()
	path := made(t, 200)
	if err := os.Remove(path + ".lock"); err != nil {
		t.Fatal(err)
	}
	whole := readFile(t, path)
	spoilt := whole[:len(whole)*3/4]
	writeFile(t, path, spoilt)
	rec := recorded(t, "TestChildRecovers", path)
	q := open(t, path, queue.Options{})
	rescued := q.Depth("g")
	if rescued == 0 {
		t.Fatal("nothing was rescued")
	}
	wantNoFaults(t, cut(t, rec, powercut.Check{Torn: 2, Look: func(dir string, marks []string) error {
		if err := wantGroup(t.Context(), dir, len(marks)); err != nil {
			return err
		}
		q, err := reopen(t.Context(), filepath.Join(dir, "q.db"), queue.Options{})
		if err != nil {
			return err
		}
		defer func() { _ = q.Close() }()
		if n := q.Depth("g"); n != rescued {
			return fmt.Errorf("%d records of the old file, want %d", n, rescued)
		}
		kept, err := filepath.Glob(filepath.Join(dir, "q.db.damaged-*Z"))
		for _, name := range kept {
			content, readErr := os.ReadFile(name)
			if err = errors.Join(err, readErr); bytes.Equal(content, spoilt) {
				return nil
			}
		}
		return fmt.Errorf("the old file is not kept among %q: %w", kept, err)
	}}))
}
