package task_test

import (
	"bytes"
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"
	"go.uber.org/goleak"

	"github.com/masixun71/cupid/pkg/chunk"
	"github.com/masixun71/cupid/pkg/event"
	"github.com/masixun71/cupid/pkg/row"
	"github.com/masixun71/cupid/pkg/task"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const settle = time.Second

// source is a row of the source table; a nil key is NULL.
type source struct {
	id   int64
	key  any
	name string
}

// noID is from which id on rows have none: theirs is NULL. sharedID is from which on two
// rows share one.
const noID, sharedID = 1 << 40, 1 << 30

// idOf is the value of the id column of a row.
func (s source) idOf() driver.Value {
	switch {
	case s.id >= noID:
		return nil
	case s.id >= sharedID:
		return s.id &^ 1
	}
	return s.id
}

// world is a source and a destination table, and how they are read.
type world struct {
	mu  sync.Mutex
	src map[int64]source
	des map[string][]string // names by key

	beforeRange, beforeSource, beforeDestination func(ctx context.Context) error // may be nil; the lock is not held
	between                                      func()                          // happens between the two reads of the next look; may be nil
	untilThen                                    int                             // that are left until then
	reading, mostReading                         int
	altered                                      *row.Mapping    // by which rows are compared since an ALTER; nil before
	noSums, blind                                bool            // the pair has no checksums, sees no orphans
	summed, grouped                              int             // how often checksums were asked for
	reads                                        []int           // rows of both sides that were read together
	cutOff                                       map[string]bool // keys whose rows are not in the chunk, on either side
}

func newWorld() *world { return &world{src: map[int64]source{}, des: map[string][]string{}} }

func (w *world) set(s source) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.src[s.id] = s
}

func (w *world) remove(id int64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.src, id)
}

func (w *world) copied(key string, names ...string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.des[key] = names
}

// standStill has f happen between the two reads of the next look, whichever side is read first.
func (w *world) standStill(f func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.between, w.untilThen = f, 2
}

// both puts a row into both tables.
func (w *world) both(id int64, key, name string) {
	w.set(source{id, key, name})
	w.copied(key, name)
}

func mapping(tb testing.TB) *row.Mapping {
	tb.Helper()
	text := row.Column{Name: "number", DataType: "varchar", ColumnType: "varchar(3072)", Charset: "utf8mb4"}
	name := text
	name.Name = "name"
	key, err := row.NewRule(text, text)
	if err != nil {
		tb.Fatal(err)
	}
	cell, err := row.NewRule(name, name)
	if err != nil {
		tb.Fatal(err)
	}
	m := row.NewMapping([]row.Rule{key}, []row.Rule{cell})
	return &m
}

// pair reads a world.
type pair struct {
	*world
	m *row.Mapping
}

func (p pair) enter(ctx context.Context, before func(context.Context) error) error {
	p.mu.Lock()
	p.reading++
	p.mostReading = max(p.mostReading, p.reading)
	frozen := func() {}
	if p.untilThen--; p.untilThen == 0 {
		frozen = p.between
	}
	p.mu.Unlock()
	frozen()
	defer func() {
		p.mu.Lock()
		p.reading--
		p.mu.Unlock()
	}()
	if before == nil {
		return ctx.Err()
	}
	return before(ctx)
}

func (p pair) ReadRange(ctx context.Context, c chunk.Chunk) (*row.Batch, error) {
	if err := p.enter(ctx, p.beforeRange); err != nil {
		return nil, err
	}
	to, err := strconv.ParseInt(c.UpTo.ID, 10, 64)
	if err != nil {
		return nil, err
	}
	from := int64(0)
	if c.After != nil {
		if from, err = strconv.ParseInt(c.After.ID, 10, 64); err != nil {
			return nil, err
		}
	}
	return p.batch(func(id int64) bool { return id > from && id <= to })
}

func (p pair) ReadSource(ctx context.Context, ids []string) (*row.Batch, error) {
	if err := p.enter(ctx, p.beforeSource); err != nil {
		return nil, err
	}
	if slices.Contains(ids, "") {
		return nil, errors.New("no value of the id column")
	}
	return p.batch(func(id int64) bool { return slices.Contains(ids, fmt.Sprint(source{id: id}.idOf())) })
}

func (p pair) batch(want func(int64) bool) (*row.Batch, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	b := row.NewBatch(p.mapping(), row.Source, len(p.src))
	for _, s := range p.src {
		if !want(s.id) {
			continue
		}
		if err := p.appendSource(b, s); err != nil {
			return nil, err
		}
	}
	return b, nil
}

func (p pair) appendSource(b *row.Batch, s source) error {
	var key driver.Value
	if text, ok := s.key.(string); ok {
		key = []byte(text)
	}
	return b.Append(s.idOf(), []driver.Value{key}, []driver.Value{[]byte(s.name)})
}

func (p pair) ReadDestination(ctx context.Context, keys []row.Key) (*row.Batch, error) {
	if err := p.enter(ctx, p.beforeDestination); err != nil {
		return nil, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	b := row.NewBatch(p.mapping(), row.Destination, len(keys))
	for _, k := range keys {
		key := k.Parts()[0]
		for _, name := range p.des[string(key)] {
			if err := b.Append(nil, []driver.Value{key}, []driver.Value{[]byte(name)}); err != nil {
				return nil, err
			}
		}
	}
	return b, nil
}

// mapping is how rows are compared now. The lock is held.
func (p pair) mapping() *row.Mapping {
	if p.altered != nil {
		return p.altered
	}
	return p.m
}

func (p pair) Unaltered(_ context.Context, of *row.Mapping) (bool, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return of == p.mapping(), nil
}

func (p pair) Columns() []string { return []string{"name"} }

func (p pair) LogValue(b *row.Batch, i, column int) string {
	cell, _ := b.Cell(i, column)
	return "<" + string(cell) + ">"
}

// master is the other side of a worker.
type master struct {
	mu      sync.Mutex
	wanted  int
	results []chunk.Result
	events  []event.Event
	sizes   []int // of the messages
	submit  func(ctx context.Context, events []event.Event) error
	saved   [][]chunk.Chunk
}

func (m *master) Want(_ context.Context, n int) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.wanted += n
	return nil
}

func (m *master) Done(_ context.Context, r chunk.Result) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.results = append(m.results, r)
	return nil
}

func (m *master) Submit(ctx context.Context, events []event.Event) error {
	if m.submit != nil {
		if err := m.submit(ctx, events); err != nil {
			return err
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.events = append(m.events, events...)
	m.sizes = append(m.sizes, len(events))
	return nil
}

func (m *master) Save(chunks []chunk.Chunk) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.saved = append(m.saved, chunks)
}

// rig is a worker that runs, in a bubble.
type rig struct {
	*task.Worker
	*world
	*master
	t    *testing.T
	log  *bytes.Buffer
	stop func()
	end  chan error
	last int
}

// start runs a worker on pairs "p" (and others, which read the same world).
func start(t *testing.T, options func(*task.Config, *master)) *rig {
	t.Helper()
	w := newWorld()
	m := &master{}
	log := &bytes.Buffer{}
	c := task.Config{
		Pairs: map[string]task.Pair{"p": pair{w, mapping(t)}}, Work: m, Hand: m, Settle: settle, Step: func() {},
		Draining: make(chan struct{}), LogValues: true, Log: zerolog.New(zerolog.SyncWriter(log)),
	}
	if options != nil {
		options(&c, m)
	}
	ctx, cancel := context.WithCancel(t.Context())
	r := &rig{Worker: task.New(c), world: w, master: m, t: t, log: log, stop: cancel, end: make(chan error, 1)}
	go func() { r.end <- r.Run(ctx) }()
	t.Cleanup(cancel)
	return r
}

// ended stops the worker, which is no error.
func (r *rig) ended() {
	r.t.Helper()
	r.stop()
	if err := <-r.end; err != nil {
		r.t.Errorf("Run: %v", err)
	}
}

// give hands a chunk of pair p over ids up to upTo.
func (r *rig) give(upTo int64) { r.giveOf("p", upTo) }

func (r *rig) giveOf(pair string, upTo int64) {
	r.last++
	r.Take(chunk.Chunk{
		ID: fmt.Sprint(r.last), Pair: pair, Scan: chunk.Insert, UpTo: chunk.Position{ID: strconv.FormatInt(upTo, 10)},
	})
}

// after lets time pass, and everything happen that happens until then.
func after(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}

func (r *rig) got() ([]chunk.Result, []event.Event) {
	r.master.mu.Lock()
	defer r.master.mu.Unlock()
	return slices.Clone(r.results), slices.Clone(r.events)
}

// want checks how many chunks are done and the keys of the events so far.
func (r *rig) want(done int, keys ...string) {
	r.t.Helper()
	results, events := r.got()
	if len(results) != done {
		r.t.Errorf("%d chunks are done, want %d: %+v", len(results), done, results)
	}
	var got []string
	for _, e := range events {
		got = append(got, e.Key.String())
	}
	slices.Sort(got)
	if !slices.Equal(got, keys) {
		r.t.Errorf("events of %v, want %v", got, keys)
	}
}

var errPlanned = errors.New("planned")
