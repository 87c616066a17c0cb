package main

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"runtime"
	"runtime/debug"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"github.com/masixun71/cupid/ipc"
	"github.com/masixun71/cupid/pkg/boot"
	"github.com/masixun71/cupid/pkg/cache"
	"github.com/masixun71/cupid/pkg/chunk"
	"github.com/masixun71/cupid/pkg/event"
	"github.com/masixun71/cupid/pkg/failpoint"
	"github.com/masixun71/cupid/pkg/table"
	"github.com/masixun71/cupid/pkg/task"
)

// task builds a task worker.
func (w *worker) task(ctx context.Context) (func(context.Context) error, func() error, error) {
	debug.SetGCPercent(batchGCPercent)
	if os.Getenv("GOMAXPROCS") == "" {
		// Its part of the machine's processors. With more of them its threads would mostly look for
		// work in vain, and take that time from a server on the same machine. The number stays as it
		// is when the limit of a container changes.
		runtime.GOMAXPROCS(max(1, runtime.GOMAXPROCS(0)/w.config.TaskWorkers()))
	}
	hand := newHand(boot.TaskFile(w.orders.StateDir, w.welcome.Slot), w.log)
	pairs := map[string]task.Pair{}
	open := closers{hand.close}
	deletes, fingerprints, servers := map[string]bool{}, map[string]string{}, &table.Servers{}
	for _, p := range w.config.Pairs() {
		a := newPair(w.config, p, taskConns, servers, w.log)
		pairs[p.Name] = a
		deletes[p.Name], fingerprints[p.Name] = p.Source.Delete, p.Fingerprint()
		open = append(open, a.Close)
	}
	c := task.Config{
		Pairs: pairs, Work: sessionWork{w.session, w.orders.Once && w.orders.DryRun}, Hand: hand, Settle: w.config.Settle(), Step: w.step,
		Draining: w.session.Draining(), LogValues: w.config.LogValues, Deletes: deletes, Fingerprints: fingerprints, SQL: w.orders.SQL,
		Idle: w.config.TaskWorkerInterval(), Log: w.log,
	}
	if w.orders.Once {
		c.Idle, c.Sweeps = 0, true
	}
	if w.orders.Report || w.orders.SQL {
		c.Report = func(l []task.Line) {
			if err := w.session.Tell(ctx, ipc.TypeReportLines, 0, l); err != nil && ctx.Err() == nil {
				w.log.Error().Err(err).Msg("lines of the report could not be sent")
			}
		}
	}
	t := task.New(c)
	w.session.Status = func() any { return t.Counts() }
	handle(w, ipc.TypeChunk, func(c chunk.Chunk) {
		failpoint.Reach("taken")
		t.Take(c)
	})
	return t.Run, open.close, nil
}

// batchGCPercent makes the collector of a worker that reads rows in batches run half
// as often: its heap is small, and the batches are thrown away whole. It costs 5 MB; a
// larger one costs more and saves nothing (make bench-sweep).
const batchGCPercent = 200

// taskConns is how many connections a task worker opens to each side of a pair:
// as many as it reads chunks at a time.
const taskConns = 2

// sessionWork is the task worker's side of the master.
type sessionWork struct {
	session *ipc.Session
	reports bool // what is found is reported and nothing else, so that nobody keeps it
}

func (s sessionWork) Want(ctx context.Context, n int) error {
	return s.session.Tell(ctx, ipc.TypeWant, 0, n)
}

func (s sessionWork) Done(ctx context.Context, r chunk.Result) error {
	failpoint.Reach("done") // and nobody knows
	return s.session.Tell(ctx, ipc.TypeDone, 0, r)
}

func (s sessionWork) Submit(ctx context.Context, events []event.Event) error {
	failpoint.Reach("found") // events are read and not submitted
	if s.reports {
		return nil
	}
	_, err := s.session.Ask(ctx, ipc.TypeEvents, events)
	failpoint.Reach("acknowledged") // they are on disk, and the chunk is not done
	return err
}

// hand keeps the chunks in hand in the worker's cache file. It writes the newest
// beside the work: the file is for whoever looks after a crash, and what the
// master gives out again it knows by itself.
type hand struct {
	file *cache.File[[]chunk.Chunk]
	log  zerolog.Logger
	kick chan struct{} // one: something is to be written

	closing, ended chan struct{}
	held           bool // the file may name chunks; belongs to write

	mu     sync.Mutex // guards chunks
	chunks []chunk.Chunk
}

func newHand(path string, log zerolog.Logger) *hand {
	h := &hand{file: cache.New[[]chunk.Chunk](path), log: log, kick: make(chan struct{}, 1), closing: make(chan struct{}), ended: make(chan struct{})}
	switch left, err := h.file.Load(); {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		h.held = true
		log.Warn().Err(err).Msg("cache file of the worker before could not be read")
	case len(left) > 0:
		h.held = true
		log.Warn().Any("chunks", left).Msg("the worker before died with these chunks in hand; the master gives them out again")
	}
	go h.write()
	return h
}

// Save takes what is to be written and does not wait for it.
func (h *hand) Save(chunks []chunk.Chunk) {
	h.mu.Lock()
	h.chunks = chunks
	h.mu.Unlock()
	select {
	case h.kick <- struct{}{}:
	default:
	}
}

// handEvery is how long the newest may wait to be written: a write costs as much as
// comparing some thousand rows.
const handEvery = time.Second

func (h *hand) write() {
	defer close(h.ended)
	tick := time.NewTicker(handEvery)
	defer tick.Stop()
	for range h.kick {
		select {
		case <-tick.C:
		case <-h.closing:
		}
		h.mu.Lock()
		chunks := h.chunks
		h.mu.Unlock()
		if len(chunks) == 0 && !h.held {
			continue // a file that says nothing, or none at all, says the same
		}
		h.held = true // a write that fails may have taken place
		if err := h.file.Save(chunks); err != nil {
			h.log.Warn().Err(err).Msg("chunks in hand could not be written down")
			continue
		}
		h.held = len(chunks) > 0
	}
}

// close writes down that nothing is in hand: what is left goes back to the master.
func (h *hand) close() error {
	h.Save(nil)
	close(h.closing)
	close(h.kick)
	<-h.ended
	return nil
}
