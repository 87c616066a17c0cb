package table

import (
	"context"
	"fmt"
	"strconv"
	"time"
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

// gauged is a side with what is known of its server's way to tell its lag.
type gauged struct {
	side     *side
	replicas replicaStatus
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
			u, err := g.sides[i].replicas.ask(ctx, g.sides[i].side)
			loads[i].lag, loads[i].known = u.lag, !u.still && !u.unseen
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
