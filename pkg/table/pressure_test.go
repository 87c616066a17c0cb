package table_test

import (
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/DATA-DOG/go-sqlmock"
	"github.com/go-sql-driver/mysql"

	"github.com/masixun71/cupid/pkg/table"
)

func TestPressureAndEstimateOfRealServers(t *testing.T) {
	for name, db := range servers() {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, db, "v INT", "")
			for i := range 50 {
				w.insert(t, w.src, i+1, "1")
			}
			w.src.Exec(t, "ANALYZE TABLE t")
			threads, lag, known, err := w.pair.Gauge().Pressure(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if threads < 1 || lag != 0 || !known {
				t.Errorf("%d threads, lag %v, known %v, want at least our own thread and no lag of a server that is no replica", threads, lag, known)
			}
			got, err := w.pair.EstimatedRows(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if got < 25 || got > 100 {
				t.Errorf("estimated %d rows, there are 50", got)
			}
		})
	}
}

func TestAccountWithoutPrivilegeSeesNoLag(t *testing.T) {
	for name, db := range servers() {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, db, "v INT", "")
			reader(t, w.src, "SELECT ON `"+w.src.Name+"`.*")
			w.open(t, func(o *table.PairOptions) { asReader(w.src)(&o.Source) })
			g := w.pair.Gauge()
			for range 2 { // the second time nobody is asked
				threads, lag, known, err := g.Pressure(t.Context())
				if err != nil || threads < 1 || lag != 0 || known {
					t.Errorf("%d threads, lag %v, known %v, error %v, want the threads and no word on the lag", threads, lag, known, err)
				}
			}
		})
	}
}

// gaugeOf has two scripted servers.
func gaugeOf(t *testing.T, matcher sqlmock.QueryMatcher) (g *table.Gauge, src, des sqlmock.Sqlmock) {
	t.Helper()
	srcDB, src := mockedBy(t, matcher)
	desDB, des := mockedBy(t, matcher)
	p := table.NewPair(table.PairOptions{
		Source:      table.SideOptions{Name: "p: src", Table: "t", By: []string{"k"}},
		Destination: table.SideOptions{Name: "p: des", Table: "t", By: []string{"k"}},
	})
	p.UseDB(srcDB, desDB)
	t.Cleanup(func() {
		src.ExpectClose()
		des.ExpectClose()
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	})
	return p.Gauge(), src, des
}

func expectThreads(mock sqlmock.Sqlmock, n string) {
	mock.ExpectQuery("SHOW GLOBAL STATUS").WillReturnRows(sqlmock.NewRows([]string{"Variable_name", "Value"}).AddRow("Threads_running", n))
}

var unparsed = &mysql.MySQLError{Number: 1064, Message: "You have an error in your SQL syntax"}

func TestLagIsThatOfTheWorstChannel(t *testing.T) {
	g, src, des := gaugeOf(t, sqlmock.QueryMatcherRegexp)
	for i, lag := range []any{"7", "130"} { // the way to ask is remembered
		expectThreads(src, "3")
		if i == 0 {
			src.ExpectQuery("SHOW ALL SLAVES STATUS").WillReturnError(unparsed)
		}
		src.ExpectQuery("SHOW REPLICA STATUS").WillReturnRows(
			sqlmock.NewRows([]string{"Source_Host", "Seconds_Behind_Source"}).AddRow("a", "2").AddRow("b", lag))
		expectThreads(des, "40")
		des.ExpectQuery("SHOW ALL SLAVES STATUS").WillReturnRows(sqlmock.NewRows([]string{"Seconds_Behind_Master"}))
	}
	for _, want := range []time.Duration{7 * time.Second, 130 * time.Second} {
		threads, lag, known, err := g.Pressure(t.Context())
		if err != nil || threads != 40 || lag != want || !known {
			t.Errorf("%d threads, lag %v, known %v, error %v, want 40 and %v", threads, lag, known, err, want)
		}
	}
}

func TestReplicationThatStandsStillHasAnUnknownLag(t *testing.T) {
	g, src, des := gaugeOf(t, sqlmock.QueryMatcherRegexp)
	expectThreads(src, "3")
	src.ExpectQuery("SHOW ALL SLAVES STATUS").WillReturnRows(sqlmock.NewRows([]string{"Seconds_Behind_Master"}).AddRow(nil))
	expectThreads(des, "4")
	des.ExpectQuery("SHOW ALL SLAVES STATUS").WillReturnRows(sqlmock.NewRows([]string{"Seconds_Behind_Master"}).AddRow("9"))
	_, lag, known, err := g.Pressure(t.Context())
	if err != nil || lag != 9*time.Second || known {
		t.Errorf("lag %v, known %v, error %v, want that of the other side and not known", lag, known, err)
	}
}

func TestServerThatKnowsNoReplicationIsAskedOnce(t *testing.T) {
	g, src, des := gaugeOf(t, sqlmock.QueryMatcherRegexp)
	for range 2 {
		expectThreads(src, "3")
		expectThreads(des, "4")
	}
	for _, mock := range []sqlmock.Sqlmock{src, des} {
		mock.MatchExpectationsInOrder(false)
		for _, text := range []string{"SHOW ALL SLAVES STATUS", "SHOW REPLICA STATUS", "SHOW SLAVE STATUS"} {
			mock.ExpectQuery(text).WillReturnError(unparsed)
		}
	}
	for range 2 {
		if threads, lag, known, err := g.Pressure(t.Context()); err != nil || threads != 4 || lag != 0 || known {
			t.Errorf("%d threads, lag %v, known %v, error %v", threads, lag, known, err)
		}
	}
}

func TestPressureThatCannotBeReadIsAnError(t *testing.T) {
	var asked sync.WaitGroup // whoever answers first ends the other's query, which is to have begun
	asked.Add(2)
	g, src, des := gaugeOf(t, sqlmock.QueryMatcherFunc(func(string, string) error {
		asked.Done()
		asked.Wait()
		return nil
	}))
	src.ExpectQuery("SHOW GLOBAL STATUS").WillReturnError(&mysql.MySQLError{Number: 1045, Message: "Access denied"})
	des.ExpectQuery("SHOW GLOBAL STATUS").WillDelayFor(time.Hour).WillReturnRows(sqlmock.NewRows(nil))
	if _, _, _, err := g.Pressure(t.Context()); err == nil || !strings.Contains(err.Error(), "Access denied") {
		t.Errorf("error %v, want that of the source", err)
	}
}
