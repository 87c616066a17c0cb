package protocol_test

import (
	"fmt"
	"strings"
)

// found is a state that the search has reached, and how.
type found struct {
	from int32 // -1 at the begin
	by   string
}

// search visits every state that can be reached, nearest first. It stops at the first
// one that violates something.
type search struct {
	broken variant
	seen   map[state]int32
	states []state
	how    []found
	// edges are the steps that are no kills, from and to.
	edges [][2]int32
}

// violation is a state that must not be, and the shortest way to it.
type violation struct {
	what string
	way  []string
}

func (v *violation) Error() string {
	return v.what + ":\n\t" + strings.Join(v.way, "\n\t")
}

func (s *search) run(start state) error {
	s.seen = map[state]int32{}
	s.visit(start, found{from: -1})
	for at := int32(0); int(at) < len(s.states); at++ {
		if what := violated(&s.states[at]); what != "" {
			return &violation{what, s.way(at)}
		}
		for _, step := range s.states[at].next(s.broken) {
			to := s.visit(step.to.canonical(), found{at, step.name})
			if !step.kill {
				s.edges = append(s.edges, [2]int32{at, to})
			}
		}
	}
	return s.alwaysHeals()
}

// What must not be.
const (
	lostRow      = "a row is lost"
	skippedChunk = "a cursor is past an open chunk"
	neverRight   = "a row is never right"
)

func violated(s *state) string {
	switch {
	case s.lost():
		return lostRow
	case s.skipped():
		return skippedChunk
	}
	return ""
}

func (s *search) visit(to state, how found) int32 {
	if i, known := s.seen[to]; known {
		return i
	}
	i := int32(len(s.states))
	s.seen[to] = i
	s.states, s.how = append(s.states, to), append(s.how, how)
	return i
}

// way is how a state is reached.
func (s *search) way(at int32) []string {
	var back []string
	for ; s.how[at].from >= 0; at = s.how[at].from {
		back = append([]string{s.how[at].by}, back...)
	}
	return append(back, fmt.Sprintf("%+v", s.states[at]))
}

// alwaysHeals checks that from every state, whatever has been killed before, the steps
// that are no kills lead to where all rows are right.
func (s *search) alwaysHeals() error {
	into := make([][]int32, len(s.states))
	for _, e := range s.edges {
		into[e[1]] = append(into[e[1]], e[0])
	}
	reaches := make([]bool, len(s.states))
	var reached []int32
	for i := range s.states {
		if s.states[i].healed() {
			reaches[i], reached = true, append(reached, int32(i))
		}
	}
	for len(reached) > 0 {
		last := reached[len(reached)-1]
		reached = reached[:len(reached)-1]
		for _, from := range into[last] {
			if !reaches[from] {
				reaches[from], reached = true, append(reached, from)
			}
		}
	}
	for i, ok := range reaches {
		if !ok {
			return &violation{neverRight, s.way(int32(i))}
		}
	}
	return nil
}
