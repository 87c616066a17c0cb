package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io/fs"
	"runtime/debug"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"github.com/masixun71/cupid/ipc"
	"github.com/masixun71/cupid/pkg/boot"
	"github.com/masixun71/cupid/pkg/cache"
	"github.com/masixun71/cupid/pkg/callback"
	"github.com/masixun71/cupid/pkg/config"
	"github.com/masixun71/cupid/pkg/event"
	"github.com/masixun71/cupid/pkg/failpoint"
	"github.com/masixun71/cupid/pkg/notify"
	"github.com/masixun71/cupid/pkg/queue"
	"github.com/masixun71/cupid/pkg/router"
	"github.com/masixun71/cupid/pkg/table"
	"github.com/masixun71/cupid/pkg/webhook"
)

// callbackConns is how many connections the callback worker opens to each side of
// a pair: its lane reads one batch at a time.
const callbackConns = 1

// callback builds the callback worker.
func (w *worker) callback(ctx context.Context) (func(context.Context) error, func() error, error) {
	debug.SetGCPercent(batchGCPercent)
	collector, err := w.collector()
	if err != nil {
		return nil, nil, err
	}
	tell := collected{collector, w.log}
	lost := w.losses(tell.Alert)
	q, err := queue.Open(ctx, boot.QueueFile(w.orders.StateDir), lost.options())
	if err != nil {
		return nil, nil, err
	}
	posts := clients{conns: maxConns(w.config), by: map[string]*webhook.Client{}}
	open := closers{q.Close, posts.close}
	destinations, pairs := w.destinations(posts)
	c := callback.New(callback.Config{
		Destinations: destinations, Queue: durable{q}, Limit: w.config.QueueLimit, Alerts: tell, Settle: w.config.Settle(),
		Memory: memoFile{cache.New[callback.Memo](boot.CallbackFile(w.orders.StateDir))},
		Idle:   w.config.CallbackWorkerInterval(), FailedAttempts: w.config.Notify.FailedAttempt, Hold: w.orders.DryRun,
		Step: w.step, Draining: w.session.Draining(), Log: w.log,
	})
	w.session.Status = func() any { return c.Status() }
	w.session.Handle(ipc.TypeEvents, func(env ipc.Envelope) { w.submit(ctx, c, env) })
	handle(w, ipc.TypeForget, c.Forget)
	handle(w, ipc.TypeAlert, func(a router.Alert) { tell.Alert(a.Kind, a.Text) })
	return withCollector(lost.beside(c.Run, q), collector), append(open, pairs...).close, nil
}

// submit hands events to the worker, and their acknowledgment back.
func (w *worker) submit(ctx context.Context, c *callback.Worker, env ipc.Envelope) {
	var events []event.Event
	if err := ipc.Decode(env.Body, &events); err != nil {
		w.log.Error().Err(err).Msg("events could not be read")
		return
	}
	c.Submit(events, func() {
		failpoint.Reach("stored") // on disk, and not acknowledged
		if err := w.session.Tell(ctx, ipc.TypeEventsAck, env.ID, nil); err != nil && ctx.Err() == nil {
			w.log.Error().Err(err).Msg("events could not be acknowledged")
		}
	})
}

// destinations are the pairs to deliver to; those with one URL share its gate.
func (w *worker) destinations(posts clients) (map[string]callback.Destination, closers) {
	gates, servers := map[string]*callback.Gate{}, &table.Servers{}
	all := map[string]callback.Destination{}
	var open closers
	for _, p := range w.config.Pairs() {
		n := p.Destination.CallbackNotification
		if gates[n.URL] == nil {
			gates[n.URL] = callback.NewGate(n.Concurrency)
		}
		a := newPair(w.config, p, callbackConns, servers, w.log)
		open = append(open, a.Close)
		deletes := 0
		if p.Source.Delete {
			deletes = p.Source.DeletePerHour
		}
		all[p.Name] = callback.Destination{
			Pair: a, Sender: poster{posts.of(n.CAFile), n}, Gate: gates[n.URL], GateID: gateID(n.URL), URL: n.URLForLog(), Concurrency: n.Concurrency,
			Grace: n.RepairGrace(), Timeout: n.Timeout(), RetryCap: n.RetryMax(), DeletePerHour: deletes,
			StormPerMinute: n.StormRowPerMinute, StormPerSecond: n.StormCallbackPerSecond,
		}
	}
	return all, open
}

// gateID names a URL in a file: the URL itself may hold a token.
func gateID(url string) string {
	sum := sha256.Sum256([]byte(url))
	return hex.EncodeToString(sum[:12])
}

// memoFile keeps what the callback worker must not forget in its cache file.
type memoFile struct{ *cache.File[callback.Memo] }

// Load reads it. Of a damaged file the value before the last save is used, if there
// is one; everything in it is found out anew else.
func (m memoFile) Load() (callback.Memo, error) {
	memo, err := m.File.Load()
	if errors.Is(err, fs.ErrNotExist) {
		return memo, nil
	}
	return memo, err
}

// clients are what posts, one for all receivers that the same certificates vouch for.
type clients struct {
	conns int
	by    map[string]*webhook.Client
}

func (c clients) of(ca string) *webhook.Client {
	if c.by[ca] == nil {
		c.by[ca] = webhook.New(webhook.Options{MaxConns: c.conns, Version: ipc.Build, CA: ca})
	}
	return c.by[ca]
}

func (c clients) close() error {
	for _, client := range c.by {
		client.Close()
	}
	return nil
}

// maxConns is the most posts that may be in flight to one host.
func maxConns(c *config.Config) int {
	n := 0
	for _, p := range c.Pairs() {
		n += p.Destination.CallbackNotification.Concurrency
	}
	return n
}

// collector is what tells the operators.
func (w *worker) collector() (*notify.Collector, error) {
	var senders []notify.Sender
	var faults error
	for _, u := range w.config.Notify.URLs {
		s, err := notify.New(u)
		faults = errors.Join(faults, err)
		senders = append(senders, s)
	}
	if !w.config.PushbearSendKey.IsZero() {
		senders = append(senders, notify.NewPushBear(w.config.PushbearURL, w.config.PushbearSendKey))
	}
	return notify.NewCollector(senders, notify.CollectorOptions{Every: w.config.Notify.Collect(), Log: w.log}), faults
}

// withCollector runs a collector beside an actor, and ends it after the actor.
func withCollector(run func(context.Context) error, c *notify.Collector) func(context.Context) error {
	return func(ctx context.Context) error {
		collecting, stop := context.WithCancel(ctx)
		var wg sync.WaitGroup
		wg.Go(func() { _ = c.Run(collecting) })
		err := run(ctx)
		stop()
		wg.Wait()
		return err
	}
}

// collected logs alerts and sends them to the operators.
type collected struct {
	to  *notify.Collector
	log zerolog.Logger
}

// Alert notes an alert.
func (c collected) Alert(kind, text string) {
	c.log.Warn().Str("kind", kind).Str("text", text).Msg("alert")
	c.to.Add(kind, text)
}

// poster posts to one URL.
type poster struct {
	client *webhook.Client
	to     config.CallbackNotification
}

// Post makes one attempt.
func (p poster) Post(ctx context.Context, a callback.Post) callback.Outcome {
	failpoint.Reach("posting")
	o := p.client.Post(ctx, webhook.Request{
		URL: p.to.URL, Body: a.Body, ID: a.ID, Attempt: a.Attempt, Pair: a.Pair, Columns: a.Columns,
		Headers: p.to.Headers, Secrets: p.to.Secret, Timeout: p.to.Timeout(),
	})
	failpoint.Reach("posted") // and the queue does not know
	return callback.Outcome{
		Accepted: o.Accepted, Err: o.Err, OfRow: o.OfRow, RetryAfter: o.RetryAfter, Parked: o.Parked, Elapsed: o.Elapsed, Unanswered: o.Unanswered,
	}
}

// durable is the queue in the words of pkg/callback.
type durable struct{ *queue.Queue }

// Put stores records.
func (d durable) Put(ctx context.Context, records []callback.Record) error {
	puts := make([]queue.Put, len(records))
	for i, r := range records {
		puts[i] = queue.Put{Group: r.Pair, Key: r.Key, Payload: r.Note, Due: r.Due}
	}
	err := d.Queue.Put(ctx, puts)
	if errors.Is(err, queue.ErrFull) {
		return errors.Join(callback.ErrFull, err)
	}
	return err
}

// Pairs are the pairs that have a record.
func (d durable) Pairs() []string { return d.Groups() }

// Due returns what is due.
func (d durable) Due(ctx context.Context, pair string, now time.Time, limit int, skip func(string) bool) ([]callback.Record, error) {
	rows, err := d.Queue.Due(ctx, pair, now, limit, skip)
	return recordsOf(rows), err
}

// Latest is Due with the latest first.
func (d durable) Latest(ctx context.Context, pair string, now time.Time, limit int, skip func(string) bool) ([]callback.Record, error) {
	rows, err := d.Queue.Latest(ctx, pair, now, limit, skip)
	return recordsOf(rows), err
}

// Beyond returns what is due after a time.
func (d durable) Beyond(ctx context.Context, pair string, after time.Time, limit int, skip func(string) bool) ([]callback.Record, error) {
	rows, err := d.Queue.Beyond(ctx, pair, after, limit, skip)
	return recordsOf(rows), err
}

func recordsOf(rows []queue.Record) []callback.Record {
	records := make([]callback.Record, len(rows))
	for i, r := range rows {
		records[i] = record(r)
	}
	return records
}

// Get returns one record.
func (d durable) Get(ctx context.Context, pair, key string) (callback.Record, bool, error) {
	r, ok, err := d.Queue.Get(ctx, pair, key)
	return record(r), ok, err
}

// GetAll returns the records that there are of some keys.
func (d durable) GetAll(ctx context.Context, pair string, keys []string) ([]callback.Record, error) {
	rows, err := d.Queue.GetAll(ctx, pair, keys)
	return recordsOf(rows), err
}

// Apply makes changes.
func (d durable) Apply(ctx context.Context, changes []callback.Change) ([]int, error) {
	all := make([]queue.Change, len(changes))
	for i, c := range changes {
		all[i] = queue.Change{
			Group: c.Pair, Key: c.Key, Version: c.Version, Remove: c.Remove, Due: c.Due, Attempts: c.Attempts, Payload: c.Note,
		}
	}
	failpoint.Reach("applying")
	applied, err := d.Queue.Apply(ctx, all)
	failpoint.Reach("applied")
	if err != nil || applied == len(all) {
		return nil, err
	}
	return d.notMade(ctx, all)
}

// notMade finds the changes that a newer record kept from being made.
func (d durable) notMade(ctx context.Context, changes []queue.Change) ([]int, error) {
	var stale []int
	for i, c := range changes {
		r, known, err := d.Queue.Get(ctx, c.Group, c.Key)
		if err != nil {
			return nil, err
		}
		made := !known || !c.Remove && r.Due.Equal(c.Due.Truncate(time.Millisecond)) && r.Attempts == c.Attempts
		if !made {
			stale = append(stale, i)
		}
	}
	return stale, nil
}

func record(r queue.Record) callback.Record {
	return callback.Record{
		Pair: r.Group, Key: r.Key, Note: r.Payload, Due: r.Due, Attempts: r.Attempts, Version: r.Version, FirstSeen: r.FirstSeen,
	}
}
