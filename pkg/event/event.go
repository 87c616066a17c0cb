// Package event is a confirmed divergence on its way to the callback: its
// identity, what is known of it, the body it is sent with, and the rule by which
// a suspect becomes one. It knows nothing of how events are stored or sent.
package event

import (
	"strconv"
	"time"

	"github.com/masixun71/cupid/pkg/row"
)

// Kind says what a comparison found. Its numbers are the callback's "type".
type Kind int

const (
	// Missing is a source row that the destination does not have.
	Missing Kind = 1
	// Different is a row whose mapped columns differ between the two sides.
	Different Kind = 2
	// Orphan is a destination row without a source row.
	Orphan Kind = 3
)

// String is the kind as a word for logs and messages.
func (k Kind) String() string {
	switch k {
	case Missing:
		return "missing"
	case Different:
		return "different"
	case Orphan:
		return "orphan"
	}
	return "kind " + strconv.Itoa(int(k))
}

// Event is a divergence that a task worker hands to the callback worker. It
// carries no row: rows are read anew before every attempt.
type Event struct {
	// Pair and Key are the identity; a newer event replaces an older one of the
	// same identity.
	Pair string  `json:"pair"`
	Key  row.Key `json:"key"`
	// Kind is what was found last.
	Kind Kind `json:"kind"`
	// SourceID is the source row's id column as text, by which it is read again. An
	// orphan has none and is read by its key.
	SourceID string `json:"sourceId"`
	// Columns are the source names of the differing columns, as Names bounds them.
	Columns []string `json:"columns,omitempty"`
	// FirstSeen is when the divergence was first read, by the clock of this machine.
	FirstSeen time.Time `json:"firstSeen"`
	// Look is the look that confirmed it; nil for an orphan, and for a row that is watched.
	// The callback worker's first look is judged with it, however soon that comes: it
	// may have healed and moved on by then, and stays confirmed otherwise.
	Look *Look `json:"look,omitempty"`
	// Watch is set for a row that kept changing for as long as a task worker may
	// hold it: it is no event yet, and the callback worker goes on judging it. It has
	// the looks so far, the oldest first.
	Watch []Look `json:"watch,omitempty"`
}

// MaxKeyTextBytes is the longest text of a key that can be queued. The longest key
// of an index of MySQL has 3,072 bytes, twice as many in hexadecimal; only a
// byColumn that has no index can have longer ones.
const MaxKeyTextBytes = 8192

// AppendBody appends the callback's body to dst: exactly
// {"type":KIND,"srcColumn":ROW}, with row a JSON object.
func AppendBody(dst []byte, kind Kind, row []byte) []byte {
	dst = append(dst, `{"type":`...)
	dst = strconv.AppendInt(dst, int64(kind), 10)
	dst = append(dst, `,"srcColumn":`...)
	dst = append(dst, row...)
	return append(dst, '}')
}
