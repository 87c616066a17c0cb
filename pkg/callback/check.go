package callback

import (
	"context"
	"time"

	"github.com/masixun71/cupid/pkg/backoff"
	"github.com/masixun71/cupid/pkg/event"
)

// seen is what one reading of a record's rows found.
type seen struct {
	gone    bool         // the source row is no more
	moved   *event.Event // the source row has another key now
	found   *event.Found // nil when both sides are equal
	columns []string
	payload []byte
}

// look reads the rows of records anew, many keys in one query.
func (l *lane) look(ctx context.Context, records []Record) ([]seen, []Note, error) {
	notes := make([]Note, len(records))
	ids := make([]string, len(records))
	for i, r := range records {
		n, err := note(r)
		if err != nil {
			return nil, nil, err
		}
		notes[i], ids[i] = n, n.SourceID
	}
	src, payloads, err := l.dest.Pair.ReadFull(ctx, ids)
	if err != nil {
		return nil, nil, err
	}
	rows := make(map[string]int, src.Len())
	for i := range src.Len() {
		rows[src.ID(i)] = i
	}
	found := map[int]event.Found{}
	if keys := event.Keys(src); len(keys) > 0 {
		des, err := l.dest.Pair.ReadDestination(ctx, keys)
		if err != nil {
			return nil, nil, err
		}
		for _, f := range event.Find(src, des) {
			found[f.Index] = f
		}
	}
	all := make([]seen, len(records))
	for i, r := range records {
		at, ok := rows[ids[i]]
		if !ok || src.HasNullKey(at) {
			all[i].gone = true
			continue
		}
		f, differs := found[at]
		if differs {
			all[i].found = &f
			all[i].columns = event.Names(f.Divergence, l.dest.Pair.Columns())
			all[i].payload = payloads[at]
		}
		key, err := src.Key(at).MarshalText()
		if err != nil {
			return nil, nil, err
		}
		if string(key) != r.Key {
			all[i] = seen{gone: true}
			if differs {
				all[i].moved = &event.Event{
					Pair: r.Pair, Key: src.Key(at), Kind: event.Kind(f.Kind), SourceID: ids[i],
					FirstSeen: time.Now().UTC(), Watch: &f.Look,
				}
			}
		}
	}
	return all, notes, nil
}

// check looks at what is due: what healed is taken off the queue, what still
// differs is returned to be posted.
func (l *lane) check(ctx context.Context, due []Record) ([]attempt, error) {
	read := time.Now()
	all, notes, err := l.look(ctx, due)
	if err != nil {
		return nil, err
	}
	var attempts []attempt
	var changes []Change
	for i, r := range due {
		s, n := all[i], notes[i]
		switch {
		case s.gone:
			if err := l.sourceGone(ctx, r, s); err != nil {
				return nil, err
			}
			changes = append(changes, Change{Record: r, Remove: true})
		case s.found == nil:
			l.healed(r, n)
			changes = append(changes, Change{Record: r, Remove: true})
		case n.State == Watched && event.Judge([]event.Look{*n.Look, s.found.Look}) == event.Again:
			n.Look = &s.found.Look
			c, err := change(r, n, time.Now().Add(l.config.Settle))
			if err != nil {
				return nil, err
			}
			changes = append(changes, c)
		default:
			attempts = append(attempts, l.attempt(r, n, s, read))
		}
	}
	return attempts, l.apply(ctx, changes)
}

// attempt is a record on its way, with the body of this attempt.
func (l *lane) attempt(r Record, n Note, s seen, read time.Time) attempt {
	if n.State == Accepted {
		l.count(func(c *Counts) { c.NotRepaired++ })
		l.log.Error().Str("key", r.Key).Int("accepted", n.Accepted).Strs("columns", s.columns).Msg("accepted, not repaired: the row is called back again")
		l.config.Alerts.Alert("accepted, not repaired", l.name+": rows were accepted by the receiver and still differ, the latest "+r.Key)
	}
	n.Kind, n.Columns, n.State, n.Look = event.Kind(s.found.Kind), s.columns, Pending, nil
	return attempt{rec: r, note: n, body: event.AppendBody(nil, n.Kind, s.payload), read: read}
}

// sourceGone takes note of a source row that is no more. When its id holds
// another key now, and that row differs too, it is watched under the new key.
func (l *lane) sourceGone(ctx context.Context, r Record, s seen) error {
	l.count(func(c *Counts) { c.SourceGone++ })
	l.log.Info().Str("key", r.Key).Msg("event dropped: the source row is gone or has another key")
	if s.moved == nil {
		return nil
	}
	records := map[[2]string]Record{}
	if err := makeRecords(ctx, l.config, []event.Event{*s.moved}, records, map[string]int{}); err != nil {
		return err
	}
	return l.config.Queue.Put(ctx, values(records))
}

func (l *lane) healed(r Record, n Note) {
	took := time.Since(r.FirstSeen)
	how := "itself"
	l.count(func(c *Counts) {
		if n.Accepted > 0 {
			how = "after callback"
			c.HealedByCallback++
		} else {
			c.HealedItself++
		}
		c.HealMillisecondSum += took.Milliseconds()
	})
	l.log.Info().Str("key", r.Key).Str("how", how).Int("attempts", r.Attempts).Dur("took", took).Msg("healed")
}

// finish writes down what came back from the posters. Rows that were accepted are
// looked at once at once: most receivers repair before they answer.
func (l *lane) finish(ctx context.Context) error {
	if len(l.back) == 0 {
		return nil
	}
	accepted := l.lookAtAccepted(ctx)
	var changes []Change
	for _, p := range l.back {
		if p.stale {
			l.limit = max(l.limit/2, l.dest.Concurrency)
			continue
		}
		c, err := l.result(p, accepted[p.rec.Key])
		if err != nil {
			return err
		}
		changes = append(changes, c)
	}
	if err := l.apply(ctx, changes); err != nil {
		return err
	}
	for _, p := range l.back {
		delete(l.flying, p.rec.Key)
		l.told(p, accepted[p.rec.Key])
	}
	l.back = l.back[:0]
	return nil
}

// lookAtAccepted returns the keys of accepted rows that are equal already. What
// cannot be read now is looked at after the grace time.
func (l *lane) lookAtAccepted(ctx context.Context) map[string]bool {
	var records []Record
	for _, p := range l.back {
		if p.outcome.Accepted {
			records = append(records, p.rec)
		}
	}
	if len(records) == 0 {
		return nil
	}
	all, _, err := l.look(ctx, records)
	if err != nil {
		return nil
	}
	equal := map[string]bool{}
	for i, r := range records {
		equal[r.Key] = !all[i].gone && all[i].found == nil
	}
	return equal
}

// result is what an attempt makes of its record.
func (l *lane) result(p posted, equal bool) (Change, error) {
	r, n := p.rec, p.note
	r.Attempts++
	switch {
	case p.outcome.Accepted && equal:
		return Change{Record: r, Remove: true}, nil
	case p.outcome.Accepted:
		n.State = Accepted
		n.Accepted++
		// An accepted row that stays as it is gets more time from one answer to the next.
		return change(r, n, time.Now().Add(backoff.Delay(n.Accepted, l.dest.Grace, max(l.dest.RetryCap, l.dest.Grace), 0, nil)))
	default:
		d := backoff.Delay(r.Attempts, retryBase, l.dest.RetryCap, 0.2, nil)
		return change(r, n, time.Now().Add(max(d, p.outcome.RetryAfter)))
	}
}

// told counts and logs an attempt that is written down.
func (l *lane) told(p posted, equal bool) {
	if p.stale {
		return
	}
	l.count(func(c *Counts) {
		c.Attempts++
		if p.outcome.Accepted {
			c.Accepted++
		} else {
			c.Failed++
		}
	})
	attempts := p.rec.Attempts + 1
	if p.outcome.Accepted {
		l.log.Info().Str("key", p.rec.Key).Stringer("kind", p.note.Kind).Int("attempt", attempts).Dur("elapsed", p.outcome.Elapsed).Msg("callback accepted")
		if equal {
			n := p.note
			n.Accepted++
			r := p.rec
			r.Attempts = attempts
			l.healed(r, n)
		}
		return
	}
	l.log.Warn().Err(p.outcome.Err).Str("key", p.rec.Key).Int("attempt", attempts).Dur("elapsed", p.outcome.Elapsed).Msg("callback failed; tried again")
	if attempts == l.config.FailedAttempts {
		l.config.Alerts.Alert("callback fails", l.name+": events have failed many times, the latest "+p.rec.Key+": "+p.outcome.Err.Error())
	}
}

// apply writes changes. A record that a newer event has replaced meanwhile is not
// removed; what an attempt found is written onto the newer one.
func (l *lane) apply(ctx context.Context, changes []Change) error {
	if len(changes) == 0 {
		return nil
	}
	stale, err := l.config.Queue.Apply(ctx, changes)
	if err != nil {
		return err
	}
	var again []Change
	for _, i := range stale {
		c := changes[i]
		if c.Remove {
			continue
		}
		now, ok, err := l.config.Queue.Get(ctx, c.Pair, c.Key)
		if err != nil {
			return err
		}
		if ok {
			c.Version = now.Version
			again = append(again, c)
		}
	}
	if len(again) == 0 {
		return nil
	}
	return l.apply(ctx, again)
}
