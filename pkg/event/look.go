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
type Look struct {
	// Source is the fingerprint of the source row.
	Source uint64 `json:"source"`
	// Destination is the fingerprint of the destination row; 0 when it is missing.
	Destination uint64 `json:"destination"`
	// SourceNear and DestinationNear are the same for columns with a tolerance, as
	// row.Near compares them; empty where the pair has none.
	SourceNear      string `json:"sourceNear,omitempty"`
	DestinationNear string `json:"destinationNear,omitempty"`
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
func Judge(looks []Look) Verdict {
	if len(looks) < 2 {
		return Again
	}
	last, before := looks[len(looks)-1], looks[len(looks)-2]
	if last.Source == before.Source {
		return Confirmed
	}
	if slices.ContainsFunc(looks[:len(looks)-1], last.shows) || last.Destination != before.Destination {
		return Again
	}
	return Confirmed
}
