package table_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/masixun71/cupid/pkg/chunk"
	"github.com/masixun71/cupid/pkg/mariadb/mariadbtest"
	"github.com/masixun71/cupid/pkg/table"
)

// BenchmarkSums adds up two tables in chunks. It reports rows/s, and the time in units
// of one bare checksum query over each side, one after the other: COUNT(*) and
// BIT_XOR(CRC32(CONCAT_WS(columns and text lengths))), taken in the same run.
func BenchmarkSums(b *testing.B) {
	const rows, size = 200_000, 5000
	w := newWorld(b, mariadbtest.New, benchColumns, "", func(o *table.PairOptions) {
		o.Source.By, o.Destination.By = []string{"id"}, []string{"id"}
		o.Source.MaxConns, o.Destination.MaxConns = 2, 2
		o.Columns = append(o.Columns, table.ColumnPair{Src: "k", Des: "k"})
	})
	insert(b, w.src, rows, benchValues)
	insert(b, w.des, rows, benchValues)
	chunks := w.cutAll(b, size)
	columns := names("id, k, " + benchColumns)
	bare := "SELECT COUNT(*), BIT_XOR(CRC32(CONCAT_WS(',', " + strings.Join(columns, ", ") + ", LENGTH(name), LENGTH(address)))) FROM t"
	for _, workers := range []int{1, 2} {
		for salt := range uint32(2) {
			b.Run(fmt.Sprintf("workers=%d/salt=%d", workers, salt), func(b *testing.B) {
				var sums, unit time.Duration
				for b.Loop() {
					start := time.Now()
					for _, d := range []*mariadbtest.Database{w.src, w.des} {
						var n, hash uint64
						if err := d.DB.QueryRowxContext(b.Context(), bare).Scan(&n, &hash); err != nil || n != rows {
							b.Fatal(n, err)
						}
					}
					unit += time.Since(start)
					start = time.Now()
					if n := sumAll(b, w.pair, chunks, workers, salt); n != rows {
						b.Fatalf("added up %d rows", n)
					}
					sums += time.Since(start)
				}
				b.ReportMetric(float64(b.N)*rows/sums.Seconds(), "rows/s")
				b.ReportMetric(sums.Seconds()/unit.Seconds(), "of-bare")
			})
		}
	}
}

// sumAll adds up chunks by a number of workers.
func sumAll(b *testing.B, p *table.Pair, chunks []chunk.Chunk, workers int, salt uint32) (rows int64) {
	b.Helper()
	var wg sync.WaitGroup
	var mu sync.Mutex
	work := make(chan chunk.Chunk)
	for range workers {
		wg.Go(func() {
			for c := range work {
				c.Salt = salt
				src, des, err := p.Sums(b.Context(), c)
				if err != nil || src != des {
					b.Errorf("%s: %v and %v, error %v", c, src, des, err)
				}
				mu.Lock()
				rows += src.Rows
				mu.Unlock()
			}
		})
	}
	for _, c := range chunks {
		work <- c
	}
	close(work)
	wg.Wait()
	return rows
}
