package mariadbtest_test

import (
	"net"
	"runtime"
	"strconv"
	"testing"

	"github.com/go-sql-driver/mysql"
	"github.com/jmoiron/sqlx"
	"go.uber.org/goleak"

	"github.com/masixun71/cupid/pkg/mariadb"
	"github.com/masixun71/cupid/pkg/mariadb/mariadbtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(mariadbtest.Suite{M: m}) }

func TestDatabasesAreIsolated(t *testing.T) {
	t.Parallel()
	one, two := mariadbtest.New(t), mariadbtest.New(t)
	one.Exec(t, "CREATE TABLE t (id INT PRIMARY KEY)", "INSERT INTO t VALUES (1)")
	two.Exec(t, "CREATE TABLE t (id INT PRIMARY KEY)")
	var got int
	if err := two.DB.GetContext(t.Context(), &got, "SELECT COUNT(*) FROM t"); err != nil {
		t.Fatal(err)
	}
	if got != 0 {
		t.Errorf("rows in the second database = %d, want 0", got)
	}
}

func TestDatabaseIsDroppedAfterItsTest(t *testing.T) {
	t.Parallel()
	var name string
	t.Run("inner", func(t *testing.T) { name = mariadbtest.New(t).Name })
	var got int
	db := mariadbtest.New(t)
	if err := db.DB.GetContext(t.Context(), &got, "SELECT COUNT(*) FROM information_schema.schemata WHERE schema_name = ?", name); err != nil {
		t.Fatal(err)
	}
	if got != 0 {
		t.Errorf("database %s is still there", name)
	}
}

func TestAccountConnectsByPasswordOverTCP(t *testing.T) {
	t.Parallel()
	db := mariadbtest.New(t)
	if db.Port == 0 {
		t.Skip("the server has no TCP port")
	}
	for _, c := range []struct {
		name, password string
		works          bool
	}{{"right", db.Password, true}, {"wrong", db.Password + "x", false}} {
		t.Run(c.name, func(t *testing.T) {
			tcp, err := sqlx.Open("mysql", tcpDSN(db, c.password))
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = tcp.Close() }()
			if err := tcp.PingContext(t.Context()); (err == nil) != c.works {
				t.Errorf("ping with the %s password: %v", c.name, err)
			}
		})
	}
}

func TestReplicaGetsWhatItsPrimaryHas(t *testing.T) {
	t.Parallel()
	primary, replica := mariadbtest.Replicated(t)
	primary.Exec(t, "CREATE TABLE t (id INT PRIMARY KEY)", "INSERT INTO t VALUES (1)")
	for t.Context().Err() == nil {
		var n int
		if err := replica.DB.GetContext(t.Context(), &n, "SELECT COUNT(*) FROM t"); err == nil && n == 1 {
			return
		}
		runtime.Gosched()
	}
}

func TestProcessPrivilegeCanBeWithheld(t *testing.T) {
	t.Parallel()
	mariadbtest.Each(t, func(t *testing.T, fresh func() *mariadbtest.Database) {
		t.Helper()
		db := fresh()
		less := db.Name + "_u"
		db.Exec(t, "CREATE USER "+less+" IDENTIFIED BY 'pw'", "GRANT SELECT ON "+db.Name+".* TO "+less)
		t.Cleanup(func() {
			if _, err := db.DB.Exec("DROP USER " + less); err != nil {
				t.Error(err)
			}
		})
		if db.Port == 0 {
			t.Skip("the server has no TCP port")
		}
		limited := *db
		limited.User = less
		conn, err := sqlx.Open("mysql", tcpDSN(&limited, "pw"))
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = conn.Close() }()
		var n int
		if err := conn.GetContext(t.Context(), &n, "SELECT COUNT(*) FROM information_schema.innodb_trx"); err == nil {
			t.Error("an account without PROCESS read innodb_trx")
		}
		if err := db.DB.GetContext(t.Context(), &n, "SELECT COUNT(*) FROM information_schema.innodb_trx"); err != nil {
			t.Errorf("the account with all privileges: %v", err)
		}
	})
}

func tcpDSN(db *mariadbtest.Database, password string) string {
	c := mysql.NewConfig()
	c.User, c.Passwd, c.DBName = db.User, password, db.Name
	c.Net, c.Addr = "tcp", net.JoinHostPort(db.Host, strconv.Itoa(db.Port))
	return c.FormatDSN()
}

func TestServersOfTheEnvironment(t *testing.T) {
	other := mariadbtest.Start(t, mariadb.Options{})
	for _, variable := range []string{"CUPID_TEST_DSN", "CUPID_TEST_MYSQL_DSN"} {
		t.Run(variable, func(t *testing.T) {
			t.Setenv("CUPID_TEST_DSN", "")
			t.Setenv("CUPID_TEST_MYSQL_DSN", "")
			t.Setenv(variable, other.DSN(""))
			var sockets []string
			mariadbtest.Each(t, func(t *testing.T, fresh func() *mariadbtest.Database) {
				t.Helper()
				db := fresh()
				db.Exec(t, "CREATE TABLE t (id INT)")
				sockets = append(sockets, db.Socket)
			})
			want := map[string]int{"CUPID_TEST_DSN": 1, "CUPID_TEST_MYSQL_DSN": 2}[variable]
			if len(sockets) != want || sockets[want-1] != other.Socket() {
				t.Errorf("ran on %q, want %d, the last on %s", sockets, want, other.Socket())
			}
		})
	}
}
