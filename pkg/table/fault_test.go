package table_test

import (
	"context"
	"errors"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/masixun71/cupid/pkg/mariadb/mariadbtest"
	"github.com/masixun71/cupid/pkg/row"
	"github.com/masixun71/cupid/pkg/secret"
	"github.com/masixun71/cupid/pkg/table"
)

const readerPassword = "the-readers-password"

// readerName is the account that may do what a test grants it. One per database.
func readerName(d *mariadbtest.Database) string { return "r" + d.Name[max(0, len(d.Name)-20):] }

// reader makes an account with these privileges.
func reader(t *testing.T, d *mariadbtest.Database, privileges ...string) {
	t.Helper()
	for _, host := range []string{"localhost", "%"} {
		account := "'" + readerName(d) + "'@'" + host + "'"
		d.Exec(t, "CREATE USER "+account+" IDENTIFIED BY '"+readerPassword+"'")
		for _, p := range privileges {
			d.Exec(t, "GRANT "+p+" TO "+account)
		}
		t.Cleanup(func() {
			if _, err := d.DB.ExecContext(context.WithoutCancel(t.Context()), "DROP USER "+account); err != nil {
				t.Error(err)
			}
		})
	}
}

// asReader makes a side log in as the reader.
func asReader(d *mariadbtest.Database) func(*table.SideOptions) {
	return func(o *table.SideOptions) { o.DSN = o.DSN.With(readerName(d), secret.New(readerPassword)) }
}

// wantFault checks that err is a Fault that says so.
func wantFault(t *testing.T, err error, says ...string) {
	t.Helper()
	f, ok := errors.AsType[*table.Fault](err)
	if !ok {
		t.Fatalf("error %v is no fault, want one that says %q", err, says)
	}
	for _, s := range says {
		if !strings.Contains(f.Error(), s) {
			t.Errorf("fault %q does not say %q", f, s)
		}
	}
	if strings.Contains(err.Error(), readerPassword) {
		t.Errorf("fault %q holds the password", err)
	}
}

func TestFaults(t *testing.T) {
	for server, db := range servers() {
		t.Run(server, func(t *testing.T) {
			for _, c := range []struct {
				name   string
				change func(*table.PairOptions)
				says   []string
			}{
				{"wrong password", func(o *table.PairOptions) {
					o.Source.DSN = o.Source.DSN.With("nobody-"+o.Source.DSN.Database, secret.New(readerPassword))
				}, []string{"p: src: ", "refuses user", "check user and password"}},
				{"no database", func(o *table.PairOptions) { o.Destination.DSN.Database = "nowhere" }, []string{"p: des: ", `database "nowhere"`}},
				{"no table", func(o *table.PairOptions) { o.Source.Table = "orders" }, []string{"p: src: ", "no table `orders`"}},
				{"no column", func(o *table.PairOptions) { o.Columns[0].Des = "nmae" }, []string{"p: des: ", "no column `nmae` (columns)", "did you mean `name`?"}},
				{"no key", func(o *table.PairOptions) { o.Source.By = []string{"number"} }, []string{"p: src: ", "no column `number` (byColumn)"}},
				{"no id", func(o *table.PairOptions) { o.Source.IDColumn = "idd" }, []string{"no column `idd` (idColumn)", "did you mean `id`?"}},
				{"no update column", func(o *table.PairOptions) { o.Source.UpdateColumn = "update_tme" }, []string{"did you mean `update_time`?"}},
				{"keys of two lengths", func(o *table.PairOptions) { o.Source.By = []string{"k", "id"} }, []string{"byColumn has 2 columns on the source and 1"}},
				{"types without a common form", func(o *table.PairOptions) { o.Columns[0] = table.ColumnPair{Src: "update_time", Des: "k"} }, []string{"no common form"}},
				{"an unknown zone", func(o *table.PairOptions) {
					o.Columns[0] = table.ColumnPair{Src: "update_time", Des: "at"}
					o.Source.TimeZone = "Atlantis/Capital"
				}, []string{"p: des: ", `does not know time zone "Atlantis/Capital"`}},
				{"a condition that is none", func(o *table.PairOptions) { o.Source.Where = "name ==" }, []string{"does not understand", "check where"}},
				{"a condition on no column", func(o *table.PairOptions) { o.Source.Where = "nmae = 1" }, []string{"nmae", "check columns and where"}},
			} {
				t.Run(c.name, func(t *testing.T) {
					w := newWorld(t, db, "name VARCHAR(20), update_time DATETIME, at TIMESTAMP NULL", "", c.change)
					_, err := w.pair.ReadSource(t.Context(), []string{"1"})
					wantFault(t, err, c.says...)
				})
			}
		})
	}
}

func TestMissingPrivilege(t *testing.T) {
	for server, db := range servers() {
		t.Run(server, func(t *testing.T) {
			w := newWorld(t, db, "v INT", "")
			d := w.src
			d.Exec(t, "CREATE TABLE other (id INT)")
			reader(t, d, "SELECT ON `"+d.Name+"`.other")
			asReader(d)(&w.options.Source)
			w.open(t)
			err := w.pair.Load(t.Context())
			wantFault(t, err, "GRANT SELECT ON `"+d.Name+"`.`t`")
		})
	}
}

func TestUnreachableServerIsNoFault(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	o := side(t, "p: src", mariadbtest.New(t))
	o.DSN.Net, o.DSN.Addr = "tcp", addr
	o.DSN = o.DSN.With("u", secret.New(readerPassword))
	p := table.NewPair(table.PairOptions{Source: o, Destination: o})
	defer func() {
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	}()
	_, err = p.ReadSource(t.Context(), []string{"1"})
	if _, fault := errors.AsType[*table.Fault](err); err == nil || fault {
		t.Errorf("error %v, want one that passes", err)
	} else if strings.Contains(err.Error(), readerPassword) || !strings.Contains(err.Error(), "p: src: ") {
		t.Errorf("error %q", err)
	}
}

func TestQueryTimeout(t *testing.T) {
	for server, db := range servers() {
		t.Run(server, func(t *testing.T) {
			w := newWorld(t, db, "v INT", "", func(o *table.PairOptions) {
				o.Source.Where = "SLEEP(30) = 0 OR SLEEP(30) = 0"
				o.Source.QueryTimeout = 300 * time.Millisecond
			})
			w.both(t, 1, "1")
			start := time.Now()
			_, err := w.pair.ReadSource(t.Context(), []string{"1"})
			if took := time.Since(start); err == nil || took > 10*time.Second {
				t.Errorf("after %v: error %v", took, err)
			}
			if _, fault := errors.AsType[*table.Fault](err); fault {
				t.Errorf("a slow query is a fault: %v", err)
			}
			if !strings.Contains(err.Error(), "query timeout") {
				t.Errorf("error %q does not say that the query was slow", err)
			}
		})
	}
}

func TestCancelEndsAQuery(t *testing.T) {
	w := newWorld(t, mariadbtest.New, "v INT", "", func(o *table.PairOptions) {
		o.Source.Where = "SLEEP(30) = 0"
	})
	w.both(t, 1, "1")
	if err := w.pair.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	reason := errors.New("the test has seen enough")
	ctx, cancel := context.WithCancelCause(t.Context())
	done := make(chan error)
	go func() {
		_, err := w.pair.ReadSource(ctx, []string{"1"})
		done <- err
	}()
	until(t, func() bool {
		var n int
		if err := w.src.DB.GetContext(t.Context(), &n, "SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE INFO LIKE '%SLEEP(30)%' AND ID <> CONNECTION_ID()"); err != nil {
			t.Fatal(err)
		}
		return n > 0
	}, "the query does not run")
	cancel(reason)
	select {
	case err := <-done:
		if !errors.Is(err, reason) {
			t.Errorf("error %v, want %v", err, reason)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("the query goes on")
	}
}

func TestATableThatChangesIsReadAnew(t *testing.T) {
	for server, db := range servers() {
		t.Run(server, func(t *testing.T) {
			w := newWorld(t, db, "v INT", "")
			w.both(t, 1, "1")
			w.wantFound(t)
			w.src.Exec(t, "ALTER TABLE t CHANGE v w INT")
			_, err := w.pair.ReadSource(t.Context(), []string{"1"})
			wantFault(t, err, "v")
			_, err = w.pair.ReadSource(t.Context(), []string{"1"})
			wantFault(t, err, "no column `v`")
			w.src.Exec(t, "ALTER TABLE t CHANGE w v VARCHAR(20)", "UPDATE t SET v = 'x'")
			w.wantFound(t, "1 different v")
			// A type that changes under the remembered rules is noticed by its values.
			w.src.Exec(t, "ALTER TABLE t ADD x INT FIRST")
			w.wantFound(t, "1 different v")
		})
	}
}

func TestClosedPair(t *testing.T) {
	w := newWorld(t, mariadbtest.New, "v INT", "")
	w.both(t, 1, "1")
	w.wantFound(t)
	if err := w.pair.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := w.pair.ReadDestination(t.Context(), []row.Key{row.NewKey([]byte("1"))}); err == nil {
		t.Error("a closed pair reads")
	}
	if err := w.pair.Ping(t.Context()); err == nil {
		t.Error("a closed pair answers")
	}
}
