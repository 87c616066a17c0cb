package callback

import (
	"fmt"
	"time"
)

const (
	// usualTimes is how many times its usual events a pair must have within a minute
	// for a storm. What is usual follows with a weight of 1/usualMinutes a minute.
	usualTimes, usualMinutes = 10, 30
	// heldLook is how often a row that is held back is looked at, for it may heal
	// meanwhile; more rarely where that were more than heldLookPerSecond.
	heldLook, heldLookPerSecond = time.Minute, 1000
	// stormGrid is the grid of the times at which held rows become due, so that several
	// share a look.
	stormGrid = 100 * time.Millisecond
)

// storm decides whether so many rows of a pair diverge at once that its pipeline must
// be down, and when a row is called back meanwhile. It has no lock of its own.
//
//	calm ── events within a minute ≥ max(perMinute, usualTimes × usual) ──▶ storm
//	storm ── fewer than half of perMinute, and nothing is held any more ──▶ calm
//
// While there is a storm no more than perSecond attempts begin within any second. A
// row above that gets a time of its own in the queue, one after the other, and no later
// than it is to be looked at again: what heals meanwhile leaves then.
type storm struct {
	perMinute, perSecond int // perMinute 0: there are none

	second  [60]int // fresh events, by the second
	sum     int     // of them
	now     int64   // the second that was counted last
	usual   float64 // fresh events a minute, without storms
	minutes int64   // the minute that usual knows of

	began    time.Time // zero: there is no storm
	held     time.Time // when something was held last, or could not be looked at
	next     time.Time // the last time that was given to a held row
	attempts []time.Time
	oldest   int // of attempts, which are the last perSecond ones

	rows, itself, callback uint64 // fresh events, and healed ones, of this storm
}

// advance forgets what is older than a minute.
func (s *storm) advance(now time.Time) {
	sec := now.Unix()
	if sec < s.now-int64(len(s.second)) { // the clock was set back
		s.second, s.sum, s.now, s.minutes = [60]int{}, 0, sec, sec/60
	}
	if minute := sec / 60; minute != s.minutes {
		last := float64(s.sum) // of the minute before; there was nothing in those after it
		for n := min(minute-s.minutes, 10*usualMinutes); n > 0 && s.began.IsZero(); n-- {
			s.usual += (last - s.usual) / usualMinutes
			last = 0
		}
		s.minutes = minute
	}
	for n := min(sec-s.now, int64(len(s.second))); n > 0; n-- {
		i := (sec - n + 1) % int64(len(s.second))
		s.sum -= s.second[i]
		s.second[i] = 0
	}
	s.now = max(s.now, sec)
}

// arrive counts fresh events; it reports whether a storm begins with them.
func (s *storm) arrive(now time.Time, n int) (begins bool) {
	if s.perMinute <= 0 {
		return false
	}
	s.advance(now)
	s.second[s.now%int64(len(s.second))] += n
	s.sum += n
	s.rows += uint64(n)
	if !s.began.IsZero() || s.sum < max(s.perMinute, int(usualTimes*s.usual)) {
		return false
	}
	s.began = now
	s.rows, s.itself, s.callback = uint64(s.sum), 0, 0
	return true
}

// ends reports whether the storm is over; depth is how many events the pair has.
func (s *storm) ends(now time.Time, depth int) bool {
	if s.began.IsZero() {
		return false
	}
	s.advance(now)
	switch {
	case s.sum > 0 && 2*s.sum >= s.perMinute, now.Sub(s.began) < time.Minute:
		return false
	case depth > s.perSecond && now.Sub(s.held) <= lookAfter(depth):
		return false // some are still held
	}
	s.began, s.next = time.Time{}, time.Time{}
	return true
}

// lookAfter is after how long a held row is looked at again.
func lookAfter(depth int) time.Duration {
	return max(heldLook, time.Duration(depth)*time.Second/heldLookPerSecond)
}

// hold decides on a row that is to be called back now. When it is held, due is when
// it is looked at again. before says that it was held before.
func (s *storm) hold(now time.Time, before bool, depth int) (due time.Time, held bool) {
	if s.perMinute <= 0 {
		return due, false
	}
	if s.attempts == nil {
		s.attempts = make([]time.Time, s.perSecond)
	}
	free := s.attempts[s.oldest].Add(time.Second)
	if s.began.IsZero() || !free.After(now) && (before || !s.next.After(now)) {
		s.attempts[s.oldest] = now
		s.oldest = (s.oldest + 1) % len(s.attempts)
		return due, false
	}
	s.held = now
	if s.next.Before(free) {
		s.next = free
	}
	if s.next.Before(now) {
		s.next = now
	}
	turn, last := s.next.Add(time.Second/time.Duration(s.perSecond)), now.Add(lookAfter(depth))
	if turn.After(last) {
		return last, true
	}
	s.next = turn
	return turn.Truncate(stormGrid).Add(stormGrid), true
}

// healed counts a row that healed.
func (s *storm) healed(itself bool) {
	if itself {
		s.itself++
	} else {
		s.callback++
	}
}

// StormStatus is what is told of a storm: since when, and how many rows diverged and
// healed in it.
type StormStatus struct {
	Since            time.Time `json:"since"`
	Rows             uint64    `json:"rows"`
	HealedItself     uint64    `json:"healedItself"`
	HealedByCallback uint64    `json:"healedByCallback"`
}

// status is nil when there is no storm.
func (s *storm) status() *StormStatus {
	if s.began.IsZero() {
		return nil
	}
	return &StormStatus{s.began, s.rows, s.itself, s.callback}
}

// resume goes on with a storm that an earlier worker has seen begin.
func (s *storm) resume(was StormStatus) {
	if s.perMinute <= 0 || was.Since.IsZero() {
		return
	}
	now := time.Now()
	s.began, s.held = past(was.Since, now), now
	s.rows, s.itself, s.callback = was.Rows, was.HealedItself, was.HealedByCallback
}

// arrived wakes the lane and notices a storm.
func (l *lane) arrived(n int) {
	l.mu.Lock()
	l.counts.Stored += uint64(n)
	usual := l.storm.usual
	begins := l.storm.arrive(time.Now(), n)
	sum := l.storm.sum
	l.mu.Unlock()
	if begins {
		l.config.changed()
		l.log.Error().Int("rows", sum).Int("usual", int(usual)).Int("perSecond", l.storm.perSecond).Msg("divergence jumps; callbacks are held back")
		l.config.Alerts.Alert("divergence jumps", fmt.Sprintf(
			"%s: %d rows diverged within a minute, and usually %.0f do; is its pipeline down? Its callbacks are held back to %d a second, and none is dropped",
			l.name, sum, usual, l.storm.perSecond,
		))
	}
	select {
	case l.kick <- struct{}{}:
	default:
	}
}

// calm notices that a storm is over. While the URL, the databases or the queue are away
// nothing is looked at, and what was held before is held still.
func (l *lane) calm(away bool) {
	depth := l.config.Queue.Depth(l.name)
	now := time.Now()
	l.mu.Lock()
	if away {
		l.storm.held = now
	}
	was := l.storm.status()
	ends := l.storm.ends(now, depth)
	l.mu.Unlock()
	if !ends {
		return
	}
	l.config.changed()
	took := time.Since(was.Since).Round(time.Second)
	l.log.Info().Stringer("took", took).Uint64("rows", was.Rows).Uint64("healedItself", was.HealedItself).
		Uint64("healedByCallback", was.HealedByCallback).Int("waiting", depth).Msg("the jump of divergence is over")
	l.config.Alerts.Alert("divergence is usual again", fmt.Sprintf(
		"%s: the jump is over after %s: %d rows diverged, %d healed by themselves, %d after a callback, %d wait",
		l.name, took, was.Rows, was.HealedItself, was.HealedByCallback, depth,
	))
}

// heldBack gives a row that is to be called back its time when there is a storm.
func (l *lane) heldBack(c *checked, r known, now time.Time) bool {
	depth := l.config.Queue.Depth(l.name)
	l.mu.Lock()
	due, held := l.storm.hold(now, r.note.Held, depth)
	l.mu.Unlock()
	if !held {
		return false
	}
	n := r.note
	n.Held, n.Unread = true, 0
	c.add(change(r.Record, n, due), func() {
		if !r.note.Held {
			l.count(func(n *Counts) { n.HeldBack++ })
		}
	})
	return true
}
