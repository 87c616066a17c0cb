package callback

import (
	"cmp"
	"context"
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/masixun71/cupid/pkg/backoff"
	"github.com/masixun71/cupid/pkg/event"
)

// unreadableRetry is when an event is looked at again whose note on disk makes no
// sense to this build. It is kept: a newer build may have written it.
const unreadableRetry = time.Hour

// checked is what is to become of the records that were due.
type checked struct {
	changes  []Change
	tell     []func() // what is counted and logged once changes are written
	attempts []attempt
	skipped  bool // some were not looked at, since too many others cannot be read
	probe    bool // the URL is down: one attempt is enough, and what else is due stays so
}

func (c *checked) add(change Change, tell func()) {
	c.changes = append(c.changes, change)
	if tell == nil {
		tell = func() {}
	}
	c.tell = append(c.tell, tell)
}

// claim looks at what is due and puts what still differs on its way. It reports
// whether there may be more to claim at once.
func (l *lane) claim(ctx context.Context) (more bool, err error) {
	n := l.room()
	if n <= 0 {
		return false, nil
	}
	down := l.dest.Gate.Status().Down
	if l.rowBytes > 0 && l.waited < freshFor/4 && !down {
		l.limit = min(2*l.limit, l.maxLimit())
	}
	if !down {
		l.probes = 0
	}
	due, err := l.due(ctx, n, down)
	if err != nil {
		return false, err
	}
	l.works(&l.disk)
	if len(due) == 0 {
		return false, nil
	}
	c, err := l.check(ctx, due, down)
	if err != nil {
		return false, err
	}
	if down {
		l.probes += len(c.attempts)
	}
	l.launch(c.attempts)
	replaced, err := l.book.apply(ctx, c.changes)
	if err != nil {
		return false, err
	}
	for i, tell := range c.tell {
		if !replaced[i] {
			tell()
		}
	}
	if c.skipped {
		return false, &readError{errors.New("many rows cannot be read")}
	}
	return len(due) == n, nil
}

// due is what is due, n records at most. What is due later than any wait could make it was
// written by a clock that was ahead, and is due, too.
func (l *lane) due(ctx context.Context, n int, down bool) ([]Record, error) {
	flies := func(key string) bool {
		_, flies := l.flying[key]
		return flies
	}
	now := time.Now()
	due, err := l.inTurn(ctx, now, n, down, flies)
	if err != nil || len(due) == n || len(due) == l.config.Queue.Depth(l.name) {
		return due, err
	}
	stuck, err := l.config.Queue.Beyond(ctx, l.name, now.Add(l.longest), n-len(due), flies)
	return append(due, stuck...), err
}

// inTurn is what is due by its time, the earliest first. But every other probe of a URL
// that is down is made with a fresh event, so that it is not found down for as long as
// there are rows that it refuses: by time they are all before those that it would take.
func (l *lane) inTurn(ctx context.Context, now time.Time, n int, down bool, skip func(key string) bool) ([]Record, error) {
	if !down || l.probes%2 == 1 {
		return l.config.Queue.Due(ctx, l.name, now, n, skip)
	}
	latest, err := l.config.Queue.Latest(ctx, l.name, now, max(n, probeAmong), skip)
	if err != nil {
		return nil, err
	}
	slices.SortStableFunc(latest, func(a, b Record) int { return cmp.Compare(failures(a), failures(b)) })
	return latest[:min(n, len(latest))], nil
}

// probeAmong is among how many records, those that became due last, a fresh one is sought
// for a probe. They are read from the queue alone.
const probeAmong = 64

// failures is how often an event has failed since it was accepted; the most there are
// of one whose note makes no sense.
func failures(r Record) int {
	n, err := note(r)
	if err != nil {
		return math.MaxInt
	}
	return n.Failed
}

// launch gives attempts to the posters.
func (l *lane) launch(attempts []attempt) {
	bytes := 0
	for _, a := range attempts {
		bytes += len(a.body)
		l.flying[a.rec.Key] = len(a.body)
		l.bytes += len(a.body)
		l.work <- a
	}
	if len(attempts) > 0 {
		l.rowBytes = max(bytes/len(attempts), l.rowBytes/2, 1)
	}
}

// landed forgets an attempt that came back.
func (l *lane) landed(key string) {
	l.bytes -= l.flying[key]
	delete(l.flying, key)
}

// check looks at what is due and decides on it.
func (l *lane) check(ctx context.Context, due []Record, probe bool) (checked, error) {
	c := checked{probe: probe}
	records := make([]known, 0, len(due))
	for _, r := range due {
		n, err := note(r)
		if err != nil {
			l.makesNoSense(&c, r, err)
			continue
		}
		n.Unanswered = n.Unanswered || l.inherited(r)
		records = append(records, known{r, n})
	}
	if len(records) == 0 {
		return c, nil
	}
	all, err := l.lookApart(ctx, records)
	if err != nil {
		return c, err
	}
	l.works(&l.tables)
	read := time.Now()
	var moved []int
	for i, r := range records {
		if all[i].moved != nil {
			moved = append(moved, i)
			continue
		}
		l.decide(&c, r, all[i], read)
	}
	for _, i := range moved {
		if err := l.follow(ctx, &c, records[i], all[i]); err != nil {
			for _, a := range c.attempts { // none of them is posted
				l.giveBack(a)
			}
			return c, err
		}
	}
	l.keepBudget(&c)
	return c, nil
}

// decide says what is to become of one record.
func (l *lane) decide(c *checked, r known, s seen, read time.Time) {
	if s.found != nil {
		r.note.Equal = 0
	}
	switch {
	case s.late: // it stays due
	case s.skipped:
		c.skipped = c.skipped || r.note.Unread == 0
	case s.err != nil:
		l.cannotRead(c, r, s.err)
	case s.gone:
		c.add(Change{Record: r.Record, Remove: true}, func() { l.gone(r) })
	case s.found == nil:
		due, settled := l.settled(&r.note, read)
		if !settled {
			c.add(change(r.Record, r.note, due), nil)
			return
		}
		c.add(Change{Record: r.Record, Remove: true}, func() { l.healed(r.Record, r.note) })
	case r.note.Kind == event.Orphan && l.dest.DeletePerHour == 0:
		c.add(Change{Record: r.Record, Remove: true}, func() {
			l.log.Info().Str("key", r.Key).Msg("event dropped: orphans are not called back any more")
		})
	case r.note.Kind == event.Orphan && !l.mayDelete(read):
		l.waitTurn(c, r, read)
	default:
		looks := event.Add(r.note.Looks, s.found.Look)
		if (r.note.State == Watched || len(looks) > 1) && event.Judge(looks) == event.Again {
			// It moves, and the destination follows: that is no divergence, whatever it was before.
			n := r.note
			n.Looks, n.Unread = looks, 0
			c.add(change(r.Record, n, time.Now().Add(l.config.Settle)), nil)
			return
		}
		if c.probe && len(c.attempts) > 0 || l.heldBack(c, r, read) {
			return
		}
		n := r.note
		counted := int64(0)
		if n.Kind = event.Kind(s.found.Kind); n.Kind == event.Orphan {
			counted = l.spend(read)
		}
		l.relapse(r.Record)
		n.Columns, n.State, n.Unread, n.Held = s.columns, Pending, 0, false
		n.Looks = []event.Look{s.found.Look}
		c.attempts = append(c.attempts, attempt{
			rec: r.Record, was: r.note, note: n, body: event.AppendBody(make([]byte, 0, len(s.payload)+32), n.Kind, s.payload), read: read, counted: counted,
		})
	}
}

// makesNoSense sets a record aside whose note cannot be read. It stays in the queue.
func (l *lane) makesNoSense(c *checked, r Record, err error) {
	c.add(Change{Record: Record{
		Pair: r.Pair, Key: r.Key, Note: r.Note, Due: time.Now().Add(unreadableRetry), Attempts: r.Attempts, Version: r.Version, FirstSeen: r.FirstSeen,
	}}, func() {
		l.count(func(n *Counts) { n.Unreadable++ })
		l.log.Error().Err(err).Str("key", r.Key).Bytes("note", r.Note).Msg("event set aside: what the queue holds of it makes no sense")
		l.config.Alerts.Alert("event unreadable", l.name+": an event in the queue makes no sense to this build and is set aside: "+r.Key)
	})
}

// cannotRead has a row wait that cannot be read, ever longer.
func (l *lane) cannotRead(c *checked, r known, err error) {
	n := r.note
	n.Unread++
	d := backoff.Delay(n.Unread, retryBase, l.dest.RetryCap, 0.2, rand.Float64)
	c.add(change(r.Record, n, time.Now().Add(d)), func() {
		l.count(func(n *Counts) { n.Unreadable++ })
		l.log.Error().Err(err).Str("key", r.Key).Int("failures", n.Unread).Msg("row cannot be read, though others can; it waits")
		if n.Unread == 1 || n.Unread == l.config.FailedAttempts {
			l.config.Alerts.Alert("row unreadable", l.name+": rows cannot be read, the latest "+r.Key+": "+err.Error())
		}
	})
}

// follow watches a source row under the key that it has now, before it is
// forgotten under the one it had. An orphan that has a source row now keeps its key:
// it is another event, which begins to be watched.
func (l *lane) follow(ctx context.Context, c *checked, r known, s seen) error {
	if key, err := s.moved.Key.MarshalText(); err == nil && string(key) == r.Key {
		now := Note{Kind: s.moved.Kind, SourceID: s.moved.SourceID, State: Watched, Looks: s.moved.Watch, Unanswered: r.note.Unanswered}
		c.add(change(r.Record, now, time.Now().Add(l.config.Settle)), nil)
		return nil
	}
	switch _, err := l.book.put(ctx, []event.Event{*s.moved}); {
	case errors.Is(err, ErrFull):
		// Other records make room; until then this one stands for the row.
		c.add(change(r.Record, r.note, time.Now().Add(l.config.Settle)), nil)
	case err != nil:
		return err
	default:
		c.add(Change{Record: r.Record, Remove: true}, func() { l.gone(r) })
	}
	return nil
}

func (l *lane) gone(r known) {
	l.count(func(c *Counts) { c.SourceGone++ })
	l.log.Info().Str("key", r.Key).Msg("event dropped: the source row is gone or has another key")
}
