package ipc_test

import (
	"bytes"
	"encoding/json"
	"testing"

	"github.com/masixun71/cupid/ipc"
)

// kilobyte is a body of about 1 KB, like a demand or a batch of a few keys.
func kilobyte(tb testing.TB) json.RawMessage {
	tb.Helper()
	body, err := json.Marshal(map[string]any{"pair": "orders", "keys": bytes.Repeat([]byte("k"), 700)})
	if err != nil {
		tb.Fatal(err)
	}
	return body
}

// BenchmarkFrames counts frames of 1 KB a second, sent one behind the other without waiting for answers.
func BenchmarkFrames(b *testing.B) {
	left, right := socketPair(b)
	env := ipc.Envelope{Type: ipc.TypeEvents, ID: 7, Body: kilobyte(b)}
	received := make(chan int, 1)
	go func() {
		count := 0
		for ; ; count++ {
			if _, err := right.Receive(); err != nil {
				received <- count
				return
			}
		}
	}()
	b.ReportAllocs()
	sent := 0
	for b.Loop() {
		if err := left.Send(b.Context(), env); err != nil {
			b.Fatal(err)
		}
		sent++
	}
	if err := left.Flush(b.Context()); err != nil {
		b.Fatal(err)
	}
	_ = left.Close()
	if got := <-received; got != sent {
		b.Fatalf("received %d frames of %d", got, sent)
	}
	b.ReportMetric(float64(sent)/b.Elapsed().Seconds(), "frames/s")
}

// BenchmarkRoundTrip is the time of a 1 KB question and its 1 KB answer.
func BenchmarkRoundTrip(b *testing.B) {
	left, right := socketPair(b)
	echoed := make(chan struct{})
	go func() {
		defer close(echoed)
		for {
			env, err := right.Receive()
			if err != nil || right.Send(b.Context(), env) != nil {
				return
			}
		}
	}()
	env := ipc.Envelope{Type: ipc.TypeWant, ID: 7, Body: kilobyte(b)}
	b.ReportAllocs()
	for b.Loop() {
		if err := left.Send(b.Context(), env); err != nil {
			b.Fatal(err)
		}
		if _, err := left.Receive(); err != nil {
			b.Fatal(err)
		}
	}
	b.StopTimer()
	_ = left.Close()
	<-echoed
}
