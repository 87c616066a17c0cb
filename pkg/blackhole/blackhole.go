// Package blackhole makes addresses at which nobody answers, for tests and benchmarks.
// It knows nothing of what is to be reached there.
package blackhole

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"syscall"
	"time"
)

// Hole is an address of this machine. It refuses connections until Silence or Vanish,
// of which one may be called, once.
type Hole struct {
	// Addr is HOST:PORT.
	Addr string

	fd       int
	listener net.Listener
	wg       sync.WaitGroup

	mu    sync.Mutex // guards conns
	conns []net.Conn
}

// New takes an address.
func New() (*Hole, error) {
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("open black hole: %w", err)
	}
	h := &Hole{fd: fd}
	if h.Addr, err = bind(fd); err != nil {
		return nil, errors.Join(fmt.Errorf("open black hole: %w", err), h.Close())
	}
	return h, nil
}

func bind(fd int) (addr string, err error) {
	if err := syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		return "", err
	}
	name, err := syscall.Getsockname(fd)
	if err != nil {
		return "", err
	}
	in4, ok := name.(*syscall.SockaddrInet4)
	if !ok {
		return "", fmt.Errorf("the address is a %T", name)
	}
	return fmt.Sprintf("127.0.0.1:%d", in4.Port), nil
}

// Silence has the address accept connections and never say a word.
func (h *Hole) Silence() error {
	if err := syscall.Listen(h.fd, syscall.SOMAXCONN); err != nil {
		return fmt.Errorf("silence black hole: %w", err)
	}
	fd, err := syscall.Dup(h.fd) // of the file, which closes it
	if err != nil {
		return fmt.Errorf("silence black hole: %w", err)
	}
	file := os.NewFile(uintptr(fd), "black hole")
	h.listener, err = net.FileListener(file)
	if err = errors.Join(err, file.Close()); err != nil {
		return fmt.Errorf("silence black hole: %w", err)
	}
	h.wg.Go(func() {
		for {
			c, err := h.listener.Accept()
			if err != nil {
				return
			}
			h.hold(c)
		}
	})
	return nil
}

func (h *Hole) hold(c net.Conn) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.conns = append(h.conns, c)
}

// Held is how many connections were accepted so far.
func (h *Hole) Held() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.conns)
}

// full is how long a connection takes to be made that will not be made any more.
const full = 200 * time.Millisecond

// Vanish has the address neither accept connections nor refuse them: its backlog is
// full, so that packets are dropped.
func (h *Hole) Vanish(ctx context.Context) error {
	if err := syscall.Listen(h.fd, 0); err != nil {
		return fmt.Errorf("have black hole vanish: %w", err)
	}
	d := net.Dialer{Timeout: full}
	for { // until the backlog is full
		c, err := d.DialContext(ctx, "tcp", h.Addr)
		if err != nil {
			return context.Cause(ctx)
		}
		h.hold(c)
	}
}

// Close gives the address up, and ends all connections to it.
func (h *Hole) Close() error {
	err := syscall.Close(h.fd)
	if h.listener != nil {
		err = errors.Join(err, h.listener.Close())
	}
	h.wg.Wait()
	for _, c := range h.conns {
		err = errors.Join(err, c.Close())
	}
	return err
}
