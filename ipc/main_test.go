package ipc_test

import (
	"net"
	"os"
	"syscall"
	"testing"

	"go.uber.org/goleak"

	"github.com/masixun71/cupid/ipc"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// sockets returns both ends of a Unix socketpair, the transport of master and worker.
func sockets(tb testing.TB) (left, right net.Conn) {
	tb.Helper()
	fds, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		tb.Fatal(err)
	}
	ends := make([]net.Conn, len(fds))
	for i, fd := range fds {
		file := os.NewFile(uintptr(fd), "socketpair")
		if ends[i], err = net.FileConn(file); err != nil {
			tb.Fatal(err)
		}
		if err := file.Close(); err != nil {
			tb.Fatal(err)
		}
		tb.Cleanup(func() { _ = ends[i].Close() })
	}
	return ends[0], ends[1]
}

// socketPair returns two connections to each other, which end with the test.
func socketPair(tb testing.TB) (left, right *ipc.Conn) {
	tb.Helper()
	a, b := sockets(tb)
	left = ipc.NewConn(a, ipc.Options{Peer: "right"})
	right = ipc.NewConn(b, ipc.Options{Peer: "left"})
	tb.Cleanup(func() { _, _ = left.Close(), right.Close() })
	return left, right
}
