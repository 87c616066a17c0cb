package manager

import (
	"context"
	"time"
)

// SweepProgress is how far the sweep of a pair is: that of a run with -once, and
// in a status the pass that goes on or was the last one. A list of them is the
// body of ipc.TypeSweepProgress; each message has the news on some pairs or all.
type SweepProgress struct {
	Pair string `json:"pair"`
	// Rows counts the source's rows that were compared. A pass that is Done with 0
	// has compared nothing.
	Rows int64 `json:"rows"`
	// EstimatedRows is how many rows the source has, as the server estimates it or
	// the last pass counted them; 0 when unknown. It may be wrong by half, and less than Rows.
	EstimatedRows int64 `json:"estimatedRows"`
	Chunks        int64 `json:"chunks"`
	// Resolving is how many buckets differ, of chunk.Buckets, while a sweep by buckets
	// compares their rows, for which it goes over both tables again; else 0. Again is how
	// many rows that has passed.
	Resolving int   `json:"resolvingBuckets,omitempty"`
	Again     int64 `json:"rowsAgain,omitempty"`
	// Missing, Different and Orphans count what was found, by kind.
	Missing   int64 `json:"missing"`
	Different int64 `json:"different"`
	Orphans   int64 `json:"orphans"`
	Unknown
	// OrphansUnseen says that the pair is swept in a way that sees no orphans, whether they are
	// looked for or not.
	OrphansUnseen bool `json:"orphansUnseen,omitempty"`
	// Waiting says what the sweep waits for, such as a busy server; empty when it gets on.
	Waiting string `json:"waiting,omitempty"`
	// How says in words how the pair is compared, and what is not seen that way.
	How string `json:"how,omitempty"`
	// Restarted says that the pass was begun anew within a run that goes on, since the pair is
	// compared in another way now: what was found before may be in the files of the run.
	Restarted bool `json:"restarted,omitempty"`
	// Done says that no more comes. With an Error the pair is not, or not wholly,
	// compared.
	Done bool `json:"done"`
	// Error says why it could not be told whether the pair is equal.
	Error string `json:"error,omitempty"`
}

// progressEvery is how often progress is told.
const progressEvery = 500 * time.Millisecond

// progress is how far all sweeps are.
func (m *Manager) progress() (all []SweepProgress, done bool) {
	done = true
	for _, s := range m.sweeps {
		p := s.progress()
		all = append(all, p)
		done = done && p.Done
	}
	return all, done
}

// tellProgress tells how far a run with -once is, until all is done or ctx ends.
func (m *Manager) tellProgress(ctx context.Context) {
	if !m.config.Once || m.config.Progress == nil {
		return
	}
	tick := time.NewTicker(progressEvery)
	defer tick.Stop()
	for {
		all, done := m.progress()
		if done {
			// What is told to be done is not done again by the next manager. An error is
			// kept at by keepSaved.
			_ = m.ledger.save()
		}
		if ctx.Err() != nil {
			ctx = context.WithoutCancel(ctx) // the last word, so that a run that is stopped tells what it did
			m.config.Progress(ctx, all)
			return
		}
		m.config.Progress(ctx, all)
		if done {
			return
		}
		select {
		case <-ctx.Done():
		case <-m.ended:
		case <-tick.C:
		}
	}
}
