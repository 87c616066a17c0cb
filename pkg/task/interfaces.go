package task

import (
	"context"

	"github.com/masixun71/cupid/pkg/chunk"
	"github.com/masixun71/cupid/pkg/event"
	"github.com/masixun71/cupid/pkg/row"
)

// Pair reads the two sides of a pair. Its methods are safe for concurrent use. Those that read whole rows
// fail with a row.TooLarge where these have more bytes than may be in memory, unless it is one row. An error is a
// chunk.Unread where it is due to the rows that were asked for.
type Pair interface {
	// ReadRange reads the source rows of a chunk.
	ReadRange(ctx context.Context, c chunk.Chunk) (*row.Batch, error)
	// ReadSource reads source rows by the text of their id; rows that are gone are left out.
	ReadSource(ctx context.Context, ids []string) (*row.Batch, error)
	// ReadDestination reads the destination rows that have one of keys.
	ReadDestination(ctx context.Context, keys []row.Key) (*row.Batch, error)
	// SumParts compares a chunk by checksums, on both sides at the same time; known is false
	// when there are none for it. differ are the parts of it that are not equal, with their
	// rows, and rows is how many the source has in all.
	SumParts(ctx context.Context, c chunk.Chunk) (differ []chunk.Chunk, known bool, rows int, err error)
	// SumUpdates compares a chunk of an update scan by checksums, as far as the ids of its rows
	// lie close together; known is false when there are none for it.
	SumUpdates(ctx context.Context, c chunk.Chunk) (u chunk.Updates, known bool, err error)
	// Parts divides a chunk, as far as that can be done: one of an update scan by its rows,
	// others by their bounds.
	Parts(ctx context.Context, c chunk.Chunk) ([]chunk.Chunk, error)
	// CutOff divides a chunk whose rows are too large to be read together: first has so many rows
	// of a side, about, and rest what follows; ok is false where it cannot be divided.
	CutOff(ctx context.Context, c chunk.Chunk, on row.Side, rows int) (first, rest chunk.Chunk, ok bool, err error)
	// GroupSums compares a part of a sweep's chunk, for which there are checksums, by groups of its
	// rows: differ are those that are not equal.
	GroupSums(ctx context.Context, c chunk.Chunk) (differ chunk.Groups, rows int, err error)
	// SeesOrphans reports whether ReadBoth has all destination rows of a chunk, and
	// not only those that its source rows ask for.
	SeesOrphans(ctx context.Context) (bool, error)
	// ReadBoth reads the rows of a sweep's chunk on both sides, or those of some groups.
	ReadBoth(ctx context.Context, c chunk.Chunk, groups chunk.Groups) (src, des *row.Batch, err error)
	// AddUp adds up a chunk of a sweep by buckets on both sides; rows is how many the source has.
	AddUp(ctx context.Context, c chunk.Chunk) (sums []byte, rows int, err error)
	// ReadBuckets reads the rows of a chunk that are in its buckets, on both sides. A row
	// that has no other half there may have it in another chunk.
	ReadBuckets(ctx context.Context, c chunk.Chunk) (src, des *row.Batch, err error)
	// ReadSourceKeys reads which source rows have one of keys, and no values: a row that kills
	// who compares it, and is left out for that, kills nobody who looks for an orphan's source.
	ReadSourceKeys(ctx context.Context, keys []row.Key) (*row.Batch, error)
	// Unaltered reports whether both tables are now what they were when rows were read whose mapping is
	// of, and all that was read since. If not, those may only seem to differ, and are to be read again.
	Unaltered(ctx context.Context, of *row.Mapping) (bool, error)
	// Release gives batches back that were read, to be used for the next: neither they
	// nor any bytes of theirs are valid afterwards. A nil batch is none.
	Release(batches ...*row.Batch)
	// RepairSQL is the statement that would make the destination row right; src is
	// nil for an orphan. It is never executed.
	RepairSQL(src *row.Batch, i int, des *row.Batch, j int, columns []int) string
	// Columns are the source names of the mapped columns, in the order of a
	// batch's cells. It is valid once a read has succeeded.
	Columns() []string
	// LogValue is a value of a batch as text for the log: bounded, and masked
	// where the configuration says so.
	LogValue(b *row.Batch, i, column int) string
	// ReportValue is a value of a batch for a report: whole, nil for NULL, masked
	// where the configuration says so.
	ReportValue(b *row.Batch, i, column int) *string
}

// Work is the worker's side of the master.
type Work interface {
	// Want asks for n more chunks.
	Want(ctx context.Context, n int) error
	// Done reports a chunk that is out of the worker's hands.
	Done(ctx context.Context, r chunk.Result) error
	// Submit returns when the events are durable. It waits as long as that takes:
	// a full queue slows the scans down in this way.
	Submit(ctx context.Context, events []event.Event) error
}

// Hand keeps the names of the chunks in hand for whoever looks after a crash.
type Hand interface {
	// Save replaces what was kept. It does not wait.
	Save(chunks []chunk.Chunk)
}
