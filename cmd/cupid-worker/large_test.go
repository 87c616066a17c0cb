package main_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"go.uber.org/goleak"

	main "github.com/masixun71/cupid/cmd/cupid-worker"
	"github.com/masixun71/cupid/pkg/chunk"
	"github.com/masixun71/cupid/pkg/dsn"
	"github.com/masixun71/cupid/pkg/event"
	"github.com/masixun71/cupid/pkg/mariadb/mariadbtest"
	"github.com/masixun71/cupid/pkg/row"
	"github.com/masixun71/cupid/pkg/table"
	"github.com/masixun71/cupid/pkg/task"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(mariadbtest.Suite{M: m}) }

// weighed is a pair that remembers its largest batch.
type weighed struct {
	*main.Pair
	mu    sync.Mutex // guards most
	most  int
	reads int
}

func (w *weighed) weigh(batches ...*row.Batch) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.reads++
	for _, b := range batches {
		if b != nil {
			w.most = max(w.most, b.Bytes())
		}
	}
}

func (w *weighed) ReadRange(ctx context.Context, c chunk.Chunk) (*row.Batch, error) {
	b, err := w.Pair.ReadRange(ctx, c)
	w.weigh(b)
	return b, err
}

func (w *weighed) ReadSource(ctx context.Context, ids []string) (*row.Batch, error) {
	b, err := w.Pair.ReadSource(ctx, ids)
	w.weigh(b)
	return b, err
}

func (w *weighed) ReadDestination(ctx context.Context, keys []row.Key) (*row.Batch, error) {
	b, err := w.Pair.ReadDestination(ctx, keys)
	w.weigh(b)
	return b, err
}

func (w *weighed) ReadBoth(ctx context.Context, c chunk.Chunk, g chunk.Groups) (src, des *row.Batch, err error) {
	src, des, err = w.Pair.ReadBoth(ctx, c, g)
	w.weigh(src, des)
	return src, des, err
}

func (w *weighed) ReadBuckets(ctx context.Context, c chunk.Chunk) (src, des *row.Batch, err error) {
	src, des, err = w.Pair.ReadBuckets(ctx, c)
	w.weigh(src, des)
	return src, des, err
}

// work is the worker's side of a master that has one chunk.
type work struct {
	events []event.Event
	done   chan chunk.Result
}

func (*work) Want(context.Context, int) error { return nil }

func (w *work) Done(_ context.Context, r chunk.Result) error {
	w.done <- r
	return nil
}

func (w *work) Submit(_ context.Context, events []event.Event) error {
	w.events = append(w.events, events...)
	return nil
}

func (*work) Save([]chunk.Chunk) {}

// A chunk of any kind is compared whole, and no batch has more than its limit and one row.
func TestG7RowsOfAnySizeAreComparedAsTheyFit(t *testing.T) {
	const rows = 200
	scan := chunk.Chunk{Scan: chunk.Insert, UpTo: chunk.Position{ID: "200"}, Rows: rows}
	changed := chunk.Chunk{
		Scan: chunk.Update, From: "2020-01-01 00:00:00", UpTo: chunk.Position{Value: "2020-01-01 00:00:00", ID: "200"}, Rows: rows,
	}
	sweep := chunk.Chunk{Scan: chunk.Sweep, Open: true, Rows: rows}
	buckets := sweep
	buckets.Stage = chunk.Resolve
	for name, c := range map[string]struct {
		chunk           chunk.Chunk
		kibibyte, limit int
		number          string // the type of n in the destination
		orphans         bool   // are seen
	}{
		"a megabyte each":             {chunk: scan, kibibyte: 1024, limit: 8 << 20},
		"update scan":                 {chunk: changed, kibibyte: 64, limit: 1 << 19},
		"sweep by checksums":          {chunk: sweep, kibibyte: 64, limit: 1 << 19, orphans: true},
		"sweep by rows of both":       {chunk: sweep, kibibyte: 64, limit: 1 << 19, number: "VARCHAR(20)", orphans: true},
		"sweep by buckets":            {chunk: buckets, kibibyte: 64, limit: 1 << 19, orphans: true},
		"each row is above the limit": {chunk: sweep, kibibyte: 64, limit: 1 << 10, number: "VARCHAR(20)", orphans: true},
	} {
		t.Run(name, func(t *testing.T) {
			number := c.number
			if number == "" {
				number = "INT"
			}
			var sides [2]table.SideOptions
			for i, typ := range []string{"INT", number} {
				db := mariadbtest.New(t)
				db.Exec(t, "CREATE TABLE t (id BIGINT PRIMARY KEY, k BIGINT NOT NULL UNIQUE, n "+typ+", v MEDIUMTEXT, u DATETIME NOT NULL, KEY (u, id))")
				for from := 1; from <= rows; from += 50 {
					db.Exec(t, fmt.Sprintf("INSERT INTO t SELECT seq, seq, seq, REPEAT('x', %d), '2020-01-01' FROM seq_%d_to_%d", c.kibibyte<<10, from, from+49))
				}
				d, err := dsn.Parse(db.DSN)
				if err != nil {
					t.Fatal(err)
				}
				sides[i] = table.SideOptions{Name: "p", DSN: d, Table: "t", By: []string{"k"}, UpdateColumn: "u"}
				if i == 0 {
					db.Exec(t, "DELETE FROM t WHERE id = 60")
					continue
				}
				db.Exec(t, "DELETE FROM t WHERE id IN (10, 150)", "UPDATE t SET n = 0 WHERE id IN (1, 77, 200)",
					fmt.Sprintf("INSERT INTO t SELECT seq, seq, seq, REPEAT('x', %d), '2020-01-01' FROM seq_301_to_350", c.kibibyte<<10))
			}
			p := table.NewPair(table.PairOptions{
				Name: "p", Source: sides[0], Destination: sides[1], BatchBytes: c.limit,
				Columns: []table.ColumnPair{{Src: "n", Des: "n"}, {Src: "v", Des: "v"}},
			})
			defer func() {
				if err := p.Close(); err != nil {
					t.Error(err)
				}
			}()
			pair, w := &weighed{Pair: main.NewPair(p)}, &work{done: make(chan chunk.Result, 1)}
			worker := task.New(task.Config{
				Pairs: map[string]task.Pair{"p": pair}, Work: w, Hand: w, Settle: time.Millisecond, Step: func() {},
				Draining: make(chan struct{}), Deletes: map[string]bool{"p": true}, Log: zerolog.Nop(),
			})
			ctx, cancel := context.WithCancel(t.Context())
			ended := make(chan error, 1)
			go func() { ended <- worker.Run(ctx) }()
			c.chunk.ID, c.chunk.Pair = "1", "p"
			worker.Take(c.chunk)
			if r := <-w.done; r.Error != "" {
				t.Errorf("the chunk failed: %s", r.Error)
			}
			cancel()
			if err := <-ended; err != nil {
				t.Error(err)
			}
			var got []string
			for _, e := range w.events {
				if e.Kind != event.Orphan {
					got = append(got, e.Key.String()+" "+e.Kind.String())
				}
			}
			slices.Sort(got)
			if want := []string{"1 different", "10 missing", "150 missing", "200 different", "77 different"}; !slices.Equal(got, want) {
				t.Errorf("found %q, want %q", got, want)
			}
			if orphans := len(w.events) - len(got); c.orphans && orphans != 51 || !c.orphans && orphans != 0 {
				t.Errorf("found %d orphans, want 51: %v", orphans, c.orphans)
			}
			if limit := c.limit + c.kibibyte<<10 + 1<<10; pair.most > limit {
				t.Errorf("a batch has %d bytes, want no more than the limit and a row, %d", pair.most, limit)
			}
			t.Logf("%d reads", pair.reads)
		})
	}
}
