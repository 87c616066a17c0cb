package queue_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/masixun71/cupid/pkg/queue"
	"github.com/masixun71/cupid/pkg/queue/queuetest"
)

var base = time.Date(2026, 11, 24, 6, 0, 0, 0, time.UTC)

// late is after every due time in these tests.
var late = base.AddDate(1, 0, 0)

func open(tb testing.TB, path string, opt queue.Options) *queue.Queue {
	tb.Helper()
	q, err := queue.Open(tb.Context(), path, opt)
	if err != nil {
		tb.Fatalf("Open: %v", err)
	}
	tb.Cleanup(func() {
		if err := q.Close(); err != nil {
			tb.Errorf("Close: %v", err)
		}
	})
	return q
}

func closeQueue(tb testing.TB, q *queue.Queue) {
	tb.Helper()
	if err := q.Close(); err != nil {
		tb.Fatalf("Close: %v", err)
	}
}

func puts(group string, from, to int) []queue.Put {
	var list []queue.Put
	for i := from; i < to; i++ {
		list = append(list, queue.Put{
			Group: group, Key: fmt.Sprintf("key-%07d", i), Due: base.Add(time.Duration(i) * time.Millisecond),
			Payload: fmt.Appendf(nil, `{"kind":2,"columns":[1,5],"confirmed":%d}`, i),
		})
	}
	return list
}

func mustPut(tb testing.TB, q *queue.Queue, list []queue.Put) {
	tb.Helper()
	if err := q.Put(tb.Context(), list); err != nil {
		tb.Fatalf("Put: %v", err)
	}
}

func mustDue(tb testing.TB, q *queue.Queue, group string, limit int) []queue.Record {
	tb.Helper()
	got, err := q.Due(tb.Context(), group, late, limit, nil)
	if err != nil {
		tb.Fatalf("Due: %v", err)
	}
	return got
}

func TestQueue(t *testing.T) {
	queuetest.Run(t, func(t *testing.T) queuetest.Store {
		t.Helper()
		return open(t, filepath.Join(t.TempDir(), "q.db"), queue.Options{Limit: queuetest.Limit})
	})
}

func TestEverythingIsThereAfterReopen(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "odd ?name#%41.db")
	now := base
	opt := queue.Options{Now: func() time.Time { return now }}
	q := open(t, path, opt)
	mustPut(t, q, puts("a", 0, 10))
	now = now.Add(time.Hour)
	mustPut(t, q, puts("b", 0, 5))
	first := mustDue(t, q, "a", 1)[0]
	if _, err := q.Apply(t.Context(), []queue.Change{{Group: "a", Key: first.Key, Version: first.Version, Due: late, Attempts: 3}}); err != nil {
		t.Fatalf("Apply: %v", err)
	}
	want := append(mustDue(t, q, "a", 100), mustDue(t, q, "b", 100)...)
	closeQueue(t, q)

	q = open(t, path, opt)
	got := append(mustDue(t, q, "a", 100), mustDue(t, q, "b", 100)...)
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("after reopen:\n got %v\nwant %v", got, want)
	}
	if q.Depth("a") != 10 || q.Depth("b") != 5 || q.Len() != 15 || !slices.Equal(q.Groups(), []string{"a", "b"}) {
		t.Errorf("depths %d, %d, %d of %v", q.Depth("a"), q.Depth("b"), q.Len(), q.Groups())
	}
	mustPut(t, q, puts("a", 0, 1))
	if r, ok, err := q.Get(t.Context(), "a", first.Key); err != nil || !ok || r.Version <= want[14].Version || r.Attempts != 3 {
		t.Errorf("Get = %+v, %v, %v; want a version above %d", r, ok, err, want[14].Version)
	}
}

func TestListPagesByKey(t *testing.T) {
	t.Parallel()
	q := open(t, filepath.Join(t.TempDir(), "q.db"), queue.Options{})
	mustPut(t, q, append(puts("g", 0, 7), queue.Put{Group: "g"}))
	var got []string
	var after *string
	for {
		page, err := q.List(t.Context(), "g", after, 3)
		if err != nil {
			t.Fatalf("List: %v", err)
		}
		if len(page) == 0 {
			break
		}
		for _, r := range page {
			got = append(got, r.Key)
		}
		after = &got[len(got)-1]
	}
	if len(got) != 8 || !slices.IsSorted(got) || got[0] != "" {
		t.Errorf("pages hold %q", got)
	}
	if _, ok, err := q.Get(t.Context(), "g", "none"); ok || err != nil {
		t.Errorf("Get of nothing = %v, %v", ok, err)
	}
}

func TestSecondOpenIsRefused(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "q.db")
	q := open(t, path, queue.Options{})
	mustPut(t, q, puts("g", 0, 3))
	if _, err := queue.Open(t.Context(), path, queue.Options{}); !errors.Is(err, queue.ErrLocked) {
		t.Errorf("second Open = %v, want ErrLocked", err)
	}
	closeQueue(t, q)
	if got := open(t, path, queue.Options{}).Depth("g"); got != 3 {
		t.Errorf("Depth = %d, want 3", got)
	}
}

func TestFilesAreOurs(t *testing.T) {
	// Not parallel: the umask belongs to the process.
	defer syscall.Umask(syscall.Umask(0))
	dir := t.TempDir()
	path := filepath.Join(dir, "q.db")
	q := open(t, path, queue.Options{})
	mustPut(t, q, puts("g", 0, 100))
	wantMode := func() {
		t.Helper()
		files, err := os.ReadDir(dir)
		if err != nil || len(files) < 3 {
			t.Fatalf("ReadDir = %v, %v; want the database, its log and the lock", files, err)
		}
		for _, f := range files {
			if info, err := f.Info(); err != nil || info.Mode() != 0o600 {
				t.Errorf("%s: mode %v, %v; want 0600", f.Name(), info.Mode(), err)
			}
		}
	}
	wantMode()
	closeQueue(t, q)
	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}
	q = open(t, path, queue.Options{})
	mustPut(t, q, puts("g", 100, 200))
	wantMode()
}

func TestOpenSaysWhatIsWrong(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if _, err := queue.Open(t.Context(), filepath.Join(dir, "no", "q.db"), queue.Options{}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("Open in a missing directory = %v", err)
	}
	if err := os.Mkdir(filepath.Join(dir, "q.db"), 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := queue.Open(t.Context(), filepath.Join(dir, "q.db"), queue.Options{}); err == nil || !strings.Contains(err.Error(), "regular file") {
		t.Errorf("Open of a directory = %v", err)
	}
}

func TestClosed(t *testing.T) {
	t.Parallel()
	q := open(t, filepath.Join(t.TempDir(), "q.db"), queue.Options{})
	closeQueue(t, q)
	if err := q.Put(t.Context(), puts("g", 0, 1)); !errors.Is(err, queue.ErrClosed) {
		t.Errorf("Put = %v, want ErrClosed", err)
	}
	if _, err := q.Due(t.Context(), "g", late, 1, nil); !errors.Is(err, queue.ErrClosed) {
		t.Errorf("Due = %v, want ErrClosed", err)
	}
}

func TestCanceledWaitReturnsTheCause(t *testing.T) {
	t.Parallel()
	q := open(t, filepath.Join(t.TempDir(), "q.db"), queue.Options{})
	mustPut(t, q, puts("g", 0, 1))
	stop := errors.New("stop")
	var got error
	// skip runs within the turn, so that the Put inside has to wait.
	_, err := q.Due(t.Context(), "g", late, 1, func(string) bool {
		ctx, cancel := context.WithCancelCause(t.Context())
		cancel(stop)
		got = q.Put(ctx, puts("g", 1, 2))
		return false
	})
	if err != nil || !errors.Is(got, stop) {
		t.Errorf("Due = %v, Put = %v; want %v", err, got, stop)
	}
}

func TestManyAtOnce(t *testing.T) {
	t.Parallel()
	q := open(t, filepath.Join(t.TempDir(), "q.db"), queue.Options{})
	var wg sync.WaitGroup
	for g := range 4 {
		group := fmt.Sprint("g", g)
		wg.Go(func() {
			for i := range 10 {
				mustPutQuietly(t, q, puts(group, i*10, i*10+10))
			}
		})
		wg.Go(func() {
			for removed := 0; removed < 100; {
				due, err := q.Due(t.Context(), group, late, 7, nil)
				if err != nil {
					t.Errorf("Due: %v", err)
					return
				}
				n, err := q.Apply(t.Context(), removals(due))
				if err != nil {
					t.Errorf("Apply: %v", err)
					return
				}
				removed += n
			}
		})
	}
	wg.Wait()
	if q.Len() != 0 || len(q.Groups()) != 0 {
		t.Errorf("%d records are left in %v", q.Len(), q.Groups())
	}
}

func mustPutQuietly(t *testing.T, q *queue.Queue, list []queue.Put) {
	t.Helper()
	if err := q.Put(t.Context(), list); err != nil {
		t.Errorf("Put: %v", err)
	}
}

func removals(records []queue.Record) []queue.Change {
	var list []queue.Change
	for _, r := range records {
		list = append(list, queue.Change{Group: r.Group, Key: r.Key, Version: r.Version, Remove: true})
	}
	return list
}

func TestFileShrinksAfterABacklog(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "q.db")
	q := open(t, path, queue.Options{})
	big := make([]byte, queue.MaxPayloadBytes)
	for i := range 5 {
		list := puts("g", i*40, i*40+40)
		for j := range list {
			list[j].Payload = big
		}
		mustPut(t, q, list)
	}
	full := sizes(t, path)
	if full < 12<<20 {
		t.Fatalf("the backlog has only %d bytes", full)
	}
	for {
		due := mustDue(t, q, "g", 40)
		if len(due) == 0 {
			break
		}
		if _, err := q.Apply(t.Context(), removals(due)); err != nil {
			t.Fatalf("Apply: %v", err)
		}
	}
	// Writes that follow bring the log back into the file.
	for i := range 40 {
		mustPut(t, q, puts("small", i*100, i*100+100))
	}
	closeQueue(t, q)
	if got := sizes(t, path); got > 9<<20 {
		t.Errorf("the emptied queue has %d of %d bytes left", got, full)
	}
}

// sizes is the size of the database with its log.
func sizes(t *testing.T, path string) (total int64) {
	t.Helper()
	files, err := filepath.Glob(path + "*")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range files {
		info, err := os.Stat(name)
		if err != nil {
			t.Fatal(err)
		}
		total += info.Size()
	}
	return total
}

func TestGetAllFindsWhatThereIs(t *testing.T) {
	t.Parallel()
	path := made(t, 300)
	edit(t, path, `UPDATE record SET attempts = 9 WHERE rowid = 150`)
	var r told
	q := open(t, path, r.options())
	for _, n := range []int{0, 1, 99, 100, 101, 350} {
		var keys []string
		for _, p := range puts("g", 0, n) {
			keys = append(keys, p.Key)
		}
		got, err := q.GetAll(t.Context(), "g", keys)
		want := min(n, 300)
		if n > 150 {
			want-- // one is damaged
		}
		if err != nil || len(got) != want {
			t.Errorf("%d of %d keys are there, want %d: %v", len(got), n, want, err)
		}
		wantSound(t, got)
	}
	if got, err := q.GetAll(t.Context(), "h", []string{"key-0000001"}); err != nil || len(got) != 0 || len(r.damaged) != 1 {
		t.Errorf("another group has %v, %v; told of %q", got, err, r.damaged)
	}
}
