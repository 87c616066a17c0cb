package protocol_test

// variant is the protocol with something broken; its zero value is the protocol.
type variant struct {
	ackBeforeSync   bool // the callback worker acknowledges what it has only in memory
	cursorAtHandOut bool // the manager passes a range when it gives it away
	doneBeforeAck   bool // a task worker does not wait until its events are durable
	oneGeneration   bool // the chunks of a manager are not told from those of the one before
	ackOfTheDead    bool // an acknowledgment for a dead worker reaches the next one of its slot
	goneAtAccept    bool // a 2xx takes the event out of the queue
	passedByTheLast bool // the cursor moves to the last range that is done, over those before it
}

// step is one thing that can happen next.
type step struct {
	name string
	kill bool
	to   state
}

// happenings collects all that can happen in a state.
type happenings struct {
	from   state
	broken variant
	all    []step
}

// next are the steps out of s.
func (s state) next(broken variant) []step {
	h := &happenings{from: s, broken: broken}
	h.world()
	h.masterSteps()
	h.managerSteps()
	h.callbackSteps()
	for t := range tasks {
		h.taskSteps(t)
	}
	h.kills()
	return h.all
}

func (h *happenings) add(name string, do func(s *state)) {
	to := h.from
	do(&to)
	h.all = append(h.all, step{name: name, to: to})
}

// world is what happens to the rows without cupid.
func (h *happenings) world() {
	for i, row := range h.from.rows {
		if row == lagging {
			h.add("replication catches up", func(s *state) { s.rows[i] = equal })
		}
	}
}

// kills are the deaths, of any process at any step. What is on its way to a process that
// is dead is lost; what it sent before may still be read until the master notices.
// The workers of a dead master see the end of file. That they outlive it for a moment
// is left out: they are told nothing new, the next ones wait for the locks of their slots, and
// so what they still do is what they may as well have done before.
func (h *happenings) kills() {
	if h.from.kills == 0 {
		return
	}
	kill := func(name string, do func(s *state)) {
		h.add("kill "+name, func(s *state) { s.kills--; do(s) })
		h.all[len(h.all)-1].kill = true
	}
	kill("master, and with it everything", func(s *state) {
		s.master, s.manager, s.callback, s.tasks = router{}, planner{}, deliverer{}, [tasks]worker{}
	})
	if h.from.manager.life == running {
		kill("manager", func(s *state) {
			s.manager = planner{link: link{life: dead, up: s.manager.up}, gen: s.manager.gen}
		})
	}
	if h.from.callback.life == running {
		kill("callback worker", func(s *state) {
			s.callback = deliverer{link: link{life: dead, up: s.callback.up}}
		})
	}
	for t := range h.from.tasks {
		if h.from.tasks[t].life == running {
			kill("task worker", func(s *state) { s.tasks[t] = worker{link: link{life: dead, up: s.tasks[t].up}} })
		}
	}
}

func (h *happenings) managerSteps() {
	m := &h.from.manager
	if m.life != running {
		return
	}
	if next := m.offer(); m.asked > 0 && next >= 0 {
		h.add("manager: lane.cutNext, Manager.dispatch", func(s *state) { s.manager.give(next, h.broken) })
	}
	if m.cursor > h.from.cursor {
		h.add("manager: ledger.save", func(s *state) { s.cursor = s.manager.cursor })
	}
}

// offer is the chunk to give next, one that is staged again first; -1 is none.
func (m *planner) offer() int {
	for i, crashes := range m.again {
		if crashes > 0 {
			return i
		}
	}
	if m.base+m.cut < ranges {
		return int(m.cut)
	}
	return -1
}

func (m *planner) give(i int, broken variant) {
	p := piece{gen: m.gen, seq: uint8(i), of: m.base + uint8(i)}
	if broken.oneGeneration {
		p.gen = 0
	}
	if m.again[i] > 0 {
		p.crashes, m.again[i] = m.again[i]-1, 0
	} else {
		m.open[i] = out
		m.cut++
	}
	if broken.cursorAtHandOut {
		m.cursor = m.base + m.cut
	}
	m.asked--
	m.up.push(message{kind: offer, piece: p})
}

// knows reports whether a chunk is one of this manager and out, as lane.finish and
// lane.hear ask.
func (m *planner) knows(p piece, broken variant) bool {
	return m.life == running && (broken.oneGeneration || p.gen == m.gen) && m.open[p.seq] == out && m.again[p.seq] == 0
}

// failed is Manager.Crashed: the halves of a chunk begin with one crash.
func (m *planner) failed(p piece, broken variant) {
	if m.knows(p, broken) {
		m.again[p.seq] = 1 + 1
	}
}

// done is Manager.Done: the cursor passes what is done without a gap.
func (m *planner) done(p piece, broken variant) {
	if !m.knows(p, broken) {
		return
	}
	m.open[p.seq] = passed
	for n := m.base; n < ranges && m.open[n-m.base] == passed; n++ {
		m.cursor = max(m.cursor, n+1)
	}
	if broken.passedByTheLast {
		m.cursor = max(m.cursor, m.base+p.seq+1)
	}
}

func (h *happenings) taskSteps(t int) {
	w := &h.from.tasks[t]
	if w.life != running {
		return
	}
	add := func(name string, do func(s *state, w *worker)) {
		h.add("task worker: "+name, func(s *state) { do(s, &s.tasks[t]) })
	}
	row := h.from.rows[w.hand.of]
	switch {
	case w.stage == idle && w.up[0].kind == none: // a wish that is not read is as one that is not sent
		add("Work.Want", func(s *state, w *worker) {
			w.stage = wanting
			s.want(t)
		})
	case w.stage == comparing && row == equal:
		add("Worker.process: equal", func(s *state, w *worker) { s.end(w) })
	case w.stage == comparing:
		add("Worker.again: Work.Submit", func(_ *state, w *worker) {
			w.sent++
			w.up.push(message{kind: events, piece: piece{of: w.hand.of}, id: w.sent})
			if w.stage = submitted; h.broken.doneBeforeAck {
				w.stage = compared
			}
		})
	case w.stage == compared:
		add("Work.Done", func(_ *state, w *worker) {
			w.up.push(message{kind: done, piece: w.hand})
			w.stage, w.hand = idle, piece{}
		})
	}
}

// take is Worker.Take.
func (w *worker) take(p piece) {
	if w.life != running {
		return
	}
	if w.stage != wanting {
		panic("a task worker was given more than it asked for")
	}
	w.stage, w.hand = comparing, p
}

// acknowledged is the end of Work.Submit.
func (s *state) acknowledged(u held) {
	if w := &s.tasks[u.task-1]; w.life == running && w.stage == submitted && w.sent == u.own {
		s.end(w)
	}
}

// end is the end of a comparison that knows of nothing that is not durable.
func (s *state) end(w *worker) {
	w.stage = compared
	s.compared[w.hand.of] = true
}

func (h *happenings) callbackSteps() {
	c := &h.from.callback
	if c.life != running {
		return
	}
	waits := c.down[0].kind != none
	switch {
	case h.broken.ackBeforeSync && c.id != 0:
		h.add("callback worker: store.put", func(s *state) {
			s.queue[s.callback.row] = true
			s.callback.id, s.callback.row = 0, 0
		})
	case h.broken.ackBeforeSync && waits:
		h.add("callback worker: delivery.ack", func(s *state) {
			s.callback.up.push(message{kind: ack, id: s.callback.takeNext()})
		})
	case c.id != 0:
		h.add("callback worker: delivery.ack", func(s *state) {
			s.callback.up.push(message{kind: ack, id: s.callback.id})
			s.callback.id, s.callback.row = 0, 0
		})
	case waits: // what is in memory only is as what is still on its way
		h.add("callback worker: store.put", func(s *state) {
			s.callback.takeNext()
			s.queue[s.callback.row] = true
		})
	}
	h.deliveries()
}

func (c *deliverer) takeNext() (id uint8) {
	e := c.down.pop()
	c.id, c.row = e.id, e.of
	return e.id
}

// deliveries are the attempts. One that fails, or is answered and repairs nothing,
// changes nothing that the model has.
func (h *happenings) deliveries() {
	for i, queued := range h.from.queue {
		switch {
		case !queued:
		case h.from.rows[i] == equal:
			h.add("callback worker: lane.finish: seen equal", func(s *state) { s.queue[i] = false })
		default:
			h.add("callback worker: lane.post: repaired", func(s *state) { s.rows[i] = equal })
			if h.broken.goneAtAccept {
				h.add("callback worker: lane.post: accepted", func(s *state) { s.queue[i] = false })
			}
		}
	}
}
