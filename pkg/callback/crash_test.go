package callback_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/masixun71/cupid/pkg/callback"
	"github.com/masixun71/cupid/pkg/event"
)

var errKilled = errors.New("killed")

// life is one process: once it is killed, nothing that it does has an effect.
type life struct {
	*memory
	sends  *receiver
	killed atomic.Bool
	left   atomic.Int64 // operations until the kill
	begun  atomic.Int64 // posts that the receiver got
	kill   func()
}

func (l *life) dead() bool {
	if l.left.Add(-1) == 0 {
		l.killed.Store(true)
		l.kill()
	}
	return l.killed.Load()
}

// either dies before an operation, after it, or not.
func either[T any](l *life, f func() (T, error)) (T, error) {
	var none T
	if l.dead() {
		return none, errKilled
	}
	v, err := f()
	if l.dead() {
		return none, errKilled
	}
	return v, err
}

func (l *life) Put(ctx context.Context, r []callback.Record) error {
	_, err := either(l, func() (int, error) { return 0, l.memory.Put(ctx, r) })
	return err
}

func (l *life) Apply(ctx context.Context, c []callback.Change) ([]int, error) {
	return either(l, func() ([]int, error) { return l.memory.Apply(ctx, c) })
}

func (l *life) Due(ctx context.Context, pair string, now time.Time, limit int, skip func(string) bool) ([]callback.Record, error) {
	return either(l, func() ([]callback.Record, error) { return l.memory.Due(ctx, pair, now, limit, skip) })
}

func (l *life) Post(ctx context.Context, p callback.Post) callback.Outcome {
	if l.dead() {
		return callback.Outcome{Err: errKilled}
	}
	l.begun.Add(1)
	o := l.sends.Post(ctx, p)
	if l.dead() {
		return callback.Outcome{Err: errKilled}
	}
	return o
}

// senders are the task workers: they send events until they are acknowledged.
type senders struct {
	mu      sync.Mutex
	unacked map[int64]event.Event
}

func (s *senders) add(e event.Event, id int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.unacked[id] = e
}

func (s *senders) send(w *callback.Worker, l *life) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for id, e := range s.unacked {
		w.Submit([]event.Event{e}, func() {
			if l.killed.Load() {
				return // the answer goes nowhere
			}
			s.mu.Lock()
			defer s.mu.Unlock()
			delete(s.unacked, id)
		})
	}
}

// TestG1NothingIsLostWhereverTheWorkerIsKilled has rows that diverge, change, heal
// and go away, a receiver that sometimes repairs, and a worker that is killed again
// and again. In the end every row is equal.
func TestG1NothingIsLostWhereverTheWorkerIsKilled(t *testing.T) {
	for seed := range uint64(12) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { killAgainAndAgain(t, seed) })
		})
	}
}

func killAgainAndAgain(t *testing.T, seed uint64) {
	t.Helper()
	var rndMu sync.Mutex
	source := rand.New(rand.NewPCG(seed, 1))
	rnd := func(n int) int {
		rndMu.Lock()
		defer rndMu.Unlock()
		return source.IntN(n)
	}
	const rows, kills = 60, 25
	r := newRig(t, func(r *rig) { r.config.Hold = true })
	r.stop() // only its parts are used
	r.config.Hold = false
	r.answering(func(ctx context.Context, p callback.Post) callback.Outcome {
		switch rnd(10) {
		case 0, 1, 2, 3:
			o := slowly(time.Duration(rnd(50))*time.Millisecond, accepted)(ctx, p)
			copyRow(r.world, p)
			return o
		case 4, 5:
			return slowly(time.Duration(rnd(50))*time.Millisecond, accepted)(ctx, p) // and does nothing
		case 6:
			return slowly(time.Duration(rnd(5000))*time.Millisecond, failed)(ctx, p)
		case 7:
			return callback.Outcome{Err: errors.New("answered 503"), RetryAfter: time.Second}
		}
		return failed
	})
	tasks := &senders{unacked: map[int64]event.Event{}}
	duplicates := int64(0) // posts whose answer was never written down
	live := func(ops int64, during func(w *callback.Worker, l *life)) {
		ctx, cancel := context.WithCancel(t.Context())
		l := &life{memory: r.queue, sends: r.receiver, kill: cancel}
		l.left.Store(ops)
		c := r.config
		c.Queue = l
		d := r.destination(r.world, l, callback.NewGate(8))
		d.RetryCap = 10 * time.Second
		c.Destinations = map[string]callback.Destination{"p": d}
		c.Draining = make(chan struct{})
		w := callback.New(c)
		end := make(chan error)
		go func() { end <- w.Run(ctx) }()
		tasks.send(w, l)
		during(w, l)
		l.killed.Store(true)
		cancel()
		if err := <-end; err != nil {
			t.Errorf("Run: %v", err)
		}
		duplicates += l.begun.Load() - int64(w.Status()["p"].Attempts)
	}
	for id := range int64(rows) {
		key := fmt.Sprint("k", id)
		r.set(id, key, "first")
		tasks.add(diverged("p", id, key), id)
	}
	for range kills {
		live(int64(1+rnd(120)), func(w *callback.Worker, l *life) {
			for !l.killed.Load() && rnd(40) > 0 {
				id := int64(rnd(rows))
				key := fmt.Sprint("k", id)
				switch rnd(8) {
				case 0: // changes at the source, and its task worker sees that
					r.set(id, key, fmt.Sprint("changed ", rnd(1000)))
					tasks.add(diverged("p", id, key), id)
					tasks.send(w, l)
				case 1: // the pipeline delivers it after all
					r.do(func() { r.des[key] = r.src[id].name })
				}
				after(time.Duration(rnd(300)) * time.Millisecond)
			}
		})
	}
	live(1<<40, func(w *callback.Worker, l *life) {
		for i := 0; i < 20000 && (r.queue.Depth("p") > 0 || len(tasks.unacked) > 0); i++ {
			after(time.Second)
		}
	})
	r.wantDepth(0)
	for id, s := range r.src {
		if r.des[s.key] != s.name {
			t.Errorf("row %d is %q at the source and %q at the destination, and nobody knows", id, s.name, r.des[s.key])
		}
	}
	if len(tasks.unacked) != 0 {
		t.Errorf("%d events were never acknowledged", len(tasks.unacked))
	}
	repeated := int64(0)
	type attempt struct {
		id string
		n  int
	}
	seen := map[attempt]bool{}
	for _, p := range r.got() {
		a := attempt{p.ID, p.Attempt}
		if seen[a] {
			repeated++
		}
		seen[a] = true
	}
	if repeated > duplicates {
		t.Errorf("%d attempts were repeated, but only %d were in flight at the kills", repeated, duplicates)
	}
	t.Logf("%d posts, %d repeated, %d in flight at the kills", len(r.got()), repeated, duplicates)
}
