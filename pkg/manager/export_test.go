package manager

import "time"

// Constants that tests speak of.
const (
	MaxOpen         = maxOpen
	MaxAhead        = maxAhead
	MaxLate         = maxLate
	MaxSetAside     = maxSetAside
	MaxOwed         = maxOwed
	MaxPieces       = maxPieces
	Lead            = lead
	MadeUpAhead     = madeUpAhead
	AlertFailures   = alertFailures
	CrashesSetAside = crashesToSetAside
)

// Settled reports whether a span is final.
func Settled(l Late, c Clock, ahead, blindAge time.Duration) bool {
	return l.settled(c, ahead, blindAge)
}

// Due reports whether a span is to be looked at again.
func Due(l Late, now time.Time) bool { return l.due(now) }

// Looked counts a look.
func Looked(l *Late, now time.Time) { l.looked(now) }

// Remember appends a span to those of a lane.
func Remember(late []Late, l Late) []Late { return remember(late, l) }

// Constants of a sweep that tests speak of.
const (
	StartRows      = startRows
	MinRows        = minRows
	MaxRows        = maxRows
	MaxDivisible   = maxDivisible
	StartDivisible = startDivisible
	LastRows       = lastRows
	TargetTime     = targetTime
	OpenAge        = openAge
	Patience       = patience

	StartBucketRows = startBucketRows
	MaxBucketRows   = maxBucketRows
	MaxSumsAhead    = maxSumsAhead
	SumsEvery       = sumsEvery
)

// Spread is how long the rows of a chunk take of a pass.
func Spread(rows, spent, expected int64, elapsed, interval time.Duration) time.Duration {
	return spread(rows, spent, expected, elapsed, interval)
}

// Resize is the size of chunks after one of rows took so long.
func Resize(now, rows, millisecond int) int {
	p := pace{rows: now, least: minRows, most: maxRows}
	p.resize(rows, millisecond)
	return p.rows
}
