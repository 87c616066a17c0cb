package table

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jmoiron/sqlx"
)

const (
	// blindTime is how long it is believed that the account may not see transactions.
	blindTime = 5 * time.Minute
	// listTries is how often a fresh list of transactions is asked for, and
	// listWait the wait between: the server makes a new list only when nobody has
	// read the last one for 100 ms (CACHE_MIN_IDLE_TIME_US in trx0i_s.cc), so that
	// eager readers can hold up an old one.
	listTries = 5
	listWait  = 120 * time.Millisecond
)

// Clock is the server's time and the age of its transactions.
type Clock struct {
	// Now is the server's time. It was read before the transactions were.
	Now time.Time
	// Oldest is when the oldest transaction started that may hold rows which nobody
	// sees yet, in whole seconds; zero when there is none. Every such transaction
	// that started before Now is considered.
	Oldest time.Time
	// Visible is false when the transactions could not be seen: the account lacks
	// PROCESS, others read the server's list so often that it is never renewed, or
	// they run on another server, of which this one is a replica or a cluster's node.
	Visible bool
}

const nowQuery = "SELECT CAST(UNIX_TIMESTAMP(NOW(6)) * 1000000 AS SIGNED)"

// listQuery asks for the start of the oldest transaction that may hold rows which
// nobody sees yet, and for this session's own. trx_started is in the zone of the
// server's machine, whatever the session's; in the hour that comes twice the
// earlier of the two is taken. Left out are transactions that may not write, and
// idle ones that have written nothing: what they write later gets its id and time
// later. One that is at work counts, since it may wait for a lock with its id in
// hand. %d is a number that is new each time.
const listQuery = `SELECT /* cupid %[1]d */ CAST(UNIX_TIMESTAMP(IF(
 CONVERT_TZ(u.utc - INTERVAL 1 HOUR, '+00:00', 'SYSTEM') = u.started, u.utc - INTERVAL 1 HOUR, u.utc)) AS SIGNED) AS oldest,
 CAST(UNIX_TIMESTAMP(u.own) AS SIGNED) AS own, u.listed AS listed FROM (
 SELECT l.started AS started, CONVERT_TZ(l.started, 'SYSTEM', '+00:00') AS utc, CONVERT_TZ(l.own, 'SYSTEM', '+00:00') AS own, l.listed AS listed FROM (
 SELECT MIN(IF(trx_mysql_thread_id <> CONNECTION_ID() AND trx_is_read_only = 0
  AND (trx_rows_modified > 0 OR trx_query IS NOT NULL OR trx_state <> 'RUNNING'), trx_started, NULL)) AS started,
 MAX(IF(trx_mysql_thread_id = CONNECTION_ID(), trx_started, NULL)) AS own,
 COALESCE(MAX(trx_mysql_thread_id = CONNECTION_ID() AND trx_query LIKE '%%cupid %[1]d *%%'), 0) AS listed
 FROM information_schema.INNODB_TRX) l) u`

// transactions is an answer to listQuery; times are in Unix seconds.
type transactions struct {
	Oldest *int64 `db:"oldest"`
	Own    *int64 `db:"own"`
	Listed bool   `db:"listed"` // the list was made while this very query ran
}

// Clock reads the server's clock and its oldest transaction.
func (s *Source) Clock(ctx context.Context) (Clock, error) {
	var micro int64
	if err := s.side.get(ctx, &micro, "read the server's clock", nowQuery); err != nil {
		return Clock{}, err
	}
	c := Clock{Now: time.UnixMicro(micro).UTC()}
	if s.blind() {
		return c, nil
	}
	if elsewhere, err := s.elsewhere(ctx); err != nil || elsewhere {
		if elsewhere {
			s.blindFor(blindTime)
		}
		return c, err
	}
	oldest, fresh, err := s.oldest(ctx)
	switch {
	case blinding(err):
		s.blindFor(blindTime)
		return c, nil
	case err != nil:
		return Clock{}, s.side.explain(ctx, "read the open transactions", err)
	}
	c.Visible = fresh
	if fresh && oldest != nil {
		c.Oldest = time.Unix(*oldest, 0).UTC()
	}
	return c, nil
}

// blindFor has the transactions not asked for until d is over.
func (s *Source) blindFor(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.blindUntil = time.Now().Add(d)
}

// elsewhereQuery finds what makes a server hold rows of transactions that it does not
// list: it is a replica (which is read-only by all advice), or a node of Galera or of
// Group Replication, whose transactions run on any node.
const elsewhereQuery = `SHOW GLOBAL VARIABLES WHERE
 Variable_name = 'read_only' AND Value <> 'OFF' OR
 Variable_name = 'wsrep_on' AND Value = 'ON' OR
 Variable_name = 'group_replication_group_name' AND Value <> ''`

// elsewhereFor is how long an answer to elsewhereQuery is believed.
const elsewhereFor = time.Minute

// elsewhere reports whether rows come from transactions of other servers.
func (s *Source) elsewhere(ctx context.Context) (bool, error) {
	s.mu.Lock()
	at := s.hereAt
	s.mu.Unlock()
	if time.Since(at) < elsewhereFor {
		return false, nil
	}
	var found []struct {
		Name  string `db:"Variable_name"`
		Value string `db:"Value"`
	}
	if err := s.side.list(ctx, &found, "read the server's role", elsewhereQuery); err != nil {
		return false, err
	}
	if len(found) == 0 {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.hereAt = time.Now()
	}
	return len(found) > 0, nil
}

// oldest asks for a list of transactions until it is a fresh one. To tell, it opens
// a transaction of its own: a list that has it was made after that.
func (s *Source) oldest(ctx context.Context) (oldest *int64, fresh bool, err error) {
	s.listing.Lock()
	defer s.listing.Unlock()
	ctx, cancel := s.side.limit(ctx)
	defer cancel()
	db, err := s.side.pool()
	if err != nil {
		return nil, false, err
	}
	c, err := db.Connx(ctx)
	if err != nil {
		return nil, false, err
	}
	defer func() { err = errors.Join(err, ignoreDone(c.Close())) }()
	if _, err := c.ExecContext(ctx, "START TRANSACTION WITH CONSISTENT SNAPSHOT"); err != nil {
		return nil, false, err
	}
	defer func() {
		if _, endErr := c.ExecContext(ctx, "COMMIT"); err == nil {
			err = endErr
		}
	}()
	for try := range listTries {
		if try > 0 {
			if err := wait(ctx, listWait); err != nil {
				return nil, false, err
			}
		}
		t, err := s.list(ctx, c)
		if err != nil {
			return nil, false, err
		}
		// A list that was not made for us may be so old that it has our last transaction.
		if t.Listed || t.Own != nil && *t.Own > s.lastOwn {
			if t.Own != nil {
				s.lastOwn = *t.Own
			}
			return t.Oldest, true, nil
		}
	}
	return nil, false, nil
}

func (s *Source) list(ctx context.Context, c *sqlx.Conn) (t transactions, err error) {
	s.lists++
	err = c.GetContext(ctx, &t, fmt.Sprintf(listQuery, s.lists))
	return t, err
}

// wait returns after d, or with why ctx is done.
func wait(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-t.C:
		return nil
	}
}

// blind reports whether the account was refused the transaction list a short while ago.
func (s *Source) blind() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return time.Now().Before(s.blindUntil)
}

// blinding reports whether err says that there is no transaction list for us: the
// privilege is missing, or the server has no such table.
func blinding(err error) bool {
	switch number(err) {
	case errSpecificAccess, errTableAccessDenied, errUnknownTable, errUnknownColumn, errNoSuchTable:
		return true
	}
	return false
}
