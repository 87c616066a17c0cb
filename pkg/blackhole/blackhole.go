// Package blackhole makes addresses at which nobody answers, for tests and benchmarks.
// It knows nothing of what is to be reached there.
package blackhole

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"syscall"
	"time"
)

// Hole is an address at which nobody answers, until it is closed.
type Hole struct {
	// Addr is HOST:PORT.
	Addr  string
	close func() error
}

// Close gives the address up, and ends all connections to it.
func (h *Hole) Close() error { return h.close() }

// Silent accepts connections and never says a word.
func Silent(ctx context.Context) (*Hole, error) {
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("open black hole: %w", err)
	}
	var wg sync.WaitGroup
	var conns []net.Conn // of the goroutine until it has ended
	wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			conns = append(conns, c)
		}
	})
	return &Hole{Addr: l.Addr().String(), close: func() error {
		err := l.Close()
		wg.Wait()
		return errors.Join(err, closeAll(conns))
	}}, nil
}

// full is how long a connection takes to be made that will not be made any more.
const full = 200 * time.Millisecond

// Unreachable is an address to which no connection is ever made, and which refuses none:
// its backlog is full, so that packets are dropped.
func Unreachable(ctx context.Context) (_ *Hole, err error) {
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("open black hole: %w", err)
	}
	var conns []net.Conn
	h := &Hole{close: func() error { return errors.Join(closeAll(conns), syscall.Close(fd)) }}
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("open black hole: %w", err), h.Close())
		}
	}()
	if err := syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		return nil, err
	}
	if err := syscall.Listen(fd, 0); err != nil {
		return nil, err
	}
	name, err := syscall.Getsockname(fd)
	if err != nil {
		return nil, err
	}
	in4, ok := name.(*syscall.SockaddrInet4)
	if !ok {
		return nil, fmt.Errorf("the address is a %T", name)
	}
	h.Addr = fmt.Sprintf("127.0.0.1:%d", in4.Port)
	d := net.Dialer{Timeout: full}
	for { // until the backlog is full
		c, err := d.DialContext(ctx, "tcp", h.Addr)
		if err != nil {
			return h, context.Cause(ctx)
		}
		conns = append(conns, c)
	}
}

func closeAll(conns []net.Conn) error {
	var all error
	for _, c := range conns {
		all = errors.Join(all, c.Close())
	}
	return all
}
