package manager

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
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
	// Fingerprint stands for everything in the configuration that decides which rows differ.
	// Where it is another one, a pass begins anew, a run with Once takes over nothing of a run
	// before, and task workers that have another compare nothing.
	Fingerprint string
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
	// Sweep chooses the pass over the whole table. A pass is spread over its interval,
	// from the begin of one to the begin of the next.
	Sweep         bool
	SweepInterval time.Duration
	// SweepRowPerSecond bounds how fast rows are cut; 0 is no bound.
	SweepRowPerSecond int
	// SweepThreadsRunning and SweepLag are the load above which the sweep waits;
	// 0 is none.
	SweepThreadsRunning int
	SweepLag            time.Duration
}

// Config is what a manager is made of.
type Config struct {
	Pairs   []Pair
	Cursors Cursors
	// Sums keeps the sums of sweeps by buckets.
	Sums   Sums
	Owner  Owner
	Alerts Alerts
	// Offer hands a chunk to the master. It may wait; an error ends the manager.
	Offer func(context.Context, chunk.Chunk) error
	// Step says that the loop gets on.
	Step func()
	// Generation is this process's number among the managers of one master.
	Generation uint64
	// StartID is where an insert scan begins that has no cursor yet; empty is
	// the smallest id.
	StartID string
	// ChunkRows is how many rows a chunk of an insert or update scan has at most.
	// Sweeps find their own size.
	ChunkRows int
	// Once sweeps every pair once, whatever its scans are, and does nothing else: no
	// pauses are made, though the limits hold. A pair whose sides fail for a minute,
	// or with a Definite error, is given up. After the last pair Run waits for its end.
	Once bool
	// Resume goes on with the last run with Once, if that is not complete. What it has
	// completed counts.
	Resume bool
	// Run names this run with Once, unlike any other. A manager of the same run goes
	// on where the last one was, and counts what is complete. Without a name,
	// generations after the first resume.
	Run string
	// Progress, when set, is told in a run with Once how far all pairs are: about twice
	// a second, once at the end, when all are Done, and once when Run is ended before.
	Progress func(context.Context, []SweepProgress)
	Log      zerolog.Logger
}

// Manager plans the scans of all pairs.
type Manager struct {
	config Config
	ledger *ledger
	lanes  []*lane
	sweeps []*sweepScan
	offers chan chunk.Chunk // of the scans; unbuffered: a lane gives a chunk only when it is asked for
	spare  chan chunk.Chunk // of the sweeps; taken when no scan offers anything
	credit credit
	asked  chan struct{} // holds one token when there is more room
	ended  chan struct{} // holds one token when a lane has ended
}

// New makes a manager out of its cache file; Run starts it.
func New(c Config) (*Manager, error) {
	l, err := newLedger(c.Cursors)
	if err != nil {
		return nil, err
	}
	m := &Manager{
		ledger: l, offers: make(chan chunk.Chunk), spare: make(chan chunk.Chunk), credit: credit{given: map[string]bool{}},
		asked: make(chan struct{}, 1), ended: make(chan struct{}, 1),
	}
	gone := ""
	if c.Once && c.Run == "" {
		c.Run = time.Now().UTC().Format(time.RFC3339Nano)
		c.Resume = c.Resume || c.Generation > 1
	}
	if c.Resume {
		gone = unfinishedRun(l, c.Pairs)
	}
	m.config = c
	for _, p := range c.Pairs {
		if p.Sweep || c.Once {
			l := m.lane(p, chunk.Sweep, sweepAsk)
			l.offers = m.spare
			l.sweep = newSweepScan(l, c, p, gone)
			l.planner = l.sweep
			m.sweeps = append(m.sweeps, l.sweep)
		}
		if c.Once {
			continue
		}
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
		pair: p.Name, config: p.Fingerprint, scan: scan, interval: interval, rows: m.config.ChunkRows, source: p.Source, owner: m.config.Owner,
		ledger: m.ledger, alerts: m.config.Alerts, offers: m.offers,
		log:    m.config.Log.With().Str("pair", p.Name).Str("scan", string(scan)).Logger(),
		inbox:  inbox{wake: make(chan struct{}, 1)},
		open:   map[string]*piece{},
		broken: true, window: maxOpen,
		prefix: fmt.Sprintf("%d-%d-", m.config.Generation, len(m.lanes)),
	}
	m.lanes = append(m.lanes, l)
	return l
}

// Demand says that n more chunks are asked for. Like Done and Crashed it does not
// wait, and may be called before Run.
func (m *Manager) Demand(n int) {
	m.credit.ask(n)
	wake(m.asked)
}

// wake leaves a token, unless there is one.
func wake(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// Done takes a task worker's word on a chunk.
func (m *Manager) Done(r chunk.Result) {
	m.credit.back(r.Chunk)
	wake(m.asked)
	if l := m.laneOf(r.Chunk); l != nil {
		l.inbox.put(&r, nil)
	}
}

// Crashed takes back a chunk that killed its workers.
func (m *Manager) Crashed(c chunk.Chunk) {
	m.credit.back(c.ID)
	wake(m.asked)
	if l := m.laneOf(c.ID); l != nil {
		l.inbox.put(nil, &c)
	}
}

// SweepAgain says that confirmed divergences were lost, by the name of the pair with the
// time when that was found; the empty name stands for all pairs. A pair whose last pass
// began before that is swept anew at once, and not spread over the interval. It may be
// said again and again: a pass that began later is not begun anew. It does not wait.
func (m *Manager) SweepAgain(lost map[string]time.Time) {
	for _, s := range m.sweeps {
		at := lost[s.lane.pair]
		if all := lost[""]; all.After(at) {
			at = all
		}
		if now := time.Now(); at.After(now) {
			at = now // the clock was put back
		}
		if !at.IsZero() {
			s.lane.inbox.lose(at)
		}
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
		wg.Go(func() {
			l.run(ctx)
			wake(m.ended)
		})
	}
	wg.Go(func() { m.tellProgress(ctx) })
	wg.Go(func() { m.keepSaved(ctx) })
	err := m.dispatch(ctx)
	cancel(err)
	wg.Wait()
	return errors.Join(err, m.ledger.save())
}

// dispatch gives chunks to the master as it asks for them.
func (m *Manager) dispatch(ctx context.Context) error {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for ; ; m.config.Step() {
		c, ok := m.next(ctx, tick.C)
		switch {
		case ctx.Err() != nil:
			return nil
		case !ok:
			continue
		}
		m.credit.give(c.ID, c.Scan == chunk.Sweep)
		if err := m.config.Offer(ctx, c); err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return fmt.Errorf("offer chunk %s: %w", c, err)
		}
	}
}

// next waits for a chunk to give, that of a scan first; ok is false when something
// else came.
func (m *Manager) next(ctx context.Context, tick <-chan time.Time) (c chunk.Chunk, ok bool) {
	var offers, spare <-chan chunk.Chunk
	scan, sweep := m.credit.room()
	if scan {
		offers = m.offers
	}
	if sweep || scan && m.config.Once {
		spare = m.spare
	}
	select {
	case c = <-offers:
		return c, true
	default:
	}
	select {
	case <-ctx.Done():
	case <-m.asked:
	case c = <-offers:
		return c, true
	case c = <-spare:
		return c, true
	case <-tick:
	}
	return chunk.Chunk{}, false
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
		err := m.ledger.keep()
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
	// SweepWaits says what the sweeps wait for that do not get on, by pair.
	SweepWaits map[string]string `json:"sweepWaits,omitempty"`
}

// Status is safe to call at any time. Late spans are only counted in it: those of many pairs would not fit into an answer.
func (m *Manager) Status() Status {
	s := Status{State: m.ledger.snapshot()}
	for _, p := range m.config.Pairs { // and not of those that the state is kept of for when they come back
		s.LateSpans += len(s.State.Insert[p.Name].Late) + len(s.State.Update[p.Name].Late)
	}
	for pair, scan := range s.State.Insert {
		scan.Late = nil
		s.State.Insert[pair] = scan
	}
	for pair, scan := range s.State.Update {
		scan.Late = nil
		s.State.Update[pair] = scan
	}
	for _, sweep := range m.sweeps {
		if p := sweep.progress(); p.Waiting != "" {
			if s.SweepWaits == nil {
				s.SweepWaits = map[string]string{}
			}
			s.SweepWaits[p.Pair] = p.Waiting
		}
	}
	return s
}
