package task

// MaxPortion is how many rows are read at a time of a chunk that differs.
const MaxPortion = maxPortion

// Course is whether a chunk is begun with its sums after each of those that were seen, equal or not.
func Course(seen []bool) []bool {
	var s courseState
	var next []bool
	for _, equal := range seen {
		s = s.after(s.sums(), equal)
		next = append(next, s.sums())
	}
	return next
}

// Bounds of what a worker holds.
const (
	MaxInHand   = maxInHand
	MaxLarge    = maxLargeInHand
	LargeRows   = largeRows
	MaxLent     = maxLent
	MaxLentRows = maxLentRows
)
