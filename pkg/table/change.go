package table

import (
	"slices"

	"github.com/masixun71/cupid/pkg/row"
)

// Change is one thing in which a table is not what it was.
type Change struct {
	// Side is the name of the side, as its options give it.
	Side string
	// What has changed: a column by its name, "indexes", or "zone of its writers".
	What string
	// From and To are a column's type, "none" where there was no such column or is none any more, or
	// the zone. Both are empty for indexes.
	From, To string
}

// altered tells whoever wants to know in what two readings of the metadata differ.
func (s *side) altered(old, now *meta) {
	if s.o.Altered == nil {
		return
	}
	for _, c := range changes(old, now) {
		c.Side = s.o.Name
		s.o.Altered(c)
	}
	if from, to := s.zone(old), s.zone(now); from != to {
		s.o.Altered(Change{s.o.Name, "zone of its writers", from, to})
	}
}

// changes are the differences between two readings, but for the zone.
func changes(old, now *meta) (all []Change) {
	for _, c := range old.columns {
		to, ok := now.find(c.Name)
		switch {
		case !ok:
			all = append(all, Change{What: c.Name, From: typeText(c), To: "none"})
		case to != c:
			all = append(all, Change{What: c.Name, From: typeText(c), To: typeText(to)})
		}
	}
	for _, c := range now.columns {
		if _, ok := old.find(c.Name); !ok {
			all = append(all, Change{What: c.Name, From: "none", To: typeText(c)})
		}
	}
	same := func(a, b index) bool {
		return a.name == b.name && a.unique == b.unique && a.hidden == b.hidden && slices.Equal(a.columns, b.columns)
	}
	if !slices.EqualFunc(old.indexes, now.indexes, same) {
		all = append(all, Change{What: "indexes"})
	}
	return all
}

// typeText is a column's type with what may change beside it.
func typeText(c row.Column) string {
	text := c.ColumnType
	if c.Collation != "" {
		text += " " + c.Collation
	}
	if c.Nullable {
		return text + " NULL"
	}
	return text + " NOT NULL"
}
