package mariadbtest

import (
	"fmt"
	"testing"
	"time"

	"github.com/jmoiron/sqlx"

	"github.com/masixun71/cupid/pkg/mariadb"
)

// arriveLimit bounds how long the replica may take to get the database, arrivePoll is how
// often it is asked for it.
const (
	arriveLimit = 30 * time.Second
	arrivePoll  = 20 * time.Millisecond
)

// Replicated starts two servers for one test alone, a primary and a replica that gets all of it, and
// makes a database. args are given to the replica, which may be written to without them. Both
// end with the test.
func Replicated(tb testing.TB, args ...string) (primary, replica *Database) {
	tb.Helper()
	primary = Alone(tb, mariadb.Options{TCP: true, Args: []string{"--server-id=1", "--log-bin=binlog"}})
	two := Start(tb, mariadb.Options{TCP: true, Args: append([]string{"--server-id=2", "--slave-net-timeout=10"}, args...)})
	root, err := sqlx.Open("mysql", two.DSN(""))
	if err != nil {
		tb.Fatal(err)
	}
	defer func() { _ = root.Close() }() // its statements were answered
	for _, statement := range []string{
		fmt.Sprintf("CHANGE MASTER TO MASTER_HOST = '127.0.0.1', MASTER_PORT = %d, MASTER_USER = '%s', MASTER_PASSWORD = '%s', "+
			"MASTER_CONNECT_RETRY = 1, MASTER_USE_GTID = slave_pos", primary.Port, user, password),
		"START SLAVE",
	} {
		if _, err := root.ExecContext(tb.Context(), statement); err != nil {
			tb.Fatal(err)
		}
	}
	deadline := time.NewTimer(arriveLimit)
	defer deadline.Stop()
	tick := time.NewTicker(arrivePoll)
	defer tick.Stop()
	for {
		var n int
		err := root.GetContext(tb.Context(), &n, "SELECT COUNT(*) FROM information_schema.SCHEMATA WHERE SCHEMA_NAME = ?", primary.Name)
		if err == nil && n == 1 {
			return primary, connect(tb, account(two), primary.Name, "127.0.0.1", two.Port())
		}
		select {
		case <-tick.C:
		case <-deadline.C:
			tb.Fatalf("the replica has no database %s: %v", primary.Name, err)
		}
	}
}
