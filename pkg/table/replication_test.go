package table_test

import (
	"testing"
	"time"

	"github.com/DATA-DOG/go-sqlmock"

	"github.com/masixun71/cupid/pkg/mariadb/mariadbtest"
	"github.com/masixun71/cupid/pkg/table"
)

// What a replica says of itself is believed when it has said no worse for a minute.
func TestLagIsDoubted(t *testing.T) {
	begin := time.Unix(1_800_000_000, 0)
	at := func(s int) time.Time { return begin.Add(time.Duration(s) * time.Second) }
	var a table.Applied
	const still = -1
	var lag func(s int) int
	hear := func(from, to int) {
		for s := from; s < to; s++ {
			var upTo time.Time
			if behind := lag(s); behind != still {
				upTo = at(s - behind)
			}
			a.Hear(upTo, at(s))
		}
	}
	want := func(what string, now int, least, most int) {
		t.Helper()
		if got := a.UpTo(); got.Before(at(least)) || got.After(at(most)) {
			t.Errorf("%s: has everything up to %v s at %d s, want %d to %d", what, got.Sub(begin).Seconds(), now, least, most)
		}
	}
	nothing := func(what string) {
		t.Helper()
		if got := a.UpTo(); !got.IsZero() {
			t.Errorf("%s: has everything up to %v, want nothing for sure", what, got)
		}
	}
	minute := int(table.DoubtTime / time.Second)
	lag = func(int) int { return 0 }
	hear(0, minute)
	nothing("in the first minute")
	hear(minute, 500)
	want("without a lag", 500, 500-2*minute-1, 500-minute)
	lag = func(s int) int { // it jumps to and fro
		if s%2 == 1 {
			return still
		}
		return s - 500
	}
	hear(500, 1000)
	nothing("while it stands still now and then")
	lag = func(s int) int { // at 1000 it goes on where it was at 500, and says 0 first
		if s < 1005 {
			return 0
		}
		return max(500-(s-1005)*5, 0)
	}
	hear(1000, 1050)
	nothing("as long as it has not gone on for a minute")
	hear(1050, 1105)
	if got := a.UpTo(); got.After(at(1105)) {
		t.Errorf("up to %v s at 1105 s", got.Sub(begin).Seconds())
	}
	hear(1105, 1500)
	want("caught up", 1500, 1500-2*minute-1, 1500-minute)
	// Nobody asks for an hour, in which it stands still, and the first answer after it is 0.
	a.Hear(at(5000), at(5000))
	want("after a time in which nobody asked", 5000, 0, 1500)
}

func TestG2ReplicaIsFollowed(t *testing.T) {
	primary, replica := mariadbtest.Replicated(t)
	primary.Exec(t, "CREATE TABLE t (id INT PRIMARY KEY)")
	o := side(t, "p: src", replica)
	o.By = []string{"id"}
	s := table.NewSource(o)
	defer func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}()
	s.Doubt(500 * time.Millisecond)
	if c := clock(t, s); c.Visible || !c.Applied.IsZero() {
		t.Errorf("at first %+v, want transactions that are not seen, and nothing for sure", c)
	}
	caughtUp := func() bool {
		s.ForgetList()
		c := clock(t, s)
		return !c.Visible && !c.Applied.IsZero() && c.Now.Sub(c.Applied) < 5*time.Second
	}
	until(t, caughtUp, "the replica has not caught up")
	replica.Exec(t, "STOP SLAVE SQL_THREAD")
	s.ForgetList()
	if c := clock(t, s); c.Visible || !c.Applied.IsZero() {
		t.Errorf("standing still %+v, want nothing for sure", c)
	}
	r := table.Check(t.Context(), table.PairOptions{Name: "p", Source: o, Destination: o, Columns: []table.ColumnPair{{Src: "id", Des: "id"}}})
	wantLine(t, r.Warnings, "p: src: the server is a replica that stands still", "RESET SLAVE ALL")
	replica.Exec(t, "START SLAVE")
	until(t, caughtUp, "the replica has not caught up again")
	replica.Exec(t, "STOP SLAVE", "RESET SLAVE ALL")
	s.ForgetList()
	if c := clock(t, s); !c.Visible {
		t.Errorf("a replica no more %+v, want transactions that are seen", c)
	}
}

// A hundred sources of a replica ask it no more often than one of them.
func TestSourcesOfOneReplicaAskForItsLagTogether(t *testing.T) {
	db, mock := mocked(t)
	mock.MatchExpectationsInOrder(false)
	servers := &table.Servers{}
	var all []*table.Source
	for range 3 {
		s := table.NewSource(table.SideOptions{Name: "p: src", Table: "t", Servers: servers})
		s.UseDB(db)
		all = append(all, s)
		mock.ExpectQuery("UNIX_TIMESTAMP").WillReturnRows(sqlmock.NewRows([]string{"now"}).AddRow(int64(1_700_000_000_000_000)))
	}
	mock.ExpectQuery("SHOW ALL SLAVES STATUS").WillReturnRows(sqlmock.NewRows([]string{"Seconds_Behind_Master"}).AddRow("3"))
	for _, s := range all {
		if c := clock(t, s); c.Visible {
			t.Errorf("clock %+v of a replica", c)
		}
	}
	mock.ExpectClose()
	for _, s := range all {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
}

// The channel by which a member of a group once caught up stands still from then on.
func TestChannelsOfAGroupAreNoUpstream(t *testing.T) {
	g, src, des := gaugeOf(t, sqlmock.QueryMatcherRegexp)
	expectThreads(src, "3")
	src.ExpectQuery("SHOW ALL SLAVES STATUS").WillReturnRows(
		sqlmock.NewRows([]string{"Channel_Name", "Seconds_Behind_Source"}).AddRow("group_replication_recovery", nil).AddRow("", "4"))
	expectThreads(des, "4")
	des.ExpectQuery("SHOW ALL SLAVES STATUS").WillReturnRows(sqlmock.NewRows([]string{"Seconds_Behind_Master"}))
	if _, lag, known, err := g.Pressure(t.Context()); err != nil || lag != 4*time.Second || !known {
		t.Errorf("lag %v, known %v, error %v, want 4 s", lag, known, err)
	}
}
