package supervisor

import (
	"time"

	"github.com/masixun71/cupid/ipc"
)

// State is where a slot is in the life of its worker.
//
//	            ┌───────────────────────────── wait is over ──────────────────────────────┐
//	            ▼                                                                         │
//	       ┌─────────┐ forked ┌──────────┐ hello ┌───────────┐ ready ┌───────┐            │
//	idle ─▶│starting │───────▶│ greeting │──────▶│ preparing │──────▶│ ready │            │
//	       └─────────┘        └──────────┘       └───────────┘       └───────┘            │
//	            │                   │ too slow, other    │ too slow,    │  │ drain        │
//	            │                   │ version, nonsense  │ nonsense     │  ▼              │
//	            │ not forked        ▼                    ▼         hung,│ ┌──────────┐    │
//	            │              ┌─────────────────────────────┐ nonsense │ │ draining │    │
//	            │              │ killing (asked, then killed)│◀─────────┘ └──────────┘    │
//	            │              └─────────────────────────────┘◀── too slow ───┘ │         │
//	            │                             │ gone                            │ gone    │
//	            ▼                             ▼                                 ▼         │
//	       ┌──────────────────────────────────────────────────────────────────────────────┴┐
//	       │ backing off: the wait may be nothing. A worker that ends by itself comes here │
//	       │ from every state in which there is one                                        │
//	       └───────────────────────────────────────────────────────────────────────────────┘
//
// When the pool stops or the slot is removed, stopped takes the place of backing off, and stays.
type State int

// The states of a slot.
const (
	Idle       State = iota // nothing was started yet
	Starting                // the Starter is at work
	Greeting                // the process runs and has not said hello
	Preparing               // it was welcomed and is not ready
	Ready                   // it works
	Draining                // it was asked to finish what it has and to exit
	Killing                 // it must go; at the deadline by SIGKILL
	BackingOff              // there is none; the next one is started at the deadline
	Stopped                 // there is none, and none will be started
)

// String returns the state's name in words.
func (s State) String() string {
	names := [...]string{"idle", "starting", "greeting", "preparing", "ready", "draining", "killing", "backing off", "stopped"}
	if s < 0 || int(s) >= len(names) {
		return "unknown"
	}
	return names[s]
}

// slot is one place in the pool. Only the loop touches it.
type slot struct {
	number     int
	plan       *plan // what its next worker is started with
	state      State
	deadline   time.Time // when the state ends by force; zero: never
	worker     *worker   // nil in idle, starting, backing off and stopped
	generation uint64
	asked      bool // its worker goes because the pool wants it to, so that its end is no crash
	removed    bool // it has no place in the plan any more
	failures   int  // deaths in a row without health between them, but for those in blamed
	blamed     int  // those that the Handler has blamed on the work, up to MaxBlamed
	restarts   int
	lastExit   string
}

// worker is one generation of a slot.
type worker struct {
	generation uint64
	plan       *plan // what it was started with
	child      Child
	conn       *ipc.Conn
	announced  bool // the Handler has heard of it
	exited     bool // the process was waited for
	lost       bool // nothing more will be received
	reason     string
	readySince time.Time
	progress   uint64
	beatBy     time.Time // when progress is due; zero until it is ready
	rssBytes   int64
	rssLimit   int64
}

// blame notes why a worker has to go. The first reason stays: the others follow from it.
func (w *worker) blame(reason string) {
	if w.reason == "" {
		w.reason = reason
	}
}

// end says in words how a worker that has exited came to its end.
func (w *worker) end() string {
	exit := "exit status 0"
	if err := w.child.Err(); err != nil {
		exit = err.Error()
	}
	if w.reason == "" {
		return exit
	}
	return w.reason + " (" + exit + ")"
}

// SlotStatus is what Status says about a slot.
type SlotStatus struct {
	Slot       int       `json:"slot"`
	Role       string    `json:"role"`
	Pid        int       `json:"pid,omitempty"` // 0 while there is no process
	State      string    `json:"state"`
	Generation uint64    `json:"generation"`
	Restarts   int       `json:"restarts"`            // replacements of workers that nobody had asked to go
	ReadySince time.Time `json:"readySince,omitzero"` // zero while it is not ready
	RSSBytes   int64     `json:"rssBytes,omitempty"`  // as of the last heartbeat
	LastExit   string    `json:"lastExit,omitempty"`  // how the last worker of the slot ended
}

func (s *slot) status() SlotStatus {
	status := SlotStatus{
		Slot: s.number, Role: s.spec().Role, State: s.state.String(), Generation: s.generation,
		Restarts: s.restarts, LastExit: s.lastExit,
	}
	if w := s.worker; w != nil {
		status.Pid, status.ReadySince, status.RSSBytes = w.child.Pid(), w.readySince, w.rssBytes
	}
	return status
}

func (s *slot) spec() Slot { return s.plan.slots[s.number] }
