package ipc

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"time"
)

// MasterFD is the descriptor under which a worker inherits its end of the socketpair.
const MasterFD = 3

// The environment of a worker names its place in the pool; nothing else is read from there.
const (
	// EnvSlot is the variable that holds Hello.Slot in decimal.
	EnvSlot = "CUPID_SLOT"
	// EnvGeneration is the variable that holds Hello.Generation in decimal.
	EnvGeneration = "CUPID_GENERATION"
)

// RefusedError is what a worker gets instead of a welcome.
type RefusedError struct {
	Reason string // the master's sentence
}

// Error returns the master's sentence.
func (e *RefusedError) Error() string { return "refused by the master: " + e.Reason }

// Worker is the worker's end of the connection after the handshake. End of file on Conn means that the master is gone:
// the worker finishes nothing and exits.
type Worker struct {
	Conn    *Conn   // to the master
	Welcome Welcome // what the master said
}

// HelloFromEnv makes this process's hello out of EnvSlot and EnvGeneration, which the master sets. getenv is os.Getenv.
func HelloFromEnv(getenv func(string) string) (Hello, error) {
	slot, err := strconv.Atoi(getenv(EnvSlot))
	if err != nil {
		return Hello{}, fmt.Errorf("read %s: %w", EnvSlot, err)
	}
	generation, err := strconv.ParseUint(getenv(EnvGeneration), 10, 64)
	if err != nil {
		return Hello{}, fmt.Errorf("read %s: %w", EnvGeneration, err)
	}
	return Hello{Protocol: ProtocolVersion, Build: Build, Slot: slot, Generation: generation, Pid: os.Getpid()}, nil
}

// Dial takes over the descriptor fd (MasterFD in a worker), says hello and waits for the answer until ctx is done.
// A *RefusedError holds the master's reason.
func Dial(ctx context.Context, fd uintptr, hello Hello) (*Worker, error) {
	file := os.NewFile(fd, "master")
	if file == nil {
		return nil, fmt.Errorf("open descriptor %d: %w", fd, os.ErrInvalid)
	}
	nc, err := net.FileConn(file) // A duplicate, so the original is closed in any case.
	if err = errors.Join(err, file.Close()); err != nil {
		return nil, fmt.Errorf("open descriptor %d, which only cupid-master hands to a worker: %w", fd, err)
	}
	return Join(ctx, NewConn(nc, Options{Peer: "master"}), hello)
}

// Join says hello on conn and waits for the answer until ctx is done. On an error conn is closed.
func Join(ctx context.Context, conn *Conn, hello Hello) (*Worker, error) {
	// An ended context closes conn, which ends the Receive below.
	stop := context.AfterFunc(ctx, func() { conn.end(context.Cause(ctx)) })
	welcome, err := handshake(ctx, conn, hello)
	if !stop() && err == nil {
		err = context.Cause(ctx)
	}
	if err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return &Worker{Conn: conn, Welcome: welcome}, nil
}

func handshake(ctx context.Context, conn *Conn, hello Hello) (Welcome, error) {
	env, err := NewEnvelope(TypeHello, 0, hello)
	if err != nil {
		return Welcome{}, err
	}
	if err := conn.SendUrgent(ctx, env); err != nil {
		return Welcome{}, err
	}
	env, err = conn.Receive()
	if err != nil {
		return Welcome{}, fmt.Errorf("wait for welcome: %w", err)
	}
	switch env.Type {
	case TypeWelcome:
		var welcome Welcome
		if err := Decode(env.Body, &welcome); err != nil {
			return Welcome{}, fmt.Errorf("read welcome: %w", err)
		}
		return welcome, nil
	case TypeRefuse:
		var refuse Refuse
		if err := Decode(env.Body, &refuse); err != nil {
			return Welcome{}, fmt.Errorf("read refuse: %w", err)
		}
		return Welcome{}, &RefusedError{Reason: refuse.Reason}
	default:
		return Welcome{}, fmt.Errorf("wait for welcome: master sent %q first", env.Type)
	}
}

// Ready tells the master that the worker is set up.
func (w *Worker) Ready(ctx context.Context) error {
	return w.Conn.SendUrgent(ctx, Envelope{Type: TypeReady})
}

// Beat sends what probe returns at once and then every interval (the master waits for 5 s; a second is good), until ctx is done, which
// is no error, or the connection ends.
func (w *Worker) Beat(ctx context.Context, interval time.Duration, probe func() Heartbeat) error {
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for {
		env, err := NewEnvelope(TypeHeartbeat, 0, probe())
		if err != nil {
			return err
		}
		if err := w.Conn.SendUrgent(ctx, env); err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return err
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return nil
		}
	}
}
