package queue_test

import (
	"math/rand/v2"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/masixun71/cupid/pkg/queue"
)

// shuffled returns puts with keys in no order, as a table's keys mostly are.
func shuffled(r *rand.Rand, n int) []queue.Put {
	list := puts("shop.order", 0, n)
	for i := range list {
		list[i].Key = strconv.FormatUint(r.Uint64(), 10)
	}
	return list
}

// full fills a queue for a benchmark.
func full(b *testing.B, records int) *queue.Queue {
	b.Helper()
	q := open(b, filepath.Join(b.TempDir(), "q.db"), queue.Options{Limit: 100_000_000})
	r := rand.New(rand.NewPCG(1, 2))
	for left := records; left > 0; left -= 10_000 {
		mustPut(b, q, shuffled(r, min(left, 10_000)))
	}
	return q
}

func BenchmarkPut100(b *testing.B) {
	q := full(b, 200_000)
	r := rand.New(rand.NewPCG(3, 4))
	b.ReportAllocs()
	n := 0
	for b.Loop() {
		mustPut(b, q, shuffled(r, 100))
		n += 100
	}
	b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "puts/s")
}

func BenchmarkClaimRemove(b *testing.B) {
	q := full(b, 200_000)
	b.ReportAllocs()
	n := 0
	for b.Loop() {
		due := mustDue(b, q, "shop.order", 200)
		done, err := q.Apply(b.Context(), removals(due))
		if err != nil {
			b.Fatal(err)
		}
		n += done
		if len(due) < 200 {
			b.StopTimer()
			r := rand.New(rand.NewPCG(uint64(n), 2))
			for range 20 {
				mustPut(b, q, shuffled(r, 10_000))
			}
			b.StartTimer()
		}
	}
	b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "rows/s")
}

// BenchmarkClaimOfAMillion is the time of one claim of 200 while a million wait.
func BenchmarkClaimOfAMillion(b *testing.B) {
	if testing.Short() {
		b.Skip("fills a million records")
	}
	q := full(b, 1_000_000)
	b.ReportAllocs()
	for b.Loop() {
		if got := mustDue(b, q, "shop.order", 200); len(got) != 200 {
			b.Fatalf("claimed %d", len(got))
		}
	}
}

// BenchmarkOpenOfAMillion is the time from a closed file to counted records.
func BenchmarkOpenOfAMillion(b *testing.B) {
	if testing.Short() {
		b.Skip("fills a million records")
	}
	path := filepath.Join(b.TempDir(), "q.db")
	q := open(b, path, queue.Options{})
	r := rand.New(rand.NewPCG(1, 2))
	for range 100 {
		mustPut(b, q, shuffled(r, 10_000))
	}
	closeQueue(b, q)
	for b.Loop() {
		q, err := queue.Open(b.Context(), path, queue.Options{})
		if err != nil {
			b.Fatal(err)
		}
		closeQueue(b, q)
	}
}

// BenchmarkPutToAMillion stores events as the callback worker does, while a million wait.
func BenchmarkPutToAMillion(b *testing.B) {
	if testing.Short() {
		b.Skip("fills a million records")
	}
	q := full(b, 1_000_000)
	r := rand.New(rand.NewPCG(3, 4))
	b.ReportAllocs()
	n := 0
	for b.Loop() {
		mustPut(b, q, shuffled(r, 500))
		n += 500
	}
	b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "puts/s")
}
