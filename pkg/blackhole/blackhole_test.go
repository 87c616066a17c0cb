package blackhole_test

import (
	"context"
	"errors"
	"net"
	"os"
	"testing"
	"time"

	"github.com/masixun71/cupid/pkg/blackhole"
)

// short is how long a test waits for what does not happen.
const short = 300 * time.Millisecond

func open(t *testing.T, of func(context.Context) (*blackhole.Hole, error)) string {
	t.Helper()
	h, err := of(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := h.Close(); err != nil {
			t.Error(err)
		}
	})
	return h.Addr
}

func TestSilentAcceptsAndSaysNothing(t *testing.T) {
	t.Parallel()
	c, err := net.Dial("tcp", open(t, blackhole.Silent)) //nolint:noctx // it is accepted at once
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
}

func TestUnreachableNeitherAcceptsNorRefuses(t *testing.T) {
	t.Parallel()
	addr := open(t, blackhole.Unreachable)
	_, err := net.DialTimeout("tcp", addr, short) //nolint:noctx // it has a timeout
	if timeout, ok := errors.AsType[net.Error](err); !ok || !timeout.Timeout() {
		t.Errorf("error %v", err)
	}
}
