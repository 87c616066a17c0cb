package mariadb

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"time"
)

// moduleLine is how the go.mod of this repository begins; a cache folder is put into no other checkout.
var moduleLine = []byte("module github.com/masixun71/cupid\n")

// lockPoll is how often a lock that another process holds is tried again. flock(2) has no wait that a context ends.
const lockPoll = 20 * time.Millisecond

// folder is a cache folder. Its entries are directories that are complete or absent.
type folder struct {
	path string
	// shared says that it lies where everybody may write, so that it is used only if it is our own: programs in it are
	// run.
	shared bool
}

// folders returns where things may be cached, best first. With an explicit folder there is only that one.
func folders(explicit string) []folder {
	if explicit != "" {
		return []folder{{path: explicit}}
	}
	var found []folder
	if root, ok := moduleRoot(); ok {
		found = append(found, folder{path: filepath.Join(root, ".cache", "mariadb")})
	}
	if user, err := os.UserCacheDir(); err == nil {
		found = append(found, folder{path: filepath.Join(user, "cupid", "mariadb")})
	}
	// An account without a home, such as nobody, has this one left.
	last := filepath.Join(os.TempDir(), "cupid-cache-"+strconv.Itoa(os.Getuid()))
	return append(found, folder{path: last, shared: true})
}

// moduleRoot walks up from the working directory, which is a package's directory in tests.
func moduleRoot() (string, bool) {
	dir, err := os.Getwd()
	if err != nil {
		return "", false
	}
	for {
		text, err := os.ReadFile(filepath.Join(dir, "go.mod"))
		if err == nil {
			return dir, bytes.HasPrefix(text, moduleLine)
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return "", false
		}
		dir = parent
	}
}

// cached returns the first of the entries of this name that exists.
func cached(in []folder, name string) (string, bool) {
	for _, f := range in {
		path := filepath.Join(f.path, name)
		if info, err := os.Stat(path); err == nil && info.IsDir() && f.trusted() {
			return path, true
		}
	}
	return "", false
}

// trusted reports whether what the folder holds may be run.
func (f folder) trusted() bool { return !f.shared || ours(f.path) }

// ours reports whether a directory, and not a link to one, belongs to our user.
func ours(path string) bool {
	info, err := os.Lstat(path)
	if err != nil || !info.IsDir() {
		return false
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	return ok && int(stat.Uid) == os.Getuid()
}

// ensure returns the entry of this name, from whichever folder has it. If none has, it is made in the first folder that
// can be written: build fills an empty directory, which then gets its name. Meanwhile other processes wait.
func ensure(ctx context.Context, in []folder, name string, build func(ctx context.Context, dir string) error) (string, error) {
	if path, ok := cached(in, name); ok {
		return path, nil
	}
	var refused error
	for _, f := range in {
		if err := f.writable(); err != nil {
			refused = errors.Join(refused, err)
			continue
		}
		return f.make(ctx, name, build)
	}
	return "", fmt.Errorf("open a cache folder: %w", refused)
}

// writable creates the folder if need be and tries it.
func (f folder) writable() error {
	mode := os.FileMode(0o755)
	if f.shared {
		mode = 0o700
	}
	if err := os.MkdirAll(f.path, mode); err != nil {
		return err
	}
	if !f.trusted() {
		return fmt.Errorf("cache folder %s belongs to somebody else", f.path)
	}
	// The folder hides itself from git, whatever the checkout's own .gitignore says.
	ignore := filepath.Join(f.path, ".gitignore")
	if _, err := os.Stat(ignore); errors.Is(err, fs.ErrNotExist) {
		return os.WriteFile(ignore, []byte("*\n"), 0o644)
	}
	probe, err := os.CreateTemp(f.path, "probe-")
	if err != nil {
		return err
	}
	return errors.Join(probe.Close(), os.Remove(probe.Name()))
}

func (f folder) make(ctx context.Context, name string, build func(ctx context.Context, dir string) error) (path string, err error) {
	path = filepath.Join(f.path, name)
	lock, err := acquire(ctx, path+".lock")
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, lock.Close()) }()
	if _, ok := cached([]folder{f}, name); ok {
		return path, nil
	}
	// Only the holder of the lock has a directory of this form, so what lies there is left from one that was killed.
	stale, err := filepath.Glob(path + ".new-*")
	if err != nil {
		return "", err
	}
	for _, dir := range stale {
		if err := os.RemoveAll(dir); err != nil {
			return "", err
		}
	}
	dir, err := os.MkdirTemp(f.path, name+".new-")
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	if err := build(ctx, dir); err != nil {
		return "", err
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		return "", err
	}
	return path, os.Rename(dir, path)
}

// acquire waits for the lock on a file; closing the file gives it back.
func acquire(ctx context.Context, path string) (*os.File, error) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, err
	}
	tick := time.NewTicker(lockPoll)
	defer tick.Stop()
	for {
		err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil {
			return file, nil
		}
		if !errors.Is(err, syscall.EWOULDBLOCK) && !errors.Is(err, syscall.EINTR) {
			return nil, errors.Join(fmt.Errorf("lock %s: %w", path, err), file.Close())
		}
		select {
		case <-ctx.Done():
			return nil, errors.Join(fmt.Errorf("wait for lock %s: %w", path, context.Cause(ctx)), file.Close())
		case <-tick.C:
		}
	}
}
