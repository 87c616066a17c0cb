package protocol_test

import (
	"fmt"
	"slices"
)

// The size of the model. Every range that the manager cuts has one row; more rows
// in a range share its fate.
const (
	ranges = 3
	tasks  = 2
	slots  = 4 // for messages with events that the master holds
)

// world is what a row is like, when both sides are read.
type world uint8

const (
	equal   world = iota
	differs       // until the receiver repairs it
	lagging       // differs until the replication catches up, which may be at any time
)

// life is where a process is between its start and its end.
type life uint8

const (
	absent  life = iota
	running      // and ready
	dead         // killed, and the master has not noticed
)

// kind is the type of a message; ipc/messages.go has the real ones.
type kind uint8

const (
	none  kind = iota
	offer      // ipc.TypeChunk
	done
	events
	ack
)

// piece is a chunk: the name that its manager gave it, and what it is of.
type piece struct {
	gen     uint8 // the manager process that cut it
	seq     uint8 // the how-manieth of this process
	of      uint8 // the range
	crashes uint8
}

// message is one frame.
type message struct {
	kind kind
	piece
	id uint8 // of events and ack
}

// channel is one direction of a socket pair, the first to be read first.
type channel [4]message

func (c *channel) push(m message) {
	for i := range c {
		if c[i].kind == none {
			c[i] = m
			return
		}
	}
	panic(fmt.Sprintf("the model's channel is too short for %+v", m))
}

func (c *channel) pop() message {
	m := c[0]
	copy(c[:], c[1:])
	c[len(c)-1] = message{}
	return m
}

// link is a process as its master sees it, with what it has sent and the master has
// not read. What the master sends is taken in at once by a manager and a task
// worker: whether it is lost with them before or after makes no difference, as long as
// nothing outside of them has changed.
type link struct {
	life life
	up   channel
}

// planner is the memory of a manager (pkg/manager).
type planner struct {
	link
	gen    uint8
	base   uint8 // the cursor that it started with
	cut    uint8 // how many ranges it has cut
	asked  uint8 // credit: how many chunks the master wants
	open   [ranges]progress
	again  [ranges]uint8 // the crashes of a piece that is staged again, plus one
	cursor uint8         // what is to be saved
}

// progress is what a manager knows of a chunk that it cut.
type progress uint8

const (
	out progress = iota + 1
	passed
)

// stage is how far a task worker is with the chunk in its hands (pkg/task).
type stage uint8

const (
	idle stage = iota
	wanting
	comparing // in the first look, or settling
	submitted // and not acknowledged
	compared
)

// worker is the memory of a task worker.
type worker struct {
	link
	stage stage
	hand  piece
	sent  uint8 // messages with events, counted from 1 in each process
}

// deliverer is the memory of the callback worker (pkg/callback).
type deliverer struct {
	link
	down    channel
	id, row uint8 // the message that is stored and not acknowledged; id 0 is none
}

// held is a message with events that the master keeps until it is acknowledged.
type held struct {
	task, own, row uint8 // task is the slot plus one; 0 is no message
	sent           bool
}

// assigned is a chunk that a task worker has.
type assigned struct {
	piece
	given bool
	stale bool
}

// router is the memory of the master (pkg/router).
type router struct {
	up      bool
	waiting [tasks]uint8 // the slots plus one of those that want a chunk, the first to ask first
	hand    [tasks]assigned
	idle    [ranges]piece // seq counts from 1, 0 is no chunk
	credit  uint8
	events  [slots]held // by id-1
}

// state is everything, at one moment. It is comparable, so that a search knows where it
// has been.
type state struct {
	// On disk.
	cursor uint8        // manager-0.json: the ranges below are passed
	queue  [ranges]bool // callback-1.db, by row

	rows     [ranges]world
	compared [ranges]bool // ghost: somebody looked at the range to the end, and all it found was durable
	kills    uint8        // that may still happen
	crew     uint8        // how many task workers there are

	master   router
	manager  planner
	callback deliverer
	tasks    [tasks]worker
}

// lost is a row that nobody would ever look at again: it differs, the cursor on disk
// has passed it, and the queue does not have it.
func (s *state) lost() bool {
	for i, row := range s.rows {
		if row != equal && uint8(i) < s.cursor && !s.queue[i] {
			return true
		}
	}
	return false
}

// skipped reports a cursor, on disk or on its way there, past a range that is open.
func (s *state) skipped() bool {
	for i, looked := range s.compared {
		if !looked && uint8(i) < max(s.cursor, s.manager.cursor) {
			return true
		}
	}
	return false
}

// healed is where everything is to end: all is looked at, and every row is right.
func (s *state) healed() bool {
	return s.cursor == ranges && s.queue == [ranges]bool{} && s.rows == [ranges]world{}
}

// canonical is the state with its task workers in a fixed order: they are alike, so
// states that differ in their order only are one.
func (s state) canonical() state {
	if s.crew < tasks || !s.tasks[1].before(&s.tasks[0]) {
		return s
	}
	s.tasks[0], s.tasks[1] = s.tasks[1], s.tasks[0]
	m := &s.master
	m.hand[0], m.hand[1] = m.hand[1], m.hand[0]
	other := [...]uint8{0, 2, 1}
	for i := range m.waiting {
		m.waiting[i] = other[m.waiting[i]]
	}
	for i := range m.events {
		m.events[i].task = other[m.events[i].task]
	}
	return s
}

func (w *worker) before(o *worker) bool {
	a, b := w.order(), o.order()
	return slices.Compare(a[:], b[:]) < 0
}

func (w *worker) order() [8]uint8 {
	return [...]uint8{uint8(w.life), uint8(w.stage), w.hand.of, w.hand.gen, w.hand.seq, w.hand.crashes, w.sent, uint8(w.up[0].kind)}
}
