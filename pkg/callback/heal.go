package callback

import (
	"hash/maphash"
	"math"
	"sync"
	"time"
)

const (
	// relapseWithin is for how long a row that was healed by a callback is remembered:
	// when it diverges again within that time, it has relapsed.
	relapseWithin = time.Hour
	// maxRemembered is how many such rows of all pairs are remembered, the latest ones.
	// Sixteen bytes each and a map: about a megabyte. A restart forgets them.
	maxRemembered = 20_000
)

// lately remembers which rows were healed by a callback, by a hash of their identity.
// Safe for concurrent use.
type lately struct {
	seed maphash.Seed

	mu   sync.Mutex // guards all below
	at   map[uint64]time.Time
	ring []uint64 // in the order in which they were healed
	next int      // of ring: the oldest, once it is full
}

func newLately() *lately { return &lately{seed: maphash.MakeSeed(), at: map[uint64]time.Time{}} }

func (l *lately) hash(pair, key string) uint64 {
	var h maphash.Hash
	h.SetSeed(l.seed)
	_, _ = h.WriteString(pair)
	_ = h.WriteByte(0)
	_, _ = h.WriteString(key)
	return h.Sum64()
}

// healed remembers a row.
func (l *lately) healed(pair, key string, now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	id := l.hash(pair, key)
	l.at[id] = now
	if len(l.ring) < maxRemembered {
		l.ring = append(l.ring, id)
		return
	}
	if old := l.ring[l.next]; old != id {
		delete(l.at, old)
	}
	l.ring[l.next] = id
	l.next = (l.next + 1) % maxRemembered
}

// relapsed reports whether a row was healed lately, and forgets it.
func (l *lately) relapsed(pair, key string, now time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	id := l.hash(pair, key)
	at, ok := l.at[id]
	delete(l.at, id)
	return ok && now.Sub(at) <= relapseWithin
}

// healTimes is a histogram of how long rows took to heal. Its buckets are a fifth
// apart.
type healTimes struct {
	counts [128]uint32 // 2^32 ms, 49 days, is in the last one
	n      uint64
	max    time.Duration
}

const perOctave = 4

func (h *healTimes) add(d time.Duration) {
	i := int(perOctave * math.Log2(float64(max(d.Milliseconds(), 1))))
	h.counts[min(i, len(h.counts)-1)]++
	h.n++
	h.max = max(h.max, d)
}

// quantile is within which time so many heal, up to the width of a bucket.
func (h *healTimes) quantile(q float64) time.Duration {
	rank := uint64(math.Ceil(q * float64(h.n)))
	for i, sum := 0, uint64(0); i < len(h.counts); i++ {
		if sum += uint64(h.counts[i]); sum >= rank {
			return min(time.Duration(math.Exp2(float64(i+1)/perOctave)*float64(time.Millisecond)), h.max)
		}
	}
	return h.max
}

// HealTime is how long rows took from when they were first seen diverged until they
// were seen equal, since the start of the worker.
type HealTime struct {
	P50Millisecond int64 `json:"p50Millisecond"`
	P99Millisecond int64 `json:"p99Millisecond"`
	MaxMillisecond int64 `json:"maxMillisecond"`
}

// status is nil when nothing has healed.
func (h *healTimes) status() *HealTime {
	if h.n == 0 {
		return nil
	}
	return &HealTime{h.quantile(0.5).Milliseconds(), h.quantile(0.99).Milliseconds(), h.max.Milliseconds()}
}

// healed counts and logs a row that was seen equal.
func (l *lane) healed(r Record, n Note) {
	seen := r.FirstSeen
	if n.Seen > 0 {
		seen = time.UnixMilli(n.Seen) // before it was confirmed and stored
	}
	equal := time.Now()
	if n.Equal > 0 {
		equal = time.UnixMilli(n.Equal) // and looked at once more
	}
	took := max(equal.Sub(seen), 0) // the clock may have been set back
	how := "itself"
	l.count(func(c *Counts) {
		if n.Accepted > 0 {
			how = "after callback"
			c.HealedByCallback++
			l.byCallback.add(took)
		} else {
			c.HealedItself++
			l.byItself.add(took)
		}
		c.HealMillisecondSum += took.Milliseconds()
		l.storm.healed(n.Accepted == 0)
	})
	if n.Accepted > 0 {
		l.config.lately.healed(r.Pair, r.Key, time.Now())
	}
	l.log.Info().Str("key", r.Key).Str("how", how).Int("attempts", r.Attempts).Int64("tookMillisecond", took.Milliseconds()).Msg("healed")
}

// relapse notices that a row which is posted for the first time was healed lately:
// its rows were read anew, so it is not the event of a scan that had seen it before.
func (l *lane) relapse(r Record) {
	if r.Attempts > 0 || !l.config.lately.relapsed(r.Pair, r.Key, time.Now()) {
		return
	}
	l.count(func(c *Counts) { c.Relapsed++ })
	l.log.Error().Str("key", r.Key).Msg("relapsed: the row was healed by a callback, and diverges again")
	l.config.Alerts.Alert("relapsed", l.name+": rows that a callback had healed within the last hour diverge again, the latest "+r.Key+"; what undoes the repair?")
}
