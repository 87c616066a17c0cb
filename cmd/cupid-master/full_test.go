package main_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// fullRows is how many rows are missing: their events need more room than there is.
const fullRows = 6_000

// newFullRig is a rig whose events do not fit on its disk, and stay as long as the
// receiver refuses them.
func newFullRig(t *testing.T) *rig {
	t.Helper()
	r := newRig(t)
	r.with("update", false)
	r.callbacks("stormRowPerMinute", 0) // the disk is to be seen, and no storm
	r.receiver.then(func(call) int { return 500 })
	r.src.Exec(t, "INSERT INTO user (number, name) SELECT seq, 'x' FROM seq_1_to_"+strconv.Itoa(fullRows))
	return r
}

// wantPatience demands of a cupid on a full disk that it waits: it neither computes nor
// tries the disk or the receiver all the time, and tells once.
func (r *rig) wantPatience(t *testing.T, pid int) {
	t.Helper()
	tries := func() int { return strings.Count(r.logs(), "events could still not be stored") }
	begin, calls, tried := time.Now(), len(r.receiver.all()), tries()
	<-time.After(4 * time.Second)
	if raceFlag == "" { // with the race detector an attempt to store takes as long as the wait between two
		r.eventually("the callback worker waits", func() bool {
			used := cpuTime(t, pid)
			spin(t, spinTime/2)
			return cpuTime(t, pid)-used < spinTime/4
		})
	}
	// The disk is tried once a second. A URL that fails is probed by one event at a time, at most once a second.
	calls, tried = len(r.receiver.all())-calls, tries()-tried
	if most := 3 + int(time.Since(begin)/time.Second); tried == 0 || tried > most || calls > most {
		t.Errorf("%d attempts to store, and %d calls, while the disk was full, want some, and at most %d", tried, calls, most)
	}
	if n := r.told("events not stored"); n != 1 {
		t.Errorf("%d alerts that events are not stored, want one", n)
	}
}

// repaired waits until all rows are repaired, for as long as that goes on.
func (r *rig) repaired() {
	r.t.Helper()
	for left := fullRows; left > 0; {
		left = max(left-250, 0)
		r.eventually("at most "+itoa(left)+" rows differ", func() bool { return r.differing() <= left })
	}
}

// The kernel lets no file of the callback worker grow: the scans wait, nothing is lost,
// and it goes on by itself.
func TestG7FullQueueDiskStopsTheScansAlone(t *testing.T) {
	t.Parallel()
	r := newFullRig(t)
	m := r.launch()
	var pid int
	r.eventually("a callback worker", func() bool {
		_, err := r.status()
		if err == nil {
			pid = r.pidOf("callback")
		}
		return pid != 0
	})
	limit := func(n uint64) {
		t.Helper()
		if err := unix.Prlimit(pid, unix.RLIMIT_FSIZE, &unix.Rlimit{Cur: n, Max: unix.RLIM_INFINITY}, nil); err != nil {
			t.Fatal(err)
		}
	}
	limit(512 << 10)
	r.eventually("the disk is full", func() bool { return r.told("events not stored") > 0 })
	r.wantPatience(t, pid)
	if n := r.depth(); n >= fullRows {
		t.Fatalf("%d events are stored on a full disk", n)
	}
	limit(unix.RLIM_INFINITY)
	r.eventually("all events are stored", func() bool { return r.depth() == fullRows })
	if got := r.pidOf("callback"); got != pid {
		t.Errorf("the callback worker was replaced: pid %d, was %d", got, pid)
	}
	m.kill()
	r.receiver.then(r.repair)
	r.start()
	r.repaired()
}

// All that cupid keeps is on a full file system.
func TestG7FullFileSystemIsWaitedFor(t *testing.T) {
	t.Parallel()
	if os.Getenv("CUPID_TEST_LONG") == "" {
		t.Skip("CUPID_TEST_LONG=1 runs it: minutes")
	}
	r := newFullRig(t)
	cache := filepath.Join(r.dir, "cache")
	if err := os.Mkdir(cache, 0o700); err != nil {
		t.Fatal(err)
	}
	mount := "mount -t tmpfs -o size=40m,mode=700 cupid " + cache
	if out, err := exec.Command("unshare", "-rm", "sh", "-c", mount).CombinedOutput(); err != nil {
		t.Skipf("no file system can be mounted here: %v %s", err, out)
	}
	r.wrap = []string{"unshare", "-rm", "sh", "-c", mount + ` && head -c 24200000 /dev/zero >` + cache + `/ballast && exec "$@"`, "sh"}
	m := r.launch()
	r.eventually("the disk is full", func() bool { return r.told("events not stored") > 0 })
	pid := 0
	for _, p := range r.processes() {
		title, _ := os.ReadFile("/proc/" + p + "/cmdline")
		if strings.Contains(string(title), "callback") {
			pid = atoi(t, p)
		}
	}
	r.wantPatience(t, pid)
	// Events leave the queue though nothing can come into it.
	r.receiver.then(r.repair)
	r.eventually("events are delivered on a full disk", func() bool { return strings.Contains(r.logs(), `"message":"healed"`) })
	if err := os.Remove("/proc/" + itoa(m.cmd.Process.Pid) + "/root" + cache + "/ballast"); err != nil {
		t.Fatal(err)
	}
	r.eventually("events are stored again", func() bool { return strings.Contains(r.logs(), "events are stored again") })
	r.repaired()
}
