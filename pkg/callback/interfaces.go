package callback

import (
	"context"
	"time"

	"github.com/masixun71/cupid/pkg/row"
)

// Record is an identity in the queue.
type Record struct {
	Pair string
	// Key is the text form of the event's key.
	Key string
	// Note is the Note of the identity as JSON.
	Note      []byte
	Due       time.Time
	Attempts  int
	Version   int64
	FirstSeen time.Time
}

// Change is what becomes of a record: it is applied only when the stored version
// is still the record's.
type Change struct {
	Record
	Remove bool
}

// Queue keeps records by identity, across any crash. Safe for concurrent use.
type Queue interface {
	// Put stores records and is durable when it returns. A known identity takes
	// the new note and keeps its due time, attempts and first seen. ErrFull when
	// there is no room; nothing is stored then.
	Put(ctx context.Context, records []Record) error
	// Due returns up to limit records of a pair that are due, the earliest first,
	// and leaves out those that skip.
	Due(ctx context.Context, pair string, now time.Time, limit int, skip func(key string) bool) ([]Record, error)
	// Latest is Due with the latest first.
	Latest(ctx context.Context, pair string, now time.Time, limit int, skip func(key string) bool) ([]Record, error)
	// Beyond returns records of a pair that are due after a time, as Due does.
	Beyond(ctx context.Context, pair string, after time.Time, limit int, skip func(key string) bool) ([]Record, error)
	// Get returns the record of one identity.
	Get(ctx context.Context, pair, key string) (Record, bool, error)
	// GetAll returns the records that there are of some keys of a pair, in no order.
	GetAll(ctx context.Context, pair string, keys []string) ([]Record, error)
	// Apply is durable when it returns. It returns the indices of changes whose
	// record is gone or has a newer version; those were not applied.
	Apply(ctx context.Context, changes []Change) (stale []int, err error)
	// NextDue is when the next record of a pair is due; ok false when there is none.
	NextDue(ctx context.Context, pair string) (due time.Time, ok bool, err error)
	// Depth is how many records a pair has. It reads no disk.
	Depth(pair string) int
	// Len is how many records all pairs have. It reads no disk.
	Len() int
	// Pairs are the pairs that have a record. It reads no disk.
	Pairs() []string
}

// Pair reads the two sides of a pair. Safe for concurrent use. What reads rows fails with a row.TooLarge where they,
// with their objects, have more bytes than may be in memory, unless it is one row.
type Pair interface {
	// ReadFull reads source rows by the text of their id; rows that are gone are
	// left out. payloads[i] is the JSON object of the whole row i.
	ReadFull(ctx context.Context, ids []string) (b *row.Batch, payloads [][]byte, err error)
	// ReadSource is ReadFull without the payloads.
	ReadSource(ctx context.Context, ids []string) (*row.Batch, error)
	// ReadDestination reads the destination rows that have one of keys.
	ReadDestination(ctx context.Context, keys []row.Key) (*row.Batch, error)
	// Ping returns nil when both servers answer.
	Ping(ctx context.Context) error
	// ReadSourceByKeys reads the source rows that have one of keys.
	ReadSourceByKeys(ctx context.Context, keys []row.Key) (*row.Batch, error)
	// ReadDestinationFull is ReadDestination with the JSON objects of whole rows.
	ReadDestinationFull(ctx context.Context, keys []row.Key) (b *row.Batch, payloads [][]byte, err error)
	// Unaltered reports whether both tables are now what they were when rows were read whose mapping is
	// of, and all that was read since. If not, those may only seem to differ, and are to be read again.
	Unaltered(ctx context.Context, of *row.Mapping) (bool, error)
	// Columns are the source names of the mapped columns.
	Columns() []string
}

// Post is one attempt.
type Post struct {
	ID      string // the same over all attempts of an event
	Attempt int    // from 1
	Pair    string
	Columns []string
	Body    []byte
}

// Outcome is what became of an attempt.
type Outcome struct {
	Accepted   bool
	Err        error         // why it was not accepted; holds no secret
	OfRow      bool          // it was answered, and the reason may be this row alone
	RetryAfter time.Duration // asked for by the receiver, for the whole URL; at most an hour
	Parked     bool          // the receiver says that it is gone for good
	Unanswered bool          // no answer came, and the receiver may have read the post
	Elapsed    time.Duration
}

// Sender posts to one URL. Safe for concurrent use.
type Sender interface {
	Post(ctx context.Context, p Post) Outcome
}

// Memory keeps what a worker must not forget when it is killed, beside the queue. Its
// methods are called one at a time.
type Memory interface {
	// Load returns what was saved last; of nothing, the zero value.
	Load() (Memo, error)
	// Save is durable when it returns.
	Save(Memo) error
}

// Memo is what a Memory keeps.
type Memo struct {
	// Gates are the URLs that are down, by GateID.
	Gates map[string]GateMemo `json:"gates,omitempty"`
	// Storms are those that go on, by the name of the pair.
	Storms map[string]StormStatus `json:"storms,omitempty"`
	// Deletes are how many attempts with orphans count against DeletePerHour, by the
	// name of the pair and the minute since 1970.
	Deletes map[string]map[int64]int `json:"deletes,omitempty"`
}

// GateMemo is a URL that is down.
type GateMemo struct {
	Failures int       `json:"failures"`
	Parked   bool      `json:"parked,omitempty"`
	Since    time.Time `json:"since"`
	// Open is when it may be probed next.
	Open time.Time `json:"open"`
}

// Alerts takes what an operator should hear of. It does not block.
type Alerts interface {
	Alert(kind, text string)
}
