package queue

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/jmoiron/sqlx"
)

// stored is a row as it was read. fault says why it cannot be trusted; the
// record then holds what could be read.
type stored struct {
	Record
	rowid int64
	fault string
}

// scan reads the current row of a SELECT of columns.
func scan(rows *sqlx.Rows) (stored, error) {
	var s stored
	var key []byte
	var due, seen, crc int64
	err := rows.Scan(&s.rowid, &s.Group, &key, &s.Payload, &due, &s.Attempts, &s.Version, &seen, &crc)
	if err != nil {
		// A value of a type that no Put has written: keep what there is.
		rest := make([]any, 7)
		to := []any{&s.rowid, &s.Group}
		for i := range rest {
			to = append(to, &rest[i])
		}
		if rows.Scan(to...) != nil {
			return stored{}, err
		}
		s.Key = fmt.Sprintf("%s", rest[0])
		s.fault = "unreadable value: " + err.Error()
		return s, nil
	}
	s.Key, s.Due, s.FirstSeen = string(key), fromMilli(due), fromMilli(seen)
	if sum(&s.Record) != crc {
		s.fault = "wrong checksum"
	}
	return s, nil
}

// each hands the rows of a statement to fn until it returns false. fn must not
// use the database: its one connection is busy.
func each(ctx context.Context, stmt *sqlx.Stmt, fn func(stored) bool, args ...any) error {
	rows, err := stmt.QueryxContext(ctx, args...)
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }() // Err has told
	for rows.Next() {
		s, err := scan(rows)
		if err != nil {
			return err
		}
		if !fn(s) {
			return nil
		}
	}
	return rows.Err()
}

// read collects the sound records of a statement and sets the others aside. take
// says whether a record is wanted and whether to go on.
func (q *Queue) read(ctx context.Context, d *database, stmt *sqlx.Stmt, take func(Record) (want, more bool), args ...any) ([]Record, error) {
	var sound []Record
	var bad []stored
	err := each(ctx, stmt, func(s stored) bool {
		if s.fault != "" {
			bad = append(bad, s)
			return len(bad) < maxBadAtOnce
		}
		want, more := take(s.Record)
		if want {
			sound = append(sound, s.Record)
		}
		return more
	}, args...)
	if err != nil {
		return nil, err
	}
	if len(bad) == 0 {
		return sound, nil
	}
	err = q.shrinking(ctx, d, func(w *writer) error {
		for _, s := range bad {
			if err := w.aside(ctx, s); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("set damaged records aside: %w", err)
	}
	return sound, nil
}

// maxBadAtOnce bounds the damaged records that one read holds in memory.
const maxBadAtOnce = 1000

// Due returns the records of a group that are due at now, the longest due first,
// at most limit. skip, if not nil, is asked for every key and leaves out those
// for which it says true, before limit counts; it must not call the queue. Due
// locks nothing: the same records are returned again until Apply changes them.
func (q *Queue) Due(ctx context.Context, group string, now time.Time, limit int, skip func(key string) bool) ([]Record, error) {
	return q.claim(ctx, func(d *database) *sqlx.Stmt { return d.due }, group, now, limit, skip)
}

// Latest is Due with the latest due first.
func (q *Queue) Latest(ctx context.Context, group string, now time.Time, limit int, skip func(key string) bool) ([]Record, error) {
	return q.claim(ctx, func(d *database) *sqlx.Stmt { return d.latest }, group, now, limit, skip)
}

// Beyond returns records of a group that are due after a time, the earliest first, at most
// limit; skip as for Due. They are what a clock that was ahead has left.
func (q *Queue) Beyond(ctx context.Context, group string, after time.Time, limit int, skip func(key string) bool) ([]Record, error) {
	return q.claim(ctx, func(d *database) *sqlx.Stmt { return d.beyond }, group, after, limit, skip)
}

// claim returns records that a statement finds on one side of a time.
func (q *Queue) claim(
	ctx context.Context, which func(*database) *sqlx.Stmt, group string, at time.Time, limit int, skip func(key string) bool,
) (claimed []Record, err error) {
	if limit <= 0 {
		return nil, nil
	}
	err = q.do(ctx, "claim records", func(ctx context.Context, d *database) (err error) {
		left := limit
		claimed, err = q.read(ctx, d, which(d), func(r Record) (want, more bool) {
			if skip != nil && skip(r.Key) {
				return false, true
			}
			left--
			return true, left > 0
		}, group, at.UnixMilli())
		return err
	})
	return claimed, err
}

// List returns the records of a group in the order of their keys, at most limit;
// those after a key if after is not nil. It is for operators: to page on, hand in
// the last key.
func (q *Queue) List(ctx context.Context, group string, after *string, limit int) ([]Record, error) {
	if limit <= 0 {
		return nil, nil
	}
	var list []Record
	err := q.do(ctx, "list records", func(ctx context.Context, d *database) (err error) {
		all := func(Record) (want, more bool) { return true, true }
		if after == nil {
			list, err = q.read(ctx, d, d.from, all, group, limit)
		} else {
			list, err = q.read(ctx, d, d.fromAfter, all, group, []byte(*after), limit)
		}
		return err
	})
	return list, err
}

// Get returns the record of an identity; false if there is none.
func (q *Queue) Get(ctx context.Context, group, key string) (Record, bool, error) {
	var found []Record
	err := q.do(ctx, "get record", func(ctx context.Context, d *database) (err error) {
		one := func(Record) (want, more bool) { return true, false }
		found, err = q.read(ctx, d, d.find, one, group, []byte(key))
		return err
	})
	if err != nil || len(found) == 0 {
		return Record{}, false, err
	}
	return found[0], true, nil
}

// GetAll returns the records that there are of some keys of a group, in no order. It is
// Get for many: a statement for each hundred keys.
func (q *Queue) GetAll(ctx context.Context, group string, keys []string) ([]Record, error) {
	var found []Record
	err := q.do(ctx, "get records", func(ctx context.Context, d *database) error {
		all := func(Record) (want, more bool) { return true, true }
		for some := range slices.Chunk(keys, findAtOnce) {
			args := make([]any, findAtOnce, findAtOnce+1) // nil, NULL, equals no key
			for i, key := range some {
				args[i] = []byte(key)
			}
			args = append(args, group)
			records, err := q.read(ctx, d, d.findAll, all, args...)
			if err != nil {
				return err
			}
			found = append(found, records...)
		}
		return nil
	})
	return found, err
}

// NextDue returns the earliest Due of a group; false if the group is empty.
func (q *Queue) NextDue(ctx context.Context, group string) (due time.Time, ok bool, err error) {
	err = q.do(ctx, "read next due time", func(ctx context.Context, d *database) error {
		var ms int64
		err := d.nextDue.GetContext(ctx, &ms, group)
		if errors.Is(err, sql.ErrNoRows) {
			return nil
		}
		if err == nil {
			due, ok = fromMilli(ms), true
		}
		return err
	})
	return due, ok, err
}
