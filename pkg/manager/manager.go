package manager

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"

	"github.com/masixun71/cupid/pkg/chunk"
)

// saveEvery is how long a moved cursor may wait to be written. What a killed
// manager repeats is no more than this much work.
const saveEvery = 250 * time.Millisecond

// Pair is one pair that the manager scans.
type Pair struct {
	Name   string
	Source Source
	// Insert and Update choose the scans; their intervals are from the begin of
	// one pass to the begin of the next.
	Insert         bool
	InsertInterval time.Duration
	// InsertLate is the age at which a span of ids is final when the account may
	// not see transactions. It stands for update times too.
	InsertLate     time.Duration
	Update         bool
	UpdateInterval time.Duration
	// UpdateScan is how far each update scan reaches back.
	UpdateScan time.Duration
}

// Config is what a manager is made of.
type Config struct {
	Pairs   []Pair
	Cursors Cursors
	Owner   Owner
	Alerts  Alerts
	// Offer hands a chunk to the master. It may wait; an error ends the manager.
	Offer func(context.Context, chunk.Chunk) error
	// Step says that the loop gets on.
	Step func()
	// Generation is this process's number among the managers of one master.
	Generation uint64
	// StartID is where an insert scan begins that has no cursor yet; empty is
	// the smallest id.
	StartID string
	// ChunkRows is how many rows a chunk has at most.
	ChunkRows int
	Log       zerolog.Logger
}

// Manager plans the scans of all pairs.
type Manager struct {
	config Config
	ledger *ledger
	lanes  []*lane
	offers chan chunk.Chunk // unbuffered: a lane gives a chunk only when it is asked for
	demand atomic.Int64     // chunks that are asked for and not yet given
	asked  chan struct{}    // holds one token when demand has grown
}

// New makes a manager out of its cache file; Run starts it.
func New(c Config) (*Manager, error) {
	l, err := newLedger(c.Cursors)
	if err != nil {
		return nil, err
	}
	m := &Manager{config: c, ledger: l, offers: make(chan chunk.Chunk), asked: make(chan struct{}, 1)}
	for _, p := range c.Pairs {
		if p.Update {
			l := m.lane(p, chunk.Update, p.UpdateInterval)
			l.planner = newUpdateScan(l, p.UpdateScan, p.InsertLate)
		}
		if p.Insert {
			l := m.lane(p, chunk.Insert, p.InsertInterval)
			l.planner = newInsertScan(l, c.StartID, p.InsertLate)
		}
	}
	return m, nil
}

func (m *Manager) lane(p Pair, scan chunk.Scan, interval time.Duration) *lane {
	l := &lane{
		pair: p.Name, scan: scan, interval: interval, rows: m.config.ChunkRows, source: p.Source, owner: m.config.Owner,
		ledger: m.ledger, alerts: m.config.Alerts, offers: m.offers,
		log:    m.config.Log.With().Str("pair", p.Name).Str("scan", string(scan)).Logger(),
		inbox:  inbox{wake: make(chan struct{}, 1)},
		open:   map[string]*piece{},
		prefix: fmt.Sprintf("%d-%d-", m.config.Generation, len(m.lanes)),
	}
	m.lanes = append(m.lanes, l)
	return l
}

// Demand says that n more chunks are asked for. Like Done and Crashed it does not
// wait, and may be called before Run.
func (m *Manager) Demand(n int) {
	m.demand.Add(int64(n))
	select {
	case m.asked <- struct{}{}:
	default:
	}
}

// Done takes a task worker's word on a chunk.
func (m *Manager) Done(r chunk.Result) {
	if l := m.laneOf(r.Chunk); l != nil {
		l.inbox.put(&r, nil)
	}
}

// Crashed takes back a chunk that killed its workers.
func (m *Manager) Crashed(c chunk.Chunk) {
	if l := m.laneOf(c.ID); l != nil {
		l.inbox.put(nil, &c)
	}
}

// laneOf is the lane that cut a chunk; nil for a chunk of an earlier manager.
func (m *Manager) laneOf(id string) *lane {
	for _, l := range m.lanes {
		if strings.HasPrefix(id, l.prefix) {
			return l
		}
	}
	return nil
}

// Run plans until ctx is done, and then writes the cursors once more.
func (m *Manager) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var wg sync.WaitGroup
	for _, l := range m.lanes {
		wg.Go(func() { l.run(ctx) })
	}
	wg.Go(func() { m.keepSaved(ctx) })
	err := m.dispatch(ctx)
	cancel(err)
	wg.Wait()
	return errors.Join(err, m.ledger.save())
}

// dispatch gives chunks to the master as it asks for them.
func (m *Manager) dispatch(ctx context.Context) error {
	tick := time.NewTicker(500 * time.Millisecond)
	defer tick.Stop()
	for ; ; m.config.Step() {
		var offers <-chan chunk.Chunk
		if m.demand.Load() > 0 {
			offers = m.offers
		}
		select {
		case <-ctx.Done():
			return nil
		case <-m.asked:
		case c := <-offers:
			m.demand.Add(-1)
			if err := m.config.Offer(ctx, c); err != nil {
				if ctx.Err() != nil {
					return nil
				}
				return fmt.Errorf("offer chunk %s: %w", c, err)
			}
		case <-tick.C:
		}
	}
}

func (m *Manager) keepSaved(ctx context.Context) {
	tick := time.NewTicker(saveEvery)
	defer tick.Stop()
	for failing := false; ; {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		err := m.ledger.save()
		if err != nil && !failing {
			m.config.Log.Error().Err(err).Msg("cursors could not be written; tried again until it works, and scans repeat what is not written")
			m.config.Alerts.Alert("cursors not written", err.Error())
		}
		failing = err != nil
	}
}

// Status is what the manager tells of itself.
type Status struct {
	State State `json:"state"`
	// LateSpans counts the spans that wait for open transactions.
	LateSpans int `json:"lateSpans"`
}

// Status is safe to call at any time.
func (m *Manager) Status() Status {
	s := Status{State: m.ledger.snapshot()}
	for _, i := range s.State.Insert {
		s.LateSpans += len(i.Late)
	}
	for _, u := range s.State.Update {
		s.LateSpans += len(u.Late)
	}
	return s
}
