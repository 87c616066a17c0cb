package table

import (
	"context"
	"time"
)

// Clock is the server's time and the age of its transactions.
type Clock struct {
	// Now is the server's time.
	Now time.Time
	// Listed is the server's time before it listed its transactions, seldom more than a
	// second before Now. Zero where they are not Visible.
	Listed time.Time
	// Oldest is when the oldest transaction started that may hold rows which nobody
	// sees yet, in whole seconds; zero when there is none. Every such transaction
	// that started before Listed is considered, and so is every statement that waited for
	// a lock of the server then: such a wait comes before the transaction.
	Oldest time.Time
	// Visible is false when the transactions could not be seen: the account lacks
	// PROCESS, others read the server's list so often that it is never renewed, or
	// they run on another server, of which this one is a replica or a cluster's node.
	Visible bool
	// Applied is the server's time up to which it has what was committed on those that
	// it is a replica of; zero while replication stands still, and for a minute or two after
	// that, and after the first look. It is Now where the server is no replica, or
	// does not tell: the account lacks the privilege.
	Applied time.Time
}

const nowQuery = "SELECT CAST(UNIX_TIMESTAMP(NOW(6)) * 1000000 AS SIGNED)"

// Clock reads the server's clock, and the transactions as they were listed lately.
func (s *Source) Clock(ctx context.Context) (Clock, error) {
	var micro int64
	if err := s.side.get(ctx, &micro, "read the server's clock", nowQuery); err != nil {
		return Clock{}, err
	}
	c := Clock{Now: time.UnixMicro(micro).UTC()}
	l, err := s.lists.read(ctx, s.side, c.Now)
	if err != nil {
		return c, err
	}
	if c.Visible = l.visible; c.Visible {
		c.Listed, c.Oldest = l.at, l.oldest
	}
	if c.Applied = c.Now; l.upstream.channels > 0 {
		c.Applied = l.applied
	}
	return c, nil
}
