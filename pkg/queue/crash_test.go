package queue_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/masixun71/cupid/pkg/queue"
)

// childPath names, to a test binary that runs as a child, the queue it shall use.
const childPath = "CUPID_QUEUE_TEST_PATH"

// child starts this test binary again with one test of it alone.
func child(t *testing.T, test, path string) *exec.Cmd {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+test+"$", "-test.v")
	cmd.Env = append(os.Environ(), childPath+"="+path)
	cmd.Stderr = os.Stderr
	return cmd
}

// TestChildPuts puts batches and says so after each, until it is killed.
func TestChildPuts(t *testing.T) {
	path := os.Getenv(childPath)
	if path == "" {
		t.Skip("a child of TestKilledWhilePutting")
	}
	q := open(t, path, queue.Options{})
	for from := q.Len(); ; from += 7 {
		mustPut(t, q, puts("g", from, from+7))
		fmt.Printf("acknowledged %d\n", from+7)
	}
}

func TestKilledWhilePutting(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "q.db")
	total := 0
	for round := range 3 {
		cmd := child(t, "TestChildPuts", path)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		acknowledged := 0
		lines := bufio.NewScanner(out)
		for n := 0; lines.Scan(); {
			text, ok := strings.CutPrefix(lines.Text(), "acknowledged ")
			if !ok {
				continue
			}
			if acknowledged, err = strconv.Atoi(text); err != nil {
				t.Fatal(err)
			}
			if n++; n == 10+25*round {
				if err := cmd.Process.Kill(); err != nil {
					t.Fatal(err)
				}
			}
		}
		if err := cmd.Wait(); err == nil || acknowledged == 0 {
			t.Fatalf("the child was not killed: %v, acknowledged %d", err, acknowledged)
		}
		var r told
		q := open(t, path, r.options())
		got := mustDue(t, q, "g", 1_000_000)
		wantSound(t, got)
		// One batch may be there whose acknowledgment was not seen.
		if len(got) != acknowledged && len(got) != acknowledged+7 {
			t.Errorf("%d records, %d acknowledged", len(got), acknowledged)
		}
		if len(r.replaced)+len(r.damaged) != 0 || q.Len() != len(got) {
			t.Errorf("told of %v and %v, counted %d of %d", r.replaced, r.damaged, q.Len(), len(got))
		}
		total = len(got)
		closeQueue(t, q)
	}
	t.Logf("%d records survived 3 kills", total)
}

// TestChildDiskFull lets the kernel refuse to grow files, then allows it again.
func TestChildDiskFull(t *testing.T) {
	path := os.Getenv(childPath)
	if path == "" {
		t.Skip("a child of TestDiskFull")
	}
	q := open(t, path, queue.Options{})
	var old syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &old); err != nil {
		t.Fatal(err)
	}
	limit := func(n uint64) {
		t.Helper()
		if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: n, Max: old.Max}); err != nil {
			t.Fatal(err)
		}
	}
	limit(1 << 20)
	acknowledged := 0
	var err error
	for err == nil && acknowledged < 100_000 {
		if err = q.Put(t.Context(), puts("g", acknowledged, acknowledged+50)); err == nil {
			acknowledged += 50
		}
	}
	t.Logf("after %d records: %v", acknowledged, err)
	if err == nil || acknowledged == 0 {
		t.Fatalf("Put = %v after %d records, want an error", err, acknowledged)
	}
	for range 3 { // an error leaves nothing behind that spoils the next call
		if err := q.Put(t.Context(), puts("g", 200_000, 200_500)); err == nil {
			t.Error("Put works on a full disk")
		}
	}
	got := mustDue(t, q, "g", 1_000_000)
	wantSound(t, got)
	if len(got) != acknowledged || q.Len() != acknowledged {
		t.Errorf("%d records, %d counted, %d acknowledged", len(got), q.Len(), acknowledged)
	}
	limit(old.Cur)
	mustPut(t, q, puts("g", acknowledged, acknowledged+50))
	if n, err := q.Apply(t.Context(), removals(got)); n != len(got) || err != nil {
		t.Errorf("Apply = %d, %v; want %d", n, err, len(got))
	}
	closeQueue(t, q)
	var r told
	if got := open(t, path, r.options()).Len(); got != 50 || len(r.replaced) != 0 {
		t.Errorf("%d records after reopen, want 50; replaced %v", got, r.replaced)
	}
}

func TestDiskFull(t *testing.T) {
	t.Parallel()
	cmd := child(t, "TestChildDiskFull", filepath.Join(t.TempDir(), "q.db"))
	out, err := cmd.Output()
	if _, failed := errors.AsType[*exec.ExitError](err); failed || err != nil || !strings.Contains(string(out), "--- PASS") {
		t.Errorf("the child says %v:\n%s", err, out)
	}
}

// TestChildDrains fills the file system that it is in.
func TestChildDrains(t *testing.T) {
	path := os.Getenv(childPath)
	if path == "" {
		t.Skip("a child of TestFullDiskIsDrained")
	}
	queue.SetReserve(16 << 20)
	q := open(t, path, queue.Options{Limit: 10_000_000})
	var err error
	total := 0
	for n := 1000; n > 0; { // to the last page
		large := puts("g", total, total+n)
		for i := range large {
			large[i].Payload = make([]byte, 1000) // else it takes a minute to fill the disk
		}
		if err = q.Put(t.Context(), large); err == nil {
			total += n
		} else {
			n /= 2
		}
	}
	t.Logf("after %d records: %v", total, err)
	ballast, err := os.Create(filepath.Join(filepath.Dir(path), "ballast"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(ballast, neverEnding{}); !errors.Is(err, syscall.ENOSPC) {
		t.Fatal(err)
	}
	// It goes on after a restart, for which there is no more room than was kept.
	t.Logf("Close on a full disk: %v", q.Close())
	q = open(t, path, queue.Options{Limit: 10_000_000})
	if q.Len() != total {
		t.Errorf("%d records after a restart, want %d", q.Len(), total)
	}
	for q.Len() > 0 {
		got := mustDue(t, q, "g", 256)
		if n, err := q.Apply(t.Context(), removals(got)); err != nil || n != len(got) {
			t.Fatalf("Apply on a full disk = %d, %v, %d records left", n, err, q.Len())
		}
	}
	if err := errors.Join(ballast.Close(), os.Remove(ballast.Name())); err != nil {
		t.Fatal(err)
	}
	mustPut(t, q, puts("g", 0, 1000))
}

// neverEnding has as many zeros as anybody reads.
type neverEnding struct{}

func (neverEnding) Read(p []byte) (int, error) { return len(p), nil }

// On a full disk records still leave the queue, so that it is empty in the end.
func TestFullDiskIsDrained(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	script := `mount -t tmpfs -o size=40m cupid "$1" && exec "$2" -test.run='^TestChildDrains$' -test.v`
	if out, err := exec.CommandContext(t.Context(), "unshare", "-rm", "mount", "-t", "tmpfs", "cupid", dir).CombinedOutput(); err != nil {
		t.Skipf("no file system can be mounted here: %v %s", err, out)
	}
	cmd := exec.CommandContext(t.Context(), "unshare", "-rm", "sh", "-c", script, "sh", dir, os.Args[0])
	cmd.Env = append(os.Environ(), childPath+"="+filepath.Join(dir, "q.db"))
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "--- PASS") {
		t.Errorf("the child says %v:\n%s", err, out)
	}
}
