package chunk

// Updates is what checksums say of the rows of an update scan's chunk.
type Updates struct {
	// Rows is how many there are on the source.
	Rows int
	// Summed is how many of them were added up, 0 where their ids are too scattered for that.
	Summed int
	// Differ is how many of those are in parts that differ.
	Differ int
	// Read are the ids, as text, of the rows that checksums did not find equal: those in
	// parts that differ, and those that were not added up although others were.
	Read []string
}
