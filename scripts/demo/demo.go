package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"syscall"
	"time"
)

// patience is how long the demo waits for what must happen.
const patience = 30 * time.Second

// demo is the story, and what takes part in it.
type demo struct {
	options
	say   *terminal
	stdin io.Reader

	dir      string // temporary; all of cupid's files
	kept     string // the same, when it is left for somebody to look into
	shop     *shop
	receiver *receiver
	cupid    *cupid

	selling  sync.WaitGroup
	endSales context.CancelFunc
	sales    error // valid when nothing is sold any more
}

// errInterrupted says that somebody wanted the end.
var errInterrupted = errors.New("interrupted")

// run tells the story and clears up after it, however it ends.
func (d *demo) run(ctx context.Context) (err error) {
	if d.dir, err = os.MkdirTemp("", "cupid-demo-"); err != nil {
		return err
	}
	err = d.tell(ctx)
	if ctx.Err() != nil && errors.Is(err, ctx.Err()) {
		err = errInterrupted
	}
	closing := d.close(err)
	if errors.Is(err, errInterrupted) && closing != nil {
		return closing
	}
	return errors.Join(err, closing)
}

// tell tells the story. Its error is what did not go as it should.
func (d *demo) tell(ctx context.Context) error {
	began := time.Now()
	d.say.title("cupid finds the rows that replication has lost, and calls back until they are right.")
	for _, chapter := range []func(context.Context) error{
		d.openShop, d.startCupid, d.callInVain, d.killWorker, d.killMaster, d.mendReceiver, d.loseMore, d.end,
	} {
		if err := chapter(ctx); err != nil {
			return err
		}
	}
	if d.keep {
		return d.play(ctx)
	}
	if err := d.stop(); err != nil {
		return err
	}
	d.say.good("All of it took %s.", took(began))
	return nil
}

func (d *demo) openShop(ctx context.Context) error {
	d.say.begin("A table and its copy")
	var err error
	if d.shop, err = openShop(ctx, func(line string) { d.say.line("%s", line) }); err != nil {
		return err
	}
	d.say.line("A private MariaDB (%s) runs in %s.", strings.Fields(d.shop.server.Program().Version)[0], d.shop.server.Dir())
	d.say.line("shop.user has %s; a little replicator keeps warehouse.user a copy of it.", rows(rowCount))
	d.say.line("It has lost %d of them and garbled %d (a space at the end, other case, NULL, a ten-thousandth too much).", missingCount, differentCount)
	d.receiver, err = openReceiver(ctx, d.shop)
	return err
}

func (d *demo) startCupid(ctx context.Context) error {
	d.say.begin("cupid is started")
	var text string
	var err error
	if d.cupid, text, err = newCupid(d.bin, d.dir, d.shop.server.Socket(), d.receiver.url); err != nil {
		d.cupid = nil
		return err
	}
	d.say.line("%s:", d.cupid.config)
	d.say.quote(text)
	began := time.Now()
	go d.cupid.supervise()
	now, err := d.wait(ctx, "cupid is ready", status.ready)
	if err != nil {
		return err
	}
	d.say.line("Ready after %s: %s.", took(began), now)
	return nil
}

// callInVain: cupid finds what is wrong while the receiver is down.
func (d *demo) callInVain(ctx context.Context) error {
	d.say.begin("The receiver of its callbacks is down")
	began := time.Now()
	d.sell(ctx)
	d.say.line("The shop sells on; all that it writes reaches the copy %.1f s late. That is no fault, and cupid must not take it for one.", lag.Seconds())
	_, err := d.wait(ctx, "all events wait", func(s status) bool {
		v, ok := s.delivery()
		return ok && v.Depth >= missingCount+differentCount && d.receiver.counts().refused > 0
	})
	if err != nil {
		return err
	}
	d.say.line("After %s cupid has found %s that differ, looked twice, and called: 500 Internal Server Error, %d times. It goes on trying.",
		took(began), rows(missingCount+differentCount), d.receiver.counts().refused)
	return nil
}

func (d *demo) killWorker(ctx context.Context) error {
	now, err := d.wait(ctx, "cupid is ready", status.ready)
	if err != nil {
		return err
	}
	victim := now.pid("callback")
	d.say.begin("kill -9 %d: the callback worker, which has the queue", victim)
	began := time.Now()
	if err := syscall.Kill(victim, syscall.SIGKILL); err != nil {
		return fmt.Errorf("kill the callback worker: %w", err)
	}
	now, err = d.wait(ctx, "the callback worker is replaced", func(s status) bool { return s.ready() && s.pid("callback") != victim })
	if err != nil {
		return err
	}
	d.say.line("The master has started callback worker %d in its place, ready after %s.", now.pid("callback"), took(began))
	return d.stillWaiting(ctx)
}

func (d *demo) killMaster(ctx context.Context) error {
	before, err := d.wait(ctx, "cupid is ready", status.ready)
	if err != nil {
		return err
	}
	var workers []int
	for _, w := range before.Workers {
		workers = append(workers, w.Pid)
	}
	d.say.begin("kill -9 %d: the master", before.Pid)
	began := time.Now()
	if err := d.cupid.kill(); err != nil {
		return fmt.Errorf("kill the master: %w", err)
	}
	if err := d.until(ctx, "the workers end with their master", func() (bool, error) { return len(alive(workers...)) == 0, nil }); err != nil {
		return err
	}
	d.say.line("Its %d workers are gone after %s.", len(workers), took(began))
	now, err := d.wait(ctx, "cupid is ready again", func(s status) bool { return s.ready() && s.Pid != before.Pid })
	if err != nil {
		return err
	}
	d.say.line("A supervisor starts it again; ready after %s: %s.", took(began), now)
	return d.stillWaiting(ctx)
}

// stillWaiting checks that a new callback worker has found the events of the one before.
func (d *demo) stillWaiting(ctx context.Context) error {
	now, err := d.wait(ctx, "the new callback worker has all events", func(s status) bool {
		v, ok := s.delivery()
		return ok && v.Stored == 0 && v.Depth >= missingCount+differentCount
	})
	if err != nil {
		return err
	}
	v, _ := now.delivery()
	d.say.line("Nothing is lost: %s still wait for their callback. They were on disk.", rows(v.Depth))
	return nil
}

func (d *demo) mendReceiver(ctx context.Context) error {
	d.say.begin("The receiver works again")
	began := time.Now()
	d.receiver.mend()
	_, err := d.wait(ctx, "all rows are repaired", func(s status) bool {
		v, ok := s.delivery()
		return ok && v.Depth == 0 && len(d.receiver.counts().repaired) >= missingCount+differentCount
	})
	if err != nil {
		return err
	}
	kinds := map[int]int{}
	for _, kind := range d.receiver.counts().repaired {
		kinds[kind]++
	}
	d.say.line("After %s all are repaired, %d missing and %d different, and cupid has looked again: they are equal.", took(began), kinds[1], kinds[2])
	return nil
}

func (d *demo) loseMore(ctx context.Context) error {
	d.say.begin("The replicator loses a new row, and the change of an old one")
	began := time.Now()
	if err := d.shop.lose(ctx); err != nil {
		return err
	}
	err := d.until(ctx, "the two rows are repaired", func() (bool, error) {
		n, err := d.shop.lost(ctx)
		return n == 0, err
	})
	if err != nil {
		return err
	}
	d.say.line("Found, called back and repaired after %s, of which %.0f s were given to the replicator.", took(began), settle.Seconds())
	return nil
}

// end ends the sales, waits until cupid is done, and gives the figures.
func (d *demo) end(ctx context.Context) error {
	d.say.begin("The end")
	d.endSales()
	d.selling.Wait()
	if d.sales != nil {
		return d.sales
	}
	now, err := d.wait(ctx, "no event waits any more", func(s status) bool {
		v, ok := s.delivery()
		return ok && v.Depth == 0 && v.HealedByCallback+v.HealedItself >= uint64(len(d.receiver.counts().repaired))
	})
	if err != nil {
		return err
	}
	return d.figures(ctx, now)
}

// stop stops cupid and looks for what is left of it.
func (d *demo) stop() error {
	began := time.Now()
	if err := d.cupid.stop(); err != nil {
		return err
	}
	left, err := users(d.dir)
	if err != nil {
		return err
	}
	if len(left) > 0 {
		return fmt.Errorf("processes are left over: %s", strings.Join(left, ", "))
	}
	d.say.good("cupid has stopped within %s; no process is left over.", took(began))
	return nil
}

// close stops and removes everything, whatever happened. After a failure the directory with the logs stays.
func (d *demo) close(failure error) error {
	if d.endSales != nil {
		d.endSales()
	}
	err := d.cupid.stop()
	d.selling.Wait()
	err = errors.Join(err, d.receiver.close())
	if failure != nil && !errors.Is(failure, errInterrupted) {
		d.kept = d.dir
		return errors.Join(err, d.shop.close(d.dir))
	}
	return errors.Join(err, d.shop.close(""), os.RemoveAll(d.dir))
}

// sell lets the shop sell until endSales is called.
func (d *demo) sell(ctx context.Context) {
	ctx, d.endSales = context.WithCancel(ctx)
	d.selling.Go(func() { d.sales = d.shop.sell(ctx) })
}

// wait waits for a status. While cupid is away there is none.
func (d *demo) wait(ctx context.Context, what string, ok func(status) bool) (status, error) {
	var now status
	err := d.until(ctx, what, func() (bool, error) {
		s, err := d.cupid.status(ctx)
		now = s
		return err == nil && ok(s), nil
	})
	return now, err
}

// until waits for what must happen.
func (d *demo) until(ctx context.Context, what string, ok func() (bool, error)) error {
	ctx, cancel := context.WithTimeoutCause(ctx, patience, fmt.Errorf("within %s it did not happen that %s", patience, what))
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		if done, err := ok(); err != nil && ctx.Err() == nil {
			return err
		} else if done {
			return nil
		}
		select {
		case <-tick.C:
		case err := <-d.cupid.failed:
			return err
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}
