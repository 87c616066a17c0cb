package table

import (
	"context"
	"errors"
	"fmt"
	"sync"
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
	// listEvery is how old a list may be before whoever needs one makes it anew, and
	// listAge before those who come meanwhile wait for that: where a hundred sources are
	// on one server, one of them lists for all.
	listEvery, listAge = 500 * time.Millisecond, time.Second
)

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

// elsewhereQuery finds what makes a server hold rows of transactions that it does not
// list, beside an upstream: it is read-only, as a replica is by all advice that
// does not tell of its upstream, or a node of Galera or of Group Replication, whose
// transactions run on any node.
const elsewhereQuery = `SHOW GLOBAL VARIABLES WHERE
 Variable_name = 'read_only' AND Value <> 'OFF' OR
 Variable_name = 'wsrep_on' AND Value = 'ON' OR
 Variable_name = 'group_replication_group_name' AND Value <> ''`

// elsewhereFor is how long an answer to elsewhereQuery is believed, and that there is no upstream.
const elsewhereFor = time.Minute

// listing is what a list of transactions said.
type listing struct {
	made    time.Time // by the monotonic clock of this process
	at      time.Time // by the server's clock, before it
	oldest  time.Time
	visible bool

	elsewhere bool      // rows come from transactions of other servers
	upstream  upstream  // as it was asked last; a server without one is asked seldom
	applied   time.Time // up to when it has what was committed upstream; zero for nothing
	waitless  bool      // the server does not tell which statements wait for a lock
}

// age is how old the list is.
func (l listing) age() time.Duration {
	if l.made.IsZero() {
		return listAge
	}
	return time.Since(l.made)
}

// lists reads the transactions of one server with the rights of one account, for all
// sources that are there. It is safe for concurrent use.
//
// The server renews its list only when nobody has read it for a while: sources that
// read it each for itself would wait for each other, the longer the more they are.
type lists struct {
	mu   sync.Mutex // guards last
	last listing

	turn       chan struct{} // holds a token while transactions are listed; guards all below
	n          uint64        // how many lists were asked for
	lastOwn    int64         // greatest known start of a transaction of ours, in Unix seconds
	blindUntil time.Time     // no list before; zero when it may be read
	waits      waits

	replicas  replicaStatus
	upstream  upstream // as it was asked last
	applied   applied
	doubt     time.Duration
	elsewhere bool      // the server's settings say that rows come from transactions of other servers
	askedAt   time.Time // when they were read
}

func newLists() *lists { return &lists{turn: make(chan struct{}, 1), doubt: doubtTime} }

func (l *lists) known() listing {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.last
}

// read returns a list that was made lately, or makes one on a connection of s. now is the
// server's time.
func (l *lists) read(ctx context.Context, s *side, now time.Time) (listing, error) {
	last := l.known()
	if last.age() < listEvery {
		return last, nil
	}
	select {
	case l.turn <- struct{}{}:
	default:
		if last.age() < listAge {
			return last, nil // another one is being made
		}
		select {
		case l.turn <- struct{}{}:
		case <-ctx.Done():
			return listing{}, context.Cause(ctx)
		}
	}
	defer func() { <-l.turn }()
	if last = l.known(); last.age() < listEvery {
		return last, nil
	}
	made, err := l.make(ctx, s, now)
	if err != nil {
		return listing{}, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.last = made
	return made, nil
}

// make makes a list. It is not visible where that is of no use.
func (l *lists) make(ctx context.Context, s *side, now time.Time) (listing, error) {
	made := listing{made: time.Now(), at: now}
	err := l.role(ctx, s, &made)
	if err != nil || made.elsewhere || made.made.Before(l.blindUntil) {
		return made, err
	}
	oldest, fresh, err := l.oldest(ctx, s)
	switch {
	case blinding(err):
		l.blindUntil = time.Now().Add(blindTime)
		return made, nil
	case err != nil:
		return made, s.explain(ctx, "read the open transactions", err)
	}
	if made.visible = fresh; fresh && oldest != nil {
		made.oldest = time.Unix(*oldest, 0).UTC()
	}
	made.waitless = l.waits.list == len(processLists)
	return made, nil
}

// role finds out whether rows come from transactions of other servers, and up to when a
// replica has these. Only a replica is asked each time.
func (l *lists) role(ctx context.Context, s *side, made *listing) (err error) {
	known := time.Since(l.askedAt) < elsewhereFor
	if !known || l.upstream.channels > 0 {
		if l.upstream, err = l.replicas.ask(ctx, s); err != nil {
			return err
		}
	}
	made.upstream = l.upstream
	if l.upstream.channels > 0 {
		var upTo time.Time
		if !l.upstream.still {
			upTo = made.at.Add(-l.upstream.lag)
		}
		l.applied.hear(upTo, made.made, l.doubt)
		made.elsewhere, made.applied = true, l.applied.upTo()
		return nil
	}
	l.applied = applied{}
	if !known {
		var found []struct {
			Name  string `db:"Variable_name"`
			Value string `db:"Value"`
		}
		if err := s.list(ctx, &found, "read the server's role", elsewhereQuery); err != nil {
			return err
		}
		l.elsewhere, l.askedAt = len(found) > 0, time.Now()
	}
	made.elsewhere = l.elsewhere
	return nil
}

// oldest asks for a list of transactions until it is a fresh one. To tell, it opens
// a transaction of its own: a list that has it was made after that.
func (l *lists) oldest(ctx context.Context, s *side) (oldest *int64, fresh bool, err error) {
	ctx, cancel := s.limit(ctx)
	defer cancel()
	err = s.run(ctx, func(db *sqlx.DB) error {
		oldest, fresh, err = l.fresh(ctx, db)
		return err
	})
	return oldest, fresh, err
}

func (l *lists) fresh(ctx context.Context, db *sqlx.DB) (oldest *int64, fresh bool, err error) {
	c, err := db.Connx(ctx)
	if err != nil {
		return nil, false, err
	}
	defer func() { err = errors.Join(err, ignoreDone(c.Close())) }()
	// What does not wait any more by then is in the list, which is made after it.
	waiting, err := l.waits.read(ctx, c)
	if err != nil {
		return nil, false, err
	}
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
			if err := pause(ctx, listWait); err != nil {
				return nil, false, err
			}
		}
		t, err := l.ask(ctx, c)
		if err != nil {
			return nil, false, err
		}
		// A list that was not made for us may be so old that it has our last transaction.
		if t.Listed || t.Own != nil && *t.Own > l.lastOwn {
			if t.Own != nil {
				l.lastOwn = *t.Own
			}
			begun, err := l.waits.follow(ctx, c, waiting)
			return earlier(t.Oldest, begun), err == nil, err
		}
	}
	return nil, false, nil
}

func (l *lists) ask(ctx context.Context, c *sqlx.Conn) (t transactions, err error) {
	l.n++
	err = c.GetContext(ctx, &t, fmt.Sprintf(listQuery, l.n))
	return t, err
}

// earlier is the lesser of two, nil being none.
func earlier(a, b *int64) *int64 {
	if a == nil || b != nil && *b < *a {
		return b
	}
	return a
}

// pause returns after d, or with why ctx is done.
func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-t.C:
		return nil
	}
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
