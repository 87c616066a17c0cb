package main_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"
)

// change is a version of a row, as a replicator applies it.
type change struct {
	number, version int
	at              time.Time // when the source had it
}

// replica copies the source's rows by hand, as late as a test wants.
type replica struct {
	rig *rig
	// stall is the longest time for which what was due to be applied was not: when the
	// machine holds the test up, the replica lags more than the test wants.
	stall time.Duration
	once  sync.Mutex // guards stall
}

// apply writes one version to the destination at its time.
func (p *replica) apply(ctx context.Context, c change, due time.Time) error {
	if !wait(ctx, time.Until(due)) {
		return context.Cause(ctx)
	}
	_, err := p.rig.des.DB.ExecContext(ctx,
		"INSERT INTO user (number, name) VALUES (?, ?) ON DUPLICATE KEY UPDATE name = VALUES(name)", c.number, fmt.Sprint("v", c.version))
	p.once.Lock()
	defer p.once.Unlock()
	p.stall = max(p.stall, time.Since(due))
	return err
}

// wait returns false when ctx ends first.
func wait(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// quiet checks that nobody was called, unless the machine made the replica lag by more
// than slack.
func (p *replica) quiet(t *testing.T, slack time.Duration) {
	t.Helper()
	p.once.Lock()
	stall := p.stall
	p.once.Unlock()
	switch calls := p.rig.receiver.all(); {
	case len(calls) == 0:
	case stall > slack:
		t.Skipf("the machine held the replica up by %s", stall)
	default:
		t.Errorf("%d callbacks for rows that only lagged, the first %s", len(calls), calls[0].Raw)
	}
}

// Every row comes late, by up to the settle time.
func TestG3LagUpToTheSettleTimeIsNoAlarm(t *testing.T) {
	t.Parallel()
	const settle, lag = 2500 * time.Millisecond, 2000 * time.Millisecond
	r := newRig(t)
	r.config["settleMillisecond"] = settle.Milliseconds()
	r.start()
	p := &replica{rig: r}
	var wg sync.WaitGroup
	for n := range 60 {
		r.src.Exec(t, fmt.Sprintf("INSERT INTO user (number, name) VALUES (%d, 'v0')", n))
		at := time.Now()
		wg.Go(func() {
			if err := p.apply(t.Context(), change{number: n}, at.Add(rand.N(lag))); err != nil {
				t.Error(err)
			}
		})
		wait(t.Context(), 50*time.Millisecond)
	}
	wg.Wait()
	r.eventually("all chunks are settled", func() bool {
		var counts struct{ InHand, Suspects, Events int }
		return r.taskCounts(&counts) && counts.Suspects > 0 && counts.InHand == 0
	})
	p.quiet(t, settle-lag)
}

// Rows change ten times a second. The replica falls behind, by more than the settle
// time in the end, and catches up; it never stands still.
func TestG3HotRowsOfAReplicaThatCatchesUpAreNoAlarm(t *testing.T) {
	t.Parallel()
	const (
		settle = time.Second
		rows   = 4
		every  = 100 * time.Millisecond
		rising = 4 * time.Second // for so long the replica works at half the speed, then it catches up
		total  = 9 * time.Second
	)
	r := newRig(t)
	r.config["settleMillisecond"] = settle.Milliseconds()
	for n := range rows {
		r.src.Exec(t, fmt.Sprintf("INSERT INTO user (number, name) VALUES (%d, 'v0')", n))
	}
	r.des.Exec(t, "INSERT INTO user SELECT * FROM "+r.src.Name+".user")
	r.start()
	p := &replica{rig: r}
	begun := time.Now()
	changes := make(chan change, 1024)
	var wg sync.WaitGroup
	wg.Go(func() {
		for c := range changes {
			// The lag grows to half of rising, and shrinks as fast.
			after := c.at.Sub(begun)
			lag := max(min(after, 2*rising-after)/2, 0)
			if err := p.apply(t.Context(), c, c.at.Add(lag)); err != nil {
				t.Error(err)
			}
		}
	})
	for version := 1; time.Since(begun) < total; version++ {
		for n := range rows {
			r.src.Exec(t, fmt.Sprintf("UPDATE user SET name = 'v%d' WHERE number = %d", version, n))
			changes <- change{n, version, time.Now()}
		}
		wait(t.Context(), every)
	}
	close(changes)
	wg.Wait()
	r.eventually("the tables are equal, and nothing is watched", func() bool {
		var counts struct{ InHand, Suspects int }
		return r.differing() == 0 && r.taskCounts(&counts) && counts.Suspects > 0 && counts.InHand == 0 && r.onlyPair().Depth == 0
	})
	p.quiet(t, settle*7/10) // a change comes every 200 ms at half the speed
}
