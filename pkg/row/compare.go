package row

import (
	"bytes"
	"hash/maphash"
)

// Kind is what is wrong with a row. The numbers are those of the callback body.
type Kind int

// The kinds that a comparison of a source's rows can find.
const (
	Missing   Kind = 1 // the destination has no row of this key
	Different Kind = 2 // it has one, with other values
)

// Divergence is one source row that the destination does not hold as it is.
type Divergence struct {
	Index     int   // the row in the source's batch
	Kind      Kind  // Missing or Different
	Columns   []int // the rules, by index, whose values differ; none when Missing
	Ambiguous bool  // several destination rows have this key; Kind is then Different, also if one of them is equal
	Des       int   // the row in the destination's batch, the first one when Ambiguous; -1 when Missing
}

// Compare finds the rows of src that des does not hold, in src's order. Rows are joined by the bytes of their keys: rows
// of des with other keys, as a case-insensitive collation returns them, are passed over. A NULL in a key matches nothing,
// so a source row with one is Missing; HasNullKey tells. Source rows that share a key are compared each for itself.
// Compare keeps an index in des and must not run twice at once on it.
func Compare(src, des *Batch) []Divergence {
	if len(src.m.columns) != len(des.m.columns) || len(src.m.keys) != len(des.m.keys) {
		panic("row: batches of two mappings compared")
	}
	des.index()
	var found []Divergence
	for i := range src.Len() {
		if src.HasNullKey(i) {
			found = append(found, Divergence{Index: i, Kind: Missing, Des: -1})
			continue
		}
		first, ambiguous := des.find(src.KeyBytes(i))
		switch {
		case first < 0:
			found = append(found, Divergence{Index: i, Kind: Missing, Des: -1})
		case ambiguous || !sameCells(src, i, des, first):
			columns := differing(src, i, des, first)
			if !ambiguous && len(columns) == 0 {
				continue // other bytes, but within the tolerances
			}
			found = append(found, Divergence{Index: i, Kind: Different, Des: first, Ambiguous: ambiguous, Columns: columns})
		}
	}
	return found
}

// sameCells compares two rows in one go: equal rows have equal bytes, and their cells end at equal distances. The second
// matters as much: without it 'ab','c' would equal 'a','bc', and NULL the empty string.
func sameCells(src *Batch, i int, des *Batch, j int) bool {
	a, b := src.ends[i*src.stride+endKey:(i+1)*src.stride], des.ends[j*des.stride+endKey:(j+1)*des.stride]
	a0, b0 := a[0]&^1, b[0]&^1
	for c := 1; c < len(a); c++ {
		if a[c]-a0 != b[c]-b0 {
			return false
		}
	}
	last := len(a) - 1
	return bytes.Equal(src.arena[a0>>1:a[last]>>1], des.arena[b0>>1:b[last]>>1])
}

func differing(src *Batch, i int, des *Batch, j int) []int {
	var columns []int
	for c, r := range src.m.columns {
		a, aNull := src.Cell(i, c)
		b, bNull := des.Cell(j, c)
		same := aNull == bNull && bytes.Equal(a, b)
		if !same && (aNull || bNull || r.within == 0 || !r.near(a, b)) {
			columns = append(columns, c)
		}
	}
	return columns
}

// index builds the hash table over the keys, unless it is there. A key with a NULL may be in it: its bytes are those of
// no whole key.
func (b *Batch) index() {
	if b.indexed {
		return
	}
	n := b.Len()
	size := 16
	for size < 2*n {
		size *= 2
	}
	if cap(b.heads) < size {
		b.heads = make([]int32, size)
	}
	b.heads = b.heads[:size]
	clear(b.heads)
	if cap(b.next) < n {
		b.next = make([]int32, max(n, size/2))
	}
	b.next = b.next[:n]
	for i := n - 1; i >= 0; i-- { // backwards, so that a chain has the first row first
		slot := &b.heads[b.slot(b.KeyBytes(i))]
		b.next[i] = *slot
		*slot = int32(i + 1)
	}
	b.indexed = true
}

func (b *Batch) slot(key []byte) uint64 {
	return maphash.Bytes(b.seed, key) & uint64(len(b.heads)-1)
}

// find is the first row with the key, -1 for none, and whether there is another.
func (b *Batch) find(key []byte) (first int, ambiguous bool) {
	first = -1
	for i := b.heads[b.slot(key)]; i != 0; i = b.next[i-1] {
		if !bytes.Equal(b.KeyBytes(int(i-1)), key) {
			continue
		}
		if first >= 0 {
			return first, true
		}
		first = int(i - 1)
	}
	return first, false
}
