package protocol_test

import (
	"errors"
	"fmt"
	"os"
	"testing"
)

// begin is a state in which nothing runs. The ranges before the rows are done.
func begin(crew, kills uint8, rows ...world) state {
	s := state{cursor: uint8(ranges - len(rows)), crew: crew, kills: kills}
	for i := range s.cursor {
		s.compared[i] = true
	}
	copy(s.rows[s.cursor:], rows)
	return s
}

// Nothing is lost and no cursor passes an open chunk, in any order of steps and with any
// process killed at any of them; and whatever was killed, every row can still become right.
func TestG1ProtocolLosesNothing(t *testing.T) {
	t.Parallel()
	rows := []world{differs, lagging, differs}
	for _, c := range []struct {
		ranges, crew, kills uint8
		long                bool // minutes, and gigabytes
	}{
		{ranges: 3, crew: 2, kills: 0},
		{ranges: 2, crew: 2, kills: 1},
		{ranges: 3, crew: 1, kills: 1},
		{ranges: 2, crew: 1, kills: 2},
		{ranges: 3, crew: 2, kills: 1, long: true},
		{ranges: 2, crew: 2, kills: 2, long: true},
		{ranges: 3, crew: 1, kills: 2, long: true},
		{ranges: 2, crew: 1, kills: 3, long: true},
	} {
		t.Run(fmt.Sprintf("%d ranges, %d workers, %d kills", c.ranges, c.crew, c.kills), func(t *testing.T) {
			if c.long && os.Getenv("CUPID_MODEL") != "long" {
				t.Skip("CUPID_MODEL=long runs it")
			}
			t.Parallel()
			var s search
			if err := s.run(begin(c.crew, c.kills, rows[ranges-c.ranges:]...)); err != nil {
				t.Error(err)
			}
			t.Logf("%d states", len(s.states))
		})
	}
}

// The model is able to fail: each thing that the protocol is careful about is needed.
func TestBrokenProtocolIsCaught(t *testing.T) {
	t.Parallel()
	three, two, last := []world{differs, lagging, differs}, []world{differs, differs}, []world{equal, equal, differs}
	for name, c := range map[string]struct {
		broken variant
		kills  uint8
		rows   []world
		want   string
	}{
		"acknowledged before it is synced":          {variant{ackBeforeSync: true}, 1, three, lostRow},
		"cursor moved at hand-out":                  {variant{cursorAtHandOut: true}, 0, three, skippedChunk},
		"cursor moved over a gap":                   {variant{passedByTheLast: true}, 0, three, skippedChunk},
		"done before the acknowledgment":            {variant{doneBeforeAck: true}, 0, three, skippedChunk},
		"result of a dead manager's chunk accepted": {variant{oneGeneration: true}, 1, last, skippedChunk},
		"acknowledgment of a dead worker accepted":  {variant{ackOfTheDead: true}, 1, two, lostRow},
		"forgotten at a 2xx":                        {variant{goneAtAccept: true}, 0, three, lostRow},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := search{broken: c.broken}
			err := s.run(begin(tasks, c.kills, c.rows...))
			v, ok := errors.AsType[*violation](err)
			if !ok || v.what != c.want {
				t.Fatalf("the search says %v, want %q", err, c.want)
			}
			t.Logf("after %d states: %d steps", len(s.states), len(v.way)-1)
		})
	}
}
