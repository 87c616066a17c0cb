package callback

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"github.com/masixun71/cupid/pkg/event"
)

// ErrFull says that the queue has no room for a new identity.
var ErrFull = errors.New("the queue is full")

// Destination is what the worker has to know of one pair.
type Destination struct {
	Pair   Pair
	Sender Sender
	// Gate is shared by the destinations that have the same URL.
	Gate *Gate
	// URL is for the log: without user and query.
	URL string
	// Concurrency is how many posts of this pair may be in flight.
	Concurrency int
	// Grace is how long the receiver may take to repair a row that it accepted.
	Grace time.Duration
	// Timeout is how long a post may take: for as long as that, one that was given up
	// may go on at the receiver.
	Timeout time.Duration
	// RetryCap is the longest wait between two attempts of an event.
	RetryCap time.Duration
	// DeletePerHour is how many attempts with orphans may begin within any 60 minutes;
	// 0 drops them.
	DeletePerHour int
	// StormPerMinute is how many rows must diverge within a minute, and ten times as
	// many as usual, for a storm; 0 is none. StormPerSecond is how many attempts may
	// begin within any second of one.
	StormPerMinute, StormPerSecond int
	// GateID names the gate in the Memory, and shows no secret.
	GateID string
}

// Config is what a callback worker is made of.
type Config struct {
	Destinations map[string]Destination // by the name of the pair
	Queue        Queue
	// Limit is how many records the queue holds, for sharing them among the pairs;
	// with 0 they are not shared.
	Limit  int
	Alerts Alerts
	// Memory keeps which URLs are down, which pairs have a storm, and what was spent of
	// DeletePerHour; nil: nothing does.
	Memory Memory
	// Settle is the wait between two looks at a watched row.
	Settle time.Duration
	// Idle is how often an idle lane looks for work when nobody tells it of any.
	Idle time.Duration
	// FailedAttempts is after how many failed attempts of an event an operator is told.
	FailedAttempts int
	// Hold keeps all events in the queue and posts nothing.
	Hold bool
	// Step says that the loop gets on.
	Step func()
	// Draining is closed when nothing new is to be started.
	Draining <-chan struct{}
	Log      zerolog.Logger

	changed func()       // what the Memory keeps has changed
	keep    func() error // it is on disk when this returns
	lately  *lately
}

// Worker stores events and delivers them.
type Worker struct {
	config Config
	book   *book
	lanes  map[string]*lane
	memo   *memo
	inbox  chan delivery // room for what the task workers may send before an answer
	// forgets are pairs that are not configured, whose events are to be removed.
	forgets chan string
}

type delivery struct {
	events []event.Event
	ack    func()
}

// New makes a worker; Run starts it.
func New(c Config) *Worker {
	w := &Worker{
		config: c, book: &book{queue: c.Queue, settle: c.Settle}, lanes: map[string]*lane{}, inbox: make(chan delivery, inboxRoom),
		forgets: make(chan string, forgetRoom),
	}
	w.memo = newMemo(w)
	w.config.changed, w.config.keep, w.config.lately = w.memo.changed, w.memo.save, newLately()
	for name, d := range c.Destinations {
		w.lanes[name] = newLane(name, d, &w.config, w.book)
	}
	return w
}

// inboxRoom is how many messages of events may wait to be stored. A task worker
// has one at a time for each chunk in its hands.
const inboxRoom = 4096

// Submit takes events; ack is called once they are durable. It must not be called
// more than inboxRoom times without an ack.
func (w *Worker) Submit(events []event.Event, ack func()) { w.inbox <- delivery{events, ack} }

// Run delivers until ctx is done, or until the worker is drained and no post is
// in flight.
func (w *Worker) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	w.memo.restore()
	w.tellUnconfigured()
	wg.Go(func() { w.memo.run(ctx) })
	wg.Go(func() { w.forget(ctx) })
	incoming := store{Worker: w, waiting: map[string][]delivery{}, full: map[string]bool{}}
	wg.Go(func() { incoming.run(ctx) })
	var lanes sync.WaitGroup
	for _, l := range w.lanes {
		lanes.Go(func() { l.run(ctx) })
	}
	done := make(chan struct{})
	wg.Go(func() { lanes.Wait(); close(done) })
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-done:
			return nil
		case <-tick.C:
			w.config.Step()
		}
	}
}

// pair is the pair of a delivery: a message has events of one chunk.
func (d delivery) pair() string {
	if len(d.events) == 0 {
		return ""
	}
	return d.events[0].Pair
}

// Status is what the worker tells of itself, by pair.
type Status struct {
	Depth int `json:"depth"`
	Counts
	URL  string     `json:"url"`
	Gate GateStatus `json:"gate"`
	// Storm is nil when the pair has none.
	Storm *StormStatus `json:"storm,omitempty"`
	// HealTime is that of rows healed after a callback, SelfHealTime that of those
	// healed by themselves; nil where there was none.
	HealTime     *HealTime `json:"healTime,omitempty"`
	SelfHealTime *HealTime `json:"selfHealTime,omitempty"`
	// NotConfigured says that the pair has events in the queue and is not configured, so
	// that nothing is called back; there is nothing else to tell of it but Depth.
	NotConfigured bool `json:"notConfigured,omitempty"`
}

// Status is safe to call at any time.
func (w *Worker) Status() map[string]Status {
	all := map[string]Status{}
	for name, n := range w.unconfigured() {
		all[name] = Status{Depth: n, NotConfigured: true}
	}
	for name, l := range w.lanes {
		all[name] = l.status()
	}
	return all
}

func (l *lane) status() Status {
	l.mu.Lock()
	defer l.mu.Unlock()
	return Status{
		Depth: l.config.Queue.Depth(l.name), Counts: l.counts, URL: l.dest.URL, Gate: l.dest.Gate.Status(), Storm: l.storm.status(),
		HealTime: l.byCallback.status(), SelfHealTime: l.byItself.status(),
	}
}
