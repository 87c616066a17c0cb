package main

import (
	"context"
	"database/sql"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/go-sql-driver/mysql"
	"github.com/jmoiron/sqlx"

	"github.com/masixun71/cupid/pkg/mariadb"
)

const (
	// rowCount is how many rows the source has at first.
	rowCount = 20_000
	// missingCount and differentCount are how many of them the replicator has lost and garbled.
	missingCount, differentCount = 12, 8

	// sellEvery is how often the shop writes a row while cupid looks on, and lag is when that row reaches the copy:
	// later than cupid's first look, and well within its settle time.
	sellEvery = 100 * time.Millisecond
	lag       = 500 * time.Millisecond

	// account is what cupid connects as. It may only read.
	account, password = "cupid", "may-only-read"
)

// schema makes the two tables. Names differ between them, as they do in life.
var schema = []string{
	"CREATE DATABASE shop CHARACTER SET utf8mb4",
	"CREATE DATABASE warehouse CHARACTER SET utf8mb4",
	`CREATE TABLE shop.user (
		id BIGINT AUTO_INCREMENT PRIMARY KEY,
		number BIGINT NOT NULL UNIQUE,
		name VARCHAR(64),
		balance DECIMAL(20,4) NOT NULL,
		update_time TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP,
		KEY (update_time))`,
	"CREATE TABLE warehouse.user (number BIGINT PRIMARY KEY, full_name VARCHAR(64), balance DECIMAL(20,4) NOT NULL)",
	fmt.Sprintf(`INSERT INTO shop.user (number, name, balance, update_time)
		SELECT seq, CONCAT('user ', seq), seq / 7, NOW() - INTERVAL 1 DAY FROM shop.seq_1_to_%d`, rowCount),
	"INSERT INTO warehouse.user SELECT number, name, balance FROM shop.user",
	fmt.Sprintf("CREATE USER %s@localhost IDENTIFIED BY '%s'", account, password),
	fmt.Sprintf("GRANT PROCESS ON *.* TO %s@localhost", account), // to see how old the open transactions are
	fmt.Sprintf("GRANT SELECT ON shop.* TO %s@localhost", account),
	fmt.Sprintf("GRANT SELECT ON warehouse.* TO %s@localhost", account),
}

// garbles are the ways in which the replicator spoils a row. Comparing by a case-insensitive collation, or through
// floats, would miss most of them.
var garbles = []string{
	"full_name = CONCAT(full_name, ' ')", "full_name = UPPER(full_name)", "full_name = NULL", "balance = balance + 0.0001",
}

// replicate brings a row of the source to the copy.
const replicate = "REPLACE INTO warehouse.user SELECT number, name, balance FROM shop.user WHERE number = ?"

// difference counts the rows that are not the same on both sides, byte by byte.
const difference = `SELECT
	(SELECT COUNT(*) FROM shop.user s LEFT JOIN warehouse.user d ON d.number = s.number
		WHERE d.number IS NULL OR NOT (BINARY s.name <=> BINARY d.full_name AND s.balance <=> d.balance)) +
	(SELECT COUNT(*) FROM warehouse.user d LEFT JOIN shop.user s ON d.number = s.number WHERE s.number IS NULL)`

// shop is the source, its copy, and the little replicator between them.
type shop struct {
	server *mariadb.Server
	db     *sqlx.DB

	mu     sync.Mutex // guards all below
	broken map[int64]bool
	late   map[int64]bool
	next   int64 // number of the next row
}

// openShop starts the server and makes the tables.
func openShop(ctx context.Context, progress func(string)) (*shop, error) {
	server, err := mariadb.Start(ctx, mariadb.Options{Progress: progress})
	if err != nil {
		return nil, err
	}
	s := &shop{server: server, broken: map[int64]bool{}, late: map[int64]bool{}, next: rowCount + 1}
	if err := s.fill(ctx); err != nil {
		_ = s.close("") // the first error says more
		return nil, err
	}
	return s, nil
}

func (s *shop) fill(ctx context.Context) error {
	config, err := mysql.ParseDSN(s.server.DSN(""))
	if err != nil {
		return err
	}
	config.Logger = &mysql.NopLogger{} // errors are returned; nothing else is to be said on the terminal
	connector, err := mysql.NewConnector(config)
	if err != nil {
		return err
	}
	s.db = sqlx.NewDb(sql.OpenDB(connector), "mysql")
	for _, statement := range schema {
		if err := s.exec(ctx, statement); err != nil {
			return err
		}
	}
	return s.spoil(ctx)
}

func (s *shop) exec(ctx context.Context, statement string, args ...any) error {
	if _, err := s.db.ExecContext(ctx, statement, args...); err != nil {
		return fmt.Errorf("%.60s…: %w", strings.Join(strings.Fields(statement), " "), err)
	}
	return nil
}

// spoil loses and garbles some rows of the copy.
func (s *shop) spoil(ctx context.Context) error {
	for i, n := range rand.Perm(rowCount)[:missingCount+differentCount] {
		number := int64(n + 1)
		s.broken[number] = true
		statement := "DELETE FROM warehouse.user WHERE number = ?"
		if i >= missingCount {
			statement = "UPDATE warehouse.user SET " + garbles[i%len(garbles)] + " WHERE number = ?"
		}
		if err := s.exec(ctx, statement, number); err != nil {
			return err
		}
	}
	return nil
}

// sell writes to the source until ctx is done: new rows, and now and then an old one. The replicator brings each to the
// copy, late. It returns when the last one has arrived.
func (s *shop) sell(ctx context.Context) error {
	tick := time.NewTicker(sellEvery)
	defer tick.Stop()
	type shipment struct {
		number int64
		due    time.Time
	}
	var road []shipment
	selling := ctx.Done()
	ctx = context.WithoutCancel(ctx)
	for selling != nil || len(road) > 0 {
		select {
		case <-selling:
			selling = nil
		case <-tick.C:
		}
		if selling != nil {
			number, err := s.sale(ctx)
			if err != nil {
				return err
			}
			road = append(road, shipment{number, time.Now().Add(lag)})
		}
		for len(road) > 0 && time.Until(road[0].due) <= 0 {
			if err := s.exec(ctx, replicate, road[0].number); err != nil {
				return err
			}
			road = road[1:]
		}
	}
	return nil
}

// sale writes one row to the source.
func (s *shop) sale(ctx context.Context) (int64, error) {
	s.mu.Lock()
	number, statement := s.next, "INSERT INTO shop.user (balance, name, number) VALUES (?, 'late', ?)"
	if s.next%4 == 0 {
		number, statement = s.sound(), "UPDATE shop.user SET balance = balance + ?, name = 'late' WHERE number = ?"
	}
	s.next++
	s.late[number] = true
	s.mu.Unlock()
	return number, s.exec(ctx, statement, number%1000+1, number)
}

// sound is the number of an old row to which nothing has happened yet. The lock is held.
func (s *shop) sound() int64 {
	for {
		if n := rand.Int64N(rowCount) + 1; !s.broken[n] && !s.late[n] {
			return n
		}
	}
}

// lose writes a new row and changes an old one, and neither reaches the copy.
func (s *shop) lose(ctx context.Context) error {
	s.mu.Lock()
	added, changed := s.next, s.sound()
	s.next++
	s.broken[added], s.broken[changed] = true, true
	s.mu.Unlock()
	if err := s.exec(ctx, "INSERT INTO shop.user (number, name, balance) VALUES (?, 'lost', 1)", added); err != nil {
		return err
	}
	return s.exec(ctx, "UPDATE shop.user SET name = 'lost' WHERE number = ?", changed)
}

// lost counts the rows of lose that the copy does not have.
func (s *shop) lost(ctx context.Context) (int, error) {
	return s.number(ctx, `SELECT COUNT(*) FROM shop.user s LEFT JOIN warehouse.user d ON d.number = s.number
		WHERE s.name = 'lost' AND NOT (d.full_name <=> 'lost')`)
}

// number runs a query for one number.
func (s *shop) number(ctx context.Context, query string) (int, error) {
	var n int
	if err := s.db.GetContext(ctx, &n, query); err != nil {
		return 0, fmt.Errorf("compare the tables: %w", err)
	}
	return n, nil
}

// knows says what happened to a row: whether it was spoilt, and whether it was late.
func (s *shop) knows(number int64) (broken, late bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.broken[number], s.late[number]
}

// lateCount is how many rows were late.
func (s *shop) lateCount() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.late)
}

// close stops the server. With a directory its log is kept there.
func (s *shop) close(logs string) error {
	if s == nil {
		return nil
	}
	if s.db != nil {
		_ = s.db.Close() // the server goes with it
	}
	if logs != "" {
		if text, err := os.ReadFile(s.server.LogPath()); err == nil {
			_ = os.WriteFile(filepath.Join(logs, "mariadb.log"), text, 0o600) // better without it than not at all
		}
	}
	return s.server.Close()
}
