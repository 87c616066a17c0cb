package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"syscall"
	"time"

	"github.com/masixun71/cupid/ipc"
)

const (
	frameBytes  = 1024 // of a body, about that of a batch of a few events
	frameCount  = 100_000
	tripCount   = 10_000
	framesLeast = 50_000 // a second
)

// frames measures ipc over a socket pair, with both ends in this process, against
// the same bytes without JSON, queue and deadlines.
func frames(ctx context.Context, rounds int) ([]line, error) {
	var pipelined, trips samples
	for range rounds {
		p, err := frameRound(ctx, pipeline, barePipeline)
		if err != nil {
			return nil, fmt.Errorf("measure frames: %w", err)
		}
		t, err := frameRound(ctx, roundTrips, bareRoundTrips)
		if err != nil {
			return nil, fmt.Errorf("measure round trips: %w", err)
		}
		pipelined, trips = append(pipelined, p), append(trips, t)
	}
	first := rate("ipc: frames of 1 KB, one behind the other", "frames/s", pipelined, "bytes alone", 0)
	first.target, first.met = "≥ "+thousands(framesLeast)+"/s", pipelined.got() >= framesLeast
	second := rate("ipc: round trips of 1 KB", "/s", trips, "bytes alone", 0)
	second.cells[1] = fmt.Sprintf("%.1f µs", 1e6/trips.got())
	second.cells[2] = fmt.Sprintf("bytes alone: %.1f µs", 1e6/trips.limit())
	return []line{first, second}, nil
}

// frameRound measures both ways in turn.
func frameRound(ctx context.Context, ours func(ctx context.Context, left, right *ipc.Conn, env ipc.Envelope) (float64, error), bare func(left, right net.Conn) (float64, error)) (s sample, err error) {
	body, err := json.Marshal(bytes.Repeat([]byte("k"), frameBytes*3/4)) // as base64
	if err != nil {
		return s, err
	}
	a, b, err := socketPair()
	if err != nil {
		return s, err
	}
	left, right := ipc.NewConn(a, ipc.Options{}), ipc.NewConn(b, ipc.Options{})
	s.got, err = ours(ctx, left, right, ipc.Envelope{Type: ipc.TypeEvents, ID: 7, Body: body})
	if err = errors.Join(err, left.Close(), right.Close()); err != nil {
		return s, err
	}
	if a, b, err = socketPair(); err != nil {
		return s, err
	}
	s.limit, err = bare(a, b)
	return s, errors.Join(err, a.Close(), b.Close())
}

func pipeline(ctx context.Context, left, right *ipc.Conn, env ipc.Envelope) (float64, error) {
	start := time.Now()
	sent := make(chan error, 1)
	go func() {
		var err error
		for i := 0; i < frameCount && err == nil; i++ {
			err = left.Send(ctx, env)
		}
		sent <- err
	}()
	for range frameCount {
		if _, err := right.Receive(); err != nil {
			return 0, errors.Join(err, left.Close(), <-sent)
		}
	}
	return perSecond(frameCount, time.Since(start)), <-sent
}

func roundTrips(ctx context.Context, left, right *ipc.Conn, env ipc.Envelope) (float64, error) {
	echoed := make(chan error, 1)
	go func() {
		var err error
		for i := 0; i < tripCount && err == nil; i++ {
			var got ipc.Envelope
			if got, err = right.Receive(); err == nil {
				err = right.Send(ctx, got)
			}
		}
		echoed <- err
	}()
	start := time.Now()
	var err error
	for i := 0; i < tripCount && err == nil; i++ {
		if err = left.Send(ctx, env); err == nil {
			_, err = left.Receive()
		}
	}
	took := time.Since(start)
	if err != nil {
		err = errors.Join(err, left.Close())
	}
	return perSecond(tripCount, took), errors.Join(err, <-echoed)
}

// bareFrame is a frame's bytes: a length and about what an envelope is around a body.
func bareFrame() []byte { return make([]byte, 4+frameBytes+34) }

func barePipeline(left, right net.Conn) (float64, error) {
	start := time.Now()
	sent := make(chan error, 1)
	go func() {
		w := bufio.NewWriterSize(left, 64<<10)
		var err error
		for i, frame := 0, bareFrame(); i < frameCount && err == nil; i++ {
			_, err = w.Write(frame)
		}
		sent <- errors.Join(err, w.Flush())
	}()
	r := bufio.NewReaderSize(right, 64<<10)
	for i, frame := 0, bareFrame(); i < frameCount; i++ {
		if _, err := io.ReadFull(r, frame); err != nil {
			return 0, errors.Join(err, left.Close(), <-sent)
		}
	}
	return perSecond(frameCount, time.Since(start)), <-sent
}

func bareRoundTrips(left, right net.Conn) (float64, error) {
	pass := func(from, to net.Conn, frame []byte) error {
		if _, err := io.ReadFull(from, frame); err != nil {
			return err
		}
		_, err := to.Write(frame)
		return err
	}
	echoed := make(chan error, 1)
	go func() {
		var err error
		for i, frame := 0, bareFrame(); i < tripCount && err == nil; i++ {
			err = pass(right, right, frame)
		}
		echoed <- err
	}()
	frame := bareFrame()
	start := time.Now()
	_, err := left.Write(frame)
	for i := 1; i < tripCount && err == nil; i++ {
		err = pass(left, left, frame)
	}
	if err == nil {
		_, err = io.ReadFull(left, frame)
	}
	took := time.Since(start)
	if err != nil {
		err = errors.Join(err, left.Close())
	}
	return perSecond(tripCount, took), errors.Join(err, <-echoed)
}

// socketPair is the transport of master and worker.
func socketPair() (left, right net.Conn, err error) {
	fds, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, fmt.Errorf("make socket pair: %w", err)
	}
	var ends [2]net.Conn
	for i, fd := range fds {
		file := os.NewFile(uintptr(fd), "socketpair")
		var fileErr error
		ends[i], fileErr = net.FileConn(file)
		err = errors.Join(err, fileErr, file.Close())
	}
	return ends[0], ends[1], err
}
