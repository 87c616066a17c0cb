package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"
)

const (
	callbackLeast = 0.3 // of the bare client
	settleTime    = 100 // milliseconds
)

// callbacks measures how fast rows that are missing are called back and seen
// repaired, from the first call to the last row that is off the queue. The limit is
// a plain HTTP client that posts the same rows to the same receiver, which repairs
// them in another table, with as many posts at a time.
func (w *world) callbacks(ctx context.Context) (_ []line, err error) {
	r, err := w.newReceiver(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, r.close()) }()
	bodies, err := w.bodies(ctx)
	if err != nil {
		return nil, err
	}
	var repaired, answered samples
	for i := range w.rounds {
		s, err := w.repairRound(ctx, r, bodies)
		if err != nil {
			return nil, err
		}
		repaired = append(repaired, s)
		if i > 0 {
			continue // one round is enough for what has no target
		}
		if s, err = w.answerRound(ctx, r, bodies); err != nil {
			return nil, err
		}
		answered = append(answered, s)
	}
	return []line{
		rate("callback: rows repaired and seen so", "rows/s", repaired, "bare client, same receiver", callbackLeast),
		rate("callback: posts to who only answers", "posts/s", answered, "bare client, same receiver", 0),
	}, nil
}

// repairRound has the rows repaired once by the bare client and once by cupid.
func (w *world) repairRound(ctx context.Context, r *receiver, bodies [][]byte) (s sample, err error) {
	for _, t := range []string{"lost", "lost_bare"} {
		if _, err := w.des.ExecContext(ctx, "TRUNCATE TABLE "+t); err != nil {
			return s, err
		}
	}
	if s.limit, err = r.bareClient(ctx, "lost_bare", bodies, w.concurrency); err != nil {
		return s, err
	}
	if s.got, err = w.deliver(ctx, r, "lost", func(c *cupid) (time.Time, bool, error) { return c.healed(ctx, w.lost) }); err != nil {
		return s, err
	}
	for _, t := range []string{"lost", "lost_bare"} {
		var n int
		err := w.src.GetContext(ctx, &n, fmt.Sprintf(`SELECT COUNT(*) FROM lost s JOIN %s.%s d ON s.number = d.number AND s.name <=> d.name AND s.avatar <=> d.avatar
			AND s.balance = d.balance AND s.score <=> d.score AND s.created_at = d.created_at AND s.update_time = d.update_time`, w.desName, t))
		if err != nil {
			return s, err
		}
		if n != w.lost {
			return s, fmt.Errorf("table %s has %d rows of %d", t, n, w.lost)
		}
	}
	return s, nil
}

// answerRound is the same with a receiver that repairs nothing, up to the last call.
func (w *world) answerRound(ctx context.Context, r *receiver, bodies [][]byte) (s sample, err error) {
	if _, err := w.des.ExecContext(ctx, "TRUNCATE TABLE lost"); err != nil {
		return s, err
	}
	if s.limit, err = r.bareClient(ctx, "none", bodies, w.concurrency); err != nil {
		return s, err
	}
	s.got, err = w.deliver(ctx, r, "none", func(*cupid) (time.Time, bool, error) {
		return time.UnixMicro(r.last.Load()), int(r.calls.Load()) >= w.lost, nil
	})
	return s, err
}

// deliver runs cupid over the lost rows and returns how many it delivered a second,
// from the first call to the end that done tells.
func (w *world) deliver(ctx context.Context, r *receiver, path string, done func(*cupid) (time.Time, bool, error)) (rows float64, err error) {
	config := w.scan("lost", r.url+path, 1)
	config["settleMillisecond"] = settleTime
	to := config["des"].([]any)[0].(map[string]any)["callbackNotification"].(map[string]any)
	to["concurrency"], to["repairGraceSecond"], to["stormRowPerMinute"] = w.concurrency, 3600, 0
	r.reset()
	c, _, err := w.start(ctx, config)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, c.stop()) }()
	var end time.Time
	err = c.until(ctx, "the last callback", statusEvery, func() (ok bool, err error) {
		end, ok, err = done(c)
		return ok, err
	})
	return perSecond(w.lost, end.Sub(time.UnixMicro(r.first.Load()))), err
}

// healed reports whether n rows were repaired and are off the queue, and when the
// last one was.
func (c *cupid) healed(ctx context.Context, n int) (at time.Time, ok bool, err error) {
	s, err := c.status(ctx)
	if err != nil {
		return at, false, err
	}
	var pairs map[string]struct{ Depth, HealedItself, HealedByCallback int }
	report, ok := s.Reports["1"]
	if !ok {
		return at, false, nil
	}
	if err := json.Unmarshal(report, &pairs); err != nil {
		return at, false, err
	}
	for _, p := range pairs {
		if p.Depth == 0 && p.HealedItself+p.HealedByCallback >= n {
			at, err = c.lastHealed()
			return at, true, err
		}
	}
	return at, false, nil
}

// lastHealed is the time of the last such line in the callback worker's log.
func (c *cupid) lastHealed() (last time.Time, err error) {
	files, err := filepath.Glob(filepath.Join(c.logDir, "*callback*"))
	if err != nil {
		return last, err
	}
	for _, path := range files {
		file, err := os.Open(path)
		if err != nil {
			return last, err
		}
		lines := bufio.NewScanner(file)
		for lines.Scan() {
			if !bytes.Contains(lines.Bytes(), []byte(`"healed"`)) {
				continue
			}
			var l struct{ Time time.Time }
			if err := json.Unmarshal(lines.Bytes(), &l); err != nil {
				return last, errors.Join(err, file.Close())
			}
			if l.Time.After(last) {
				last = l.Time
			}
		}
		if err := errors.Join(lines.Err(), file.Close()); err != nil {
			return last, err
		}
	}
	if last.IsZero() {
		return last, errors.New("the callback worker's log tells of no healed row")
	}
	return last, nil
}

// bareClient posts bodies and returns how many it posted a second.
func (r *receiver) bareClient(ctx context.Context, path string, bodies [][]byte, concurrency int) (float64, error) {
	transport := &http.Transport{MaxIdleConnsPerHost: concurrency, DisableCompression: true}
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport}
	var next atomic.Int64
	var failed atomic.Pointer[error]
	var wg sync.WaitGroup
	start := time.Now()
	for range concurrency {
		wg.Go(func() {
			for failed.Load() == nil {
				i := int(next.Add(1)) - 1
				if i >= len(bodies) {
					return
				}
				if err := post(ctx, client, r.url+path, bodies[i]); err != nil {
					failed.Store(&err)
				}
			}
		})
	}
	wg.Wait()
	if err := failed.Load(); err != nil {
		return 0, *err
	}
	return perSecond(len(bodies), time.Since(start)), nil
}

func post(ctx context.Context, client *http.Client, url string, body []byte) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, resp.Body)
	if resp.StatusCode != http.StatusNoContent {
		err = errors.Join(err, fmt.Errorf("the receiver answered %s", resp.Status))
	}
	return errors.Join(err, resp.Body.Close())
}
