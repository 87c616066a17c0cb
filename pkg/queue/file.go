package queue

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// fullCheckBytes is the size up to which Open lets SQLite check every page and
// index (64 MiB take about half a second). A larger file is checked when SQLite
// stumbles over it.
const fullCheckBytes = 64 << 20

// A replacement takes these steps; after a kill at any of them Open goes on:
//
//	<path>.new              being written            Open: removed, starts over
//	<path>.rescued-<time>   complete and synced      Open: goes on with the renames
//	<path>                  -> <path>.damaged-<time>, -wal and -shm with it
//	<path>.rescued-<time>   -> <path>
const (
	newSuffix     = ".new"
	rescuedSuffix = ".rescued-"
	damagedSuffix = ".damaged-"
	timeLayout    = "20060102T150405.000Z"
)

// parts are the files of one database, beginning with the database itself.
var parts = []string{"", "-wal", "-shm"}

// openFile opens the file of the queue, makes or replaces it where needed, and
// counts its records. full demands the full check whatever the size.
func (q *Queue) openFile(ctx context.Context, full bool) error {
	err := q.tryOpenFile(ctx, full)
	if !noRoom(err) {
		return err
	}
	// SQLite writes to open a file, too. What another process has kept as room for that is worth more now.
	q.giveReserve()
	return q.tryOpenFile(ctx, full)
}

func (q *Queue) tryOpenFile(ctx context.Context, full bool) error {
	if err := q.finishReplacement(); err != nil {
		return err
	}
	reason, err := q.inspect(ctx, &full)
	if err != nil {
		return err
	}
	if reason == "" {
		err := q.load(ctx, full)
		if reason = damage(err); reason == "" {
			return err
		}
	}
	if err := q.replace(ctx, reason); err != nil {
		return fmt.Errorf("replace the file (%s): %w", reason, err)
	}
	return q.load(ctx, false)
}

// load opens the database and counts. If it fails, the file is closed.
func (q *Queue) load(ctx context.Context, full bool) error {
	d, err := openDatabase(ctx, q.path, full)
	if err != nil {
		return err
	}
	depth, err := d.counts(ctx, keptCounts)
	if err == nil && full {
		depth, err = d.checkCounts(ctx, depth)
	}
	if err != nil {
		return errors.Join(err, d.close())
	}
	q.setDepth(depth)
	q.db = d
	return nil
}

// inspect looks at the file from outside, makes it if there is none, and says
// what is wrong with it.
func (q *Queue) inspect(ctx context.Context, full *bool) (reason string, err error) {
	info, err := os.Stat(q.path)
	if errors.Is(err, fs.ErrNotExist) {
		if wal, err := os.Stat(q.path + "-wal"); err == nil && wal.Size() > 0 {
			return "the file is missing, its write-ahead log is there", nil
		}
		return "", q.create(ctx)
	}
	if err != nil {
		return "", err
	}
	if !info.Mode().IsRegular() {
		return "", fmt.Errorf("%s is no regular file", q.path)
	}
	if info.Size() == 0 {
		return "the file is empty", nil
	}
	// -wal and -shm take their mode from the file.
	if info.Mode().Perm() != 0o600 {
		if err := os.Chmod(q.path, 0o600); err != nil {
			return "", err
		}
	}
	*full = *full || info.Size() <= fullCheckBytes
	return inspectHeader(q.path)
}

// inspectHeader looks at the two bytes that SQLite obeys without a word: a file
// whose write version (byte 18) is neither 1 nor 2 is opened for reading only
// (https://sqlite.org/fileformat2.html#file_format_version_numbers).
func inspectHeader(path string) (reason string, err error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	var header [20]byte
	if _, err := f.ReadAt(header[:], 0); err != nil && !errors.Is(err, io.EOF) {
		return "", err
	}
	if string(header[:16]) != "SQLite format 3\x00" {
		return "the file is not a database", nil
	}
	for _, version := range header[18:] {
		if version != 1 && version != 2 {
			return "the header is malformed", nil
		}
	}
	return "", nil
}

// create makes an empty queue under another name first, so that an empty file
// at path is never ours.
func (q *Queue) create(ctx context.Context) error {
	if _, _, err := q.build(ctx, nil); err != nil {
		return fmt.Errorf("make the file: %w", err)
	}
	return rename(q.path+newSuffix, q.path)
}

// build writes a complete queue to <path>.new and syncs it. fill, if not nil,
// puts records into it.
func (q *Queue) build(ctx context.Context, fill func(*database) (int, int, error)) (rescued, bad int, err error) {
	path := q.path + newSuffix
	for _, part := range append(parts, "-journal") {
		if err := os.Remove(path + part); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return 0, 0, err
		}
	}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return 0, 0, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	d, err := connect(ctx, path, "rw")
	if err != nil {
		return 0, 0, err
	}
	rescued, bad, err = buildIn(ctx, d, fill)
	if err = errors.Join(err, d.close()); err != nil {
		return 0, 0, err
	}
	return rescued, bad, f.Sync()
}

func buildIn(ctx context.Context, d *database, fill func(*database) (int, int, error)) (rescued, bad int, err error) {
	// No journal: a file that is not finished is thrown away.
	for _, s := range []string{
		"PRAGMA auto_vacuum = INCREMENTAL",
		"PRAGMA journal_mode = OFF",
		"PRAGMA synchronous = OFF",
		fmt.Sprintf("PRAGMA application_id = %d", applicationID),
		fmt.Sprintf("PRAGMA user_version = %d", schemaVersion),
		strings.Join(schema, ";"),
		"INSERT INTO meta (id, seq) VALUES (1, 0)",
	} {
		if err := d.exec(ctx, s); err != nil {
			return 0, 0, err
		}
	}
	if fill == nil {
		return 0, 0, nil
	}
	if err := d.prepareStatements(ctx); err != nil {
		return 0, 0, err
	}
	err = d.transaction(ctx, func() error {
		if rescued, bad, err = fill(d); err != nil {
			return err
		}
		return d.recount(ctx)
	})
	return rescued, bad, err
}

// replace sets the file aside and puts a new one in its place, with what can be
// rescued.
func (q *Queue) replace(ctx context.Context, reason string) error {
	stamp, err := q.freeStamp()
	if err != nil {
		return err
	}
	rescued, bad, err := q.build(ctx, func(to *database) (int, int, error) {
		return q.rescue(ctx, to)
	})
	if err != nil {
		return err
	}
	if err := rename(q.path+newSuffix, q.path+rescuedSuffix+stamp); err != nil {
		return err
	}
	if err := q.swap(stamp); err != nil {
		return err
	}
	q.noteReplaced(Replacement{Old: q.path + damagedSuffix + stamp, Reason: reason, Rescued: rescued, Damaged: bad})
	return nil
}

// freeStamp finds a time for the names that no earlier replacement has used.
func (q *Queue) freeStamp() (string, error) {
	for t := q.opt.Now().UTC(); ; t = t.Add(time.Millisecond) {
		stamp := t.Format(timeLayout)
		used, err := filepath.Glob(escapeGlob(q.path+damagedSuffix+stamp) + "*")
		if err != nil {
			return "", err
		}
		if len(used) == 0 {
			return stamp, nil
		}
	}
}

// swap does the renames of a replacement; those that are done already are
// passed over.
func (q *Queue) swap(stamp string) error {
	for _, part := range parts {
		err := os.Rename(q.path+part, q.path+damagedSuffix+stamp+part)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	if err := syncDir(filepath.Dir(q.path)); err != nil {
		return err
	}
	return rename(q.path+rescuedSuffix+stamp, q.path)
}

// finishReplacement goes on where a replacement was cut short.
func (q *Queue) finishReplacement() error {
	found, err := filepath.Glob(escapeGlob(q.path+rescuedSuffix) + "*")
	if err != nil || len(found) == 0 {
		return err
	}
	stamp := strings.TrimPrefix(found[0], q.path+rescuedSuffix)
	if err := q.swap(stamp); err != nil {
		return fmt.Errorf("finish an interrupted replacement: %w", err)
	}
	q.noteReplaced(Replacement{
		Old:    q.path + damagedSuffix + stamp,
		Reason: "a replacement that was cut short is finished",
	})
	return nil
}

func escapeGlob(path string) string {
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`).Replace(path)
}

// rename renames and makes the new name durable.
func rename(from, to string) error {
	if err := os.Rename(from, to); err != nil {
		return err
	}
	return syncDir(filepath.Dir(to))
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// fileLock is an exclusive flock on a file that stays. The kernel gives it up
// when the process dies.
type fileLock struct{ f *os.File }

func lockFile(path string) (*fileLock, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		if errors.Is(err, syscall.EWOULDBLOCK) {
			err = ErrLocked
		}
		return nil, errors.Join(err, f.Close())
	}
	return &fileLock{f}, nil
}

func (l *fileLock) Close() error { return l.f.Close() }
