package callback

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"time"

	"github.com/masixun71/cupid/pkg/event"
)

const (
	// storeBatch is how many events are written in one transaction at most. Lanes
	// wait for as long as that takes.
	storeBatch = 500
	// storeRetry is how long what could not be stored waits.
	storeRetry = time.Second
	// shareOfFree is how many times the room that is left in the queue a pair may
	// fill, so that a pair whose receiver is down leaves room for the others: one
	// such pair stops at eight ninths of the queue, two at eight seventeenths each.
	shareOfFree = 8
)

// store writes what comes in. What cannot be written waits, without an
// acknowledgment, and what waits of one pair does not hold up another.
type store struct {
	*Worker
	waiting map[string][]delivery // by pair, in the order in which they came
	// An operator knows which pairs wait for room, and that nothing can be stored
	// whatever room there is. Each is told once until it is over.
	full   map[string]bool
	broken bool
}

func (s *store) run(ctx context.Context) {
	retry := time.NewTicker(storeRetry)
	defer retry.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case d := <-s.inbox:
			s.take(ctx, s.gather(d))
		case <-retry.C:
			s.again(ctx)
		}
	}
}

// gather is a delivery, and what else has come that fits into the same transaction.
func (s *store) gather(d delivery) []delivery {
	batch := []delivery{d}
	n := len(d.events)
	for n < storeBatch {
		select {
		case d := <-s.inbox:
			batch = append(batch, d)
			n += len(d.events)
		default:
			return batch
		}
	}
	return batch
}

// take stores new deliveries together, and when that fails each by itself.
func (s *store) take(ctx context.Context, batch []delivery) {
	var now, rest []delivery
	total, of := 0, map[string]int{}
	for _, d := range batch {
		pair, n := d.pair(), len(d.events)
		if len(s.waiting[pair]) > 0 || n > s.roomFor(pair, total, of[pair]) {
			rest = append(rest, d)
			continue
		}
		now = append(now, d)
		total += n
		of[pair] += n
	}
	if s.putAll(ctx, now) != nil {
		rest = append(now, rest...)
	}
	for _, d := range rest {
		var err error
		if len(s.waiting[d.pair()]) == 0 {
			if err = s.putSome(ctx, &d); err == nil {
				continue
			}
		}
		s.wait(ctx, d, err)
	}
}

// again tries what waits.
func (s *store) again(ctx context.Context) {
	broken := false
	for _, pair := range slices.Sorted(maps.Keys(s.waiting)) {
		err := s.againFor(ctx, pair)
		if err == nil {
			delete(s.waiting, pair)
			delete(s.full, pair)
			s.config.Log.Info().Str("pair", pair).Msg("events are stored again")
			continue
		}
		s.config.Log.Debug().Err(err).Str("pair", pair).Msg("events could still not be stored")
		s.tell(ctx, pair, err)
		broken = broken || !errors.Is(err, ErrFull)
	}
	s.broken = broken
}

// againFor stores what waits of a pair, in its order, as far as that goes.
func (s *store) againFor(ctx context.Context, pair string) error {
	for list := s.waiting[pair]; len(list) > 0; list = s.waiting[pair] {
		if err := s.putSome(ctx, &list[0]); err != nil {
			return err
		}
		s.waiting[pair] = list[1:]
	}
	return nil
}

// wait keeps a delivery for later.
func (s *store) wait(ctx context.Context, d delivery, err error) {
	s.waiting[d.pair()] = append(s.waiting[d.pair()], d)
	if err != nil { // else it waits behind one that was told
		s.tell(ctx, d.pair(), err)
	}
}

// tell tells an operator why events of a pair are not stored. A full share is the pair's
// own; anything else, as a full disk, is told once for all pairs.
func (s *store) tell(ctx context.Context, pair string, err error) {
	isFull := errors.Is(err, ErrFull)
	if ctx.Err() != nil || isFull && s.full[pair] || !isFull && s.broken {
		return
	}
	until := "its scans wait until there is room"
	if isFull {
		s.full[pair] = true
		if n := s.unconfiguredTotal(); n > 0 {
			err = fmt.Errorf("%w, and %d of its events are of pairs that are not configured: status shows them, cupid-master forget removes them", err, n)
		}
	} else {
		s.broken = true
		until = "the scans wait until events can be stored"
	}
	s.config.Log.Error().Err(err).Str("pair", pair).Msg("events could not be stored; the scans wait until they can")
	s.config.Alerts.Alert("events not stored", fmt.Sprintf("%s: %v; %s", pair, err, until))
}

// roomFor is how many events more of a pair may be stored, so that it leaves room
// for the others in what is left of the queue, when total others are, and of of its own.
func (s *store) roomFor(pair string, total, of int) int {
	if s.config.Limit <= 0 || len(s.lanes) < 2 {
		return math.MaxInt
	}
	free := s.config.Limit - total - s.config.Queue.Len() // events of pairs that are not configured take room, too
	// The most n for which depth + n <= shareOfFree * (free - n).
	return max(0, (shareOfFree*free-s.config.Queue.Depth(pair)-of)/(shareOfFree+1))
}

// putAll writes deliveries to disk in one transaction and acknowledges them, or none.
func (s *store) putAll(ctx context.Context, batch []delivery) error {
	var events []event.Event
	for _, d := range batch {
		events = append(events, d.events...)
	}
	if err := s.put(ctx, events); err != nil {
		return err
	}
	for _, d := range batch {
		d.ack()
	}
	return nil
}

// putSome writes as much of a delivery as there is room for, takes it out of the
// delivery, and acknowledges it when nothing is left: a message may have more events
// than the queue has room for at any time.
func (s *store) putSome(ctx context.Context, d *delivery) error {
	for n := len(d.events); len(d.events) > 0; {
		if n = min(n, s.roomFor(d.pair(), 0, 0)); n == 0 {
			return ErrFull
		}
		switch err := s.put(ctx, d.events[:n]); {
		case err == nil:
			d.events = d.events[n:]
			n = len(d.events)
		case n > 1 && errors.Is(err, ErrFull):
			n /= 2
		default:
			return err
		}
	}
	d.ack()
	return nil
}

func (s *store) put(ctx context.Context, events []event.Event) error {
	fresh, err := s.book.put(ctx, slices.DeleteFunc(slices.Clone(events), s.tooLong))
	if err != nil {
		return err
	}
	for name, n := range fresh {
		if l, ok := s.lanes[name]; ok {
			l.arrived(n)
		}
	}
	return nil
}

// tooLong sets an event aside that no queue would take: it would hold up all that
// come after it.
func (s *store) tooLong(e event.Event) bool {
	text, err := e.Key.MarshalText()
	if err == nil && len(text) <= event.MaxKeyTextBytes && len(e.SourceID) <= event.MaxKeyTextBytes {
		return false
	}
	s.config.Log.Error().Err(errors.Join(err, errLong)).Str("pair", e.Pair).Stringer("key", e.Key).Msg("event set aside: it is not called back")
	s.config.Alerts.Alert("event set aside", e.Pair+": "+errLong.Error()+": "+e.Key.String())
	return true
}

var errLong = errors.New("the key or the id of a row is too long to be queued")
