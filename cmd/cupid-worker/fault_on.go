//go:build faults

package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/masixun71/cupid/ipc"
)

// step says that the worker's own loop got on. In a binary built for tests it also does, once, what the file fault-SLOT in
// the run directory names: each is a fault that a program can have. A released binary has none of this.
func (w *worker) step() {
	w.session.Step()
	path := filepath.Join(w.orders.StateDir, fmt.Sprint("fault-", w.welcome.Slot))
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return
	}
	if err := errors.Join(err, os.Remove(path)); err != nil {
		panic(err)
	}
	do, ok := faults[strings.TrimSpace(string(text))]
	if !ok {
		panic(fmt.Sprintf("there is no fault %q", text))
	}
	do(w)
}

var faults = map[string]func(*worker){
	"panic":    func(*worker) { panic("planned") },
	"memory":   useAllMemory,
	"deadlock": deadlock,
	"busy":     loopWithoutEnd,
	"long line": func(*worker) {
		_, _ = os.Stderr.WriteString(strings.Repeat("x", 10<<20))
	},
	"flood": func(w *worker) {
		go func() {
			for w.session.Tell(context.Background(), ipc.TypeHeartbeat, 0, ipc.Heartbeat{Waiting: true}) == nil {
			}
		}()
	},
	"half frame": func(w *worker) {
		sendRaw(w, "\x00\x00\x10\x00{\"type\":")
		os.Exit(0)
	},
	"huge frame": func(w *worker) { sendRaw(w, "\xff\xff\xff\xff{}") },
	"no JSON":    func(w *worker) { sendRaw(w, "\x00\x00\x00\x04nope") },
}

// useAllMemory is what a worker does that the kernel gives no more memory.
func useAllMemory(*worker) {
	if err := syscall.Setrlimit(syscall.RLIMIT_AS, &syscall.Rlimit{Cur: 1, Max: 1}); err != nil {
		panic(err)
	}
	var all [][]byte
	for range 1 << 20 {
		all = append(all, make([]byte, 64<<20))
	}
	fmt.Fprintln(os.Stderr, len(all))
}

func deadlock(*worker) {
	var mu sync.Mutex
	mu.Lock()
	mu.Lock()
}

func loopWithoutEnd(*worker) {
	for n := 0; ; n++ {
	}
}

// sendRaw writes bytes to the master that are not what ipc would write, and not into the middle of what it does.
func sendRaw(w *worker, bytes string) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	if err := w.session.Flush(ctx); err != nil {
		panic(err)
	}
	for fd := 3; fd < 1000; fd++ {
		name, err := syscall.Getsockname(fd)
		if _, unix := name.(*syscall.SockaddrUnix); err == nil && unix {
			if _, err := syscall.Write(fd, []byte(bytes)); err != nil {
				panic(err)
			}
			return
		}
	}
	panic("no socket to the master")
}
