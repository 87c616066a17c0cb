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

// check tests the configuration against the databases, reports, and ends. It
// changes nothing.
func (w *worker) check(ctx context.Context, joined *ipc.Worker) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	go func() { // the master says nothing more: its end ends the check
		_, err := joined.Conn.Receive()
		cancel(fmt.Errorf("the master is gone: %w", errOr(err)))
	}()
	report := checkAll(ctx, w.config)
	env, err := ipc.NewEnvelope(boot.TypeReport, 0, report)
	if err != nil {
		return err
	}
	if err := joined.Conn.Send(ctx, env); err != nil {
		return err
	}
	return joined.Conn.Flush(ctx)
}

const (
	// checks is how many pairs are checked at a time: dead ones make others wait for no
	// longer than one of them takes.
	checks = 256
	// checkTime bounds the whole check, within what the master waits for the report:
	// pairs that are not checked by then are reported as unreachable.
	checkTime = 20 * time.Second
)

func checkAll(ctx context.Context, c *config.Config) boot.Report {
	pairs := c.Pairs()
	r := boot.Report{Pairs: make([]boot.PairReport, len(pairs))}
	slots, servers := make(chan struct{}, checks), &table.Servers{}
	ctx, cancel := context.WithTimeoutCause(ctx, checkTime, fmt.Errorf("not checked within %s", checkTime))
	defer cancel()
	var wg sync.WaitGroup
	for i, p := range pairs {
		wg.Go(func() {
			select {
			case slots <- struct{}{}:
				defer func() { <-slots }()
				r.Pairs[i] = checkPair(ctx, c, p, servers)
			case <-ctx.Done():
				r.Pairs[i] = boot.PairReport{Pair: p.Name, Unreachable: []string{context.Cause(ctx).Error() + ", since others do not answer"}}
			}
		})
	}
	wg.Wait()
	for i, u := range c.Notify.URLs {
		if err := notify.Validate(u); err != nil {
			r.Pairs[0].Faults = append(r.Pairs[0].Faults, fmt.Sprintf("notify.urls[%d]: %v", i, err))
		}
	}
	return r
}

func checkPair(ctx context.Context, c *config.Config, p config.Pair, servers *table.Servers) boot.PairReport {
	found := table.Check(ctx, pairOptions(c, p, 1, servers))
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
