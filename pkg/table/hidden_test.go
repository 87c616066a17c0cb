package table_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/DATA-DOG/go-sqlmock"
	"github.com/go-sql-driver/mysql"

	"github.com/masixun71/cupid/pkg/mariadb/mariadbtest"
	"github.com/masixun71/cupid/pkg/table"
)

// An index that the server does not let reads use is not followed, and makes its key unique all the same.
func TestIgnoredIndexIsNotFollowed(t *testing.T) {
	w := newWorld(t, mariadbtest.New, "k BIGINT NOT NULL, v INT, UNIQUE uk (k)", "", func(o *table.PairOptions) {
		o.Columns = []table.ColumnPair{{Src: "v", Des: "v"}}
	})
	w.fill(t, w.src, 60_000)
	w.fill(t, w.des, 60_000)
	if plan := w.sweep(t); plan.Mode != table.SweepByBucket {
		t.Fatalf("plan %+v, want a sweep by buckets", plan)
	}
	w.open(t)
	if err := w.pair.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.src.Exec(t, "ALTER TABLE t ALTER INDEX uk IGNORED")
	// Known from before, and refused now.
	if plan := w.sweep(t); plan.Mode != table.SweepByKey {
		t.Errorf("plan %+v, want ranges as long as nobody knows of the index", plan)
	}
	w.pair.Age(table.MetaAge)
	plan := w.sweep(t)
	if plan.Mode != table.SweepByRow || !strings.Contains(plan.Why, "no index of p: src begins with byColumn") {
		t.Errorf("plan %+v, want a sweep by row", plan)
	}
	r := w.pair.Check(t.Context())
	if len(r.Faults) > 0 || slices.ContainsFunc(r.Warnings, func(s string) bool { return strings.Contains(s, "not unique") }) {
		t.Errorf("faults %q, warnings %q", r.Faults, r.Warnings)
	}
	w.src.Exec(t, "ALTER TABLE t ALTER INDEX uk NOT IGNORED")
	w.des.Exec(t, "ALTER TABLE t ALTER INDEX uk IGNORED")
	r = w.pair.Check(t.Context())
	if !slices.ContainsFunc(r.Warnings, func(s string) bool { return strings.Contains(s, "p: des: no index begins with byColumn") }) {
		t.Errorf("warnings %q, want that each look reads the whole table", r.Warnings)
	}
}

// fill inserts rows whose keys are scattered over their ids.
func (w *world) fill(t *testing.T, db *mariadbtest.Database, n int) {
	t.Helper()
	db.Exec(t, fmt.Sprintf("INSERT INTO t SELECT seq, seq * 7368787 %% 1000000007, 1 FROM seq_1_to_%d", n), "ANALYZE TABLE t")
}

// What calls itself a MySQL 8 and has not its columns is asked without them.
func TestServerWithoutVisibilityOfIndexes(t *testing.T) {
	db, mock := mocked(t)
	mock.ExpectQuery("SELECT VERSION").WillReturnRows(sqlmock.NewRows([]string{"version", "zone", "systemzone", "identity"}).
		AddRow("8.0.11-Imitation", "SYSTEM", "UTC", "h 3306"))
	mock.ExpectQuery("FROM information_schema.COLUMNS").WillReturnRows(sqlmock.NewRows([]string{"name", "datatype", "columntype", "nullable", "extra"}).
		AddRow("id", "int", "int", "NO", ""))
	mock.ExpectQuery("IS_VISIBLE").WillReturnError(&mysql.MySQLError{Number: 1054, Message: "Unknown column 'IS_VISIBLE'"})
	mock.ExpectQuery(`0 AS hidden\s+FROM`).WillReturnRows(sqlmock.NewRows([]string{"name", "nonunique", "col"}).AddRow("PRIMARY", 0, "id"))
	s := table.NewSource(table.SideOptions{Name: "p: src", Table: "t"})
	s.UseDB(db)
	if _, err := s.ServerGivesIDs(t.Context()); err != nil {
		t.Error(err)
	}
	mock.ExpectClose()
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}
