package process

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// lockPoll is how often a lock that another process holds is tried again. It is held by a worker whose master is gone, and
// that is over within milliseconds.
const lockPoll = 10 * time.Millisecond

// LockedError says that another process holds a lock file.
type LockedError struct {
	Path string // the lock file
	Pid  int    // who holds it, as it noted itself; 0 when that cannot be read
}

// Error says which file is held, and by whom.
func (e *LockedError) Error() string {
	if e.Pid == 0 {
		return fmt.Sprintf("%s is locked by another process", e.Path)
	}
	return fmt.Sprintf("%s is locked by process %d", e.Path, e.Pid)
}

// AlreadyRunningError says that another master runs on the same run directory.
type AlreadyRunningError struct {
	Path string // the lock file
	Pid  int    // the other master; 0 when that cannot be read
}

// Error says who runs already.
func (e *AlreadyRunningError) Error() string {
	if e.Pid == 0 {
		return fmt.Sprintf("already running: another process holds %s", e.Path)
	}
	return fmt.Sprintf("already running as process %d, which holds %s", e.Pid, e.Path)
}

// MasterLock keeps a second master from the same run directory. The lock is the kernel's: it ends with the process, however
// that ends, and the file stays, because a lock on an unlinked file locks nobody out.
type MasterLock struct {
	file    *os.File
	pidPath string
}

// LockMaster locks the file at path, made when it is missing. *AlreadyRunningError says that another process has it. The pid
// file at pidPath that a killed master has left is taken away: its pid may be another's by now.
func LockMaster(path, pidPath string) (*MasterLock, error) {
	file, err := tryLock(path)
	if locked, ok := errors.AsType[*LockedError](err); ok {
		return nil, &AlreadyRunningError{Path: path, Pid: locked.Pid}
	}
	if err != nil {
		return nil, err
	}
	if err := os.Remove(pidPath); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, errors.Join(fmt.Errorf("take an old pid file away: %w", err), file.Close())
	}
	notePid(file, os.Getpid())
	return &MasterLock{file: file, pidPath: pidPath}, nil
}

// Publish writes this process's pid to the pid file. It is called when the signal handlers are in place: whoever reads
// the file may send a signal at once. It may be tried again.
func (l *MasterLock) Publish() error {
	path := l.pidPath
	temp := filepath.Join(filepath.Dir(path), "."+filepath.Base(path)+".new")
	if err := os.WriteFile(temp, []byte(strconv.Itoa(os.Getpid())+"\n"), 0o600); err != nil {
		return fmt.Errorf("write pid file: %w", err)
	}
	if err := os.Rename(temp, path); err != nil {
		return fmt.Errorf("write pid file: %w", err)
	}
	return nil
}

// Close takes the pid file away and gives the lock back.
func (l *MasterLock) Close() error {
	err := os.Remove(l.pidPath)
	if errors.Is(err, os.ErrNotExist) { // it was never published
		err = nil
	}
	if err = errors.Join(err, l.file.Close()); err != nil {
		return fmt.Errorf("release %s: %w", l.file.Name(), err)
	}
	return nil
}

// tryLock opens and locks the file at path, or returns a *LockedError.
func tryLock(path string) (*os.File, error) {
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open lock: %w", err)
	}
	for {
		err = unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if !errors.Is(err, unix.EINTR) {
			break
		}
	}
	switch {
	case err == nil:
		return file, nil
	case errors.Is(err, unix.EWOULDBLOCK):
		err = &LockedError{Path: path, Pid: notedPid(file)}
	default:
		err = fmt.Errorf("lock %s: %w", path, err)
	}
	return nil, errors.Join(err, file.Close())
}

// lockSlot waits for the lock at path until ctx is done.
func lockSlot(ctx context.Context, path string) (*os.File, error) {
	ticker := time.NewTicker(lockPoll)
	defer ticker.Stop()
	for {
		file, err := tryLock(path)
		if _, held := errors.AsType[*LockedError](err); !held {
			return file, err
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return nil, fmt.Errorf("wait for lock: %w (%w)", err, context.Cause(ctx))
		}
	}
}

// notePid writes down who holds the lock. It is only for error texts, so that it fails is no error.
func notePid(file *os.File, pid int) {
	if file.Truncate(0) == nil {
		_, _ = file.WriteAt([]byte(strconv.Itoa(pid)+"\n"), 0)
	}
}

func notedPid(file *os.File) int {
	text, err := io.ReadAll(io.NewSectionReader(file, 0, 32))
	if err != nil {
		return 0
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		return 0
	}
	return pid
}
