package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"
	"time"

	"github.com/masixun71/cupid/pkg/boot"
	"github.com/masixun71/cupid/pkg/cache"
	"github.com/masixun71/cupid/pkg/queue"
)

const (
	// shown is how many cases of one broken promise are listed.
	shown = 8
	// staleLimit is how old a payload may be: it is read a second before at most, if nobody is stopped in between.
	staleLimit = 30 * time.Second
	// flightTime is how long after its answer a call may still be unknown to the queue.
	flightTime = 5 * time.Second
)

// found are the cases of one broken promise.
type found struct {
	promise string
	cases   []string
}

func (f *found) add(format string, args ...any) {
	f.cases = append(f.cases, fmt.Sprintf(format, args...))
}

// lines are the promise with its first cases, none when it was kept.
func (f *found) lines() []string {
	if len(f.cases) == 0 {
		return nil
	}
	some := f.cases[:min(shown, len(f.cases))]
	return []string{fmt.Sprintf("%s: %d\n      %s", f.promise, len(f.cases), strings.Join(some, "\n      "))}
}

// verdict holds what happened against the promises, prints the figures, and returns what was broken.
func (r *runner) verdict(ctx context.Context) ([]string, error) {
	calls, err := r.receiver.all()
	if err != nil {
		return nil, err
	}
	var broken []string
	unequal, err := r.unequal(ctx)
	if err != nil {
		return nil, err
	}
	f := figures{runner: r, calls: calls}
	lost := f.plants()
	broken = append(broken, unequal.lines()...)
	broken = append(broken, lost.lines()...)
	for _, check := range []func([]call) *found{falseAlarms, strangers, stale, followed} {
		broken = append(broken, check(calls).lines()...)
	}
	if !r.original {
		repeated, err := f.repeats()
		if err != nil {
			return nil, err
		}
		broken = append(broken, repeated.lines()...)
		damaged, err := r.files(ctx)
		if err != nil {
			return nil, err
		}
		broken = append(broken, damaged.lines()...)
	}
	for _, g := range r.grown {
		broken = append(broken, g.broken()...)
	}
	if len(r.left) > 0 {
		broken = append(broken, "left over: processes "+strings.Join(r.left, ", "))
	}
	f.print()
	return broken, nil
}

// unequal are the rows that differ in the end.
func (r *runner) unequal(ctx context.Context) (*found, error) {
	f := &found{promise: "lost: rows that still differ in the end"}
	for _, t := range r.world.tables {
		numbers, err := r.world.difference(ctx, t)
		if err != nil {
			return nil, err
		}
		for _, n := range numbers {
			i := t.item(n)
			if i == nil {
				f.add("%s %d, which nobody wrote", t.name, n)
				continue
			}
			src, des := i.now()
			f.add("%s %d: the source has %+v, the copy %+v%s", t.name, n, src, des, t.lastPlant(n))
		}
	}
	if len(f.cases) == 0 && !r.equal {
		f.promise = "not done in the end"
		f.add("events still waited for their callback, or workers were not ready, after %s of quiet", patience)
	}
	return f, nil
}

// lastPlant says what was done last to a row.
func (t *table) lastPlant(number int64) string {
	text := ""
	for _, p := range t.allPlants() {
		if p.item.number == number {
			text = fmt.Sprintf("; it was %s at %s", p.kind, clock(p.at))
		}
	}
	return text
}

func clock(t time.Time) string { return t.UTC().Format("15:04:05.000") }

// falseAlarms are events of rows that were merely late, and less than the settle time.
func falseAlarms(calls []call) *found {
	f := &found{promise: "false alarm: called back for a row that was merely late"}
	seen := map[string]bool{}
	for _, c := range calls {
		if c.item == nil || c.id != "" && seen[c.id] {
			continue // only the first attempt of an event is its alarm
		}
		seen[c.id] = true
		if most, spoilt := c.item.behind(c.start); !spoilt && most < settle {
			f.add("%s %d at %s, type %d: the copy had never been more than %s behind", c.table.name, c.number, clock(c.start), c.kind, most.Round(time.Millisecond))
		}
	}
	return f
}

// strangers are calls for rows that were never committed.
func strangers(calls []call) *found {
	f := &found{promise: "false alarm: called back for a row that nobody wrote"}
	for _, c := range calls {
		if c.item == nil && c.table != nil {
			f.add("%s %d at %s", c.table.name, c.number, clock(c.start))
		}
	}
	return f
}

// stale are calls with a payload that the source had long ago, or never.
func stale(calls []call) *found {
	f := &found{promise: "stale: called back with what the source does not have any more"}
	for _, c := range calls {
		if c.item == nil || c.kind == 3 {
			continue
		}
		if lag, known := c.item.had(c.payload, c.start); !known || lag > staleLimit {
			f.add("%s %d at %s, attempt %s: %+v is %s old", c.table.name, c.number, clock(c.start), c.attempt, c.payload, lag.Round(time.Millisecond))
		}
	}
	return f
}

// had is how long before a time the source last had a value.
func (i *item) had(v value, at time.Time) (lag time.Duration, known bool) {
	i.mu.Lock()
	defer i.mu.Unlock()
	var versions []int
	for j, c := range i.src {
		if c.value == v {
			versions = append(versions, j)
		}
	}
	return i.since(versions, at)
}

// followed are redirects that were followed.
func followed(calls []call) *found {
	f := &found{promise: "redirect followed"}
	for _, c := range calls {
		if c.did == redirected {
			f.add("at %s", clock(c.start))
		}
	}
	return f
}

// files opens the queue and the cache files as the next cupid would.
func (r *runner) files(ctx context.Context) (*found, error) {
	f := &found{promise: "damaged: a file is not sound"}
	q, err := queue.Open(ctx, boot.QueueFile(r.subject.stateIn), queue.Options{
		Damaged:  func(_ queue.Record, reason string) { f.add("a record of the queue: %s", reason) },
		Replaced: func(old queue.Replacement) { f.add("the queue, kept as %s: %s", old.Old, old.Reason) },
	})
	if err != nil {
		return nil, err
	}
	for _, group := range q.Groups() {
		records, err := q.List(ctx, group, nil, 1_000_000)
		if err != nil {
			f.add("the queue of %s: %v", group, err)
		}
		if r.equal && len(records) > 0 {
			f.add("the queue of %s holds %d events, and all is equal", group, len(records))
		}
	}
	if err := q.Close(); err != nil {
		return nil, err
	}
	for _, path := range []string{boot.ManagerFile(r.subject.stateIn), boot.TaskFile(r.subject.stateIn, firstTask), boot.TaskFile(r.subject.stateIn, firstTask+1)} {
		_, err := cache.New[json.RawMessage](path).Load()
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			f.add("%v", err)
		}
	}
	aside, err := filepath.Glob(filepath.Join(r.subject.stateIn, "*damaged*"))
	for _, path := range aside {
		f.add("set aside during the run: %s", filepath.Base(path))
	}
	return f, err
}
