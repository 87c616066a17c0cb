package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/masixun71/cupid/ipc"
	"github.com/masixun71/cupid/pkg/boot"
)

const (
	readyTime   = 50 * time.Millisecond // from the kill of a worker to the next one's ready, 99 of 100
	stopIdle    = 100 * time.Millisecond
	stopWorst   = 1500 * time.Millisecond
	orphansIdle = 100 * time.Millisecond
	orphansBusy = 900 * time.Millisecond
	masterBytes = 20_000_000

	killWorkers = 10 // workers of which each is killed once between two reloads: a second kill would have the backoff in it
	killRounds  = 10
	killPause   = 100 * time.Millisecond
	stopRounds  = 5
)

// supervise measures how soon the dead are replaced, and how soon all is over.
func (w *world) supervise(ctx context.Context) ([]line, error) {
	var lines []line
	for _, take := range []func(context.Context) ([]line, error){w.kills, w.idleEnds, w.busyEnds} {
		more, err := take(ctx)
		lines = append(lines, more...)
		if err != nil {
			return lines, err
		}
	}
	return lines, nil
}

// kills measures the time from kill -9 of a worker to the ready of the next, and the master's memory after that.
func (w *world) kills(ctx context.Context) (_ []line, err error) {
	c, _, err := w.start(ctx, w.scan("quiet", nobodyAnswers, killWorkers-2))
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, c.stop()) }()
	log, err := c.followMaster()
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, log.Close()) }()
	var took, bare []time.Duration
	for range killRounds {
		if err := c.ask(ctx, ipc.TypeReload, nil); err != nil {
			return nil, err
		}
		s, err := c.status(ctx)
		if err != nil {
			return nil, err
		}
		for slot, worker := range s.Workers {
			if err := log.skip(); err != nil {
				return nil, err
			}
			began := time.Now()
			if err := syscall.Kill(worker.Pid, syscall.SIGKILL); err != nil {
				return nil, err
			}
			if err := c.until(ctx, "the next worker", time.Millisecond, func() (bool, error) { return log.ready(slot) }); err != nil {
				return nil, err
			}
			took = append(took, time.Since(began))
			// What a worker does once it is ready is not part of the next one's start.
			if err := sleep(ctx, killPause); err != nil {
				return nil, err
			}
			if began, err = time.Now(), exec.CommandContext(ctx, filepath.Join(w.bin, "cupid-worker"), "-version").Run(); err != nil {
				return nil, err
			}
			bare = append(bare, time.Since(began))
		}
	}
	slices.Sort(took)
	slices.Sort(bare)
	p99 := took[len(took)*99/100-1]
	rss, err := usageOf([]int{c.cmd.Process.Pid})
	if err != nil {
		return nil, err
	}
	median, start := took[len(took)/2], bare[len(bare)/2]
	again := within(fmt.Sprintf("kill -9 of a worker to ready again, p99 of %d (median %s)", len(took), milliseconds(median)), p99, readyTime)
	again.cells = append(again.cells, "start of a worker that only says its version: "+milliseconds(start),
		fmt.Sprintf("%.2f", median.Seconds()/start.Seconds()))
	return []line{
		again,
		{
			cells: []string{
				fmt.Sprintf("memory of the master, %d workers, %d restarts", killWorkers, len(took)), megabytes(rss.rss) + " resident (RSS)",
				"shared pages once (PSS): " + megabytes(rss.pss),
			},
			target: "< " + megabytes(masterBytes), met: rss.rss < masterBytes,
		},
	}, nil
}

// idleEnds measures how soon all processes are gone of a cupid that has nothing to do: after a SIGTERM, and after kill -9 of the master.
func (w *world) idleEnds(ctx context.Context) ([]line, error) {
	var stops, orphans []time.Duration
	for range stopRounds {
		for signal, all := range map[syscall.Signal]*[]time.Duration{syscall.SIGTERM: &stops, syscall.SIGKILL: &orphans} {
			c, _, err := w.start(ctx, w.scan("quiet", nobodyAnswers, 2))
			if err != nil {
				return nil, err
			}
			if err := sleep(ctx, time.Second); err != nil {
				return nil, errors.Join(err, c.stop())
			}
			took, err := c.end(ctx, signal)
			if err != nil {
				return nil, err
			}
			*all = append(*all, took)
		}
	}
	return []line{
		within(fmt.Sprintf("stop of an idle cupid, longest of %d", stopRounds), slices.Max(stops), stopIdle),
		within(fmt.Sprintf("kill -9 of an idle master to the end of its workers, longest of %d", stopRounds), slices.Max(orphans), orphansIdle),
	}, nil
}

// busyEnds measures the same where everything hangs: queries on both sides, callbacks, and one worker that is stopped.
func (w *world) busyEnds(ctx context.Context) ([]line, error) {
	stop, err := w.busyEnd(ctx, syscall.SIGTERM)
	if err != nil {
		return nil, err
	}
	orphans, err := w.busyEnd(ctx, syscall.SIGKILL)
	if err != nil {
		return nil, err
	}
	return []line{
		within("stop with hanging queries and callbacks, one worker stopped", stop, stopWorst),
		within("kill -9 of the master to the end of such workers", orphans, orphansBusy),
	}, nil
}

func (w *world) busyEnd(ctx context.Context, signal syscall.Signal) (_ time.Duration, err error) {
	var hanging atomic.Int64
	over := make(chan struct{})
	server := http.Server{ReadHeaderTimeout: patience, Handler: http.HandlerFunc(func(_ http.ResponseWriter, req *http.Request) {
		_, _ = io.Copy(io.Discard, req.Body)
		hanging.Add(1)
		<-over
	})}
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	go func() { _ = server.Serve(l) }()
	defer func() { close(over); err = errors.Join(err, server.Close()) }()
	if _, err := w.des.ExecContext(ctx, "TRUNCATE TABLE lost"); err != nil {
		return 0, err
	}
	c, _, err := w.start(ctx, w.scan("lost", "http://"+l.Addr().String(), 2))
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, c.stop()) }()
	if err := c.until(ctx, "a hanging callback", fileEvery, func() (bool, error) { return hanging.Load() > 0, nil }); err != nil {
		return 0, err
	}
	for _, db := range []string{w.srcName, w.desName} {
		lock, err := w.src.Connx(ctx)
		if err != nil {
			return 0, err
		}
		defer func() { err = errors.Join(err, lock.Close()) }()
		if _, err := lock.ExecContext(ctx, "LOCK TABLES "+db+".lost WRITE"); err != nil {
			return 0, err
		}
		defer func() { _, _ = lock.ExecContext(context.WithoutCancel(ctx), "UNLOCK TABLES") }()
	}
	// The scans begin a query every two seconds.
	if err := sleep(ctx, 3*time.Second); err != nil {
		return 0, err
	}
	s, err := c.status(ctx)
	if err != nil {
		return 0, err
	}
	if err := syscall.Kill(s.Workers[3].Pid, syscall.SIGSTOP); err != nil {
		return 0, err
	}
	return c.end(ctx, signal)
}

// end sends a signal to the master and returns how long it took until the last process was gone.
func (c *cupid) end(ctx context.Context, signal syscall.Signal) (time.Duration, error) {
	s, err := c.status(ctx)
	if err != nil {
		return 0, err
	}
	began := time.Now()
	if err := c.cmd.Process.Signal(signal); err != nil {
		return 0, err
	}
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for _, pid := range s.pids() {
		for !hasEnded(pid) {
			if time.Since(began) > stopTime {
				return 0, fmt.Errorf("process %d was left over after %s", pid, stopTime)
			}
			<-tick.C
		}
	}
	took := time.Since(began)
	<-c.ended
	return took, nil
}

// hasEnded tells whether a process is no more, or waits only for its parent to hear of it: proc_pid_stat(5).
func hasEnded(pid int) bool {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err != nil || bytes.HasPrefix(text[bytes.LastIndexByte(text, ')')+1:], []byte(" Z"))
}

// ask sends a request to the master that has no answer but that it was done, or one that goes into answer.
func (c *cupid) ask(ctx context.Context, request string, answer any) error {
	var d net.Dialer
	nc, err := d.DialContext(ctx, "unix", filepath.Join(c.state, boot.SocketFile))
	if err != nil {
		return err
	}
	conn := ipc.NewConn(nc, ipc.Options{Peer: "cupid-master"})
	defer func() { _ = conn.Close() }()
	if err := conn.Send(ctx, ipc.Envelope{Type: request, ID: 1}); err != nil {
		return err
	}
	if err := conn.SetReceiveDeadline(time.Now().Add(patience)); err != nil {
		return err
	}
	env, err := conn.Receive()
	if err != nil {
		return err
	}
	var a ipc.Answer
	if err := ipc.Decode(env.Body, &a); err != nil {
		return err
	}
	if !a.OK {
		return errors.New(a.Error)
	}
	if answer == nil {
		return nil
	}
	return ipc.Decode(a.Body, answer)
}

// masterLog reads what the master logs.
type masterLog struct {
	*os.File
	rest []byte
}

func (c *cupid) followMaster() (*masterLog, error) {
	files, err := filepath.Glob(filepath.Join(c.logDir, "cupid-master-*"))
	if err != nil || len(files) == 0 {
		return nil, errors.Join(errors.New("the master has no log"), err)
	}
	file, err := os.Open(slices.Max(files))
	return &masterLog{File: file}, err
}

// skip goes to the end.
func (l *masterLog) skip() error {
	l.rest = nil
	_, err := l.Seek(0, io.SeekEnd)
	return err
}

// ready tells whether a worker of a slot got ready since the last look.
func (l *masterLog) ready(slot int) (bool, error) {
	text, err := io.ReadAll(l)
	if err != nil {
		return false, err
	}
	l.rest = append(l.rest, text...)
	for {
		one, after, whole := bytes.Cut(l.rest, []byte("\n"))
		if !whole {
			return false, nil
		}
		l.rest = after
		var told struct {
			Slot    int
			Message string
		}
		if err := json.Unmarshal(one, &told); err != nil {
			return false, err
		}
		if told.Slot == slot && told.Message == "worker ready" {
			return true, nil
		}
	}
}

// within is the line of a time that has a limit.
func within(what string, took, limit time.Duration) line {
	return line{cells: []string{what, milliseconds(took)}, target: "≤ " + milliseconds(limit), met: took <= limit}
}

func milliseconds(d time.Duration) string {
	return fmt.Sprintf("%.0f ms", math.Ceil(float64(d)/float64(time.Millisecond)))
}
