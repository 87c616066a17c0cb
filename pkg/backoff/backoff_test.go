package backoff_test

import (
	"math"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/masixun71/cupid/pkg/backoff"
)

func TestDelayDoublesUpToTheLimit(t *testing.T) {
	tests := []struct {
		attempt int
		want    time.Duration
	}{
		{-1, 0},
		{0, 0},
		{1, 100 * time.Millisecond},
		{2, 200 * time.Millisecond},
		{3, 400 * time.Millisecond},
		{9, 25600 * time.Millisecond},
		{10, 30 * time.Second},
		{11, 30 * time.Second},
		{64, 30 * time.Second},
		{math.MaxInt, 30 * time.Second},
	}
	for _, test := range tests {
		got := backoff.Delay(test.attempt, 100*time.Millisecond, 30*time.Second, 0, nil)
		if got != test.want {
			t.Errorf("after %d failures: got %v, want %v", test.attempt, got, test.want)
		}
	}
}

func TestDelayJitterReachesBothEnds(t *testing.T) {
	tests := []struct {
		rnd  float64
		want time.Duration
	}{
		{0, 800 * time.Millisecond},
		{0.5, time.Second},
		{0.75, 1100 * time.Millisecond},
	}
	for _, test := range tests {
		got := backoff.Delay(1, time.Second, time.Minute, 0.2, func() float64 { return test.rnd })
		if (got - test.want).Abs() > time.Microsecond {
			t.Errorf("rnd %v: got %v, want %v", test.rnd, got, test.want)
		}
	}
}

func TestDelayStaysInItsBounds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		attempt := rapid.IntRange(1, 1<<40).Draw(t, "attempt")
		base := time.Duration(rapid.Int64Range(1, 1<<40).Draw(t, "base"))
		limit := time.Duration(rapid.Int64Range(int64(base), math.MaxInt64).Draw(t, "limit"))
		jitter := rapid.Float64Range(0, 1).Draw(t, "jitter")
		rnd := rapid.Float64Range(0, 0.999999).Draw(t, "rnd")
		got := backoff.Delay(attempt, base, limit, jitter, func() float64 { return rnd })
		if got < 0 || got > limit {
			t.Errorf("got %v, want between 0 and %v", got, limit)
		}
		if low := time.Duration(float64(base) * (1 - jitter) * 0.999); got < low-1 {
			t.Errorf("got %v, want at least %v", got, low)
		}
	})
}
