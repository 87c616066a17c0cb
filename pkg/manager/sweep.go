package manager

import (
	"context"
	"sync"
	"time"

	"github.com/masixun71/cupid/pkg/chunk"
)

// sweepAsk is how often a lane asks whether a pass is due that cannot begin.
const sweepAsk = time.Second

// sweepScan plans the passes over a whole table.
//
//	pass 1 ── complete ── interval after its begin ──▶ pass 2 …
//	  ├─ the mode changes, or a run with -once begins ──▶ pass 2
//	  └─ events were lost since its begin ──▶ pass 2, urgent
//
// An urgent pass is gone on with when more events are lost; the next one, urgent too,
// follows at once. So a disk that goes bad bit by bit does not keep passes from their end.
//
// A pass is cut from the smallest key to the greatest. Its chunks have no gap between
// them, and the last one is open: so each row of either side is in one, whatever
// order the destination has. Rows that come or move behind the position are for the
// other scans, or for the next pass.
//
// With -once the open chunk comes first and the others end where it begins: above the
// greatest key are the newest rows, and orphans, which have to be looked at twice; so
// nobody waits for them at the end.
type sweepScan struct {
	lane    *lane
	run     string // names the run with -once
	state   SweepState
	plan    SweepPlan
	over    bool      // nothing more is done: -once
	waiting string    // what it waits for
	lost    time.Time // when events of the pair were lost last
	top     *string   // a key that the source had when the pass began, or went on; nil for none
	dense   bool      // the next chunk can be cut without a look at the rows
	below   bool      // all of the pass is done that lies below its top
	pace
	gathered

	mu    sync.Mutex // guards shown
	shown SweepProgress
}

// newSweepScan goes on where the state is. gone names an earlier run with -once that
// is gone on with. What it has done of a pair that is compared in another way now says
// nothing of this one. A pass of no run that is gone on with is of none from here on: what
// it found is in no file of this run, so no later one may vouch for it.
func newSweepScan(l *lane, c Config, p Pair, gone string) *sweepScan {
	s := &sweepScan{lane: l, run: c.Run, state: l.ledger.sweep(p.Name)}
	s.pace = pace{pair: p, once: c.Once, rows: s.state.ChunkRow, least: minRows, most: maxBucketRows}
	s.keeper = c.Sums
	if s.rows == 0 {
		s.rows = startRows
	}
	l.rows = s.rows
	if !c.Once {
		s.show()
		return s
	}
	switch ours := s.state.Run != "" && (s.state.Run == s.run || s.state.Run == gone); {
	case ours && s.state.Config == p.Fingerprint:
		s.state.Run = s.run
		s.over = s.complete()
		s.keep()
		s.show()
		return s
	case ours:
		s.state = SweepState{Pass: s.state.Pass, ChunkRow: s.state.ChunkRow, Run: s.run, Last: s.state.Last}
		s.keep()
		l.log.Warn().Msg("the pair is compared in another way now; the pass begins again")
	case s.state.Run != "":
		s.state.Run = ""
		s.keep()
	}
	s.shown = SweepProgress{Pair: p.Name}
	return s
}

// unfinishedRun is the last run with -once of these pairs, unless it is complete: each
// of them, also one that it could not even begin; empty for none.
func unfinishedRun(l *ledger, pairs []Pair) string {
	var last SweepState
	for _, p := range pairs {
		if s := l.sweep(p.Name); s.Run != "" && (last.Run == "" || s.Begun.After(last.Begun)) {
			last = s
		}
	}
	for _, p := range pairs {
		if s := l.sweep(p.Name); s.Run != last.Run || s.Ended.IsZero() {
			return last.Run
		}
	}
	return ""
}

func (s *sweepScan) complete() bool { return s.state.Pass > 0 && !s.state.Ended.IsZero() }

// due is when the next pass begins, or the one that is not complete goes on.
func (s *sweepScan) due() time.Time {
	now := time.Now()
	if s.once || !s.complete() || s.anew() {
		return now
	}
	if s.state.Begun.After(now) { // the clock was put back
		s.state.Begun = now
	}
	return s.state.Begun.Add(s.pair.SweepInterval)
}

// again hears when events of the pair were lost last, as often as the lane looks.
func (s *sweepScan) again(lost time.Time) {
	if s.once || !lost.After(s.lost) {
		return
	}
	if s.lost = lost; !s.anew() {
		return
	}
	s.lane.log.Warn().Time("lost", lost).Msg("events of the pair were lost on disk; its table is swept anew")
	if s.complete() || !s.state.Urgent {
		s.lane.abandon()
		s.lane.nextPass, s.lane.rest = time.Time{}, time.Time{}
	}
}

// anew reports whether events were lost since the last pass began.
func (s *sweepScan) anew() bool { return s.lost.After(s.state.Begun) }

func (s *sweepScan) begin(ctx context.Context) ([]*look, error) {
	if due := s.due(); time.Now().Before(due) {
		s.lane.nextPass = due
		return nil, nil
	}
	plan, err := s.lane.source.Sweep(ctx)
	if err != nil {
		return nil, err
	}
	estimated, err := s.lane.source.EstimatedRows(ctx)
	if err != nil {
		return nil, err
	}
	s.plan = plan
	if s.otherKey(plan) {
		s.forgetKeys()
	}
	if s.goesOn() {
		s.lane.takeUp()
	} else {
		s.lane.forgive()
		s.state = SweepState{
			Pass: s.state.Pass + 1, Mode: plan.Mode, Config: s.pair.Fingerprint, Restarted: s.once && s.state.Run == s.run,
			Begun: time.Now().UTC(), Urgent: s.anew(), ChunkRow: s.rows, Last: s.state.Last,
		}
	}
	s.state.Key = plan.Key
	if s.state.Run = ""; s.once {
		s.state.Run = s.run
	}
	if err := s.findTop(ctx, estimated); err != nil {
		return nil, err
	}
	if err := s.stage(); err != nil {
		return nil, err
	}
	s.start(s.state, estimated)
	s.keep()
	s.show()
	s.lane.log.Info().Uint32("pass", s.state.Pass).Stringer("from", from{s.state.Position}).Int64("estimatedRows", s.expected).
		Str("how", plan.How).Msg("sweep goes over the table")
	if s.state.Top != nil && !s.state.Above {
		return []*look{s.above(), s.look()}, nil
	}
	return []*look{s.look()}, nil
}

// findTop finds the greatest key, as it is now or was when the pass began. A table of one chunk
// is not parted.
func (s *sweepScan) findTop(ctx context.Context, estimated int64) error {
	s.top, s.dense, s.below = s.state.Top, false, false
	if s.top != nil || s.state.Mode != SweepByKey {
		return nil
	}
	top, ok, err := s.lane.source.LastKey(ctx)
	if err != nil || !ok {
		return err
	}
	small := estimated > 0 && estimated <= startRows
	if s.top = &top; s.once && s.state.Position == nil && !small {
		s.state.Top = &top
	}
	return nil
}

// goesOn reports whether the pass of the state is gone on with.
func (s *sweepScan) goesOn() bool {
	switch {
	case s.state.Begun.IsZero() || s.complete() || s.anew() && !s.state.Urgent:
		return false
	case s.once && s.state.Run != s.run:
		return false
	case s.state.Config != s.pair.Fingerprint:
		s.lane.log.Warn().Msg("what is compared of the pair was changed in the configuration; the pass begins again")
		return false
	case !s.plan.allows(s.state.Mode):
		s.lane.log.Warn().Str("was", s.state.Mode).Str("is", s.plan.Mode).Msg("the pair is swept in another way now; the pass begins again")
		return false
	case s.otherKey(s.plan):
		s.lane.log.Warn().Msg("byColumn or a table is another than it was; the pass begins again")
		return false
	}
	return true
}

// otherKey reports whether the bounds of the state are none of a plan's. Those of a state that does not say what
// they are made of are taken for such.
func (s *sweepScan) otherKey(p SweepPlan) bool { return s.state.Key != "" && s.state.Key != p.Key }

// forgetKeys gives up the rows that were set aside by a key which is none any more: nobody could find them by it,
// and they are compared with all others.
func (s *sweepScan) forgetKeys() {
	for _, row := range s.lane.ledger.forgetKeys(s.lane.pair) {
		s.lane.log.Warn().Str("row", row.Row()).Msg("this row was set aside by a byColumn that is another now; it is compared again")
	}
}

// allows reports whether a pass of a mode can go on.
func (p SweepPlan) allows(mode string) bool {
	return mode == p.Mode || p.Choice && (mode == SweepByKey || mode == SweepByBucket)
}

// from is a position as it stands in a log line.
type from struct{ position *string }

func (f from) String() string {
	if f.position == nil {
		return "the beginning"
	}
	return *f.position
}

// above is the part of the pass above its top.
func (s *sweepScan) above() *look {
	k := &look{span: span{open: true, salt: s.state.Pass}, at: &chunk.Position{ID: *s.state.Top}}
	var found Found // counted when all of it is done: else it is done again
	k.passed = func(done []*outChunk) {
		for _, o := range done {
			found.join(o.found)
		}
	}
	k.complete = func() {
		s.state.Found.join(found)
		s.state.Above = true
		s.keep()
		if s.below {
			s.end()
		}
	}
	return k
}

// look is the pass from its position on, up to its top.
func (s *sweepScan) look() *look {
	k := &look{span: span{open: true, salt: s.state.Pass, stage: s.state.Stage, differ: s.differ}}
	if s.state.Top != nil {
		k.span.open, k.span.filled, k.span.upTo = false, true, *s.state.Top
	}
	if s.state.Position != nil {
		k.at = &chunk.Position{ID: *s.state.Position}
	}
	k.passed = func(done []*outChunk) {
		for _, o := range done {
			s.join(o)
			s.state.Found.join(o.found)
			if id := o.upTo.ID; !o.beyond {
				s.state.Position = &id
			}
		}
		s.keep()
		s.keepSums()
	}
	k.complete = func() {
		if s.addedUp() {
			s.lane.looks = append(s.lane.looks, s.look())
			return
		}
		if s.below = true; s.state.Top == nil || s.state.Above {
			s.end()
		}
	}
	return k
}

// end ends a pass that is complete.
func (s *sweepScan) end() {
	s.state.Ended = time.Now().UTC()
	s.state.Last = &SweepPass{Pass: s.state.Pass, Begun: s.state.Begun, Ended: s.state.Ended, Found: s.found()}
	s.over = s.once
	s.gathered = gathered{keeper: s.keeper}
	s.lane.nextPass = s.due()
	s.keep()
	s.show()
	f := s.found()
	s.lane.log.Info().Uint32("pass", s.state.Pass).Int64("tookMillisecond", s.state.Ended.Sub(s.state.Begun).Milliseconds()).Int64("rows", f.Rows).
		Int64("missing", f.Missing).Int64("different", f.Different).Int64("orphans", f.Orphans).
		Int64("unknown", f.Count()).Str("why", f.Why()).Msg("sweep is complete")
}

// step bounds the next chunk of k without a look at the rows, where the last one that was
// cut had hardly fewer than its range has keys. To find a row by its place the server reads
// all rows before it, which is a third of what a pass costs. With -once the last chunks are
// smaller: all workers are done at about the same time then, and what differs at the end of the
// table is found, and settles, while others are still compared.
func (s *sweepScan) step(ctx context.Context, k *look) (upTo chunk.Position, rows int, err error) {
	if !s.dense || s.top == nil || k.at == nil {
		return chunk.Position{}, 0, nil
	}
	least := s.lane.rows
	if s.once {
		least = min(least, lastRows)
	}
	upTo.ID, rows, err = s.lane.source.StepKeys(ctx, k.at.ID, *s.top, s.lane.rows, least)
	s.dense = rows > 0
	return upTo, rows, err
}

// limit is how many rows the next chunk of k has at most where it is cut by a look at the rows. Where
// large chunks can be divided the first one ends at the first row: it has no lower bound, without
// which it could not be.
func (s *sweepScan) limit(k *look) int {
	if k.at == nil && s.state.Mode == SweepByKey && s.plan.Divisible && min(int64(s.lane.rows), s.expected) > startRows {
		return 1
	}
	return s.lane.rows
}

// lowest reports whether a chunk of a sweep ends at the first row. It says nothing of the time
// that rows take.
func lowest(c chunk.Chunk) bool { return c.After == nil && c.Rows == 1 }

func (s *sweepScan) cut(ctx context.Context, to span, at *chunk.Position, limit int) (chunk.Position, int, error) {
	var after, upTo *string
	if at != nil {
		after = &at.ID
	}
	if !to.open {
		upTo = &to.upTo
	}
	var c chunk.Cut
	var err error
	switch s.state.Mode {
	case SweepByRow:
		c.UpTo, c.Rows, err = s.lane.source.CutIDs(ctx, after, upTo, limit)
	case SweepByBucket:
		c.UpTo, c.Rows, err = s.lane.source.CutBuckets(ctx, after, upTo, limit)
	default:
		c, err = s.lane.source.CutKeys(ctx, after, upTo, limit)
		s.dense = c.Dense
	}
	return chunk.Position{ID: c.UpTo}, c.Rows, err
}

// pause is how long to wait before the next chunk is cut. It ends the pass when the
// mode has changed, since the chunks to come would not go on where the others ended.
func (s *sweepScan) pause(ctx context.Context) (time.Duration, error) {
	plan, err := s.lane.source.Sweep(ctx)
	if err != nil {
		return 0, err
	}
	if !plan.allows(s.state.Mode) || s.otherKey(plan) || s.state.Mode == SweepByBucket && plan.Sums != s.plan.Sums {
		s.lane.abandon()
		s.lane.nextPass = time.Now()
		return sweepAsk, nil
	}
	if d := time.Until(s.next); d > 0 {
		s.waiting = ""
		s.show()
		return d, nil
	}
	d, why, err := s.brake(ctx, s.lane)
	if err != nil {
		return 0, err
	}
	if s.waiting = why; why != "" {
		s.lane.recovered()
	}
	s.show()
	if d > 0 {
		return d, nil
	}
	return 0, s.countUnread(ctx)
}

// measure learns from a chunk how large the next ones are to be.
func (s *sweepScan) measure(c chunk.Chunk, r chunk.Result) {
	rows := c.Rows
	if s.state.Mode == SweepByKey {
		rows = r.Rows // the chunk may have been cut without a look at them
		s.dense = s.dense && rows >= c.Rows/2
	}
	if c.Crashes == 0 && !lowest(c) {
		s.resize(rows, r.Millisecond)
	}
	s.sized()
}

// shrink answers a failure with smaller chunks: they may have been too much.
func (s *sweepScan) shrink() {
	s.size(s.rows / 2)
	s.sized()
}

func (s *sweepScan) sized() { s.state.ChunkRow, s.lane.rows = s.rows, s.rows }

func (s *sweepScan) keep() { s.lane.ledger.setSweep(s.lane.pair, s.state) }

// giveUp ends the pair's part of a run with -once.
func (s *sweepScan) giveUp(why string) {
	s.over = true
	s.mu.Lock()
	defer s.mu.Unlock()
	s.shown.Done, s.shown.Error, s.shown.Waiting, s.shown.Resolving = true, why, "", 0
}

// show tells others how far the pass is: what it has passed, and what is done ahead of that.
func (s *sweepScan) show() {
	f := s.found()
	for _, k := range s.lane.looks {
		for _, o := range k.out {
			f.join(o.found)
		}
	}
	p := SweepProgress{
		Pair: s.lane.pair, Rows: f.Rows, EstimatedRows: s.expected, Chunks: f.Chunks, Missing: f.Missing, Different: f.Different,
		Orphans: f.Orphans, Waiting: s.waiting, How: s.plan.How, Done: s.complete(), Restarted: s.state.Restarted,
		Resolving: s.count, Again: f.Again, Unknown: f.Unknown, OrphansUnseen: s.state.Mode == SweepByRow,
	}
	if p.Done {
		p.Error = f.Why()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.shown = p
}

// progress is safe to call at any time.
func (s *sweepScan) progress() SweepProgress {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.shown
}
