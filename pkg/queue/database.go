package queue

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"

	"github.com/jmoiron/sqlx"
	"modernc.org/sqlite"
)

// schemaVersion is the user_version of the files this package writes.
// Version 1: record, damaged, meta, depth.
const (
	schemaVersion = 1
	applicationID = 0x63755131
)

// schema are the statements that make a file, as SQLite keeps them in it.
var schema = []string{
	`CREATE TABLE record (
  grp        TEXT    NOT NULL,
  key        BLOB    NOT NULL,
  payload    BLOB    NOT NULL,
  due        INTEGER NOT NULL,
  attempts   INTEGER NOT NULL,
  version    INTEGER NOT NULL,
  first_seen INTEGER NOT NULL,
  crc        INTEGER NOT NULL,
  PRIMARY KEY (grp, key)
)`,
	`CREATE INDEX record_due ON record (grp, due)`,
	`CREATE TABLE damaged (
  grp, key, payload, due, attempts, version, first_seen, crc,
  found_at INTEGER NOT NULL,
  reason   TEXT    NOT NULL
)`,
	`CREATE TABLE meta (id INTEGER PRIMARY KEY CHECK (id = 1), seq INTEGER NOT NULL)`,
	`CREATE TABLE depth (grp TEXT PRIMARY KEY, n INTEGER NOT NULL) WITHOUT ROWID`,
}

// columns are read by every SELECT, in the order that scan expects.
const columns = `rowid, grp, key, payload, due, attempts, version, first_seen, crc`

// SQLite's primary result codes that tell of the file and not of the moment, and those
// of a disk that does not take more (https://sqlite.org/rescode.html).
const (
	codeError   = 1 // of a statement that is always the same
	codeIO      = 10
	codeCorrupt = 11
	codeFull    = 13
	codeNotADB  = 26
)

// unfit is a file that SQLite can open and that is no queue of ours.
type unfit struct{ reason string }

func (e *unfit) Error() string { return e.reason }

// damage says what is wrong with the file if err tells of it, else "".
func damage(err error) string {
	if u, ok := errors.AsType[*unfit](err); ok {
		return u.reason
	}
	if e, ok := errors.AsType[*sqlite.Error](err); ok && (e.Code()&0xff == codeCorrupt || e.Code()&0xff == codeNotADB) {
		return e.Error()
	}
	return ""
}

// database is one open SQLite file: one connection, its statements, and the
// highest version given. It is used by one goroutine at a time.
type database struct {
	pool *sqlx.DB
	conn *sqlx.Conn
	seq  int64

	statements []*sqlx.Stmt // those below, to be closed

	find, findAll, due, latest, beyond, from, fromAfter, nextDue *sqlx.Stmt

	insert, update, remove, addDepth       *sqlx.Stmt
	setAside, removeRow, setSeq, freePages *sqlx.Stmt
}

// findAtOnce is how many keys one statement looks up.
const findAtOnce = 100

// connect opens the file without looking into it. mode is SQLite's URI
// parameter: ro, rw or rwc.
func connect(ctx context.Context, path, mode string) (*database, error) {
	dsn := "file://" + (&url.URL{Path: path}).EscapedPath() + "?mode=" + mode
	pool, err := sqlx.Open("sqlite", dsn)
	if err != nil {
		return nil, err
	}
	pool.SetMaxOpenConns(1)
	conn, err := pool.Connx(ctx)
	if err != nil {
		return nil, errors.Join(err, pool.Close())
	}
	return &database{pool: pool, conn: conn}, nil
}

// close ends the statements first: SQLite keeps a connection with open statements,
// and its lock, alive.
func (d *database) close() error {
	var err error
	for _, stmt := range d.statements {
		err = errors.Join(err, stmt.Close())
	}
	return errors.Join(err, d.conn.Close(), d.pool.Close())
}

func (d *database) exec(ctx context.Context, statement string) error {
	_, err := d.conn.ExecContext(ctx, statement)
	return err
}

// settings of a queue in use. EXCLUSIVE stands before WAL, so that SQLite keeps
// the WAL's index in memory instead of a mapped -shm file. A checkpoint comes
// every 8 MiB; a WAL that one big transaction made longer is cut back.
var settings = []string{
	"PRAGMA busy_timeout = 5000",
	"PRAGMA locking_mode = EXCLUSIVE",
	"PRAGMA journal_mode = WAL",
	"PRAGMA synchronous = FULL",
	"PRAGMA wal_autocheckpoint = 2000",
	"PRAGMA journal_size_limit = 16777216",
	"PRAGMA cache_size = -16384",
	"PRAGMA temp_store = MEMORY",
}

// openDatabase opens a queue file and makes sure that it is one. full asks for
// SQLite's own check of all pages and indexes.
func openDatabase(ctx context.Context, path string, full bool) (*database, error) {
	d, err := connect(ctx, path, "rw")
	if err != nil {
		return nil, err
	}
	if err := d.prepareAll(ctx, full); err != nil {
		return nil, errors.Join(err, d.close())
	}
	return d, nil
}

func (d *database) prepareAll(ctx context.Context, full bool) error {
	// The identity comes first: a foreign file must not be turned to WAL.
	if err := d.checkIdentity(ctx); err != nil {
		return err
	}
	for _, s := range settings {
		if err := d.exec(ctx, s); err != nil {
			return fmt.Errorf("%s: %w", s, err)
		}
	}
	if full {
		var verdict string
		if err := d.conn.GetContext(ctx, &verdict, "PRAGMA integrity_check(1)"); err != nil {
			return fmt.Errorf("check the file: %w", err)
		}
		if verdict != "ok" {
			return &unfit{"integrity check: " + verdict}
		}
	}
	return d.prepareStatements(ctx)
}

func (d *database) checkIdentity(ctx context.Context) error {
	var id, version int
	var found []string
	if err := d.conn.GetContext(ctx, &version, "PRAGMA user_version"); err != nil {
		return fmt.Errorf("read schema version: %w", err)
	}
	if err := d.conn.GetContext(ctx, &id, "PRAGMA application_id"); err != nil {
		return fmt.Errorf("read application id: %w", err)
	}
	switch {
	case id != applicationID:
		return &unfit{"the file is no queue (another application's id)"}
	case version > schemaVersion:
		return &unfit{fmt.Sprintf("schema version %d is newer than %d, which this build knows", version, schemaVersion)}
	}
	if err := d.conn.SelectContext(ctx, &found, `SELECT sql FROM sqlite_schema WHERE sql <> '' ORDER BY rowid`); err != nil {
		if e, ok := errors.AsType[*sqlite.Error](err); ok && e.Code()&0xff == codeError {
			return &unfit{e.Error()} // of the file's format: there is nothing wrong with the statement
		}
		return fmt.Errorf("read schema: %w", err)
	}
	// A flipped bit in a name makes a schema that SQLite has nothing against.
	if version != schemaVersion || !slices.Equal(found, schema) {
		return &unfit{"the schema is not the one of a queue"}
	}
	return nil
}

func (d *database) prepareStatements(ctx context.Context) error {
	for _, s := range []struct {
		to    **sqlx.Stmt
		query string
	}{
		{&d.find, `SELECT ` + columns + ` FROM record WHERE grp = ? AND key = ?`},
		// CROSS JOIN keeps the order: a look into the index for each key, however many there are.
		{&d.findAll, `WITH wanted(k) AS (VALUES (?)` + strings.Repeat(`, (?)`, findAtOnce-1) + `)
			SELECT record.` + columns + ` FROM wanted CROSS JOIN record ON grp = ? AND key = k`},
		{&d.due, `SELECT ` + columns + ` FROM record WHERE grp = ? AND due <= ? ORDER BY due, rowid`},
		{&d.latest, `SELECT ` + columns + ` FROM record WHERE grp = ? AND due <= ? ORDER BY due DESC, rowid DESC`},
		{&d.beyond, `SELECT ` + columns + ` FROM record WHERE grp = ? AND due > ? ORDER BY due, rowid`},
		{&d.from, `SELECT ` + columns + ` FROM record WHERE grp = ? ORDER BY key LIMIT ?`},
		{&d.fromAfter, `SELECT ` + columns + ` FROM record WHERE grp = ? AND key > ? ORDER BY key LIMIT ?`},
		{&d.nextDue, `SELECT due FROM record WHERE grp = ? ORDER BY due LIMIT 1`},
		{&d.insert, `INSERT INTO record (grp, key, payload, due, attempts, version, first_seen, crc)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING`},
		{&d.addDepth, `INSERT INTO depth (grp, n) VALUES (?, ?) ON CONFLICT DO UPDATE SET n = n + excluded.n`},
		{&d.update, `UPDATE record SET payload = ?, due = ?, attempts = ?, version = ?, crc = ? WHERE rowid = ?`},
		{&d.remove, `DELETE FROM record WHERE grp = ? AND key = ? AND version = ?`},
		{&d.setAside, `INSERT INTO damaged SELECT grp, key, payload, due, attempts, version, first_seen, crc, ?, ?
			FROM record WHERE rowid = ?`},
		{&d.removeRow, `DELETE FROM record WHERE rowid = ?`},
		{&d.setSeq, `UPDATE meta SET seq = ?`},
		{&d.freePages, `PRAGMA freelist_count`},
	} {
		stmt, err := d.conn.PreparexContext(ctx, s.query) //nolint:sqlclosecheck // close does it
		if err != nil {
			return fmt.Errorf("prepare %s: %w", s.query, err)
		}
		*s.to = stmt
		d.statements = append(d.statements, stmt)
	}
	if err := d.conn.GetContext(ctx, &d.seq, `SELECT seq FROM meta`); err != nil {
		return fmt.Errorf("read sequence: %w", err)
	}
	return nil
}

// recount counts the records of each group, from the index on due.
func (d *database) recount(ctx context.Context) error {
	err := d.exec(ctx, `DELETE FROM depth`)
	if err == nil {
		err = d.exec(ctx, `INSERT INTO depth `+trueCounts)
	}
	if err != nil {
		return fmt.Errorf("count records anew: %w", err)
	}
	return nil
}

// checkCounts counts, and corrects what is kept if that is something else.
func (d *database) checkCounts(ctx context.Context, kept map[string]int) (map[string]int, error) {
	counted, err := d.counts(ctx, trueCounts)
	if err == nil && !maps.Equal(kept, counted) {
		err = d.transaction(ctx, func() error { return d.recount(ctx) })
	}
	return counted, err
}

// The number of records of each group. It is kept, since counting a million takes a
// while at a start.
const (
	keptCounts = `SELECT grp, n FROM depth WHERE n > 0`
	trueCounts = `SELECT grp, COUNT(*) FROM record GROUP BY grp`
)

func (d *database) counts(ctx context.Context, query string) (map[string]int, error) {
	rows, err := d.conn.QueryxContext(ctx, query)
	if err != nil {
		return nil, fmt.Errorf("count records: %w", err)
	}
	defer func() { _ = rows.Close() }() // Err has told
	depth := make(map[string]int)
	for rows.Next() {
		var group string
		var n int
		if err := rows.Scan(&group, &n); err != nil {
			return nil, fmt.Errorf("count records: %w", err)
		}
		depth[group] = n
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("count records: %w", err)
	}
	return depth, nil
}

// transaction runs fn between BEGIN IMMEDIATE and COMMIT. The statements are
// sent by hand and not by database/sql, which leaves the transaction open when a
// COMMIT fails (a full disk) and so spoils the connection.
func (d *database) transaction(ctx context.Context, fn func() error) error {
	if err := d.exec(ctx, "BEGIN IMMEDIATE"); err != nil {
		return fmt.Errorf("begin: %w", err)
	}
	err := fn()
	if err == nil {
		if err = d.exec(ctx, "COMMIT"); err != nil {
			err = fmt.Errorf("commit: %w", err)
		}
	}
	if err == nil {
		return nil
	}
	if rollbackErr := d.exec(ctx, "ROLLBACK"); rollbackErr != nil && damage(rollbackErr) != "" {
		// Any other answer says that SQLite has rolled back by itself.
		err = errors.Join(err, rollbackErr)
	}
	return err
}
