package manager_test

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/masixun71/cupid/pkg/chunk"
	"github.com/masixun71/cupid/pkg/manager"
)

// line is one version of a row of the simulated table.
type line struct {
	id      int64
	value   int64 // update time in Unix seconds
	commit  time.Time
	looked  map[chunk.Scan]time.Time // last look of each scan
	deleted bool
}

// tx is an open transaction of the simulated table.
type tx struct {
	s       *source
	started time.Time
	lines   []*line
}

// source is a simulated table, whose server has the clock of the test.
type source struct {
	fail func(op string) error // nil: nothing fails

	mu        sync.Mutex    // guards all below
	offset    time.Duration // of the server's clock
	blind     bool
	applied   func(now time.Time) time.Time // of a replica; nil where it is none
	listAge   time.Duration                 // how old a list of transactions may be
	listed    manager.Clock                 // the last one
	madeUp    bool
	counter   int64 // the last id that was given out
	lines     map[int64]*line
	past      []*line // versions that others have taken the place of
	open      map[*tx]bool
	ops       map[string]int
	byID      []*line // lines in order; nil when it has changed
	byRow     bool    // the mode of its sweep
	divisible bool    // large chunks cost less
	buckets   string  // the name of what is added up; empty when it is not swept by buckets
	choice    bool    // it can be swept by buckets too
	steps     bool    // its keys are whole numbers
	guess     int64   // of its number of rows
	nullKeys  int64   // rows without a key
	threads   int
	lag       time.Duration
	noLag     bool   // the account may not see it
	days      bool   // update times are whole days
	key       string // of its sweep
}

func newSource() *source {
	return &source{lines: map[int64]*line{}, open: map[*tx]bool{}, ops: map[string]int{}}
}

// set changes the server.
func (s *source) set(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f()
}

// now is the server's time.
func (s *source) now() time.Time { return time.Now().Add(s.offset) }

// begin starts a transaction.
func (s *source) begin() *tx {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := &tx{s: s, started: s.now()}
	s.open[t] = true
	return t
}

// insert gives out the next id.
func (t *tx) insert() int64 {
	t.s.mu.Lock()
	t.s.counter++
	id := t.s.counter
	t.s.mu.Unlock()
	t.write(id)
	return id
}

// write inserts or updates a row of a given id.
func (t *tx) write(id int64) {
	t.s.mu.Lock()
	defer t.s.mu.Unlock()
	t.lines = append(t.lines, &line{id: id, value: t.s.value(t.s.now()), looked: map[chunk.Scan]time.Time{}})
}

// value is what the update column has at a time.
func (s *source) value(at time.Time) int64 {
	if s.days {
		at = at.Truncate(24 * time.Hour)
	}
	return at.Unix()
}

func (t *tx) commit() {
	t.s.mu.Lock()
	defer t.s.mu.Unlock()
	for _, l := range t.lines {
		if old, ok := t.s.lines[l.id]; ok {
			t.s.past = append(t.s.past, old)
		}
		l.commit = time.Now()
		t.s.lines[l.id] = l
		t.s.byID = nil
		t.s.counter = max(t.s.counter, l.id)
	}
	delete(t.s.open, t)
}

func (t *tx) rollback() {
	t.s.mu.Lock()
	defer t.s.mu.Unlock()
	delete(t.s.open, t)
}

// add commits n rows at once.
func (s *source) add(n int) {
	t := s.begin()
	for range n {
		t.insert()
	}
	t.commit()
}

// put commits rows of given ids.
func (s *source) put(ids ...int64) {
	t := s.begin()
	for _, id := range ids {
		t.write(id)
	}
	t.commit()
}

// remove deletes rows.
func (s *source) remove(ids ...int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, id := range ids {
		if l, ok := s.lines[id]; ok {
			l.deleted = true
			delete(s.lines, id)
			s.byID = nil
		}
	}
}

// sorted are the rows that everybody sees, in the order of a scan.
func (s *source) sorted(scan chunk.Scan) []*line {
	if scan != chunk.Update && s.byID != nil {
		return s.byID
	}
	var all []*line
	for _, l := range s.lines {
		all = append(all, l)
	}
	slices.SortFunc(all, func(a, b *line) int { return order(scan, a, b) })
	if scan != chunk.Update {
		s.byID = all
	}
	return all
}

func order(scan chunk.Scan, a, b *line) int {
	if scan == chunk.Update {
		return cmp.Or(cmp.Compare(a.value, b.value), cmp.Compare(a.id, b.id))
	}
	return cmp.Compare(a.id, b.id)
}

func place(scan chunk.Scan, l *line) chunk.Position {
	p := chunk.Position{ID: strconv.FormatInt(l.id, 10)}
	if scan == chunk.Update {
		p.Value = stamp(time.Unix(l.value, 0))
	}
	return p
}

func stamp(t time.Time) string { return fmt.Sprintf("%012d", t.Unix()) }

// bucketPlace begins the bounds of a sweep by buckets, which are no ids.
const bucketPlace = "at "

func number(text string) int64 {
	n, err := strconv.ParseInt(strings.TrimPrefix(text, bucketPlace), 10, 64)
	if err != nil {
		panic("the manager made up the bound " + text)
	}
	return n
}

// at is a place as a line, for order.
func at(p chunk.Position) *line {
	l := &line{id: number(p.ID)}
	if p.Value != "" {
		l.value = number(p.Value)
	}
	return l
}

// within are the rows that a chunk covers now.
func (s *source) within(c chunk.Chunk) []*line {
	var in []*line
	var after, upTo *line
	if c.After != nil {
		after = at(*c.After)
	}
	if !c.Open {
		upTo = at(c.UpTo)
	}
	all := s.sorted(c.Scan)
	if c.Only != "" {
		return slices.DeleteFunc(slices.Clone(all), func(l *line) bool { return l.id != number(c.Only) || slices.Contains(c.Skip, c.Only) })
	}
	if c.Scan != chunk.Update { // many rows, and no need to look at each
		above := func(l, bound *line) int {
			if l.id > bound.id {
				return 1
			}
			return -1
		}
		if upTo != nil {
			end, _ := slices.BinarySearchFunc(all, upTo, above)
			all = all[:end]
		}
		if after != nil {
			begin, _ := slices.BinarySearchFunc(all, after, above)
			all = all[begin:]
		}
		if len(c.Skip) == 0 {
			return all
		}
		after, upTo = nil, nil
	}
	for _, l := range all {
		switch {
		case after != nil && order(c.Scan, l, after) <= 0:
		case c.From != "" && l.value < number(c.From):
		case upTo != nil && order(c.Scan, l, upTo) > 0:
		case slices.Contains(c.Skip, strconv.FormatInt(l.id, 10)):
		default:
			in = append(in, l)
		}
	}
	return in
}

// look is what a task worker does: it reads the rows of a chunk as they are now.
func (s *source) look(c chunk.Chunk) []int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	var ids []int64
	for _, l := range s.within(c) {
		l.looked[c.Scan] = time.Now()
		ids = append(ids, l.id)
	}
	return ids
}

// unlooked are the rows of a scan that nobody has looked at since they were committed.
func (s *source) unlooked(scan chunk.Scan) []int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	var ids []int64
	for _, l := range s.sorted(scan) {
		if l.looked[scan].IsZero() {
			ids = append(ids, l.id)
		}
	}
	return ids
}

func (s *source) count(op string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.ops[op]
}

// enter counts a call and lets it fail.
func (s *source) enter(op string) error {
	s.mu.Lock()
	s.ops[op]++
	s.mu.Unlock()
	if s.fail != nil {
		return s.fail(op)
	}
	return nil
}

func (s *source) Clock(context.Context) (manager.Clock, error) {
	if err := s.enter("clock"); err != nil {
		return manager.Clock{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	c := manager.Clock{Now: s.now(), Visible: !s.blind, Applied: s.now()}
	if s.applied != nil {
		c.Applied = s.applied(c.Now)
	}
	if s.blind {
		return c, nil
	}
	if age := c.Now.Sub(s.listed.Now); age >= 0 && age < s.listAge {
		c.Listed, c.Oldest = s.listed.Listed, s.listed.Oldest
		return c, nil
	}
	defer func() { s.listed = c }()
	c.Listed = c.Now
	for t := range s.open {
		if c.Oldest.IsZero() || t.started.Before(c.Oldest) {
			c.Oldest = t.started.Truncate(time.Second)
		}
	}
	return c, nil
}

func (s *source) Head(context.Context) (string, bool, error) { return s.last("head") }

func (s *source) last(op string) (string, bool, error) {
	if err := s.enter(op); err != nil {
		return "", false, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	all := s.sorted(chunk.Insert)
	if len(all) == 0 {
		return "", false, nil
	}
	return place(chunk.Insert, all[len(all)-1]).ID, true, nil
}

func (s *source) ServerGivesIDs(context.Context) (bool, error) {
	if err := s.enter("gives"); err != nil {
		return false, err
	}
	return !s.madeUp, nil
}

func (s *source) CutIDs(_ context.Context, after, upTo *string, limit int) (string, int, error) {
	if err := s.enter("cut"); err != nil {
		return "", 0, err
	}
	c := chunk.Chunk{Scan: chunk.Insert, UpTo: chunk.Position{ID: strconv.FormatInt(1<<62, 10)}}
	if after != nil {
		c.After = &chunk.Position{ID: *after}
	}
	if upTo != nil {
		c.UpTo.ID = *upTo
	}
	last, rows := s.cut(c, limit)
	return last.ID, rows, nil
}

func (s *source) Window(_ context.Context, from, to time.Time) (string, string, error) {
	if err := s.enter("window"); err != nil {
		return "", "", err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return stamp(time.Unix(s.value(from), 0)), stamp(time.Unix(s.value(to), 0)), nil
}

func (s *source) CutUpdates(_ context.Context, after *chunk.Position, lo, hi string, limit int) (chunk.Position, int, error) {
	if err := s.enter("cut"); err != nil {
		return chunk.Position{}, 0, err
	}
	c := chunk.Chunk{Scan: chunk.Update, After: after, From: lo, UpTo: chunk.Position{Value: hi, ID: strconv.FormatInt(1<<62, 10)}}
	last, rows := s.cut(c, limit)
	return last, rows, nil
}

func (s *source) cut(c chunk.Chunk, limit int) (chunk.Position, int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if limit < 1 {
		panic("a chunk of no rows was asked for")
	}
	in := s.within(c)
	in = in[:min(limit, len(in))]
	if len(in) == 0 {
		return chunk.Position{}, 0
	}
	return place(c.Scan, in[len(in)-1]), len(in)
}

func (s *source) Sweep(context.Context) (manager.SweepPlan, error) {
	if err := s.enter("sweep"); err != nil {
		return manager.SweepPlan{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.byRow {
		return manager.SweepPlan{Mode: manager.SweepByRow, How: "row by row"}, nil
	}
	if s.buckets != "" {
		return manager.SweepPlan{Mode: manager.SweepByBucket, How: "by buckets", Choice: true, Sums: s.buckets}, nil
	}
	if s.choice {
		return manager.SweepPlan{Mode: manager.SweepByKey, How: "key by key", Choice: true, Sums: "sums"}, nil
	}
	return manager.SweepPlan{Mode: manager.SweepByKey, How: "key by key", Key: s.key, Divisible: s.divisible, Inserts: s.divisible}, nil
}

// CutKeys is CutIDs.
func (s *source) CutKeys(_ context.Context, after, upTo *string, limit int) (chunk.Cut, error) {
	if err := s.enter("keys"); err != nil {
		return chunk.Cut{}, err
	}
	last, rows := s.cut(sweepRange(after, upTo), limit)
	return chunk.Cut{UpTo: last.ID, Rows: rows, Dense: s.steps && after != nil && rows > 0 && number(last.ID)-number(*after) == int64(rows)}, nil
}

// StepKeys counts.
func (s *source) StepKeys(_ context.Context, after, upTo string, most, least int) (string, int, error) {
	if err := s.enter("steps"); err != nil {
		return "", 0, err
	}
	if int64(most) > (number(upTo)-number(after))/4 {
		most = least
	}
	at := number(after) + int64(most)
	if !s.steps || at >= number(upTo) {
		return "", 0, nil
	}
	return strconv.FormatInt(at, 10), most, nil
}

// LastKey is Head.
func (s *source) LastKey(context.Context) (string, bool, error) { return s.last("last") }

func sweepRange(after, upTo *string) chunk.Chunk {
	c := chunk.Chunk{Scan: chunk.Sweep, Open: upTo == nil}
	if after != nil {
		c.After = &chunk.Position{ID: *after}
	}
	if upTo != nil {
		c.UpTo.ID = *upTo
	}
	return c
}

// CutBuckets is CutIDs: both tables lie in the order of ids.
func (s *source) CutBuckets(_ context.Context, after, upTo *string, limit int) (string, int, error) {
	if err := s.enter("buckets"); err != nil {
		return "", 0, err
	}
	last, rows := s.cut(sweepRange(after, upTo), limit)
	return bucketPlace + last.ID, rows, nil
}

func (s *source) IDBetween(_ context.Context, after *string, upTo string) (string, error) {
	if err := s.enter("id"); err != nil {
		return "", err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	in := s.within(sweepRange(after, &upTo))
	if len(in) == 0 {
		return "", nil
	}
	return strconv.FormatInt(in[len(in)-1].id, 10), nil
}

func (s *source) EstimatedRows(context.Context) (int64, error) {
	if err := s.enter("estimate"); err != nil {
		return 0, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.guess != 0 {
		return s.guess, nil
	}
	return int64(len(s.lines)), nil
}

func (s *source) NullRows(context.Context) (keys, ids int64, err error) {
	if err := s.enter("nulls"); err != nil {
		return 0, 0, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.nullKeys, 0, nil
}

func (s *source) Pressure(context.Context) (int, time.Duration, bool, error) {
	if err := s.enter("pressure"); err != nil {
		return 0, 0, false, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.threads, s.lag, !s.noLag, nil
}

// load sets what Pressure tells.
func (s *source) load(threads int, lag time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.threads, s.lag = threads, lag
}

func (s *source) Ping(context.Context) error { return s.enter("ping") }

// pass lets time go by.
func pass(t *testing.T, d time.Duration) {
	t.Helper()
	<-time.After(d)
}
