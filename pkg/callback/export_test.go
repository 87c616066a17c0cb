package callback

import "time"

// MaxRemembered is how many healed rows are remembered.
const MaxRemembered = maxRemembered

// Lately is what remembers them.
type Lately struct{ *lately }

// NewLately makes one that remembers nothing.
func NewLately() Lately { return Lately{newLately()} }

// Healed remembers a row.
func (l Lately) Healed(pair, key string, now time.Time) { l.healed(pair, key, now) }

// Len is how many are remembered.
func (l Lately) Len() int { return max(len(l.at), len(l.ring)) }

// Storm counts the fresh events of a pair.
type Storm struct{ *storm }

// NewStorm makes one that has seen nothing.
func NewStorm() Storm { return Storm{&storm{perMinute: 1_000_000}} }

// Arrive counts n events.
func (s Storm) Arrive(now time.Time, n int) { s.arrive(now, n) }

// LastMinute is how many came within the last minute.
func (s Storm) LastMinute(now time.Time) int {
	s.advance(now)
	return s.sum
}

// MaxDoubtful is how many events a new worker takes for possibly in flight.
const MaxDoubtful = maxDoubtful
