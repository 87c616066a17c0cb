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

// replicaStatements are the ways to ask for the state of replication. The first has all
// connections of a MariaDB, the second is MySQL's from 8.0.22 on, the third that of
// older servers; what a server does not know it cannot parse.
var replicaStatements = []string{"SHOW ALL SLAVES STATUS", "SHOW REPLICA STATUS", "SHOW SLAVE STATUS"}

// groupChannels begins the names of the channels of Group Replication. They stand still
// while all is well.
const groupChannels = "group_replication_"

// upstream is what a server tells of those that it is a replica of.
type upstream struct {
	// channels is how many there are; a server that is no replica has none.
	channels int
	// lag is that of the worst channel, in whole seconds. It is 0 whenever nothing
	// is left to do of what was fetched, however little that is.
	lag time.Duration
	// still is set when one of them stands still, so that nobody can say the lag.
	still bool
	// unseen is set when the server does not tell, and denied when that is for want of a privilege.
	unseen, denied bool
}

// replicaStatus asks one server for its upstream, with the rights of one account. It
// remembers how that server is asked, and for a while that it does not answer. It is safe for
// concurrent use.
type replicaStatus struct {
	mu         sync.Mutex // guards all below
	statement  int        // in replicaStatements
	blindUntil time.Time  // it is not asked before
	denied     bool       // why
}

// ask asks on a connection of s.
func (r *replicaStatus) ask(ctx context.Context, s *side) (upstream, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if time.Now().Before(r.blindUntil) {
		return upstream{unseen: true, denied: r.denied}, nil
	}
	for ; r.statement < len(replicaStatements); r.statement++ {
		u, err := s.upstream(ctx, replicaStatements[r.statement])
		switch number(err) {
		case errParse:
			continue
		case errSpecificAccess, errTableAccessDenied, errDBAccessDenied:
			return r.blind(true), nil
		}
		return u, s.explain(ctx, "read the state of replication", err)
	}
	r.statement = 0
	return r.blind(false), nil
}

func (r *replicaStatus) blind(denied bool) upstream {
	r.blindUntil, r.denied = time.Now().Add(blindTime), denied
	return upstream{unseen: true, denied: denied}
}

// upstream asks for the state of replication by one of the statements. The columns
// that count have other names on each kind of server, and stand among sixty.
func (s *side) upstream(ctx context.Context, statement string) (u upstream, err error) {
	ctx, cancel := s.limit(ctx)
	defer cancel()
	err = s.run(ctx, func(db *sqlx.DB) error {
		u, err = readUpstream(ctx, db, statement)
		return err
	})
	return u, err
}

func readUpstream(ctx context.Context, db *sqlx.DB, statement string) (u upstream, err error) {
	rows, err := db.QueryxContext(ctx, statement)
	if err != nil {
		return u, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		if err := u.add(rows); err != nil {
			return u, err
		}
	}
	return u, rows.Err()
}

// add adds the channel of a row.
func (u *upstream) add(rows *sqlx.Rows) error {
	names, err := rows.Columns()
	if err != nil {
		return err
	}
	values, err := rows.SliceScan()
	if err != nil {
		return err
	}
	value := func(columns ...string) any {
		i := slices.IndexFunc(names, func(n string) bool {
			return slices.ContainsFunc(columns, func(c string) bool { return strings.EqualFold(n, c) })
		})
		if i < 0 {
			return nil
		}
		return values[i]
	}
	if strings.HasPrefix(valueText(value("Channel_Name")), groupChannels) {
		return nil
	}
	u.channels++
	behind := value("Seconds_Behind_Source", "Seconds_Behind_Master")
	if behind == nil {
		u.still = true
		return nil
	}
	seconds, err := strconv.ParseFloat(valueText(behind), 64)
	if err != nil {
		return fmt.Errorf("lag of a replica: %w", err)
	}
	u.lag = max(u.lag, time.Duration(seconds*float64(time.Second)))
	return nil
}

// doubtTime is for how long a lag is doubted. A replica counts from the event that
// it is at, so it says 0 before the first one after a start, while it asks its primary
// for more, and as long as its connection is dead and it has not noticed, which takes it
// slave_net_timeout, 60 s by default. Of a server between the two that stands still it
// says nothing at all.
const doubtTime = time.Minute

// applied is up to when a replica has what was committed upstream, by its own clock.
// That is the worst that was heard in the last one or two doubtTimes, and nothing as
// long as one of these was not whole:
//
//	before, a doubtTime or more │ least, since then
//
// The zero time stands for nothing: a replica that stands still has nothing for sure.
type applied struct {
	since         time.Time // by our clock
	before, least time.Time
}

// hear takes in what the replica says at now, by our clock.
func (a *applied) hear(upTo, now time.Time, doubt time.Duration) {
	switch {
	case a.since.IsZero():
		a.since, a.least = now, upTo
	case now.Sub(a.since) >= doubt:
		a.since, a.before, a.least = now, a.least, upTo
	case upTo.Before(a.least):
		a.least = upTo
	}
}

// upTo is the time; zero for nothing.
func (a *applied) upTo() time.Time {
	if a.least.Before(a.before) {
		return a.least
	}
	return a.before
}
