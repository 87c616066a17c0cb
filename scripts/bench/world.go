package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"

	"github.com/go-sql-driver/mysql"
	"github.com/jmoiron/sqlx"

	"github.com/masixun71/cupid/pkg/mariadb"
)

// world is a server with two databases, and a directory for cupid's files.
type world struct {
	settings
	progress func(string)
	server   server
	mysql    bool // the server is a named MySQL
	dir      string
	runs     int // of cupid
	// src and des are connections to the two databases, source and destination.
	src, des         *sqlx.DB
	srcName, desName string
}

// newWorld starts a private server with arguments of its own and makes two empty
// databases.
func newWorld(ctx context.Context, s settings, progress func(string), args ...string) (*world, error) {
	progress("starting a private MariaDB")
	server, err := mariadb.Start(ctx, mariadb.Options{Args: args, Progress: progress})
	if err != nil {
		return nil, err
	}
	return newWorldOn(ctx, &world{settings: s, progress: progress, server: server})
}

// newWorldOn makes the databases of a world that has its server.
func newWorldOn(ctx context.Context, w *world) (_ *world, err error) {
	defer func() {
		if err != nil {
			err = errors.Join(err, w.close())
		}
	}()
	if w.dir, err = os.MkdirTemp("", "cupid-bench-"); err != nil {
		return nil, err
	}
	if w.src, w.srcName, err = w.database(ctx); err != nil {
		return nil, err
	}
	w.des, w.desName, err = w.database(ctx)
	return w, err
}

func (w *world) database(ctx context.Context) (*sqlx.DB, string, error) {
	name, err := w.server.CreateDatabase(ctx)
	if err != nil {
		return nil, "", err
	}
	db, err := w.connect(name)
	return db, name, err
}

// connect returns connections with the driver's default settings, in UTC.
func (w *world) connect(database string) (*sqlx.DB, error) {
	config, err := mysql.ParseDSN(w.server.DSN(database))
	if err != nil {
		return nil, err
	}
	config.Params = map[string]string{"time_zone": "'+00:00'"}
	connector, err := mysql.NewConnector(config)
	if err != nil {
		return nil, err
	}
	return sqlx.NewDb(sql.OpenDB(connector), "mysql"), nil
}

// execute executes statements one after the other.
func (w *world) execute(ctx context.Context, texts ...string) error {
	for _, text := range texts {
		if _, err := w.src.ExecContext(ctx, text); err != nil {
			return fmt.Errorf("fill tables: %w", err)
		}
	}
	return nil
}

func (w *world) close() error {
	var err error
	for _, db := range []*sqlx.DB{w.src, w.des} {
		if db != nil {
			err = errors.Join(err, db.Close())
		}
	}
	if w.server != nil {
		err = errors.Join(err, w.server.Close())
	}
	if w.dir != "" {
		err = errors.Join(err, os.RemoveAll(w.dir))
	}
	return err
}

// watch is what cupid is told to watch.
type watch struct {
	table, copy string // on the source and on the destination
	by          any
	columns     []string // to compare
	url         string
	workers     int // task workers
}

// config is a configuration with defaults for all that is not measured. Its files are in
// a directory of its own, which is not there yet.
func (w *world) config(what watch) map[string]any {
	w.runs++
	dir := filepath.Join(w.dir, "run-"+strconv.Itoa(w.runs))
	same := map[string]string{}
	for _, c := range what.columns {
		same[c] = c
	}
	return map[string]any{
		// The manager and the callback worker beside the task workers.
		"workerNumber": what.workers + 2, "logDir": filepath.Join(dir, "log"), "cacheFilePath": filepath.Join(dir, "cache"),
		"src": map[string]any{"dsn": w.server.DSN(w.srcName), "table": what.table, "byColumn": what.by},
		"des": []any{map[string]any{
			"name": "copy", "dsn": w.server.DSN(w.desName), "table": what.copy, "byColumn": what.by, "columns": same,
			"callbackNotification": map[string]any{"url": what.url},
		}},
	}
}
