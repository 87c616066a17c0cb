package table_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/masixun71/cupid/pkg/mariadb/mariadbtest"
	"github.com/masixun71/cupid/pkg/row"
	"github.com/masixun71/cupid/pkg/table"
)

// changes collects what a world hears of altered tables.
type changes struct {
	mu  sync.Mutex
	all []string
}

func (c *changes) hear(o *table.PairOptions) {
	take := func(one table.Change) {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.all = append(c.all, fmt.Sprintf("%s %s: %s → %s", one.Side, one.What, one.From, one.To))
	}
	o.Source.Altered, o.Destination.Altered = take, take
}

func (c *changes) want(t *testing.T, want ...string) {
	t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	if !slices.Equal(c.all, want) {
		t.Errorf("heard %q, want %q", c.all, want)
	}
}

// An ALTER that no read fails of is noticed when the metadata is old.
func TestG3AlterWithoutAnErrorIsNoticed(t *testing.T) {
	for _, c := range []struct {
		name               string
		columns, values    string
		alterSrc, alterDes string // may be empty
		change             string // of the source's row, after it
		stale, fresh       []string
		heard              []string
	}{
		{
			name: "key from INT to BIGINT", columns: "k INT NOT NULL UNIQUE, v INT", values: "1, 1, 1",
			alterSrc: "ALTER TABLE t MODIFY k BIGINT NOT NULL", alterDes: "ALTER TABLE t MODIFY k BIGINT NOT NULL",
			change: "UPDATE t SET k = 3000000000", stale: []string{"1 missing"},
			heard: []string{"p: src k: int(11) NOT NULL → bigint(20) NOT NULL", "p: des k: int(11) NOT NULL → bigint(20) NOT NULL"},
		},
		{
			name: "one side from TIMESTAMP to DATETIME", columns: "v TIMESTAMP NOT NULL", values: "1, 1, '2024-05-01 12:00:00'",
			alterDes: "ALTER TABLE t MODIFY v DATETIME NOT NULL", stale: []string{"1 different v"},
			heard: []string{"p: des v: timestamp NOT NULL → datetime NOT NULL"},
		},
		{
			name: "both sides get more digits", columns: "v DATETIME NOT NULL", values: "1, 1, '2024-05-01 12:00:00'",
			alterSrc: "ALTER TABLE t MODIFY v DATETIME(3) NOT NULL", alterDes: "ALTER TABLE t MODIFY v DATETIME(3) NOT NULL",
			change: "UPDATE t SET v = '2024-05-01 12:00:00.001' WHERE id = 1", fresh: []string{"1 different v"},
			heard: []string{"p: src v: datetime NOT NULL → datetime(3) NOT NULL", "p: des v: datetime NOT NULL → datetime(3) NOT NULL"},
		},
		{
			name: "both sides from FLOAT to DOUBLE", columns: "v FLOAT", values: "1, 1, 0.5",
			alterSrc: "ALTER TABLE t MODIFY v DOUBLE", alterDes: "ALTER TABLE t MODIFY v DOUBLE",
			change: "UPDATE t SET v = 0.50000000001 WHERE id = 1", fresh: []string{"1 different v"},
			heard: []string{"p: src v: float NULL → double NULL", "p: des v: float NULL → double NULL"},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			var heard changes
			w := newWorld(t, mariadbtest.New, c.columns, "", heard.hear, func(o *table.PairOptions) {
				o.Source.TimeZone, o.Destination.TimeZone = "+08:00", "+08:00"
			})
			// As writers in their zone see it.
			alter := func(db *mariadbtest.Database, statements ...string) {
				for _, s := range statements {
					if s != "" {
						db.Exec(t, "SET STATEMENT time_zone = '+08:00' FOR "+s)
					}
				}
			}
			w.both(t, 1, strings.TrimPrefix(c.values, "1, 1, "))
			w.wantFound(t)
			alter(w.src, c.alterSrc, c.change)
			alter(w.des, c.alterDes)
			if strings.Contains(c.change, "k =") {
				w.des.Exec(t, c.change)
			}
			w.wantFound(t, c.stale...)
			heard.want(t)
			w.pair.Age(table.MetaAge)
			w.wantFound(t, c.fresh...)
			heard.want(t, c.heard...)
			w.wantFound(t, c.fresh...)
			heard.want(t, c.heard...)
		})
	}
}

// Whoever is about to say that a row diverges hears that it was compared as the tables are no more,
// and the next look is right.
func TestG3LookByOldMetadataDoesNotCount(t *testing.T) {
	w := newWorld(t, mariadbtest.New, "k INT NOT NULL UNIQUE, v INT", "")
	w.both(t, 1, "1")
	look := func() (*row.Mapping, int) {
		t.Helper()
		src, _, found, err := compare(t.Context(), w.pair, w.everything(t))
		if err != nil {
			t.Fatal(err)
		}
		return src.Mapping(), len(found)
	}
	was, _ := look()
	same := func(of *row.Mapping) bool {
		t.Helper()
		same, err := w.pair.Unaltered(t.Context(), of)
		if err != nil {
			t.Fatal(err)
		}
		return same
	}
	if !same(was) {
		t.Fatal("tables that nobody altered are said to be others")
	}
	for _, db := range []*mariadbtest.Database{w.src, w.des} {
		db.Exec(t, "ALTER TABLE t MODIFY k BIGINT NOT NULL", "UPDATE t SET k = 3000000000")
	}
	of, found := look()
	if found != 1 {
		t.Fatalf("%d rows differ for who knows nothing of the ALTER, want 1", found)
	}
	if same(of) {
		t.Fatal("a look by old metadata counts")
	}
	of, found = look()
	if found != 0 {
		t.Errorf("%d rows differ, want none", found)
	}
	if !same(of) {
		t.Error("a look by the new metadata does not count")
	}
	if same(was) {
		t.Error("a look that began before the ALTER counts")
	}
}

// A column that is added is missing in a payload, which is noticed before it is sent.
func TestG4AddedColumnIsInThePayload(t *testing.T) {
	var heard changes
	w := newWorld(t, mariadbtest.New, "v INT", "", heard.hear)
	w.both(t, 1, "1")
	payload := func() (text string, same bool) {
		t.Helper()
		src, payloads, err := w.pair.ReadFull(t.Context(), []string{"1"}, false)
		if err != nil {
			t.Fatal(err)
		}
		if same, err = w.pair.Unaltered(t.Context(), src.Mapping()); err != nil {
			t.Fatal(err)
		}
		return string(payloads[0]), same
	}
	if text, same := payload(); text != `{"id":1,"k":1,"v":1}` || !same {
		t.Fatalf("payload %s, which counts: %v", text, same)
	}
	w.src.Exec(t, "ALTER TABLE t ADD x VARCHAR(9) NOT NULL DEFAULT 'new'")
	if text, same := payload(); same {
		t.Errorf("payload %s counts, without the column", text)
	}
	if text, same := payload(); text != `{"id":1,"k":1,"v":1,"x":"new"}` || !same {
		t.Errorf("payload %s, which counts: %v", text, same)
	}
	heard.want(t, "p: src x: none → varchar(9) utf8mb4_general_ci NOT NULL")
}

// A window in UTC finds nothing in a DATETIME of another zone. The next one reaches back to what was
// written since the metadata was read last.
func TestG2WindowFollowsAnAlteredUpdateColumn(t *testing.T) {
	w := newWorld(t, mariadbtest.New, "u TIMESTAMP NOT NULL", "", func(o *table.PairOptions) {
		o.Source.UpdateColumn, o.Source.TimeZone = "u", "+08:00"
	})
	to := time.Date(2024, 5, 1, 12, 0, 0, 0, time.UTC)
	window := func() string {
		t.Helper()
		lo, hi, err := w.source.Window(t.Context(), to.Add(-time.Minute), to)
		if err != nil {
			t.Fatal(err)
		}
		return lo + " to " + hi
	}
	if got, want := window(), "2024-05-01 11:59:00 to 2024-05-01 12:00:00"; got != want {
		t.Fatalf("window %s, want %s", got, want)
	}
	w.src.Exec(t, "ALTER TABLE t MODIFY u DATETIME NOT NULL")
	w.source.Age(3 * time.Minute)
	got := window()
	lo, hi, _ := strings.Cut(got, " to ")
	if hi != "2024-05-01 20:00:00" || lo > "2024-05-01 19:56:00" || lo < "2024-05-01 19:50:00" {
		t.Errorf("window %s, want one in +08:00 that reaches back three minutes more", got)
	}
}

// What did not change stays, and so does all that is derived of it; users do not wait for one another.
func TestMetadataThatDidNotChangeIsKept(t *testing.T) {
	var heard changes
	w := newWorld(t, mariadbtest.New, "v INT, n LONGTEXT", "", heard.hear)
	plan := func() any {
		t.Helper()
		pl, err := w.pair.Plan(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return pl
	}
	was := plan()
	w.src.Exec(t, "ALTER TABLE t COMMENT 'which changes nothing'")
	for range 3 {
		w.pair.Age(table.MetaAge)
		var all sync.WaitGroup
		for range 8 {
			all.Go(func() {
				if now, err := w.pair.Plan(t.Context()); err != nil || now != was {
					t.Errorf("another plan of the same tables, error %v", err)
				}
			})
		}
		all.Wait()
	}
	heard.want(t)
}

// Old metadata is better than none: whoever reads the rows finds out whether the server is away.
func TestMetadataThatCannotBeReadIsKept(t *testing.T) {
	db, mock := mocked(t)
	s := table.NewSource(table.SideOptions{Name: "p: src", Table: "t"})
	s.UseDB(db)
	want := func() {
		t.Helper()
		if _, err := s.ServerGivesIDs(t.Context()); err != nil {
			t.Errorf("error %v, want what was known before", err)
		}
	}
	expectTable(mock)
	want()
	s.Age(table.MetaAge)
	mock.ExpectQuery("SELECT VERSION").WillReturnError(errors.New("planned"))
	want()
	expectTable(mock)
	if want(); mock.ExpectationsWereMet() == nil {
		t.Error("it was tried again at once")
	}
	s.Age(table.MetaAge)
	want()
	mock.ExpectClose()
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

// A table that does not fit any more is a fault, as it is at the start.
func TestAlteredToATypeWithoutACommonForm(t *testing.T) {
	w := newWorld(t, mariadbtest.New, "v DATETIME", "")
	w.both(t, 1, "NULL")
	w.wantFound(t)
	w.des.Exec(t, "ALTER TABLE t MODIFY v TIME")
	w.des.Exec(t, "ALTER TABLE t MODIFY v BIGINT")
	w.pair.Age(table.MetaAge)
	for range 2 {
		_, err := w.pair.ReadSource(t.Context(), []string{"1"})
		wantFault(t, err, "no common form")
	}
	w.des.Exec(t, "ALTER TABLE t MODIFY v DATETIME")
	w.wantFound(t)
}
