package queue

import (
	"context"
	"fmt"
)

// Pages that stay in the file for reuse, and the most that one Apply gives back,
// so that no call takes long. A page has 4 KiB.
const (
	sparePages     = 1024
	maxVacuumPages = 4096
)

// Put adds new identities and renews the payload of known ones, as the package
// comment says, all or none. On return it is on disk. It returns ErrFull if new
// identities would exceed the limit, ErrInvalid if a record breaks a limit of its
// own. Of two puts of one identity in a call the later wins.
func (q *Queue) Put(ctx context.Context, puts []Put) error {
	if len(puts) == 0 {
		return nil
	}
	if err := checkAll(puts); err != nil {
		return fmt.Errorf("put records: %w", err)
	}
	return q.do(ctx, "put records", func(ctx context.Context, d *database) error {
		if err := q.keepReserve(); err != nil {
			return err
		}
		return q.write(ctx, d, func(w *writer) error {
			for _, p := range puts {
				if err := w.put(ctx, p); err != nil {
					return err
				}
			}
			return nil
		})
	})
}

// Apply makes the changes whose version is still the stored one and leaves the
// others, all in one transaction, and returns how many it made. On return they
// are on disk. A change raises the record's version, so that of two changes of
// one record with the same version only the first is made.
func (q *Queue) Apply(ctx context.Context, changes []Change) (applied int, err error) {
	if len(changes) == 0 {
		return 0, nil
	}
	if err := checkAll(changes); err != nil {
		return 0, fmt.Errorf("apply changes: %w", err)
	}
	err = q.do(ctx, "apply changes", func(ctx context.Context, d *database) error {
		return q.shrinking(ctx, d, func(w *writer) error {
			applied = 0
			for _, c := range changes {
				done, err := w.apply(ctx, c)
				if err != nil {
					return err
				}
				if done {
					applied++
				}
			}
			return w.shrink(ctx)
		})
	})
	if err != nil {
		return 0, err
	}
	return applied, nil
}

// writer is one transaction: what it will have changed in memory once it is
// committed.
type writer struct {
	q     *Queue
	d     *database
	total int // records in the queue, as this transaction sees it
	seq   int64
	delta map[string]int
	bad   []stored
}

// write runs fn in a transaction. Counters, versions and reports become real only
// with the commit.
func (q *Queue) write(ctx context.Context, d *database, fn func(*writer) error) error {
	w := &writer{q: q, d: d, total: q.Len(), seq: d.seq, delta: make(map[string]int)}
	err := d.transaction(ctx, func() error {
		if err := fn(w); err != nil {
			return err
		}
		return w.keepCounts(ctx)
	})
	if err != nil {
		return err
	}
	d.seq = w.seq
	q.addDepth(w.delta)
	if len(w.bad) == 0 {
		return nil
	}
	for _, s := range w.bad {
		q.noteDamaged(s.Record, s.fault)
	}
	depth, err := d.counts(ctx, keptCounts)
	if err == nil {
		q.setDepth(depth)
	}
	return err
}

// keepCounts writes what is counted in memory, too.
func (w *writer) keepCounts(ctx context.Context) error {
	if w.seq != w.d.seq {
		if _, err := w.d.setSeq.ExecContext(ctx, w.seq); err != nil {
			return fmt.Errorf("set sequence: %w", err)
		}
	}
	if len(w.bad) > 0 {
		return w.d.recount(ctx) // the group of a damaged row may be what was damaged
	}
	for group, n := range w.delta {
		if _, err := w.d.addDepth.ExecContext(ctx, group, n); err != nil {
			return fmt.Errorf("keep count: %w", err)
		}
	}
	return nil
}

// lookup finds the sound record of an identity. One that is damaged is set aside
// and counts as not there, for a write over it would give it a good checksum.
func (w *writer) lookup(ctx context.Context, group, key string) (s stored, ok bool, err error) {
	s, ok, err = find(ctx, w.d, group, key)
	if err != nil {
		return s, false, err
	}
	if ok && s.fault != "" {
		return s, false, w.aside(ctx, s)
	}
	return s, ok, nil
}

// put inserts first and looks when that meets a record: most identities are new.
func (w *writer) put(ctx context.Context, p Put) error {
	if w.total < w.q.opt.Limit {
		if done, err := w.add(ctx, p); done || err != nil {
			return err
		}
	}
	s, known, err := w.lookup(ctx, p.Group, p.Key)
	switch {
	case err != nil:
		return err
	case known:
		s.Payload = p.Payload
		return w.rewrite(ctx, s)
	case w.total >= w.q.opt.Limit:
		return fmt.Errorf("%w: limit %d", ErrFull, w.q.opt.Limit)
	}
	_, err = w.add(ctx, p) // the record that was met is damaged and set aside
	return err
}

// add inserts a new record; done is false if there is one of its identity.
func (w *writer) add(ctx context.Context, p Put) (done bool, err error) {
	now := fromMilli(w.q.opt.Now().UnixMilli())
	r := Record{Group: p.Group, Key: p.Key, Payload: p.Payload, Due: p.Due, FirstSeen: now}
	if r.Due.IsZero() {
		r.Due = now
	}
	r.Version = w.seq + 1
	if done, err = insertRecord(ctx, w.d, &r); !done || err != nil {
		return false, err
	}
	w.seq++
	w.total++
	w.delta[r.Group]++
	return true, nil
}

// insertRecord reports false if there is a record of the identity.
func insertRecord(ctx context.Context, d *database, r *Record) (done bool, err error) {
	result, err := d.insert.ExecContext(ctx, r.Group, []byte(r.Key), blob(r.Payload), r.Due.UnixMilli(),
		r.Attempts, r.Version, r.FirstSeen.UnixMilli(), sum(r))
	if err != nil {
		return false, fmt.Errorf("insert record: %w", err)
	}
	n, err := result.RowsAffected()
	return n > 0, err
}

// rewrite stores a record that was looked up, under a new version.
func (w *writer) rewrite(ctx context.Context, s stored) error {
	w.seq++
	s.Version = w.seq
	_, err := w.d.update.ExecContext(ctx, blob(s.Payload), s.Due.UnixMilli(), s.Attempts, s.Version,
		sum(&s.Record), s.rowid)
	if err != nil {
		return fmt.Errorf("update record: %w", err)
	}
	return nil
}

func (w *writer) apply(ctx context.Context, c Change) (done bool, err error) {
	if c.Remove {
		result, err := w.d.remove.ExecContext(ctx, c.Group, []byte(c.Key), c.Version)
		if err != nil {
			return false, fmt.Errorf("remove record: %w", err)
		}
		n, err := result.RowsAffected()
		if err != nil || n == 0 {
			return false, err
		}
		w.total--
		w.delta[c.Group]--
		return true, nil
	}
	s, known, err := w.lookup(ctx, c.Group, c.Key)
	if err != nil || !known || s.Version != c.Version {
		return false, err
	}
	s.Due, s.Attempts = c.Due, c.Attempts
	if c.Payload != nil {
		s.Payload = c.Payload
	}
	return true, w.rewrite(ctx, s)
}

// aside moves a damaged row out of the way.
func (w *writer) aside(ctx context.Context, s stored) error {
	if _, err := w.d.setAside.ExecContext(ctx, w.q.opt.Now().UnixMilli(), s.fault, s.rowid); err != nil {
		return fmt.Errorf("set damaged record aside: %w", err)
	}
	if _, err := w.d.removeRow.ExecContext(ctx, s.rowid); err != nil {
		return fmt.Errorf("set damaged record aside: %w", err)
	}
	w.total--
	w.bad = append(w.bad, s)
	return nil
}

// shrink gives pages that a backlog has left behind back to the file system.
func (w *writer) shrink(ctx context.Context) error {
	if len(w.delta) == 0 {
		return nil // nothing was removed
	}
	var free int
	if err := w.d.freePages.GetContext(ctx, &free); err != nil {
		return fmt.Errorf("count free pages: %w", err)
	}
	if free <= sparePages {
		return nil
	}
	pages := min(free-sparePages, maxVacuumPages)
	if err := w.d.exec(ctx, fmt.Sprintf("PRAGMA incremental_vacuum(%d)", pages)); err != nil {
		return fmt.Errorf("give back free pages: %w", err)
	}
	return nil
}

// blob makes SQLite store no bytes, where the driver would store NULL.
func blob(b []byte) []byte {
	if b == nil {
		return []byte{}
	}
	return b
}
