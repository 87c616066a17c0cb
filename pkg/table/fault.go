package table

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/go-sql-driver/mysql"

	"github.com/masixun71/cupid/pkg/chunk"
	"github.com/masixun71/cupid/pkg/row"
)

// Fault is an error that does not pass by itself: somebody has to change the
// configuration, the table or the privileges.
type Fault struct {
	// Side is the name of the side, as its options give it.
	Side string
	// Problem says what is wrong.
	Problem string
	// Hint says what to do about it; may be empty.
	Hint string
	// Err is the server's answer; nil when cupid itself found the fault.
	Err error
}

// Error is side, problem and hint in one line.
func (f *Fault) Error() string {
	var b strings.Builder
	if f.Side != "" {
		b.WriteString(f.Side + ": ")
	}
	b.WriteString(f.Problem)
	if f.Hint != "" {
		b.WriteString("; " + f.Hint)
	}
	return b.String()
}

// Unwrap returns the server's answer.
func (f *Fault) Unwrap() error { return f.Err }

// The server's error numbers that cupid tells apart
// (https://mariadb.com/kb/en/mariadb-error-code-reference/ and
// https://dev.mysql.com/doc/mysql-errors/8.4/en/server-error-reference.html).
const (
	errDBAccessDenied     = 1044
	errAccessDenied       = 1045
	errNoDatabase         = 1046
	errUnknownDatabase    = 1049
	errUnknownColumn      = 1054
	errUnknownTable       = 1109
	errParse              = 1064
	errHostBlocked        = 1129
	errHostNotPrivileged  = 1130
	errTableAccessDenied  = 1142
	errColumnAccessDenied = 1143
	errNoSuchTable        = 1146
	errNoSuchIndex        = 1176
	errUnknownVariable    = 1193
	errSpecificAccess     = 1227
	errNoSuchFunction     = 1305
	errQueryInterrupted   = 1317
	errAccessDeniedSocket = 1698
	errMustChangePassword = 1820
	errPasswordExpired    = 1862
	errStatementTimeout   = 1969 // MariaDB's max_statement_time
	errQueryTimeout       = 3024 // MySQL's max_execution_time
	errAccountLocked      = 3118

	errEngine            = 1030
	errBadIndex          = 1034
	errOldIndex          = 1035
	errSortMemory        = 1038
	errPacketTooLarge    = 1153
	errTableCrashed      = 1194
	errTableNotRepaired  = 1195
	errOutOfRange        = 1690
	errIndexCorrupt      = 1712
	errTableCorruptMySQL = 1877
)

// ofRows marks an error of a query, whose connection stood, that is due to the rows that were asked for or to how
// many they are: see chunk.Unread. What a server says of its own state, and all that a connection says, is none.
func ofRows(ctx context.Context, err error) error {
	switch number(err) {
	case errStatementTimeout, errQueryTimeout, errQueryInterrupted,
		errEngine, errBadIndex, errOldIndex, errSortMemory, errPacketTooLarge,
		errTableCrashed, errTableNotRepaired, errOutOfRange, errIndexCorrupt, errTableCorruptMySQL:
		return &chunk.Unread{Err: err}
	}
	_, value := errors.AsType[*valueError](err)
	_, large := errors.AsType[*row.TooLarge](err)
	if value || large || errors.Is(context.Cause(ctx), errSlow) {
		return &chunk.Unread{Err: err}
	}
	return err
}

// number is the server's error number in err, 0 when there is none.
func number(err error) uint16 {
	if e, ok := errors.AsType[*mysql.MySQLError](err); ok {
		return e.Number
	}
	return 0
}

// errNoGreeting is the cause that ends a connection which takes too long to be made.
var errNoGreeting = errors.New("the server did not let us in within the connect timeout")

// errSlow is the cause that ends a query which outlived the server's own limit.
var errSlow = errors.New("the query took longer than the query timeout")

// explain turns what the driver returned into a Fault where it is one, and names
// the side and what was being done otherwise.
func (s *side) explain(ctx context.Context, doing string, err error) error {
	if err == nil {
		return nil
	}
	if f, ok := errors.AsType[*Fault](err); ok {
		return f
	}
	o := s.o
	fault := func(problem, hint string) error {
		return &Fault{Side: o.Name, Problem: problem, Hint: hint, Err: err}
	}
	answer := ""
	if e, ok := errors.AsType[*mysql.MySQLError](err); ok {
		answer = e.Message
	}
	switch number(err) {
	case errAccessDenied, errAccessDeniedSocket:
		return fault("the server refuses user "+quoteText(o.DSN.User)+": "+answer, "check user and password")
	case errDBAccessDenied:
		return fault("user "+quoteText(o.DSN.User)+" may not use database "+quoteText(o.DSN.Database), s.grant("SELECT"))
	case errNoDatabase:
		return fault("the dsn names no database", "add dbname=… to the dsn")
	case errUnknownDatabase:
		return fault("there is no database "+quoteText(o.DSN.Database), "check the dsn")
	case errNoSuchTable:
		return fault("there is no table "+quote(o.Table)+" in database "+quoteText(o.DSN.Database), "check the table's name")
	case errUnknownColumn:
		return fault(answer, "check columns and where")
	case errTableAccessDenied, errColumnAccessDenied:
		return fault(answer, s.grant("SELECT"))
	case errHostBlocked, errHostNotPrivileged, errAccountLocked, errMustChangePassword, errPasswordExpired:
		return fault(answer, "ask the administrator of the server")
	case errParse, errNoSuchFunction:
		return fault("the server does not understand the statement: "+answer, "check where")
	case errStatementTimeout, errQueryTimeout:
		return fmt.Errorf("%s: %s: %w", o.Name, doing, errors.Join(errSlow, err))
	}
	if cause := context.Cause(ctx); cause != nil && !errors.Is(err, cause) {
		err = fmt.Errorf("%w: %w", cause, err)
	}
	return fmt.Errorf("%s: %s: %w", o.Name, doing, err)
}

// tableChanged reports whether err says that the remembered metadata is out of date.
func tableChanged(err error) bool {
	switch number(err) {
	case errUnknownColumn, errNoSuchTable, errNoSuchIndex, errColumnAccessDenied:
		return true
	}
	_, mismatch := errors.AsType[*valueError](err)
	return mismatch
}

// valueError is a value that does not have the form which its column's type
// promised. The column may have been altered since the metadata was read.
type valueError struct {
	table string
	err   error
}

func (e *valueError) Error() string { return "row of " + quote(e.table) + ": " + e.err.Error() }
func (e *valueError) Unwrap() error { return e.err }

// grant is the statement that gives the account a privilege on the table.
func (s *side) grant(privilege string) string {
	return fmt.Sprintf("GRANT %s ON %s.%s TO %s", privilege, quote(s.o.DSN.Database), quote(s.o.Table), s.account())
}

// account is who reads, as it stands in a GRANT.
func (s *side) account() string { return "'" + strings.ReplaceAll(s.o.DSN.User, "'", "''") + "'@'…'" }

// quote is name as an identifier in SQL.
func quote(name string) string { return "`" + strings.ReplaceAll(name, "`", "``") + "`" }

// quoteText is s as it stands in a message.
func quoteText(s string) string { return `"` + s + `"` }

// literal is s as a string literal in SQL. Backslashes are doubled: sql_mode
// NO_BACKSLASH_ESCAPES is not supported for texts that hold one, and none of the
// texts written this way (zones, character sets) does.
func literal(s string) string {
	return "'" + strings.NewReplacer("'", "''", `\`, `\\`).Replace(s) + "'"
}
