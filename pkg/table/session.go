package table

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"database/sql/driver"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-sql-driver/mysql"
)

// maxStatements bounds the prepared statements of a connection. A pair needs
// fewer than thirty; servers allow 16,382 in all (max_prepared_stmt_count).
const maxStatements = 64

// driverConn is what the driver's connections can do.
type driverConn interface {
	driver.Conn
	driver.ConnBeginTx
	driver.ConnPrepareContext
	driver.ExecerContext
	driver.NamedValueChecker
	driver.Pinger
	driver.QueryerContext
	driver.SessionResetter
	driver.Validator
}

// session is a connection with its pinned settings and prepared statements. Like
// every driver.Conn it is used by one goroutine at a time.
type session struct {
	driverConn
	statements map[string]driver.Stmt
	order      []string // of statements, the least recently used first
}

// prepared returns the statement of a text, preparing it on first use.
func (c *session) prepared(ctx context.Context, text string) (driver.Stmt, error) {
	if st, ok := c.statements[text]; ok {
		if i := slices.Index(c.order, text); i < len(c.order)-1 {
			c.order = append(slices.Delete(c.order, i, i+1), text)
		}
		return st, nil
	}
	if len(c.order) >= maxStatements {
		c.forget(c.order[0])
	}
	st, err := c.PrepareContext(ctx, text)
	if err != nil {
		return nil, err
	}
	c.statements[text] = st
	c.order = append(c.order, text)
	return st, nil
}

// forget closes a statement, since it failed or others need its room.
func (c *session) forget(text string) {
	st, ok := c.statements[text]
	if !ok {
		return
	}
	delete(c.statements, text)
	c.order = slices.DeleteFunc(c.order, func(s string) bool { return s == text })
	_ = st.Close() // a connection that cannot do that is closed with its next use
}

// connector opens pinned sessions.
type connector struct {
	driver.Connector
	queryTimeout, connectTimeout time.Duration
}

// Connect opens a connection and pins its settings, within the connect timeout.
func (c *connector) Connect(ctx context.Context) (driver.Conn, error) {
	// The driver's own timeout is for dialling: a server may accept and then say nothing.
	ctx, cancel := context.WithTimeoutCause(ctx, c.connectTimeout, errNoGreeting)
	defer cancel()
	raw, err := c.Connector.Connect(ctx)
	if err != nil {
		if errors.Is(context.Cause(ctx), errNoGreeting) {
			err = fmt.Errorf("%w: %s", errNoGreeting, err.Error())
		}
		return nil, err
	}
	dc, ok := raw.(driverConn)
	if !ok {
		return nil, errors.Join(fmt.Errorf("driver connection %T lacks an ability", raw), raw.Close())
	}
	if err := pin(ctx, dc, c.queryTimeout); err != nil {
		return nil, errors.Join(err, dc.Close())
	}
	return &session{driverConn: dc, statements: map[string]driver.Stmt{}}, nil
}

// pin makes the session's settings those that reading relies on.
func pin(ctx context.Context, c driverConn, queryTimeout time.Duration) error {
	version, err := queryRow(ctx, c, "SELECT VERSION(), @@SESSION.sql_mode")
	if err != nil {
		return fmt.Errorf("read the server's version: %w", err)
	}
	settings := []string{
		// A fixed zone: no hour is ambiguous, and both sides print one instant alike.
		"time_zone = '+00:00'",
		// Without autocommit the first SELECT would open a snapshot that never ends.
		"autocommit = 1",
		// A server-wide limit would cut results off without an error.
		"sql_select_limit = 18446744073709551615",
	}
	if mode := version[1]; strings.Contains(mode, padMode) {
		modes := slices.DeleteFunc(strings.Split(mode, ","), func(m string) bool { return m == padMode })
		settings = append(settings, "sql_mode = "+literal(strings.Join(modes, ",")))
	}
	s := parseServer(version[0])
	optional := "max_execution_time = " + strconv.FormatInt(queryTimeout.Milliseconds(), 10)
	if s.MariaDB {
		// From 1,000 values on MariaDB turns an IN list into a join with a
		// temporary table, which a sorted list of keys does not profit from.
		optional = fmt.Sprintf("in_predicate_conversion_threshold = 0, max_statement_time = %.3f", queryTimeout.Seconds())
	}
	for _, text := range []string{
		"SET " + strings.Join(settings, ", "),
		// READ UNCOMMITTED as a server's default would show rows that never come to be.
		"SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED, READ ONLY",
		"SET " + optional,
	} {
		_, err := c.ExecContext(ctx, text, nil)
		if err != nil && (number(err) != errUnknownVariable || !strings.HasSuffix(text, optional)) {
			return fmt.Errorf("set up the session: %w", err)
		}
	}
	return nil
}

// padMode makes CHAR values come with their padding. It is taken out of sql_mode,
// since the servers of the two sides may differ in it.
const padMode = "PAD_CHAR_TO_FULL_LENGTH"

// queryRow reads the one row of a statement as texts; NULL is empty.
func queryRow(ctx context.Context, c driver.QueryerContext, text string) (values []string, err error) {
	rows, err := c.QueryContext(ctx, text, nil)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	dest := make([]driver.Value, len(rows.Columns()))
	if err := rows.Next(dest); err != nil {
		return nil, err
	}
	for _, v := range dest {
		values = append(values, valueText(v))
	}
	return values, nil
}

// ownParams are the driver's parameters that decide how values are read; those of
// a dsn are ignored in favour of ours.
var ownParams = []string{
	"allowAllFiles", "charset", "clientFoundRows", "collation", "columnsWithAlias", "interpolateParams",
	"loc", "multiStatements", "parseTime", "rejectReadOnly", "time_zone", "timeTruncate", "timeout", "autocommit",
}

// driverConfig is the driver's configuration for a side.
func driverConfig(o SideOptions) (*mysql.Config, error) {
	params := url.Values{}
	for _, name := range slices.Sorted(maps.Keys(o.DSN.Params)) {
		if !slices.ContainsFunc(ownParams, func(p string) bool { return strings.EqualFold(p, name) }) {
			params.Set(name, o.DSN.Params[name])
		}
	}
	c, err := mysql.ParseDSN("/?" + params.Encode())
	if err != nil {
		return nil, &Fault{Side: o.Name, Problem: "the dsn has a parameter that the driver refuses: " + err.Error()}
	}
	c.Net, c.Addr, c.DBName = o.DSN.Net, o.DSN.Addr, o.DSN.Database
	c.User, c.Passwd = o.DSN.User, o.DSN.Password.Reveal()
	c.Timeout = o.ConnectTimeout
	c.DialFunc = dial
	c.Loc = time.UTC
	c.InterpolateParams = true // for statements that are sent once
	c.Logger = &mysql.NopLogger{}
	if o.CA != "" {
		roots := x509.NewCertPool()
		roots.AppendCertsFromPEM([]byte(o.CA))
		c.TLS = &tls.Config{RootCAs: roots, ServerName: o.DSN.Host(), MinVersion: tls.VersionTLS12}
	}
	if err := c.Apply(mysql.Charset("utf8mb4", "")); err != nil {
		return nil, err
	}
	return c, nil
}
