package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/rs/zerolog"

	"github.com/masixun71/cupid/ipc"
	"github.com/masixun71/cupid/pkg/boot"
	"github.com/masixun71/cupid/pkg/cache"
	"github.com/masixun71/cupid/pkg/chunk"
	"github.com/masixun71/cupid/pkg/config"
	"github.com/masixun71/cupid/pkg/failpoint"
	"github.com/masixun71/cupid/pkg/manager"
	"github.com/masixun71/cupid/pkg/router"
	"github.com/masixun71/cupid/pkg/table"
)

const (
	// managerConns is how many connections the manager opens to the source of a pair:
	// one for the insert and one for the update scan.
	managerConns = 2
	// sweepConns is how many it opens to each side beside them: one for the sweep, and
	// one for probes.
	sweepConns = 2
	// progressTime is how long the master may take to accept the progress of a sweep.
	progressTime = 2 * time.Second
	// progressPairs is how many pairs there are in one message at most.
	progressPairs = 500
)

// manager builds the manager worker.
func (w *worker) manager() (func(context.Context) error, func() error, error) {
	start, err := w.startID()
	if err != nil {
		return nil, nil, err
	}
	tell := alerts{w.session}
	if w.tables == nil {
		w.tables = &tables{}
	}
	owned := configured{}
	var pairs []manager.Pair
	var open closers
	for _, p := range w.config.Pairs() {
		owned[p.Name] = true
		both := w.tables.pair(w.config, p)
		options := sourceOptions(w.config, p, managerConns, &w.tables.servers)
		options.Altered = altered(w.log)
		src := scanned{table.NewSource(options), both, both.Gauge()}
		open = append(open, src.Close)
		pairs = append(pairs, managed(p, src))
	}
	kept := sums{w.orders.StateDir, w.log}
	kept.forget(owned)
	m, err := manager.New(manager.Config{
		Pairs: pairs, Cursors: cursors{cache.New[manager.State](boot.ManagerFile(w.orders.StateDir)), w.log, tell}, Owner: owned, Alerts: tell,
		Sums: kept,
		Offer: func(ctx context.Context, c chunk.Chunk) error {
			failpoint.Reach("offering") // cut, and known to nobody else
			return w.session.Tell(ctx, ipc.TypeChunk, 0, c)
		},
		Step:       w.step,
		Generation: w.welcome.Generation, StartID: start, ChunkRows: w.config.ChunkRow, Log: w.log,
		Once: w.orders.Once, Resume: w.orders.Resume, Run: w.orders.Run, Progress: w.tellProgress,
	})
	if err != nil {
		return nil, nil, errors.Join(err, open.close())
	}
	w.session.Status = func() any { return m.Status() }
	w.handleManager(m)
	return w.untilDrained(m.Run), append(open, w.tables.close).close, nil
}

// managed is a pair of the configuration in the words of pkg/manager.
func managed(p config.Pair, src manager.Source) manager.Pair {
	s := p.Source
	return manager.Pair{
		Name: p.Name, Source: src, Fingerprint: p.Fingerprint(),
		Insert: s.Insert, InsertInterval: s.InsertInterval(), InsertLate: s.InsertLate(),
		Update: s.Update, UpdateInterval: s.UpdateInterval(), UpdateScan: s.UpdateScan(),
		Sweep: s.Sweep, SweepInterval: s.SweepInterval(), SweepRowPerSecond: s.SweepRowPerSecond,
		SweepThreadsRunning: s.SweepThreadsRunning, SweepLag: s.SweepLag(),
	}
}

// tellProgress tells the master how far a run with -once is.
func (w *worker) tellProgress(ctx context.Context, all []manager.SweepProgress) {
	ctx, cancel := context.WithTimeout(ctx, progressTime)
	defer cancel()
	for some := range slices.Chunk(all, progressPairs) {
		if err := w.session.Tell(ctx, ipc.TypeSweepProgress, 0, some); err != nil {
			w.log.Warn().Err(err).Msg("progress was not told")
			return
		}
	}
}

// handleManager takes what the master tells a manager.
func (w *worker) handleManager(m *manager.Manager) {
	handle(w, ipc.TypeDemand, m.Demand)
	handle(w, ipc.TypeDone, func(r chunk.Result) {
		failpoint.Reach("done") // and the cursor has not moved
		m.Done(r)
	})
	handle(w, ipc.TypeChunkFailed, m.Crashed)
	handle(w, ipc.TypeSweepAgain, m.SweepAgain)
	handle(w, ipc.TypeRetry, m.Retry)
	handle(w, router.TypeMemory, func(all []router.Memory) {
		for _, one := range all {
			w.log.Info().Str("of", one.Role).Int("ofSlot", one.Slot).Float64("megabytes", float64(one.Bytes)/(1<<20)).Msg("memory")
		}
	})
}

// handle decodes a message for its receiver.
func handle[T any](w *worker, typ string, take func(T)) {
	w.session.Handle(typ, func(env ipc.Envelope) {
		var body T
		if err := ipc.Decode(env.Body, &body); err != nil {
			w.log.Error().Err(err).Str("type", typ).Msg("message could not be read")
			return
		}
		take(body)
	})
}

// untilDrained runs an actor that has nothing to finish until draining begins.
func (w *worker) untilDrained(run func(context.Context) error) func(context.Context) error {
	return func(ctx context.Context) error {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		ended := make(chan struct{})
		watched := make(chan struct{})
		go func() {
			defer close(watched)
			select {
			case <-w.session.Draining():
				cancel()
			case <-ended:
			}
		}()
		err := run(ctx)
		close(ended)
		<-watched
		return err
	}
}

// scanned is the source of one pair, and both of its sides for sweeps and probes.
type scanned struct {
	*table.Source
	both *table.Pair
	load *table.Gauge
}

// Clock reads the source's clock.
func (s scanned) Clock(ctx context.Context) (manager.Clock, error) {
	c, err := s.Source.Clock(ctx)
	if err != nil {
		return manager.Clock{}, err
	}
	return manager.Clock{Now: c.Now, Listed: c.Listed, Oldest: c.Oldest, Visible: c.Visible, Applied: c.Applied}, nil
}

// Ping asks both sides.
func (s scanned) Ping(ctx context.Context) error { return definite(s.both.Ping(ctx)) }

// Sweep decides how the pair is swept.
func (s scanned) Sweep(ctx context.Context) (manager.SweepPlan, error) {
	plan, err := s.both.Sweep(ctx)
	return manager.SweepPlan{Mode: plan.Mode.String(), How: plan.Why, Key: plan.Key, Choice: plan.Choice, Sums: plan.Sums, Divisible: plan.Divisible, Inserts: plan.Inserts}, definite(err)
}

// CutBuckets bounds a chunk of a sweep by buckets.
func (s scanned) CutBuckets(ctx context.Context, after, upTo *string, limit int) (string, int, error) {
	last, rows, err := s.both.CutBuckets(ctx, after, upTo, limit)
	return last, rows, definite(err)
}

// IDBetween is the id of a source row between two bounds of a sweep by buckets.
func (s scanned) IDBetween(ctx context.Context, after *string, upTo string) (string, error) {
	id, err := s.both.IDBetween(ctx, after, upTo)
	return id, definite(err)
}

// CutKeys bounds a chunk of a sweep by key.
func (s scanned) CutKeys(ctx context.Context, after, upTo *string, limit int) (chunk.Cut, error) {
	c, err := s.both.CutKeys(ctx, after, upTo, limit)
	return c, definite(err)
}

// StepKeys bounds a chunk of a sweep by key without a look at the rows.
func (s scanned) StepKeys(ctx context.Context, after, upTo string, most, least int) (string, int, error) {
	last, rows, err := s.both.StepKeys(ctx, after, upTo, most, least)
	return last, rows, definite(err)
}

// LastKey is the greatest key of the source.
func (s scanned) LastKey(ctx context.Context) (string, bool, error) {
	last, ok, err := s.both.LastKey(ctx)
	return last, ok, definite(err)
}

// CutIDs bounds a chunk of ids.
func (s scanned) CutIDs(ctx context.Context, after, upTo *string, limit int) (string, int, error) {
	last, rows, err := s.Source.CutIDs(ctx, after, upTo, limit)
	return last, rows, definite(err)
}

// EstimatedRows is about how many rows the source has.
func (s scanned) EstimatedRows(ctx context.Context) (int64, error) {
	rows, err := s.both.EstimatedRows(ctx)
	return rows, definite(err)
}

// NullRows counts the source rows that no chunk of a sweep has.
func (s scanned) NullRows(ctx context.Context) (keys, ids int64, err error) {
	keys, ids, err = s.both.NullRows(ctx)
	return keys, ids, definite(err)
}

// Pressure is the load on both servers.
func (s scanned) Pressure(ctx context.Context) (int, time.Duration, bool, error) {
	threads, lag, known, err := s.load.Pressure(ctx)
	return threads, lag, known, definite(err)
}

// definite marks what does not pass by itself.
func definite(err error) error {
	if _, fault := errors.AsType[*table.Fault](err); fault {
		return &manager.Definite{Err: err}
	}
	return err
}

// configured owns what this process's configuration names: on one machine a pair
// has no other owner.
type configured map[string]bool

// Owns reports whether the pair is configured here.
func (c configured) Owns(pair string) bool { return c[pair] }

// cursors keeps the manager's state in its cache file.
type cursors struct {
	file   *cache.File[manager.State]
	log    zerolog.Logger
	alerts alerts
}

// Load reads the state. A damaged file is kept under another name, and the scans
// go on from the last good one.
func (c cursors) Load() (manager.State, error) {
	s, err := c.file.Load()
	if errors.Is(err, fs.ErrNotExist) {
		return manager.State{}, nil
	}
	if damaged, ok := errors.AsType[*cache.Damaged](err); ok {
		c.log.Error().Err(damaged).Msg("cache file was damaged")
		c.alerts.Alert("cache file damaged", damaged.Error())
		return s, nil
	}
	return s, err
}

// Save replaces the file.
func (c cursors) Save(s manager.State) error { return c.file.Save(s) }

// startID is where insert scans without a cursor begin: the original's cursor
// file, where there is one, else what the command line says.
func (w *worker) startID() (string, error) {
	path := boot.OriginalCursor(w.config.CacheFilePath)
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return w.orders.StartID, nil
	}
	if err != nil {
		return "", fmt.Errorf("take over the original's cursor: %w", err)
	}
	id := strings.TrimSpace(string(text))
	if id == "" {
		return w.orders.StartID, nil
	}
	if !boot.IsStartID(id) {
		return "", fmt.Errorf("take over the original's cursor: %s holds %.40q, which is no id: correct or remove the file", path, id)
	}
	w.log.Info().Str("file", path).Str("id", id).Msg("the original's cursor is where insert scans without a cursor of their own begin")
	return id, nil
}
