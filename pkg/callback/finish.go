package callback

import (
	"context"
	"math/rand/v2"
	"time"

	"github.com/masixun71/cupid/pkg/backoff"
)

// finish writes down what came back from the posters. Rows that were accepted are
// looked at once at once: most receivers repair before they answer.
//
// While others are in flight it gathers for finishEvery, and returns how long it
// still does.
func (l *lane) finish(ctx context.Context) (wait time.Duration, err error) {
	if len(l.back) == 0 {
		return 0, nil
	}
	if d := finishEvery - time.Since(l.finished); d > 0 && len(l.back) < len(l.flying) {
		return d, nil
	}
	equal := l.lookAtAccepted(ctx)
	var changes []Change
	var said []int // the places in back that changes are of
	stale := false
	l.waited = 0
	for i, p := range l.back {
		stale = stale || p.stale
		l.waited = max(l.waited, p.waited)
		if !p.unsaid {
			changes = append(changes, l.result(p, equal[p.rec.Key]))
			said = append(said, i)
		}
	}
	replaced, err := l.book.apply(ctx, changes)
	if err != nil {
		return 0, err
	}
	l.finished = time.Now()
	l.works(&l.disk)
	for _, p := range l.back {
		l.landed(p.rec.Key)
		if !p.sent {
			l.giveBack(p.attempt)
		}
	}
	for i, at := range said {
		l.told(l.back[at], changes[i], !replaced[i])
	}
	if stale {
		l.limit = max(l.limit/2, l.dest.Concurrency)
	}
	clear(l.back)
	l.back = l.back[:0]
	return 0, nil
}

// lookAtAccepted returns the keys of accepted rows that are equal already. What
// cannot be read now is looked at after the grace time.
func (l *lane) lookAtAccepted(ctx context.Context) map[string]bool {
	var records []known
	for _, p := range l.back {
		if p.outcome.Accepted {
			records = append(records, known{p.rec, p.note})
		}
	}
	if len(records) == 0 || l.tables.wait() > 0 {
		return nil
	}
	all, err := l.look(ctx, records, false)
	if err != nil {
		l.failed(ctx, err)
		return nil
	}
	equal := map[string]bool{}
	for i, r := range records {
		equal[r.Key] = !all[i].gone && all[i].found == nil
	}
	return equal
}

// result is what an attempt makes of its record.
func (l *lane) result(p posted, equal bool) Change {
	r, n := p.rec, p.note
	r.Attempts++
	if !p.outcome.Accepted {
		n.Failed++
		n.Unanswered = n.Unanswered || p.outcome.Unanswered
		d := backoff.Delay(n.Failed, retryBase, l.dest.RetryCap, 0.2, rand.Float64)
		return change(r, n, time.Now().Add(max(d, p.outcome.RetryAfter)))
	}
	n.State, n.Failed = Accepted, 0
	n.Accepted++
	// An accepted row that stays as it is gets more time from one answer to the next.
	grace := max(l.dest.Grace, l.config.Settle)
	due := time.Now().Add(backoff.Delay(n.Accepted, grace, max(l.dest.RetryCap, grace), 0, nil))
	if equal {
		due, equal = l.settled(&n, time.Now())
	}
	c := change(r, n, due)
	c.Remove = equal
	return c
}

// told counts and logs an attempt that is written down as c; last is false when a
// newer event came meanwhile, so that the row is looked at again.
func (l *lane) told(p posted, c Change, last bool) {
	if p.was.State == Accepted {
		l.count(func(c *Counts) { c.NotRepaired++ })
		l.log.Error().Str("key", p.rec.Key).Int("accepted", p.note.Accepted).Strs("columns", p.note.Columns).
			Msg("accepted, not repaired: the row is called back again")
		l.config.Alerts.Alert("accepted, not repaired", l.name+": rows were accepted by the receiver and still differ, the latest "+p.rec.Key)
	}
	l.count(func(c *Counts) {
		c.Attempts++
		if p.outcome.Accepted {
			c.Accepted++
		} else {
			c.Failed++
		}
	})
	if p.outcome.Accepted {
		l.log.Info().Str("key", p.rec.Key).Stringer("kind", p.note.Kind).Int("attempt", c.Attempts).Int64("elapsedMillisecond", p.outcome.Elapsed.Milliseconds()).Msg("callback accepted")
		if c.Remove && last {
			n := p.note
			n.Accepted++
			l.healed(c.Record, n)
		}
		return
	}
	l.log.Warn().Err(p.outcome.Err).Str("key", p.rec.Key).Int("attempt", c.Attempts).Int64("elapsedMillisecond", p.outcome.Elapsed.Milliseconds()).Msg("callback failed; tried again")
	if p.note.Failed+1 == l.config.FailedAttempts && p.outcome.Err != nil {
		l.config.Alerts.Alert("callback fails", l.name+": events have failed many times, the latest "+p.rec.Key+": "+p.outcome.Err.Error())
	}
}
