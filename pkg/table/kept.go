package table

import (
	"context"
	"reflect"
	"sync"
	"time"
)

const (
	// metaAge is how old metadata may be: most alterations of a table cause no error by which they
	// would be noticed. Reading it anew is three short queries to information_schema and the server's
	// variables a side, four where a MariaDB has a LONGTEXT. So a process that uses 100 pairs sends ten
	// queries a second for it, spread over all of their servers; a pair that nobody reads costs none.
	metaAge = time.Minute
	// metaRetry is after how long that is tried again when it failed.
	metaRetry = 5 * time.Second
)

// kept is what was made of the metadata of one or two tables. It is safe for concurrent use: one
// reads the metadata while the others go on with what there is, and wait only where there is nothing.
type kept[P any] struct {
	load func(context.Context) ([]*meta, error)
	// plan makes P of metadata. It does nothing else.
	plan func([]*meta) (*P, error)
	// check asks the servers about a P that is not in use yet; may be nil.
	check func(context.Context, *P) error
	// altered hears what took the place of what was in use, and when that was read last; may be nil.
	altered func(old, made *P, oldMetas, metas []*meta, read time.Time)

	turn chan struct{} // holds a token while metadata is read

	mu    sync.Mutex // guards all below
	made  *P         // nil before the first time, and when the tables do not fit any more
	metas []*meta    // what it was made of
	read  time.Time  // when reading these began
	next  time.Time  // when they are to be read again
	stale bool       // made is not to be used: an error says that a table was altered
}

// known is what may be used, nil for nothing, and whether the metadata is to be read again.
func (k *kept[P]) known() (made *P, due bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.stale {
		return nil, true
	}
	return k.made, !time.Now().Before(k.next)
}

// get is what is made of metadata that is not too old. While that cannot be read what was made
// before goes on being used: whoever reads rows finds out whether the servers are away.
func (k *kept[P]) get(ctx context.Context) (*P, error) {
	made, due := k.known()
	if made != nil && !due {
		return made, nil
	}
	if made != nil {
		select {
		case k.turn <- struct{}{}:
		default:
			return made, nil // another one reads it
		}
	} else if err := k.wait(ctx); err != nil {
		return nil, err
	}
	defer k.leave()
	if made, due = k.known(); made != nil && !due {
		return made, nil
	}
	made, err := k.renew(ctx)
	if err == nil {
		return made, nil
	}
	if old := k.postpone(); old != nil {
		return old, nil
	}
	return nil, err
}

// since is what is made of metadata that was read after t. All who wait for it at one time share it.
func (k *kept[P]) since(ctx context.Context, t time.Time) (*P, error) {
	if err := k.wait(ctx); err != nil {
		return nil, err
	}
	defer k.leave()
	k.mu.Lock()
	made, fresh := k.made, !k.stale && k.read.After(t)
	k.mu.Unlock()
	if made != nil && fresh {
		return made, nil
	}
	return k.renew(ctx)
}

func (k *kept[P]) wait(ctx context.Context) error {
	select {
	case k.turn <- struct{}{}:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (k *kept[P]) leave() { <-k.turn }

// renew reads the metadata. The caller has the turn.
func (k *kept[P]) renew(ctx context.Context) (*P, error) {
	began := time.Now()
	metas, err := k.load(ctx)
	if err != nil {
		return nil, err
	}
	return k.learn(ctx, metas, began)
}

// learn takes metadata that was read from a time on. What was made before stays, and with it all
// that hangs on it, where the same would be made again.
func (k *kept[P]) learn(ctx context.Context, metas []*meta, began time.Time) (*P, error) {
	made, err := k.plan(metas)
	k.mu.Lock()
	old, oldMetas, read := k.made, k.metas, k.read
	if err != nil {
		k.made = nil // the tables do not fit the configuration any more
	}
	k.mu.Unlock()
	if err != nil {
		return nil, err
	}
	same := old != nil && reflect.DeepEqual(old, made)
	if same {
		made = old
	} else if k.check != nil {
		if err := k.check(ctx, made); err != nil {
			return nil, err
		}
	}
	if !same && old != nil && k.altered != nil {
		k.altered(old, made, oldMetas, metas, read)
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.made, k.metas, k.read, k.next, k.stale = made, metas, began, began.Add(metaAge), false
	return made, nil
}

// postpone keeps what is in use for a while although its metadata could not be read.
func (k *kept[P]) postpone() *P {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.stale {
		return nil
	}
	k.next = time.Now().Add(metaRetry)
	return k.made
}

// failed has the metadata read again before what was made of it is used again, if err says that it is
// out of date.
func (k *kept[P]) failed(made *P, err error) error {
	if err != nil && tableChanged(err) {
		k.mu.Lock()
		defer k.mu.Unlock()
		k.stale = k.stale || k.made == made
	}
	return err
}
