package manager_test

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"

	"github.com/masixun71/cupid/pkg/chunk"
	"github.com/masixun71/cupid/pkg/manager"
)

// store keeps a manager's state as a disk does: it outlives the manager.
type store struct {
	fail func() error // nil: nothing fails

	mu    sync.Mutex // guards all below
	state manager.State
	saves int
	dead  bool // the manager was killed: what it still writes is lost
}

func (s *store) Load() (manager.State, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	state := s.state
	// What was loaded is the manager's.
	state.Insert, state.Update, state.Sweep = maps.Clone(state.Insert), maps.Clone(state.Update), maps.Clone(state.Sweep)
	return state, nil
}

func (s *store) Save(state manager.State) error {
	if s.fail != nil {
		if err := s.fail(); err != nil {
			return err
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.dead {
		return nil
	}
	s.state = state
	s.saves++
	return nil
}

func (s *store) saved() manager.State {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.state
}

// cursor is the saved cursor of the insert scan of orders, "" for none.
func (s *store) cursor() string {
	if c := s.saved().Insert["orders"].Cursor; c != nil {
		return *c
	}
	return ""
}

type owner func(pair string) bool

func (o owner) Owns(pair string) bool { return o(pair) }

// sumStore keeps the sums of one pair as a disk does. What was written is no longer
// the manager's.
type sumStore struct {
	mu    sync.Mutex // guards all below
	state manager.SumState
	saves int
	fail  error
	dead  bool // nothing is written any more
}

func (s *sumStore) Load(string) (manager.SumState, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.state, s.fail
}

func (s *sumStore) Save(_ string, state manager.SumState) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.dead {
		return nil
	}
	if s.fail == nil {
		s.state, s.saves = state, s.saves+1
	}
	return s.fail
}

// world is a manager with its surroundings. It lives in a synctest bubble.
type world struct {
	t      *testing.T
	config manager.Config
	store  *store
	sums   *sumStore
	chunks chan chunk.Chunk // what was offered
	wanted int              // what was asked for and not offered
	m      *manager.Manager
	kill   context.CancelFunc
	ended  chan error

	mu     sync.Mutex // guards all below
	alerts []string
	steps  int
	told   [][]manager.SweepProgress
}

// inBubble runs f in a world of its own.
func inBubble(t *testing.T, f func(w *world)) {
	t.Helper()
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := &world{t: t, store: &store{}, sums: &sumStore{}, chunks: make(chan chunk.Chunk, 10_000)}
		w.config = manager.Config{
			Owner: owner(func(string) bool { return true }), Alerts: w, ChunkRows: 10, Log: zerolog.Nop(),
			Offer: func(_ context.Context, c chunk.Chunk) error {
				w.chunks <- c
				return nil
			},
			Step: func() {
				w.mu.Lock()
				defer w.mu.Unlock()
				w.steps++
			},
		}
		f(w)
		w.stop()
	})
}

// inserts adds a pair with an insert scan.
func (w *world) inserts(name string, s *source) {
	w.config.Pairs = append(w.config.Pairs, manager.Pair{
		Name: name, Source: s, Insert: true, InsertInterval: 2 * time.Second, InsertLate: 30 * time.Second,
	})
}

// updates adds orders with an update scan.
func (w *world) updates(s *source) {
	w.config.Pairs = append(w.config.Pairs, manager.Pair{
		Name: "orders", Source: s, Update: true, UpdateInterval: 2 * time.Second, UpdateScan: 5 * time.Second, InsertLate: 30 * time.Second,
	})
}

// sweeps adds a pair with a sweep that has no limits and is spread over an hour.
func (w *world) sweeps(name string, s *source) *manager.Pair {
	w.config.Pairs = append(w.config.Pairs, manager.Pair{Name: name, Source: s, Sweep: true, SweepInterval: time.Hour})
	return &w.config.Pairs[len(w.config.Pairs)-1]
}

// once makes the managers those of one run with -once.
func (w *world) once(run string) {
	w.config.Once, w.config.Run, w.config.Generation = true, run, 0
	w.config.Progress = func(_ context.Context, all []manager.SweepProgress) {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.told = append(w.told, all)
	}
}

// lastTold is the progress that was told last, and how often it was told.
func (w *world) lastTold() ([]manager.SweepProgress, int) {
	synctest.Wait()
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.told) == 0 {
		return nil, 0
	}
	return w.told[len(w.told)-1], len(w.told)
}

// Alert takes an alert.
func (w *world) Alert(kind, _ string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.alerts = append(w.alerts, kind)
}

func (w *world) alerted() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.alerts)
}

// start starts the next manager.
func (w *world) start() {
	w.t.Helper()
	w.config.Generation++
	w.config.Cursors, w.config.Sums = w.store, w.sums
	m, err := manager.New(w.config)
	if err != nil {
		w.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(w.t.Context())
	w.m, w.kill, w.ended, w.wanted = m, cancel, make(chan error, 1), 0
	go func() { w.ended <- m.Run(ctx) }()
}

// stop ends the manager in an orderly way.
func (w *world) stop() {
	w.t.Helper()
	if w.m == nil {
		return
	}
	w.kill()
	if err := <-w.ended; err != nil {
		w.t.Errorf("Run: %v", err)
	}
	w.m = nil
}

// crash kills the manager: what it has not written by now is lost, and so is what
// it has offered.
func (w *world) crash() {
	w.t.Helper()
	w.store.mu.Lock()
	state := w.store.state
	w.store.dead = true
	w.store.mu.Unlock()
	w.sums.mu.Lock()
	sums := w.sums.state
	w.sums.dead = true
	w.sums.mu.Unlock()
	w.stop()
	w.sums = &sumStore{state: sums}
	w.store = &store{state: state, fail: w.store.fail}
	for len(w.chunks) > 0 {
		<-w.chunks
	}
}

// take asks for a chunk and waits for it.
func (w *world) take() chunk.Chunk {
	w.t.Helper()
	c, ok := w.within(10 * time.Minute)
	if !ok {
		w.t.Fatal("no chunk came within 10 minutes")
	}
	return c
}

// within asks for a chunk and waits so long for it.
func (w *world) within(d time.Duration) (chunk.Chunk, bool) {
	if w.wanted == 0 {
		w.wanted++
		w.m.Demand(1)
	}
	select {
	case c := <-w.chunks:
		w.wanted--
		return c, true
	case <-time.After(d):
		return chunk.Chunk{}, false
	}
}

// done reports a chunk as compared.
func (w *world) done(c chunk.Chunk) { w.m.Done(chunk.Result{Chunk: c.ID, Pair: c.Pair}) }

// swept reports a chunk of a sweep as compared, with so much time for its queries,
// and returns the ids of its rows.
func (w *world) swept(s *source, c chunk.Chunk, took time.Duration) []int64 {
	ids := s.look(c)
	w.m.Done(chunk.Result{Chunk: c.ID, Pair: c.Pair, Rows: len(ids), Millisecond: int(took.Milliseconds())})
	return ids
}

// sweep sweeps for so long, and returns the chunks.
func (w *world) sweep(s *source, d time.Duration) []chunk.Chunk {
	w.t.Helper()
	var chunks []chunk.Chunk
	for end := time.Now().Add(d); time.Now().Before(end); {
		if c, ok := w.within(time.Until(end)); ok {
			chunks = append(chunks, c)
			w.swept(s, c, 0)
		}
	}
	return chunks
}

// ahead asks for more chunks than a sweep gets of one task worker before they are taken.
func (w *world) ahead() {
	w.m.Demand(16)
	w.wanted += 16
}

// broke reports a chunk as not compared.
func (w *world) broke(c chunk.Chunk) {
	w.m.Done(chunk.Result{Chunk: c.ID, Pair: c.Pair, Error: "no connection"})
	synctest.Wait() // before more is asked for
}

// work looks at all chunks of s that come within d, and returns the ids of their rows in order.
func (w *world) work(s *source, d time.Duration) []int64 {
	w.t.Helper()
	var ids []int64
	for end := time.Now().Add(d); time.Now().Before(end); {
		if c, ok := w.within(time.Until(end)); ok {
			ids = append(ids, s.look(c)...)
			w.done(c)
		}
	}
	return ids
}

// saved waits until the state is written and returns it.
func (w *world) saved() manager.State {
	w.t.Helper()
	pass(w.t, time.Second)
	synctest.Wait()
	return w.store.saved()
}

var errAway = errors.New("the server is away")

// numbers are the ids from first to last.
func numbers(first, last int64) []int64 {
	var ids []int64
	for id := first; id <= last; id++ {
		ids = append(ids, id)
	}
	return ids
}

// same compares what was looked at with what should have been.
func same(t *testing.T, got, want []int64) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("looked at %v, want %v", got, want)
	}
}

// inBubbleNamed is inBubble in a subtest.
func inBubbleNamed(t *testing.T, what string, once bool, f func(w *world)) {
	t.Helper()
	t.Run(what+"/"+strconv.FormatBool(once), func(t *testing.T) { inBubble(t, f) })
}
