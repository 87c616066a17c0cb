package ipc_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/masixun71/cupid/ipc"
)

func TestFramesOfManySendersArriveOnceAndInOrder(t *testing.T) {
	left, right := socketPair(t)
	const senders, each = 4, 3000
	var sending sync.WaitGroup
	for sender := range senders {
		sending.Go(func() {
			for i := range each {
				body, _ := json.Marshal([2]int{sender, i})
				if err := left.Send(t.Context(), ipc.Envelope{Type: "x", Body: body}); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	var next [senders]int
	for range senders * each {
		env, err := right.Receive()
		if err != nil {
			t.Fatal(err)
		}
		var got [2]int
		if err := ipc.Decode(env.Body, &got); err != nil {
			t.Fatal(err)
		}
		if got[1] != next[got[0]] {
			t.Fatalf("sender %d: got frame %d, want %d", got[0], got[1], next[got[0]])
		}
		next[got[0]]++
	}
	sending.Wait()
}

// Four frames of the largest size in both directions at once: neither side may wait for the other to read first.
func TestLargeFramesBothWaysDoNotLock(t *testing.T) {
	left, right := socketPair(t)
	big := ipc.Envelope{Type: "x", Body: stringOf(ipc.MaxFrameBytes - 100)}
	var both sync.WaitGroup
	for _, pair := range [][2]*ipc.Conn{{left, right}, {right, left}} {
		both.Go(func() {
			for range 4 {
				if err := pair[0].Send(t.Context(), big); err != nil {
					t.Error(err)
				}
			}
		})
		both.Go(func() {
			for range 4 {
				if env, err := pair[1].Receive(); err != nil || len(env.Body) != len(big.Body) {
					t.Errorf("got %d bytes, %v", len(env.Body), err)
				}
			}
		})
	}
	both.Wait()
}

func TestFullQueueMakesSendWaitAndLosesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		left, right := pipe(t, ipc.Options{Peer: "task worker 2", QueueBytes: 1000, WriteTimeout: time.Hour})
		sent := 0
		for ; ; sent++ {
			err := left.TrySend(ipc.Envelope{Type: "x", ID: uint64(sent + 1)})
			synctest.Wait()
			if errors.Is(err, ipc.ErrFull) {
				break
			}
			if err != nil || sent > 1000 {
				t.Fatalf("after %d frames: %v", sent, err)
			}
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if err := left.Send(ctx, ipc.Envelope{Type: "x"}); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("send into a full queue: got %v, want a wait until the deadline", err)
		}
		var waiting sync.WaitGroup
		waiting.Go(func() {
			if err := left.Send(t.Context(), ipc.Envelope{Type: "x", ID: uint64(sent + 1)}); err != nil {
				t.Error(err)
			}
		})
		for want := 1; want <= sent+1; want++ {
			if env, err := right.Receive(); err != nil || env.ID != uint64(want) {
				t.Fatalf("got frame %d, %v, want %d", env.ID, err, want)
			}
		}
		waiting.Wait()
	})
}

func TestUrgentGoesAheadOfBulk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		left, right := pipe(t, ipc.Options{WriteTimeout: time.Hour})
		send := func(urgent bool, id uint64, body json.RawMessage) {
			t.Helper()
			try := left.TrySend
			if urgent {
				try = left.TrySendUrgent
			}
			if err := try(ipc.Envelope{Type: "x", ID: id, Body: body}); err != nil {
				t.Fatal(err)
			}
		}
		send(false, 1, nil)
		synctest.Wait() // The first is being written; the others wait.
		send(false, 2, stringOf(100<<10))
		send(false, 3, nil)
		send(true, 4, nil)
		send(true, 5, nil)
		for _, want := range []uint64{1, 4, 5, 2, 3} {
			if env, err := right.Receive(); err != nil || env.ID != want {
				t.Fatalf("got frame %d, %v, want %d", env.ID, err, want)
			}
		}
	})
}

func TestPeerThatDoesNotReadIsGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		left, _ := pipe(t, ipc.Options{Peer: "task worker 2", WriteTimeout: 5 * time.Second})
		if err := left.TrySend(ipc.Envelope{Type: "x"}); err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		_, err := left.Receive()
		if !errors.Is(err, ipc.ErrPeerStuck) || !strings.Contains(err.Error(), "task worker 2") {
			t.Errorf("got %v, want ErrPeerStuck of task worker 2", err)
		}
		if got := time.Since(start); got != 5*time.Second {
			t.Errorf("given up after %v, want 5s", got)
		}
		if err := left.Send(t.Context(), ipc.Envelope{Type: "x"}); !errors.Is(err, ipc.ErrPeerStuck) {
			t.Errorf("send afterwards: got %v, want ErrPeerStuck", err)
		}
	})
}

func TestWhatAPeerSentBeforeItDiedIsReceived(t *testing.T) {
	a, b := sockets(t)
	left, right := ipc.NewConn(a, ipc.Options{}), ipc.NewConn(b, ipc.Options{})
	t.Cleanup(func() { _ = left.Close() })
	const frames = 50
	for range frames {
		if err := right.Send(t.Context(), ipc.Envelope{Type: "done"}); err != nil {
			t.Fatal(err)
		}
	}
	if err := right.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	_ = right.Close()
	for left.Send(t.Context(), ipc.Envelope{Type: "chunk"}) == nil {
		_ = left.Flush(t.Context()) // Until the kernel has told that nobody is there.
	}
	for i := range frames {
		if _, err := left.Receive(); err != nil {
			t.Fatalf("frame %d: %v", i, err)
		}
	}
	if _, err := left.Receive(); !errors.Is(err, io.EOF) {
		t.Errorf("at the end: got %v, want EOF", err)
	}
}

func TestBrokenFrameEndsTheConnectionAndNamesThePeer(t *testing.T) {
	tests := []struct {
		name, bytes string
		want        error
	}{
		{"half a header", "\x00\x00", io.ErrUnexpectedEOF},
		{"only a header", "\x00\x00\x00\x10", io.ErrUnexpectedEOF},
		{"half a frame", "\x00\x00\x00\x10{\"type\"", io.ErrUnexpectedEOF},
		{"no frame", "", syscall.ECONNRESET},
		{"length 2^32-1", "\xff\xff\xff\xff", ipc.ErrFrameTooLarge},
		{"no JSON", "\x00\x00\x00\x02{{", ipc.ErrFrameInvalid},
		{"no type", "\x00\x00\x00\x02{}", ipc.ErrFrameInvalid},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			a, b := sockets(t)
			if _, err := io.WriteString(a, "a frame that the peer has not read when it ends"); err != nil {
				t.Fatal(err)
			}
			conn := ipc.NewConn(a, ipc.Options{Peer: "task worker 2"})
			t.Cleanup(func() { _ = conn.Close() })
			if _, err := io.WriteString(b, test.bytes); err != nil {
				t.Fatal(err)
			}
			if err := b.Close(); err != nil {
				t.Fatal(err)
			}
			_, err := conn.Receive()
			if !errors.Is(err, test.want) || !strings.Contains(err.Error(), "task worker 2") {
				t.Errorf("got %v, want %v of task worker 2", err, test.want)
			}
			if err := conn.Send(t.Context(), ipc.Envelope{Type: "x"}); err == nil {
				t.Error("the connection can still be used")
			}
		})
	}
}

func TestCloseEndsReceiveAndSend(t *testing.T) {
	left, _ := socketPair(t)
	var receiving sync.WaitGroup
	receiving.Go(func() {
		if _, err := left.Receive(); !errors.Is(err, ipc.ErrClosed) {
			t.Errorf("receive: got %v, want ErrClosed", err)
		}
	})
	if err := errors.Join(left.Close(), left.Close()); err != nil {
		t.Error(err)
	}
	receiving.Wait()
	if err := left.Send(t.Context(), ipc.Envelope{Type: "x"}); !errors.Is(err, ipc.ErrClosed) {
		t.Errorf("send: got %v, want ErrClosed", err)
	}
}

// pipe returns two connections over net.Pipe, which works with the time of synctest.
func pipe(t *testing.T, options ipc.Options) (left, right *ipc.Conn) {
	t.Helper()
	a, b := net.Pipe()
	left, right = ipc.NewConn(a, options), ipc.NewConn(b, options)
	t.Cleanup(func() { _, _ = left.Close(), right.Close() })
	return left, right
}

// sleepy is a connection on which the machine stands still in the middle of the first write.
type sleepy struct {
	net.Conn
	slept atomic.Bool
}

func (s *sleepy) Write(p []byte) (int, error) {
	if s.slept.Swap(true) {
		return s.Conn.Write(p)
	}
	n, err := s.Conn.Write(p[:3])
	<-time.After(time.Minute)
	return n, errors.Join(err, os.ErrDeadlineExceeded)
}

func TestMachineThatStandsStillIsNoStuckPeer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		near, far := net.Pipe()
		conn, peer := ipc.NewConn(&sleepy{Conn: near}, ipc.Options{}), ipc.NewConn(far, ipc.Options{})
		defer func() { _, _ = conn.Close(), peer.Close() }()
		if err := conn.TrySend(ipc.Envelope{Type: ipc.TypeWant, ID: 7}); err != nil {
			t.Fatal(err)
		}
		env, err := peer.Receive()
		if err != nil || env.ID != 7 {
			t.Errorf("got %+v, %v, want the whole frame", env, err)
		}
	})
}

// A connection is given back as it was, and a new Conn of it has all that comes.
func TestDetachLeavesTheConnectionToANewConn(t *testing.T) {
	a, b := sockets(t)
	left, right := ipc.NewConn(a, ipc.Options{}), ipc.NewConn(b, ipc.Options{})
	defer func() { _ = right.Close() }()
	if err := left.SetReceiveDeadline(time.Now().Add(-time.Hour)); err != nil {
		t.Fatal(err)
	}
	if err := left.Send(t.Context(), ipc.Envelope{Type: ipc.TypeAgain}); err != nil {
		t.Fatal(err)
	}
	if err := left.Detach(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := left.Send(t.Context(), ipc.Envelope{Type: "x"}); !errors.Is(err, ipc.ErrClosed) {
		t.Errorf("send after it: %v, want %v", err, ipc.ErrClosed)
	}
	if env, err := right.Receive(); err != nil || env.Type != ipc.TypeAgain {
		t.Errorf("got %q, %v", env.Type, err)
	}
	left = ipc.NewConn(a, ipc.Options{})
	defer func() { _ = left.Close() }()
	if err := right.Send(t.Context(), ipc.Envelope{Type: "y"}); err != nil {
		t.Fatal(err)
	}
	if env, err := left.Receive(); err != nil || env.Type != "y" {
		t.Errorf("got %q, %v", env.Type, err)
	}
}

func TestDetachLosesNothing(t *testing.T) {
	a, b := sockets(t)
	right := ipc.NewConn(b, ipc.Options{})
	one, err := ipc.AppendFrame(nil, ipc.Envelope{Type: "x"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := a.Write(append(one, one...)); err != nil {
		t.Fatal(err)
	}
	if _, err := right.Receive(); err != nil {
		t.Fatal(err)
	}
	if err := right.Detach(t.Context()); err == nil {
		t.Error("a frame that nobody has received is lost")
	}
	if err := right.Detach(t.Context()); !errors.Is(err, ipc.ErrClosed) {
		t.Errorf("a connection that has ended: %v, want %v", err, ipc.ErrClosed)
	}
}
