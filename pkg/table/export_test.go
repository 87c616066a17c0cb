package table

import (
	"context"
	"database/sql/driver"
	"slices"
	"time"

	"github.com/jmoiron/sqlx"

	"github.com/masixun71/cupid/pkg/chunk"
	"github.com/masixun71/cupid/pkg/row"
)

// Query is a statement with its arguments.
type Query struct {
	Text string
	Args []driver.Value
}

// DestinationQueries are what ReadDestination sends.
func (p *Pair) DestinationQueries(ctx context.Context, keys []row.Key) ([]Query, error) {
	pl, err := p.plan(ctx)
	if err != nil {
		return nil, err
	}
	args, err := pl.keyArgs(row.Destination, keys)
	var queries []Query
	for _, q := range p.keyQueries(pl, args) {
		queries = append(queries, Query{q.text, q.args})
	}
	return queries, err
}

// UseDB replaces the pools of both sides before their first use.
func (p *Pair) UseDB(src, des *sqlx.DB) { p.src.open, p.des.open = give(src), give(des) }

// UseDB replaces the pool before its first use.
func (s *Source) UseDB(db *sqlx.DB) { s.side.open = give(db) }

// ForgetList has the next clock list the transactions anew.
func (s *Source) ForgetList() {
	s.lists.mu.Lock()
	defer s.lists.mu.Unlock()
	s.lists.last = listing{}
}

// Doubt sets for how long a replica's lag is doubted.
func (s *Source) Doubt(d time.Duration) { s.lists.doubt = d }

// Applied is what is made of one that a replica says: the times up to which it has everything,
// each so long after the last one.
type Applied struct{ a applied }

// Hear takes in what the replica says.
func (a *Applied) Hear(upTo, now time.Time) { a.a.hear(upTo, now, doubtTime) }

// UpTo is up to when it has everything.
func (a *Applied) UpTo() time.Time { return a.a.upTo() }

// DoubtTime is for how long a lag is doubted.
const DoubtTime = doubtTime

// Waited are the statements that waited for a lock.
type Waited struct{ begun map[uint64]begun }

// Follow takes in those that wait and what is open, and returns when each began, all by the id
// of the connection.
func (w *Waited) Follow(waiting map[uint64]int64, open map[uint64]string) map[uint64]int64 {
	var now []wait
	for id, since := range waiting {
		now = append(now, wait{id, since})
	}
	w.begun = followed(w.begun, now, open)
	since := map[uint64]int64{}
	for id, b := range w.begun {
		since[id] = b.since
	}
	return since
}

func give(db *sqlx.DB) func(SideOptions) (*sqlx.DB, func() error, error) {
	return func(SideOptions) (*sqlx.DB, func() error, error) { return db, db.Close, nil }
}

// Hashes of Pretend.
const (
	HashCRC32       = int(hashCRC32)
	HashMariaCRC32  = int(hashMariaCRC32)
	HashMariaCRC32C = int(hashMariaCRC32C)
	HashSHA2        = int(hashSHA2)
)

// Pretend makes Sums use a hash whatever the servers are, and times be rounded as if
// the destination were a MySQL.
func (p *Pair) Pretend(ctx context.Context, h int, round bool) error {
	pl, err := p.plan(ctx)
	if err != nil {
		return err
	}
	changed := *pl
	pretend := func(pairs []columnPair) []columnPair {
		pairs = slices.Clone(pairs)
		for i := range pairs {
			pairs[i].rule.RoundFraction = round
		}
		return pairs
	}
	sums := &changed.sweep.sums
	sums.hashes = [2]hash{hash(h), hash(h)}
	sums.keys, sums.columns = pretend(sums.keys), pretend(sums.columns)
	columns := slices.Clone(pl.mapping.Columns())
	for i := range columns {
		columns[i].RoundFraction = round
	}
	changed.mapping = row.NewMapping(rulesOf(sums.keys), columns)
	changed.sweep.Checksum = changed.sweep.Checksum && unfit(slices.Concat(sums.keys, sums.columns)) == ""
	p.kept.mu.Lock()
	defer p.kept.mu.Unlock()
	p.kept.made = &changed
	return nil
}

// Forget forgets the plan, as an error does that says a table has changed.
func (p *Pair) Forget() { p.kept.forget() }

// Age makes the metadata so much older.
func (p *Pair) Age(d time.Duration) { p.kept.age(d) }

// Age makes the metadata so much older.
func (s *Source) Age(d time.Duration) { s.kept.age(d) }

// Mapping is how rows are compared; nil before the first successful read or Load.
func (p *Pair) Mapping() *row.Mapping {
	if pl, _ := p.kept.known(); pl != nil {
		return &pl.mapping
	}
	return nil
}

// Plan tells one plan from another.
func (p *Pair) Plan(ctx context.Context) (any, error) { return p.plan(ctx) }

func (k *kept[P]) forget() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.stale = true
}

func (k *kept[P]) age(d time.Duration) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.read, k.next = k.read.Add(-d), k.next.Add(-d)
}

// MetaAge is how old metadata may be.
const MetaAge = metaAge

// GroupRows is how many rows a group should have.
const GroupRows = groupRows

// GroupsOf is how many groups a chunk has.
func GroupsOf(rows int) int { return groupsOf(rows) }

// Sums are the sums of a chunk as one part.
func (p *Pair) Sums(ctx context.Context, c chunk.Chunk) (src, des Sum, err error) {
	pl, err := p.plan(ctx)
	if err != nil {
		return Sum{}, Sum{}, err
	}
	all, others, err := p.bothSums(ctx, pl, c, func(ctx context.Context, on row.Side) ([]Sum, error) {
		return p.sumParts(ctx, pl, on, c, []chunk.Chunk{c})
	})
	if err != nil {
		return Sum{}, Sum{}, err
	}
	return all[0], others[0], nil
}

// SumQuery is what Sums sends to a side.
func (p *Pair) SumQuery(ctx context.Context, side row.Side, c chunk.Chunk) (Query, error) {
	pl, err := p.plan(ctx)
	if err != nil {
		return Query{}, err
	}
	q, err := p.sumQuery(pl, side, []chunk.Chunk{c})
	return Query{q.text, q.args}, err
}

// AddUpQuery is what AddUp sends to a side.
func (p *Pair) AddUpQuery(ctx context.Context, side row.Side, c chunk.Chunk) (Query, error) {
	pl, err := p.plan(ctx)
	if err != nil {
		return Query{}, err
	}
	after, upTo, err := pl.places(c)
	if err != nil {
		return Query{}, err
	}
	range_, _, err := pl.bucketRange(side, after, upTo)
	if err != nil {
		return Query{}, err
	}
	q := p.side(side).hashQuery(pl, side, p.side(side).inPrimaryOrder(), pl.sweep.sums.keyHash(side), range_, c.Salt)
	return Query{q.text, q.args}, nil
}

// RunsOf is runsOf for signed ids.
func RunsOf(ids []int64) (runs [][]int64, scattered []int64) {
	signed := func(some []integer) (ids []int64) {
		for _, id := range some {
			ids = append(ids, int64(id.bits))
		}
		return ids
	}
	all := make([]integer, len(ids))
	for i, id := range ids {
		all[i] = integer{uint64(id), id < 0}
	}
	found, others := runsOf(all)
	for _, run := range found {
		runs = append(runs, signed(run))
	}
	return runs, signed(others)
}

// The bounds of runs.
const (
	MinRun   = minRun
	PartRows = partRows
)
