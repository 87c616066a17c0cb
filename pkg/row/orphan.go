package row

// Orphans are the rows of des, by index and in des's order, whose key no row of src has. A row with a NULL in its key
// matches none and would be one for ever; NullKeys counts those instead, and Orphans leaves them out. Orphans keeps an
// index in src and must not run twice at once on it.
func Orphans(src, des *Batch) []int {
	if len(src.m.keys) != len(des.m.keys) {
		panic("row: batches of two mappings compared")
	}
	src.index()
	var found []int
	for i := range des.Len() {
		if des.HasNullKey(i) {
			continue
		}
		if first, _ := src.find(des.KeyBytes(i)); first < 0 {
			found = append(found, i)
		}
	}
	return found
}

// NullKeys counts the rows of b with a NULL in their key.
func NullKeys(b *Batch) int {
	n := 0
	for i := range b.Len() {
		if b.HasNullKey(i) {
			n++
		}
	}
	return n
}
