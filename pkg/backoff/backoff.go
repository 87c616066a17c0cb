// Package backoff says how long to wait before the next attempt. It is one pure function: it knows no clock, keeps no count
// and does not wait.
package backoff

import "time"

// Delay returns the wait before the attempt that follows attempt failures in a row: nothing after none, base after the
// first, and twice as long after each further one, up to limit. jitter, a share between 0 and 1, then spreads the
// result evenly over [1-jitter, 1+jitter] times itself, so that those who failed together do not come back together;
// rnd returns values in [0, 1), as math/rand/v2.Float64 does. Even with jitter the result is never above limit.
func Delay(attempt int, base, limit time.Duration, jitter float64, rnd func() float64) time.Duration {
	if attempt <= 0 || base <= 0 {
		return 0
	}
	delay := min(base, limit)
	// Doubled step by step, because a shift by attempt runs over long before attempt does.
	for range attempt - 1 {
		if delay >= limit/2 {
			delay = limit
			break
		}
		delay *= 2
	}
	if jitter <= 0 {
		return delay
	}
	spread := float64(delay) * (1 + jitter*(2*rnd()-1))
	if spread >= float64(limit) {
		return limit
	}
	return time.Duration(spread)
}
