package supervisor

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/masixun71/cupid/ipc"
)

// Sentences for what the pool cannot do. They come wrapped with the slot.
var (
	// ErrNotReady says that the slot has no worker that takes frames at the moment.
	ErrNotReady = errors.New("worker not ready")
	// ErrStopping says that the pool stops or has stopped.
	ErrStopping = errors.New("stopping")
	// ErrNoSlot says that the pool has no such slot.
	ErrNoSlot = errors.New("no such slot")
)

// plan is what the workers of the pool are started with. It is never changed, only replaced.
type plan struct {
	slots   []Slot
	payload func(slot int) json.RawMessage
	starter Starter
}

// Pool is a set of slots with a worker each. Run does all of the work; the other methods may be called from any goroutine.
type Pool struct {
	config     Config
	happenings chan func() // what other goroutines report, done by the loop in the order of arrival
	stop       chan struct{}
	stopOnce   sync.Once
	ended      chan struct{} // closed when Run returns

	mu    sync.Mutex   // guards view and links
	view  []SlotStatus // by slot, as Status says it
	links []*ipc.Conn  // by slot, where Send sends to; nil: nowhere

	// The rest belongs to the loop.
	plan      *plan
	slots     []*slot
	launch    func(starter Starter, order Order, report func(Child, error))
	helpers   sync.WaitGroup
	timer     *time.Timer
	timerAt   time.Time
	reload    *reload // in progress; nil: none
	waiting   *request
	stopping  bool
	stopAt    time.Time // when what still lives is killed
	stageAt   time.Time // when all stages begin
	endStarts context.CancelFunc
}

// New returns a pool that does nothing yet.
func New(config Config) *Pool {
	p := &Pool{
		config:     config.withDefaults(),
		happenings: make(chan func()), // without room: a flood of frames then waits in the workers, not here
		stop:       make(chan struct{}),
		ended:      make(chan struct{}),
		plan:       &plan{slots: config.Slots, payload: config.Payload, starter: config.Starter},
	}
	p.fit(len(config.Slots))
	return p
}

// Run starts all slots and keeps them alive until ctx is done or Stop is called, and returns when all workers are gone. The error is
// nil. It is called once.
func (p *Pool) Run(ctx context.Context) error {
	defer close(p.ended)
	starts, endStarts := context.WithCancel(ctx)
	defer endStarts()
	p.endStarts = endStarts
	p.launch = func(starter Starter, order Order, report func(Child, error)) {
		p.helpers.Go(func() {
			limited, cancel := context.WithTimeout(starts, p.config.StartTimeout)
			defer cancel()
			child, err := starter.Start(limited, order)
			p.post(func() { report(child, err) })
		})
	}
	p.timer = time.NewTimer(0)
	defer p.timer.Stop()
	for _, s := range p.slots {
		if !s.spec().Unused {
			p.start(s)
		}
	}
	p.loop(ctx)
	p.helpers.Wait()
	return nil
}

func (p *Pool) loop(ctx context.Context) {
	done := ctx.Done()
	stop := p.stop
	for !p.finished() {
		p.setTimer()
		select {
		case happened := <-p.happenings:
			happened()
		case <-p.timer.C:
			p.timePasses()
		case <-done:
			done = nil
			p.beginStop(context.Cause(ctx).Error())
		case <-stop:
			stop = nil
			p.beginStop("stop was called")
		}
		p.advance()
	}
	p.refuseReloads()
}

// post hands a happening to the loop. All senders wait for their turn in one queue, so that no worker can crowd out
// another. The loop runs until all helpers have reported their last, but for those that only wait to be heard.
func (p *Pool) post(happened func()) bool {
	select {
	case p.happenings <- happened:
		return true
	case <-p.ended:
		return false
	}
}

// Stop drains all workers, kills those that do not end within StopTimeout, and waits for the end of Run.
func (p *Pool) Stop() {
	p.stopOnce.Do(func() { close(p.stop) })
	<-p.ended
}

// Send sends env to the worker of a slot, which must be ready or draining. It never waits: ipc.ErrFull says that the worker is behind and env
// was not taken, so that it may be offered again. A nil error means queued; when the worker dies first, Gone says so.
func (p *Pool) Send(slot int, env ipc.Envelope) error {
	p.mu.Lock()
	conn, err := p.linkLocked(slot)
	p.mu.Unlock()
	if err != nil {
		return fmt.Errorf("send %s to slot %d: %w", env.Type, slot, err)
	}
	return conn.TrySend(env)
}

func (p *Pool) linkLocked(slot int) (*ipc.Conn, error) {
	if slot < 0 || slot >= len(p.links) {
		return nil, ErrNoSlot
	}
	if p.links[slot] == nil {
		return nil, ErrNotReady
	}
	return p.links[slot], nil
}

// Broadcast sends env, a small frame of control, to all workers that are ready or draining, ahead of other frames. It never waits. The
// error joins those of the workers it could not be sent to.
func (p *Pool) Broadcast(env ipc.Envelope) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	var errs []error
	for _, conn := range p.links {
		if conn != nil {
			errs = append(errs, conn.TrySendUrgent(env))
		}
	}
	return errors.Join(errs...)
}

// Status says how each slot is.
func (p *Pool) Status() []SlotStatus {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]SlotStatus(nil), p.view...)
}

// fit makes the pool have n slots. Those that go have no worker any more.
func (p *Pool) fit(n int) {
	for len(p.slots) < n {
		p.slots = append(p.slots, &slot{number: len(p.slots), plan: p.plan})
	}
	p.slots = p.slots[:n]
	p.mu.Lock()
	defer p.mu.Unlock()
	for len(p.view) < n {
		p.view, p.links = append(p.view, p.slots[len(p.view)].status()), append(p.links, nil)
	}
	p.view, p.links = p.view[:n], p.links[:n]
}

// publish makes a slot's state known to Status and Send.
func (p *Pool) publish(s *slot) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.view[s.number] = s.status()
	p.links[s.number] = nil
	if w := s.worker; w != nil && w.announced && !w.lost {
		p.links[s.number] = w.conn
	}
}
