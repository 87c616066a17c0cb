package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/masixun71/cupid/pkg/blackhole"
)

const (
	isolationMore = 200 * time.Millisecond // by which black holes may delay a row of another pair, 99 of 100
	holes         = 99
	isolationRows = 100
	// isolationEvery is how often a row is lost: no divisor of the scans' interval, so that
	// rows come at every point of it.
	isolationEvery = 149 * time.Millisecond
	isolationScan  = 500 // milliseconds
	isolationWarm  = 10  // rows that are lost first, and do not count: pairs meet their tables
)

// isolation measures the time from a commit to the callback in a pair that is alone, and
// in the same pair beside destinations and callback URLs at which nobody answers.
func (w *world) isolation(ctx context.Context) (_ []line, err error) {
	var addrs []string
	for i := range 2 {
		h, err := blackhole.New()
		if err != nil {
			return nil, err
		}
		defer func() { err = errors.Join(err, h.Close()) }()
		if i == 0 {
			err = h.Silence()
		} else {
			err = h.Vanish(ctx)
		}
		if err != nil {
			return nil, err
		}
		addrs = append(addrs, h.Addr)
	}
	alone, err := w.commitToCallback(ctx, nil)
	if err != nil {
		return nil, err
	}
	beside, err := w.commitToCallback(ctx, addrs)
	if err != nil {
		return nil, err
	}
	what := fmt.Sprintf("commit to callback, scan every %d ms, p99 of %d", isolationScan, isolationRows)
	more := beside.p99() - alone.p99()
	added := within(fmt.Sprintf("added by %d black holes beside, p99", holes), max(more, 0), isolationMore)
	added.cells = append(added.cells, fmt.Sprintf("median %s, alone %s", milliseconds(beside.median()), milliseconds(alone.median())),
		fmt.Sprintf("%.2f", beside.p99().Seconds()/alone.p99().Seconds()))
	return []line{
		{cells: append([]string{what + ", alone"}, alone.cells()...)},
		{cells: append([]string{what + fmt.Sprintf(", beside %d black holes", holes)}, beside.cells()...)},
		added,
	}, nil
}

// delays are the times from commit to callback of many rows, the shortest first, and what
// that cost.
type delays struct {
	took        []time.Duration
	percent     float64 // of a core, all of cupid
	connections int     // to the server, at the end
}

func (d delays) p99() time.Duration    { return d.took[len(d.took)*99/100-1] }
func (d delays) median() time.Duration { return d.took[len(d.took)/2] }

func (d delays) cells() []string {
	return []string{milliseconds(d.p99()), fmt.Sprintf("%.0f %% of a core, %d connections", d.percent, d.connections)}
}

// commitToCallback loses rows of the table quiet one after the other.
func (w *world) commitToCallback(ctx context.Context, dead []string) (d delays, err error) {
	heard := arrivals{at: map[int64]time.Time{}}
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return d, err
	}
	server := http.Server{ReadHeaderTimeout: patience, Handler: &heard}
	go func() { _ = server.Serve(l) }()
	defer func() { err = errors.Join(err, server.Close()) }()
	config := w.scan("quiet", "http://"+l.Addr().String(), 1)
	config["settleMillisecond"] = settleTime
	// An idle worker does not rest: alone it would be idle, and beside others it is not.
	config["taskWorkerIntervalMillisecond"] = 10
	config["src"].(map[string]any)["insertIntervalMillisecond"] = isolationScan
	config["des"].([]any)[0].(map[string]any)["callbackNotification"].(map[string]any)["repairGraceSecond"] = 3600 // nothing is repaired
	if len(dead) > 0 {
		addHoles(config, dead)
	}
	c, _, err := w.start(ctx, config)
	if err != nil {
		return d, err
	}
	defer func() { err = errors.Join(err, c.stop()) }()
	if _, err := w.lose(ctx, c, &heard, isolationWarm); err != nil {
		return d, err
	}
	s, err := c.status(ctx)
	if err != nil {
		return d, err
	}
	before, err := usageOf(s.pids())
	if err != nil {
		return d, err
	}
	began := time.Now()
	if d.took, err = w.lose(ctx, c, &heard, isolationRows); err != nil {
		return d, err
	}
	after, err := usageOf(s.pids())
	if err != nil {
		return d, err
	}
	d.percent = 100 * (after.cpu - before.cpu).Seconds() / time.Since(began).Seconds()
	return d, w.src.GetContext(ctx, &d.connections, "SELECT COUNT(*) FROM information_schema.processlist WHERE db IN (?, ?)", w.srcName, w.desName)
}

// addHoles adds destinations to a configuration that are databases or callback URLs at
// dead addresses, all kinds in turn. Most are databases: those with a URL have the real ones.
func addHoles(config map[string]any, dead []string) {
	des := config["des"].([]any)
	whole, _ := json.Marshal(des[0])
	for i := range holes {
		var d map[string]any
		_ = json.Unmarshal(whole, &d)
		d["name"] = "hole-" + strconv.Itoa(i)
		addr := dead[i%len(dead)]
		if i%4 == 0 {
			d["callbackNotification"].(map[string]any)["url"] = fmt.Sprintf("http://%s/%d", dead[i/4%len(dead)], i)
		} else {
			d["dsn"] = "nobody:none@tcp(" + addr + ")/none"
		}
		des = append(des, d)
	}
	config["des"] = des
}

// lose adds rows to the source one after the other, and returns how long each took to be
// called back.
func (w *world) lose(ctx context.Context, c *cupid, heard *arrivals, n int) ([]time.Duration, error) {
	committed := map[int64]time.Time{}
	tick := time.NewTicker(isolationEvery)
	defer tick.Stop()
	for range n {
		var id int64
		res, err := w.src.ExecContext(ctx, "INSERT INTO quiet (number, balance, created_at) SELECT MAX(number) + 1, 1, NOW() FROM quiet")
		if err == nil {
			id, err = res.LastInsertId()
		}
		if err != nil {
			return nil, fmt.Errorf("lose a row: %w", err)
		}
		committed[id] = time.Now()
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
	var took []time.Duration
	err := c.until(ctx, "the callbacks", statusEvery, func() (bool, error) {
		took = heard.after(committed)
		return len(took) == n, nil
	})
	slices.Sort(took)
	return took, err
}

// arrivals is a receiver that repairs nothing, and remembers when it heard of a row first.
type arrivals struct {
	mu sync.Mutex // guards at
	at map[int64]time.Time
}

// ServeHTTP takes a callback.
func (a *arrivals) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	now := time.Now()
	var b body
	if err := json.NewDecoder(req.Body).Decode(&b); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if _, again := a.at[b.Row.ID]; !again {
		a.at[b.Row.ID] = now
	}
	w.WriteHeader(http.StatusNoContent)
}

// after is how long after their times rows were heard of, as far as they were.
func (a *arrivals) after(committed map[int64]time.Time) []time.Duration {
	a.mu.Lock()
	defer a.mu.Unlock()
	var all []time.Duration
	for id, begin := range committed {
		if at, ok := a.at[id]; ok {
			all = append(all, at.Sub(begin))
		}
	}
	return all
}
