package blackhole_test

import (
	"errors"
	"net"
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/masixun71/cupid/pkg/blackhole"
)

// short is how long a test waits for what does not happen.
const short = 300 * time.Millisecond

// open makes a hole, which refuses connections.
func open(t *testing.T) *blackhole.Hole {
	t.Helper()
	h, err := blackhole.New()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := h.Close(); err != nil {
			t.Error(err)
		}
	})
	if _, err := net.Dial("tcp", h.Addr); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("error %v, want refused", err)
	}
	return h
}

func TestSilentHoleAcceptsAndSaysNothing(t *testing.T) {
	t.Parallel()
	h := open(t)
	if err := h.Silence(); err != nil {
		t.Fatal(err)
	}
	c, err := net.Dial("tcp", h.Addr)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	if _, err := c.Write([]byte("hello")); err != nil {
		t.Error(err)
	}
	if err := c.SetReadDeadline(time.Now().Add(short)); err != nil {
		t.Fatal(err)
	}
	if n, err := c.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("read %d bytes, error %v", n, err)
	}
	if n := h.Held(); n != 1 {
		t.Errorf("%d connections held, want 1", n)
	}
}

func TestVanishedHoleNeitherAcceptsNorRefuses(t *testing.T) {
	t.Parallel()
	h := open(t)
	if err := h.Vanish(t.Context()); err != nil {
		t.Fatal(err)
	}
	_, err := net.DialTimeout("tcp", h.Addr, short)
	if timeout, ok := errors.AsType[net.Error](err); !ok || !timeout.Timeout() {
		t.Errorf("error %v, want a timeout", err)
	}
}
