package table_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/masixun71/cupid/pkg/mariadb/mariadbtest"
	"github.com/masixun71/cupid/pkg/table"
)

// many makes sources that share what is on one server, on the tables t0, t1 and so on.
func many(t *testing.T, db *mariadbtest.Database, n int) []*table.Source {
	t.Helper()
	servers := &table.Servers{}
	all := make([]*table.Source, n)
	for i := range all {
		db.Exec(t, fmt.Sprintf("CREATE TABLE t%d (id INT PRIMARY KEY)", i))
		o := side(t, fmt.Sprintf("p%d: src", i), db)
		o.Table, o.Servers = fmt.Sprint("t", i), servers
		all[i] = table.NewSource(o)
		t.Cleanup(func() {
			if err := all[i].Close(); err != nil {
				t.Error(err)
			}
		})
	}
	return all
}

// together runs f for all sources at the same time.
func together(all []*table.Source, f func(s *table.Source)) {
	var wg sync.WaitGroup
	for _, s := range all {
		wg.Go(func() { f(s) })
	}
	wg.Wait()
}

// The server renews its list only when nobody has read it for a while.
func TestSourcesOfOneServerShareItsListOfTransactions(t *testing.T) {
	t.Parallel()
	all := many(t, mariadbtest.New(t), 30)
	deadline := time.Now().Add(2 * time.Second)
	for time.Now().Before(deadline) {
		together(all, func(s *table.Source) {
			c, err := s.Clock(t.Context())
			if err != nil || !c.Visible || c.Listed.IsZero() || c.Listed.After(c.Now.Add(time.Second)) {
				t.Errorf("clock %+v, error %v", c, err)
			}
		})
		if t.Failed() {
			return
		}
	}
}

func TestSourcesOfOneDatabaseShareConnections(t *testing.T) {
	t.Parallel()
	db := mariadbtest.New(t)
	all := many(t, db, 60)
	for range 2 {
		for _, s := range all {
			if _, _, err := s.Head(t.Context()); err != nil {
				t.Error(err)
			}
		}
	}
	var n int
	if err := db.DB.GetContext(t.Context(), &n, "SELECT COUNT(*) FROM information_schema.processlist WHERE db = ?", db.Name); err != nil {
		t.Fatal(err)
	}
	if n -= db.DB.Stats().OpenConnections; n > 5 { // each would have its own
		t.Errorf("%d connections for %d tables", n, len(all))
	}
}

// Tables that are locked hold up those who read them, and nobody else.
func TestG6LockedTablesHoldUpNoOther(t *testing.T) {
	t.Parallel()
	db := mariadbtest.New(t)
	all := many(t, db, 60)
	live, dead := all[0], all[1:]
	together(all, func(s *table.Source) {
		if _, _, err := s.Head(t.Context()); err != nil {
			t.Error(err)
		}
	})
	locks := "LOCK TABLES t1 WRITE"
	for i := range dead[1:] {
		locks += fmt.Sprintf(", t%d WRITE", i+2)
	}
	c, err := db.DB.Connx(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	if _, err := c.ExecContext(t.Context(), locks); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var hanging sync.WaitGroup
	defer hanging.Wait()
	defer cancel()
	for _, s := range dead {
		for range table.DefaultMaxConns {
			hanging.Go(func() { _, _, _ = s.Head(ctx) })
		}
	}
	until(t, func() bool {
		var n int
		err := db.DB.GetContext(t.Context(), &n, "SELECT COUNT(*) FROM information_schema.processlist WHERE db = ? AND state LIKE '%metadata lock%'", db.Name)
		return err == nil && n == len(dead)*table.DefaultMaxConns
	}, "not all of them hang")
	for range table.DefaultMaxConns {
		if _, _, err := live.CutIDs(t.Context(), nil, nil, 10); err != nil {
			t.Error(err)
		}
	}
	if _, err := c.ExecContext(t.Context(), "UNLOCK TABLES"); err != nil {
		t.Error(err)
	}
}
