package table_test

import (
	"database/sql/driver"
	"errors"
	"strings"
	"testing"

	"github.com/DATA-DOG/go-sqlmock"
	"github.com/go-sql-driver/mysql"
	"github.com/jmoiron/sqlx"

	"github.com/masixun71/cupid/pkg/chunk"
	"github.com/masixun71/cupid/pkg/row"
	"github.com/masixun71/cupid/pkg/table"
)

// These tests are about answers that a server does not give on demand.

// mocked is a pool whose statements and answers a test scripts.
func mocked(t *testing.T) (*sqlx.DB, sqlmock.Sqlmock) {
	t.Helper()
	return mockedBy(t, sqlmock.QueryMatcherRegexp)
}

// mockedBy is mocked with another way to tell a statement.
func mockedBy(t *testing.T, matcher sqlmock.QueryMatcher) (*sqlx.DB, sqlmock.Sqlmock) {
	t.Helper()
	db, mock, err := sqlmock.New(sqlmock.QueryMatcherOption(matcher))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := mock.ExpectationsWereMet(); err != nil {
			t.Error(err)
		}
	})
	mock.MatchExpectationsInOrder(true)
	return sqlx.NewDb(db, "sqlmock"), mock
}

// expectTable scripts the metadata of a table of id, k and v on a MySQL.
func expectTable(mock sqlmock.Sqlmock) {
	mock.ExpectQuery("SELECT VERSION").WillReturnRows(sqlmock.NewRows([]string{"version", "zone", "systemzone", "identity"}).
		AddRow("8.4.0", "SYSTEM", "UTC", "h 3306"))
	rows := sqlmock.NewRows([]string{"t", "name", "datatype", "columntype", "length", "octets", "prec", "scale", "fsp", "cs", "coll", "nullable", "extra"})
	for _, name := range []string{"id", "k", "v"} {
		rows.AddRow("t", name, "int", "int", nil, nil, 10, 0, nil, nil, nil, "NO", "")
	}
	mock.ExpectQuery("FROM information_schema.COLUMNS").WithArgs("t").WillReturnRows(rows)
	mock.ExpectQuery("FROM information_schema.STATISTICS").WithArgs("t").
		WillReturnRows(sqlmock.NewRows([]string{"name", "nonunique", "col"}).AddRow("PRIMARY", 0, "id"))
}

func mockedPair(t *testing.T) (p *table.Pair, src, des sqlmock.Sqlmock) {
	t.Helper()
	srcDB, src := mocked(t)
	desDB, des := mocked(t)
	p = table.NewPair(table.PairOptions{
		Source:      table.SideOptions{Name: "p: src", Table: "t", By: []string{"k"}},
		Destination: table.SideOptions{Name: "p: des", Table: "t", By: []string{"k"}},
		Columns:     []table.ColumnPair{{Src: "v", Des: "v"}},
	})
	p.UseDB(srcDB, desDB)
	expectTable(src)
	expectTable(des)
	t.Cleanup(func() {
		src.ExpectClose()
		des.ExpectClose()
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	})
	return p, src, des
}

const rangeText = "SELECT `id`, `k`, `v` FROM `t` WHERE `id` > ? AND `id` <= ?"

var someRange = chunk.Chunk{Pair: "p", Scan: chunk.Insert, After: &chunk.Position{ID: "1"}, UpTo: chunk.Position{ID: "9"}}

func quoteMeta(text string) string {
	return strings.NewReplacer("(", `\(`, ")", `\)`, "?", `\?`, "*", `\*`, "+", `\+`).Replace(text)
}

func TestAConnectionThatBreaksAmongTheRowsGivesNoBatch(t *testing.T) {
	p, src, _ := mockedPair(t)
	rows := sqlmock.NewRows([]string{"id", "k", "v"}).AddRow(int64(2), int64(2), int64(2)).AddRow(int64(3), int64(3), int64(3))
	src.ExpectPrepare(quoteMeta(rangeText)).ExpectQuery().WithArgs(int64(1), int64(9)).WillReturnRows(rows.RowError(1, mysql.ErrInvalidConn))
	_, err := p.ReadRange(t.Context(), someRange)
	if !errors.Is(err, mysql.ErrInvalidConn) {
		t.Fatalf("error %v, want %v", err, mysql.ErrInvalidConn)
	}
	if _, fault := errors.AsType[*table.Fault](err); fault {
		t.Errorf("a broken connection is a fault: %v", err)
	}
	if got, want := err.Error(), "p: src: read p insert (1, 9]: "; !strings.HasPrefix(got, want) {
		t.Errorf("error %q does not begin with %q", got, want)
	}
}

func TestADeadlockIsNoFaultAndKeepsTheMetadata(t *testing.T) {
	p, src, _ := mockedPair(t)
	for range 2 { // the second read asks for no metadata again
		src.ExpectPrepare(quoteMeta(rangeText)).ExpectQuery().WithArgs(int64(1), int64(9)).
			WillReturnError(&mysql.MySQLError{Number: 1213, Message: "Deadlock found"})
		_, err := p.ReadRange(t.Context(), someRange)
		if _, fault := errors.AsType[*table.Fault](err); err == nil || fault {
			t.Errorf("error %v, want one that passes", err)
		}
	}
}

func TestAValueOfAnotherTypeReadsTheMetadataAnew(t *testing.T) {
	p, src, des := mockedPair(t)
	read := src.ExpectPrepare(quoteMeta(rangeText)).ExpectQuery().WithArgs(int64(1), int64(9))
	read.WillReturnRows(sqlmock.NewRows([]string{"id", "k", "v"}).AddRow(int64(2), int64(2), []byte("text")))
	if _, err := p.ReadRange(t.Context(), someRange); err == nil {
		t.Fatal("a text was read as an INT")
	}
	expectTable(src)
	expectTable(des)
	read = src.ExpectPrepare(quoteMeta(rangeText)).ExpectQuery().WithArgs(int64(1), int64(9))
	read.WillReturnRows(sqlmock.NewRows([]string{"id", "k", "v"}).AddRow(int64(2), int64(2), int64(2)))
	batch, err := p.ReadRange(t.Context(), someRange)
	if err != nil || batch.Len() != 1 {
		t.Errorf("%v rows, error %v", batch, err)
	}
}

func TestKeysAreBoundSortedOnceAndPadded(t *testing.T) {
	p, _, des := mockedPair(t)
	text := "SELECT `k`, `v` FROM `t` WHERE `k` IN (?, ?, ?, ?, ?, ?, ?, ?)"
	var args []driver.Value
	for _, n := range []int64{-1, 2, 10, 10, 10, 10, 10, 10} {
		args = append(args, n)
	}
	des.ExpectPrepare("^" + quoteMeta(text) + "$").ExpectQuery().WithArgs(args...).
		WillReturnRows(sqlmock.NewRows([]string{"k", "v"}))
	var keys []row.Key
	for _, k := range []string{"10", "2", "-1", "2", "10"} {
		keys = append(keys, row.NewKey([]byte(k)))
	}
	if _, err := p.ReadDestination(t.Context(), keys); err != nil {
		t.Fatal(err)
	}
}

func TestTheListOfTransactionsMustBeFresh(t *testing.T) {
	db, mock := mocked(t)
	s := table.NewSource(table.SideOptions{Name: "p: src", Table: "t"})
	s.UseDB(db)
	first := true
	clock := func(own ...int64) table.Clock {
		t.Helper()
		mock.ExpectQuery("UNIX_TIMESTAMP").WillReturnRows(sqlmock.NewRows([]string{"now"}).AddRow(int64(1_700_000_000_000_000)))
		if first { // the server's role is believed for a while
			mock.ExpectQuery("SHOW ALL SLAVES STATUS").WillReturnRows(sqlmock.NewRows([]string{"Seconds_Behind_Master"}))
			mock.ExpectQuery("SHOW GLOBAL VARIABLES").WillReturnRows(sqlmock.NewRows([]string{"Variable_name", "Value"}))
			first = false
		}
		mock.ExpectQuery("information_schema.PROCESSLIST").WillReturnRows(sqlmock.NewRows([]string{"id", "since"}))
		mock.ExpectExec("START TRANSACTION").WillReturnResult(sqlmock.NewResult(0, 0))
		for _, o := range own {
			rows := sqlmock.NewRows([]string{"oldest", "own", "listed"})
			if o == 0 {
				rows.AddRow(int64(5), nil, 0)
			} else {
				rows.AddRow(nil, o, 0)
			}
			mock.ExpectQuery("INNODB_TRX").WillReturnRows(rows)
		}
		mock.ExpectExec("COMMIT").WillReturnResult(sqlmock.NewResult(0, 0))
		s.ForgetList()
		c, err := s.Clock(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	// A list without our own transaction is from before it: its oldest says nothing.
	if c := clock(0, 100); !c.Visible || !c.Oldest.IsZero() {
		t.Errorf("clock %+v", c)
	}
	// One that has it may be as old as our last transaction.
	if c := clock(100, 100, 101); !c.Visible {
		t.Errorf("clock %+v", c)
	}
	// If none ever gets fresh, nothing is known.
	if c := clock(101, 101, 101, 101, 101); c.Visible || !c.Oldest.IsZero() {
		t.Errorf("clock %+v", c)
	}
	mock.ExpectClose()
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}
