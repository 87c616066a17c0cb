package main

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	_ "github.com/go-sql-driver/mysql" // the driver
)

// pollCommand is the argument with which this program is the control.
const pollCommand = "poll-as-the-original"

// pollerConfig is what the control is told.
type pollerConfig struct {
	DSN, URL string
	Cursors  string // directory of its cursors
	Tables   []string
}

const (
	// pollEvery is how often the control looks; the original does so every two seconds.
	pollEvery = 200 * time.Millisecond
	// pollWindow is how far it looks back for changes: updateScanSecond of the original's example.
	pollWindow = "5 SECOND"
)

// poller is the algorithm of the original for one table, and faster: a cursor at the greatest id that was seen, a window
// of some seconds of update times, one look at a row, a queue in memory, the same payload until somebody answers 200.
// Its cursor is written every second, where the original does so at the end only.
type poller struct {
	pollerConfig
	table  string
	db     *sql.DB
	client *http.Client
	cursor int64

	mu    sync.Mutex // guards queue
	queue [][]byte
}

// runPoller is the control's whole life; its result is the exit code.
func runPoller(ctx context.Context, config string, stderr io.Writer) int {
	if err := poll(ctx, config); err != nil {
		_, _ = fmt.Fprintln(stderr, "poll:", err)
		return 1
	}
	return 0
}

func poll(ctx context.Context, path string) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	var c pollerConfig
	if err := json.Unmarshal(text, &c); err != nil {
		return err
	}
	db, err := sql.Open("mysql", c.DSN)
	if err != nil {
		return err
	}
	defer func() { _ = db.Close() }() // it only read
	client := &http.Client{Timeout: callTimeout, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	var wg sync.WaitGroup
	defer wg.Wait()
	for _, table := range c.Tables {
		p := &poller{pollerConfig: c, table: table, db: db, client: client}
		if text, err := os.ReadFile(p.file()); err == nil {
			if p.cursor, err = strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64); err != nil {
				return err
			}
		}
		wg.Go(func() { p.scan(ctx) })
		wg.Go(func() { p.deliver(ctx) })
	}
	if err := os.WriteFile(filepath.Join(c.Cursors, strconv.Itoa(os.Getpid())), nil, 0o600); err != nil {
		return err
	}
	<-ctx.Done()
	return nil
}

func (p *poller) file() string { return filepath.Join(p.Cursors, p.table+".txt") }

// scan looks for rows until ctx is done.
func (p *poller) scan(ctx context.Context) {
	for n := 0; pause(ctx, pollEvery); n++ {
		// What fails is tried again at the next turn.
		_ = p.look(ctx)
		if n%5 == 0 {
			_ = os.WriteFile(p.file(), fmt.Append(nil, p.cursor), 0o600)
		}
	}
	_ = os.WriteFile(p.file(), fmt.Append(nil, p.cursor), 0o600)
}

func (p *poller) look(ctx context.Context) error {
	var top int64
	if err := p.db.QueryRowContext(ctx, "SELECT COALESCE(MAX(id), 0) FROM origin."+p.table).Scan(&top); err != nil {
		return err
	}
	if err := p.compare(ctx, "s.id > ? AND s.id <= ?", p.cursor, top); err != nil {
		return err
	}
	p.cursor = max(p.cursor, top)
	return p.compare(ctx, "s.update_time BETWEEN NOW() - INTERVAL "+pollWindow+" AND NOW()")
}

// compare queues what differs.
func (p *poller) compare(ctx context.Context, where string, args ...any) error {
	rows, err := p.db.QueryContext(ctx, strings.ReplaceAll(`SELECT s.number, s.name, s.balance, d.number IS NULL FROM origin.{t} s
		LEFT JOIN copy.{t} d ON d.number = s.number
		WHERE (d.number IS NULL OR NOT (BINARY s.name <=> BINARY d.full_name AND s.balance <=> d.balance)) AND `, "{t}", p.table)+where, args...)
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var number int64
		var name, balance string
		var missing bool
		if err := rows.Scan(&number, &name, &balance, &missing); err != nil {
			return err
		}
		kind := 2
		if missing {
			kind = 1
		}
		body, err := json.Marshal(map[string]any{"type": kind, "srcColumn": map[string]any{"number": number, "name": name, "balance": balance}})
		if err != nil {
			return err
		}
		p.mu.Lock()
		p.queue = append(p.queue, body)
		p.mu.Unlock()
	}
	return rows.Err()
}

// deliver calls back, one event after the other.
func (p *poller) deliver(ctx context.Context) {
	for {
		p.mu.Lock()
		var body []byte
		if len(p.queue) > 0 {
			body, p.queue = p.queue[0], p.queue[1:]
		}
		p.mu.Unlock()
		if body == nil {
			if !pause(ctx, pollEvery) {
				return
			}
			continue
		}
		if ctx.Err() != nil {
			return
		}
		if !p.post(ctx, body) {
			p.mu.Lock()
			p.queue = append(p.queue, body)
			p.mu.Unlock()
		}
	}
}

func (p *poller) post(ctx context.Context, body []byte) bool {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, p.URL+"/"+p.table, bytes.NewReader(body))
	if err != nil {
		return false
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := p.client.Do(req)
	if err != nil {
		return false
	}
	_ = resp.Body.Close() // the status is all there is to it
	return resp.StatusCode == http.StatusOK
}
