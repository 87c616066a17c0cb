package supervisor_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/masixun71/cupid/ipc"
	"github.com/masixun71/cupid/pkg/process"
)

// roleVariable makes the test binary, started again, be a worker of one of the kinds below, or a master.
const roleVariable = "CUPID_TEST_ROLE"

func TestMain(m *testing.M) {
	switch role := os.Getenv(roleVariable); role {
	case "":
	case "master":
		os.Exit(beMaster()) //nolint:forbidigo // This is the main of a child.
	default:
		os.Exit(beWorker(role)) //nolint:forbidigo // This is the main of a child.
	}
	// The race detector lets every process that ends wait a second for late reports; children here have none.
	if err := os.Setenv("GORACE", "atexit_sleep_ms=0"); err != nil {
		panic(err)
	}
	goleak.VerifyTestMain(m)
}

// block waits for ever, as far as a test is concerned: even a failed test leaves no process for long.
func block() { <-time.After(time.Minute) }

// beWorker is a worker process of the given kind; every fault is one that a program can have.
func beWorker(kind string) int {
	process.SealInherited()
	process.IgnoreStopSignals()
	switch kind {
	case "silent":
		block()
	case "huge-frame":
		return raw("\xff\xff\xff\xff{}")
	case "half-frame":
		return raw("\x00\x00\x10\x00{\"type\":")
	case "no-json":
		return raw("\x00\x00\x00\x04nope")
	}
	hello, err := ipc.HelloFromEnv(os.Getenv)
	if kind == "other-version" {
		hello.Protocol++
	}
	if err != nil {
		return 64
	}
	worker, err := ipc.Dial(context.Background(), ipc.MasterFD, hello)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	if kind == "ignores-term" {
		signal.Ignore(syscall.SIGTERM)
	}
	if string(worker.Welcome.Config) == `"bad"` {
		return 78
	}
	if err := worker.Ready(context.Background()); err != nil {
		return 1
	}
	return beReady(kind, worker)
}

func raw(bytes string) int {
	conn, err := net.FileConn(os.NewFile(ipc.MasterFD, "master"))
	if err != nil {
		return 1
	}
	if _, err := io.WriteString(conn, bytes); err != nil {
		return 1
	}
	if strings.HasPrefix(bytes, "\x00\x00\x10\x00") {
		return 0 // in the middle of a frame
	}
	block()
	return 0
}

func beReady(kind string, worker *ipc.Worker) int {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	switch kind {
	case "crash":
		panic("planned")
	case "last-words":
		for id := range uint64(500) {
			_ = worker.Conn.Send(ctx, ipc.Envelope{Type: ipc.TypeDone, ID: id + 1})
		}
		_ = worker.Conn.Flush(ctx)
		return 3
	case "flood":
		go func() {
			for worker.Conn.Send(ctx, ipc.Envelope{Type: ipc.TypeWant}) == nil {
			}
		}()
	}
	progress := uint64(0)
	go func() {
		_ = worker.Beat(ctx, 50*time.Millisecond, func() ipc.Heartbeat { progress++; return ipc.Heartbeat{Progress: progress} })
	}()
	for {
		env, err := worker.Conn.Receive()
		switch {
		case errors.Is(err, io.EOF):
			return 69 // The master is gone.
		case err != nil:
			return 1
		case env.Type == ipc.TypeDrain && kind != "ignores-term":
			return 0
		}
	}
}
