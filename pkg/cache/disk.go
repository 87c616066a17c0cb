package cache

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/google/renameio/v2"

	"github.com/masixun71/cupid/pkg/failpoint"
)

// disk is what a File does to the file system. Tests let the n-th step fail.
type disk interface {
	// read returns a whole file, ErrTooLarge if it has more than MaxBytes.
	read(path string) ([]byte, error)
	// replace puts a synced file with this content at path, in one step.
	replace(path string, content []byte) error
	// linkOver makes to a second name of from, in one step.
	linkOver(from, to string) error
	// reserve makes an empty file; fs.ErrExist if there is one.
	reserve(path string) error
	rename(from, to string) error
	remove(path string) error
	syncDir(dir string) error
	names(dir string) ([]string, error)
}

// pendingFile is the part of renameio.PendingFile that replace needs.
type pendingFile interface {
	io.Writer
	CloseAtomicallyReplace() error
	Cleanup() error
}

type osDisk struct {
	// pending opens the file that is to replace path; nil means renameio.
	pending func(path string) (pendingFile, error)
}

func (osDisk) read(path string) (content []byte, err error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	content, err = io.ReadAll(io.LimitReader(f, MaxBytes+1))
	if err == nil && len(content) > MaxBytes {
		return nil, ErrTooLarge
	}
	return content, err
}

func renameioPending(path string) (pendingFile, error) {
	// The directory is named so that renameio does not try out TMPDIR.
	return renameio.NewPendingFile(path, renameio.WithTempDir(filepath.Dir(path)), renameio.WithStaticPermissions(0o600))
}

func (d osDisk) replace(path string, content []byte) (err error) {
	pending := d.pending
	if pending == nil {
		pending = renameioPending
	}
	f, err := pending(path)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, f.Cleanup())
		}
	}()
	if _, err := f.Write(content); err != nil {
		return err
	}
	failpoint.Reach("renaming") // the new file is written, and the old one is in its place
	if err := f.CloseAtomicallyReplace(); err != nil {
		return err
	}
	failpoint.Reach("renamed") // the directory is not synced
	return nil
}

func (d osDisk) linkOver(from, to string) error {
	step := to + ".new"
	if err := os.Remove(step); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := os.Link(from, step); err != nil {
		// Not every file system has hard links.
		content, readErr := d.read(from)
		if readErr != nil {
			return errors.Join(err, readErr)
		}
		return d.replace(to, content)
	}
	if err := os.Rename(step, to); err != nil {
		return err
	}
	// rename(2) does nothing, and says nothing, if both are names of one file.
	if err := os.Remove(step); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

func (osDisk) reserve(path string) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	return f.Close()
}

func (osDisk) rename(from, to string) error { return os.Rename(from, to) }

func (osDisk) remove(path string) error { return os.Remove(path) }

func (osDisk) syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

func (osDisk) names(dir string) ([]string, error) {
	d, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	list, err := d.Readdirnames(-1)
	return list, errors.Join(err, d.Close())
}

// removeLeftovers removes what a Save that was killed has left: renameio's
// temporary files, named ".<name><number>".
func (f *File[T]) removeLeftovers() error {
	dir, base := filepath.Split(f.Path)
	if dir == "" {
		dir = "."
	}
	names, err := f.disk.names(dir)
	if err != nil {
		return err
	}
	for _, name := range names {
		rest, ok := strings.CutPrefix(name, "."+base)
		rest = strings.TrimPrefix(rest, ".previous")
		if !ok || rest == "" || strings.Trim(rest, "0123456789") != "" {
			continue
		}
		if err := f.disk.remove(filepath.Join(dir, name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}
