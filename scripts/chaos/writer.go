package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"
)

const (
	// writeEvery is how often the writer makes a short change in each table.
	writeEvery = 50 * time.Millisecond
	// hotEvery is how often it changes each hot row.
	hotEvery = 100 * time.Millisecond
	// longest is how long a transaction stays open at most, and oftenest how often a long one begins in each table.
	longest, oftenest = 8 * time.Second, 1500 * time.Millisecond
)

// writer changes the source.
type writer struct {
	*world
	table      *table
	replicator *replicator
	dice       *rand.Rand // of one goroutine

	counts *writerCounts
}

// writerCounts are figures of one kind of writing. Whoever writes owns them.
type writerCounts struct {
	inserts, updates, deletes, commits, rollbacks int
}

// written is a statement that was executed, in a transaction that may still be open.
type written struct {
	item  *item
	value value
	fresh bool // the item is not known to anybody else yet
	fate  fate
}

// execer is a connection, or a transaction.
type execer interface {
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
}

// short makes a short change every so often until ctx is done.
func (w *writer) short(ctx context.Context) error {
	for pause(ctx, between(w.dice, 0, 2*writeEvery)) {
		begin := time.Now()
		one, err := w.change(ctx, w.db, "")
		if err != nil {
			return err
		}
		w.commit([]written{one}, begin)
	}
	return nil
}

// heat changes the hot rows all the time.
func (w *writer) heat(ctx context.Context) error { return w.keepChanging(ctx, w.table.hot, hotEvery) }

// warm changes the warm rows about once a settle time: as seldom as a look at them, or a little more or less often.
func (w *writer) warm(ctx context.Context) error {
	return w.keepChanging(ctx, w.table.warm, settle*9/10)
}

// keepChanging changes each of some rows every so often, one after the other.
func (w *writer) keepChanging(ctx context.Context, rows []*item, every time.Duration) error {
	for n := 0; pause(ctx, between(w.dice, 0, 2*every/time.Duration(len(rows)))); n++ {
		i := rows[n%len(rows)]
		i.writing.Lock()
		begin, v := time.Now(), w.version(w.dice)
		if err := w.update(ctx, w.db, i, v); err != nil {
			return err
		}
		w.commit([]written{{item: i, value: v}}, begin)
	}
	return nil
}

// long runs one long transaction after the other until ctx is done; the last one is then ended at once.
func (w *writer) long(ctx context.Context) error {
	for n := 0; pause(ctx, between(w.dice, 0, 2*oftenest)); n++ {
		if err := w.transaction(ctx, n == 0); err != nil {
			return err
		}
	}
	return nil
}

// transaction makes several changes and commits them late, or not at all. The first one of a run takes its time and is
// committed, and a row of it is lost on the way: that is what the original cannot find.
func (w *writer) transaction(ctx context.Context, first bool) (err error) {
	tx, err := w.db.BeginTx(context.WithoutCancel(ctx), nil)
	if err != nil {
		return fmt.Errorf("begin transaction: %w", err)
	}
	changes := 2 + w.dice.IntN(8)
	wait := between(w.dice, time.Second, longest)
	rollback := w.dice.IntN(3) == 0
	if first {
		wait, rollback = 6*time.Second, false
	}
	var all []written
	for n := range changes {
		how := ""
		if n == 0 {
			how = "insert" // its id is given out long before it can be seen
		}
		one, err := w.change(ctx, tx, how)
		if err != nil {
			return errors.Join(err, tx.Rollback())
		}
		if n == 0 && first {
			one.fate = drop
		}
		all = append(all, one)
		pause(ctx, wait/time.Duration(changes))
	}
	if rollback {
		w.counts.rollbacks++
		for _, one := range all {
			one.item.writing.Unlock()
		}
		return tx.Rollback()
	}
	begin := time.Now()
	if err := tx.Commit(); err != nil {
		return fmt.Errorf("commit: %w", err)
	}
	w.counts.commits++
	w.commit(all, begin)
	return nil
}

// change executes one statement and leaves the item locked. A statement that is begun is not given up, for whether it
// was executed would be unknown.
func (w *writer) change(ctx context.Context, db execer, how string) (written, error) {
	if how == "" {
		how = w.choose()
	}
	if how == "insert" {
		return w.insert(ctx, db)
	}
	for range 1000 {
		i := w.table.any(w.dice)
		if !i.writing.TryLock() {
			continue
		}
		if src, _ := i.now(); !src.there || i.number <= busyCount || i.number >= extraFrom {
			// A row that was deleted comes back, once nobody remembers it.
			if i.number < extraFrom && !src.there && i.rests(4*settle) {
				return w.insertAs(ctx, db, i, false)
			}
			i.writing.Unlock()
			continue
		}
		if how == "delete" {
			w.counts.deletes++
			_, err := db.ExecContext(context.WithoutCancel(ctx), "DELETE FROM origin."+w.table.name+" WHERE number = ?", i.number)
			return written{item: i}, err
		}
		v := w.version(w.dice)
		return written{item: i, value: v}, w.update(ctx, db, i, v)
	}
	return w.insert(ctx, db)
}

func (w *writer) choose() string {
	switch n := w.dice.IntN(100); {
	case n < 35:
		return "insert"
	case n < 50 && w.table.swept:
		return "delete"
	}
	return "update"
}

func (w *writer) insert(ctx context.Context, db execer) (written, error) {
	i := newItem(w.table.number(w.dice.IntN(2) == 0), value{}, value{})
	i.writing.Lock()
	return w.insertAs(ctx, db, i, true)
}

func (w *writer) insertAs(ctx context.Context, db execer, i *item, fresh bool) (written, error) {
	w.counts.inserts++
	v := w.version(w.dice)
	_, err := db.ExecContext(context.WithoutCancel(ctx), "INSERT INTO origin."+w.table.name+" (number, name, balance) VALUES (?, ?, ?)", i.number, v.name, v.balance)
	return written{item: i, value: v, fresh: fresh}, err
}

// update changes a row. In swept tables it does so, now and then, without its update time.
func (w *writer) update(ctx context.Context, db execer, i *item, v value) error {
	w.counts.updates++
	hidden := ""
	if w.table.swept && w.dice.IntN(5) == 0 {
		hidden = ", update_time = update_time"
	}
	_, err := db.ExecContext(context.WithoutCancel(ctx), "UPDATE origin."+w.table.name+" SET name = ?, balance = ?"+hidden+" WHERE number = ?", v.name, v.balance, i.number)
	return err
}

// commit writes down what can be seen from now on, and hands it to the replicator.
func (w *writer) commit(all []written, begin time.Time) {
	end := time.Now()
	for _, one := range all {
		one.item.changedSource(change{begin: begin, end: end, value: one.value, by: writing})
		if one.fresh {
			w.table.add(one.item)
		}
		w.replicator.take(one.item, one.value, one.fate, end)
		one.item.writing.Unlock()
	}
}
