package event

import (
	"slices"

	"github.com/masixun71/cupid/pkg/row"
)

// Found is a source row that differs from its destination row in one look.
type Found struct {
	row.Divergence
	// Look is the fingerprint of both sides in this look.
	Look Look
}

// Find compares source rows with the destination rows of their keys. Source rows
// whose key is NULL can have no destination row and are left out.
func Find(src, des *row.Batch) []Found {
	differ := row.Compare(src, des)
	found := make([]Found, 0, len(differ))
	for _, d := range differ {
		if src.HasNullKey(d.Index) {
			continue
		}
		f := Found{Divergence: d, Look: Look{Source: src.Version(d.Index), SourceNear: src.Nearby(d.Index)}}
		if d.Des >= 0 {
			f.Look.Destination, f.Look.DestinationNear = des.Version(d.Des), des.Nearby(d.Des)
		}
		found = append(found, f)
	}
	return found
}

// FindAgain is Find for a further look. The destination rows of the keys in asked, des,
// were read before src. Those of the keys that rows of src have got since, more, were read
// after it, and Look.SourceFirst says of what is found with them; nil is none.
func FindAgain(src, des, more *row.Batch, asked map[row.Key]bool) []Found {
	found := slices.DeleteFunc(Find(src, des), func(f Found) bool { return !asked[src.Key(f.Index)] })
	if more == nil {
		return found
	}
	for _, f := range Find(src, more) {
		if !asked[src.Key(f.Index)] {
			f.Look.SourceFirst = true
			found = append(found, f)
		}
	}
	return found
}

// Unasked are the keys of the rows of a batch that are not in asked.
func Unasked(b *row.Batch, asked map[row.Key]bool) []row.Key {
	return slices.DeleteFunc(Keys(b), func(k row.Key) bool { return asked[k] })
}

// Keys are the keys of the rows of a batch that have one.
func Keys(b *row.Batch) []row.Key {
	keys := make([]row.Key, 0, b.Len())
	for i := range b.Len() {
		if !b.HasNullKey(i) {
			keys = append(keys, b.Key(i))
		}
	}
	return keys
}

// maxNamesBytes bounds the names of the columns of one event: they go into a frame,
// the queue and a header, whose line many receivers limit to 8 KiB.
const maxNamesBytes = 4096

// Names are the names of the columns of a divergence, out of those of the mapping.
// Those that are more than 4 KiB together are left out.
func Names(d row.Divergence, columns []string) []string {
	names := make([]string, 0, len(d.Columns))
	bytes := 0
	for _, i := range d.Columns {
		if bytes += len(columns[i]); bytes > maxNamesBytes {
			break
		}
		names = append(names, columns[i])
	}
	return names
}
