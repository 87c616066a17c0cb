package supervisor

import (
	"context"
	"encoding/json"
	"math/rand/v2"
	"net"
	"os"
	"time"

	"github.com/rs/zerolog"

	"github.com/masixun71/cupid/ipc"
)

// Slot describes a place in the pool; its number is its index.
type Slot struct {
	// Role is what the worker is told to be.
	Role string
	// Title is what ps shows for it.
	Title string
	// Unused says that the slot has no worker: it stays idle, and keeps its number.
	Unused bool
	// Stage is when the slot is drained on Stop: lower stages first. A stage begins when the workers of those before it are gone,
	// at the latest after two thirds of StopTimeout. So a worker on which others depend is the last.
	Stage int
	// DrainTimeout is Config.DrainTimeout for the worker of this slot, where it is not 0.
	DrainTimeout time.Duration
	// ReadyTimeout is likewise Config.ReadyTimeout, once the worker has said hello.
	ReadyTimeout time.Duration
}

// Order is what a Starter is asked to start.
type Order struct {
	Slot       int    // the slot's number
	Generation uint64 // which start of the slot this is; the worker repeats both in its hello
	Role       string
	Title      string
}

// Starter makes worker processes. Start is called from several goroutines at once, never twice at once for a slot. It may take until
// ctx is done and not longer; what it has started by then, it returns.
type Starter interface {
	Start(ctx context.Context, order Order) (Child, error)
}

// StarterFunc is a function as a Starter.
type StarterFunc func(ctx context.Context, order Order) (Child, error)

// Start calls f.
func (f StarterFunc) Start(ctx context.Context, order Order) (Child, error) { return f(ctx, order) }

// Child is a worker process. No method may block; all may be called from several goroutines.
type Child interface {
	// Conn is the master's end of the connection; the pool closes it.
	Conn() net.Conn
	// Pid is for logs and status.
	Pid() int
	// Signal sends a signal to this process and never to another one.
	Signal(sig os.Signal) error
	// Done is closed when the process has ended and was waited for.
	Done() <-chan struct{}
	// Err is, after Done, how it ended: nil means exit code 0.
	Err() error
}

// Handler hears what the workers do. It is called from the pool's loop: it must not block, and it may call Send and
// Broadcast and Status, but not Reload and not Stop.
type Handler interface {
	// Ready says that a worker is set up.
	Ready(slot int, generation uint64)
	// Message hands over a frame that the pool itself has no use for. env.Body may be kept.
	Message(slot int, generation uint64, env ipc.Envelope)
	// Gone says that a ready worker has ended; drained tells that it did so by itself and with exit code 0. The answer is
	// whether its work is to blame, which will be another for its successor: see Config.MaxBlamed.
	Gone(slot int, generation uint64, reason string, drained bool) (blamed bool)
}

// Update is what a Reload changes.
type Update struct {
	// Slots replaces Config.Slots; there may be more or fewer. Nil: as before.
	Slots []Slot
	// Payload replaces Config.Payload. Nil: as before.
	Payload func(slot int) json.RawMessage
	// Starter replaces Config.Starter. Nil: as before.
	Starter Starter
}

// Config holds the settings of a Pool. Zero durations mean their defaults.
type Config struct {
	// Slots are the places of the pool.
	Slots []Slot
	// Payload returns the configuration that a worker is welcomed with. It is called from the loop and must not block.
	// Nil: none.
	Payload func(slot int) json.RawMessage
	Starter Starter
	Handler Handler
	Log     zerolog.Logger

	// StartTimeout bounds one call of Starter.Start, the wait for a predecessor's lock included. Default 15 s.
	StartTimeout time.Duration
	// ReadyTimeout is how long a started worker may take to say ready. Default 15 s.
	ReadyTimeout time.Duration
	// HeartbeatTimeout is how long a ready worker may show no progress, and how long it may leave frames unread. Default 5 s.
	HeartbeatTimeout time.Duration
	// QuitTimeout is how long a hung worker may take to write its stacks (SIGQUIT), or one that has ended its connection to end itself,
	// before it is killed. Default 500 ms.
	QuitTimeout time.Duration
	// DrainTimeout is how long a worker may take to finish what it has in hand on a reload. Default 10 s.
	DrainTimeout time.Duration
	// StopTimeout is how long all workers together may take to finish on Stop. Default 1.2 s: with the kill after it,
	// that fits into the 1.5 s of the design.
	StopTimeout time.Duration
	// BackoffBase and BackoffLimit bound the wait before a worker that died again is replaced; the first death has no wait. Defaults 100 ms
	// and 30 s. BackoffJitter spreads it; default 0.2.
	BackoffBase, BackoffLimit time.Duration
	BackoffJitter             float64
	// MaxBlamed is how many deaths of a slot the Handler may blame on the work without health between them: after each of
	// these but the first death the wait is BackoffBase, and the waits after others do not grow for it. Further ones count like others. Default 64.
	MaxBlamed int
	// HealthyAfter is how long a worker must have been ready for earlier deaths to be forgotten. Default 30 s.
	HealthyAfter time.Duration
	// CleanExitWait is how long the replacement of a worker waits that ended well without being asked: a SIGTERM to the whole
	// process group has probably reached it first, and the pool's own stop is about to follow. Default 500 ms.
	CleanExitWait time.Duration
	// MaxRSSBytes is the resident memory above which a worker is renewed, spread over 10 % by chance, one at a time. 0: no limit.
	MaxRSSBytes int64
	// QueueBytes bounds the frames that wait for one worker; then Send says ipc.ErrFull. Default 8 MiB.
	QueueBytes int
	// Rand returns values in [0, 1). Default: math/rand/v2.
	Rand func() float64
}

func (c Config) withDefaults() Config {
	for setting, value := range map[*time.Duration]time.Duration{
		&c.StartTimeout:     15 * time.Second,
		&c.ReadyTimeout:     15 * time.Second,
		&c.HeartbeatTimeout: 5 * time.Second,
		&c.QuitTimeout:      500 * time.Millisecond,
		&c.DrainTimeout:     10 * time.Second,
		&c.StopTimeout:      1200 * time.Millisecond,
		&c.BackoffBase:      100 * time.Millisecond,
		&c.BackoffLimit:     30 * time.Second,
		&c.HealthyAfter:     30 * time.Second,
		&c.CleanExitWait:    500 * time.Millisecond,
	} {
		if *setting <= 0 {
			*setting = value
		}
	}
	if c.BackoffJitter <= 0 {
		c.BackoffJitter = 0.2
	}
	if c.MaxBlamed <= 0 {
		c.MaxBlamed = 64
	}
	if c.QueueBytes <= 0 {
		c.QueueBytes = 8 << 20
	}
	if c.Rand == nil {
		c.Rand = rand.Float64
	}
	return c
}
