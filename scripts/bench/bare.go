package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/jmoiron/sqlx"
)

// unit is the time of one bare checksum query over each side, one after the other.
func (w *world) unit(ctx context.Context, s schema) (time.Duration, error) {
	parts := []string{"'#'", s.columns}
	for _, name := range s.text {
		parts = append(parts, "LENGTH("+name+")")
	}
	start := time.Now()
	var sums [2]sum
	for i, database := range []string{w.srcName, w.desName} {
		query := "SELECT COUNT(*), BIT_XOR(CRC32(CONCAT_WS(" + strings.Join(parts, ", ") + "))) FROM " + database + "." + s.table
		if err := w.src.QueryRowxContext(ctx, query).Scan(&sums[i].rows, &sums[i].hash); err != nil {
			return 0, fmt.Errorf("measure the unit: %w", err)
		}
	}
	took := time.Since(start)
	if sums[0] != sums[1] || sums[0].rows != w.rows/s.part {
		return 0, fmt.Errorf("the equal copies of %s have %+v", s.table, sums)
	}
	return took, nil
}

type sum struct {
	rows int
	hash uint64
}

// bound is the key at which a chunk ends.
type bound []any

// bounds cuts the source into chunks of chunkRows.
func (w *world) bounds(ctx context.Context, s schema) (_ []bound, err error) {
	rows, err := w.src.QueryxContext(ctx, "SELECT "+s.order+" FROM (SELECT "+s.order+", ROW_NUMBER() OVER (ORDER BY "+s.order+") AS n FROM "+
		w.srcName+"."+s.table+") numbered WHERE n % ? = 0 ORDER BY "+s.order, chunkRows)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	var all []bound
	for rows.Next() {
		b, err := rows.SliceScan()
		if err != nil {
			return nil, err
		}
		all = append(all, b)
	}
	return all, rows.Err()
}

// chunks takes cupid's checksum of each chunk on both sides with so many connections:
// no client that does this work so can be faster.
func (w *world) chunks(ctx context.Context, s schema, bounds []bound, connections int) (time.Duration, error) {
	type job struct {
		side  int
		query string
		args  []any
	}
	jobs := make(chan job)
	var mu sync.Mutex
	var counted [2]int
	var failed error
	work := func(conn *sqlx.Conn) {
		for j := range jobs {
			var rows int
			var hash sql.RawBytes
			err := queryRow(ctx, conn, j.query, j.args, &rows, &hash)
			mu.Lock()
			counted[j.side] += rows
			failed = errors.Join(failed, err)
			mu.Unlock()
		}
	}
	var wg sync.WaitGroup
	for range connections {
		conn, err := w.src.Connx(ctx)
		if err != nil {
			close(jobs)
			return 0, err
		}
		defer func() { _ = conn.Close() }() // back to the pool
		wg.Go(func() { work(conn) })
	}
	start := time.Now()
	for i := range len(bounds) + 1 {
		where, args := s.between(bounds, i)
		for side, database := range []string{w.srcName, w.desName} {
			jobs <- job{side, "SELECT COUNT(*), " + s.checksum(w.mysql) + " FROM " + database + "." + s.table + where, args}
		}
	}
	close(jobs)
	wg.Wait()
	took := time.Since(start)
	if failed == nil && (counted[0] != w.rows/s.part || counted[1] != counted[0]) {
		failed = fmt.Errorf("the chunks have %d rows", counted)
	}
	return took, failed
}

func queryRow(ctx context.Context, conn *sqlx.Conn, query string, args []any, into ...any) (err error) {
	rows, err := conn.QueryContext(ctx, query, args...)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, rows.Err(), rows.Close()) }()
	if !rows.Next() {
		return sql.ErrNoRows
	}
	return rows.Scan(into...)
}

// between is the condition of chunk i.
func (s schema) between(bounds []bound, i int) (where string, args []any) {
	var terms []string
	if i > 0 {
		terms, args = append(terms, s.relation(">")), append(args, s.twice(bounds[i-1])...)
	}
	if i < len(bounds) {
		terms, args = append(terms, s.relation("<=")), append(args, s.twice(bounds[i])...)
	}
	if len(terms) == 0 {
		return "", nil
	}
	return " WHERE " + strings.Join(terms, " AND "), args
}

// relation compares a key of one or two columns in the way that uses its index.
func (s schema) relation(op string) string {
	a, b, two := strings.Cut(s.order, ", ")
	if !two {
		return a + " " + op + " ?"
	}
	strict := op[:1]
	return fmt.Sprintf("%s %s= ? AND (%s %s ? OR %s = ? AND %s %s ?)", a, strict, a, strict, a, b, op)
}

// twice are the parameters of relation.
func (s schema) twice(b bound) []any {
	if len(b) == 1 {
		return b
	}
	return []any{b[0], b[0], b[0], b[1]}
}
