package manager

import (
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/masixun71/cupid/pkg/chunk"
)

// State is what the manager's cache file holds, by the name of the pair.
type State struct {
	Insert map[string]InsertState `json:"insert,omitempty"`
	Update map[string]UpdateState `json:"update,omitempty"`
	Sweep  map[string]SweepState  `json:"sweep,omitempty"`
	// SetAside are the rows that killed the workers which compared them, the last one last.
	SetAside []SetAside `json:"setAside,omitempty"`
	// Owed are the rows that could not be read, though others could.
	Owed []Owed `json:"owed,omitempty"`
}

// Knows reports whether a scan of a pair has begun once.
func (s *State) Knows(pair string) bool {
	_, insert := s.Insert[pair]
	_, update := s.Update[pair]
	_, sweep := s.Sweep[pair]
	return insert || update || sweep
}

// InsertState is how far the insert scan of a pair is.
type InsertState struct {
	// Cursor is the id up to which every row was looked at; nil before the first.
	Cursor *string `json:"cursor,omitempty"`
	// Late are the spans that are to be looked at again.
	Late []Late `json:"late,omitempty"`
}

// UpdateState is how far the update scan of a pair is.
type UpdateState struct {
	// Watermark is the source server's time up to which every change was looked at.
	Watermark time.Time `json:"watermark"`
	// Late are the spans that are to be looked at again.
	Late []Late `json:"late,omitempty"`
}

// SweepState is how far the sweep of a pair is.
type SweepState struct {
	// Pass is the number of the pass, from 1 on. It salts the checksums.
	Pass uint32 `json:"pass"`
	// Mode is what Position is made of: SweepByKey, SweepByRow or SweepByBucket.
	Mode string `json:"mode"`
	// Config is the fingerprint of the configuration that the pass began with: see Pair.
	Config string `json:"config,omitempty"`
	// Restarted says that a pass of the same run with -once was given up for this one. What
	// that had found may be in the files of the run, beside what this one finds.
	Restarted bool `json:"restarted,omitempty"`
	// Stage is how far a sweep by buckets is; each goes over both tables.
	Stage chunk.Stage `json:"stage,omitempty"`
	// Begun is when the pass began, by this machine's clock, and Ended when it was
	// complete; zero as long as it goes on.
	Begun time.Time `json:"begun"`
	Ended time.Time `json:"ended,omitzero"`
	// Urgent says that events of the pair were lost before the pass: it is not spread
	// over the interval.
	Urgent bool `json:"urgent,omitempty"`
	// Key identifies what Position is made of, beside Mode; empty in a state of a build that did not know it.
	Key string `json:"key,omitempty"`
	// Position is up to where everything was compared; nil before the first chunk.
	Position *string `json:"position,omitempty"`
	// Top is the greatest key when a pass of a run with -once began, at which it ends. What
	// lies above is compared first, and Above says that it was.
	Top   *string `json:"top,omitempty"`
	Above bool    `json:"above,omitempty"`
	// Found is what was found up to Position, and above Top when that was compared.
	Found Found `json:"found"`
	// Unread counts the source rows that no chunk of the pass has; nil before they are counted.
	Unread *Unknown `json:"unread,omitempty"`
	// ChunkRow is how many rows a chunk had last.
	ChunkRow int `json:"chunkRow,omitempty"`
	// Run names the run with -once that the pass is of; empty for one of the
	// continuous sweep.
	Run string `json:"run,omitempty"`
	// Last is the last pass that was complete.
	Last *SweepPass `json:"last,omitempty"`
}

// SweepPass is a pass that is complete.
type SweepPass struct {
	Pass  uint32    `json:"pass"`
	Begun time.Time `json:"begun"`
	Ended time.Time `json:"ended"`
	// Found includes what the pass did not read.
	Found Found `json:"found"`
}

// Found is what a sweep has compared, and what it found.
type Found struct {
	Chunks int64 `json:"chunks"`
	// Rows counts source rows.
	Rows      int64 `json:"rows"`
	Missing   int64 `json:"missing"`
	Different int64 `json:"different"`
	Orphans   int64 `json:"orphans"`
	Unknown
	// Again counts the rows that a sweep by buckets has gone over once more, to resolve
	// the buckets that differ: those of the side that has more of them.
	Again int64 `json:"again,omitempty"`
}

// add counts what a task worker found in a chunk.
func (f *Found) add(c chunk.Chunk, r chunk.Result) {
	f.Chunks++
	if c.Stage == chunk.Resolve {
		f.Again += int64(c.Rows)
	}
	f.Rows += int64(r.Rows)
	f.Missing += int64(r.Missing)
	f.Different += int64(r.Different)
	f.Orphans += int64(r.Orphans)
	f.Include(Unknown{NullKeys: int64(r.NullKeys), NullIDs: int64(r.NullIDs), Moving: int64(r.Moving)})
}

// join adds what was found elsewhere.
func (f *Found) join(o Found) {
	f.Chunks += o.Chunks
	f.Rows += o.Rows
	f.Missing += o.Missing
	f.Different += o.Different
	f.Orphans += o.Orphans
	f.Include(o.Unknown)
	f.Again += o.Again
}

// Late is a span that transactions which were open when it was looked at may
// still commit rows into.
type Late struct {
	// After and UpTo bound a span of ids, (after, upTo].
	After *string `json:"after,omitempty"`
	UpTo  string  `json:"upTo,omitempty"`
	// From and To bound a span of update times.
	From time.Time `json:"from,omitzero"`
	To   time.Time `json:"to,omitzero"`
	// Seen is the source server's time when the span had been bounded.
	Seen time.Time `json:"seen"`
	// Looks counts the looks since then.
	Looks int `json:"looks,omitempty"`
}

// SetAside is a single row that killed every worker it was given to.
type SetAside struct {
	Chunk chunk.Chunk `json:"chunk"`
	// ByKey says that the chunk's bounds are keys, as a sweep has them, and not ids.
	ByKey bool `json:"byKey,omitempty"`
	// ID is the row's id where the chunk's bounds are places in both tables, as a sweep by
	// buckets has them; empty when there is no source row between these.
	ID string    `json:"id,omitempty"`
	At time.Time `json:"at"`
}

// noRow stands for what has no source row by which it could be named.
const noRow = "…"

// Row names the row, as it is given back: by its id or, from a sweep by key, by its key.
// What has no source row, above the last one or in a sweep by buckets, is "…".
func (s SetAside) Row() string {
	switch {
	case s.ID != "":
		return s.ID
	case s.Chunk.Open || s.Chunk.Stage != chunk.Compare:
		return noRow
	}
	return s.Chunk.UpTo.ID
}

// ledger is the state that all lanes share. It is written as a whole.
type ledger struct {
	mu      sync.Mutex // guards state, changed and drifted
	state   State
	changed bool
	drifted time.Time  // since when only watermarks have changed; zero when none has
	saving  sync.Mutex // one save at a time, in order
	cursors Cursors
}

func newLedger(c Cursors) (*ledger, error) {
	s, err := c.Load()
	if err != nil {
		return nil, err
	}
	if s.Insert == nil {
		s.Insert = map[string]InsertState{}
	}
	if s.Update == nil {
		s.Update = map[string]UpdateState{}
	}
	if s.Sweep == nil {
		s.Sweep = map[string]SweepState{}
	}
	return &ledger{state: s, cursors: c}, nil
}

func (l *ledger) insert(pair string) (s InsertState, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	s, ok = l.state.Insert[pair]
	return s, ok
}

func (l *ledger) setInsert(pair string, s InsertState) {
	l.mu.Lock()
	defer l.mu.Unlock()
	s.Late = slices.Clone(s.Late)
	l.state.Insert[pair] = s
	l.changed = true
}

func (l *ledger) update(pair string) UpdateState {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.state.Update[pair]
}

func (l *ledger) setUpdate(pair string, s UpdateState) {
	l.mu.Lock()
	defer l.mu.Unlock()
	s.Late = slices.Clone(s.Late)
	if was := l.state.Update[pair].Watermark; was.IsZero() || s.Watermark.Sub(was) > driftFor {
		l.changed = true // or a manager that is killed now would have a long time looked at again
	} else if l.drifted.IsZero() {
		l.drifted = time.Now()
	}
	l.state.Update[pair] = s
}

func (l *ledger) sweep(pair string) SweepState {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.state.Sweep[pair]
}

func (l *ledger) setSweep(pair string, s SweepState) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.state.Sweep[pair] = s
	l.changed = true
}

// maxSetAside bounds the rows that are remembered as set aside; beyond it the
// oldest are forgotten. A row that is met again is one of them still.
const maxSetAside = 100

func (l *ledger) setAside(s SetAside) {
	l.mu.Lock()
	defer l.mu.Unlock()
	aside := slices.DeleteFunc(slices.Clone(l.state.SetAside), func(o SetAside) bool {
		return o.Chunk.Pair == s.Chunk.Pair && o.Row() == s.Row() && o.ByKey == s.ByKey
	})
	aside = append(aside, s)
	l.state.Owed = slices.DeleteFunc(slices.Clone(l.state.Owed), func(o Owed) bool { return o.Row.same(s) })
	l.state.SetAside = aside[max(len(aside)-maxSetAside, 0):]
	l.changed = true
}

// skip are the rows of a pair that a chunk of a scan is to leave out, byKey those of a sweep by key; but for own, if
// that is the chunk.
func (l *ledger) skip(pair string, scan chunk.Scan, byKey bool, own *SetAside) []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	var rows []string
	add := func(s SetAside) {
		if row := s.Row(); s.Chunk.Pair == pair && s.ByKey == byKey && row != noRow && !slices.Contains(rows, row) {
			rows = append(rows, row)
		}
	}
	for _, s := range l.state.SetAside {
		add(s)
	}
	for _, o := range l.state.Owed {
		if o.LeftOut && o.Row.Chunk.Scan == scan && (own == nil || !o.Row.same(*own)) {
			add(o.Row)
		}
	}
	return rows[:min(len(rows), chunk.MaxSkip)]
}

// giveBack takes rows out of those that are set aside, and returns them. They are owed from then on, so that a
// manager which is killed has them; but those of a scan that does not run any more are left to the others.
func (l *ledger) giveBack(pair, row string, runs func(chunk.Scan) bool) []SetAside {
	l.mu.Lock()
	defer l.mu.Unlock()
	var back, rest []SetAside
	for _, s := range l.state.SetAside {
		if s.Chunk.Pair == pair && s.Row() == row {
			back = append(back, s)
		} else {
			rest = append(rest, s)
		}
	}
	for _, s := range back {
		if runs(s.Chunk.Scan) && !slices.ContainsFunc(l.state.Owed, func(o Owed) bool { return o.Row.same(s) }) {
			l.state.Owed = append(slices.Clone(l.state.Owed), Owed{Row: s})
		}
	}
	if len(back) > 0 {
		l.state.SetAside, l.changed = rest, true
	}
	return back
}

// forgetKeys forgets the rows of a pair that are set aside by their keys, and returns them.
func (l *ledger) forgetKeys(pair string) (gone []SetAside) {
	l.mu.Lock()
	defer l.mu.Unlock()
	var rest []SetAside
	for _, s := range l.state.SetAside {
		if s.ByKey && s.Chunk.Pair == pair {
			gone = append(gone, s)
		} else {
			rest = append(rest, s)
		}
	}
	if len(gone) > 0 {
		l.state.SetAside, l.changed = rest, true
	}
	return gone
}

// snapshot is a copy that the lanes do not change any more.
func (l *ledger) snapshot() State {
	l.mu.Lock()
	defer l.mu.Unlock()
	return State{
		Insert: maps.Clone(l.state.Insert), Update: maps.Clone(l.state.Update), Sweep: maps.Clone(l.state.Sweep),
		SetAside: slices.Clone(l.state.SetAside), Owed: slices.Clone(l.state.Owed),
	}
}

// driftFor is how long a watermark that moved may wait to be written. An older one
// only has more of the same times looked at again, and it moves with every pass.
const driftFor = 5 * time.Second

// keep writes the state when that is due.
func (l *ledger) keep() error {
	l.mu.Lock()
	due := l.changed || !l.drifted.IsZero() && time.Since(l.drifted) >= driftFor
	l.mu.Unlock()
	if !due {
		return nil
	}
	return l.save()
}

// save writes the state when it has changed since the last save.
func (l *ledger) save() error {
	l.saving.Lock()
	defer l.saving.Unlock()
	l.mu.Lock()
	changed := l.changed || !l.drifted.IsZero()
	l.changed, l.drifted = false, time.Time{}
	l.mu.Unlock()
	if !changed {
		return nil
	}
	if err := l.cursors.Save(l.snapshot()); err != nil {
		l.mu.Lock()
		l.changed = true
		l.mu.Unlock()
		return err
	}
	return nil
}
