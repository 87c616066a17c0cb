package notify_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"

	"github.com/masixun71/cupid/pkg/notify"
)

// fakeSender is a service in memory.
type fakeSender struct {
	send  func(context.Context, notify.Message) error // nil: takes everything
	limit notify.Limit

	mu   sync.Mutex
	got  []notify.Message
	when []time.Time
}

func (f *fakeSender) Name() string        { return "fake" }
func (f *fakeSender) Limit() notify.Limit { return f.limit }

func (f *fakeSender) Send(ctx context.Context, m notify.Message) error {
	f.mu.Lock()
	f.when = append(f.when, time.Now())
	f.mu.Unlock()
	if f.send != nil {
		if err := f.send(ctx, m); err != nil {
			return err
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.got = append(f.got, m)
	return nil
}

func (f *fakeSender) messages() []notify.Message {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]notify.Message(nil), f.got...)
}

func (f *fakeSender) attempts() []time.Time {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]time.Time(nil), f.when...)
}

// run starts a Collector in a bubble; stop stops it and waits.
func run(t *testing.T, o notify.CollectorOptions, senders ...notify.Sender) (c *notify.Collector, stop func()) {
	t.Helper()
	c = notify.NewCollector(senders, o)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- c.Run(ctx) }()
	return c, func() {
		t.Helper()
		cancel()
		if err := <-done; err != nil {
			t.Errorf("run: got %v", err)
		}
	}
}

// after lets time pass in the bubble.
func after(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}

func TestCollectedIntoOneMessage(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &fakeSender{}
		c, stop := run(t, notify.CollectorOptions{Every: time.Minute}, s)
		for range 1000 {
			c.Add("callback keeps failing", "orders → http://h")
		}
		after(30 * time.Second)
		c.Add("url down", "http://h")
		after(29 * time.Second)
		if got := s.messages(); len(got) != 0 {
			t.Fatalf("too early: %v", got)
		}
		after(2 * time.Second)
		got := s.messages()
		if len(got) != 1 {
			t.Fatalf("messages: got %d, want 1", len(got))
		}
		want := "2000-01-01 00:00:00 to 2000-01-01 00:00:30\n\ncallback keeps failing: 1000\n- orders → http://h (1000 times)\n\nurl down: 1\n- http://h"
		if zone := time.Now().Location(); zone == time.UTC && got[0].Text != want {
			t.Errorf("text: got\n%s\nwant\n%s", got[0].Text, want)
		}
		if got[0].Title != "cupid: 1001 notices" || !strings.HasSuffix(got[0].Text, want[len("2000-01-01 00:00:00 to 2000-01-01 00:00:30"):]) {
			t.Errorf("got %+v", got[0])
		}
		after(time.Hour)
		if got := s.messages(); len(got) != 1 {
			t.Errorf("messages after silence: got %d", len(got))
		}
		c.Add("url back", "http://h")
		after(61 * time.Second)
		if got := s.messages(); len(got) != 2 || got[1].Title != "cupid: url back" {
			t.Errorf("got %v", got)
		}
		stop()
		if got := s.messages(); len(got) != 2 {
			t.Errorf("stop sent an empty message: %v", got)
		}
	})
}

func TestManyDistinctLinesAreCounted(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &fakeSender{}
		c, stop := run(t, notify.CollectorOptions{Lines: 3}, s)
		for i := range 5000 {
			c.Add("failed", fmt.Sprint("row ", i))
			c.Add(fmt.Sprint("kind ", i), strings.Repeat("x", 10_000)+"\n")
		}
		stop()
		got := s.messages()[0]
		if lines := strings.Count(got.Text, "\n"); lines > 200 || len(got.Text) > 10_000 {
			t.Errorf("got %d lines, %d bytes", lines, len(got.Text))
		}
		if !strings.Contains(got.Text, "failed: 5000\n- row 0\n- row 1\n- and 4998 more, not listed\n") || got.Title != "cupid: 10000 notices" {
			t.Errorf("got %s\n%s", got.Title, got.Text)
		}
	})
}

func TestFailedMessageIsKeptAndTriedAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		down := true
		var mu sync.Mutex
		s := &fakeSender{send: func(context.Context, notify.Message) error {
			mu.Lock()
			defer mu.Unlock()
			if down {
				return errors.New("down")
			}
			return nil
		}}
		other := &fakeSender{}
		c, stop := run(t, notify.CollectorOptions{Every: 10 * time.Second}, s, other)
		c.Add("failed", "a")
		after(11 * time.Second)
		c.Add("failed", "a")
		c.Add("failed", "b")
		after(2 * time.Hour)
		if got := other.messages(); len(got) != 2 {
			t.Errorf("other service: got %d messages, want 2", len(got))
		}
		times := s.attempts()
		if len(times) < 10 || len(times) > 30 {
			t.Errorf("attempts in two hours: got %d", len(times))
		}
		for i := 1; i < len(times); i++ {
			if gap := times[i].Sub(times[i-1]); gap < 4*time.Second || gap > 12*time.Minute {
				t.Errorf("gap %d: got %v", i, gap)
			}
		}
		mu.Lock()
		down = false
		mu.Unlock()
		after(13 * time.Minute)
		got := s.messages()
		if len(got) != 1 || !strings.Contains(got[0].Text, "failed: 3\n- a (2 times)\n- b") {
			t.Errorf("got %v", got)
		}
		stop()
	})
}

func TestLimitOfTheServiceIsKept(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &fakeSender{limit: notify.Limit{Messages: 5, Per: 24 * time.Hour}}
		c, stop := run(t, notify.CollectorOptions{Every: time.Minute}, s)
		for i := range 48 * 6 {
			c.Add("failed", fmt.Sprint("in part ", i))
			after(10 * time.Minute)
		}
		times := s.attempts()
		for i := 5; i < len(times); i++ {
			if gap := times[i].Sub(times[i-5]); gap < 24*time.Hour {
				t.Errorf("message %d came %v after the fifth before it", i, gap)
			}
		}
		if len(times) != 10 {
			t.Errorf("messages in two days: got %d, want 10", len(times))
		}
		stop()
	})
}

func TestServiceThatAsksForAPauseGetsIt(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &fakeSender{}
		s.send = func(context.Context, notify.Message) error {
			if len(s.attempts()) == 1 {
				return &notify.Error{Service: "fake", Reason: "too fast", RetryAfter: time.Hour}
			}
			return nil
		}
		c, stop := run(t, notify.CollectorOptions{Every: time.Second}, s)
		c.Add("failed", "a")
		after(2 * time.Hour)
		if times := s.attempts(); len(times) != 2 || times[1].Sub(times[0]) < time.Hour {
			t.Errorf("got %v", times)
		}
		stop()
	})
}

func TestStopSendsOnceMore(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &fakeSender{}
		c, stop := run(t, notify.CollectorOptions{Every: time.Hour}, s)
		c.Add("failed", "a")
		stop()
		if got := s.messages(); len(got) != 1 {
			t.Errorf("got %v", got)
		}
	})
}

func TestStopDoesNotWaitForAHangingService(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		hang := func(ctx context.Context, _ notify.Message) error {
			<-ctx.Done()
			return ctx.Err()
		}
		for _, begun := range []time.Duration{0, 3 * time.Second} { // before and while it hangs
			s := &fakeSender{send: hang}
			c, stop := run(t, notify.CollectorOptions{Every: time.Second, Log: zerolog.New(&log)}, s)
			c.Add("failed", "the lost line")
			after(begun)
			start := time.Now()
			stop()
			if took := time.Since(start); took > 900*time.Millisecond {
				t.Errorf("stop took %v", took)
			}
		}
		if got := strings.Count(log.String(), "the lost line"); got != 2 {
			t.Errorf("the log does not have what was lost: %s", log.String())
		}
	})
}

func TestAddWhileTheServiceHangsDoesNotWait(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &fakeSender{send: func(ctx context.Context, _ notify.Message) error {
			<-ctx.Done()
			return ctx.Err()
		}}
		c, stop := run(t, notify.CollectorOptions{Every: time.Second}, s)
		c.Add("failed", "a")
		after(2 * time.Second)
		start := time.Now()
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				for range 1000 {
					c.Add("failed", "a")
				}
			})
		}
		wg.Wait()
		if took := time.Since(start); took != 0 {
			t.Errorf("add waited %v", took)
		}
		stop()
	})
}

func TestCollectorWithoutSenders(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c, stop := run(t, notify.CollectorOptions{})
		c.Add("failed", "a")
		stop()
	})
}

func BenchmarkAdd(b *testing.B) {
	c := notify.NewCollector([]notify.Sender{&fakeSender{}}, notify.CollectorOptions{})
	b.ReportAllocs()
	for b.Loop() {
		c.Add("failed", "orders: callback keeps failing")
	}
}
