package config

import (
	"cmp"
	"slices"
	"strconv"
)

// Pair is one source table with one destination table.
type Pair struct {
	// Name identifies the pair over restarts and whatever the order in the file: JOB/DESTINATION.
	Name string
	// Job is the name of the pair's job.
	Job string
	// Source and Destination point into the Config; they are not to be changed.
	Source      *Source
	Destination *Destination
}

// String returns the name, so that printing a pair shows no configuration.
func (p Pair) String() string { return p.Name }

// Pairs returns all pairs in the order of the file. Their names are unique.
func (c *Config) Pairs() []Pair {
	var pairs []Pair
	for i := range c.Jobs {
		job := &c.Jobs[i]
		names := job.destinationNames()
		for k := range job.Des {
			pairs = append(pairs, Pair{Name: job.Name + "/" + names[k], Job: job.Name, Source: &job.Src, Destination: &job.Des[k]})
		}
	}
	return pairs
}

// destinationNames returns the name of each destination: its own, or
// DATABASE.TABLE, or DATABASE.TABLE#2 and so on where several have the same. The
// numbers follow the addresses and not the order in the file, so that moving a
// destination about does not swap the cursors of two.
func (j *Job) destinationNames() []string {
	names := make([]string, len(j.Des))
	taken := map[string]bool{}
	var nameless []int
	for i := range j.Des {
		names[i] = j.Des[i].Name
		taken[names[i]] = true
		if names[i] == "" {
			nameless = append(nameless, i)
		}
	}
	slices.SortStableFunc(nameless, func(a, b int) int { return compareDestinations(&j.Des[a], &j.Des[b]) })
	for _, i := range nameless {
		base := j.Des[i].DSN.Database + "." + j.Des[i].Table
		name := base
		for n := 2; taken[name]; n++ {
			name = base + "#" + strconv.Itoa(n)
		}
		names[i] = name
		taken[name] = true
	}
	return names
}

// compareDestinations orders by what tells two destinations apart.
func compareDestinations(a, b *Destination) int {
	return cmp.Or(
		cmp.Compare(a.DSN.Net, b.DSN.Net),
		cmp.Compare(a.DSN.Addr, b.DSN.Addr),
		cmp.Compare(a.CallbackNotification.URL, b.CallbackNotification.URL),
		slices.Compare(a.ByColumn, b.ByColumn),
		slices.Compare(a.Columns.Src(), b.Columns.Src()),
		slices.Compare(a.Columns.Des(), b.Columns.Des()),
	)
}
