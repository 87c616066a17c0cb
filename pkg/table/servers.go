package table

import (
	"context"
	"sync"
	"time"

	"github.com/jmoiron/sqlx"
)

const (
	// quickQueries is how many queries of a process run at a time on one server, of those
	// that take no longer than slowQuery. One that takes longer leaves its place to others,
	// so that tables which are locked, or servers that hang, hold up nobody but their own pairs.
	quickQueries = 16
	slowQuery    = 50 * time.Millisecond
)

// Servers is what the tables of a process share that are on one server: the list of its
// transactions, its connections where account and database are the same, and a bound on
// the queries that run at a time. The zero value is ready for use, and safe for concurrent
// use. Nil shares nothing.
type Servers struct {
	mu     sync.Mutex // guards all below
	listed map[account]*lists
	pools  map[poolKey]*sharedPool
	places map[address]chan struct{}
}

// address is where a server is.
type address struct{ net, addr string }

// account is who reads at which server.
type account struct {
	address
	user string
}

// poolKey is all that makes one connection unlike another.
type poolKey struct {
	dsn, ca        string
	query, connect time.Duration
}

// sharedPool is a pool of several sides. Each adds the connections that it needs, so that
// none waits for the connection of another.
type sharedPool struct {
	db           *sqlx.DB
	sides, conns int
}

func addressOf(o SideOptions) address { return address{o.DSN.Net, o.DSN.Addr} }

func (s *Servers) lists(o SideOptions) *lists {
	if s == nil {
		return newLists()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	a := account{addressOf(o), o.DSN.User}
	if s.listed[a] == nil {
		if s.listed == nil {
			s.listed = map[account]*lists{}
		}
		s.listed[a] = newLists()
	}
	return s.listed[a]
}

// open is the pool for a side, which gives it back by close.
func (s *Servers) open(o SideOptions) (db *sqlx.DB, closeDB func() error, err error) {
	if s == nil {
		if db, err = openDB(o); err != nil {
			return nil, nil, err
		}
		return db, db.Close, nil
	}
	config, err := driverConfig(o)
	if err != nil {
		return nil, nil, err
	}
	key := poolKey{config.FormatDSN(), o.CA, o.QueryTimeout, o.ConnectTimeout}
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.pools[key]
	if p == nil {
		if db, err = openDB(o); err != nil {
			return nil, nil, err
		}
		p = &sharedPool{db: db}
		if s.pools == nil {
			s.pools = map[poolKey]*sharedPool{}
		}
		s.pools[key] = p
	}
	p.change(1, o.MaxConns)
	return p.db, func() error { return s.close(key, o.MaxConns) }, nil
}

func (s *Servers) close(key poolKey, conns int) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.pools[key]
	if p.change(-1, -conns); p.sides > 0 {
		return nil
	}
	delete(s.pools, key)
	return p.db.Close()
}

func (p *sharedPool) change(sides, conns int) {
	p.sides += sides
	if p.conns += conns; p.sides > 0 {
		p.db.SetMaxOpenConns(p.conns)
		p.db.SetMaxIdleConns(p.conns)
	}
}

// enter waits for a place among the queries of a server. leave gives it back, unless the
// query was slow, and the place is taken by another one already.
func (s *Servers) enter(ctx context.Context, o SideOptions) (leave func(), err error) {
	if s == nil {
		return func() {}, nil
	}
	places := s.placesOf(addressOf(o))
	select {
	case places <- struct{}{}:
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	timer := time.AfterFunc(slowQuery, func() { <-places })
	return func() {
		if timer.Stop() {
			<-places
		}
	}, nil
}

func (s *Servers) placesOf(a address) chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.places[a] == nil {
		if s.places == nil {
			s.places = map[address]chan struct{}{}
		}
		s.places[a] = make(chan struct{}, quickQueries)
	}
	return s.places[a]
}
