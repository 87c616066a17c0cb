package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/go-sql-driver/mysql"
	"github.com/jmoiron/sqlx"

	"github.com/masixun71/cupid/pkg/mariadb"
)

// world is the private server with the tables, and a directory for cupid's files.
type world struct {
	settings
	server *mariadb.Server
	dir    string
	runs   int // of cupid
	// src and des are connections to the two databases, source and destination.
	src, des         *sqlx.DB
	srcName, desName string
}

// The server's settings for bulk work: all tables fit into its memory.
var serverArgs = []string{"--innodb-buffer-pool-size=512M", "--innodb-log-file-size=256M"}

// columns are those of every table, the id first; all but the id are compared.
var columns = []string{"id", "number", "name", "avatar", "balance", "score", "created_at", "update_time"}

// tableSQL is what the tables look like: an id, a unique key in another order, and
// the types that real tables are made of.
const tableSQL = `(
	id          BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY,
	number      BIGINT NOT NULL UNIQUE,
	name        VARCHAR(64),
	avatar      VARCHAR(255),
	balance     DECIMAL(20,4) NOT NULL,
	score       DOUBLE,
	created_at  DATETIME(3) NOT NULL,
	update_time TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP,
	KEY (update_time)
) ENGINE=InnoDB`

// rowsSQL makes the rows. number is a bijection of the id (a multiplication by a
// number prime to 10^9+7), so that the unique key is scattered over the primary key.
const rowsSQL = `SELECT seq, 1000000000 + (seq * 7368787) %% 1000000007,
	IF(seq %% 97 = 0, NULL, CONCAT('user-', LPAD(CONV(CRC32(seq), 10, 36), 8, '0'), IF(seq %% 5 = 0, ' 张伟', ''))),
	CONCAT('https://img.example.com/avatar/', MD5(seq), '/', seq %% 1000, '.png'),
	(CRC32(CONCAT('b', seq)) %% 1000000000) / 10000 * 3,
	IF(seq %% 89 = 0, NULL, CRC32(CONCAT('s', seq)) / 4294967.295),
	'2024-01-01' + INTERVAL (seq * 29000 + CRC32(seq) %% 1000 * 1000) MICROSECOND + INTERVAL seq * 20 SECOND,
	'2024-06-01' + INTERVAL (seq * 15 + CRC32(CONCAT('u', seq)) %% 60) SECOND
	FROM seq_1_to_%d`

func newWorld(ctx context.Context, s settings, progress func(string)) (_ *world, err error) {
	w := &world{settings: s}
	defer func() {
		if err != nil {
			err = errors.Join(err, w.close())
		}
	}()
	if w.dir, err = os.MkdirTemp("", "cupid-bench-"); err != nil {
		return nil, err
	}
	if w.server, err = mariadb.Start(ctx, mariadb.Options{Args: serverArgs, Progress: progress}); err != nil {
		return nil, err
	}
	if w.src, w.srcName, err = w.database(ctx); err != nil {
		return nil, err
	}
	if w.des, w.desName, err = w.database(ctx); err != nil {
		return nil, err
	}
	return w, w.fill(ctx)
}

func (w *world) database(ctx context.Context) (*sqlx.DB, string, error) {
	name, err := w.server.CreateDatabase(ctx)
	if err != nil {
		return nil, "", err
	}
	db, err := w.connect(name)
	return db, name, err
}

// connect returns connections with the driver's default settings.
func (w *world) connect(database string) (*sqlx.DB, error) {
	config, err := mysql.ParseDSN(w.server.DSN(database))
	if err != nil {
		return nil, err
	}
	connector, err := mysql.NewConnector(config)
	if err != nil {
		return nil, err
	}
	return sqlx.NewDb(sql.OpenDB(connector), "mysql"), nil
}

// fill makes the tables: user is equal on both sides; lost has rows on the source
// only, and des.lost_bare is the same work for the client that is not cupid.
func (w *world) fill(ctx context.Context) error {
	for _, step := range []struct {
		db   *sqlx.DB
		text string
	}{
		{w.src, "CREATE TABLE user " + tableSQL},
		{w.src, "INSERT INTO user " + fmt.Sprintf(rowsSQL, w.rows)},
		{w.src, "CREATE TABLE lost " + tableSQL},
		{w.src, "INSERT INTO lost " + fmt.Sprintf(rowsSQL, w.lost)},
		{w.src, "CREATE TABLE quiet " + tableSQL},
		{w.src, "INSERT INTO quiet " + fmt.Sprintf(rowsSQL, 100)},
		{w.src, "ANALYZE TABLE user, lost, quiet"},
		{w.des, "CREATE TABLE user " + tableSQL},
		{w.des, "INSERT INTO user SELECT * FROM " + w.srcName + ".user ORDER BY id"},
		{w.des, "CREATE TABLE lost " + tableSQL},
		{w.des, "CREATE TABLE lost_bare " + tableSQL},
		{w.des, "CREATE TABLE quiet " + tableSQL},
		{w.des, "INSERT INTO quiet SELECT * FROM " + w.srcName + ".quiet"},
		{w.des, "ANALYZE TABLE user, quiet"},
	} {
		if _, err := step.db.ExecContext(ctx, step.text); err != nil {
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

// config is a configuration that watches one table, with defaults for all that is
// not measured.
func (w *world) config(table, url string, workers int) map[string]any {
	w.runs++
	dir := filepath.Join(w.dir, fmt.Sprint("run-", w.runs))
	same := map[string]string{}
	for _, c := range columns[1:] {
		same[c] = c
	}
	return map[string]any{
		"workerNumber": workers, "logDir": filepath.Join(dir, "log"), "cacheFilePath": filepath.Join(dir, "cache"),
		"src": map[string]any{"dsn": w.server.DSN(w.srcName), "table": table, "byColumn": "number", "insert": true},
		"des": []any{map[string]any{
			"name": "copy", "dsn": w.server.DSN(w.desName), "table": table, "byColumn": "number", "columns": same,
			"callbackNotification": map[string]any{"url": url},
		}},
	}
}
