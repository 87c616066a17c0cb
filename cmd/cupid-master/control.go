package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/masixun71/cupid/ipc"
	"github.com/masixun71/cupid/pkg/boot"
)

const (
	// maxControls bounds the connections to the control socket; more wait.
	maxControls = 16
	// controlIdle is how long a connection may say nothing.
	controlIdle = 10 * time.Second
)

// asked answers one request on the control socket.
type asked func(ctx context.Context, request ipc.Envelope) (body any, err error)

// control is the control socket.
type control struct {
	listener *net.UnixListener
	answer   asked
	slots    chan struct{}
	wg       sync.WaitGroup
}

// listen opens the control socket, for its owner alone. The lock of the master is
// held, so a file that is there is a stale one.
func listen(dir string, answer asked) (*control, error) {
	path, done, err := reach(dir)
	if err != nil {
		return nil, err
	}
	defer done()
	if err := os.Remove(filepath.Join(dir, boot.SocketFile)); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("open control socket: %w", err)
	}
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		return nil, fmt.Errorf("open control socket: %w", err)
	}
	l.SetUnlinkOnClose(false) // by the short name, which is gone by then
	if err := os.Chmod(filepath.Join(dir, boot.SocketFile), 0o600); err != nil {
		return nil, errors.Join(fmt.Errorf("open control socket: %w", err), l.Close())
	}
	return &control{listener: l, answer: answer, slots: make(chan struct{}, maxControls)}, nil
}

// reach names the socket in dir so that the name fits into a socket's address,
// which has 108 bytes: by way of an open descriptor of the directory.
func reach(dir string) (path string, done func(), err error) {
	d, err := os.Open(dir)
	if err != nil {
		return "", nil, fmt.Errorf("open control socket: %w", err)
	}
	return fmt.Sprintf("/proc/self/fd/%d/%s", d.Fd(), boot.SocketFile), func() { _ = d.Close() }, nil
}

// run answers until ctx is done.
func (c *control) run(ctx context.Context) {
	defer c.wg.Wait()
	stop := context.AfterFunc(ctx, func() { _ = c.listener.Close() })
	defer stop()
	for {
		select {
		case c.slots <- struct{}{}:
		case <-ctx.Done():
			return
		}
		nc, err := c.listener.AcceptUnix()
		if err != nil {
			<-c.slots
			if ctx.Err() != nil || !pause(ctx, 100*time.Millisecond) { // out of descriptors, for one
				return
			}
			continue
		}
		c.wg.Go(func() {
			defer func() { <-c.slots }()
			c.serve(ctx, nc)
		})
	}
}

// serve answers the requests of one connection, one after the other.
func (c *control) serve(ctx context.Context, nc net.Conn) {
	conn := ipc.NewConn(nc, ipc.Options{Peer: "control client"})
	defer func() { _ = conn.Close() }()
	stop := context.AfterFunc(ctx, func() { _ = conn.SetReceiveDeadline(time.Now()) })
	defer stop()
	for ctx.Err() == nil {
		_ = conn.SetReceiveDeadline(time.Now().Add(controlIdle))
		env, err := conn.Receive()
		if err != nil {
			return
		}
		if conn.Send(ctx, reply(env.ID, func() (any, error) { return c.answer(ctx, env) })) != nil {
			return
		}
		flush, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		err = conn.Flush(flush)
		cancel()
		if err != nil {
			return
		}
	}
}

func reply(id uint64, f func() (any, error)) ipc.Envelope {
	a := ipc.Answer{OK: true}
	body, err := f()
	if err == nil && body != nil {
		a.Body, err = json.Marshal(body)
	}
	if err != nil {
		a = ipc.Answer{Error: err.Error()}
	}
	env, err := ipc.NewEnvelope(ipc.TypeAnswer, id, a)
	if err != nil {
		env, _ = ipc.NewEnvelope(ipc.TypeAnswer, id, ipc.Answer{Error: err.Error()})
	}
	return env
}

// ask sends one request to the master of a state directory; about is its body, or nil.
func ask(ctx context.Context, dir, request string, about any, timeout time.Duration) (json.RawMessage, error) {
	env := ipc.Envelope{Type: request, ID: 1}
	if about != nil {
		var err error
		if env, err = ipc.NewEnvelope(request, 1, about); err != nil {
			return nil, err
		}
	}
	path, done, err := reach(dir)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errNotRunning, err)
	}
	defer done()
	var d net.Dialer
	nc, err := d.DialContext(ctx, "unix", path)
	if err != nil {
		if errors.Is(err, os.ErrPermission) {
			return nil, fmt.Errorf("open control socket in %s: %w", dir, err)
		}
		return nil, fmt.Errorf("%w: nobody answers in %s", errNotRunning, dir)
	}
	conn := ipc.NewConn(nc, ipc.Options{Peer: "cupid-master"})
	defer func() { _ = conn.Close() }()
	if err := conn.Send(ctx, env); err != nil {
		return nil, err
	}
	if err := conn.SetReceiveDeadline(time.Now().Add(timeout)); err != nil {
		return nil, err
	}
	if env, err = conn.Receive(); err != nil {
		return nil, err
	}
	var a ipc.Answer
	if err := ipc.Decode(env.Body, &a); err != nil {
		return nil, err
	}
	if !a.OK {
		return nil, errors.New(a.Error)
	}
	return a.Body, nil
}

// pause returns false when ctx ended first.
func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
