package task

import (
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"github.com/masixun71/cupid/pkg/chunk"
)

const (
	// maxInHand is how many chunks a worker has at work at a time. With Config.Sweeps there are
	// fewer large ones, which have more than largeRows: those of one pair that are read, and the
	// next one.
	maxInHand, maxLargeInHand, largeRows = 8, readers + 1, 5000
	// maxLent and maxLentRows bound the chunks beside them that settle, or wait until their
	// events are durable, and their suspects, of which no more than the key, the id and a
	// fingerprint are kept. Where most rows are seen before their copies are, almost every
	// chunk settles: those of a few pairs would else keep the hands from all others.
	maxLent     = 128
	maxLentRows = 16_000
	// stallAfter is after how long a chunk that waits for a database does not count as
	// one in hand any more, so that pairs whose databases hang leave the hands to the
	// others. One of them has the rows of its chunk in memory at most, and readers
	// bounds those of a pair. maxStalled bounds such chunks.
	stallAfter = 50 * time.Millisecond
	// stallLargeAfter is stallAfter where there are fewer because they are large.
	stallLargeAfter = time.Second
	maxStalled      = 4096
	// readers is how many chunks of one pair are read at a time: two, so that one
	// is read from the source while another is compared or read from the
	// destination.
	readers = 2
	// listen is for how long an idle worker looks for work, and how long a busy one
	// may be without any before it is idle.
	listen = 200 * time.Millisecond
	// maxLooks is how often a row that keeps moving is looked at before the
	// callback worker goes on watching it.
	maxLooks = 5
)

// Config is what a task worker is made of.
type Config struct {
	Pairs map[string]Pair
	Work  Work
	Hand  Hand
	// Settle is the wait between two looks at a row.
	Settle time.Duration
	// Step says that the loop gets on.
	Step func()
	// Draining is closed when no new work is to be taken.
	Draining <-chan struct{}
	// LogValues puts the differing values into the log.
	LogValues bool
	// Deletes has the pairs whose orphans are looked for.
	Deletes map[string]bool
	// Fingerprints are those of the pairs' configurations.
	Fingerprints map[string]string
	// Report, when set, takes every confirmed divergence; SQL adds the statement
	// that would repair it. It may wait.
	Report func([]Line)
	SQL    bool
	// Idle is how often an idle worker looks for work. Once it has some it works
	// all of it off without waiting.
	Idle time.Duration
	// Sweeps says that all chunks are of sweeps. Of large ones the worker takes a few at a time, so
	// that the last go to whoever has the time for them, and what differs in one is not looked at
	// again behind all others. How large the next are is taken from the last one.
	Sweeps bool
	Log    zerolog.Logger
}

// Worker compares chunks.
type Worker struct {
	config  Config
	chunks  chan chunk.Chunk // room for all that can have been asked for
	results chan chunk.Result
	pairs   map[string]*reader
	inHand  int // how many chunks there are at work at a time; of Run
	stalled stalled

	mu     sync.Mutex // guards counts
	counts Counts
}

// Counts is what a worker tells of itself.
type Counts struct {
	InHand int `json:"inHand"`
	// Stalled is how many of them wait for a database.
	Stalled    int    `json:"stalled"`
	Chunks     uint64 `json:"chunks"`
	Rows       uint64 `json:"rows"`
	Suspects   uint64 `json:"suspects"`
	SelfHealed uint64 `json:"selfHealed"`
	Events     uint64 `json:"events"`
	Watched    uint64 `json:"watched"`
	Ambiguous  uint64 `json:"ambiguous"`
	// NullKeys counts source rows without a join key: no destination row can be theirs.
	NullKeys uint64 `json:"nullKeys"`
	// NullIDs counts source rows that differed and have no id by which they could be looked at again.
	NullIDs uint64 `json:"nullIDs"`
	// LongKeys counts divergent rows whose key is too long for the queue.
	LongKeys uint64 `json:"longKeys"`
}

// New makes a worker; Run starts it.
func New(c Config) *Worker {
	w := &Worker{
		config: c, chunks: make(chan chunk.Chunk, maxInHand+maxStalled+maxLent), results: make(chan chunk.Result), pairs: map[string]*reader{},
		stalled: stalled{changed: make(chan struct{}, 1)},
	}
	w.sized(c.Sweeps)
	for name, p := range c.Pairs {
		w.pairs[name] = newReader(p, &w.stalled)
	}
	return w
}

// sized sets how many chunks there are at work, which are large or not.
func (w *Worker) sized(large bool) {
	if large {
		w.inHand = maxLargeInHand
		w.stalled.waitFor(stallLargeAfter)
		return
	}
	w.inHand = maxInHand
	w.stalled.waitFor(stallAfter)
}

// Take gives the worker a chunk that it wanted.
func (w *Worker) Take(c chunk.Chunk) { w.chunks <- c }

// Counts is safe to call at any time.
func (w *Worker) Counts() Counts {
	w.mu.Lock()
	defer w.mu.Unlock()
	c := w.counts
	c.Stalled = w.stalled.count()
	return c
}

func (w *Worker) count(f func(*Counts)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	f(&w.counts)
}

// Run compares until ctx is done or the worker is drained. What is in hand then
// is dropped: the master gives it to another worker.
func (w *Worker) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	hand := map[string]chunk.Chunk{}
	wanted := 0
	turn := time.NewTimer(listen)
	defer turn.Stop()
	resting := false
	for {
		if n := w.inHand + w.stalled.free() - len(hand) - wanted; n > 0 {
			if err := w.config.Work.Want(ctx, n); err != nil {
				return ignoreEnd(ctx, err)
			}
			wanted += n
		}
		chunks := w.chunks
		if resting {
			chunks = nil
		}
		select {
		case <-ctx.Done():
			return nil
		case <-w.config.Draining:
			return nil
		case <-turn.C:
			resting = !resting && len(hand) == 0 && w.config.Idle > 0
			turn.Reset(listen)
			if resting {
				turn.Reset(w.config.Idle)
			}
		case c := <-chunks:
			wanted--
			hand[c.ID] = c
			w.sized(w.config.Sweeps && c.Rows > largeRows)
			w.held(hand)
			wg.Go(func() { w.work(ctx, c) })
		case r := <-w.results:
			delete(hand, r.Chunk)
			w.held(hand)
			if err := w.config.Work.Done(ctx, r); err != nil {
				return ignoreEnd(ctx, err)
			}
		case <-w.stalled.changed:
		case <-tick.C:
		}
		w.config.Step()
	}
}

// held writes down what is in hand.
func (w *Worker) held(hand map[string]chunk.Chunk) {
	w.count(func(c *Counts) { c.InHand = len(hand) })
	chunks := make([]chunk.Chunk, 0, len(hand))
	for _, c := range hand {
		c.Differ = "" // which is long, and tells nobody anything
		chunks = append(chunks, c)
	}
	slices.SortFunc(chunks, func(a, b chunk.Chunk) int { return strings.Compare(a.ID, b.ID) })
	w.config.Hand.Save(chunks)
}

// work compares one chunk and reports it.
func (w *Worker) work(ctx context.Context, c chunk.Chunk) {
	r := w.process(ctx, c)
	if ctx.Err() != nil {
		return
	}
	select {
	case w.results <- r:
	case <-ctx.Done():
	}
}

func ignoreEnd(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil
	}
	return err
}
