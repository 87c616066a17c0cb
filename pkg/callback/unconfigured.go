package callback

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"time"
)

// A pair may be taken out of the configuration, or named anew, while events of it
// wait. They stay in the queue, for the pair may come back, and are called back by
// nobody until then. An operator is told at every start, and may have them removed.

const (
	// forgetRoom is how many requests to remove events wait; an operator makes one at a time.
	forgetRoom = 16
	// maxNamed is how many pairs an alert names.
	maxNamed = 10
)

// unconfigured is how many events the queue has of each pair that is not configured.
func (w *Worker) unconfigured() map[string]int {
	depths := map[string]int{}
	for _, pair := range w.config.Queue.Pairs() {
		if n := w.config.Queue.Depth(pair); n > 0 && w.lanes[pair] == nil {
			depths[pair] = n
		}
	}
	return depths
}

func (w *Worker) unconfiguredTotal() (n int) {
	for _, depth := range w.unconfigured() {
		n += depth
	}
	return n
}

// tellUnconfigured tells an operator of events that nobody calls back.
func (w *Worker) tellUnconfigured() {
	depths := w.unconfigured()
	if len(depths) == 0 {
		return
	}
	var named []string
	for _, pair := range slices.Sorted(maps.Keys(depths))[:min(len(depths), maxNamed)] {
		named = append(named, fmt.Sprintf("%d of %q", depths[pair], pair))
	}
	if more := len(depths) - len(named); more > 0 {
		named = append(named, fmt.Sprintf("those of %d more pairs", more))
	}
	w.config.Alerts.Alert("pairs not configured", "the queue has events of pairs that are not configured: "+strings.Join(named, ", ")+
		"; they are kept and not called back; configure the pair under that name again, or remove them with cupid-master forget PAIR")
}

// Forget has the events of a pair removed; it does nothing when the pair is configured. It
// does not wait: Status shows how many are left.
func (w *Worker) Forget(pair string) {
	select {
	case w.forgets <- pair:
	default:
		w.config.Log.Error().Str("pair", pair).Msg("too many requests to remove events at a time; nothing is removed")
	}
}

// forget removes what Forget was asked for, until ctx is done.
func (w *Worker) forget(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case pair := <-w.forgets:
			n, err := w.remove(ctx, pair)
			if err != nil && ctx.Err() == nil {
				w.config.Log.Error().Err(err).Str("pair", pair).Msg("events could not be removed")
			}
			if n > 0 {
				w.config.Log.Warn().Str("pair", pair).Int("events", n).Msg("events of a pair that is not configured were removed on request")
			}
		}
	}
}

// remove removes all events of a pair that is not configured, and returns how many.
func (w *Worker) remove(ctx context.Context, pair string) (n int, err error) {
	if w.lanes[pair] != nil {
		return 0, errors.New("the pair is configured")
	}
	everDue, all := time.UnixMilli(math.MaxInt64), func(string) bool { return false }
	for left := w.config.Queue.Depth(pair); left > 0; {
		records, err := w.config.Queue.Due(ctx, pair, everDue, maxClaim, all)
		if err != nil {
			return n, err
		}
		changes := make([]Change, len(records))
		for i, r := range records {
			changes[i] = Change{Record: r, Remove: true}
		}
		if _, err := w.book.apply(ctx, changes); err != nil {
			return n, err
		}
		n += len(changes)
		was := left
		if left = w.config.Queue.Depth(pair); left >= was {
			return n, fmt.Errorf("%d events could not be removed", left)
		}
	}
	return n, nil
}
