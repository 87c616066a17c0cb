package mariadb_test

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/masixun71/cupid/pkg/mariadb"
)

// alive reports whether a process runs; a zombie, which nobody may have waited for in a container, does not.
func alive(pid int) bool {
	if text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid)); err == nil {
		_, state, _ := bytes.Cut(text, []byte(") "))
		return state[0] != 'Z' && state[0] != 'X'
	}
	return syscall.Kill(pid, 0) == nil
}

// waitGone waits until a process has ended.
func waitGone(t *testing.T, pid int) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	deadline := time.NewTimer(10 * time.Second)
	defer deadline.Stop()
	for alive(pid) {
		select {
		case <-tick.C:
		case <-deadline.C:
			_ = syscall.Kill(pid, syscall.SIGKILL) // it is ours, and nobody else would
			t.Fatalf("process %d is still there", pid)
		}
	}
}

func TestKilledParentLeavesNoServer(t *testing.T) {
	t.Parallel()
	base := t.TempDir()
	p := startParent(t, order{Dir: base}, false)
	if p.Error != "" {
		t.Fatal(p.Error)
	}
	if !alive(p.Pid) {
		t.Fatalf("server %d does not run", p.Pid)
	}
	if err := p.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	waitGone(t, p.Pid)
	if _, err := os.Stat(p.Dir); err != nil {
		t.Fatalf("nobody is there to remove the directory, but: %v", err)
	}
	start(t, mariadb.Options{Dir: base})
	if _, err := os.Stat(p.Dir); err == nil {
		t.Errorf("the next start left %s", p.Dir)
	}
}

func TestStartLeavesDirectoriesInUse(t *testing.T) {
	t.Parallel()
	base := t.TempDir()
	p := startParent(t, order{Dir: base}, false)
	if p.Error != "" {
		t.Fatal(p.Error)
	}
	start(t, mariadb.Options{Dir: base})
	if _, err := os.Stat(filepath.Join(p.Dir, "sock")); err != nil {
		t.Error(err)
	}
}

// TestOrdinaryUserFetchesServer is a newcomer's first start: an empty cache folder, no rights, and in a fresh container
// no package lists either.
func TestOrdinaryUserFetchesServer(t *testing.T) {
	t.Parallel()
	needApt(t)
	none := openDir(t)
	if err := os.Mkdir(filepath.Join(none, "partial"), 0o755); err != nil {
		t.Fatal(err)
	}
	noLists := filepath.Join(none, "apt.conf")
	if err := os.WriteFile(noLists, fmt.Appendf(nil, "Dir::State::lists %q;\n", none), 0o644); err != nil {
		t.Fatal(err)
	}
	for name, env := range map[string][]string{"lists": nil, "no lists": {"APT_CONFIG=" + noLists}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cache := cacheOf(t, nobody)
			p := startParent(t, order{Cache: cache, Fetch: true}, os.Getuid() == 0, env...)
			if p.Error != "" {
				t.Fatal(p.Error)
			}
			if p.UID == 0 {
				t.Error("the server was started by root")
			}
			if !strings.HasPrefix(p.Program, cache) {
				t.Errorf("program = %s, want one under %s", p.Program, cache)
			}
			if left, err := filepath.Glob(filepath.Join(cache, "*.new-*")); err != nil || len(left) != 0 {
				t.Errorf("left over: %v, %v", left, err)
			}
		})
	}
}

// TestOrdinaryUserUsesCacheOfRoot: `sudo make demo` once must not break it for the user.
func TestOrdinaryUserUsesCacheOfRoot(t *testing.T) {
	t.Parallel()
	if os.Getuid() != 0 {
		t.Skip("needs root to become somebody else")
	}
	cache := cacheOf(t, 0)
	program, err := mariadb.Find(t.Context(), mariadb.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if from, ok := program.CacheFolder(); ok {
		out, err := exec.CommandContext(t.Context(), "cp", "-a", from+"/.", cache).CombinedOutput()
		if err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
	start(t, mariadb.Options{Cache: cache})
	p := startParent(t, order{Cache: cache}, true)
	if p.Error != "" {
		t.Fatal(p.Error)
	}
	if p.UID != nobody {
		t.Errorf("uid = %d, want %d", p.UID, nobody)
	}
}

// needApt skips a test that downloads where that is not wanted or cannot be.
func needApt(t *testing.T) {
	t.Helper()
	if testing.Short() {
		t.Skip("downloads 10 MB")
	}
	if _, err := exec.LookPath("apt-get"); err != nil {
		t.Skip("needs apt")
	}
}

// cacheOf returns an empty directory of a user, as far as we may give it away.
func cacheOf(t *testing.T, uid int) string {
	t.Helper()
	dir := filepath.Join(openDir(t), "cache")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if os.Getuid() == 0 {
		if err := os.Chown(dir, uid, uid); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}
