// Package queuetest says in tests what a durable queue of records has to do, and
// has one in memory for the tests of those who use a queue. It knows nothing of
// how a queue stores its records.
package queuetest

import (
	"context"
	"time"

	"github.com/masixun71/cupid/pkg/queue"
)

// Store is what Run demands of a queue; the methods of queue.Queue have their
// contracts.
type Store interface {
	Put(ctx context.Context, puts []queue.Put) error
	Due(ctx context.Context, group string, now time.Time, limit int, skip func(key string) bool) ([]queue.Record, error)
	Latest(ctx context.Context, group string, now time.Time, limit int, skip func(key string) bool) ([]queue.Record, error)
	Beyond(ctx context.Context, group string, after time.Time, limit int, skip func(key string) bool) ([]queue.Record, error)
	Apply(ctx context.Context, changes []queue.Change) (applied int, err error)
	NextDue(ctx context.Context, group string) (time.Time, bool, error)
	Depth(group string) int
}

// Limit is the most records that the stores given to Run may hold.
const Limit = 50
