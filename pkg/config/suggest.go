package config

import (
	"slices"
	"strconv"
	"strings"
)

// places are the objects of the file, for the hint that a key stands in the wrong one.
var places = []struct {
	name string
	new  func() object
}{
	{"the top level", func() object { return newConfig() }},
	{"src", func() object { s := newSource(); return &s }},
	{"des[]", func() object { d := newDestination(); return &d }},
	{"callbackNotification", func() object { n := newDestination().CallbackNotification; return &n }},
	{"notify", func() object { return &newConfig().Notify }},
}

// unknownHint says what key was probably meant to be.
func unknownHint(key string, fields []field) string {
	known := make([]string, len(fields))
	for i := range fields {
		known[i] = fields[i].key
	}
	near := nearest(key, known)
	if near != "" && strings.EqualFold(near, key) {
		return "did you mean " + strconv.Quote(near) + "? capitals count"
	}
	for _, place := range places {
		if slices.ContainsFunc(place.new().fields(), func(f field) bool { return f.key == key }) {
			return "this key belongs to " + place.name
		}
	}
	if near != "" {
		return "did you mean " + strconv.Quote(near) + "?"
	}
	slices.Sort(known)
	return "known here are " + strings.Join(known, ", ")
}

// nearest returns the word that differs from text by the fewest edits, if by few
// enough to be a slip: one in three characters, two at least.
func nearest(text string, words []string) string {
	best, bestEdits := "", max(2, len(text)/3)+1
	for _, word := range words {
		if n := edits(strings.ToLower(text), strings.ToLower(word)); n < bestEdits && n < len(word) {
			best, bestEdits = word, n
		}
	}
	return best
}

// edits is the edit distance of a and b where swapping two neighbours is one
// edit (optimal string alignment). Long texts are cut: no key is that long.
func edits(a, b string) int {
	const longest = 80
	a, b = a[:min(len(a), longest)], b[:min(len(b), longest)]
	before, previous, current := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range previous {
		previous[j] = j
	}
	for i := 1; i <= len(a); i++ {
		current[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			current[j] = min(previous[j]+1, current[j-1]+1, previous[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				current[j] = min(current[j], before[j-2]+1)
			}
		}
		before, previous, current = previous, current, before
	}
	return previous[len(b)]
}
