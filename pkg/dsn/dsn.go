// Package dsn is the address of a MySQL database as a user writes it: in the form
// of PHP's PDO or in that of Go's driver. It does not know a driver, opens nothing
// and resolves no name.
package dsn

import (
	"cmp"
	"maps"
	"net"
	"slices"
	"strings"

	"github.com/masixun71/cupid/pkg/secret"
)

// DefaultPort is the port where a dsn names none.
const DefaultPort = "3306"

// DSN is where a database is and who logs in there. The zero value is no usable
// address; a DSN that Parse returned always has Net, Addr and Database. It prints
// and marshals without its password.
type DSN struct {
	// Net is "tcp" or "unix".
	Net string
	// Addr is host:port (an IPv6 host in brackets), or the path of a socket.
	Addr string
	// Database is the name of the schema.
	Database string
	// User is empty where the dsn names none.
	User string
	// Password is empty where the dsn names none.
	Password secret.String
	// Params are the driver's own parameters and session variables, unescaped; nil where there are none.
	Params map[string]string
}

// Error is why a dsn was refused. It quotes nothing of the dsn, which may hold a
// password, but names of parts that are well known.
type Error struct {
	// Problem says what is wrong and where.
	Problem string
	// Hint says what to write instead; it may be empty.
	Hint string
}

// Error returns the problem and the hint as one line.
func (e *Error) Error() string {
	if e.Hint == "" {
		return "parse dsn: " + e.Problem
	}
	return "parse dsn: " + e.Problem + " (" + e.Hint + ")"
}

// Parse reads text in the PDO form, `mysql:host=127.0.0.1;port=3306;dbname=my`,
// or in the form of Go's driver, `user:password@tcp(127.0.0.1:3306)/my?charset=utf8mb4`.
// Every error is an *Error.
func Parse(text string) (DSN, error) {
	switch scheme, _, found := strings.Cut(text, ":"); {
	case text == "":
		return DSN{}, &Error{Problem: "empty", Hint: pdoExample}
	case strings.Contains(text, "://") && !goForm(text):
		return DSN{}, &Error{Problem: "a URL", Hint: pdoExample + " or " + goExample}
	case found && scheme == "mysql" && !goForm(text):
		return parsePDO(strings.TrimPrefix(text, "mysql:"))
	case found && slices.Contains(otherSchemes, strings.ToLower(scheme)) && !goForm(text):
		return DSN{}, &Error{Problem: "a database other than MySQL or MariaDB, or its name in capitals", Hint: pdoExample}
	default:
		return parseGo(text)
	}
}

// otherSchemes are the names of PDO drivers and a capitalised MySQL, for a
// better message than the Go form would give.
var otherSchemes = []string{"mysql", "mariadb", "pgsql", "sqlite", "sqlsrv", "oci", "dblib", "odbc", "firebird"}

const (
	pdoExample = "write mysql:host=127.0.0.1;port=3306;dbname=NAME"
	goExample  = "USER:PASSWORD@tcp(127.0.0.1:3306)/NAME"
)

// goForm tells a Go dsn of a user named like a scheme ("mysql:pw@tcp(h)/db")
// from a PDO dsn, which has no "@net(" in it.
func goForm(text string) bool {
	return strings.Contains(text, "@tcp(") || strings.Contains(text, "@unix(") || strings.Contains(text, "@/")
}

// With returns d with another user and password.
func (d DSN) With(user string, password secret.String) DSN {
	d.User, d.Password = user, password
	d.Params = maps.Clone(d.Params)
	return d
}

// IsZero reports whether d is the zero value.
func (d DSN) IsZero() bool {
	return cmp.Or(d.Net, d.Addr, d.Database, d.User, d.Password.Reveal()) == "" && len(d.Params) == 0
}

// Format returns d in the form of Go's driver, password included. What Parse
// read from it is equal to d unless User holds ":" or "/", which the form cannot
// carry; a caller with a driver of its own sets user and password there and
// formats d.With("", secret.String{}).
func (d DSN) Format() secret.String {
	var b strings.Builder
	if d.User != "" || !d.Password.IsZero() {
		b.WriteString(d.User)
		if !d.Password.IsZero() {
			b.WriteString(":" + d.Password.Reveal())
		}
		b.WriteByte('@')
	}
	b.WriteString(d.Net + "(" + d.Addr + ")/" + escape(d.Database))
	separator := byte('?')
	for _, name := range slices.Sorted(maps.Keys(d.Params)) {
		b.WriteByte(separator)
		b.WriteString(name + "=" + escape(d.Params[name]))
		separator = '&'
	}
	return secret.New(b.String())
}

// String returns d for people: without password and parameters.
func (d DSN) String() string {
	if d.IsZero() {
		return ""
	}
	text := d.Net + "(" + d.Addr + ")/" + d.Database
	if d.User != "" {
		text = d.User + "@" + text
	}
	return text
}

// GoString returns the same as String, so that %#v shows no password.
func (d DSN) GoString() string { return d.String() }

// MarshalText returns the same as String.
func (d DSN) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// Host returns the host without its port, or the path of the socket.
func (d DSN) Host() string {
	if host, _, err := net.SplitHostPort(d.Addr); err == nil && d.Net == "tcp" {
		return host
	}
	return d.Addr
}
