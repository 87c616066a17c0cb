package main

import (
	"bufio"
	"context"
	"database/sql/driver"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-sql-driver/mysql"
	"github.com/jmoiron/sqlx"

	"github.com/masixun71/cupid/pkg/config"
)

const (
	bareLeast     = 0.6 // of the bare queries
	singlyLeast   = 15  // times the way of the original
	singlyRows    = 5000
	readAhead     = 256 << 10
	nobodyAnswers = "http://127.0.0.1:9/" // equal tables call nobody
)

// compare measures an insert scan over the equal tables, from the moment when all
// workers are ready to the moment when the cursor that stands at the end is on disk.
func (w *world) compare(ctx context.Context) ([]line, error) {
	var one, two, singly, inserts, updates samples
	var memory int64
	for range w.rounds {
		bare, err := w.bareRate(ctx)
		if err != nil {
			return nil, fmt.Errorf("bare queries: %w", err)
		}
		single, err := w.singlyRate(ctx)
		if err != nil {
			return nil, fmt.Errorf("row by row: %w", err)
		}
		got, bytes, err := w.scanRate(ctx, 1)
		if err != nil {
			return nil, err
		}
		both, _, err := w.scanRate(ctx, 2)
		if err != nil {
			return nil, err
		}
		memory = max(memory, bytes)
		one, two = append(one, sample{got, bare}), append(two, sample{both, bare})
		singly = append(singly, sample{got, single})
		inserted, updated, sweep, err := w.catchUp(ctx)
		if err != nil {
			return nil, fmt.Errorf("catch up: %w", err)
		}
		inserts, updates = append(inserts, sample{inserted, sweep}), append(updates, sample{updated, sweep})
	}
	return []line{
		rate("compare: an insert scan that catches up, byColumn is the id, two task workers", "rows/s", inserts, "the sweep", catchUpLeast),
		rate("compare: an update scan that catches up with rows written in bulk, likewise", "rows/s", updates, "the sweep", updatesLeast),
		rate("compare: one task worker", "rows/s", one, "bare queries", bareLeast),
		rate("compare: one task worker", "rows/s", singly, "row by row as the original", singlyLeast),
		rate("compare: two task workers", "rows/s", two, "bare queries of one client", 0),
		{cells: []string{"memory: 4 processes, after that scan", megabytes(memory) + " resident"}},
	}, nil
}

// scanRate runs cupid over the table and returns its rate and its memory at the end.
func (w *world) scanRate(ctx context.Context, workers int) (rows float64, memory int64, err error) {
	return w.rateOf(ctx, w.scan("user", nobodyAnswers, workers))
}

// rateOf is scanRate with a configuration.
func (w *world) rateOf(ctx context.Context, config map[string]any) (rows float64, memory int64, err error) {
	c, start, err := w.start(ctx, config)
	if err != nil {
		return 0, 0, err
	}
	defer func() { err = errors.Join(err, c.stop()) }()
	head := strconv.Itoa(w.rows)
	end, err := c.untilScans(ctx, "the end of the scan", func(s scans) bool {
		cursor := s.Insert[userPairName].Cursor
		return cursor != nil && *cursor == head
	})
	if err != nil {
		return 0, 0, err
	}
	s, err := c.status(ctx)
	if err != nil {
		return 0, 0, err
	}
	u, err := usageOf(s.pids())
	return perSecond(w.rows, end.Sub(start)), u.rss, err
}

// scans is what the manager keeps of its scans, by pair, as far as it is looked at.
type scans struct {
	Insert map[string]struct {
		Cursor *string `json:"cursor,omitempty"`
	} `json:"insert,omitempty"`
	Update map[string]watermark `json:"update,omitempty"`
}

// watermark is how far an update scan is.
type watermark struct {
	Watermark time.Time `json:"watermark"`
}

// untilScans waits until the scans are as far as is asked for, and returns when they were. It
// asks the manager: its file has a cursor a quarter of a second later, and a watermark some seconds.
func (c *cupid) untilScans(ctx context.Context, what string, far func(scans) bool) (at time.Time, err error) {
	err = c.until(ctx, what, statusEvery/4, func() (bool, error) {
		s, err := c.status(ctx)
		if err != nil {
			return false, err
		}
		at = time.Now()
		var report struct{ State scans }
		if text, ok := s.Reports["0"]; ok {
			err = json.Unmarshal(text, &report)
		}
		return far(report.State), err
	})
	return at, err
}

// singlyRate is the way of the original: for each row one SELECT by id and one by
// key, each prepared, executed and closed, as database/sql does by default. The rows
// are not even compared.
func (w *world) singlyRate(ctx context.Context) (float64, error) {
	read := func(db *sqlx.DB, column string, value any) ([]any, error) {
		return db.QueryRowxContext(ctx, "SELECT * FROM user WHERE "+column+" = ?", value).SliceScan()
	}
	n := min(singlyRows, w.rows)
	start := time.Now()
	for i := range n {
		src, err := read(w.src, "id", i*(w.rows/n)+1)
		if err != nil {
			return 0, err
		}
		if _, err := read(w.des, "number", src[1]); err != nil {
			return 0, err
		}
	}
	return perSecond(n, time.Since(start)), nil
}

// bareRate reads both tables by the queries that a comparison needs at least: a page
// of source rows behind the last id, and the destination rows by the page's keys, in
// the order of the key. One connection a side, one after the other, statements
// prepared once, rows taken from the driver and dropped.
func (w *world) bareRate(ctx context.Context) (float64, error) {
	src, err := w.bare(ctx, w.srcName)
	if err != nil {
		return 0, err
	}
	defer func() { _ = src.Close() }() // every query was answered
	des, err := w.bare(ctx, w.desName)
	if err != nil {
		return 0, err
	}
	defer func() { _ = des.Close() }() // likewise
	const size = config.DefaultChunkRow
	page := "SELECT " + strings.Join(userColumns, ", ") + " FROM user WHERE id > ? ORDER BY id LIMIT " + strconv.Itoa(size)
	byKey := "SELECT " + strings.Join(userColumns[1:], ", ") + " FROM user WHERE number IN (?" + strings.Repeat(", ?", size-1) + ")"
	pages, err := prepare(ctx, src, page)
	if err != nil {
		return 0, err
	}
	defer func() { _ = pages.Close() }() // with its connection
	copies, err := prepare(ctx, des, byKey)
	if err != nil {
		return 0, err
	}
	defer func() { _ = copies.Close() }() // likewise

	start := time.Now()
	rows, last := 0, int64(0)
	for {
		keys := make([]int64, 0, size)
		err := stream(ctx, pages, []driver.NamedValue{{Ordinal: 1, Value: last}}, func(values []driver.Value) {
			last = values[0].(int64)
			keys = append(keys, values[1].(int64))
		})
		if err != nil {
			return 0, err
		}
		if len(keys) == 0 {
			return perSecond(rows, time.Since(start)), nil
		}
		slices.Sort(keys)
		args := make([]driver.NamedValue, size)
		for i := range args {
			args[i] = driver.NamedValue{Ordinal: i + 1, Value: keys[min(i, len(keys)-1)]}
		}
		found := 0
		if err := stream(ctx, copies, args, func([]driver.Value) { found++ }); err != nil {
			return 0, err
		}
		if found != len(keys) {
			return 0, fmt.Errorf("%d rows of %d found", found, len(keys))
		}
		rows += found
	}
}

// bare opens a connection as good as cupid's own for reading in bulk.
func (w *world) bare(ctx context.Context, database string) (driver.Conn, error) {
	c, err := mysql.ParseDSN(w.server.DSN(database))
	if err != nil {
		return nil, err
	}
	c.Params = map[string]string{"in_predicate_conversion_threshold": "0"}
	c.DialFunc = func(ctx context.Context, network, addr string) (net.Conn, error) {
		var d net.Dialer
		nc, err := d.DialContext(ctx, network, addr)
		return ahead{nc, bufio.NewReaderSize(nc, readAhead)}, err
	}
	connector, err := mysql.NewConnector(c)
	if err != nil {
		return nil, err
	}
	return connector.Connect(ctx)
}

// ahead reads a connection in large pieces.
type ahead struct {
	net.Conn
	r *bufio.Reader
}

func (a ahead) Read(p []byte) (int, error) { return a.r.Read(p) }

func prepare(ctx context.Context, c driver.Conn, text string) (driver.Stmt, error) {
	return c.(driver.ConnPrepareContext).PrepareContext(ctx, text)
}

// stream executes a statement and hands its rows to take.
func stream(ctx context.Context, st driver.Stmt, args []driver.NamedValue, take func([]driver.Value)) (err error) {
	rows, err := st.(driver.StmtQueryContext).QueryContext(ctx, args)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	values := make([]driver.Value, len(rows.Columns()))
	for {
		switch err := rows.Next(values); {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		}
		take(values)
	}
}
