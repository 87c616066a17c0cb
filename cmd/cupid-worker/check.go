package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/masixun71/cupid/ipc"
	"github.com/masixun71/cupid/pkg/boot"
	"github.com/masixun71/cupid/pkg/config"
	"github.com/masixun71/cupid/pkg/notify"
	"github.com/masixun71/cupid/pkg/table"
	"github.com/masixun71/cupid/pkg/webhook"
)

// check tests the configuration against the databases, and reports. It changes
// nothing. again says that the master has another task; else it has ended the connection, or has
// said nothing for so long that it never will.
func (w *worker) check(ctx context.Context, joined *ipc.Worker) (again bool, err error) {
	checking, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	heard := make(chan error, 1) // what comes next, or the end, which ends the check
	go func() {
		env, err := joined.Conn.Receive()
		if err == nil && env.Type != ipc.TypeAgain {
			err = fmt.Errorf("the master sent %q to a check", env.Type)
		}
		if err != nil {
			cancel(fmt.Errorf("the master is gone: %w", err))
		}
		heard <- err
	}()
	w.tables = &tables{}
	report := w.checkAll(checking)
	env, err := ipc.NewEnvelope(boot.TypeReport, 0, report)
	if err == nil {
		err = joined.Conn.Send(checking, env)
	}
	if err == nil {
		err = joined.Conn.Flush(checking)
	}
	if err != nil {
		return false, err
	}
	late := time.NewTimer(handshakeTimeout)
	defer late.Stop()
	select {
	case err := <-heard:
		return err == nil, nil
	case <-late.C:
	case <-ctx.Done():
	}
	return false, nil
}

const (
	// checks is how many pairs are checked at a time: dead ones make others wait for no
	// longer than one of them takes.
	checks = 256
	// checkTime bounds the whole check, within what the master waits for the report:
	// pairs that are not checked by then are reported as unreachable.
	checkTime = 20 * time.Second
)

func (w *worker) checkAll(ctx context.Context) boot.Report {
	pairs := w.config.Pairs()
	r := boot.Report{Pairs: make([]boot.PairReport, len(pairs))}
	slots := make(chan struct{}, checks)
	ctx, cancel := context.WithTimeoutCause(ctx, checkTime, fmt.Errorf("not checked within %s", checkTime))
	defer cancel()
	var wg sync.WaitGroup
	for i, p := range pairs {
		wg.Go(func() {
			select {
			case slots <- struct{}{}:
				defer func() { <-slots }()
				r.Pairs[i] = w.checkPair(ctx, p)
			case <-ctx.Done():
				r.Pairs[i] = boot.PairReport{Pair: p.Name, Unreachable: []string{context.Cause(ctx).Error() + ", since others do not answer"}}
			}
		})
	}
	wg.Wait()
	for i, u := range w.config.Notify.URLs {
		if err := notify.Validate(u); err != nil {
			r.Pairs[0].Faults = append(r.Pairs[0].Faults, fmt.Sprintf("notify.urls[%d]: %v", i, err))
		}
	}
	return r
}

func (w *worker) checkPair(ctx context.Context, p config.Pair) boot.PairReport {
	found := w.checkTables(ctx, p)
	r := boot.PairReport{
		Pair: p.Name, Lines: found.Lines, Warnings: found.Warnings, Faults: slices.Clone(found.Faults), Unreachable: found.Unreachable,
	}
	n := p.Destination.CallbackNotification
	if err := webhook.Validate(n.URL); err != nil {
		r.Faults = append(r.Faults, err.Error())
	}
	for _, s := range n.Secret {
		if err := webhook.CheckSecret(s); err != nil {
			r.Faults = append(r.Faults, errors.Join(errors.New("callbackNotification.secret"), err).Error())
		}
	}
	r.Lines = append(r.Lines, "callbacks go to "+n.URLForLog())
	return r
}

// checkTables checks the tables of a pair. A run with -once begins with what is learnt
// here, in this process.
func (w *worker) checkTables(ctx context.Context, p config.Pair) table.Report {
	if !w.orders.Once {
		return table.Check(ctx, pairOptions(w.config, p, 1, &w.tables.servers))
	}
	return w.tables.pair(w.config, p).Check(ctx)
}
