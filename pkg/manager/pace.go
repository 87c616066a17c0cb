package manager

import (
	"context"
	"fmt"
	"time"
)

const (
	// startRows is how many rows the first chunk of a sweep has; the cost of a chunk
	// beside that of its rows is small from there on. minRows and maxRows bound it: a
	// larger chunk gains nothing, unless it can be divided where it differs. maxDivisible bounds
	// those, and with -once startDivisible is where they start, and lastRows about where they end
	// (make bench-sweep).
	startRows, minRows, maxRows            = 5000, 500, 10_000
	startDivisible, maxDivisible, lastRows = 20_000, 40_000, 10_000
	// targetTime is how long the queries of a chunk should take.
	targetTime = 500 * time.Millisecond
	// unknownRows stands for the size of a table that no one knows. A larger one is
	// swept without pauses once the interval is over.
	unknownRows = 10_000_000
	// brakeWait is how old a reading of the load may be, and how long a sweep waits
	// before it reads it again.
	brakeWait = time.Second
)

// pace decides how large the chunks of a sweep are and when the next is cut. What
// it decides from is handed in; only brake asks anybody.
type pace struct {
	pair     Pair
	once     bool
	urgent   bool      // the pass is not spread
	rows     int       // of the next chunk
	least    int       // rows of a chunk
	most     int       // rows of a chunk
	passes   int64     // how often a pass goes over the table
	begun    time.Time // of the pass
	expected int64     // rows in the table
	spent    int64     // rows that were cut in this pass
	next     time.Time // no chunk is cut before

	readAt  time.Time // when the load was read
	busy    string    // what was above its limit then
	unknown bool      // it was said that the lag cannot be read
}

// start is called with the state in which a pass begins or goes on.
func (p *pace) start(s SweepState, estimated int64) {
	p.passes = 1
	if s.Mode == SweepByBucket {
		p.passes = 2
	}
	p.begun, p.spent, p.expected, p.next, p.urgent = s.Begun, s.Found.Rows+s.Found.Again, estimated, time.Time{}, s.Urgent
	if s.Last != nil && s.Last.Found.Rows > 0 {
		p.expected = s.Last.Found.Rows // counted, and with the source's condition
	}
}

// spend is called with the rows of each chunk that is cut.
func (p *pace) spend(rows int) {
	now := time.Now()
	wait := time.Duration(0)
	if !p.once && !p.urgent {
		wait = spread(int64(rows), p.spent, p.expected*p.passes, now.Sub(p.begun), p.pair.SweepInterval)
	}
	if limit := p.pair.SweepRowPerSecond; limit > 0 {
		wait = max(wait, part(time.Second, int64(rows), int64(limit)))
	}
	p.spent += int64(rows)
	p.next = now.Add(wait)
}

// spread is how long the rows of a chunk may take when spent rows are cut, and the
// rest of those that are expected has what remains of the interval. An expectation
// that was too low does not stop the pass: it keeps its pace. Nothing waits once the
// interval is over.
func spread(rows, spent, expected int64, elapsed, interval time.Duration) time.Duration {
	remains := interval - elapsed
	switch left := expected - spent; {
	case remains <= 0:
		return 0
	case left >= rows:
		return part(remains, rows, left)
	case spent > 0:
		return min(part(elapsed, rows, spent), remains)
	default: // nobody knows
		return part(remains, rows, max(unknownRows, rows))
	}
}

// part is d * n / of.
func part(d time.Duration, n, of int64) time.Duration {
	return time.Duration(float64(d) * float64(n) / float64(max(of, 1)))
}

// resize moves the size of the next chunks towards what takes the target time,
// given what a chunk took. A small chunk that was quick says little.
func (p *pace) resize(rows, millisecond int) {
	target := int(targetTime.Milliseconds())
	if millisecond <= 0 || rows == 0 || rows < p.rows/2 && millisecond <= target {
		return
	}
	ideal := min(max(rows*target/millisecond, p.rows/4), p.rows*2)
	p.size((p.rows + ideal) / 2)
}

// size sets how many rows the next chunk is to have.
func (p *pace) size(rows int) { p.rows = min(max(rows, p.least), p.most) }

// bound sets how many rows a chunk has at least and at most.
func (p *pace) bound(least, most int) {
	p.least, p.most = least, most
	p.size(p.rows)
}

// brake reads the load of both servers. While it is above a limit, it returns how
// long to wait and why.
func (p *pace) brake(ctx context.Context, l *lane) (time.Duration, string, error) {
	if p.pair.SweepThreadsRunning <= 0 && p.pair.SweepLag <= 0 {
		return 0, "", nil
	}
	if age := time.Since(p.readAt); !p.readAt.IsZero() && age < brakeWait {
		if p.busy == "" {
			return 0, "", nil
		}
		return brakeWait - age, p.busy, nil
	}
	threads, lag, known, err := l.source.Pressure(ctx)
	if err != nil {
		return 0, "", err
	}
	if !known && !p.unknown && p.pair.SweepLag > 0 {
		p.unknown = true
		l.log.Warn().Msg("the account cannot see how far a replica lags behind, so the sweep does not wait for it (REPLICATION CLIENT, on MariaDB REPLICA MONITOR)")
	}
	was := p.busy
	p.readAt, p.busy = time.Now(), p.tooMuch(threads, lag)
	switch {
	case p.busy == "" && was != "":
		l.log.Info().Msg("sweep goes on")
	case p.busy != "" && was == "":
		l.log.Info().Str("for", p.busy).Msg("sweep waits")
	}
	if p.busy == "" {
		return 0, "", nil
	}
	return brakeWait, p.busy, nil
}

// tooMuch says what is above its limit; nothing when all is well.
func (p *pace) tooMuch(threads int, lag time.Duration) string {
	switch limit := p.pair.SweepThreadsRunning; {
	case limit > 0 && threads > limit:
		return fmt.Sprintf("%d threads run on a server, more than %d", threads, limit)
	case p.pair.SweepLag > 0 && lag > p.pair.SweepLag:
		return fmt.Sprintf("a replica lags behind by %s, more than %s", lag.Round(time.Second), p.pair.SweepLag)
	}
	return ""
}
