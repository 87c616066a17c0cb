package protocol_test

import "slices"

// crashesToHalve is how many workers may die with a chunk before the manager gets
// it back.
const crashesToHalve = 2

func (h *happenings) masterSteps() {
	if !h.from.master.up {
		h.add("master: starts", func(s *state) { s.master.up = true })
		return
	}
	h.linkSteps("manager", managing, func(s *state) {
		s.manager.life, s.manager.gen, s.manager.base, s.manager.cursor = running, s.manager.gen+1, s.cursor, s.cursor
		s.forsake(h.broken)
		s.ask()
	}, func(s *state) {
		s.forsake(h.broken)
		s.manager = planner{gen: s.manager.gen}
	})
	h.linkSteps("callback worker", calling, func(s *state) {
		s.callback.life = running
		s.deliver()
	}, func(s *state) {
		s.callback = deliverer{}
		for i := range s.master.events {
			s.master.events[i].sent = false
		}
	})
	for t := range int(h.from.crew) {
		h.linkSteps("task worker", firstTask+t,
			func(s *state) { s.tasks[t].life = running },
			func(s *state) {
				s.tasks[t] = worker{}
				s.forget(t, h.broken)
				s.takeBack(t, h.broken)
				s.assign()
			})
	}
}

// The slots.
const (
	managing = iota
	calling
	firstTask // and those after it
)

func (s *state) link(slot int) *link {
	switch slot {
	case managing:
		return &s.manager.link
	case calling:
		return &s.callback.link
	}
	return &s.tasks[slot-firstTask].link
}

// linkSteps are what the master does about one of its workers.
func (h *happenings) linkSteps(who string, slot int, ready, gone func(*state)) {
	l := h.from.link(slot)
	switch l.life {
	case absent:
		h.add("master: Router.Ready of the "+who, ready)
	case running:
	case dead:
		h.add("master: Router.Gone of the "+who, gone)
	}
	if l.up[0].kind != none {
		h.add("master: Router.Message from the "+who, func(s *state) { s.take(slot, h.broken) })
	}
}

// take is Router.take.
func (s *state) take(slot int, broken variant) {
	m, task := &s.master, slot-firstTask
	e := s.link(slot).up.pop()
	switch e.kind {
	case offer:
		m.credit = max(m.credit, 1) - 1
		s.queueIdle(e.piece)
		s.assign()
	case done:
		s.done(task, e.piece, broken)
	case events:
		m.events[s.unused()-1] = held{task: uint8(task) + 1, own: e.id, row: e.of}
		s.deliver()
	case ack:
		u := m.events[e.id-1]
		if m.events[e.id-1] = (held{}); u.task != 0 {
			s.acknowledged(u)
		}
	case none:
	}
}

// unused is a number for a message with events that no other one has, be it
// forgotten or on its way. The master counts; numbers that come again keep the
// states few.
func (s *state) unused() uint8 {
	var inUse [slots + 1]bool
	inUse[s.callback.id] = true
	for _, c := range []channel{s.callback.up, s.callback.down} {
		for _, e := range c {
			inUse[e.id] = true
		}
	}
	for i, u := range s.master.events {
		inUse[i+1] = inUse[i+1] || u.task != 0
	}
	return uint8(1 + slices.Index(inUse[1:], false))
}

// want is Router.want.
func (s *state) want(task int) {
	waiting := &s.master.waiting
	waiting[slices.Index(waiting[:], 0)] = uint8(task) + 1
	s.assign()
}

func (s *state) done(task int, p piece, broken variant) {
	h := &s.master.hand[task]
	if !h.given || h.seq != p.seq || h.gen != p.gen {
		return
	}
	if !h.stale {
		s.manager.done(p, broken)
	}
	*h = assigned{}
	s.assign()
}

// forsake is Router.forsake: the next manager cuts again what this one has cut.
func (s *state) forsake(broken variant) {
	s.master.credit, s.master.idle = 0, [ranges]piece{}
	for t := range s.master.hand {
		if h := &s.master.hand[t]; h.given && !broken.oneGeneration {
			h.stale = true
		}
	}
}

// forget is Router.forget: nobody waits for the acknowledgments of a dead worker.
func (s *state) forget(task int, broken variant) {
	for i, u := range s.master.events {
		if int(u.task) == task+1 && !broken.ackOfTheDead {
			s.master.events[i] = held{}
		}
	}
}

// takeBack is Router.takeBack: the chunk of a dead worker is for the others.
func (s *state) takeBack(task int, broken variant) {
	m := &s.master
	n, waiting := 0, m.waiting
	m.waiting = [tasks]uint8{}
	for _, w := range waiting {
		if w != uint8(task)+1 {
			m.waiting[n] = w
			n++
		}
	}
	h := m.hand[task]
	m.hand[task] = assigned{}
	switch h.crashes++; {
	case !h.given || h.stale:
	case h.crashes >= crashesToHalve:
		s.manager.failed(h.piece, broken)
	default:
		s.queueIdle(h.piece)
	}
}

// queueIdle puts a chunk in line. The order of the line is that of the ranges: which
// chunk goes first makes no difference that kills and the order of the workers do
// not make as well.
func (s *state) queueIdle(p piece) {
	idle := &s.master.idle
	if idle[p.of] != (piece{}) {
		panic("one range is in line twice")
	}
	p.seq++
	idle[p.of] = p
}

// assign is Router.assign.
func (s *state) assign() {
	m := &s.master
	for m.waiting[0] != 0 {
		i := slices.IndexFunc(m.idle[:], func(p piece) bool { return p.seq > 0 })
		if i < 0 {
			break
		}
		t := m.waiting[0] - 1
		copy(m.waiting[:], m.waiting[1:])
		m.waiting[tasks-1] = 0
		p := m.idle[i]
		p.seq--
		m.idle[i] = piece{}
		m.hand[t] = assigned{piece: p, given: true}
		s.tasks[t].take(p)
	}
	s.ask()
}

// ask is Router.ask.
func (s *state) ask() {
	if s.manager.life != running {
		return
	}
	n := -int(s.master.credit)
	for _, w := range s.master.waiting {
		if w != 0 {
			n++
		}
	}
	for _, p := range s.master.idle {
		if p.seq > 0 {
			n--
		}
	}
	if n > 0 {
		s.master.credit += uint8(n)
		s.manager.asked += uint8(n)
	}
}

// deliver is Router.deliver.
func (s *state) deliver() {
	if s.callback.life != running {
		return
	}
	for i := range s.master.events {
		if u := &s.master.events[i]; u.task != 0 && !u.sent {
			u.sent = true
			s.callback.down.push(message{kind: events, piece: piece{of: u.row}, id: uint8(i) + 1})
		}
	}
}
