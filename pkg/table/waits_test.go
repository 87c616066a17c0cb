package table_test

import (
	"context"
	"errors"
	"maps"
	"testing"
	"time"

	"github.com/DATA-DOG/go-sqlmock"
	"github.com/go-sql-driver/mysql"
	"github.com/jmoiron/sqlx"

	"github.com/masixun71/cupid/pkg/mariadb"
	"github.com/masixun71/cupid/pkg/mariadb/mariadbtest"
	"github.com/masixun71/cupid/pkg/table"
)

// session is a connection of its own. Its locks go with the test.
func session(t *testing.T, d *mariadbtest.Database) *sqlx.Conn {
	t.Helper()
	c, err := d.DB.Connx(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_, err := c.ExecContext(context.WithoutCancel(t.Context()), "UNLOCK TABLES")
		if err := errors.Join(err, c.Close()); err != nil {
			t.Error(err)
		}
	})
	return c
}

func execOn(t *testing.T, c *sqlx.Conn, statements ...string) {
	t.Helper()
	for _, s := range statements {
		if _, err := c.ExecContext(t.Context(), s); err != nil {
			t.Fatalf("%s: %v", s, err)
		}
	}
}

// A statement takes its NOW() before it waits for a lock of the server, and its transaction
// starts after that: neither may be taken for younger than it is.
func TestG2StatementThatWaitsForALockIsAsOldAsItsBegin(t *testing.T) {
	for server, db := range servers() {
		t.Run(server, func(t *testing.T) {
			for _, lock := range []string{"LOCK TABLES t READ", "FLUSH TABLES WITH READ LOCK"} {
				t.Run(lock, func(t *testing.T) {
					var d *mariadbtest.Database
					if server == "mariadb" {
						d = alone(t) // other tests would wait for a global lock
					} else {
						d = db(t)
					}
					s := sourceOf(t, d, "id INT PRIMARY KEY, u DATETIME(6)")
					d.Exec(t, "INSERT INTO t VALUES (1, NULL)")
					writer := session(t, d)
					holder := session(t, d) // whose locks go first
					execOn(t, writer, "START TRANSACTION")
					execOn(t, holder, lock)
					done := make(chan error, 1)
					go func() {
						_, err := writer.ExecContext(context.WithoutCancel(t.Context()), "UPDATE t SET u = NOW(6)")
						done <- err
					}()
					until(t, func() bool { return !clock(t, s).Oldest.IsZero() }, "the statement that waits does not show")
					wait(t, 3*time.Second)
					during := clock(t, s).Oldest
					execOn(t, holder, "UNLOCK TABLES")
					if err := <-done; err != nil {
						t.Fatal(err)
					}
					s.ForgetList()
					after := clock(t, s).Oldest // the transaction is open and idle
					var stamp string
					if err := writer.GetContext(t.Context(), &stamp, "SELECT CAST(UNIX_TIMESTAMP(u) AS CHAR) FROM t"); err != nil {
						t.Fatal(err)
					}
					written := unixTime(t, stamp)
					for what, got := range map[string]time.Time{"that waits": during, "that went on": after} {
						if got.IsZero() || got.After(written) || written.Sub(got) > 3*time.Second {
							t.Errorf("a statement %s began at %v as it seems, and wrote %v", what, got, written)
						}
					}
					execOn(t, writer, "COMMIT")
					until(t, func() bool { return clock(t, s).Oldest.IsZero() }, "a statement that waited shows after its transaction")
				})
			}
		})
	}
}

// alone is a database on a server of its own.
func alone(t *testing.T) *mariadbtest.Database {
	t.Helper()
	return mariadbtest.Alone(t, mariadb.Options{TCP: true})
}

func unixTime(t *testing.T, text string) time.Time {
	t.Helper()
	d, err := time.ParseDuration(text + "s")
	if err != nil {
		t.Fatal(err)
	}
	return time.Unix(0, 0).Add(d)
}

// wait lets time pass on a real server.
func wait(t *testing.T, d time.Duration) {
	t.Helper()
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-t.Context().Done():
	}
}

// Threads that wait for work, such as that of the event scheduler, do not hold anything up.
func TestThreadsThatWaitForWorkAreNoStatementsThatWait(t *testing.T) {
	d := alone(t)
	s := sourceOf(t, d, "id INT PRIMARY KEY")
	d.Exec(t, "SET GLOBAL event_scheduler = ON", "CREATE EVENT e ON SCHEDULE AT NOW() + INTERVAL 1 DAY DO SET @a = 1")
	wait(t, 1100*time.Millisecond)
	if c := clock(t, s); !c.Visible || !c.Oldest.IsZero() {
		t.Errorf("clock %+v, want no transaction", c)
	}
}

func TestStatementThatWaitedIsFollowed(t *testing.T) {
	type list struct {
		waits map[uint64]int64
		open  map[uint64]string
		want  map[uint64]int64
	}
	for name, lists := range map[string][]list{
		"into its transaction, until that ends": {
			{waits: map[uint64]int64{1: 100}, want: map[uint64]int64{1: 100}},
			{want: map[uint64]int64{1: 100}}, // between the two
			{open: map[uint64]string{1: "a"}, want: map[uint64]int64{1: 100}},
			{open: map[uint64]string{1: "a", 2: "b"}, want: map[uint64]int64{1: 100}},
			{want: map[uint64]int64{1: 100}},
			{want: map[uint64]int64{}},
		},
		"not into the next transaction of its connection": {
			{waits: map[uint64]int64{1: 100}, want: map[uint64]int64{1: 100}},
			{open: map[uint64]string{1: "a"}, want: map[uint64]int64{1: 100}},
			{open: map[uint64]string{1: "b"}, want: map[uint64]int64{}},
		},
		"not into the next one that waits": {
			{waits: map[uint64]int64{1: 100}, want: map[uint64]int64{1: 100}},
			{waits: map[uint64]int64{1: 200}, want: map[uint64]int64{1: 200}},
		},
		"through all that wait in one transaction": {
			{waits: map[uint64]int64{1: 100}, open: map[uint64]string{1: "a"}, want: map[uint64]int64{1: 100}},
			{waits: map[uint64]int64{1: 200}, open: map[uint64]string{1: "a"}, want: map[uint64]int64{1: 100}},
		},
		"beside others": {
			{waits: map[uint64]int64{1: 100, 2: 90}, want: map[uint64]int64{1: 100, 2: 90}},
			{waits: map[uint64]int64{2: 90}, open: map[uint64]string{1: "a"}, want: map[uint64]int64{1: 100, 2: 90}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			var w table.Waited
			for i, l := range lists {
				if got := w.Follow(l.waits, l.open); !maps.Equal(got, l.want) {
					t.Errorf("after list %d: %v, want %v", i, got, l.want)
				}
			}
		})
	}
}

// A server that does not say which statements wait shows its transactions all the same.
func TestServerWithoutAListOfStatements(t *testing.T) {
	db, mock := mocked(t)
	s := table.NewSource(table.SideOptions{Name: "p: src", Table: "t"})
	s.UseDB(db)
	for first := true; ; first = false {
		mock.ExpectQuery("UNIX_TIMESTAMP").WillReturnRows(sqlmock.NewRows([]string{"now"}).AddRow(int64(1_700_000_000_000_000)))
		if first {
			mock.ExpectQuery("SHOW ALL SLAVES STATUS").WillReturnRows(sqlmock.NewRows([]string{"Seconds_Behind_Master"}))
			mock.ExpectQuery("SHOW GLOBAL VARIABLES").WillReturnRows(sqlmock.NewRows([]string{"Variable_name", "Value"}))
			gone := &mysql.MySQLError{Number: 1109, Message: "Unknown table 'PROCESSLIST' in information_schema"}
			mock.ExpectQuery("information_schema.PROCESSLIST").WillReturnError(gone)
			mock.ExpectQuery("performance_schema.processlist").WillReturnError(&mysql.MySQLError{Number: 1142, Message: "SELECT command denied"})
		}
		mock.ExpectExec("START TRANSACTION").WillReturnResult(sqlmock.NewResult(0, 0))
		mock.ExpectQuery("INNODB_TRX").WillReturnRows(sqlmock.NewRows([]string{"oldest", "own", "listed"}).AddRow(int64(5), int64(9), 1))
		mock.ExpectExec("COMMIT").WillReturnResult(sqlmock.NewResult(0, 0))
		s.ForgetList()
		if c := clock(t, s); !c.Visible || c.Oldest.Unix() != 5 {
			t.Errorf("clock %+v", c)
		}
		if !first {
			break
		}
	}
	mock.ExpectClose()
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}
