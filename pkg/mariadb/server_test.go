package mariadb_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jmoiron/sqlx"

	"github.com/masixun71/cupid/pkg/mariadb"
)

// start starts a server that ends with the test.
func start(tb testing.TB, o mariadb.Options) *mariadb.Server {
	tb.Helper()
	s, err := mariadb.Start(tb.Context(), o)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := s.Close(); err != nil {
			tb.Errorf("close: %v", err)
		}
	})
	return s
}

// connect opens a database of the server.
func connect(tb testing.TB, dsn string) *sqlx.DB {
	tb.Helper()
	db, err := sqlx.Open("mysql", dsn)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = db.Close() }) // the server may be gone
	return db
}

// fill creates a database with a table of one row, and returns the database's name.
func fill(tb testing.TB, s *mariadb.Server) string {
	tb.Helper()
	name, err := s.CreateDatabase(tb.Context())
	if err != nil {
		tb.Fatal(err)
	}
	db := connect(tb, s.DSN(name))
	for _, q := range []string{"CREATE TABLE t (id INT PRIMARY KEY, v VARCHAR(10))", "INSERT INTO t VALUES (1, 'ä😀')"} {
		if _, err := db.ExecContext(tb.Context(), q); err != nil {
			tb.Fatal(err)
		}
	}
	return name
}

func read(tb testing.TB, s *mariadb.Server, database string) string {
	tb.Helper()
	var got string
	if err := connect(tb, s.DSN(database)).GetContext(tb.Context(), &got, "SELECT v FROM t WHERE id = 1"); err != nil {
		tb.Fatal(err)
	}
	return got
}

func TestStartGivesAnEmptyServer(t *testing.T) {
	t.Parallel()
	s := start(t, mariadb.Options{})
	var names []string
	if err := connect(t, s.DSN("")).SelectContext(t.Context(), &names, "SHOW DATABASES"); err != nil {
		t.Fatal(err)
	}
	if got, want := strings.Join(names, " "), "information_schema mysql performance_schema"; got != want {
		t.Errorf("databases = %q, want %q", got, want)
	}
	if s.Port() != 0 {
		t.Errorf("port = %d without TCP, want 0", s.Port())
	}
	if got, want := s.PDO("x"), "mysql:unix_socket="+s.Socket()+";dbname=x"; got != want {
		t.Errorf("PDO = %q, want %q", got, want)
	}
	if got := read(t, s, fill(t, s)); got != "ä😀" {
		t.Errorf("read back %q", got)
	}
}

func TestGrantTablesAreReal(t *testing.T) {
	t.Parallel()
	s := start(t, mariadb.Options{TCP: true})
	root := connect(t, s.DSN(""))
	if _, err := root.ExecContext(t.Context(), "CREATE USER less IDENTIFIED BY 'pw'"); err != nil {
		t.Fatal(err)
	}
	less := connect(t, fmt.Sprintf("less:pw@tcp(127.0.0.1:%d)/", s.Port()))
	if err := less.PingContext(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := less.ExecContext(t.Context(), "SELECT * FROM information_schema.innodb_trx"); err == nil {
		t.Error("an account without PROCESS read innodb_trx")
	}
	wrong := connect(t, fmt.Sprintf("less:no@tcp(127.0.0.1:%d)/", s.Port()))
	if err := wrong.PingContext(t.Context()); err == nil {
		t.Error("connected with a wrong password")
	}
}

func TestRestartKeepsDataAndPort(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		flush int
		down  func(t *testing.T, s *mariadb.Server)
	}{
		{"running", 0, func(*testing.T, *mariadb.Server) {}},
		{"stopped", 0, func(t *testing.T, s *mariadb.Server) {
			t.Helper()
			if err := s.Stop(t.Context()); err != nil {
				t.Error(err)
			}
		}},
		{"paused", 0, func(_ *testing.T, s *mariadb.Server) { s.Pause() }},
		{"killed", 1, func(_ *testing.T, s *mariadb.Server) { s.Kill() }},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := start(t, mariadb.Options{TCP: true, FlushLogAtCommit: c.flush})
			name, port, pid := fill(t, s), s.Port(), s.Pid()
			c.down(t, s)
			if err := s.Restart(t.Context()); err != nil {
				t.Fatal(err)
			}
			if got := read(t, s, name); got != "ä😀" {
				t.Errorf("read back %q", got)
			}
			if s.Port() != port || s.Pid() == pid {
				t.Errorf("port %d, pid %d after; port %d, pid %d before", s.Port(), s.Pid(), port, pid)
			}
		})
	}
}

func TestStoppedServerRefusesAndPausedOneHangs(t *testing.T) {
	t.Parallel()
	s := start(t, mariadb.Options{})
	db := connect(t, s.DSN(""))
	db.SetMaxIdleConns(0)
	s.Pause()
	short, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if err := db.PingContext(short); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("ping of a paused server: %v, want a timeout", err)
	}
	s.Resume()
	if err := db.PingContext(t.Context()); err != nil {
		t.Errorf("ping after Resume: %v", err)
	}
	if err := s.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := db.PingContext(t.Context()); err == nil {
		t.Error("a stopped server answered")
	}
	if s.Pid() != 0 {
		t.Errorf("pid of a stopped server = %d", s.Pid())
	}
}

func TestCloseRemovesEverything(t *testing.T) {
	t.Parallel()
	base := t.TempDir()
	s := start(t, mariadb.Options{Dir: base})
	pid := s.Pid()
	for range 2 {
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if alive(pid) {
		t.Errorf("process %d is still there", pid)
	}
	if left, err := os.ReadDir(base); err != nil || len(left) != 0 {
		t.Errorf("left over: %v, %v", left, err)
	}
}

func TestLongTemporaryDirectoryHasShortSocket(t *testing.T) {
	t.Parallel()
	long := filepath.Join(t.TempDir(), strings.Repeat("long", 30))
	if err := os.Mkdir(long, 0o700); err != nil {
		t.Fatal(err)
	}
	s := start(t, mariadb.Options{Dir: long})
	if got := len(s.Socket()); got > 107 {
		t.Errorf("socket path of %d bytes: %s", got, s.Socket())
	}
	fill(t, s)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Dir(s.Socket())); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("directory of the socket: %v, want it gone", err)
	}
}

func TestArgsWinAndErrorsQuoteTheLog(t *testing.T) {
	t.Parallel()
	s := start(t, mariadb.Options{Args: []string{"--max-connections=17"}})
	var got int
	if err := connect(t, s.DSN("")).GetContext(t.Context(), &got, "SELECT @@max_connections"); err != nil || got != 17 {
		t.Errorf("max_connections = %d, %v, want 17", got, err)
	}
	base := t.TempDir()
	_, err := mariadb.Start(t.Context(), mariadb.Options{Dir: base, Args: []string{"--no-such-option"}})
	if err == nil || !strings.Contains(err.Error(), "unknown option '--no-such-option'") {
		t.Errorf("error = %v, want the server's own words", err)
	}
	if left, err := os.ReadDir(base); err != nil || len(left) != 0 {
		t.Errorf("a failed start left %v, %v", left, err)
	}
}

func TestStartEndsWithItsContext(t *testing.T) {
	t.Parallel()
	// The server pauses in its start for longer than the test would wait.
	init := filepath.Join(t.TempDir(), "init.sql")
	if err := os.WriteFile(init, []byte("SELECT SLEEP(100);\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	_, err := mariadb.Start(ctx, mariadb.Options{Args: []string{"--init-file=" + init}})
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("error = %v, want the context's", err)
	}
}

func BenchmarkStart(b *testing.B) {
	for b.Loop() {
		s, err := mariadb.Start(b.Context(), mariadb.Options{})
		if err != nil {
			b.Fatal(err)
		}
		b.StopTimer()
		if err := s.Close(); err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
	}
}
