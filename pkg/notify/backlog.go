package notify

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

const (
	// maxKinds bounds the groups of a backlog; what is of yet another kind goes into otherKind.
	maxKinds  = 32
	otherKind = "other"

	// maxLineBytes bounds one line.
	maxLineBytes = 500
)

// backlog is what has been collected for one sender and is not sent yet. Its size is bounded: maxKinds groups,
// maxLines distinct lines in all, and beyond that numbers only.
type backlog struct {
	maxLines int
	lines    int // distinct lines in all groups
	total    int
	first    time.Time // when the oldest and the newest occurrence were added
	last     time.Time
	kinds    []*group // in the order of their first occurrence
}

// group is the occurrences of one kind.
type group struct {
	kind   string
	total  int
	lines  []*line
	byText map[string]*line
	unkept int // occurrences of lines that are not kept
}

type line struct {
	text  string
	count int
}

func (b *backlog) empty() bool { return b.total == 0 }

// add counts n occurrences of a line.
func (b *backlog) add(kind, text string, n int, at time.Time) {
	if b.total == 0 {
		b.first = at
	}
	b.first, b.last = earlier(b.first, at), later(b.last, at)
	b.total += n
	g := b.group(kind)
	g.total += n
	text = cut(oneLine(text), maxLineBytes)
	if l := g.byText[text]; l != nil {
		l.count += n
		return
	}
	if b.lines >= b.maxLines {
		g.unkept += n
		return
	}
	b.lines++
	l := &line{text: text, count: n}
	g.byText[text] = l
	g.lines = append(g.lines, l)
}

func (b *backlog) group(kind string) *group {
	kind = cut(oneLine(kind), 100)
	if len(b.kinds) >= maxKinds-1 && !slices.ContainsFunc(b.kinds, func(g *group) bool { return g.kind == kind }) {
		kind = otherKind
	}
	for _, g := range b.kinds {
		if g.kind == kind {
			return g
		}
	}
	g := &group{kind: kind, byText: map[string]*line{}}
	b.kinds = append(b.kinds, g)
	return g
}

// join puts what other has behind b; b is the older one.
func (b *backlog) join(other *backlog) {
	for _, g := range other.kinds {
		for _, l := range g.lines {
			b.add(g.kind, l.text, l.count, other.first)
		}
		if g.unkept > 0 {
			mine := b.group(g.kind)
			mine.total, mine.unkept = mine.total+g.unkept, mine.unkept+g.unkept
			b.total += g.unkept
		}
	}
	if !other.empty() {
		b.last = later(b.last, other.last)
	}
}

// message writes the summary: one paragraph for each kind, the number of occurrences before its lines.
func (b *backlog) message(title string) Message {
	var text strings.Builder
	const layout = "2006-01-02 15:04:05"
	text.WriteString(b.first.Format(layout))
	if b.last.Sub(b.first) >= time.Second {
		text.WriteString(" to " + b.last.Format(layout))
	}
	text.WriteByte('\n')
	for _, g := range b.kinds {
		fmt.Fprintf(&text, "\n%s: %d\n", g.kind, g.total)
		for _, l := range g.lines {
			text.WriteString("- " + l.text)
			if l.count > 1 {
				fmt.Fprintf(&text, " (%d times)", l.count)
			}
			text.WriteByte('\n')
		}
		if g.unkept > 0 {
			fmt.Fprintf(&text, "- and %d more, not listed\n", g.unkept)
		}
	}

	head := fmt.Sprintf("%s: %d notices", title, b.total)
	if len(b.kinds) == 1 {
		head = fmt.Sprintf("%s: %s", title, b.kinds[0].kind)
		if b.total > 1 {
			head += fmt.Sprintf(" (%d)", b.total)
		}
	}
	return Message{Title: head, Text: strings.TrimSuffix(text.String(), "\n")}
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}
