package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// figures are what a run prints, and what is found while they are made up.
type figures struct {
	*runner
	calls []call

	kinds  map[string]*plantCount
	heal   []time.Duration // of what was healed by a callback
	slow   string          // what took longest of it
	repeat int             // calls that were repeated
	flight int             // calls that were in flight when the callback worker died
	deaths int             // of the callback worker
}

// plantCount is what became of one kind of plants.
type plantCount struct{ planted, delivered, overtaken, lost int }

// plants follows what was planted. What is not delivered has to be overtaken by a later change of the row.
func (f *figures) plants() *found {
	lost := &found{promise: "lost: planted divergences that were neither delivered nor overtaken"}
	f.kinds = map[string]*plantCount{}
	called := map[*item][]call{}
	for _, c := range f.calls {
		called[c.item] = append(called[c.item], c)
	}
	for _, t := range f.world.tables {
		for _, p := range t.allPlants() {
			o := p.outcome()
			if !o.real {
				continue // it had been overtaken when it was planted
			}
			n := f.kinds[p.kind]
			if n == nil {
				n = &plantCount{}
				f.kinds[p.kind] = n
			}
			n.planted++
			switch {
			case o.healed.IsZero():
				n.lost++
				lost.add("%s %d, %s at %s, called back %d times since", t.name, p.item.number, p.kind, clock(p.at), len(since(called[p.item], p.at)))
			case o.by == repairing:
				n.delivered++
				if took := o.healed.Sub(p.at); len(f.heal) == 0 || took > slices.Max(f.heal) {
					f.slow = fmt.Sprintf("%s %d, %s at %s, called back %d times since", t.name, p.item.number, p.kind, clock(p.at), len(since(called[p.item], p.at)))
				}
				f.heal = append(f.heal, o.healed.Sub(p.at))
			default:
				n.overtaken++
			}
		}
	}
	slices.Sort(f.heal)
	return lost
}

func since(calls []call, at time.Time) []call {
	return slices.DeleteFunc(slices.Clone(calls), func(c call) bool { return c.start.Before(at) })
}

// repeats finds the calls that came more than once: same event, same attempt. That may be only what was in flight when
// the callback worker died; and where the receiver has closed the connection, HTTP itself tries again.
func (f *figures) repeats() (*found, error) {
	bad := &found{promise: "repeated: the same attempt of an event came again, and was not in flight at a kill"}
	starts, err := f.workerStarts()
	if err != nil {
		return nil, err
	}
	f.deaths = len(starts) - 1
	last := map[string]call{}
	for _, c := range f.calls {
		if c.table == nil {
			continue
		}
		attempt := c.id + " " + c.attempt
		before, again := last[attempt]
		last[attempt] = c
		if !again || before.did == closes || before.did == inSecret {
			continue
		}
		f.repeat++
		at := slices.IndexFunc(starts, func(s time.Time) bool { return s.After(before.start) && !s.After(c.start) })
		switch {
		case at < 0:
			bad.add("%s %d, attempt %s at %s and %s (%s), and no callback worker began in between", c.table.name, c.number, c.attempt, clock(before.start), clock(c.start), before.did)
		case before.end.Add(flightTime).Before(f.death(starts[at])):
			bad.add("%s %d, attempt %s: answered at %s (%s), long before the worker died at %s", c.table.name, c.number, c.attempt, clock(before.end), before.did, clock(f.death(starts[at])))
		}
	}
	for _, s := range starts[min(1, len(starts)):] {
		death := f.death(s)
		for _, c := range f.calls {
			if c.start.Before(death) && c.end.After(death.Add(-time.Second)) {
				f.flight++
			}
		}
	}
	return bad, nil
}

// death is when the callback worker died before another began: at the last harm that was done to it, or, when it died
// of none, then.
func (f *figures) death(began time.Time) time.Time {
	at := began
	for _, k := range f.hand.done() {
		mine := k.role == "callback" || k.role == "master" || k.role == "all"
		if mine && k.at.Before(began) && began.Sub(k.at) < recovery {
			at = k.at
		}
	}
	return at
}

// workerStarts are the times when a callback worker began, as it has logged them.
func (f *figures) workerStarts() ([]time.Time, error) {
	files, err := filepath.Glob(filepath.Join(f.dir, "log", "*callback*.log"))
	if err != nil {
		return nil, err
	}
	var all []time.Time
	for _, path := range files {
		text, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		lines := bufio.NewScanner(bytes.NewReader(text))
		lines.Buffer(nil, 1<<20)
		for lines.Scan() {
			var line struct {
				Time    time.Time `json:"time"`
				Message string    `json:"message"`
			}
			if json.Unmarshal(lines.Bytes(), &line) == nil && line.Message == "worker starts" {
				all = append(all, line.Time)
			}
		}
		if err := lines.Err(); err != nil {
			return nil, err
		}
	}
	slices.SortFunc(all, time.Time.Compare)
	return all, nil
}

// print prints the figures.
func (f *figures) print() {
	var w writerCounts
	for _, n := range f.writers {
		w.inserts += n.inserts
		w.updates += n.updates
		w.deletes += n.deletes
		w.commits += n.commits
		w.rollbacks += n.rollbacks
	}
	f.say("\nwriter       %d inserts, %d updates, %d deletes; %d long transactions committed, %d rolled back", w.inserts, w.updates, w.deletes, w.commits, w.rollbacks)
	f.say("planted      %-18s %7s %9s %9s %5s", "", "planted", "delivered", "overtaken", "lost")
	for _, kind := range slices.Sorted(maps.Keys(f.kinds)) {
		n := f.kinds[kind]
		f.say("             %-18s %7d %9d %9d %5d", kind, n.planted, n.delivered, n.overtaken, n.lost)
	}
	f.say("healed       by callback, since the planting: %s", spread(f.heal))
	f.say("             longest: %s", f.slow)
	did := map[string]int{}
	for _, c := range f.calls {
		did[string(c.did)]++
	}
	f.say("callbacks    %d: %s", len(f.calls), tally(did))
	kills, recovered := map[string]int{}, []time.Duration{}
	for _, k := range f.hand.done() {
		kills[k.what+" of "+k.role]++
		if k.point != "" {
			kills["at "+k.role+"."+k.point]++
		}
		if k.recovered > 0 && !strings.HasPrefix(k.what, "STOP") {
			recovered = append(recovered, k.recovered)
		}
	}
	slices.Sort(recovered)
	f.say("kills        %d: %s", len(f.hand.done()), tally(kills))
	if len(f.hand.missed) > 0 {
		f.say("             points that were armed and not reached: %s", tally(f.hand.missed))
	}
	f.say("recovery     until all workers were ready again: %s", spread(recovered))
	if !f.original {
		f.say("repeated     %d calls; %d were in flight, or answered within a second, at the %d deaths of the callback worker", f.repeat, f.flight, f.deaths)
	}
	for _, g := range f.grown {
		f.say("%-12s %d files, %d threads, %d goroutines; old %d, %d, %d, %d zombies", g.name, g.young.files, g.young.threads, g.young.routines,
			g.old.files, g.old.threads, g.old.routines, g.old.zombies)
	}
	f.say("the end      equal: %t, %s after the last disturbance; stopped within %s; %s in all", f.equal,
		f.quiet.Round(time.Millisecond), f.stopped.Round(time.Millisecond), time.Since(f.begun).Round(time.Second))
}

// spread are the quantiles of sorted durations.
func spread(d []time.Duration) string {
	if len(d) == 0 {
		return "none"
	}
	at := func(p float64) time.Duration { return d[int(p*float64(len(d)-1))].Round(time.Millisecond) }
	return fmt.Sprintf("p50 %s, p99 %s, longest %s, of %d", at(0.5), at(0.99), at(1), len(d))
}

// tally lists counts, the greatest first.
func tally(counts map[string]int) string {
	names := slices.SortedFunc(maps.Keys(counts), func(a, b string) int {
		if counts[a] != counts[b] {
			return counts[b] - counts[a]
		}
		return strings.Compare(a, b)
	})
	parts := make([]string, len(names))
	for i, n := range names {
		parts[i] = fmt.Sprintf("%s %d", n, counts[n])
	}
	return strings.Join(parts, ", ")
}
