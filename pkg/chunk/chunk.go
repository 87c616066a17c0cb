// Package chunk is a bounded range of one pair's rows, the unit of work that the
// manager cuts and a task worker compares. It knows nothing of databases: bounds
// are texts as the database gave them, and only the database orders them.
package chunk

import (
	"fmt"
)

// Scan names the scan that cut a chunk.
type Scan string

const (
	// Insert is the scan for new ids: bounds are values of the id column.
	Insert Scan = "insert"
	// Update is the scan for recent changes: bounds are pairs of the update
	// column's value and the id, so that any number of rows with one value can
	// be paged.
	Update Scan = "update"
	// Sweep is the pass over a whole table. What its bounds are made of is the
	// table's business (see pkg/table); usually they are texts of the join key.
	Sweep Scan = "sweep"
)

// Stage is what is to be done with a chunk of a sweep by buckets (see pkg/table),
// whose bounds are places in both tables.
type Stage string

const (
	// Compare is that of all other chunks.
	Compare Stage = ""
	// AddUp adds the rows of either side up by the buckets of their keys.
	AddUp Stage = "sum"
	// Resolve compares the rows of the buckets that differ.
	Resolve Stage = "resolve"
)

// Position is a place in the order of a scan.
type Position struct {
	// Value is the update column's value as text; empty in an insert scan.
	Value string `json:"value,omitempty"`
	// ID is the id column's value as text, decimal for integers.
	ID string `json:"id"`
}

// String is the position as it stands in a log line.
func (p Position) String() string {
	if p.Value == "" {
		return p.ID
	}
	return p.Value + "/" + p.ID
}

// MaxSkip is how many rows a chunk leaves out at most.
const MaxSkip = 100

// Chunk is a bounded range of one pair's rows.
type Chunk struct {
	// ID names the chunk among all that one manager process has cut.
	ID string `json:"id"`
	// Pair is the name of the pair.
	Pair string `json:"pair"`
	// Scan says what the bounds are made of.
	Scan Scan `json:"scan"`
	// After is the exclusive lower bound; nil is open.
	After *Position `json:"after,omitempty"`
	// From is the inclusive lower bound on the update column's value; empty is
	// open, and so it always is in an insert scan.
	From string `json:"from,omitempty"`
	// UpTo is the inclusive upper bound.
	UpTo Position `json:"upTo"`
	// Open says that UpTo is no bound: the last chunk of a sweep has everything
	// above After, so that rows above the source's greatest key are seen too.
	Open bool `json:"open,omitempty"`
	// Salt varies the checksum. What one checksum cannot see, one of another salt
	// likely does; so each pass has its own.
	Salt uint32 `json:"salt,omitempty"`
	// Stage says what is to be done with the rows.
	Stage Stage `json:"stage,omitempty"`
	// Differ is the set of the buckets to Resolve (see ParseDiffer), empty for all.
	Differ string `json:"differ,omitempty"`
	// Only names the one row that is meant, by the id column, wherever it has moved to: it had the
	// place UpTo when it was found. Empty is all of the range.
	Only string `json:"only,omitempty"`
	// Skip names rows of the range that are left out, since they kill who compares them:
	// by the id column, or in a sweep by key by the text of the key. At most MaxSkip.
	Skip []string `json:"skip,omitempty"`
	// Rows is how many rows the range had when it was cut, 0 when unknown.
	Rows int `json:"rows,omitempty"`
	// Key identifies what the bounds of a sweep's chunk are made of. A worker that has other metadata of the tables
	// compares nothing of it; empty is any.
	Key string `json:"key,omitempty"`
	// Config is the fingerprint of the pair's configuration that the manager has. A worker that has another compares
	// nothing of it: in a reload that is to be done by those that come.
	Config string `json:"config,omitempty"`
	// Crashes counts the workers that died with this chunk in hand.
	Crashes int `json:"crashes,omitempty"`
}

// String is the chunk as it stands in a log line.
func (c Chunk) String() string {
	after := c.From
	if c.After != nil {
		after = c.After.String()
	}
	if c.Open {
		return fmt.Sprintf("%s %s (%s, …)", c.Pair, c.Scan, after)
	}
	return fmt.Sprintf("%s %s (%s, %s]", c.Pair, c.Scan, after, c.UpTo)
}

// Cut is where a chunk that was just cut ends.
type Cut struct {
	// UpTo is the text of the last row's key.
	UpTo string
	// Rows is how many rows there are, 0 when none is left.
	Rows int
	// Dense says that the keys are whole numbers of which hardly one is missing, so that the
	// next chunks can be cut without a look at the rows.
	Dense bool
}

// Result is what a task worker reports of a chunk that it is done with.
type Result struct {
	// Chunk is the ID of the chunk.
	Chunk string `json:"chunk"`
	// Pair is the name of the pair.
	Pair string `json:"pair"`
	// Error says why the chunk could not be compared; empty when every row of it
	// is either equal or an acknowledged event.
	Error string `json:"error,omitempty"`
	// Unfit says, with Error, that the worker has another configuration than the chunk, or other metadata.
	Unfit bool `json:"unfit,omitempty"`
	// Unread says that the Error is due to the rows of the chunk: see Unread.
	Unread bool `json:"unread,omitempty"`
	// Rows is how many source rows were compared.
	Rows int `json:"rows,omitempty"`
	// Healed counts suspects that were equal when read again.
	Healed int `json:"healed,omitempty"`
	// Events counts the events that were acknowledged.
	Events int `json:"events,omitempty"`
	// Missing, Different and Orphans count the confirmed divergences by kind.
	Missing   int `json:"missing,omitempty"`
	Different int `json:"different,omitempty"`
	Orphans   int `json:"orphans,omitempty"`
	// NullKeys, NullIDs and Moving count source rows that could not be judged: those whose key
	// is NULL, those that differed in the first look and have no id by which they could be
	// looked at again, and those that differed in every look and kept changing.
	NullKeys int `json:"nullKeys,omitempty"`
	NullIDs  int `json:"nullIDs,omitempty"`
	Moving   int `json:"moving,omitempty"`
	// Sums are those of a chunk that was to be added up, as Sums.Bytes writes them.
	Sums []byte `json:"sums,omitempty"`
	// Millisecond is how long the queries of the chunk took, the first look only;
	// 0 when unknown. The size of the next chunks follows from it.
	Millisecond int `json:"millisecond,omitempty"`
}
