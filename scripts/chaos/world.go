package main

import (
	"context"
	"database/sql"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	"github.com/go-sql-driver/mysql"

	"github.com/masixun71/cupid/pkg/mariadb"
)

const (
	// rowCount is how many rows each table has at first, equal on both sides.
	rowCount = 1500
	// hotCount is how many of them change ten times a second, and warmCount how many about once a settle time; they have
	// the first numbers.
	hotCount, warmCount = 3, 12
	busyCount           = hotCount + warmCount
	// extraFrom is where the numbers of rows begin that only the copy has ever had.
	extraFrom = 1_000_000_000

	// account is what the program under test connects as. It may only read.
	account, password = "cupid", "may-only-read"
)

// world is the server with the tables, and what is known of every row.
type world struct {
	server *mariadb.Server
	db     *sql.DB
	tables []*table
	names  atomic.Int64 // how many versions were named
}

func openWorld(ctx context.Context, progress func(string)) (_ *world, err error) {
	w := &world{}
	w.server, err = mariadb.Start(ctx, mariadb.Options{
		Args: []string{"--transaction-isolation=READ-COMMITTED"}, Progress: progress,
	})
	if err != nil {
		return nil, err
	}
	if err := w.fill(ctx); err != nil {
		_ = w.close("") // the first error says more
		return nil, err
	}
	return w, nil
}

func (w *world) fill(ctx context.Context) error {
	config, err := mysql.ParseDSN(w.server.DSN(""))
	if err != nil {
		return err
	}
	config.Logger = &mysql.NopLogger{} // errors are returned
	connector, err := mysql.NewConnector(config)
	if err != nil {
		return err
	}
	w.db = sql.OpenDB(connector)
	w.db.SetMaxOpenConns(80)
	w.db.SetMaxIdleConns(80)
	statements := []string{
		"CREATE DATABASE origin CHARACTER SET utf8mb4", "CREATE DATABASE copy CHARACTER SET utf8mb4",
		fmt.Sprintf("CREATE USER %s@localhost IDENTIFIED BY '%s'", account, password),
		fmt.Sprintf("GRANT PROCESS ON *.* TO %s@localhost", account),
		fmt.Sprintf("GRANT SELECT ON origin.* TO %s@localhost", account),
		fmt.Sprintf("GRANT SELECT ON copy.* TO %s@localhost", account),
	}
	for _, t := range []*table{{name: "scanned"}, {name: "swept", swept: true}} {
		w.tables = append(w.tables, t)
		statements = append(statements,
			"CREATE TABLE origin."+t.name+` (id BIGINT AUTO_INCREMENT PRIMARY KEY, number BIGINT NOT NULL UNIQUE, name VARCHAR(64),
				balance DECIMAL(20,4) NOT NULL, update_time TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP, KEY (update_time))`,
			"CREATE TABLE copy."+t.name+" (number BIGINT PRIMARY KEY, full_name VARCHAR(64), balance DECIMAL(20,4) NOT NULL)",
			fmt.Sprintf(`INSERT INTO origin.%s (number, name, balance, update_time)
				SELECT seq, CONCAT('seed ', seq), 0, NOW() - INTERVAL 1 DAY FROM origin.seq_1_to_%d`, t.name, rowCount),
			fmt.Sprintf("INSERT INTO copy.%s SELECT number, name, balance FROM origin.%[1]s", t.name))
		t.items, t.next = map[int64]*item{}, rowCount
		for n := range int64(rowCount) {
			v := value{there: true, name: fmt.Sprint("seed ", n+1), balance: "0.0000"}
			t.add(newItem(n+1, v, v))
		}
		t.hot, t.warm = t.list[:hotCount], t.list[hotCount:busyCount]
	}
	for _, s := range statements {
		if _, err := w.db.ExecContext(ctx, s); err != nil {
			return fmt.Errorf("%.60s…: %w", strings.Join(strings.Fields(s), " "), err)
		}
	}
	return nil
}

func (w *world) table(name string) *table {
	for _, t := range w.tables {
		if t.name == name {
			return t
		}
	}
	return nil
}

// version is a value that no row has had yet.
func (w *world) version(r *rand.Rand) value {
	return value{there: true, name: fmt.Sprint("version ", w.names.Add(1)), balance: fmt.Sprintf("%d.%04d", r.IntN(100_000), r.IntN(10_000))}
}

// copied writes a row of the copy and writes down when. The item's copying is held.
func (w *world) copied(ctx context.Context, t *table, i *item, v value, by who) error {
	c := change{begin: time.Now(), value: v, by: by}
	var err error
	if v.there {
		_, err = w.db.ExecContext(ctx, "REPLACE INTO copy."+t.name+" (number, full_name, balance) VALUES (?, ?, ?)",
			i.number, sql.NullString{String: v.name, Valid: !v.null}, v.balance)
	} else {
		_, err = w.db.ExecContext(ctx, "DELETE FROM copy."+t.name+" WHERE number = ?", i.number)
	}
	if err != nil {
		return fmt.Errorf("write the copy's row %d: %w", i.number, err)
	}
	c.end = time.Now()
	i.changedCopy(c)
	return nil
}

// difference finds the rows that are not the same on both sides, byte by byte.
func (w *world) difference(ctx context.Context, t *table) (numbers []int64, err error) {
	rows, err := w.db.QueryContext(ctx, strings.ReplaceAll(`SELECT s.number FROM origin.{t} s LEFT JOIN copy.{t} d ON d.number = s.number
			WHERE d.number IS NULL OR NOT (BINARY s.name <=> BINARY d.full_name AND s.balance <=> d.balance)
		UNION ALL SELECT d.number FROM copy.{t} d LEFT JOIN origin.{t} s ON d.number = s.number WHERE s.number IS NULL`, "{t}", t.name))
	if err != nil {
		return nil, fmt.Errorf("compare the tables %s: %w", t.name, err)
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var n int64
		if err := rows.Scan(&n); err != nil {
			return nil, err
		}
		numbers = append(numbers, n)
	}
	return numbers, rows.Err()
}

// close stops the server. With a directory its log is kept there.
func (w *world) close(logs string) error {
	if w == nil {
		return nil
	}
	if w.db != nil {
		_ = w.db.Close() // the server goes with it
	}
	if logs != "" {
		if text, err := os.ReadFile(w.server.LogPath()); err == nil {
			_ = os.WriteFile(filepath.Join(logs, "mariadb.log"), text, 0o600) // better without it than not at all
		}
	}
	return w.server.Close()
}
