package main

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/masixun71/cupid/pkg/chunk"
	"github.com/masixun71/cupid/pkg/manager"
)

const (
	// drawEvery and tellEvery are how often progress is shown: redrawn on a
	// terminal, and as a line elsewhere.
	drawEvery = 500 * time.Millisecond
	tellEvery = 5 * time.Second
	// maxLines is up to how many pairs have a line of their own; more are added up.
	maxLines = 10
	// Widths of a line on a terminal, which with them fits into 80 columns.
	nameWidth = 16
	barWidth  = 12
)

// pairRun is how the sweep of one pair gets on.
type pairRun struct {
	manager.SweepProgress
	began time.Time // zero until its first chunk
	ended time.Time // zero until it is done
	base  int64     // rows that an earlier run had done
	// turned is when it began to go over the tables again, and again how many rows it
	// had then passed for the second time.
	turned time.Time
	again  int64

	orphans bool // they are looked for
}

// seesOrphans reports whether orphans are looked for, and in a way that sees them.
func (p pairRun) seesOrphans() bool { return p.orphans && !p.OrphansUnseen }

// differing is how many divergences were found.
func (p pairRun) differing() int64 { return p.Missing + p.Different + p.Orphans }

// took is how long the pair has been swept.
func (p pairRun) took(now time.Time) time.Duration {
	switch {
	case p.began.IsZero():
		return 0
	case !p.ended.IsZero():
		now = p.ended
	}
	return now.Sub(p.began)
}

// passed is how many rows were gone over, and of how many: for the first time, or, while
// buckets are resolved, for the second.
func (p pairRun) passed() (rows, of int64) {
	if p.Resolving > 0 {
		return p.Again, p.Rows
	}
	return p.Rows, p.EstimatedRows
}

// rate is the rows a second that are gone over in this run, 0 while it is unknown.
func (p pairRun) rate(now time.Time) float64 {
	rows, took := p.Rows-p.base, p.took(now)
	switch {
	case p.Resolving > 0 && p.turned.IsZero(): // nobody saw it begin
		rows += p.Again
	case p.Resolving > 0:
		rows, took = p.Again-p.again, now.Sub(p.turned)
	}
	if took <= 0 {
		return 0
	}
	return float64(rows) / took.Seconds()
}

// share is the part that is done, from 0 to 1; -1 while it is unknown. A pair whose
// estimate was too low stays just under the whole until it is done.
func (p pairRun) share() float64 {
	rows, of := p.passed()
	switch {
	case p.Done:
		return 1
	case of <= 0:
		return -1
	}
	return min(float64(rows)/float64(of), 0.99)
}

// left is how long the rest will take at this rate; -1 while it is unknown.
func (p pairRun) left(now time.Time) time.Duration {
	rate := p.rate(now)
	rows, of := p.passed()
	switch {
	case p.Done:
		return 0
	case rate <= 0 || of <= 0:
		return -1
	}
	rest := max(float64(of-rows), 0) / rate
	return time.Duration(min(rest, 1e9) * float64(time.Second))
}

// total adds the pairs up. Until all are done, rows that are gone over again are rows like
// others in it.
func total(pairs []pairRun) pairRun {
	sum := pairRun{SweepProgress: manager.SweepProgress{Pair: "total", Done: true}}
	var passed, again, before int64 // rows that were, are to be, and had been gone over again
	for _, p := range pairs {
		sum.Rows += p.Rows
		sum.EstimatedRows += max(p.EstimatedRows, p.Rows)
		sum.Missing += p.Missing
		sum.Different += p.Different
		sum.Orphans += p.Orphans
		sum.Include(p.Unknown)
		sum.base += p.base
		passed, before = passed+p.Again, before+p.again
		if again += p.Again; p.Resolving > 0 {
			again += max(p.Rows-p.Again, 0)
		}
		sum.orphans = sum.orphans || p.seesOrphans()
		sum.Done = sum.Done && p.Done
		if !p.began.IsZero() && (sum.began.IsZero() || p.began.Before(sum.began)) {
			sum.began = p.began
		}
		if p.ended.After(sum.ended) {
			sum.ended = p.ended
		}
	}
	if !sum.Done {
		sum.ended = time.Time{}
		sum.Rows, sum.EstimatedRows, sum.base = sum.Rows+passed, sum.EstimatedRows+again, sum.base+before
	}
	return sum
}

// shown are the lines that pairs are shown in.
func shown(pairs []pairRun) []pairRun {
	if len(pairs) > maxLines {
		return []pairRun{total(pairs)}
	}
	return pairs
}

// display shows progress to a person. What is dropped counts as not drawn.
type display struct {
	offer    func(text string) bool // reports whether it was not dropped
	terminal bool
	color    bool
	drawn    int       // lines that the next drawing replaces
	told     time.Time // when the last plain lines were written
}

func newDisplay(out *outlet, now time.Time, getenv func(string) string) *display {
	d := &display{offer: out.offer, told: now}
	if f, ok := out.to.(*os.File); ok {
		d.terminal = isTerminal(f) && getenv("TERM") != "dumb"
		d.color = d.terminal && getenv("NO_COLOR") == ""
	}
	return d
}

// isTerminal takes every character device but /dev/null for a terminal.
func isTerminal(f *os.File) bool {
	info, err := f.Stat()
	if err != nil || info.Mode()&os.ModeCharDevice == 0 {
		return false
	}
	null, err := os.Stat(os.DevNull)
	return err != nil || !os.SameFile(info, null)
}

// show draws the pairs anew, or writes lines when it is time for them.
func (d *display) show(pairs []pairRun, now time.Time) {
	if !d.terminal {
		if now.Sub(d.told) < tellEvery {
			return
		}
		d.told = now
		for _, p := range shown(pairs) {
			d.offer(plainLine(p, now) + "\n")
		}
		return
	}
	var b strings.Builder
	if d.drawn > 0 {
		fmt.Fprintf(&b, "\x1b[%dA", d.drawn)
	}
	lines := shown(pairs)
	for _, p := range lines {
		b.WriteString("\r\x1b[2K" + barLine(p, now, d.color) + "\n")
	}
	if d.offer(b.String()) {
		d.drawn = len(lines)
	}
}

// say writes a line of its own. On a terminal it takes the place of the bars, which
// are drawn again below it.
func (d *display) say(format string, args ...any) {
	text := fmt.Sprintf(format+"\n", args...)
	if d.drawn > 0 {
		text = fmt.Sprintf("\x1b[%dA\x1b[J", d.drawn) + text
	}
	if d.offer(text) {
		d.drawn = 0
	}
}

// plainLine is a pair's progress where lines are kept.
func plainLine(p pairRun, now time.Time) string {
	text := p.Pair + ": "
	if p.Resolving > 0 {
		text += resolving(p.Resolving) + ": "
	}
	rows, of := p.passed()
	switch share := p.share(); {
	case p.Done && p.Error != "":
		return text + "failed: " + p.Error
	case p.Done:
		text += fmt.Sprintf("done, %d rows", p.Rows)
	case share < 0:
		text += fmt.Sprintf("%d rows", rows)
	default:
		text += fmt.Sprintf("%.0f%%, %d of about %d rows", share*100, rows, max(of, rows))
	}
	text += fmt.Sprintf(", %.0f rows/s", p.rate(now))
	if left := p.left(now); left > 0 {
		text += ", " + clock(left) + " left"
	}
	if n := p.differing(); n > 0 {
		text += fmt.Sprintf(", %d differ", n)
	}
	return text
}

// resolving says what a sweep by buckets does in its second part.
func resolving(differ int) string {
	return fmt.Sprintf("%d of %d buckets differ, the tables are gone over again", differ, chunk.Buckets)
}

// barLine is a pair's progress on a terminal.
func barLine(p pairRun, now time.Time, color bool) string {
	green, red, plain := "\x1b[32m", "\x1b[31m", "\x1b[0m"
	if !color {
		green, red, plain = "", "", ""
	}
	share := p.share()
	full := max(int(share*barWidth), 0)
	percent := "  ?%"
	if share >= 0 {
		percent = fmt.Sprintf("%3d%%", int(share*100))
	}
	rows, _ := p.passed()
	count := fmt.Sprintf("%6s rows", short(rows))
	if p.Resolving > 0 {
		count = fmt.Sprintf("%5s again", short(rows))
	}
	text := fmt.Sprintf("%s [%s%s%s%s] %s %s %6s/s", fitName(p.Pair), green, strings.Repeat("#", full), plain,
		strings.Repeat(".", barWidth-full), percent, count, short(int64(p.rate(now))))
	switch left := p.left(now); {
	case p.Done && p.Error != "":
		return text + "  " + red + "failed" + plain
	case p.Done:
		text += "  done     "
	case left < 0:
		text += "           "
	default:
		text += fmt.Sprintf(" %5s left", clock(left))
	}
	if n := p.differing(); n > 0 {
		text += "  " + red + short(n) + " differ" + plain
	}
	return text
}

// fitName makes a name nameWidth columns wide. The end of a long one is kept, where
// names of pairs differ.
func fitName(name string) string {
	n := utf8.RuneCountInString(name)
	if n > nameWidth {
		runes := []rune(name)
		return "~" + string(runes[n-nameWidth+1:])
	}
	return name + strings.Repeat(" ", nameWidth-n)
}

// short writes a count in six columns at most.
func short(n int64) string {
	switch {
	case n < 100_000:
		return strconv.FormatInt(n, 10)
	case n < 10_000_000:
		return strconv.FormatInt(n/1000, 10) + "k"
	}
	return strconv.FormatInt(n/1_000_000, 10) + "M"
}

// clock writes a duration as people read it from a clock, rounded up to a second.
func clock(d time.Duration) string {
	s := int64((d + time.Second - 1) / time.Second)
	if s < 3600 {
		return fmt.Sprintf("%d:%02d", s/60, s%60)
	}
	return fmt.Sprintf("%d:%02d:%02d", s/3600, s/60%60, s%60)
}
