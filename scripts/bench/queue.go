package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/masixun71/cupid/pkg/boot"
	"github.com/masixun71/cupid/pkg/queue"
)

const (
	pendingEvents = 1_000_000
	pendingDue    = 10_000 // of them, those that are due now
	queueBatch    = 500    // what the callback worker stores in one transaction at most
	queueBatches  = 60     // of a round
	queueKills    = 5
	queuePair     = "lost/copy"

	queueLeast     = 10_000 // events a second
	firstAttempt   = time.Second
	callbackMemory = 64 << 20
)

// queue measures the queue with a million events in it: how fast events are looked up and
// stored as the callback worker does it, each batch synced, against the same bytes written to a bare file and synced as often;
// and the callback worker over it, killed again and again.
func (w *world) queue(ctx context.Context) (_ []line, err error) {
	r, err := w.newReceiver(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, r.close()) }()
	config := w.config(watch{table: "lost", copy: "lost", by: "number", columns: userColumns[1:], url: r.url + "none", workers: 1})
	config["queueLimit"] = 2 * pendingEvents
	src := config["src"].(map[string]any)
	src["insert"], src["sweep"] = false, false
	src["update"], src["updateColumn"], src["updateScanSecond"] = true, "update_time", 1
	to := config["des"].([]any)[0].(map[string]any)["callbackNotification"].(map[string]any)
	to["concurrency"], to["repairGraceSecond"] = w.concurrency, 3600
	path := boot.QueueFile(config["cacheFilePath"].(string))
	stored, err := w.fillQueue(ctx, path)
	if err != nil {
		return nil, err
	}
	lines := []line{{
		cells: []string{
			"queue: events stored and synced, a million there", thousands(stored.got()) + " events/s",
			"bare file, same bytes and syncs: " + thousands(stored.limit()), fmt.Sprintf("%.2f", stored.ratio()),
		},
		target: "≥ " + thousands(queueLeast) + " events/s", met: stored.got() >= queueLeast,
	}}
	more, err := w.killOverQueue(ctx, r, config)
	return append(lines, more...), err
}

// putOf is an event as the callback worker stores it.
func putOf(r *rand.Rand, due time.Time) queue.Put {
	n := strconv.FormatUint(r.Uint64N(1e12)+1e12, 10)
	return queue.Put{Group: queuePair, Key: n, Payload: []byte(`{"kind":1,"src":"` + n + `","state":"pending"}`), Due: due}
}

// fillQueue makes the queue and measures while it is full. The rows of those that are
// due are the lost ones.
func (w *world) fillQueue(ctx context.Context, path string) (stored samples, err error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, err
	}
	q, err := queue.Open(ctx, path, queue.Options{Limit: 2 * pendingEvents})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, q.Close()) }()
	random := rand.New(rand.NewPCG(1, 2))
	later := time.Now().Add(24 * time.Hour)
	for left := pendingEvents; left > 0; left -= 20_000 {
		list := make([]queue.Put, 20_000)
		for i := range list {
			list[i] = putOf(random, later)
		}
		if err := q.Put(ctx, list); err != nil {
			return nil, err
		}
	}
	for range w.rounds {
		var s sample
		if s.limit, err = bareFile(filepath.Join(filepath.Dir(path), "bare"), random); err != nil {
			return nil, err
		}
		start := time.Now()
		for range queueBatches {
			list := make([]queue.Put, queueBatch)
			keys := make([]string, queueBatch)
			for i := range list {
				list[i] = putOf(random, later)
				keys[i] = list[i].Key
			}
			// The callback worker looks which identities are known.
			if _, err := q.GetAll(ctx, queuePair, keys); err != nil {
				return nil, err
			}
			if err := q.Put(ctx, list); err != nil {
				return nil, err
			}
		}
		s.got = perSecond(queueBatch*queueBatches, time.Since(start))
		stored = append(stored, s)
	}
	return stored, w.putDue(ctx, q)
}

// bareFile is how many events a second are written to a file that is synced after
// each batch.
func bareFile(path string, random *rand.Rand) (float64, error) {
	f, err := os.Create(path)
	if err != nil {
		return 0, err
	}
	defer func() { _ = os.Remove(path) }()
	start := time.Now()
	for range queueBatches {
		var b strings.Builder
		for range queueBatch {
			p := putOf(random, start)
			b.WriteString(p.Group + p.Key)
			b.Write(p.Payload)
		}
		_, err = f.WriteString(b.String())
		if err = errors.Join(err, f.Sync()); err != nil {
			break
		}
	}
	return perSecond(queueBatch*queueBatches, time.Since(start)), errors.Join(err, f.Close())
}

// putDue puts lost rows into the queue, as events that are due.
func (w *world) putDue(ctx context.Context, q *queue.Queue) error {
	var rows []struct{ ID, Number int64 }
	if err := w.src.SelectContext(ctx, &rows, "SELECT id, number FROM lost ORDER BY id LIMIT "+strconv.Itoa(pendingDue)); err != nil {
		return err
	}
	var list []queue.Put
	for _, r := range rows {
		list = append(list, queue.Put{
			Group: queuePair, Key: strconv.FormatInt(r.Number, 10), Due: time.Now(),
			Payload: fmt.Appendf(nil, `{"kind":1,"src":"%d","state":"pending"}`, r.ID),
		})
	}
	return q.Put(ctx, list)
}

// killOverQueue kills the callback worker and measures until the next attempt, and how
// much memory it has had at most.
func (w *world) killOverQueue(ctx context.Context, r *receiver, config map[string]any) (_ []line, err error) {
	if _, err := w.des.ExecContext(ctx, "TRUNCATE TABLE lost"); err != nil {
		return nil, err
	}
	c, _, err := w.start(ctx, config)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, c.stop()) }()
	var took []time.Duration
	var memory int64
	for range queueKills {
		pid := 0
		if err := c.until(ctx, "a callback worker with attempts", statusEvery, func() (bool, error) {
			pid, err = c.callbackPid(ctx)
			return pid != 0 && r.calls.Load() > 100, err
		}); err != nil {
			return nil, err
		}
		peak, err := peakBytes(pid)
		if err != nil {
			return nil, err
		}
		memory = max(memory, peak)
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
			return nil, err
		}
		killed := time.Now()
		r.reset()
		if err := c.until(ctx, "an attempt after the kill", fileEvery, func() (bool, error) {
			return r.first.Load() > killed.UnixMicro(), nil
		}); err != nil {
			return nil, err
		}
		took = append(took, time.UnixMicro(r.first.Load()).Sub(killed))
	}
	slices.Sort(took)
	worst := took[len(took)-1]
	return []line{
		{
			cells: []string{
				"queue: kill -9 to the first attempt, a million pending", fmt.Sprintf("%d ms at worst of %d", worst.Milliseconds(), len(took)),
				fmt.Sprintf("median: %d ms", took[len(took)/2].Milliseconds()), "",
			},
			target: "< 1,000 ms", met: worst < firstAttempt,
		},
		{
			cells:  []string{"queue: callback worker's memory, a million pending", megabytes(memory) + " at most (VmHWM)", "", ""},
			target: "< " + megabytes(callbackMemory), met: memory < callbackMemory,
		},
	}, nil
}

// callbackPid is the callback worker that is ready, or 0.
func (c *cupid) callbackPid(ctx context.Context) (int, error) {
	s, err := c.status(ctx)
	if err != nil || len(s.Workers) < 2 || s.Workers[1].State != "ready" {
		return 0, err
	}
	var pairs map[string]struct{ Depth int }
	if report, ok := s.Reports["1"]; ok {
		if err := json.Unmarshal(report, &pairs); err != nil {
			return 0, err
		}
	}
	if pairs[queuePair].Depth < pendingEvents {
		return 0, nil
	}
	return s.Workers[1].Pid, nil
}

// peakBytes is the most memory that a process has had.
func peakBytes(pid int) (int64, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	for l := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(l, "VmHWM:"); ok {
			n, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(rest), " kB"), 10, 64)
			return n * 1024, err
		}
	}
	return 0, fmt.Errorf("process %d has no VmHWM", pid)
}
