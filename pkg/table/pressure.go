package table

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/jmoiron/sqlx"
)

// EstimatedRows is about how many rows the source table has, without the source's
// condition; 0 when the server does not know. InnoDB's word on it may be wrong by half,
// and MySQL's up to a day old (information_schema_stats_expiry).
func (p *Pair) EstimatedRows(ctx context.Context) (int64, error) {
	var rows int64
	err := p.src.get(ctx, &rows, "estimate the rows",
		"SELECT COALESCE(MAX(TABLE_ROWS), 0) FROM information_schema.TABLES WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME = ?", p.src.o.Table)
	return rows, err
}

// Gauge reads the load on the servers of a pair, over the pair's connections. It is
// safe for concurrent use.
type Gauge struct {
	sides [2]gauged
}

// Gauge makes a gauge. It touches nothing.
func (p *Pair) Gauge() *Gauge { return &Gauge{[2]gauged{{side: p.src}, {side: p.des}}} }

// Pressure is the load on the servers of both sides: the greater number of running
// threads (Threads_running, those that ask included), and the longer lag of those that
// are replicas. lagKnown is false when one could not be read: the account lacks the
// privilege, or replication stands still. A server that is no replica has no lag.
func (g *Gauge) Pressure(ctx context.Context) (threadsRunning int, lag time.Duration, lagKnown bool, err error) {
	type load struct {
		threads int
		lag     time.Duration
		known   bool
	}
	var loads [2]load
	read := func(i int) func(context.Context) error {
		return func(ctx context.Context) (err error) {
			if loads[i].threads, err = g.sides[i].side.threadsRunning(ctx); err != nil {
				return err
			}
			loads[i].lag, loads[i].known, err = g.sides[i].replicaLag(ctx)
			return err
		}
	}
	if err := together(ctx, read(0), read(1)); err != nil {
		return 0, 0, false, err
	}
	src, des := loads[0], loads[1]
	return max(src.threads, des.threads), max(src.lag, des.lag), src.known && des.known, nil
}

// threadsRunning is how many threads of the server are at work; 0 where it does not say.
func (s *side) threadsRunning(ctx context.Context) (int, error) {
	var all []struct {
		Name  string `db:"Variable_name"`
		Value string `db:"Value"`
	}
	err := s.list(ctx, &all, "read Threads_running", "SHOW GLOBAL STATUS LIKE 'Threads_running'")
	if err != nil || len(all) == 0 {
		return 0, err
	}
	n, err := strconv.Atoi(all[0].Value)
	if err != nil {
		return 0, fmt.Errorf("%s: read Threads_running: %w", s.o.Name, err)
	}
	return n, nil
}

// lagStatements are the ways to ask for the state of replication. The first has all
// connections of a MariaDB, the second is MySQL's from 8.0.22 on, the third that of
// older servers; what a server does not know it cannot parse.
var lagStatements = []string{"SHOW ALL SLAVES STATUS", "SHOW REPLICA STATUS", "SHOW SLAVE STATUS"}

// gauged is a side with what is known of its server's way to tell its lag.
type gauged struct {
	side *side

	mu         sync.Mutex // guards the two below
	statement  int        // in lagStatements
	blindUntil time.Time  // it is not asked before
}

// replicaLag is how far the server is behind the one that it is a replica of, the
// worst of its channels. It is stamped when the statement runs, in whole seconds. known
// is false when nobody can say.
func (m *gauged) replicaLag(ctx context.Context) (lag time.Duration, known bool, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if time.Now().Before(m.blindUntil) {
		return 0, false, nil
	}
	for ; m.statement < len(lagStatements); m.statement++ {
		lag, known, err = m.side.replication(ctx, lagStatements[m.statement])
		switch number(err) {
		case errParse:
			continue
		case errSpecificAccess, errTableAccessDenied, errDBAccessDenied:
			m.blindUntil = time.Now().Add(blindTime)
			return 0, false, nil
		}
		return lag, known, m.side.explain(ctx, "read the state of replication", err)
	}
	m.statement, m.blindUntil = 0, time.Now().Add(blindTime)
	return 0, false, nil
}

// replication asks for the state of replication by one of the statements. The
// columns that count have other names on each kind of server, and stand among sixty.
func (s *side) replication(ctx context.Context, statement string) (lag time.Duration, known bool, err error) {
	ctx, cancel := s.limit(ctx)
	defer cancel()
	err = s.run(ctx, func(db *sqlx.DB) error {
		lag, known, err = replication(ctx, db, statement)
		return err
	})
	return lag, known, err
}

func replication(ctx context.Context, db *sqlx.DB, statement string) (lag time.Duration, known bool, err error) {
	rows, err := db.QueryxContext(ctx, statement)
	if err != nil {
		return 0, false, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	known = true
	for rows.Next() {
		behind, ok, err := secondsBehind(rows)
		if err != nil {
			return 0, false, err
		}
		lag, known = max(lag, behind), known && ok
	}
	return lag, known, rows.Err()
}

// secondsBehind is the lag of one channel; ok is false where it is NULL, since
// replication stands still.
func secondsBehind(rows *sqlx.Rows) (lag time.Duration, ok bool, err error) {
	names, err := rows.Columns()
	if err != nil {
		return 0, false, err
	}
	i := slices.IndexFunc(names, func(n string) bool {
		return strings.EqualFold(n, "Seconds_Behind_Source") || strings.EqualFold(n, "Seconds_Behind_Master")
	})
	values, err := rows.SliceScan()
	if err != nil || i < 0 || values[i] == nil {
		return 0, false, err
	}
	seconds, err := strconv.ParseFloat(valueText(values[i]), 64)
	if err != nil {
		return 0, false, fmt.Errorf("%s: %w", names[i], err)
	}
	return time.Duration(seconds * float64(time.Second)), true, nil
}
