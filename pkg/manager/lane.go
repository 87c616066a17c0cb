package manager

import (
	"context"
	"slices"
	"strconv"
	"time"

	"github.com/rs/zerolog"

	"github.com/masixun71/cupid/pkg/chunk"
)

const (
	// maxOpen is how many chunks of one lane may be out at a time. A task worker
	// holds fewer.
	maxOpen = 64
	// failedOut is how many may be out once one has failed. Each that comes back makes
	// room for one more, up to maxOpen. So a pair whose databases answer a probe and hang
	// in a query does not fill the hands of the task workers.
	failedOut = 8
	// maxAhead is how many chunks may be cut beyond the first that is not done. It
	// bounds memory and what a killed manager repeats when one chunk is stuck.
	maxAhead = 1024
	// clockAge is how old a reading of the source's clock may be while chunks
	// are cut by it.
	clockAge = time.Second
	// atRest is how long a lane sleeps that only an answer can wake.
	atRest = time.Minute
)

// planner is what differs between the scans.
type planner interface {
	// begin starts a pass: the looks that are due now.
	begin(ctx context.Context) ([]*look, error)
	// cut bounds the next chunk of at most limit rows of a span after at.
	cut(ctx context.Context, s span, at *chunk.Position, limit int) (chunk.Position, int, error)
}

// lane is one scan of one pair. One goroutine, in run, owns all of it but the inbox.
type lane struct {
	pair     string
	config   string // the fingerprint of the pair's configuration
	scan     chunk.Scan
	interval time.Duration
	rows     int
	source   Source
	owner    Owner
	ledger   *ledger
	alerts   Alerts
	log      zerolog.Logger
	planner  planner
	sweep    *sweepScan // the planner of a sweep; nil in other lanes
	prefix   string     // of the ids of this lane's chunks, unlike that of any other lane and manager process
	offers   chan<- chunk.Chunk
	inbox    inbox

	named    uint64 // how many chunks were named
	looks    []*look
	open     map[string]*piece // by the id of the chunk: staged, out, or to be halved
	staged   []*piece          // to be offered, the first one first
	crashed  []*piece          // to be halved, also those whose rows cannot be read
	growth   growth            // of the chunks of a scan; a sweep has a pace
	nextPass time.Time
	rest     time.Time // nothing is cut before
	broken   bool      // both sides must answer before the next chunk is offered: one failed, or none was offered yet
	window   int       // how many chunks may be out
	failures int       // in a row, of the source or of a probe
	failing  time.Time // when the first of them was
	wait     time.Time // nothing is asked of the source before
	alerted  bool      // an operator was told that the lane does not get on
}

// run plans until ctx ends.
func (l *lane) run(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	if l.sweep != nil {
		defer func() { l.sweep.saveSums(false) }()
	} else {
		l.takeUp()
	}
	for ctx.Err() == nil {
		if l.hear(); !l.over() {
			l.plan(ctx)
		}
		if l.over() {
			return
		}
		timer.Reset(max(l.sleep(), time.Millisecond))
		var offers chan<- chunk.Chunk
		var next chunk.Chunk
		i := l.ripe()
		if i >= 0 {
			offers, next = l.offers, l.offered(l.staged[i])
		}
		select {
		case <-ctx.Done():
		case offers <- next:
			l.staged[i].cut = time.Time{}
			l.staged = slices.Delete(l.staged, i, i+1)
		case <-l.inbox.wake:
		case <-timer.C:
		}
	}
}

// over reports whether nothing is left to do.
func (l *lane) over() bool { return l.sweep != nil && l.sweep.over }

// hear takes in what has become of the chunks that are out.
func (l *lane) hear() {
	results, crashed, again := l.inbox.take()
	for _, s := range again {
		l.again(s)
	}
	for _, r := range results {
		l.finish(r)
	}
	for _, c := range crashed {
		if p, ok := l.open[c.ID]; ok && !slices.Contains(l.staged, p) && !slices.Contains(l.crashed, p) {
			p.chunk.Crashes, p.unread = c.Crashes, 0
			l.crashed = append(l.crashed, p)
		}
	}
	if l.sweep != nil {
		l.sweep.again(l.inbox.lostAt())
	}
}

// ripe is the first staged piece that may be offered now, -1 for none.
func (l *lane) ripe() int {
	if l.broken || len(l.open)-len(l.staged)-len(l.crashed) >= l.window {
		return -1
	}
	now, owing := time.Now(), l.owing()
	return slices.IndexFunc(l.staged, func(p *piece) bool { return !p.retry.After(now) && (p.owed == nil || !owing) })
}

// sleep is how long there is nothing to do but to wait for an answer.
func (l *lane) sleep() time.Duration {
	if d := time.Until(l.wait); d > 0 {
		return d
	}
	d := atRest
	if len(l.looks) == 0 {
		d = min(d, time.Until(l.nextPass))
	}
	for _, p := range l.staged {
		if r := time.Until(p.retry); r > 0 {
			d = min(d, r)
		}
		if p.chunk.Open && !p.cut.IsZero() {
			d = min(d, time.Until(p.cut.Add(openAge)))
		}
	}
	if r := time.Until(l.rest); r > 0 {
		d = min(d, r)
	}
	return d
}

// plan stages a chunk when there is one to cut and room for it.
func (l *lane) plan(ctx context.Context) {
	if time.Now().Before(l.wait) {
		return
	}
	if l.broken {
		if err := l.source.Ping(ctx); err != nil {
			l.fail(ctx, "reach both sides", err)
			return
		}
		l.broken = false
		l.recovered()
	}
	for len(l.crashed) > 0 {
		if err := l.halve(ctx, l.crashed[0]); err != nil {
			l.fail(ctx, "halve chunk", err)
			return
		}
		l.crashed = l.crashed[1:]
	}
	if l.over() {
		return
	}
	if len(l.looks) == 0 && !time.Now().Before(l.nextPass) {
		l.nextPass = time.Now().Add(l.interval)
		if !l.owner.Owns(l.pair) {
			l.despair("begin scan", errForeign, time.Now())
			return
		}
		l.growth.begin()
		looks, err := l.planner.begin(ctx)
		if err != nil {
			l.fail(ctx, "begin scan", err)
			return
		}
		l.looks = looks
		l.recovered()
	}
	l.closeStale()
	for l.ripe() < 0 && l.room() {
		k := l.cutting()
		if k == nil || time.Now().Before(l.rest) {
			break
		}
		if l.sweep != nil {
			wait, err := l.sweep.pause(ctx)
			if err != nil {
				l.fail(ctx, "ask whether to go on", err)
				return
			}
			if l.rest = time.Now().Add(wait); wait > 0 {
				break
			}
		}
		if err := l.cutNext(ctx, k); err != nil {
			l.fail(ctx, "cut chunk", err)
			return
		}
	}
}

// room reports whether one more chunk may be cut.
func (l *lane) room() bool {
	ahead := 0
	for _, k := range l.looks {
		ahead += len(k.out)
	}
	most := maxAhead
	if l.sweep != nil && l.sweep.state.Stage == chunk.AddUp {
		most = maxSumsAhead
	}
	return len(l.open) < maxOpen && ahead < most
}

// cutting is the first look that is not whole yet.
func (l *lane) cutting() *look {
	for _, k := range l.looks {
		if !k.whole {
			return k
		}
	}
	return nil
}

// cutNext cuts one chunk off k and stages it, or finds that k is whole.
func (l *lane) cutNext(ctx context.Context, k *look) error {
	upTo, rows, last, err := l.cut(ctx, k)
	if err != nil {
		return err
	}
	l.recovered()
	if last && k.span.filled {
		upTo.ID = k.span.upTo
	}
	if rows == 0 && !k.span.open && !k.span.filled {
		k.whole = true
		l.settle(k)
		return nil
	}
	if k.fresh != nil {
		k.fresh(k.at, upTo)
	}
	o := &outChunk{look: k, upTo: upTo, beyond: rows == 0 && k.span.open}
	k.out = append(k.out, o)
	p := l.stage(o, chunk.Chunk{After: k.at, From: k.span.lo, UpTo: upTo, Open: last && k.span.open, Salt: k.span.salt, Stage: k.span.stage, Differ: k.span.differ, Rows: rows})
	p.cut = time.Now()
	if k.whole = last || k.span.filled && upTo.ID == k.span.upTo; !o.beyond {
		k.at = &upTo
	}
	if l.sweep != nil && !lowest(p.chunk) {
		l.sweep.spend(rows)
	}
	return nil
}

// cut bounds the next chunk of k, for a sweep without a look at the rows where that can be. last
// says that no row is left behind it where all of them are in the span.
func (l *lane) cut(ctx context.Context, k *look) (upTo chunk.Position, rows int, last bool, err error) {
	if l.sweep != nil {
		if upTo, rows, err = l.sweep.step(ctx, k); err != nil || rows > 0 {
			return upTo, rows, false, err
		}
	}
	var limit int
	if l.sweep != nil {
		limit = l.sweep.limit(k)
	} else {
		limit = l.growth.limit(ctx, l.source, l.rows)
	}
	upTo, rows, err = l.planner.cut(ctx, k.span, k.at, limit)
	l.growth.saw(rows, limit)
	return upTo, rows, (k.span.open || k.span.filled || k.span.short) && rows < limit, err
}

// stage puts a part of o in line to be offered.
func (l *lane) stage(o *outChunk, c chunk.Chunk) *piece {
	l.named++
	c.ID, c.Pair, c.Scan = l.prefix+strconv.FormatUint(l.named, 10), l.pair, l.scan
	p := &piece{chunk: c, out: o}
	o.left++
	l.open[c.ID] = p
	l.staged = append(l.staged, p)
	return p
}

// openAge is how long the open chunk of a sweep may wait to be offered.
const openAge = 5 * time.Second

// closeStale bounds an open chunk that has waited: the table grows meanwhile, and a
// chunk has to stay small. What has come above it is cut next.
func (l *lane) closeStale() {
	for i, p := range l.staged {
		if !p.chunk.Open || p.cut.IsZero() || time.Since(p.cut) < openAge {
			continue
		}
		k := p.out.look
		k.whole = false
		l.sweep.next = time.Time{}
		if !p.out.beyond {
			p.chunk.Open = false
			return
		}
		l.drop(p)
		l.staged = slices.Delete(l.staged, i, i+1)
		k.out = k.out[:len(k.out)-1] // nothing was cut after it
		return
	}
}

// drop forgets a piece that is done, or that others have taken the place of. Its
// look is to be settled after it.
func (l *lane) drop(p *piece) {
	delete(l.open, p.chunk.ID)
	p.out.left--
}

// settle moves on what k's done chunks allow, and takes k off when it is complete.
func (l *lane) settle(k *look) {
	if !k.settle() {
		return
	}
	if k.complete != nil {
		k.complete()
	}
	l.looks = slices.DeleteFunc(l.looks, func(o *look) bool { return o == k })
}
