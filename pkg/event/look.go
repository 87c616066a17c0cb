package event

import (
	"slices"

	"github.com/masixun71/cupid/pkg/row"
)

// MaxLooks is how many looks at one row are kept. A destination that shows a
// version which the source had longer ago than that is taken for one that does
// not follow.
const MaxLooks = 16

// Look is what one reading of both sides saw of a row whose sides differed: a
// fingerprint of the mapped columns of each.
//
// The two sides are never read at one moment, and whoever reads them may stand still in
// between for as long as it likes: a stopped process, a machine that is frozen or swaps.
// So the order matters. A look reads the destination first: then what it saw of the
// destination is older than what it saw of the source, and never newer.
type Look struct {
	// Source is the fingerprint of the source row.
	Source uint64 `json:"source"`
	// Destination is the fingerprint of the destination row; 0 when it is missing.
	Destination uint64 `json:"destination"`
	// SourceNear and DestinationNear are the same for columns with a tolerance, as
	// row.Near compares them; empty where the pair has none.
	SourceNear      string `json:"sourceNear,omitempty"`
	DestinationNear string `json:"destinationNear,omitempty"`
	// SourceFirst says that the source was read before the destination or at the same
	// time, so that the destination may be newer than the source. The first look at a row
	// is such: the keys by which the destination is read are the source's.
	SourceFirst bool `json:"sourceFirst,omitempty"`
}

// shows reports whether the destination is a version that the source had in was.
func (l Look) shows(was Look) bool {
	return l.Destination == was.Source || row.Near(l.DestinationNear, was.SourceNear)
}

// Add returns looks with one more, without the oldest where there are too many.
// It does not change looks.
func Add(looks []Look, l Look) []Look {
	from := max(0, len(looks)+1-MaxLooks)
	all := make([]Look, 0, len(looks)-from+1)
	for _, before := range looks[from:] {
		before.DestinationNear = "" // only that of the last look is asked for
		all = append(all, before)
	}
	return append(all, l)
}

// Verdict is what the looks at one suspect add up to.
type Verdict int

const (
	// Again means that the row is still moving and has to be looked at once more.
	Again Verdict = iota
	// Confirmed means that the suspect is an event.
	Confirmed
)

// Judge decides on a row that differed in every one of looks, the oldest first,
// each at least the settle time after the one before. A row that was equal in
// any look is no suspect any more and is not judged.
//
// The row is an event once the source stood still between two looks and the
// destination had the settle time to follow, or once the destination stood still
// while the source moved on. As long as both move, or the destination shows a
// version that the source has had since the first look, the pipeline is
// delivering and the row is looked at again.
//
// Both hold whatever time lies between the two reads of a look, as long as the
// destination is read first where it matters:
//
//	look n-1:  destination d', source s'    (in any order for the first rule)
//	           at least the settle time
//	look n:    destination d,  source s     d before s
//
// The source was the same at s' and s: it had that version since s' at least, and d lies
// between them, the settle time after s'. A destination that does not show it then has
// had its time. Were s before d, the source could have moved on between them, and the
// destination followed to what looks like another row. So a last look with SourceFirst
// confirms nothing.
//
// The destination was the same at d' and d, and the source another at s' and s: a
// pipeline that delivers within the settle time would show at d what the source had at
// s' or later, so the destination had it already at d'. The row differed in look n-1, so
// that is a later version than that of s', which the destination can have shown at d' only
// if s' was before d'. So with SourceFirst in look n-1 the row is looked at once more.
//
// What no fingerprint tells is a side that changed and changed back between two looks: it
// seems to have stood still. A row that goes from one value to another and back within
// the settle time, and is caught with the other one in the destination, is confirmed. The
// look before the callback is the one that may still see it equal.
func Judge(looks []Look) Verdict {
	if len(looks) < 2 {
		return Again
	}
	last, before := looks[len(looks)-1], looks[len(looks)-2]
	if last.SourceFirst {
		return Again
	}
	if last.Source == before.Source {
		return Confirmed
	}
	if before.SourceFirst || slices.ContainsFunc(looks[:len(looks)-1], last.shows) || last.Destination != before.Destination {
		return Again
	}
	return Confirmed
}
