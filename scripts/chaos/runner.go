package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"time"
)

const (
	// shortest is how long a run is at least.
	shortest = 15 * time.Second
	// patience is how long both sides may take to become equal once nobody disturbs any more, and controlPatience how
	// long that is waited for with the original, which has no more to say after its window of time.
	patience, controlPatience = 3 * time.Minute, 15 * time.Second
	// idle is how long the program is left alone before it is measured.
	idle = 2 * time.Second
	// spare is the part of the run after which the master is not killed any more.
	spare = 0.6
)

// runner is one run.
type runner struct {
	options
	out io.Writer

	dir      string // all files of the run
	world    *world
	receiver *receiver
	subject  *subject
	hand     *hand
	writers  []*writerCounts
	begun    time.Time
	chaos    time.Duration // how long it lasted
	quiet    time.Duration // how long it took then until both sides were equal
	equal    bool
	stopped  time.Duration // how long the program took to stop
	left     []string      // processes that were left over
	grown    []grown
}

func (r *runner) say(format string, args ...any) { _, _ = fmt.Fprintf(r.out, format+"\n", args...) }

// run does everything and clears up after it. After a failure the files stay.
func (r *runner) run(ctx context.Context) (broken []string, err error) {
	r.begun = time.Now()
	if r.dir, err = os.MkdirTemp("", "cupid-chaos-"); err != nil {
		return nil, err
	}
	r.say("seed %d: %s of chaos, in %s", r.seed, r.length, r.dir)
	err = r.story(ctx)
	if err == nil {
		broken, err = r.verdict(ctx)
	}
	if ctx.Err() != nil && err == nil {
		err = context.Cause(ctx)
	}
	_, stopping := r.subject.program0().stop()
	err = errors.Join(err, stopping, r.receiver.close())
	if err != nil || len(broken) > 0 {
		return broken, errors.Join(err, r.world.close(r.dir))
	}
	return nil, errors.Join(r.world.close(""), os.RemoveAll(r.dir))
}

// program0 is the program, also before there is one.
func (s *subject) program0() *program {
	if s == nil {
		return nil
	}
	return s.program
}

// story is the run from its beginning until the program is stopped.
func (r *runner) story(ctx context.Context) (err error) {
	if r.world, err = openWorld(ctx, func(line string) { r.say("%s", line) }); err != nil {
		return err
	}
	if r.receiver, err = openReceiver(ctx, r.world, r.seed); err != nil {
		return err
	}
	if r.original {
		r.subject, err = newOriginal(r.dir, r.world.server.DSN(""), r.receiver.url)
	} else {
		r.subject, err = newCupid(r.bin, r.dir, r.world.server.Socket(), r.receiver.url)
	}
	if err != nil {
		r.subject = nil
		return err
	}
	go r.subject.supervise(ctx)
	r.hand = &hand{subject: r.subject, dice: dice(r.seed, "hand"), say: r.say, missed: map[string]int{}}
	if err := r.ready(ctx); err != nil {
		return err
	}
	young, err := r.measure(ctx)
	if err != nil {
		return err
	}
	if err := r.disturb(ctx); err != nil {
		return err
	}
	if err := r.calm(ctx); err != nil {
		return err
	}
	old, err := r.measure(ctx)
	if err != nil {
		return err
	}
	r.grown = compare(young, old)
	if r.stopped, err = r.subject.stop(); err != nil {
		return err
	}
	r.left = users(r.dir)
	return nil
}

// ready waits until the program is.
func (r *runner) ready(ctx context.Context) error {
	if _, err := r.hand.recovers(ctx, kill{at: time.Now()}); err != nil {
		return err
	}
	return context.Cause(ctx)
}

// disturb is the chaos.
func (r *runner) disturb(ctx context.Context) error {
	began := time.Now()
	r.receiver.begin()
	ending, cancel := context.WithTimeout(ctx, r.length)
	defer cancel()
	var writing, copying sync.WaitGroup
	var mu sync.Mutex
	var faults error
	part := func(wg *sync.WaitGroup, name string, f func() error) {
		wg.Go(func() {
			if err := f(); err != nil {
				cancel()
				mu.Lock()
				defer mu.Unlock()
				faults = errors.Join(faults, fmt.Errorf("%s: %w", name, err))
			}
		})
	}
	var replicators []*replicator
	for _, t := range r.world.tables {
		rep := newReplicator(r.world, t, r.seed)
		replicators = append(replicators, rep)
		part(&copying, "replicator", func() error { return rep.run(ctx) })
		for name, run := range map[string]func(*writer, context.Context) error{
			"short": (*writer).short, "hot": (*writer).heat, "warm": (*writer).warm, "long 1": (*writer).long, "long 2": (*writer).long,
		} {
			w := &writer{world: r.world, table: t, replicator: rep, dice: dice(r.seed, name+t.name), counts: &writerCounts{}}
			r.writers = append(r.writers, w.counts)
			part(&writing, "writer", func() error { return run(w, ending) })
		}
		if t.swept {
			part(&writing, "rot", func() error { return rep.rot(ending, dice(r.seed, "rot")) })
		}
	}
	part(&writing, "hand", func() error { return r.hand.run(ending, began.Add(time.Duration(spare*float64(r.length)))) })
	writing.Wait()
	for _, rep := range replicators {
		rep.end()
	}
	copying.Wait()
	r.chaos = time.Since(began)
	return errors.Join(faults, context.Cause(ctx))
}

// calm lets the program find what is left, and waits until both sides are equal.
func (r *runner) calm(ctx context.Context) error {
	r.receiver.mend()
	if !r.original {
		if err := r.hand.disarm(); err != nil {
			return err
		}
	}
	began, limit := time.Now(), patience
	if r.original {
		limit = controlPatience
	}
	for time.Since(began) < limit {
		if done, err := r.isEqual(ctx); err != nil {
			return err
		} else if done {
			r.equal, r.quiet = true, time.Since(began)
			break
		}
		if !pause(ctx, 100*time.Millisecond) {
			return context.Cause(ctx)
		}
		select {
		case err := <-r.subject.failed:
			return err
		default:
		}
	}
	r.receiver.server.SetKeepAlivesEnabled(false) // connections that wait are no growth
	r.receiver.busy.Wait()
	return nil
}

// isEqual reports whether both sides are, and no event waits any more.
func (r *runner) isEqual(ctx context.Context) (bool, error) {
	s, err := r.subject.status(ctx)
	if err != nil || !s.ready() {
		return false, nil //nolint:nilerr // it is not back yet
	}
	if n, ok := s.waiting(); !r.original && (!ok || n > 0) {
		return false, nil
	}
	for _, t := range r.world.tables {
		if rows, err := r.world.difference(ctx, t); err != nil || len(rows) > 0 {
			return false, err
		}
	}
	return true, nil
}
