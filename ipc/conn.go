package ipc

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"time"
)

// Sentences for the end of a connection and for a full queue. They come wrapped with the peer's name.
var (
	// ErrClosed says that this side has closed the connection.
	ErrClosed = errors.New("connection closed")
	// ErrFull says that the peer has not read for so long that the queue to it is full; the frame was not taken.
	ErrFull = errors.New("queue full")
	// ErrPeerStuck says that the peer did not read for the write timeout.
	ErrPeerStuck = errors.New("peer does not read")
)

// writeBytes is how much is handed to the kernel at once: about half of a socket's send buffer on Linux. The write deadline
// stands for one such piece, so a large frame may take longer as long as it moves.
const writeBytes = 64 << 10

// frozen is how late this process hears of a deadline when it was not scheduled, with the whole machine perhaps.
const frozen = time.Second

// Options are the settings of a Conn. The zero value of each field means its default.
type Options struct {
	// Peer names the other side in errors: "task worker 2", "master". Default: "peer".
	Peer string
	// QueueBytes bounds what waits to be written, for each of the two lanes. One frame may go beyond it. Default: 1 MiB.
	QueueBytes int
	// WriteTimeout is how long the peer may leave a write unread before the connection is given up. Default: 5 s.
	WriteTimeout time.Duration
}

// Conn is a connection that carries envelopes. All methods may be called from several goroutines, but for Receive, which
// belongs to one.
type Conn struct {
	peer         string
	writeTimeout time.Duration
	nc           net.Conn
	out          *outbox
	reader       *bufio.Reader
	scratch      []byte // the frame being received; belongs to Receive

	closeOnce sync.Once
	closed    chan struct{} // closed by Close, and when the peer is found stuck
	writer    sync.WaitGroup
}

// NewConn makes a Conn of nc, which it owns from now on, and starts its writer. Close ends it.
func NewConn(nc net.Conn, options Options) *Conn {
	if options.Peer == "" {
		options.Peer = "peer"
	}
	if options.QueueBytes <= 0 {
		options.QueueBytes = 1 << 20
	}
	if options.WriteTimeout <= 0 {
		options.WriteTimeout = 5 * time.Second
	}
	c := &Conn{
		peer:         options.Peer,
		writeTimeout: options.WriteTimeout,
		nc:           nc,
		out:          newOutbox(options.QueueBytes),
		reader:       bufio.NewReaderSize(nc, writeBytes),
		closed:       make(chan struct{}),
	}
	c.writer.Go(c.write)
	return c
}

// Peer returns the name of the other side.
func (c *Conn) Peer() string { return c.peer }

// Send puts env into the bulk lane and waits while that is full, until ctx is done or the connection ends. A nil error means
// queued, not read: only an answer of the peer tells that.
func (c *Conn) Send(ctx context.Context, env Envelope) error {
	return c.send(ctx, env, false)
}

// SendUrgent does as Send does, ahead of all frames in the bulk lane. It is for small frames of control.
func (c *Conn) SendUrgent(ctx context.Context, env Envelope) error {
	return c.send(ctx, env, true)
}

// TrySend does as Send does without ever waiting: ErrFull says that env was not taken and may be offered again.
func (c *Conn) TrySend(env Envelope) error { return c.try(env, false) }

// TrySendUrgent does as SendUrgent does without ever waiting.
func (c *Conn) TrySendUrgent(env Envelope) error { return c.try(env, true) }

func (c *Conn) send(ctx context.Context, env Envelope, urgent bool) error {
	if err := check(env); err != nil {
		return c.wrap("send to", err)
	}
	for {
		wait, err := c.out.put(env, urgent)
		if err != nil {
			return c.wrap("send "+env.Type+" to", err)
		}
		if wait == nil {
			return nil
		}
		select {
		case <-wait:
		case <-ctx.Done():
			return c.wrap("send "+env.Type+" to", context.Cause(ctx))
		}
	}
}

func (c *Conn) try(env Envelope, urgent bool) error {
	if err := check(env); err != nil {
		return c.wrap("send to", err)
	}
	wait, err := c.out.put(env, urgent)
	if err == nil && wait != nil {
		err = ErrFull
	}
	if err != nil {
		return c.wrap("send "+env.Type+" to", err)
	}
	return nil
}

// Flush waits until all that was sent is in the hands of the kernel, ctx is done, or the connection ends.
func (c *Conn) Flush(ctx context.Context) error {
	for {
		wait, err := c.out.idle()
		if err != nil {
			return c.wrap("flush to", err)
		}
		if wait == nil {
			return nil
		}
		select {
		case <-wait:
		case <-ctx.Done():
			return c.wrap("flush to", context.Cause(ctx))
		}
	}
}

// PendingBytes returns how much waits to be written.
func (c *Conn) PendingBytes() int { return c.out.pending() }

// Receive waits for the next frame. io.EOF means that the peer ended between two frames; every error ends
// the connection. Only one goroutine may receive.
func (c *Conn) Receive() (Envelope, error) {
	data, err := ReadFrame(c.reader, c.scratch)
	c.scratch = reuse(data)
	var env Envelope
	if err == nil {
		env, err = ParseEnvelope(data)
	}
	if err == nil {
		return env, nil
	}
	if own := c.endedByUs(); own != nil {
		err = own
	}
	c.end(err)
	return Envelope{}, c.wrap("receive from", err)
}

// SetReceiveDeadline limits the time that Receive may wait from now on; the zero time takes the limit away. A Receive that runs
// into it ends the connection with os.ErrDeadlineExceeded.
func (c *Conn) SetReceiveDeadline(t time.Time) error {
	if err := c.nc.SetReadDeadline(t); err != nil {
		return c.wrap("set deadline of", err)
	}
	return nil
}

// Close ends the connection at once, unwritten frames included (Flush first to have them written), and waits for the writer. A Receive
// that waits returns ErrClosed. Close may be called again.
func (c *Conn) Close() error {
	c.end(ErrClosed)
	c.writer.Wait()
	return nil
}

// Detach ends the Conn and leaves the connection itself open, for a Conn to be made of it anew, once all that was sent is in the
// hands of the kernel. Nobody sends or receives meanwhile. Where bytes were read that nobody has received it is an error; after any
// error the connection is closed.
func (c *Conn) Detach(ctx context.Context) error {
	err := c.Flush(ctx)
	if n := c.reader.Buffered(); err == nil && n > 0 {
		err = c.wrap("detach", fmt.Errorf("%d bytes were not received", n))
	}
	if err != nil {
		return errors.Join(err, c.Close())
	}
	left := false
	c.closeOnce.Do(func() {
		left = true
		c.out.fail(ErrClosed)
		close(c.closed)
	})
	c.writer.Wait()
	if !left {
		return c.wrap("detach", c.out.cause())
	}
	if err := c.nc.SetDeadline(time.Time{}); err != nil {
		return errors.Join(c.wrap("detach", err), c.nc.Close())
	}
	return nil
}

// end closes the socket. cause is what senders are told.
func (c *Conn) end(cause error) {
	c.closeOnce.Do(func() {
		c.out.fail(cause)
		close(c.closed)
		_ = c.nc.Close() // There is nobody left to care: the connection is given up.
	})
}

// endedByUs returns why this side has closed the socket, or nil when it has not.
func (c *Conn) endedByUs() error {
	select {
	case <-c.closed:
		return c.out.cause()
	default:
		return nil
	}
}

// write is the writer goroutine: it takes what waits and hands it to the kernel until the connection ends.
func (c *Conn) write() {
	var batch []byte
	for {
		batch = c.out.take(reuse(batch), writeBytes)
		if len(batch) == 0 {
			select {
			case <-c.out.work:
				continue
			case <-c.closed:
				return
			}
		}
		if err := c.writeAll(batch); err != nil {
			c.writeFailed(err)
			return
		}
	}
}

func (c *Conn) writeAll(batch []byte) error {
	for len(batch) > 0 {
		deadline := time.Now().Add(c.writeTimeout)
		if err := c.nc.SetWriteDeadline(deadline); err != nil {
			return err
		}
		n, err := c.nc.Write(batch[:min(len(batch), writeBytes)])
		batch = batch[n:]
		if errors.Is(err, os.ErrDeadlineExceeded) && time.Since(deadline) > frozen {
			continue // The peer has probably stood still as well: it gets the time back.
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// writeFailed ends a connection to a peer that does not read. A peer that is gone may have left frames which
// are still to be received, and its end of file comes after them; so then only the sending side ends, and the
// receiving side is given some time to come to that end.
func (c *Conn) writeFailed(err error) {
	if errors.Is(err, os.ErrDeadlineExceeded) {
		c.end(fmt.Errorf("%w for %v", ErrPeerStuck, c.writeTimeout))
		return
	}
	c.out.fail(err)
	if c.nc.SetReadDeadline(time.Now().Add(c.writeTimeout)) != nil {
		c.end(err)
	}
}

func (c *Conn) wrap(doing string, err error) error {
	if errors.Is(err, io.EOF) {
		return fmt.Errorf("%s %s: %w", doing, c.peer, io.EOF)
	}
	return fmt.Errorf("%s %s: %w", doing, c.peer, err)
}
