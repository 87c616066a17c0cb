package main

import (
	"context"
	"errors"
	"net"
	"os"
	"os/signal"
	"syscall"

	"github.com/masixun71/cupid/ipc"
)

// takeSignals begins to take the signals that the master acts on. It does so until the process
// ends: an impatient one that comes when everything is done must not be what the exit code says.
func takeSignals() <-chan os.Signal {
	signals := make(chan os.Signal, 16) // more than the kinds there are: none is lost, equal ones may merge
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT, syscall.SIGUSR1, syscall.SIGUSR2, syscall.SIGHUP, syscall.SIGWINCH)
	return signals
}

var errStopSignal = errors.New("stopped by a signal")

// handleSignals acts on signals until over is closed. A reload that is asked for
// before everything has started is done after that.
func (m *master) handleSignals(over <-chan struct{}, signals <-chan os.Signal, stop context.CancelCauseFunc, started <-chan struct{}) {
	for {
		select {
		case <-over:
			return
		case s := <-signals:
			switch s {
			case syscall.SIGTERM, syscall.SIGINT:
				stop(errStopSignal)
				if m.once != nil { // its sweep may be over, and only its reader be waited for
					m.once.giveUp()
				}
			case syscall.SIGWINCH:
				select {
				case <-started:
					_ = m.logs.Reopen() // the log says itself what is wrong with it
					_ = m.pool.Broadcast(ipc.Envelope{Type: ipc.TypeReopenLogs})
				default: // the logs are about to be opened
				}
			default:
				m.reloads.want()
			}
		}
	}
}

// notifySystemd tells systemd how we are, where it wants to know: sd_notify(3).
func notifySystemd(state string) {
	path := os.Getenv("NOTIFY_SOCKET")
	if path == "" {
		return
	}
	conn, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		return
	}
	defer func() { _ = conn.Close() }()
	_, _ = conn.Write([]byte(state))
}
