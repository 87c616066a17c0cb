package table

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// maxClockGap is the difference between clocks above which Check warns.
const maxClockGap = 2 * time.Second

// Report is what Check found, in words.
type Report struct {
	// Lines say what the sides are and how each pair of columns is compared.
	Lines []string
	// Warnings are what will work, but badly, each with what mends it.
	Warnings []string
	// Faults are what keeps the pair from working until somebody mends it.
	Faults []string
	// Unreachable are errors that may pass by themselves, such as a server that
	// does not answer.
	Unreachable []string
}

func (r *Report) line(format string, args ...any) {
	r.Lines = append(r.Lines, fmt.Sprintf(format, args...))
}

func (r *Report) warn(format string, args ...any) {
	r.Warnings = append(r.Warnings, fmt.Sprintf(format, args...))
}

func (r *Report) fault(err error) {
	if err == nil {
		return
	}
	list := &r.Unreachable
	if _, ok := errors.AsType[*Fault](err); ok {
		list = &r.Faults
	}
	*list = union(*list, []string{err.Error()})
}

// join adds what another report found.
func (r *Report) join(o Report) {
	r.Lines, r.Warnings = append(r.Lines, o.Lines...), append(r.Warnings, o.Warnings...)
	r.Faults, r.Unreachable = union(r.Faults, o.Faults), union(r.Unreachable, o.Unreachable)
}

// union is all of a, and what of b is not in it.
func union(a, b []string) []string {
	for _, text := range b {
		if !slices.Contains(a, text) {
			a = append(a, text)
		}
	}
	return a
}

// Check is Pair.Check of a pair that is closed after it.
func Check(ctx context.Context, o PairOptions) Report {
	p := NewPair(o)
	r := p.Check(ctx)
	r.fault(p.Close())
	return r
}

// Check tries out a pair: connections, tables, columns, types, indexes, privileges
// and clocks. It only reads. What it learns of a sound pair is known to the pair as after
// Load, and its connections stay open.
func (p *Pair) Check(ctx context.Context) Report {
	var r, rDes Report
	var src, des *meta
	var srcErr, desErr error
	began := time.Now()
	beside(func() { src, srcErr = checkSide(ctx, &r, p.src) }, func() { des, desErr = checkSide(ctx, &rDes, p.des) })
	r.join(rDes)
	if srcErr != nil || desErr != nil {
		return r
	}
	r.columns(p, src, des)
	if len(r.Faults)+len(r.Unreachable) > 0 {
		return r
	}
	pl, err := p.kept.learn(ctx, []*meta{src, des}, began)
	if err != nil {
		r.fault(err)
		return r
	}
	r.Lines = append(r.Lines, pl.notes...)
	sweep, err := p.Sweep(ctx)
	if err != nil {
		r.fault(err)
		return r
	}
	r.Lines = append(r.Lines, sweep.Why)
	r.sourceIndexes(p.src, src, pl)
	r.destinationIndexes(p.des, des, p.o.Destination.By)
	rDes = Report{}
	beside(func() {
		s := newSource(p.src)
		_, err := s.kept.learn(ctx, []*meta{src}, began)
		r.fault(err)
		r.tryOutSource(ctx, s)
		r.sourceClock(ctx, s)
	}, func() {
		rDes.tryOut(ctx, p.des)
		rDes.destinationClock(ctx, p.des)
	})
	r.join(rDes)
	return r
}

func checkSide(ctx context.Context, r *Report, s *side) (*meta, error) {
	m, err := s.load(ctx)
	if err == nil {
		err = s.mayRead(ctx)
	}
	if err != nil {
		r.fault(err)
		return nil, err
	}
	r.line("%s: table %s.%s on %s, %s, zone of its writers %s",
		s.o.Name, quote(s.o.DSN.Database), quote(s.o.Table), s.o.DSN, parseServer(m.server.Version), s.zone(m))
	return m, nil
}

// columns names every column that is missing, not only the first.
func (r *Report) columns(p *Pair, src, des *meta) {
	look := func(s *side, m *meta, name, use string) {
		_, err := s.column(m, name, use)
		r.fault(err)
	}
	look(p.src, src, p.src.o.IDColumn, "idColumn")
	if name := p.src.o.UpdateColumn; name != "" {
		look(p.src, src, name, "updateColumn")
	}
	for _, name := range p.o.Source.By {
		look(p.src, src, name, "byColumn")
	}
	for _, name := range p.o.Destination.By {
		look(p.des, des, name, "byColumn")
	}
	for _, c := range p.o.Columns {
		look(p.src, src, c.Src, "columns")
		look(p.des, des, c.Des, "columns")
	}
}

func (r *Report) sourceIndexes(s *side, m *meta, pl *plan) {
	id, update := pl.id.Name, pl.update.Name
	if !m.uniqueOn(id) {
		r.warn("%s: idColumn %s is not unique: rows with one id are found, but events cannot tell them apart; mend it with %s",
			s.o.Name, quote(id), s.alter("ADD UNIQUE INDEX", id))
	}
	if pl.id.Nullable {
		r.warn("%s: idColumn %s may be NULL: the insert scan does not see such rows, and a sweep cannot judge those that differ; they are counted and logged, and -once cannot tell then",
			s.o.Name, quote(id))
	}
	for _, rule := range pl.mapping.Keys() {
		if c := rule.Source(); c.Nullable {
			r.warn("%s: byColumn %s may be NULL: no destination row can be that of such a row, so it is not compared; such rows are counted and logged, and -once cannot tell as long as there are any",
				s.o.Name, quote(c.Name))
		}
	}
	if update == "" {
		return
	}
	if !m.ledBy(update) {
		columns := []string{update}
		if !m.primary(id) {
			columns = append(columns, id) // InnoDB puts the primary key itself at an index's end
		}
		r.warn("%s: no index begins with updateColumn %s: each update scan reads the whole table; mend it with %s",
			s.o.Name, quote(update), s.alter("ADD INDEX", columns...))
	}
	if pl.update.Nullable {
		r.warn("%s: updateColumn %s may be NULL: the update scan does not see such rows", s.o.Name, quote(update))
	}
	if pl.update.DataType == "date" {
		r.warn("%s: updateColumn %s is a DATE: each update scan reads all rows of the day", s.o.Name, quote(update))
	}
}

func (r *Report) destinationIndexes(s *side, m *meta, by []string) {
	switch {
	case !m.led(by):
		r.warn("%s: no index begins with byColumn %s: each look reads the whole table; mend it with %s",
			s.o.Name, quoteAll(by), s.alter("ADD INDEX", by...))
	case !m.uniqueOn(by...):
		r.warn("%s: byColumn %s is not unique: two rows with one key are reported as ambiguous; if it should be unique, %s",
			s.o.Name, quoteAll(by), s.alter("ADD UNIQUE INDEX", by...))
	}
}

// tryOut runs a statement on no rows of a side, so that a faulty condition shows.
func (r *Report) tryOut(ctx context.Context, s *side) {
	where, _ := s.where([]condition{{text: "1 = 0"}})
	var n int
	r.fault(s.get(ctx, &n, "try out the condition", "SELECT COUNT(*) FROM "+quote(s.o.Table)+where))
}

// tryOutSource is tryOut, with what else is asked of a source.
func (r *Report) tryOutSource(ctx context.Context, s *Source) {
	_, _, err := s.Head(ctx)
	r.fault(err)
	r.tryOut(ctx, s.side)
	if s.side.o.UpdateColumn == "" {
		return
	}
	now := time.Now()
	lo, hi, err := s.Window(ctx, now.Add(-time.Minute), now)
	if err != nil {
		r.fault(err)
		return
	}
	r.line("%s: the update scan asks for %s between %q and %q for the last minute", s.side.o.Name, quote(s.side.o.UpdateColumn), lo, hi)
}

func (r *Report) sourceClock(ctx context.Context, s *Source) {
	before := time.Now()
	c, err := s.Clock(ctx)
	if err != nil {
		r.fault(err)
		return
	}
	r.upstream(s)
	r.clock(s.side, before, c.Now)
}

// upstream says how a source that has been asked for its clock shows what commits late.
func (r *Report) upstream(s *Source) {
	l, name := s.lists.known(), s.side.o.Name
	switch u := l.upstream; {
	case u.still:
		r.warn("%s: the server is a replica that stands still: what it gets when it goes on is looked for from then on; if it is none any more, tell it so with RESET SLAVE ALL (RESET REPLICA ALL)", name)
	case u.channels > 0:
		r.line("%s: the server is a replica, %s behind: late commits are looked for until it has what they could be among", name, u.lag)
	case u.denied:
		r.warn("%s: the account may not see whether the server is a replica: what one gets late is then left to the sweep; mend it with GRANT REPLICATION CLIENT ON *.* TO %s (MariaDB from 10.5 on: REPLICA MONITOR)",
			name, s.side.account())
	}
	switch {
	case l.elsewhere && l.upstream.channels == 0:
		r.line("%s: rows come from transactions of other servers: late commits are looked for during a fixed time", name)
	case !l.visible && !l.elsewhere:
		r.warn("%s: the account may not see open transactions: late commits are looked for during a fixed time instead; mend it with GRANT PROCESS ON *.* TO %s",
			name, s.side.account())
	case l.waitless:
		r.warn("%s: the server does not show statements that wait for a lock: what they change is left to the sweep where they wait for more than a second", name)
	}
}

func (r *Report) destinationClock(ctx context.Context, s *side) {
	before := time.Now()
	var micro int64
	if err := s.get(ctx, &micro, "read the server's clock", nowQuery); err != nil {
		r.fault(err)
		return
	}
	r.clock(s, before, time.UnixMicro(micro))
}

// clock warns when a server's clock, read between before and now, differs from ours.
func (r *Report) clock(s *side, before, server time.Time) {
	gap := time.Duration(0)
	if server.Before(before) {
		gap = before.Sub(server)
	} else if now := time.Now(); server.After(now) {
		gap = server.Sub(now)
	}
	if gap > maxClockGap {
		r.warn("%s: the server's clock and this machine's are %s apart; scans follow the server's", s.o.Name, gap.Round(100*time.Millisecond))
	}
}

// primary reports whether the primary key is column alone.
func (m *meta) primary(column string) bool {
	for _, i := range m.indexes {
		if i.name == "PRIMARY" {
			return len(i.columns) == 1 && strings.EqualFold(i.columns[0], column)
		}
	}
	return false
}

// led reports whether an index can find rows by columns.
func (m *meta) led(columns []string) bool {
	return slices.ContainsFunc(m.indexes, func(i index) bool {
		return !i.hidden && i.leads(columns) && (i.unique || len(i.columns) >= len(columns))
	})
}

// alter is the statement that gives the table an index.
func (s *side) alter(what string, columns ...string) string {
	return fmt.Sprintf("ALTER TABLE %s.%s %s (%s)", quote(s.o.DSN.Database), quote(s.o.Table), what, quoteAll(columns))
}

func quoteAll(names []string) string {
	quoted := make([]string, len(names))
	for i, n := range names {
		quoted[i] = quote(n)
	}
	return strings.Join(quoted, ", ")
}
