package callback

import (
	"maps"
	"time"
)

// countsFor is for how many minutes an orphan counts: whenever in its minute it was
// posted, an hour has passed when it counts no more.
const countsFor = 61

// budget is how many attempts with orphans of a pair may begin within any 60 minutes,
// restarts included. It has no lock of its own.
//
// An attempt is counted before it is posted, in the minute in which it is posted at the
// latest, and counts until countsFor minutes later. It is given back when it was not
// posted after all.
//
// A clock that is set forward makes it forget: nothing tells that from time that has
// passed while no worker ran.
type budget struct {
	perHour int
	spent   map[int64]int // by the minute since 1970
	turns   map[int64]int // those that wait, by the minute for which they wait
}

func newBudget(perHour int) budget {
	return budget{perHour: perHour, spent: map[int64]int{}, turns: map[int64]int{}}
}

func minuteOf(t time.Time) int64 { return t.Unix() / 60 }

func startOf(minute int64) time.Time { return time.Unix(60*minute, 0) }

// postedIn is the last minute in which an attempt may begin whose rows are read now.
func postedIn(now time.Time) int64 { return minuteOf(now.Add(freshFor)) }

// free is how many may be posted now.
func (b *budget) free(now time.Time) int {
	b.advance(now)
	n := b.perHour
	for _, k := range b.spent {
		n -= k
	}
	return n
}

// advance forgets what counts no more. What was counted later than now is from before
// the clock was set back, and counts from now on.
func (b *budget) advance(now time.Time) {
	minute, last, later := minuteOf(now), postedIn(now), 0
	maps.DeleteFunc(b.spent, func(m int64, n int) bool {
		if m > last {
			later += n
		}
		return m > last || m+countsFor <= minute
	})
	if later > 0 {
		b.spent[last] += later
	}
	maps.DeleteFunc(b.turns, func(m int64, _ int) bool { return m <= minute || m > last+countsFor })
}

// spend counts an attempt, and returns the minute in which.
func (b *budget) spend(now time.Time) int64 {
	b.spent[postedIn(now)]++
	return postedIn(now)
}

// giveBack counts an attempt no more that was counted in a minute.
func (b *budget) giveBack(minute int64) {
	if b.spent[minute]--; b.spent[minute] <= 0 {
		delete(b.spent, minute)
	}
}

// turn is when an orphan is looked at again for which there is nothing left. They come
// one after the other, as what is counted counts no more; those that are more than a
// whole budget come when all of it does. So each is looked at about once an hour,
// however many they are.
func (b *budget) turn(now time.Time) time.Time {
	free, last := b.free(now), postedIn(now)+countsFor
	for m := minuteOf(now) + 1; m <= last; m++ {
		if free += b.spent[m-countsFor] - b.turns[m]; free > 0 {
			b.turns[m]++
			return startOf(m)
		}
	}
	return startOf(last)
}

// exhaust counts a whole budget.
func (b *budget) exhaust(now time.Time) {
	if b.perHour > 0 {
		b.spent[postedIn(now)] = b.perHour
	}
}

// mayDelete reports whether the budget has room for an orphan.
func (l *lane) mayDelete(now time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.budget.free(now) > 0
}

// spend counts an attempt with an orphan.
func (l *lane) spend(now time.Time) int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.budget.spend(now)
}

// giveBack counts an attempt no more that did not reach the receiver.
func (l *lane) giveBack(a attempt) {
	if a.counted == 0 {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.budget.giveBack(a.counted)
}

// spent is what a restart must not forget of the budget.
func (l *lane) spent(now time.Time) map[int64]int {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.budget.advance(now)
	return maps.Clone(l.budget.spent)
}

// waitTurn has an orphan wait, and an operator is told: so many rows too many are more
// likely a fault of the source than of the destination.
func (l *lane) waitTurn(c *checked, r known, now time.Time) {
	l.mu.Lock()
	due := l.budget.turn(now)
	l.mu.Unlock()
	c.add(change(r.Record, r.note, due), func() {
		l.count(func(n *Counts) { n.DeletesHeld++ })
		l.config.Alerts.Alert("deletes held back", l.name+": more orphans than deletePerHour allows; the rest waits until an hour has passed")
	})
}

// keepBudget has what was spent on disk before the orphans are posted: a worker that
// begins anew must know of them, whenever this one is killed. While it cannot be kept
// they wait, and rows that are no orphans are posted all the same.
func (l *lane) keepBudget(c *checked) {
	var orphans, others []attempt
	for _, a := range c.attempts {
		if a.counted != 0 {
			orphans = append(orphans, a)
		} else {
			others = append(others, a)
		}
	}
	if len(orphans) == 0 {
		return
	}
	err := l.config.keep()
	if err == nil {
		l.unkept = false
		return
	}
	if !l.unkept {
		l.unkept = true
		l.config.Alerts.Alert("deletes held back", l.name+": how many orphans were called back cannot be written down, so none is: "+err.Error())
	}
	c.attempts = others
	for _, a := range orphans {
		l.giveBack(a)
		c.add(change(a.rec, a.was, time.Now().Add(memoEvery)), nil)
	}
}
