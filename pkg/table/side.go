package table

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"strconv"
	"sync"
	"time"

	"github.com/go-sql-driver/mysql"
	"github.com/jmoiron/sqlx"
)

const (
	// graceTime is how long a server may take to end a query by itself.
	graceTime = time.Second
	// idleTime closes connections that nobody needs at the moment.
	idleTime = 2 * time.Minute
)

// side is one table and the connections to its server. Safe for concurrent use.
type side struct {
	o SideOptions
	// open makes the pool, and what closes it.
	open  func(SideOptions) (*sqlx.DB, func() error, error)
	conns chan struct{} // one for each connection in use

	mu      sync.Mutex   // guards all below
	db      *sqlx.DB     // nil before the first use
	closeDB func() error // likewise
	closed  bool
}

func newSide(o SideOptions) *side {
	o = o.withDefaults()
	return &side{o: o, open: o.Servers.open, conns: make(chan struct{}, o.MaxConns)}
}

// openDB makes the pool of a side. It connects to nothing.
func openDB(o SideOptions) (*sqlx.DB, error) {
	config, err := driverConfig(o)
	if err != nil {
		return nil, err
	}
	c, err := mysql.NewConnector(config)
	if err != nil {
		return nil, &Fault{Side: o.Name, Problem: "the driver refuses the dsn: " + err.Error(), Err: err}
	}
	db := sqlx.NewDb(sql.OpenDB(&connector{Connector: c, queryTimeout: o.QueryTimeout, connectTimeout: o.ConnectTimeout}), "mysql")
	db.SetMaxOpenConns(o.MaxConns)
	db.SetMaxIdleConns(o.MaxConns)
	db.SetConnMaxIdleTime(idleTime)
	return db, nil
}

// pool is the side's pool, made on first use.
func (s *side) pool() (*sqlx.DB, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, fmt.Errorf("%s: %w", s.o.Name, sql.ErrConnDone)
	}
	if s.db == nil {
		var err error
		if s.db, s.closeDB, err = s.open(s.o); err != nil {
			return nil, err
		}
	}
	return s.db, nil
}

func (s *side) close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	if s.db == nil {
		return nil
	}
	s.db = nil
	return s.closeDB()
}

// limit bounds a query in time. A session ends its queries itself first.
func (s *side) limit(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeoutCause(ctx, s.o.QueryTimeout+graceTime, errSlow)
}

// run waits for its turn, and runs f, which uses one connection. ctx bounds it in time, see
// limit.
func (s *side) run(ctx context.Context, f func(db *sqlx.DB) error) error {
	db, err := s.pool()
	if err != nil {
		return err
	}
	select {
	case s.conns <- struct{}{}:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	defer func() { <-s.conns }()
	leave, err := s.o.Servers.enter(ctx, s.o)
	if err != nil {
		return err
	}
	defer leave()
	return f(db)
}

// get reads one row, a field for each column, by a statement that is sent once.
func (s *side) get(ctx context.Context, dest any, doing, text string, args ...any) error {
	ctx, cancel := s.limit(ctx)
	defer cancel()
	return s.explain(ctx, doing, s.run(ctx, func(db *sqlx.DB) error { return db.GetContext(ctx, dest, text, args...) }))
}

// list is get for any number of rows.
func (s *side) list(ctx context.Context, dest any, doing, text string, args ...any) error {
	ctx, cancel := s.limit(ctx)
	defer cancel()
	return s.explain(ctx, doing, s.run(ctx, func(db *sqlx.DB) error { return db.SelectContext(ctx, dest, text, args...) }))
}

// one is a rows function for when all queries' rows go to t.
func one(t take) func(int) take { return func(int) take { return t } }

// ping asks the server for a sign of life.
func (s *side) ping(ctx context.Context) error {
	var one int
	return s.get(ctx, &one, "ping", "SELECT 1")
}

// query is a prepared statement with its arguments.
type query struct {
	text string
	args []driver.Value
}

// take gets the rows of a query, one after the other. The slice and the byte
// slices in it are valid until it returns.
type take func(values []driver.Value) error

// read runs queries one after the other on one connection. Query i's rows go to
// rows(i).
func (s *side) read(ctx context.Context, doing string, queries []query, rows func(i int) take) error {
	if len(queries) == 0 {
		return nil
	}
	ctx, cancel := s.limit(ctx)
	defer cancel()
	return s.explain(ctx, doing, s.run(ctx, func(db *sqlx.DB) error { return readRaw(ctx, db, queries, rows) }))
}

func readRaw(ctx context.Context, db *sqlx.DB, queries []query, rows func(i int) take) error {
	c, err := db.Connx(ctx)
	if err != nil {
		return err
	}
	err = c.Raw(func(dc any) error {
		for i, q := range queries {
			if err := runQuery(ctx, dc, q, rows(i)); err != nil {
				return ofRows(ctx, err)
			}
		}
		return nil
	})
	return errors.Join(err, ignoreDone(c.Close()))
}

// ignoreDone drops the error of closing a connection that broke and is closed already.
func ignoreDone(err error) error {
	if errors.Is(err, sql.ErrConnDone) || errors.Is(err, driver.ErrBadConn) {
		return nil
	}
	return err
}

// runQuery runs one query on a driver's connection.
func runQuery(ctx context.Context, dc any, q query, t take) error {
	c, cached := dc.(*session)
	if !cached {
		return runOnce(ctx, dc, q, t)
	}
	st, err := c.prepared(ctx, q.text)
	if err != nil {
		return err
	}
	if err := stream(ctx, st, q.args, t); err != nil {
		c.forget(q.text) // the next try prepares anew, in case the statement is the reason
		return err
	}
	return nil
}

// runOnce is runQuery on a connection that keeps no statements.
func runOnce(ctx context.Context, dc any, q query, t take) (err error) {
	p, ok := dc.(driver.ConnPrepareContext)
	if !ok {
		return fmt.Errorf("driver connection %T cannot prepare", dc)
	}
	st, err := p.PrepareContext(ctx, q.text)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, st.Close()) }()
	return stream(ctx, st, q.args, t)
}

// stream executes a statement and hands its rows to t. An error of t ends the connection: it
// would else be good for the next statement only when all other rows had come.
func stream(ctx context.Context, st driver.Stmt, args []driver.Value, t take) (err error) {
	q, ok := st.(driver.StmtQueryContext)
	if !ok {
		return fmt.Errorf("driver statement %T cannot query", st)
	}
	named := make([]driver.NamedValue, len(args))
	for i, v := range args {
		named[i] = driver.NamedValue{Ordinal: i + 1, Value: v}
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	rows, err := q.QueryContext(ctx, named)
	if err != nil {
		return err
	}
	defer func() {
		if closeErr := rows.Close(); err == nil {
			err = closeErr
		}
	}()
	dest := make([]driver.Value, len(rows.Columns()))
	for {
		err := rows.Next(dest)
		if err == io.EOF { //nolint:errorlint // the end is io.EOF itself; one wrapped is a connection that broke
			return nil
		}
		if err != nil {
			return err
		}
		if err := t(dest); err != nil {
			cancel()
			return err
		}
	}
}

// valueText is a value as text, decimal for integers; NULL is empty.
func valueText(v driver.Value) string {
	switch v := v.(type) {
	case []byte:
		return string(v)
	case string:
		return v
	case int64:
		return strconv.FormatInt(v, 10)
	case uint64:
		return strconv.FormatUint(v, 10)
	case float32:
		return strconv.FormatFloat(float64(v), 'g', -1, 32)
	case float64:
		return strconv.FormatFloat(v, 'g', -1, 64)
	case nil:
		return ""
	}
	return fmt.Sprint(v)
}
