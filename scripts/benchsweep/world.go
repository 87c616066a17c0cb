package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/go-sql-driver/mysql"
	"github.com/jmoiron/sqlx"

	"github.com/masixun71/cupid/pkg/mariadb"
)

const (
	// bufferPerRow is what the tables and their indexes take, generously: the server's
	// memory holds all of them, so that no disk is measured.
	bufferPerRow, leastBuffer, mostBuffer = 2500, 512 << 20, 8 << 30
	// chunkRows is the size of the bare chunk queries' chunks.
	chunkRows = 5000
	// settleMillisecond is the part of a run that waits before it looks at a divergence
	// once more. The default of a second is for tables that are written to.
	settleMillisecond = 100
)

// world is the private server with the tables, and a directory for cupid's files.
type world struct {
	settings
	rows     int
	progress func(string)
	server   *mariadb.Server
	dir      string
	runs     int // of cupid
	db       *sqlx.DB
	src, des string // names of the databases
}

func newWorld(ctx context.Context, s settings, rows int, progress func(string)) (_ *world, err error) {
	w := &world{settings: s, rows: rows, progress: progress}
	defer func() {
		if err != nil {
			err = errors.Join(err, w.close())
		}
	}()
	if w.dir, err = os.MkdirTemp("", "cupid-benchsweep-"); err != nil {
		return nil, err
	}
	args := []string{
		"--innodb-buffer-pool-size=" + strconv.Itoa(min(max(rows*bufferPerRow, leastBuffer), mostBuffer)),
		"--innodb-log-file-size=1G", "--innodb-doublewrite=0",
	}
	if w.server, err = mariadb.Start(ctx, mariadb.Options{Args: args, Progress: progress}); err != nil {
		return nil, err
	}
	for _, name := range []*string{&w.src, &w.des} {
		if *name, err = w.server.CreateDatabase(ctx); err != nil {
			return nil, err
		}
	}
	config, err := mysql.ParseDSN(w.server.DSN(w.src))
	if err != nil {
		return nil, err
	}
	config.Params = map[string]string{"time_zone": "'+00:00'"}
	connector, err := mysql.NewConnector(config)
	if err != nil {
		return nil, err
	}
	w.db = sqlx.NewDb(sql.OpenDB(connector), "mysql")
	return w, nil
}

// in puts names and numbers into a text of a schema.
func (w *world) in(s schema, text string) string {
	rows := w.rows / s.part
	return strings.NewReplacer("{src}", w.src, "{des}", w.des, "{rows}", strconv.Itoa(rows), "{last}", strconv.Itoa(rows+rows/10_000)).Replace(text)
}

func (w *world) fill(ctx context.Context, s schema) error {
	w.progress(fmt.Sprintf("filling %s with %s rows", s.table, thousands(float64(w.rows/s.part))))
	for _, text := range s.fill {
		if _, err := w.db.ExecContext(ctx, w.in(s, text)); err != nil {
			return fmt.Errorf("fill tables: %w", err)
		}
	}
	return w.calm(ctx)
}

// calm waits until the server has cleaned up behind the statements that filled it.
func (w *world) calm(ctx context.Context) error {
	for range 60 {
		before, err := cpuOf(w.server.Pid())
		if err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(time.Second):
		}
		after, err := cpuOf(w.server.Pid())
		if err != nil {
			return err
		}
		if after-before < 50*time.Millisecond {
			return nil
		}
	}
	w.progress("the server is still busy with itself after a minute")
	return nil
}

func (w *world) close() error {
	var err error
	if w.db != nil {
		err = errors.Join(err, w.db.Close())
	}
	if w.server != nil {
		err = errors.Join(err, w.server.Close())
	}
	if w.dir != "" {
		err = errors.Join(err, os.RemoveAll(w.dir))
	}
	return err
}

// config is a configuration for a case, with defaults for all that is not measured.
func (w *world) config(s schema, c sweepCase) map[string]any {
	w.runs++
	dir := filepath.Join(w.dir, "run-"+strconv.Itoa(w.runs))
	same := map[string]string{}
	for name := range strings.SplitSeq(s.columns, ", ") {
		same[name] = name
	}
	return map[string]any{
		// The manager and the callback worker beside the task workers.
		"workerNumber": c.workers + 2, "settleMillisecond": settleMillisecond,
		"logDir": filepath.Join(dir, "log"), "cacheFilePath": filepath.Join(dir, "cache"),
		"src": map[string]any{"dsn": w.server.DSN(w.src), "table": s.table, "byColumn": c.by, "delete": true},
		"des": []any{map[string]any{
			"name": "copy", "dsn": w.server.DSN(w.des), "table": c.copy, "byColumn": c.by, "columns": same,
			"callbackNotification": map[string]any{"url": "http://127.0.0.1:9/"}, // a dry run calls nobody
		}},
	}
}
