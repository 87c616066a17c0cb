package process_test

import (
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/masixun71/cupid/pkg/process"
)

func TestG8SecondMasterIsRefused(t *testing.T) {
	dir := t.TempDir()
	lockPath, pidPath := filepath.Join(dir, "cupid.lock"), filepath.Join(dir, "cupid.pid")
	if err := os.WriteFile(pidPath, []byte("1\n"), 0o600); err != nil { // of one that was killed
		t.Fatal(err)
	}
	lock, err := process.LockMaster(lockPath, pidPath)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(pidPath); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the pid file is there before it is published: %v", err)
	}
	if err := lock.Publish(); err != nil {
		t.Fatal(err)
	}
	if text, err := os.ReadFile(pidPath); strings.TrimSpace(string(text)) != strconv.Itoa(os.Getpid()) {
		t.Errorf("pid file: got %q, %v", text, err)
	}
	_, err = process.LockMaster(lockPath, pidPath)
	running, ok := errors.AsType[*process.AlreadyRunningError](err)
	if !ok || running.Pid != os.Getpid() || !strings.Contains(err.Error(), "already running as process") {
		t.Errorf("second master: got %v, want already running", err)
	}
	if err := lock.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(pidPath); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the pid file is there after the end: %v", err)
	}
	if _, err := os.Stat(lockPath); err != nil {
		t.Errorf("the lock file was taken away: %v", err)
	}
	again, err := process.LockMaster(lockPath, pidPath)
	if err != nil {
		t.Fatalf("after the first has ended: %v", err)
	}
	if err := again.Close(); err != nil {
		t.Error(err)
	}
}

func TestLockMasterSaysWhatIsWrongWithThePath(t *testing.T) {
	path := filepath.Join(t.TempDir(), "missing", "cupid.lock")
	if _, err := process.LockMaster(path, path+".pid"); !errors.Is(err, os.ErrNotExist) || !strings.Contains(err.Error(), path) {
		t.Errorf("got %v, want an error that names %s", err, path)
	}
}
