package queue

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/rs/zerolog"
)

// DefaultLimit is the most records a queue holds if Options.Limit is zero.
const DefaultLimit = 1_000_000

// Options are the settings of Open; the zero value is ready for use.
type Options struct {
	// Limit is the most records in all groups together; 0 means DefaultLimit.
	Limit int
	// Log gets an error line for every damaged record and every replaced file.
	Log zerolog.Logger
	// Now tells the time for FirstSeen; nil means time.Now.
	Now func() time.Time
	// Damaged is told of every record that was set aside, as far as it could be
	// read, and why. It may call the queue; nil means nobody is told.
	Damaged func(r Record, reason string)
	// Replaced is told of every file that was set aside; from within Open it
	// must not call the queue. Nil means nobody is told.
	Replaced func(Replacement)
}

// Replacement tells of a queue file that could not be used.
type Replacement struct {
	// Old is where the file is kept.
	Old string
	// Reason says what was wrong with it.
	Reason string
	// Rescued is how many of its records are in the new file; Damaged is how
	// many were read with a wrong checksum. How many could not be read at all
	// nobody knows.
	Rescued, Damaged int
}

// Queue is an open queue. The package comment has its promises.
type Queue struct {
	path string
	opt  Options

	// turn holds one token; who has it owns the fields down to mu.
	turn     chan struct{}
	lock     *fileLock // nil once closed
	db       *database // nil once closed, and after a repair that failed
	repaired bool
	reserved bool     // the reserve is there
	news     []func() // to be told when the turn is over

	mu    sync.Mutex // guards depth
	depth map[string]int
}

// Open opens the queue file at path and makes it if there is none. The
// directory must exist. The file and all beside it get mode 0600, whatever the
// umask. A file that is of no use is replaced as the package comment says; Open
// fails if the file is in use (ErrLocked) or cannot be read or written.
func Open(ctx context.Context, path string, opt Options) (*Queue, error) {
	if opt.Limit <= 0 {
		opt.Limit = DefaultLimit
	}
	if opt.Now == nil {
		opt.Now = time.Now
	}
	abs, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("open queue %s: %w", path, err)
	}
	lock, err := lockFile(abs + ".lock")
	if err != nil {
		return nil, fmt.Errorf("open queue %s: %w", path, err)
	}
	q := &Queue{path: abs, opt: opt, lock: lock, turn: make(chan struct{}, 1)}
	// An Open that is cut short could not tell a damaged file from its own end.
	if err := q.openFile(context.WithoutCancel(ctx), false); err != nil {
		return nil, errors.Join(fmt.Errorf("open queue %s: %w", path, err), lock.Close())
	}
	if err := q.keepReserve(); err != nil {
		opt.Log.Warn().Err(err).Msg("nothing is put into the queue until there is room")
	}
	q.tell(q.takeNews())
	q.turn <- struct{}{}
	return q, nil
}

// Close waits for the call in progress and closes the file. Later calls return
// ErrClosed, a second Close nil.
func (q *Queue) Close() error {
	<-q.turn
	defer func() { q.turn <- struct{}{} }()
	if q.lock == nil {
		return nil
	}
	var err error
	if q.db != nil {
		err = q.db.close()
	}
	err = errors.Join(err, q.lock.Close())
	q.db, q.lock = nil, nil
	if err != nil {
		return fmt.Errorf("close queue %s: %w", q.path, err)
	}
	return nil
}

// Depth is the number of records in a group. It does not wait for the disk.
func (q *Queue) Depth(group string) int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.depth[group]
}

// Len is the number of records in all groups. It does not wait for the disk.
func (q *Queue) Len() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	total := 0
	for _, n := range q.depth {
		total += n
	}
	return total
}

// Groups are the groups that have a record, sorted. It does not wait for the
// disk.
func (q *Queue) Groups() []string {
	q.mu.Lock()
	defer q.mu.Unlock()
	return slices.Sorted(maps.Keys(q.depth))
}

// Lost is when a record was last found damaged, by its group as far as that could be
// read. The empty group, which no record has, stands for a file that was set aside: of
// what groups it had records nobody knows. It is read from the disk, so that a caller
// who was killed learns of it again, until the files that were set aside and the table
// of damaged records are gone.
func (q *Queue) Lost(ctx context.Context) (map[string]time.Time, error) {
	lost := map[string]time.Time{}
	err := q.do(ctx, "read losses", func(ctx context.Context, d *database) error {
		var rows []struct {
			Group []byte `db:"grp"`
			Found int64  `db:"found"`
		}
		err := d.conn.SelectContext(ctx, &rows, `SELECT CAST(grp AS BLOB) AS grp, MAX(found_at) AS found FROM damaged GROUP BY 1`)
		for _, r := range rows {
			lost[string(r.Group)] = fromMilli(r.Found)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	kept, err := filepath.Glob(escapeGlob(q.path+damagedSuffix) + "*")
	for _, name := range kept {
		at, err := time.Parse(timeLayout, strings.TrimPrefix(name, q.path+damagedSuffix))
		if err == nil && at.After(lost[""]) { // others are a -wal or -shm
			lost[""] = at
		}
	}
	return lost, err
}

func (q *Queue) setDepth(depth map[string]int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.depth = depth
}

// addDepth applies the changes of a committed transaction.
func (q *Queue) addDepth(delta map[string]int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for group, n := range delta {
		if q.depth[group] += n; q.depth[group] <= 0 {
			delete(q.depth, group)
		}
	}
}

// do runs fn when it is this call's turn. If SQLite finds the file malformed
// meanwhile, the file is replaced by what can be rescued of it, so that the next
// call works; this one fails all the same.
func (q *Queue) do(ctx context.Context, what string, fn func(context.Context, *database) error) error {
	select {
	case <-q.turn:
	case <-ctx.Done():
		return fmt.Errorf("%s: %w", what, context.Cause(ctx))
	}
	news, err := func() ([]func(), error) {
		defer func() { q.turn <- struct{}{} }()
		if q.lock == nil {
			return nil, ErrClosed
		}
		ctx := context.WithoutCancel(ctx)
		if q.db == nil { // a repair has failed, perhaps for want of space
			if err := q.openFile(ctx, true); err != nil {
				return q.takeNews(), fmt.Errorf("open the file anew: %w", err)
			}
		}
		err := fn(ctx, q.db)
		if reason := damage(err); reason != "" && !q.repaired {
			err = errors.Join(err, q.repair(ctx))
		}
		return q.takeNews(), err
	}()
	q.tell(news)
	if err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	return nil
}

// repair closes the malformed file and opens it again with a full check. Once a
// process is enough: a disk that spoils every file must not be filled with
// copies.
func (q *Queue) repair(ctx context.Context) error {
	q.repaired = true
	err := q.db.close() // what it says about a malformed file is no news
	q.db = nil
	if openErr := q.openFile(ctx, true); openErr != nil {
		return errors.Join(err, fmt.Errorf("open it anew: %w", openErr))
	}
	return nil
}

func (q *Queue) takeNews() []func() {
	news := q.news
	q.news = nil
	return news
}

// tell runs the callbacks; the caller no longer has the turn.
func (q *Queue) tell(news []func()) {
	for _, fn := range news {
		fn()
	}
}

func (q *Queue) noteDamaged(r Record, reason string) {
	q.opt.Log.Error().Str("group", r.Group).Str("key", r.Key).Int64("version", r.Version).
		Str("reason", reason).Msg("queue record damaged and set aside")
	if q.opt.Damaged != nil {
		q.news = append(q.news, func() { q.opt.Damaged(r, reason) })
	}
}

func (q *Queue) noteReplaced(r Replacement) {
	q.opt.Log.Error().Str("kept", r.Old).Str("reason", r.Reason).Int("rescued", r.Rescued).
		Int("damaged", r.Damaged).Msg("queue file replaced")
	if q.opt.Replaced != nil {
		q.news = append(q.news, func() { q.opt.Replaced(r) })
	}
}
