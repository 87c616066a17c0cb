package manager

import (
	"context"
	"time"

	"github.com/masixun71/cupid/pkg/chunk"
)

// Clock is the source server's time and the age of its transactions, read in
// this order.
type Clock struct {
	// Now is the server's time.
	Now time.Time
	// Listed is the server's time before its transactions were listed, which may have been a
	// moment ago.
	Listed time.Time
	// Oldest is when the oldest transaction started that was open then and may commit
	// rows, or the oldest statement that waited to begin one; zero when there is none. The
	// server's word on it may have whole seconds.
	Oldest time.Time
	// Visible is false when the transactions that commit into the table cannot be
	// seen: the account may not, or they run on another server of which this one is
	// a replica.
	Visible bool
	// Applied is the server's time up to which it has for sure what was committed on those that it
	// is a replica of: Now where there are none, or nobody can tell. Zero while replication
	// stands still, and as long as nothing is sure.
	Applied time.Time
}

// Source is the source table of one pair. Its methods may be called by several
// goroutines, one for each scan of the pair. Every error is taken for a passing
// one and tried again; only a run with -once gives up, see Definite.
type Source interface {
	// Clock reads the server's clock and its oldest transaction.
	Clock(ctx context.Context) (Clock, error)
	// Head is the greatest id, ok false in an empty table.
	Head(ctx context.Context) (id string, ok bool, err error)
	// ServerGivesIDs reports whether the id column is AUTO_INCREMENT: then an id
	// is never given out before its transaction has started.
	ServerGivesIDs(ctx context.Context) (bool, error)
	// CutIDs bounds the next chunk of at most limit rows with an id in
	// (after, upTo], nil being open. It returns the last id of it and how many
	// rows there are, 0 when there is none.
	CutIDs(ctx context.Context, after, upTo *string, limit int) (last string, rows int, err error)
	// Window turns two instants into values of the update column.
	Window(ctx context.Context, from, to time.Time) (lo, hi string, err error)
	// CutUpdates is CutIDs for rows whose update column lies in [lo, hi], in
	// the order of (update column, id).
	CutUpdates(ctx context.Context, after *chunk.Position, lo, hi string, limit int) (last chunk.Position, rows int, err error)
	// Ping returns nil when both sides of the pair answer.
	Ping(ctx context.Context) error
	Whole
}

// Whole is what a sweep needs to know of a pair.
type Whole interface {
	// Sweep decides how the pair is swept. It is asked before every chunk, so it
	// remembers its answer as long as the tables do not change.
	Sweep(ctx context.Context) (SweepPlan, error)
	// CutKeys bounds the next chunk of about limit source rows in (after, upTo], nil being
	// open, in the order of the join key; more where rows share a key.
	CutKeys(ctx context.Context, after, upTo *string, limit int) (chunk.Cut, error)
	// StepKeys bounds the next chunk without a look at the rows: it has so many at most, and may
	// have none. That is most, and less towards the end, but no less than least; 0 where that
	// cannot be, and where the chunk would not end below upTo.
	StepKeys(ctx context.Context, after, upTo string, most, least int) (last string, rows int, err error)
	// LastKey is the greatest key of the source; ok is false when there is no row.
	LastKey(ctx context.Context) (text string, ok bool, err error)
	// CutBuckets bounds the next chunk of a sweep by buckets: about limit rows of either
	// side behind after and not behind upTo, nil being open. It returns the text of the last
	// bound and how many rows the larger part has, 0 when none is left.
	CutBuckets(ctx context.Context, after, upTo *string, limit int) (last string, rows int, err error)
	// IDBetween is the id of the last source row behind after, nil being open, and not behind
	// upTo, which are bounds that CutBuckets has returned; empty when there is none.
	IDBetween(ctx context.Context, after *string, upTo string) (string, error)
	// EstimatedRows is about how many rows the source has, 0 when nobody knows.
	EstimatedRows(ctx context.Context) (int64, error)
	// NullRows counts the source rows that no chunk of a sweep has, because a part of their key or
	// their id is NULL. It is asked once in a pass.
	NullRows(ctx context.Context) (keys, ids int64, err error)
	// Pressure is the load on the servers of both sides: the greater number of
	// running threads, and the longer lag of those that are replicas. lagKnown is
	// false when a lag could not be read; then lag is that of the other side, or 0.
	Pressure(ctx context.Context) (threadsRunning int, lag time.Duration, lagKnown bool, err error)
}

// The modes of a sweep.
const (
	// SweepByKey has bounds that are texts of the join key.
	SweepByKey = "key"
	// SweepByRow has bounds that are ids, as an insert scan has.
	SweepByRow = "row"
	// SweepByBucket has bounds that are places in both tables.
	SweepByBucket = "bucket"
)

// SweepPlan is how a pair is swept.
type SweepPlan struct {
	// Mode is what the bounds of chunks are made of: SweepByKey, SweepByRow or SweepByBucket.
	Mode string
	// Choice says that a pass which was begun by key or by bucket can go on as it is,
	// whichever of the two Mode is.
	Choice bool
	// Key identifies the columns that bounds are made of and how they are compared: bounds of another mean nothing.
	Key string
	// Sums names what buckets add up. What was added up under another name is of no use.
	Sums string
	// Divisible says that large chunks of the sweep cost less than small ones, even where
	// rows of them differ; Inserts says the same of an insert or update scan that catches up.
	Divisible, Inserts bool
	// How is the plan in words, for people.
	How string
}

// Definite is an error of a Source that does not pass by itself: somebody has to
// change something. Scans try again all the same; a run with -once gives the pair up.
type Definite struct{ Err error }

// Error is the error's own text.
func (d *Definite) Error() string { return d.Err.Error() }

// Unwrap returns the error itself.
func (d *Definite) Unwrap() error { return d.Err }

// Cursors keeps the state of all lanes.
type Cursors interface {
	// Load returns the state that was saved last. A first start has an empty one.
	Load() (State, error)
	// Save is durable when it returns.
	Save(State) error
}

// Sums keeps what a sweep by buckets has added up, for each pair by itself.
type Sums interface {
	// Load returns what was saved last; the zero value where nothing usable was.
	Load(pair string) (SumState, error)
	// Save is durable when it returns.
	Save(pair string, s SumState) error
}

// Owner decides which pairs this process is to scan.
type Owner interface {
	// Owns is asked before each scan of a pair.
	Owns(pair string) bool
}

// Alerts takes what an operator should hear of. It does not block.
type Alerts interface {
	Alert(kind, text string)
}
