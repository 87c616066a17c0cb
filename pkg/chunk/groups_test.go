package chunk_test

import (
	"slices"
	"testing"

	"github.com/masixun71/cupid/pkg/chunk"
)

func TestPortionsHaveAllGroupsInOrder(t *testing.T) {
	cases := []struct {
		name string
		rows []int // of the groups
		most int
		want []int // groups in each portion
	}{
		{"none", nil, 10, nil},
		{"all fit", []int{3, 3, 4}, 10, []int{3}},
		{"one too many", []int{3, 3, 5}, 10, []int{2, 1}},
		{"a group that is too large is alone", []int{3, 50, 3, 3}, 10, []int{1, 1, 2}},
		{"the last is too large", []int{1, 11}, 10, []int{1, 1}},
		{"groups without rows", []int{0, 0, 0}, 10, []int{3}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			g := chunk.Groups{Of: 64}
			for i, rows := range c.rows {
				g.Some = append(g.Some, chunk.Group{Number: i, Rows: rows})
			}
			var got []int
			var together []chunk.Group
			rows := 0
			for _, p := range g.Portions(c.most) {
				if p.Of != 64 || p.Whole() || p.Rows() > c.most && len(p.Some) > 1 {
					t.Errorf("portion %+v", p)
				}
				got, together, rows = append(got, len(p.Some)), append(together, p.Some...), rows+p.Rows()
			}
			if !slices.Equal(got, c.want) || !slices.Equal(together, g.Some) || rows != g.Rows() {
				t.Errorf("portions of %v groups, want %v; all together %v", got, c.want, together)
			}
		})
	}
}

func TestWhole(t *testing.T) {
	two := []chunk.Group{{Number: 0, Rows: 1}, {Number: 1, Rows: 1}}
	for _, c := range []struct {
		groups chunk.Groups
		want   bool
	}{{chunk.Groups{}, true}, {chunk.Groups{Of: 2, Some: two}, true}, {chunk.Groups{Of: 4, Some: two}, false}} {
		if got := c.groups.Whole(); got != c.want {
			t.Errorf("%+v: whole %v", c.groups, got)
		}
	}
}
