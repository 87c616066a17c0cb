package chunk

// Group is the rows of a chunk that have one hash of their key, or one key.
type Group struct {
	// Number is the hash, or which of the values above the chunk's lower bound the key is, the
	// first being 0.
	Number int
	// Rows is how many there are on the side that has more of them.
	Rows int
}

// Groups are some of the groups that a chunk's rows fall into. They say which rows are
// to be read, and nothing about what these are like. The zero value is all rows.
type Groups struct {
	// Of is how many groups there are in all.
	Of int
	// ByKey says that each group is one key.
	ByKey bool
	// Some are those that are meant.
	Some []Group
}

// Whole reports whether all rows of the chunk are meant.
func (g Groups) Whole() bool { return g.Of == 0 || len(g.Some) == g.Of }

// Rows is how many rows are meant, 0 when nobody counted them.
func (g Groups) Rows() int {
	rows := 0
	for _, one := range g.Some {
		rows += one.Rows
	}
	return rows
}

// Fewer parts two groups or more into portions of at most so many rows, and into two at least.
func (g Groups) Fewer(most int) []Groups {
	if all := g.Portions(most); len(all) > 1 {
		return all
	}
	half := len(g.Some) / 2
	return []Groups{{g.Of, g.ByKey, g.Some[:half]}, {g.Of, g.ByKey, g.Some[half:]}}
}

// Portions parts groups into such as have at most so many rows, or one group.
func (g Groups) Portions(most int) []Groups {
	var all []Groups
	from, rows := 0, 0
	for i, one := range g.Some {
		if rows += one.Rows; rows > most && i > from {
			all = append(all, Groups{g.Of, g.ByKey, g.Some[from:i]})
			from, rows = i, one.Rows
		}
	}
	if from < len(g.Some) {
		all = append(all, Groups{g.Of, g.ByKey, g.Some[from:]})
	}
	return all
}
