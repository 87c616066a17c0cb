package manager

import (
	"time"

	"github.com/masixun71/cupid/pkg/chunk"
)

const (
	// startBucketRows is how many rows the first chunk of a sweep by buckets has, and
	// minBucketRows and maxBucketRows bound it. Larger ones add fewer sums to join.
	startBucketRows, minBucketRows, maxBucketRows = 20_000, 2000, 100_000
	// maxSumsAhead is maxAhead while sums are made, of which a chunk may have 256 KiB.
	maxSumsAhead = 32
	// sumsEvery is how long sums may wait to be written. What a killed manager repeats is
	// no more than this much work.
	sumsEvery = 5 * time.Second
)

// SumState is what a sweep by buckets has added up.
type SumState struct {
	// Pass and Begun are those of the pass, and Plan is the name of what is added up.
	Pass  uint32    `json:"pass"`
	Begun time.Time `json:"begun"`
	Plan  string    `json:"plan"`
	// Position is up to where everything is in Sums, and Found what was found so far.
	Position *string `json:"position,omitempty"`
	Found    Found   `json:"found"`
	// Whole says that everything is.
	Whole bool `json:"whole,omitempty"`
	// Sums are as chunk.Sums writes them.
	Sums []byte `json:"sums,omitempty"`
}

// gathered is the part of a sweep that adds up buckets.
//
//	AddUp ── every chunk is in the sums ──▶ Resolve ── every chunk is done ──▶ complete
//	  ▲  └── no bucket differs ────────────────────────────────────────────────────▲
//	  └── the sums are lost, or of other columns ── Resolve
//
// The two sides of a bucket are read at different times, so one that differs is a hint
// to look and no more; and rows that change all the time cost no more than one look at
// all rows in a pass.
type gathered struct {
	keeper Sums
	sums   chunk.Sums
	differ string    // the buckets that are resolved; empty for all
	count  int       // how many differ, once they are resolved
	kept   time.Time // when the sums were written last
	unkept bool      // it was said that they could not be
}

// stage makes a pass that begins or goes on know what it has added up.
func (s *sweepScan) stage() error {
	s.gathered = gathered{keeper: s.keeper, kept: time.Now()}
	if s.state.Mode != SweepByBucket {
		s.state.Stage = chunk.Compare
		most := maxRows
		if s.plan.Divisible {
			most = maxDivisible
		}
		if limit := s.pair.SweepRowPerSecond; limit > 0 {
			most = max(min(most, limit), minRows) // or the rate would hold on average only
		}
		s.bound(minRows, most)
		if s.once && s.plan.Divisible && s.rows == startRows {
			s.size(startDivisible) // nothing was measured yet, and somebody waits
		}
		s.lane.rows = s.rows
		return nil
	}
	if s.state.Stage == chunk.Compare { // it begins
		s.state.Stage = chunk.AddUp
		s.bound(minBucketRows, maxBucketRows)
		s.size(startBucketRows)
		s.sized()
		return nil
	}
	kept, err := s.keeper.Load(s.lane.pair)
	if err != nil {
		return err
	}
	usable := kept.Pass == s.state.Pass && kept.Begun.Equal(s.state.Begun) && kept.Plan == s.plan.Sums && s.sums.JoinBytes(kept.Sums) == nil
	switch {
	case usable && !kept.Whole:
		s.state.Stage, s.state.Position, s.state.Found = chunk.AddUp, kept.Position, kept.Found
	case !usable:
		s.lane.log.Info().Str("position", from{s.state.Position}.String()).Msg("no sums are kept that the pass could go on with; it adds them up again")
		s.state.Stage, s.state.Position, s.state.Found = chunk.AddUp, nil, Found{}
	case s.state.Stage == chunk.AddUp: // and could not write any more that it was whole
		s.state.Position, s.state.Found = nil, kept.Found
		s.state.Stage = chunk.Resolve
	}
	s.bound(minBucketRows, maxBucketRows)
	if s.state.Stage == chunk.Resolve {
		s.resolve()
	}
	s.sized()
	return nil
}

// add keeps the sums of a part of a chunk.
func (o *outChunk) add(sums []byte) error {
	if err := chunk.CheckSums(sums); err != nil {
		return err
	}
	if len(sums) > 0 {
		o.sums = append(o.sums, sums)
	}
	return nil
}

// join adds what a chunk has added up.
func (s *sweepScan) join(o *outChunk) {
	for _, b := range o.sums {
		if err := s.sums.JoinBytes(b); err != nil {
			s.lane.log.Error().Err(err).Msg("sums of a chunk could not be read") // they could when they came
		}
	}
	o.sums = nil
}

// addedUp reports whether buckets are to be resolved, once everything is added up.
func (s *sweepScan) addedUp() bool {
	if s.state.Stage != chunk.AddUp {
		return false
	}
	s.saveSums(true)
	differ := s.sums.Differ()
	s.lane.log.Info().Uint32("pass", s.state.Pass).Int("buckets", differ.Len()).Int("of", chunk.Buckets).Int64("rows", s.state.Found.Rows).
		Msg("sweep has added both tables up; the rows of the buckets that differ are compared")
	if differ.Len() == 0 {
		return false
	}
	s.state.Stage, s.state.Position = chunk.Resolve, nil
	s.resolve()
	s.keep()
	s.sized()
	return true
}

// resolve chooses the buckets to look at, and how many rows to go through at a time
// such that no more of them are read than in any other chunk.
func (s *sweepScan) resolve() {
	differ := s.sums.Differ()
	s.count = differ.Len()
	n := max(s.count, 1)
	if s.differ = differ.String(); n > chunk.Buckets/2 {
		s.differ, n = "", chunk.Buckets // to ask for each row's bucket would gain little
	}
	most := min(max(maxRows*chunk.Buckets/n, maxRows), maxBucketRows)
	s.bound(min(minBucketRows, most), most)
	s.size(most)
}

// keepSums writes the sums when that is due.
func (s *sweepScan) keepSums() {
	if time.Since(s.kept) >= sumsEvery {
		s.saveSums(false)
	}
}

// saveSums writes the sums while they are made.
func (s *sweepScan) saveSums(whole bool) {
	if s.state.Stage != chunk.AddUp || s.complete() {
		return
	}
	s.kept = time.Now()
	err := s.keeper.Save(s.lane.pair, SumState{
		Pass: s.state.Pass, Begun: s.state.Begun, Plan: s.plan.Sums, Position: s.state.Position, Found: s.state.Found, Whole: whole, Sums: s.sums.Bytes(),
	})
	if err != nil && !s.unkept {
		s.lane.log.Error().Err(err).Msg("sums could not be written; tried again until it works, and a sweep repeats what is not written")
	}
	s.unkept = err != nil
}
