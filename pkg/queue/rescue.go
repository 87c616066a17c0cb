package queue

import (
	"context"
	"fmt"
	"math"
)

// seqGap is added to the highest version found: records that could not be read
// may have had higher ones.
const seqGap = 1 << 20

// rescue copies what can be read of the file at path into to. It reads the table
// from both ends up to the first row that cannot be read, without an index, for
// an index may be what is broken. It fails only if to cannot be written.
func (q *Queue) rescue(ctx context.Context, to *database) (rescued, bad int, err error) {
	from, err := connect(ctx, q.path, "ro")
	if err != nil {
		return 0, 0, nil // not even opened: there is nothing to rescue
	}
	defer func() { _ = from.close() }()
	r := rescuer{q: q, to: to, last: math.MinInt64}
	// A file that is shorter than its header says is refused otherwise.
	if from.exec(ctx, "PRAGMA writable_schema = ON") != nil {
		return 0, 0, nil
	}
	var version int
	if from.conn.GetContext(ctx, &version, "PRAGMA user_version") != nil || version > schemaVersion {
		return 0, 0, nil // what a newer version means we cannot know
	}
	if err := r.copy(ctx, from, "ASC"); err != nil {
		return 0, 0, err
	}
	if err := r.copy(ctx, from, "DESC"); err != nil {
		return 0, 0, err
	}
	var seq int64
	if from.conn.GetContext(ctx, &seq, "SELECT seq FROM meta") == nil {
		r.seq = max(r.seq, seq)
	}
	if _, err := to.setSeq.ExecContext(ctx, r.seq+seqGap); err != nil {
		return 0, 0, fmt.Errorf("set sequence: %w", err)
	}
	return r.rescued, r.bad, nil
}

type rescuer struct {
	q            *Queue
	to           *database
	last         int64 // the highest rowid reached from below
	seq          int64
	rescued, bad int
}

// copy reads in one direction until the end, an error of the old file or, from
// above, a row that was reached from below.
func (r *rescuer) copy(ctx context.Context, from *database, order string) error {
	rows, err := from.conn.QueryxContext(ctx, `SELECT `+columns+` FROM record NOT INDEXED ORDER BY rowid `+order)
	if err != nil {
		return nil
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		s, err := scan(rows)
		if err != nil || (order == "DESC" && s.rowid <= r.last) {
			break
		}
		if order == "ASC" {
			r.last = max(r.last, s.rowid)
		}
		if err := r.add(ctx, s); err != nil {
			return err
		}
	}
	_ = rows.Err() // the old file is known to be broken
	return nil
}

func (r *rescuer) add(ctx context.Context, s stored) error {
	if s.fault != "" {
		r.bad++
		r.q.noteDamaged(s.Record, s.fault)
		return nil // it stays in the old file
	}
	old, known, err := find(ctx, r.to, s.Group, s.Key)
	if err != nil {
		return err
	}
	if known {
		// A broken tree may show a row twice, or an older copy: newest wins.
		if old.Version >= s.Version {
			return nil
		}
		if _, err := r.to.removeRow.ExecContext(ctx, old.rowid); err != nil {
			return fmt.Errorf("replace rescued record: %w", err)
		}
		r.rescued--
	}
	r.rescued++
	r.seq = max(r.seq, s.Version)
	_, err = insertRecord(ctx, r.to, &s.Record)
	return err
}

func find(ctx context.Context, d *database, group, key string) (s stored, ok bool, err error) {
	err = each(ctx, d.find, func(found stored) bool {
		s, ok = found, true
		return false
	}, group, []byte(key))
	if err != nil {
		return s, false, fmt.Errorf("look up record: %w", err)
	}
	return s, ok, nil
}
