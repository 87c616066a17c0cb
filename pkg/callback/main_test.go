package callback_test

import (
	"cmp"
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"
	"go.uber.org/goleak"

	"github.com/masixun71/cupid/pkg/callback"
	"github.com/masixun71/cupid/pkg/event"
	"github.com/masixun71/cupid/pkg/row"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var errPlanned = errors.New("planned")

// source is a row of the source table.
type source struct {
	id        int64
	key, name string
}

// world is a source and a destination table, and a pair that reads them.
type world struct {
	m *row.Mapping

	mu    sync.Mutex
	src   map[int64]source
	des   map[string]string // name by key
	reads int               // of whole source rows, one for each call
	rows  int               // in one such read at most
	bad   map[int64]bool    // source rows that cannot be read
	limit int               // of the bytes of payloads in one read, 0 for none
	taken int               // bytes of payloads that were read
	pad   []byte            // after every payload
	fail  func() error      // all reads fail; may be nil
	delay func(ctx context.Context)

	altered   int    // looks that are still to find that a table was altered meanwhile
	between   func() // happens between the two reads of the next look; may be nil
	untilThen int    // reads that are left until then
}

func newWorld(tb testing.TB) *world {
	tb.Helper()
	text := row.Column{Name: "number", DataType: "varchar", ColumnType: "varchar(255)", Charset: "utf8mb4"}
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
	return &world{m: &m, src: map[int64]source{}, des: map[string]string{}, bad: map[int64]bool{}}
}

func (w *world) do(f func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	f()
}

func (w *world) fullReads() (n int) {
	w.do(func() { n = w.reads })
	return n
}

func (w *world) set(id int64, key, name string) { w.do(func() { w.src[id] = source{id, key, name} }) }
func (w *world) copied(key, name string)        { w.do(func() { w.des[key] = name }) }
func (w *world) remove(id int64)                { w.do(func() { delete(w.src, id) }) }

// standStill has f happen between the two reads of the next look, whichever side is read first.
func (w *world) standStill(f func()) { w.do(func() { w.between, w.untilThen = f, 2 }) }

// look is the fingerprint of row id as it is now.
func (w *world) look(id int64) event.Look {
	src, err := w.ReadSource(context.Background(), []string{strconv.FormatInt(id, 10)})
	if err != nil {
		panic(err)
	}
	des, err := w.ReadDestination(context.Background(), event.Keys(src))
	if err != nil {
		panic(err)
	}
	l := event.Look{Source: src.Version(0)}
	if des.Len() > 0 {
		l.Destination = des.Version(0)
	}
	return l
}

func (w *world) begin(ctx context.Context) error {
	w.mu.Lock()
	delay, fail, frozen := w.delay, w.fail, func() {}
	if w.untilThen--; w.untilThen == 0 {
		frozen = w.between
	}
	w.mu.Unlock()
	frozen()
	if delay != nil {
		delay(ctx)
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if fail != nil {
		return fail()
	}
	return nil
}

func (w *world) ReadFull(ctx context.Context, ids []string) (*row.Batch, [][]byte, error) {
	if err := w.begin(ctx); err != nil {
		return nil, nil, err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.reads++
	w.rows = max(w.rows, len(ids))
	b := row.NewBatch(w.m, row.Source, len(ids))
	var payloads [][]byte
	bytes := 0
	for _, id := range slices.Compact(slices.Sorted(slices.Values(ids))) {
		n, err := strconv.ParseInt(id, 10, 64)
		if err != nil {
			return nil, nil, err
		}
		s, ok := w.src[n]
		if !ok {
			continue
		}
		if w.limit > 0 && bytes >= w.limit {
			return nil, nil, &row.TooLarge{Rows: len(payloads), Bytes: bytes}
		}
		if w.bad[n] {
			return nil, nil, fmt.Errorf("row %s has a bad value", id)
		}
		if err := b.Append(n, []driver.Value{[]byte(s.key)}, []driver.Value{[]byte(s.name)}); err != nil {
			return nil, nil, err
		}
		payloads = append(payloads, fmt.Appendf(nil, `{"id":%d,"number":%q,"name":%q}`, n, s.key, s.name))
		payloads[len(payloads)-1] = append(payloads[len(payloads)-1], w.pad...)
		bytes += len(payloads[len(payloads)-1])
	}
	w.taken += bytes
	return b, payloads, nil
}

func (w *world) ReadSource(ctx context.Context, ids []string) (*row.Batch, error) {
	b, _, err := w.ReadFull(ctx, ids)
	w.do(func() { w.reads-- })
	return b, err
}

func (w *world) ReadDestination(ctx context.Context, keys []row.Key) (*row.Batch, error) {
	if err := w.begin(ctx); err != nil {
		return nil, err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	b := row.NewBatch(w.m, row.Destination, len(keys))
	for _, k := range keys {
		if name, ok := w.des[k.String()]; ok {
			if err := b.Append(nil, []driver.Value{k.Parts()[0]}, []driver.Value{[]byte(name)}); err != nil {
				return nil, err
			}
		}
	}
	return b, nil
}

func (w *world) ReadSourceByKeys(ctx context.Context, keys []row.Key) (*row.Batch, error) {
	var ids []string
	w.do(func() {
		for _, s := range w.src {
			if slices.Contains(keys, row.NewKey([]byte(s.key))) {
				ids = append(ids, strconv.FormatInt(s.id, 10))
			}
		}
	})
	return w.ReadSource(ctx, ids)
}

func (w *world) ReadDestinationFull(ctx context.Context, keys []row.Key) (*row.Batch, [][]byte, error) {
	b, err := w.ReadDestination(ctx, keys)
	if err != nil {
		return nil, nil, err
	}
	payloads := make([][]byte, b.Len())
	for i := range payloads {
		name, _ := b.Cell(i, 0)
		payloads[i] = fmt.Appendf(nil, `{"number":%q,"name":%q}`, b.Key(i), name)
	}
	return b, payloads, nil
}

func (w *world) Ping(ctx context.Context) error { return w.begin(ctx) }

func (w *world) Unaltered(_ context.Context, of *row.Mapping) (same bool, err error) {
	w.do(func() {
		if same = w.altered == 0 && of == w.m; !same {
			w.altered--
		}
	})
	return same, nil
}

func (w *world) Columns() []string { return []string{"name"} }

// memory is a queue that lives as long as a test, across workers.
type memory struct {
	limit int
	fail  func(op string) error // asked before each operation; may be nil

	mu      sync.Mutex
	records map[[2]string]callback.Record
	version int64
	writes  int
	ops     int
}

func newMemory() *memory { return &memory{records: map[[2]string]callback.Record{}} }

func (q *memory) begin(ctx context.Context, op string) error {
	q.mu.Lock()
	q.ops++
	fail := q.fail
	q.mu.Unlock()
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if fail != nil {
		return fail(op)
	}
	return nil
}

func (q *memory) failing(f func(op string) error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.fail = f
}

func milli(t time.Time) time.Time { return t.Truncate(time.Millisecond) }

func (q *memory) Put(ctx context.Context, records []callback.Record) error {
	if err := q.begin(ctx, "put"); err != nil {
		return err
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	fresh := map[[2]string]bool{}
	for _, r := range records {
		if _, ok := q.records[[2]string{r.Pair, r.Key}]; !ok {
			fresh[[2]string{r.Pair, r.Key}] = true
		}
	}
	if q.limit > 0 && len(fresh) > 0 && len(q.records)+len(fresh) > q.limit {
		return fmt.Errorf("put: %w", callback.ErrFull)
	}
	q.writes++
	for _, r := range records {
		id := [2]string{r.Pair, r.Key}
		now, known := q.records[id]
		if !known {
			now = callback.Record{Pair: r.Pair, Key: r.Key, Due: milli(r.Due), FirstSeen: milli(time.Now())}
		}
		q.version++
		now.Version, now.Note = q.version, slices.Clone(r.Note)
		q.records[id] = now
	}
	return nil
}

func (q *memory) of(pair string) []callback.Record {
	q.mu.Lock()
	defer q.mu.Unlock()
	var list []callback.Record
	for _, r := range q.records {
		if r.Pair == pair {
			r.Note = slices.Clone(r.Note)
			list = append(list, r)
		}
	}
	slices.SortFunc(list, func(a, b callback.Record) int { return cmp.Or(a.Due.Compare(b.Due), cmp.Compare(a.Key, b.Key)) })
	return list
}

func (q *memory) Due(ctx context.Context, pair string, now time.Time, limit int, skip func(string) bool) ([]callback.Record, error) {
	if err := q.begin(ctx, "due"); err != nil {
		return nil, err
	}
	var due []callback.Record
	for _, r := range q.of(pair) {
		if r.Due.After(now) || len(due) == limit {
			break
		}
		if !skip(r.Key) {
			due = append(due, r)
		}
	}
	return due, nil
}

func (q *memory) Latest(ctx context.Context, pair string, now time.Time, limit int, skip func(string) bool) ([]callback.Record, error) {
	due, err := q.Due(ctx, pair, now, math.MaxInt, skip)
	slices.Reverse(due)
	return due[:min(limit, len(due))], err
}

func (q *memory) Beyond(ctx context.Context, pair string, after time.Time, limit int, skip func(string) bool) ([]callback.Record, error) {
	if err := q.begin(ctx, "beyond"); err != nil {
		return nil, err
	}
	beyond := slices.DeleteFunc(q.of(pair), func(r callback.Record) bool { return !r.Due.After(after) || skip(r.Key) })
	return beyond[:min(limit, len(beyond))], nil
}

func (q *memory) Get(ctx context.Context, pair, key string) (callback.Record, bool, error) {
	if err := q.begin(ctx, "get"); err != nil {
		return callback.Record{}, false, err
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	r, ok := q.records[[2]string{pair, key}]
	r.Note = slices.Clone(r.Note)
	return r, ok, nil
}

func (q *memory) GetAll(ctx context.Context, pair string, keys []string) ([]callback.Record, error) {
	if err := q.begin(ctx, "get"); err != nil {
		return nil, err
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	var all []callback.Record
	for _, key := range keys {
		if r, ok := q.records[[2]string{pair, key}]; ok {
			r.Note = slices.Clone(r.Note)
			all = append(all, r)
		}
	}
	return all, nil
}

func (q *memory) Apply(ctx context.Context, changes []callback.Change) ([]int, error) {
	if err := q.begin(ctx, "apply"); err != nil {
		return nil, err
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	q.writes++
	var stale []int
	for i, c := range changes {
		id := [2]string{c.Pair, c.Key}
		now, ok := q.records[id]
		switch {
		case !ok || now.Version != c.Version:
			stale = append(stale, i)
		case c.Remove:
			delete(q.records, id)
		default:
			q.version++
			now.Version, now.Due, now.Attempts, now.Note = q.version, milli(c.Due), c.Attempts, slices.Clone(c.Note)
			q.records[id] = now
		}
	}
	return stale, nil
}

func (q *memory) NextDue(ctx context.Context, pair string) (time.Time, bool, error) {
	if err := q.begin(ctx, "next"); err != nil {
		return time.Time{}, false, err
	}
	list := q.of(pair)
	if len(list) == 0 {
		return time.Time{}, false, nil
	}
	return list[0].Due, true, nil
}

func (q *memory) Len() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.records)
}

func (q *memory) Pairs() []string {
	q.mu.Lock()
	defer q.mu.Unlock()
	pairs := map[string]bool{}
	for id := range q.records {
		pairs[id[0]] = true
	}
	return slices.Sorted(maps.Keys(pairs))
}

// drop removes all records of a pair.
func (q *memory) drop(pair string) {
	q.mu.Lock()
	defer q.mu.Unlock()
	maps.DeleteFunc(q.records, func(id [2]string, _ callback.Record) bool { return id[0] == pair })
}

func (q *memory) Depth(pair string) int {
	q.mu.Lock()
	defer q.mu.Unlock()
	n := 0
	for id := range q.records {
		if id[0] == pair {
			n++
		}
	}
	return n
}

// receiver is what posts go to.
type receiver struct {
	answer func(ctx context.Context, p callback.Post) callback.Outcome

	mu     sync.Mutex
	posts  []callback.Post
	at     []time.Time
	flying int
	most   int // in flight at once
}

var (
	accepted = callback.Outcome{Accepted: true}
	failed   = callback.Outcome{Err: errors.New("connection refused")}
	refused  = callback.Outcome{Err: errors.New("answered 422"), OfRow: true}
)

func (r *receiver) Post(ctx context.Context, p callback.Post) callback.Outcome {
	r.mu.Lock()
	r.posts = append(r.posts, p)
	r.at = append(r.at, time.Now())
	r.flying++
	r.most = max(r.most, r.flying)
	answer := r.answer
	r.mu.Unlock()
	defer func() {
		r.mu.Lock()
		r.flying--
		r.mu.Unlock()
	}()
	return answer(ctx, p)
}

func (r *receiver) answering(f func(ctx context.Context, p callback.Post) callback.Outcome) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.answer = f
}

func (r *receiver) got() []callback.Post {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.posts)
}

// atOnce is how many posts were in flight at once since it was asked last.
func (r *receiver) atOnce() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := r.most
	r.most = 0
	return n
}

func always(o callback.Outcome) func(context.Context, callback.Post) callback.Outcome {
	return func(context.Context, callback.Post) callback.Outcome { return o }
}

// slowly answers after a while, unless the post is given up.
func slowly(d time.Duration, o callback.Outcome) func(context.Context, callback.Post) callback.Outcome {
	return func(ctx context.Context, _ callback.Post) callback.Outcome {
		select {
		case <-time.After(d):
			return o
		case <-ctx.Done():
			return callback.Outcome{Err: context.Cause(ctx)}
		}
	}
}

// operator hears the alerts.
type operator struct {
	mu     sync.Mutex
	alerts map[string]int // by kind
	last   map[string]string
}

func (o *operator) Alert(kind, text string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.alerts[kind]++
	o.last[kind] = text
}

// latest is the text of the latest alert of a kind.
func (o *operator) latest(kind string) string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.last[kind]
}

func (o *operator) heard(kind string) int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.alerts[kind]
}

const (
	settle   = time.Second
	grace    = 5 * time.Second
	retryCap = 5 * time.Minute
)

// rig is a worker for the pair "p", in a bubble; options adds others.
type rig struct {
	*world
	*receiver
	*operator
	*callback.Worker
	t        *testing.T
	queue    *memory
	config   callback.Config
	draining chan struct{}
	cancel   context.CancelFunc
	end      chan error
}

func newRig(t *testing.T, options func(*rig)) *rig {
	t.Helper()
	r := &rig{world: newWorld(t), receiver: &receiver{answer: always(accepted)}, operator: &operator{alerts: map[string]int{}, last: map[string]string{}}, t: t, queue: newMemory()}
	r.config = callback.Config{
		Destinations: map[string]callback.Destination{}, Queue: r.queue, Alerts: r.operator, Settle: settle, Idle: time.Second,
		FailedAttempts: 10, Step: func() {}, Log: zerolog.New(io.Discard),
	}
	r.config.Destinations["p"] = r.destination(r.world, r.receiver, callback.NewGate(8))
	if options != nil {
		options(r)
	}
	r.start()
	return r
}

func (r *rig) destination(w *world, to callback.Sender, g *callback.Gate) callback.Destination {
	return callback.Destination{Pair: w, Sender: to, Gate: g, URL: "http://receiver", Concurrency: 8, Grace: grace, RetryCap: retryCap}
}

// start runs a new worker on the same queue.
func (r *rig) start() {
	r.draining = make(chan struct{})
	r.config.Draining = r.draining
	ctx, cancel := context.WithCancel(r.t.Context())
	w, end := callback.New(r.config), make(chan error, 1)
	r.Worker, r.cancel, r.end = w, cancel, end
	go func() { end <- w.Run(ctx) }()
	r.t.Cleanup(cancel)
}

func (r *rig) stop() {
	r.t.Helper()
	r.cancel()
	if err := <-r.end; err != nil {
		r.t.Errorf("Run: %v", err)
	}
}

// diverged is an event of row id of a pair, which the world has.
func diverged(pair string, id int64, key string) event.Event {
	return event.Event{
		Pair: pair, Key: row.NewKey([]byte(key)), Kind: event.Missing, SourceID: strconv.FormatInt(id, 10), FirstSeen: time.Now(),
	}
}

// submit hands events in; the result is closed once they are acknowledged.
func (r *rig) submit(events ...event.Event) <-chan struct{} {
	done := make(chan struct{})
	r.Submit(events, func() { close(done) })
	return done
}

// missing makes rows 1 to n of pair p missing, with keys k1 to kn, and submits them.
func (r *rig) missing(n int64) {
	events := make([]event.Event, 0, n)
	for id := int64(1); id <= n; id++ {
		key := fmt.Sprint("k", id)
		r.set(id, key, "x")
		events = append(events, diverged("p", id, key))
	}
	r.submit(events...)
}

func (r *rig) counts() callback.Counts { return r.Status()["p"].Counts }

// wantPosts checks how many posts there were.
func (r *rig) wantPosts(n int) {
	r.t.Helper()
	if got := len(r.got()); got != n {
		r.t.Errorf("%d posts, want %d", got, n)
	}
}

func (r *rig) wantDepth(n int) {
	r.t.Helper()
	if got := r.queue.Depth("p"); got != n {
		r.t.Errorf("%d events in the queue, want %d", got, n)
	}
}

func (r *rig) wantAlerts(kind string, n int) {
	r.t.Helper()
	if got := r.heard(kind); got != n {
		r.t.Errorf("%d alerts %q, want %d", got, kind, n)
	}
}

// repair copies the posted row and accepts.
func (r *rig) repair(_ context.Context, p callback.Post) callback.Outcome {
	copyRow(r.world, p)
	return accepted
}

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// after lets time pass, and everything happen that happens until then.
func after(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}
