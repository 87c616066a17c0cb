package main

import (
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Colours, as parameters of the SGR sequence (ECMA-48, 8.3.117).
const (
	bold  = "1"
	dim   = "2"
	red   = "31"
	green = "32"
	cyan  = "1;36"
)

// terminal is what the story is told on. Safe for concurrent use.
type terminal struct {
	mu      sync.Mutex // guards all below
	out     io.Writer
	colours bool
	chapter int
}

// newTerminal uses colours only where somebody can see them and nobody has said no (https://no-color.org).
func newTerminal(out io.Writer) *terminal {
	t := &terminal{out: out}
	if f, ok := out.(*os.File); ok && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb" {
		info, err := f.Stat()
		t.colours = err == nil && info.Mode()&os.ModeCharDevice != 0
	}
	return t
}

func (t *terminal) paint(colour, text string) string {
	if !t.colours {
		return text
	}
	return "\x1b[" + colour + "m" + text + "\x1b[0m"
}

func (t *terminal) write(text string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	_, _ = io.WriteString(t.out, text+"\n") // a reader who has gone is told by SIGPIPE
}

func (t *terminal) blank() { t.write("") }

func (t *terminal) title(text string) { t.write(t.paint(bold, text)) }

// begin begins a chapter.
func (t *terminal) begin(format string, args ...any) {
	t.chapter++
	t.write("\n" + t.paint(cyan, fmt.Sprintf("%d  ", t.chapter)+fmt.Sprintf(format, args...)))
}

func (t *terminal) line(format string, args ...any) { t.write("   " + fmt.Sprintf(format, args...)) }

func (t *terminal) good(format string, args ...any) {
	t.write(" " + t.paint(green, "✓ "+fmt.Sprintf(format, args...)))
}

func (t *terminal) bad(format string, args ...any) {
	t.write(" " + t.paint(red, "✗ "+fmt.Sprintf(format, args...)))
}

// quote shows a text as it is.
func (t *terminal) quote(text string) {
	for line := range strings.Lines(text) {
		t.write("     " + t.paint(dim, strings.TrimRight(line, "\n")))
	}
}

// count writes a number as people read it: 20,000.
func count[N int | int64 | uint64](n N) string {
	text := strconv.FormatInt(int64(n), 10)
	for i := len(text) - 3; i > 0; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}

// rows is a number of rows.
func rows[N int | int64 | uint64](n N) string {
	if n == 1 {
		return "1 row"
	}
	return count(n) + " rows"
}

// took is the time since then as people read it: 1.4 s, or 12 ms.
func took(since time.Time) string {
	d := time.Since(since)
	if d < 100*time.Millisecond {
		return fmt.Sprintf("%d ms", max(d.Milliseconds(), 1))
	}
	return fmt.Sprintf("%.1f s", d.Seconds())
}
