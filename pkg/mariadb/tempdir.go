package mariadb

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

const (
	dirPrefix = "cupid-mariadb-"
	lockName  = "in-use.lock"

	socketName = "sock"
	// socketMax is the longest path of a Unix socket: sun_path has 108 bytes with the closing zero (unix(7)).
	socketMax = 107
	// socketBase is where the socket goes when the path of the temporary directory is too long.
	socketBase = "/tmp"
)

// tempDir is a directory that is in use as long as the lock on a file in it is held. So one that a killed process left
// can be told from one in use.
type tempDir struct {
	path string
	lock *os.File
}

// makeDirs makes the directory of a server and one for its socket, which is the same if the path is short enough. With
// an empty base they lie in the temporary directory.
func makeDirs(base string) (dir, sockets *tempDir, err error) {
	if base == "" {
		base = os.TempDir()
	}
	if base, err = filepath.Abs(base); err != nil {
		return nil, nil, err
	}
	if dir, err = makeTempDir(base); err != nil {
		return nil, nil, err
	}
	if len(filepath.Join(dir.path, socketName)) <= socketMax {
		return dir, dir, nil
	}
	sockets, err = makeTempDir(socketBase)
	return dir, sockets, err
}

// makeTempDir makes a directory in base, after it has removed those in it that nobody uses.
func makeTempDir(base string) (_ *tempDir, err error) {
	removeStale(base)
	// It gets its name, by which others find it, when it is locked.
	made, err := os.MkdirTemp(base, "new-"+dirPrefix)
	if err != nil {
		return nil, err
	}
	d := &tempDir{path: made}
	defer func() {
		if err != nil {
			err = errors.Join(err, d.remove())
		}
	}()
	if d.lock, err = os.Create(filepath.Join(made, lockName)); err != nil {
		return nil, err
	}
	if err = syscall.Flock(int(d.lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return nil, err
	}
	named := filepath.Join(base, strings.TrimPrefix(filepath.Base(made), "new-"))
	if err = os.Rename(made, named); err != nil {
		return nil, err
	}
	d.path = named
	return d, nil
}

// remove removes the directory with all in it. Twice is fine, and so is a nil one.
func (d *tempDir) remove() error {
	if d == nil {
		return nil
	}
	err := os.RemoveAll(d.path)
	if d.lock != nil {
		err = errors.Join(err, d.lock.Close())
		d.lock = nil
	}
	return err
}

// removeStale removes the directories of killed processes of our user. What cannot be removed stays; the next one tries
// again.
func removeStale(base string) {
	dirs, err := filepath.Glob(filepath.Join(base, dirPrefix+"*"))
	if err != nil {
		return
	}
	for _, dir := range dirs {
		if !ours(dir) {
			continue
		}
		lock, err := os.Open(filepath.Join(dir, lockName))
		if err != nil {
			continue
		}
		if syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) == nil {
			_ = os.RemoveAll(dir)
		}
		_ = lock.Close() // opened for its lock only
	}
}
