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
