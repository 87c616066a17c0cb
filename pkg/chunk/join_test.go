package chunk_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/masixun71/cupid/pkg/chunk"
)

func TestNeighboursAreJoined(t *testing.T) {
	part := func(after, upTo string, rows int) chunk.Chunk {
		c := chunk.Chunk{UpTo: chunk.Position{ID: upTo}, Open: upTo == "", Rows: rows, Salt: 7}
		if after != "" {
			c.After = &chunk.Position{ID: after}
		}
		return c
	}
	for name, c := range map[string]struct {
		parts []chunk.Chunk
		want  []string
	}{
		"none":            {nil, nil},
		"one":             {[]chunk.Chunk{part("", "5", 3)}, []string{"3 (, 5]"}},
		"neighbours":      {[]chunk.Chunk{part("", "5", 3), part("5", "9", 4)}, []string{"7 (, 9]"}},
		"with a gap":      {[]chunk.Chunk{part("", "5", 3), part("6", "9", 4)}, []string{"3 (, 5]", "4 (6, 9]"}},
		"the last, open":  {[]chunk.Chunk{part("1", "5", 3), part("5", "", 4)}, []string{"7 (1, …)"}},
		"behind an open":  {[]chunk.Chunk{part("1", "", 3), part("", "9", 4)}, []string{"3 (1, …)", "4 (, 9]"}},
		"up to the limit": {[]chunk.Chunk{part("", "5", 6), part("5", "9", 4), part("9", "11", 1)}, []string{"10 (, 9]", "1 (9, 11]"}},
		"one beyond it":   {[]chunk.Chunk{part("", "5", 60), part("5", "9", 4)}, []string{"60 (, 5]", "4 (5, 9]"}},
	} {
		before := slices.Clone(c.parts)
		var got []string
		for _, j := range chunk.Join(c.parts, 10) {
			bounds := fmt.Sprint(j)
			got = append(got, fmt.Sprintf("%d %s", j.Rows, bounds[len("  "):]))
			if j.Salt != 7 {
				t.Errorf("%s: the salt is %d", name, j.Salt)
			}
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: joined to %q, want %q", name, got, c.want)
		}
		if !slices.EqualFunc(c.parts, before, func(a, b chunk.Chunk) bool { return a.String() == b.String() && a.Rows == b.Rows }) {
			t.Errorf("%s: the parts were changed", name)
		}
	}
}
