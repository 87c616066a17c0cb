package callback

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
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
	// RetryCap is the longest wait between two attempts of an event.
	RetryCap time.Duration
}

// Config is what a callback worker is made of.
type Config struct {
	Destinations map[string]Destination // by the name of the pair
	Queue        Queue
	Alerts       Alerts
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
}

// Worker stores events and delivers them.
type Worker struct {
	config Config
	lanes  map[string]*lane
	inbox  chan delivery // room for what the task workers may send before an answer
}

type delivery struct {
	events []event.Event
	ack    func()
}

// New makes a worker; Run starts it.
func New(c Config) *Worker {
	w := &Worker{config: c, lanes: map[string]*lane{}, inbox: make(chan delivery, inboxRoom)}
	for name, d := range c.Destinations {
		w.lanes[name] = newLane(name, d, &w.config)
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
	ctx, cancel := context.WithCancelCause(ctx)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel(nil)
	wg.Go(func() { w.store(ctx) })
	var lanes sync.WaitGroup
	for _, l := range w.lanes {
		lanes.Go(func() { l.run(ctx) })
	}
	done := make(chan struct{})
	wg.Go(func() { lanes.Wait(); close(done) })
	tick := time.NewTicker(500 * time.Millisecond)
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

// storeBatch is how many events are written in one transaction at most.
const storeBatch = 2000

// store writes what comes in, as much as there is in one transaction.
func (w *Worker) store(ctx context.Context) {
	for {
		var batch []delivery
		select {
		case <-ctx.Done():
			return
		case d := <-w.inbox:
			batch = append(batch, d)
		}
		n := len(batch[0].events)
	more:
		for n < storeBatch {
			select {
			case d := <-w.inbox:
				batch = append(batch, d)
				n += len(d.events)
			default:
				break more
			}
		}
		w.storeAll(ctx, batch)
	}
}

// storeAll tries until the batch is on disk, then acknowledges it.
func (w *Worker) storeAll(ctx context.Context, batch []delivery) {
	records := map[[2]string]Record{}
	fresh := map[string]int{}
	for tries := 0; ; tries++ {
		err := w.records(ctx, batch, records, fresh)
		if err == nil {
			err = w.config.Queue.Put(ctx, values(records))
		}
		if err == nil {
			break
		}
		if ctx.Err() != nil {
			return
		}
		if tries == 0 {
			w.config.Log.Error().Err(err).Msg("events could not be stored; the scans wait until they can")
			w.config.Alerts.Alert("events not stored", err.Error()+"; the scans wait until there is room")
		}
		if !wait(ctx, time.Second) {
			return
		}
	}
	for name, n := range fresh {
		if l, ok := w.lanes[name]; ok {
			l.arrived(n)
		}
	}
	for _, d := range batch {
		d.ack()
	}
}

// records makes the records of a batch.
func (w *Worker) records(ctx context.Context, batch []delivery, records map[[2]string]Record, fresh map[string]int) error {
	clear(records)
	clear(fresh)
	for _, d := range batch {
		if err := makeRecords(ctx, &w.config, d.events, records, fresh); err != nil {
			return err
		}
	}
	return nil
}

// makeRecords adds the records of events, the newest of an identity taking the
// place of an older one, and counts in fresh which identities are new. An identity
// that is known keeps its state.
func makeRecords(ctx context.Context, c *Config, events []event.Event, records map[[2]string]Record, fresh map[string]int) error {
	now := time.Now()
	for _, e := range events {
		key, err := e.Key.MarshalText()
		if err != nil {
			return fmt.Errorf("store event of %s: %w", e.Pair, err)
		}
		r := Record{Pair: e.Pair, Key: string(key), Due: now, FirstSeen: e.FirstSeen}
		n := Note{Kind: e.Kind, SourceID: e.SourceID, Columns: e.Columns, State: Pending}
		if e.Watch != nil {
			n.State, n.Look = Watched, e.Watch
			r.Due = now.Add(c.Settle)
		}
		old, known, err := c.Queue.Get(ctx, r.Pair, r.Key)
		if err != nil {
			return err
		}
		if known {
			n = merge(old, n)
		} else {
			fresh[e.Pair]++
		}
		if r.Note, err = json.Marshal(n); err != nil {
			return fmt.Errorf("store event of %s: %w", e.Pair, err)
		}
		records[[2]string{r.Pair, r.Key}] = r
	}
	return nil
}

// merge is what a newer event of a known identity changes: what was found, and
// not how far its delivery is.
func merge(old Record, note Note) Note {
	var was Note
	if json.Unmarshal(old.Note, &was) != nil || was.State == Watched {
		return note
	}
	note.State, note.Accepted, note.Look = was.State, was.Accepted, nil
	return note
}

func values(m map[[2]string]Record) []Record {
	records := make([]Record, 0, len(m))
	for _, r := range m {
		records = append(records, r)
	}
	return records
}

// wait returns false when ctx ended first.
func wait(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// Status is what the worker tells of itself, by pair.
type Status struct {
	Depth int `json:"depth"`
	Counts
	URL  string     `json:"url"`
	Gate GateStatus `json:"gate"`
}

// Status is safe to call at any time.
func (w *Worker) Status() map[string]Status {
	all := map[string]Status{}
	for name, l := range w.lanes {
		all[name] = Status{Depth: w.config.Queue.Depth(name), Counts: l.snapshot(), URL: l.dest.URL, Gate: l.dest.Gate.Status()}
	}
	return all
}
