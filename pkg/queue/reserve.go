package queue

import (
	"context"
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
	"modernc.org/sqlite"
)

// reserveSuffix is added to the path for the file that takes up room.
const reserveSuffix = ".reserve"

// reserveBytes is the room that is kept free for Apply. It has to hold the largest Apply
// of the callback worker, three pages for each of 256 records, in the WAL beside the
// 8 MiB after which a checkpoint comes, and what that checkpoint adds to the file.
var reserveBytes int64 = 16 << 20

// keepReserve makes sure that the reserve is there. Without it nothing is put, so that
// what is in the queue can always leave it.
func (q *Queue) keepReserve() error {
	if q.reserved {
		return nil
	}
	f, err := os.OpenFile(q.path+reserveSuffix, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return fmt.Errorf("keep room: %w", err)
	}
	err = errors.Join(allocate(f, reserveBytes), f.Close())
	if err != nil {
		q.giveReserve()
		return fmt.Errorf("keep %d bytes of room beside the queue: %w", reserveBytes, err)
	}
	q.reserved = true
	return nil
}

// giveReserve gives the room of the reserve to the disk. An error shows in what is
// written then.
func (q *Queue) giveReserve() {
	q.reserved = false
	_ = os.Truncate(q.path+reserveSuffix, 0)
}

// allocate gives a file n bytes on the disk.
func allocate(f *os.File, n int64) error {
	if err := f.Truncate(n); err != nil {
		return err
	}
	err := unix.Fallocate(int(f.Fd()), unix.FALLOC_FL_KEEP_SIZE, 0, n)
	if !errors.Is(err, unix.EOPNOTSUPP) && !errors.Is(err, unix.ENOSYS) {
		return err
	}
	zeros := make([]byte, 64<<10)
	for at := int64(0); at < n; at += int64(len(zeros)) {
		if _, err := f.WriteAt(zeros[:min(int64(len(zeros)), n-at)], at); err != nil {
			return err
		}
	}
	return nil
}

// noRoom reports whether SQLite could not write; what keeps it from it other than a full
// disk shows again when there is more room.
func noRoom(err error) bool {
	e, ok := errors.AsType[*sqlite.Error](err)
	return ok && (e.Code()&0xff == codeFull || e.Code()&0xff == codeIO)
}

// shrinking is write for what takes records out, or leaves their number as it is. On a
// full disk even that needs room: then it gets that of the reserve.
func (q *Queue) shrinking(ctx context.Context, d *database, fn func(*writer) error) error {
	err := q.write(ctx, d, fn)
	if !noRoom(err) || !q.reserved {
		return err
	}
	q.giveReserve()
	q.opt.Log.Warn().Err(err).Msg("the disk is full; records leave the queue by the room that was kept for that, and none is taken in")
	// An error shows in what is written next.
	_ = d.exec(ctx, "PRAGMA wal_checkpoint(TRUNCATE)")
	return q.write(ctx, d, fn)
}
