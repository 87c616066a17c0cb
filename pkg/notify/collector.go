package notify

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/rs/zerolog"
)

// CollectorOptions say how a Collector collects. The zero value is usable, but logs nothing.
type CollectorOptions struct {
	// Title begins the title of every message. Empty means "cupid".
	Title string
	// Every is how long is collected, from the first occurrence on, before a message is sent. Zero means 30 s.
	Every time.Duration
	// Lines is the number of distinct lines that are kept for one message; further ones are counted only. Zero means 50.
	Lines int
	// StopTimeout bounds the last messages when Run is told to stop. Zero means 800 ms, as all of cupid has to stop
	// within 1.5 s.
	StopTimeout time.Duration
	// Log gets the failures of the services.
	Log zerolog.Logger
}

const (
	defaultEvery       = 30 * time.Second
	defaultLines       = 50
	defaultStopTimeout = 800 * time.Millisecond

	// A service that fails is tried again after firstRetry, then twice as long, up to lastRetry, each time ±20 %.
	firstRetry = 5 * time.Second
	lastRetry  = 10 * time.Minute
)

// Collector makes one message of many occurrences, for each sender by itself: a service that is down or asks for a
// pause delays no other. What a service did not take stays, grows bounded, and goes out with what came since.
type Collector struct {
	o     CollectorOptions
	lanes []*lane
}

// lane is one sender with what it has not sent yet. Run has one goroutine for each, which alone takes from it.
type lane struct {
	sender Sender
	limit  Limit
	filled chan struct{} // holds one: the backlog is no longer empty

	mu      sync.Mutex
	pending *backlog
	sent    []time.Time // of the messages within limit.Per
}

// NewCollector returns a Collector for senders. Without senders it takes everything and does nothing.
func NewCollector(senders []Sender, o CollectorOptions) *Collector {
	if o.Title == "" {
		o.Title = "cupid"
	}
	if o.Every <= 0 {
		o.Every = defaultEvery
	}
	if o.Lines <= 0 {
		o.Lines = defaultLines
	}
	if o.StopTimeout <= 0 {
		o.StopTimeout = defaultStopTimeout
	}
	c := &Collector{o: o}
	for _, s := range senders {
		l := &lane{sender: s, filled: make(chan struct{}, 1), pending: &backlog{maxLines: o.Lines}}
		if limited, ok := s.(Limited); ok {
			l.limit = limited.Limit()
		}
		c.lanes = append(c.lanes, l)
	}
	return c
}

// Add notes an occurrence: its kind, which groups it in the message and must come from a small set, and a line of text,
// which must hold no secret. It never waits and may be called before, while and after Run runs; what is added after
// Run has returned is not sent.
func (c *Collector) Add(kind, text string) {
	now := time.Now()
	for _, l := range c.lanes {
		l.mu.Lock()
		l.pending.add(kind, text, 1, now)
		l.mu.Unlock()
		select {
		case l.filled <- struct{}{}:
		default:
		}
	}
}

// Run sends until ctx ends, then sends once more what is left, within StopTimeout, and returns nil. It must be called
// once only.
func (c *Collector) Run(ctx context.Context) error {
	var wg sync.WaitGroup
	for _, l := range c.lanes {
		wg.Go(func() { c.runLane(ctx, l) })
	}
	wg.Wait()
	return nil
}

// runLane waits for something to send, lets it grow for a while, and sends it until it is taken.
func (c *Collector) runLane(ctx context.Context, l *lane) {
	defer c.flush(ctx, l)
	for {
		select {
		case <-l.filled:
		case <-ctx.Done():
			return
		}
		if l.isEmpty() {
			continue // the message before took it along
		}
		wait := c.o.Every
		for failures := 0; ; {
			if !pause(ctx, max(wait, l.untilAllowed(time.Now()))) {
				return
			}
			err := c.send(ctx, l)
			if err == nil {
				break
			}
			if ctx.Err() != nil {
				return
			}
			wait = max(retryDelay(failures), retryAfter(err))
			failures++
			c.o.Log.Warn().Str("service", l.sender.Name()).Int("failures", failures).Int64("retryMillisecond", wait.Milliseconds()).
				Err(err).Msg("notification not delivered")
		}
	}
}

// flush is the last attempt. What it cannot hand over is named in the log, with how much it was.
func (c *Collector) flush(ctx context.Context, l *lane) {
	if l.isEmpty() {
		return
	}
	// Run is told to stop by the end of ctx; this has to outlive it.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), c.o.StopTimeout)
	defer cancel()
	var err error
	if l.untilAllowed(time.Now()) == 0 {
		if err = c.send(ctx, l); err == nil {
			return
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	c.o.Log.Error().Str("service", l.sender.Name()).Int("notices", l.pending.total).Err(err).
		Str("text", l.pending.message(c.o.Title).Text).Msg("notification not delivered before the stop")
}

// send makes one message of what is pending. When the service does not take it, it is pending again, before what came
// meanwhile.
func (c *Collector) send(ctx context.Context, l *lane) error {
	l.mu.Lock()
	taken := l.pending
	l.pending = &backlog{maxLines: c.o.Lines}
	l.sent = append(l.sent, time.Now())
	if n := len(l.sent) - l.limit.Messages; n > 0 {
		l.sent = append(l.sent[:0], l.sent[n:]...)
	}
	l.mu.Unlock()

	sendCtx, cancel := context.WithTimeout(ctx, sendTimeout)
	defer cancel()
	err := l.sender.Send(sendCtx, taken.message(c.o.Title))
	if err == nil {
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	taken.join(l.pending)
	l.pending = taken
	return err
}

func (l *lane) isEmpty() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.pending.empty()
}

// untilAllowed is how long the limit of the service forbids a message. Failed ones count: the service has seen them.
func (l *lane) untilAllowed(now time.Time) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.limit.Messages <= 0 || len(l.sent) < l.limit.Messages {
		return 0
	}
	return max(l.sent[0].Add(l.limit.Per).Sub(now), 0)
}

// retryDelay is the wait after so many failures before it.
func retryDelay(failures int) time.Duration {
	delay := lastRetry
	if failures < 8 {
		delay = min(firstRetry<<failures, lastRetry)
	}
	return time.Duration(float64(delay) * (0.8 + 0.4*rand.Float64()))
}

// retryAfter is how long the service itself asked to be left alone.
func retryAfter(err error) time.Duration {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.RetryAfter
	}
	return 0
}

// pause waits and says whether it waited to the end.
func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
