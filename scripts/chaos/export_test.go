package main

import "time"

// Goroutines is goroutines.
var Goroutines = goroutines

// Row is a row with its history.
type Row struct{ *item }

// NewRow is a row that both sides have as version "0" for ever before.
func NewRow() Row {
	return Row{newItem(1, version("0"), version("0"))}
}

// version is a value; no name is no row.
func version(name string) value { return value{there: name != "", name: name} }

// Source and Copy write a side between two times.
func (r Row) Source(begin, end time.Time, name string) {
	r.changedSource(change{begin: begin, end: end, value: version(name), by: writing})
}

// Copy writes the copy; repaired says that the receiver did.
func (r Row) Copy(begin, end time.Time, name string, repaired bool) {
	by := replicating
	if repaired {
		by = repairing
	}
	r.changedCopy(change{begin: begin, end: end, value: version(name), by: by})
}

// FalseAlarm reports whether a call at a time is one.
func (r Row) FalseAlarm(at time.Time) bool {
	return len(falseAlarms([]call{{table: &table{}, item: r.item, start: at}}).cases) > 0
}

// Stale reports whether a payload at a time is stale.
func (r Row) Stale(at time.Time, name string) bool {
	return len(stale([]call{{table: &table{}, item: r.item, kind: 2, start: at, payload: version(name)}}).cases) > 0
}

// Outcome is what became of a plant.
func (r Row) Outcome(at time.Time) (real bool, healed time.Time, repaired bool) {
	o := plant{item: r.item, at: at}.outcome()
	return o.real, o.healed, o.by == repairing
}

// Settle and StaleLimit are the times that the verdict knows.
const (
	Settle     = settle
	StaleLimit = staleLimit
)

// Grown are the complaints about a process that was young and is old.
func Grown(young, old [3]int, zombies int) int {
	of := func(n [3]int) measured { return measured{size{n[0], n[1], 0}, n[2]} }
	o := of(old)
	o.zombies = zombies
	return len(grown{"worker", of(young), o}.broken())
}

// Call is a call of the only event.
type Call struct {
	Attempt    string
	Start, End time.Time
	Closed     bool
}

// Repeats are how many calls were repeated, and how many of them without need, with a worker that began at each of
// starts and was killed at each of kills.
func Repeats(dir string, kills []time.Time, calls ...Call) (repeated, bad int, err error) {
	h := &hand{}
	for _, at := range kills {
		h.kills = append(h.kills, kill{role: "callback", at: at})
	}
	f := figures{runner: &runner{dir: dir, hand: h}}
	for _, c := range calls {
		did := repairs
		if c.Closed {
			did = closes
		}
		f.calls = append(f.calls, call{table: &table{}, id: "evt", attempt: c.Attempt, start: c.Start, end: c.End, did: did})
	}
	found, err := f.repeats()
	if err != nil {
		return 0, 0, err
	}
	return f.repeat, len(found.cases), nil
}
