package table

import (
	"context"
	"fmt"

	"github.com/jmoiron/sqlx"
)

// processLists are the tables that have what every connection does. MySQL means to drop the
// first (deprecated since 8.0.35), and has the second from 8.0.22 on, though empty where the
// performance schema is off.
var processLists = []string{"information_schema.PROCESSLIST", "performance_schema.processlist"}

// waitQuery asks for statements that wait for a lock of the server, such as that of LOCK
// TABLES, of FLUSH TABLES WITH READ LOCK or of an ALTER TABLE: the time of their NOW() stands, and
// InnoDB hears of them after the wait. InnoDB's own locks are waited for within a transaction.
// TIME is in whole seconds, so what began is a second older at most. Other states that begin alike
// ('Waiting for master to send event', 'Waiting for next activation') are those of threads that
// wait for work. Statements of the event scheduler have the command Connect.
const waitQuery = `SELECT ID AS id, CAST(UNIX_TIMESTAMP() AS SIGNED) - CAST(TIME AS SIGNED) - 1 AS since FROM %s
 WHERE COMMAND IN ('Query', 'Execute', 'Connect') AND (STATE LIKE 'Waiting for %%lock' OR STATE = 'Waiting for table flush')`

// openQuery asks for the transactions by their connections.
const openQuery = "SELECT trx_mysql_thread_id AS id, CAST(trx_started AS CHAR) AS started FROM information_schema.INNODB_TRX"

// wait is a statement that waits for a lock; since is at most when it began, in Unix seconds.
type wait struct {
	ID    uint64 `db:"id"`
	Since int64  `db:"since"`
}

// begun is what a statement that waited began: when, and the transaction that it went
// on in, empty as long as none was seen.
type begun struct {
	since  int64
	trx    string
	missed bool // the last list had neither its wait nor its transaction
}

// waits follows statements that wait for a lock into their transactions, which keep the
// time of the statement and show a later one, by the id of the connection:
//
//	waits ──▶ its transaction is open ──▶ it has ended: forgotten
//
// Between the two there is a moment in which no list has it, so it is forgotten when
// two lists in a row have not. The server bounds how long a statement waits
// (lock_wait_timeout), and the connections how many do.
type waits struct {
	list  int // in processLists; behind the last where there is none
	begun map[uint64]begun
}

// read are the statements that wait now. Where the server does not tell there are none.
func (w *waits) read(ctx context.Context, c *sqlx.Conn) (now []wait, err error) {
	for ; w.list < len(processLists); w.list++ {
		if err = c.SelectContext(ctx, &now, fmt.Sprintf(waitQuery, processLists[w.list])); !blinding(err) {
			return now, err
		}
	}
	return nil, nil
}

// follow takes in the statements that wait, and then what is open on c, and returns when the
// oldest began whose rows nobody may see yet; nil when there is none.
func (w *waits) follow(ctx context.Context, c *sqlx.Conn, now []wait) (*int64, error) {
	open := map[uint64]string{}
	if len(w.begun)+len(now) > 0 {
		var all []struct {
			ID      uint64 `db:"id"`
			Started string `db:"started"`
		}
		if err := c.SelectContext(ctx, &all, openQuery); err != nil {
			return nil, err
		}
		for _, t := range all {
			open[t.ID] = t.Started
		}
	}
	w.begun = followed(w.begun, now, open)
	var oldest *int64
	for _, b := range w.begun {
		if oldest == nil || b.since < *oldest {
			oldest = &b.since
		}
	}
	return oldest, nil
}

// followed is what has become of begun, given what waits now, and the transactions that
// were open after that.
func followed(was map[uint64]begun, now []wait, open map[uint64]string) map[uint64]begun {
	is := map[uint64]begun{}
	waiting := map[uint64]bool{}
	for _, s := range now {
		waiting[s.ID] = true
	}
	for id, b := range was {
		switch trx, ok := open[id]; {
		case ok && (b.trx == "" || b.trx == trx):
			is[id] = begun{since: b.since, trx: trx}
		case !ok && !waiting[id] && !b.missed:
			b.missed = true
			is[id] = b
		}
	}
	for _, s := range now {
		b, ok := is[s.ID]
		if !ok {
			b = begun{since: s.Since, trx: open[s.ID]}
		}
		b.since = min(b.since, s.Since)
		is[s.ID] = b
	}
	return is
}
