package callback

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"github.com/masixun71/cupid/pkg/backoff"
)

const (
	// maxClaim is how many records of a pair are claimed at a time at most: read,
	// compared, and on their way.
	maxClaim = 256
	// freshFor is how long a row that was read may wait to be posted; after that
	// it is read again.
	freshFor = time.Second
	// retryBase is the wait after the first failed attempt of an event.
	retryBase = time.Second
	// jumpCount events within jumpTime are a jump of divergence on a pair.
	jumpCount, jumpTime = 1000, time.Minute
)

// Counts is what a lane tells of itself since its start.
type Counts struct {
	Stored             uint64 `json:"stored"`
	Attempts           uint64 `json:"attempts"`
	Failed             uint64 `json:"failed"`
	Accepted           uint64 `json:"accepted"`
	HealedItself       uint64 `json:"healedItself"`
	HealedByCallback   uint64 `json:"healedByCallback"`
	NotRepaired        uint64 `json:"notRepaired"`
	SourceGone         uint64 `json:"sourceGone"`
	HealMillisecondSum int64  `json:"healMillisecondSum"`
}

// attempt is a record whose rows were read and differ.
type attempt struct {
	rec  Record
	note Note
	body []byte
	read time.Time
}

// posted is an attempt that came back.
type posted struct {
	attempt
	outcome Outcome
	stale   bool // it was not posted: the row was read too long ago
}

// lane delivers the events of one pair. One goroutine, in run, claims, reads and
// writes; posters post.
type lane struct {
	name   string
	dest   Destination
	config *Config
	log    zerolog.Logger
	kick   chan struct{} // one: something has arrived
	work   chan attempt  // room for all that is claimed
	posts  chan posted   // likewise

	flying map[string]struct{} // keys of what is claimed
	limit  int                 // how many to claim at a time; follows the speed of the receiver
	back   []posted            // came back and is not written yet
	fails  int                 // of the databases or the queue, in a row
	retry  time.Time           // nothing is tried before

	mu     sync.Mutex // guards all below
	counts Counts
	jumpAt time.Time
	jump   int
	jumped bool
}

func newLane(name string, d Destination, c *Config) *lane {
	return &lane{
		name: name, dest: d, config: c, log: c.Log.With().Str("pair", name).Logger(), kick: make(chan struct{}, 1),
		work: make(chan attempt, maxClaim), posts: make(chan posted, maxClaim),
		flying: map[string]struct{}{}, limit: 2 * d.Concurrency,
	}
}

// arrived wakes the lane and notices a jump of divergence.
func (l *lane) arrived(n int) {
	l.mu.Lock()
	l.counts.Stored += uint64(n)
	now := time.Now()
	if now.Sub(l.jumpAt) > jumpTime {
		l.jumped = l.jump >= jumpCount // one alert for as long as it lasts
		l.jumpAt, l.jump = now, 0
	}
	before := l.jump
	l.jump += n
	tell := !l.jumped && before < jumpCount && l.jump >= jumpCount
	l.mu.Unlock()
	if tell {
		l.config.Alerts.Alert("divergence jumps", fmt.Sprintf("%s: more than %d rows diverged within %s; is its pipeline down?", l.name, jumpCount, jumpTime))
	}
	select {
	case l.kick <- struct{}{}:
	default:
	}
}

func (l *lane) snapshot() Counts {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.counts
}

func (l *lane) count(f func(*Counts)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	f(&l.counts)
}

// run delivers until ctx is done, or until draining and nothing is in flight.
func (l *lane) run(ctx context.Context) {
	ctx, cancel := context.WithCancel(ctx)
	var posters sync.WaitGroup
	defer posters.Wait()
	defer cancel()
	for range l.dest.Concurrency {
		posters.Go(func() { l.post(ctx) })
	}
	timer := time.NewTimer(0)
	defer timer.Stop()
	draining := l.config.Draining
	for {
		next := l.advance(ctx, draining == nil)
		if draining == nil && len(l.flying) == 0 {
			return
		}
		timer.Reset(next)
		select {
		case <-ctx.Done():
			return
		case <-draining:
			draining = nil
		case p := <-l.posts:
			l.back = append(l.back, p)
			l.drainPosts()
		case <-l.kick:
		case <-timer.C:
		}
	}
}

// advance does what there is to do now and returns how long there is nothing more.
func (l *lane) advance(ctx context.Context, draining bool) time.Duration {
	if d := time.Until(l.retry); l.fails > 0 && d > 0 {
		return d
	}
	err := l.finish(ctx)
	claimed := 0
	if err == nil && !draining && !l.config.Hold {
		claimed, err = l.claim(ctx)
	}
	if err != nil {
		return l.failed(ctx, err)
	}
	if l.fails > 0 {
		l.log.Info().Int("failures", l.fails).Msg("callbacks go on")
		l.fails = 0
	}
	if claimed > 0 && len(l.flying) < l.limit/2 {
		return time.Millisecond
	}
	return l.untilDue(ctx)
}

// untilDue is how long nothing becomes due, and not longer than the idle interval.
func (l *lane) untilDue(ctx context.Context) time.Duration {
	d := l.config.Idle
	due, ok, err := l.config.Queue.NextDue(ctx, l.name)
	if err != nil || !ok {
		return d
	}
	if t := time.Until(due); t > 0 {
		d = min(d, t)
	}
	return max(d, time.Millisecond)
}

func (l *lane) failed(ctx context.Context, err error) time.Duration {
	if ctx.Err() != nil {
		return time.Second
	}
	l.fails++
	d := backoff.Delay(l.fails, probeBase, probeCap, 0.2, nil)
	l.retry = time.Now().Add(d)
	l.log.Warn().Err(err).Int("failures", l.fails).Msg("callbacks wait")
	if l.fails == alertFailures {
		l.config.Alerts.Alert("pair stopped", fmt.Sprintf("%s: callbacks wait: %v", l.name, err))
	}
	return d
}

// alertFailures is after how many failures in a row an operator is told.
const alertFailures = 5

func (l *lane) drainPosts() {
	for {
		select {
		case p := <-l.posts:
			l.back = append(l.back, p)
		default:
			return
		}
	}
}

// room is how many records may be claimed now.
func (l *lane) room() int {
	g := l.dest.Gate.Status()
	if g.Failures >= downAfter {
		return 1 - len(l.flying)
	}
	if len(l.flying) > l.limit/2 {
		return 0
	}
	return l.limit - len(l.flying)
}

// claim reads what is due and puts what still differs on its way.
func (l *lane) claim(ctx context.Context) (int, error) {
	n := l.room()
	if n <= 0 {
		return 0, nil
	}
	if len(l.work) == 0 && l.dest.Gate.Status().Failures == 0 {
		l.limit = min(2*l.limit, maxClaim)
	}
	due, err := l.config.Queue.Due(ctx, l.name, time.Now(), n, func(key string) bool {
		_, flies := l.flying[key]
		return flies
	})
	if err != nil || len(due) == 0 {
		return 0, err
	}
	attempts, err := l.check(ctx, due)
	for _, a := range attempts {
		l.flying[a.rec.Key] = struct{}{}
		l.work <- a
	}
	return len(due), err
}

// post is one poster.
func (l *lane) post(ctx context.Context) {
	for {
		var a attempt
		select {
		case <-ctx.Done():
			return
		case a = <-l.work:
		}
		p := posted{attempt: a, stale: !l.enter(ctx, a.read)}
		if !p.stale {
			p.outcome = l.dest.Sender.Post(ctx, Post{
				ID: eventID(a.rec), Attempt: a.rec.Attempts + 1, Pair: l.name, Columns: a.note.Columns, Body: a.body,
			})
			l.leave(p, ctx.Err() != nil)
		}
		l.posts <- p
	}
}

// enter waits for the gate, and no longer than the row is fresh.
func (l *lane) enter(ctx context.Context, read time.Time) bool {
	for {
		now := time.Now()
		if now.Sub(read) > freshFor || ctx.Err() != nil {
			return false
		}
		ok, d := l.dest.Gate.enter(now)
		if ok {
			return true
		}
		if d > freshFor {
			return false
		}
		if d == 0 {
			d = 20 * time.Millisecond
		}
		if !wait(ctx, d) {
			return false
		}
	}
}

func (l *lane) leave(p posted, givenUp bool) {
	switch t, down := l.dest.Gate.leave(time.Now(), p.outcome, givenUp); t {
	case wentDown:
		l.log.Error().Err(p.outcome.Err).Str("url", l.dest.URL).Msg("callback URL is down; it is probed by one event at a time")
		l.config.Alerts.Alert("callback URL down", fmt.Sprintf("%s: %v", l.dest.URL, p.outcome.Err))
	case cameBack:
		l.log.Info().Str("url", l.dest.URL).Dur("down", down).Msg("callback URL answers again")
		l.config.Alerts.Alert("callback URL up", fmt.Sprintf("%s answers again after %s", l.dest.URL, down.Round(time.Second)))
	case same:
	}
}

// eventID is the same over all attempts and restarts: it is made of the identity
// and the time when the queue first took it.
func eventID(r Record) string {
	h := sha256.New()
	fmt.Fprintf(h, "%q %q %d", r.Pair, r.Key, r.FirstSeen.UnixMilli())
	return "evt_" + hex.EncodeToString(h.Sum(nil)[:12])
}

// note reads a record's note.
func note(r Record) (Note, error) {
	var n Note
	if err := json.Unmarshal(r.Note, &n); err != nil {
		return n, fmt.Errorf("read event %s %s: %w", r.Pair, r.Key, err)
	}
	return n, nil
}

// change is a record with another note.
func change(r Record, n Note, due time.Time) (Change, error) {
	b, err := json.Marshal(n)
	if err != nil {
		return Change{}, fmt.Errorf("write event %s %s: %w", r.Pair, r.Key, err)
	}
	r.Note, r.Due = b, due
	return Change{Record: r}, nil
}
