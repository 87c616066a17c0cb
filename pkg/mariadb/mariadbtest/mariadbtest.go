// Package mariadbtest gives tests fresh databases on a real server: one private MariaDB for each test binary, started by
// the first test that asks for a database. It knows nothing of what the tests put into them.
//
// A test package that uses it has
//
//	func TestMain(m *testing.M) { mariadbtest.Run(m) }
//
// so that the server ends with the tests. Environment:
//
//	CUPID_TEST_DSN        a server to use instead of the private one (go-sql-driver DSN; its user may create databases)
//	CUPID_TEST_MYSQL_DSN  a MySQL server, on which the tests that compare servers run too
package mariadbtest

import (
	"context"
	"fmt"
	"net"
	"os"
	"strconv"
	"sync"
	"testing"

	"github.com/go-sql-driver/mysql"
	"github.com/jmoiron/sqlx"

	"github.com/masixun71/cupid/pkg/mariadb"
)

const (
	// user is an account with all privileges on the private server, over TCP too, where root cannot connect. Its
	// password can be looked for in logs and status answers, where it must never be.
	user     = "cupid"
	password = "s3cret-of-the-test-account"
)

// shared is the one server of this test binary.
var shared struct {
	mu      sync.Mutex
	running bool // Run is at work
	server  *mariadb.Server
	err     error // why the private server did not start; it is not tried again
}

// Suite is a testing.M whose Run also ends the server: for goleak.VerifyTestMain(mariadbtest.Suite{M: m}).
type Suite struct {
	M interface{ Run() int }
}

// Run runs the tests, then stops the server if one was started. It returns the exit code.
func (s Suite) Run() int {
	shared.mu.Lock()
	shared.running = true
	shared.mu.Unlock()
	code := s.M.Run()
	shared.mu.Lock()
	defer shared.mu.Unlock()
	shared.running = false
	if shared.server == nil {
		return code
	}
	if err := shared.server.Close(); err != nil {
		fmt.Fprintln(os.Stderr, "mariadbtest: close:", err)
		code = max(code, 1)
	}
	shared.server = nil
	return code
}

// Run is Suite.Run, to be called by TestMain. The testing package exits with the right code by itself when TestMain
// returns.
func Run(m *testing.M) int { return Suite{M: m}.Run() }

// private returns the address of the private server, as an account that may do everything.
func private() (*mysql.Config, error) {
	shared.mu.Lock()
	defer shared.mu.Unlock()
	switch {
	case !shared.running:
		return nil, fmt.Errorf("the package needs `func TestMain(m *testing.M) { mariadbtest.Run(m) }`, so that the server ends with its tests")
	case shared.err != nil:
		return nil, shared.err
	case shared.server == nil:
		if shared.server, shared.err = start(context.Background()); shared.err != nil {
			return nil, shared.err
		}
	}
	return account(shared.server), nil
}

func start(ctx context.Context) (*mariadb.Server, error) {
	s, err := mariadb.Start(ctx, mariadb.Options{TCP: true, Progress: progress})
	if err != nil {
		return nil, err
	}
	if err := createAccount(ctx, s); err != nil {
		_ = s.Close() // the first error says more
		return nil, err
	}
	return s, nil
}

func progress(line string) { fmt.Fprintln(os.Stderr, "mariadbtest:", line) }

func createAccount(ctx context.Context, s *mariadb.Server) error {
	db, err := sqlx.Open("mysql", s.DSN(""))
	if err != nil {
		return err
	}
	defer func() { _ = db.Close() }() // its statements were answered
	for _, host := range []string{"%", "localhost"} {
		query := fmt.Sprintf("GRANT ALL PRIVILEGES ON *.* TO '%s'@'%s' IDENTIFIED BY '%s' WITH GRANT OPTION", user, host, password)
		if _, err := db.ExecContext(ctx, query); err != nil {
			return fmt.Errorf("create the test account: %w", err)
		}
	}
	return nil
}

func account(s *mariadb.Server) *mysql.Config {
	c := mysql.NewConfig()
	c.User, c.Passwd, c.Net, c.Addr = user, password, "unix", s.Socket()
	return c
}

// Start starts a server for one test alone, which may stop, pause and kill it. It ends with the test.
func Start(tb testing.TB, o mariadb.Options) *mariadb.Server {
	tb.Helper()
	if o.Progress == nil {
		o.Progress = progress
	}
	s, err := mariadb.Start(tb.Context(), o)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := s.Close(); err != nil {
			tb.Errorf("close the server: %v", err)
		}
	})
	return s
}

// Alone returns a database on a server for one test alone, which may lock all of it. o has to
// have TCP. It ends with the test.
func Alone(tb testing.TB, o mariadb.Options) *Database {
	tb.Helper()
	s := Start(tb, o)
	if err := createAccount(tb.Context(), s); err != nil {
		tb.Fatal(err)
	}
	return create(tb, account(s), "127.0.0.1", s.Port())
}

// New returns a fresh database on the private MariaDB, or on the server that CUPID_TEST_DSN names. It is dropped when
// the test ends.
func New(tb testing.TB) *Database {
	tb.Helper()
	if dsn := os.Getenv("CUPID_TEST_DSN"); dsn != "" {
		return external(tb, "CUPID_TEST_DSN", dsn)
	}
	c, err := private()
	if err != nil {
		tb.Fatalf("mariadbtest: %v", err)
	}
	shared.mu.Lock()
	port := shared.server.Port()
	shared.mu.Unlock()
	return create(tb, c, "127.0.0.1", port)
}

// MySQL returns a fresh database on the MySQL that CUPID_TEST_MYSQL_DSN names, and false if it names none. It is dropped
// when the test ends.
func MySQL(tb testing.TB) (*Database, bool) {
	tb.Helper()
	dsn := os.Getenv("CUPID_TEST_MYSQL_DSN")
	if dsn == "" {
		return nil, false
	}
	return external(tb, "CUPID_TEST_MYSQL_DSN", dsn), true
}

// Each runs a subtest on MariaDB and, where CUPID_TEST_MYSQL_DSN is set, one on MySQL. Each call of db gives another
// fresh database.
func Each(t *testing.T, test func(t *testing.T, db func() *Database)) {
	t.Helper()
	t.Run("mariadb", func(t *testing.T) {
		test(t, func() *Database { return New(t) })
	})
	if os.Getenv("CUPID_TEST_MYSQL_DSN") == "" {
		return
	}
	t.Run("mysql", func(t *testing.T) {
		test(t, func() *Database {
			db, _ := MySQL(t)
			return db
		})
	})
}

func external(tb testing.TB, variable, dsn string) *Database {
	tb.Helper()
	c, err := mysql.ParseDSN(dsn)
	if err != nil {
		tb.Fatalf("%s: %v", variable, err)
	}
	if c.Net == "unix" {
		return create(tb, c, "", 0)
	}
	host, text, err := net.SplitHostPort(c.Addr)
	if err != nil {
		tb.Fatalf("%s: %v", variable, err)
	}
	port, err := strconv.Atoi(text)
	if err != nil {
		tb.Fatalf("%s: port: %v", variable, err)
	}
	return create(tb, c, host, port)
}
