package manager

import (
	"context"
	"slices"
	"time"

	"github.com/masixun71/cupid/pkg/chunk"
)

// updateScan plans the scan for recent values of the update column.
type updateScan struct {
	lane *lane
	// overlap is how far each pass reaches back behind the watermark.
	overlap  time.Duration
	blindAge time.Duration
	state    UpdateState
	passed   time.Time // when the last completed pass began, by the monotonic clock of this process
}

func newUpdateScan(l *lane, overlap, blindAge time.Duration) *updateScan {
	s := l.ledger.update(l.pair)
	s.Late = slices.Clone(s.Late)
	return &updateScan{lane: l, overlap: overlap, blindAge: blindAge, state: s}
}

func (p *updateScan) begin(ctx context.Context) ([]*look, error) {
	clock, err := p.lane.source.Clock(ctx)
	if err != nil {
		return nil, err
	}
	if p.state.Watermark.IsZero() {
		p.state.Watermark = clock.Now
		p.keep() // what changes while cupid is down is looked at from here on
	}
	begun, start := time.Now(), p.start(clock.Now)
	from := start.Add(-p.overlap)
	var looks []*look
	var covered []Late // final, and inside this pass
	for i := range p.state.Late {
		l := &p.state.Late[i]
		final := l.settled(clock, lead, p.blindAge)
		switch {
		case !l.From.Before(from) && !l.To.After(clock.Now):
			if final {
				covered = append(covered, *l)
			}
		case final || l.due(clock.Now):
			l.looked(clock.Now)
			k, err := p.look(ctx, l.From, l.To)
			if err != nil {
				return nil, err
			}
			if done := *l; final {
				k.complete = func() { p.forget([]Late{done}) }
			}
			looks = append(looks, k)
		}
	}
	k, err := p.look(ctx, from, clock.Now)
	if err != nil {
		return nil, err
	}
	k.complete = func() {
		p.forget(covered)
		p.state.Late = remember(p.state.Late, Late{From: start, To: clock.Now, Seen: clock.Now})
		p.state.Watermark, p.passed = clock.covered(), begun
		p.keep()
	}
	return append(looks, k), nil
}

// start is from where on nothing has been looked at: the watermark, unless the
// server's clock was put back behind it, or another server has taken its place. Then
// it is as long before now as the last pass, by our own clock.
func (p *updateScan) start(now time.Time) time.Time {
	if !now.Before(p.state.Watermark) {
		return p.state.Watermark
	}
	if p.passed.IsZero() {
		return now
	}
	return now.Add(-time.Since(p.passed))
}

func (p *updateScan) look(ctx context.Context, from, to time.Time) (*look, error) {
	lo, hi, err := p.lane.source.Window(ctx, from, to)
	if err != nil {
		return nil, err
	}
	return &look{span: span{lo: lo, hi: hi, short: true, salt: salt()}}, nil
}

// forget removes spans that have been looked at after they were final.
func (p *updateScan) forget(done []Late) {
	p.state.Late = slices.DeleteFunc(p.state.Late, func(o Late) bool {
		return slices.ContainsFunc(done, func(l Late) bool {
			return o.From.Equal(l.From) && o.To.Equal(l.To) && o.Seen.Equal(l.Seen)
		})
	})
	p.keep()
}

func (p *updateScan) cut(ctx context.Context, s span, at *chunk.Position, limit int) (chunk.Position, int, error) {
	return p.lane.source.CutUpdates(ctx, at, s.lo, s.hi, limit)
}

func (p *updateScan) keep() { p.lane.ledger.setUpdate(p.lane.pair, p.state) }
