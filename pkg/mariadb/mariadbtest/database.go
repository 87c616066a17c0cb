package mariadbtest

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"
	"github.com/jmoiron/sqlx"

	"github.com/masixun71/cupid/pkg/mariadb"
)

// dropLimit bounds the removal of a database that a test left locked.
const dropLimit = 10 * time.Second

// Database is an empty database for one test. It is not shared with any other test, its server is.
type Database struct {
	// Name of the database.
	Name string
	// User and Password of an account that may do everything, such as creating accounts that may do less.
	User, Password string
	// DSN is the data source name of go-sql-driver, database, user and password included.
	DSN string
	// PDO is the data source name of PHP's PDO; user and password stand apart.
	PDO string
	// Host and Port are where the server listens for TCP, empty and 0 if it is known by its socket only.
	Host string
	Port int
	// Socket is the server's Unix socket, empty if it is known by its address only.
	Socket string
	// DB is a pool of connections to the database. It is closed when the test ends.
	DB *sqlx.DB
}

// Exec executes statements one after the other; a failure ends the test.
func (d *Database) Exec(tb testing.TB, statements ...string) {
	tb.Helper()
	for _, statement := range statements {
		if _, err := d.DB.ExecContext(tb.Context(), statement); err != nil {
			tb.Fatalf("%v\nin: %.500s", err, statement)
		}
	}
}

// PDOTCP returns the PDO data source name over TCP: `mysql:dbname=…;host=…;port=…`.
func (d *Database) PDOTCP() string {
	return fmt.Sprintf("mysql:dbname=%s;host=%s;port=%d", d.Name, d.Host, d.Port)
}

// create makes the database as the account in c, whose own database does not matter.
func create(tb testing.TB, c *mysql.Config, host string, port int) *Database {
	tb.Helper()
	c.DBName = ""
	admin, err := sqlx.Open("mysql", c.FormatDSN())
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = admin.Close() }) // nothing was left to do on it
	name, err := mariadb.CreateDatabase(tb.Context(), admin)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { drop(tb, admin, name) })
	return connect(tb, c, name, host, port)
}

// connect connects the account in c to a database that is there.
func connect(tb testing.TB, c *mysql.Config, name, host string, port int) *Database {
	tb.Helper()
	c.DBName = name
	d := &Database{Name: name, User: c.User, Password: c.Passwd, DSN: c.FormatDSN(), Host: host, Port: port}
	if c.Net == "unix" {
		d.Socket = c.Addr
		d.PDO = "mysql:unix_socket=" + c.Addr + ";dbname=" + name
	} else {
		d.PDO = d.PDOTCP()
	}
	db, err := sqlx.Open("mysql", d.DSN)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = db.Close() }) // the database goes with it
	d.DB = db
	return d
}

// drop removes the database. The test's context is over by now.
func drop(tb testing.TB, admin *sqlx.DB, name string) {
	tb.Helper()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(tb.Context()), dropLimit)
	defer cancel()
	if _, err := admin.ExecContext(ctx, "DROP DATABASE "+name); err != nil {
		tb.Logf("drop database %s: %v", name, err)
	}
}
