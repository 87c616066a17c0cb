package callback

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"github.com/masixun71/cupid/pkg/backoff"
)

const (
	// maxClaim is how many records of a pair are claimed at a time at most: read,
	// compared, and on their way.
	maxClaim = 256
	// maxBodyBytes bounds the bodies of a pair in memory, as far as the rows are
	// like those before them. One row of any size is always sent.
	maxBodyBytes = 64 << 20
	// freshFor is how long a row that was read may wait to be posted; after that
	// it is read again.
	freshFor = time.Second
	// finishEvery is how often answers are written down at most, so that those of a
	// fast receiver share a look at the rows and a write to the disk.
	finishEvery = 5 * time.Millisecond
	// retryBase is the wait after the first failed attempt of an event.
	retryBase = time.Second
	// alertFailures is after how many failures in a row an operator is told.
	alertFailures = 5
)

// Counts is what a lane tells of itself since its start.
type Counts struct {
	Stored           uint64 `json:"stored"`
	Attempts         uint64 `json:"attempts"`
	Failed           uint64 `json:"failed"`
	Accepted         uint64 `json:"accepted"`
	HealedItself     uint64 `json:"healedItself"`
	HealedByCallback uint64 `json:"healedByCallback"`
	NotRepaired      uint64 `json:"notRepaired"`
	// Relapsed counts rows that diverged again within an hour after they were healed by
	// a callback.
	Relapsed           uint64 `json:"relapsed"`
	SourceGone         uint64 `json:"sourceGone"`
	HealMillisecondSum int64  `json:"healMillisecondSum"`
	// Unreadable counts the times that an event or its row could not be read,
	// while others could.
	Unreadable uint64 `json:"unreadable"`
	// DeletesHeld counts the times that an orphan had to wait for its budget.
	DeletesHeld uint64 `json:"deletesHeld"`
	// HeldBack counts rows that were held back in a storm.
	HeldBack uint64 `json:"heldBack"`
}

// lane delivers the events of one pair. One goroutine, in run, claims, reads and
// writes; posters post.
type lane struct {
	name   string
	dest   Destination
	config *Config
	book   *book
	log    zerolog.Logger
	// longest is the longest time that a record may have to wait.
	longest time.Duration
	kick    chan struct{} // one: something has arrived
	work    chan attempt  // room for all that is claimed
	posts   chan posted   // likewise

	flying   map[string]int // what is claimed: the size of the body by key
	bytes    int            // of all bodies in flying
	rowBytes int            // of a body, as they were lately; 0 when unknown
	limit    int            // how many to claim at a time; follows the speed of the receiver
	waited   time.Duration  // of what came back last: from its reading to its post at most
	rests    time.Time      // nothing is due before, unless it came since
	probes   int            // of the URL since it was down, by this lane
	back     []posted       // came back and is not written yet
	finished time.Time      // when something was written last
	tables   trouble        // with the databases
	disk     trouble        // with the queue

	began    time.Time           // the lane
	doubtful map[string]struct{} // keys that the worker before may have had in flight

	unkept bool // it was told that the budget cannot be kept

	mu     sync.Mutex // guards all below
	counts Counts
	storm  storm
	budget budget
	// byCallback and byItself are how long rows took to heal.
	byCallback, byItself healTimes
}

// trouble is something that fails, and is tried again after a while.
type trouble struct {
	fails int       // in a row
	retry time.Time // nothing is tried before
}

func (t *trouble) wait() time.Duration {
	if t.fails == 0 {
		return 0
	}
	return time.Until(t.retry)
}

func newLane(name string, d Destination, c *Config, b *book) *lane {
	d.Concurrency = max(d.Concurrency, 1)
	l := &lane{
		name: name, dest: d, config: c, book: b, log: c.Log.With().Str("pair", name).Logger(),
		longest: longestWait(d, c), kick: make(chan struct{}, 1), flying: map[string]int{}, began: time.Now(), doubtful: map[string]struct{}{},
		storm:  storm{perMinute: d.StormPerMinute, perSecond: max(d.StormPerSecond, 1)},
		budget: newBudget(d.DeletePerHour),
	}
	l.limit = 2 * d.Concurrency
	l.work, l.posts = make(chan attempt, l.maxLimit()), make(chan posted, l.maxLimit())
	return l
}

const (
	// maxRetryAfter is the most that Outcome.RetryAfter asks for.
	maxRetryAfter = time.Hour
	// clockMargin is how much the clock may be set back without a record being due early.
	clockMargin = time.Minute
)

// longestWait is the longest of all waits that are given to a record, by a clock that was
// a little ahead. One that is due later is stuck: the clock was set back since.
func longestWait(d Destination, c *Config) time.Duration {
	return clockMargin + max(
		d.RetryCap, maxRetryAfter, // it failed, or its row cannot be read
		d.Grace,                   // it was accepted
		c.Settle,                  // it is watched
		unreadableRetry,           // its note makes no sense
		(countsFor+1)*time.Minute, // it is an orphan above the budget
		lookAfter(c.Limit),        // it is held in a storm, however many there are
	)
}

// maxLimit is the upper bound of limit; the lower one is Concurrency.
func (l *lane) maxLimit() int { return max(2*l.dest.Concurrency, maxClaim) }

func (l *lane) count(f func(*Counts)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	f(&l.counts)
}

// run delivers until ctx is done, or until draining and nothing is in flight.
func (l *lane) run(ctx context.Context) {
	ctx, cancel := context.WithCancel(ctx)
	starting, startNone := context.WithCancel(ctx) // ends when no more posts may begin
	var posters sync.WaitGroup
	defer posters.Wait()
	defer cancel()
	defer startNone()
	for range l.dest.Concurrency {
		posters.Go(func() { l.post(ctx, starting) })
	}
	timer := time.NewTimer(0)
	defer timer.Stop()
	draining := l.config.Draining
	for {
		next := l.advance(ctx, starting.Err() != nil)
		if starting.Err() != nil && len(l.flying) == 0 {
			return
		}
		timer.Reset(max(next, time.Millisecond))
		select {
		case <-ctx.Done():
			return
		case <-draining:
			draining = nil
			startNone()
		case p := <-l.posts:
			l.back = append(l.back, p)
			l.drainPosts()
		case <-l.kick:
			l.rests = time.Time{}
		case <-timer.C:
		}
	}
}

// advance does what there is to do now and returns how long there is nothing more.
// Answers are written down also while the databases are away.
func (l *lane) advance(ctx context.Context, draining bool) time.Duration {
	if d := l.disk.wait(); d > 0 {
		return d
	}
	wait, err := l.finish(ctx)
	if err != nil {
		return l.failed(ctx, err)
	}
	if wait > 0 {
		return wait
	}
	return l.begin(ctx, draining)
}

// begin puts new attempts on their way, and returns how long there are no more.
func (l *lane) begin(ctx context.Context, draining bool) time.Duration {
	wants := l.tables.fails == 0 && l.config.Queue.Depth(l.name) > 0 && !time.Now().Before(l.rests)
	closed := l.dest.Gate.closed(l.name, wants)
	l.calm(closed > 0 || l.tables.fails > 0 || l.disk.fails > 0)
	if draining || l.config.Hold {
		return l.config.Idle
	}
	if d := max(l.tables.wait(), closed); d > 0 {
		return min(d, max(l.config.Idle, freshFor))
	}
	more, err := l.claim(ctx)
	if err != nil {
		return l.failed(ctx, err)
	}
	if more {
		return 0
	}
	return l.untilDue(ctx)
}

// untilDue is how long nothing becomes due, and not longer than the idle interval.
// What is due already waits for a post to come back.
func (l *lane) untilDue(ctx context.Context) time.Duration {
	d := l.config.Idle
	due, ok, err := l.config.Queue.NextDue(ctx, l.name)
	if err != nil {
		return l.failed(ctx, err)
	}
	l.rests = due
	if t := time.Until(due); ok && t > 0 {
		return min(d, t)
	}
	return d
}

// readError is a failure of the databases, as against one of the queue.
type readError struct{ err error }

func (e *readError) Error() string { return e.err.Error() }
func (e *readError) Unwrap() error { return e.err }

// failed says how long to leave alone what has failed.
func (l *lane) failed(ctx context.Context, err error) time.Duration {
	if ctx.Err() != nil {
		return l.config.Idle
	}
	t := &l.disk
	if _, ok := errors.AsType[*readError](err); ok {
		t = &l.tables
		l.limit, l.rowBytes = l.dest.Concurrency, 0
	}
	t.fails++
	d := backoff.Delay(t.fails, probeBase, probeCap, 0.2, rand.Float64)
	t.retry = time.Now().Add(d)
	l.log.Warn().Err(err).Int("failures", t.fails).Msg("callbacks wait")
	if t.fails == alertFailures {
		l.config.Alerts.Alert("pair stopped", fmt.Sprintf("%s: callbacks wait: %v", l.name, err))
	}
	return d
}

// works notes that what may have failed before does not any more.
func (l *lane) works(t *trouble) {
	if t.fails > 0 {
		l.log.Info().Int("failures", t.fails).Msg("callbacks go on")
		t.fails = 0
	}
}

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

// room is how many records may be claimed now. Claims are made many at a time.
func (l *lane) room() int {
	flying := len(l.flying)
	if flying > l.limit/2 {
		return 0
	}
	n := l.limit - flying
	if l.rowBytes > 0 {
		n = min(n, (maxBodyBytes-l.bytes)/l.rowBytes)
	}
	if flying == 0 {
		n = max(n, 1)
	}
	return n
}
