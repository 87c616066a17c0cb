package chunk

// Join joins parts of a chunk that lie behind one another with nothing in between, up to so
// many rows.
func Join(parts []Chunk, most int) []Chunk {
	var all []Chunk
	for _, c := range parts {
		if n := len(all) - 1; n >= 0 && c.After != nil && !all[n].Open && all[n].UpTo == *c.After && all[n].Rows+c.Rows <= most {
			all[n].UpTo, all[n].Open = c.UpTo, c.Open
			all[n].Rows += c.Rows
			continue
		}
		all = append(all, c)
	}
	return all
}
