// Command receiver is an example of what cupid calls: an HTTP receiver that repairs a row of the destination by writing
// it as the source has it, or by deleting it where the source has none. It is meant to be copied.
//
//	RECEIVER_PASSWORD=… RECEIVER_SECRET=whsec_… receiver -listen 127.0.0.1:20000 \
//	    -dsn 'repair@tcp(127.0.0.1:3306)/my2' -table user -key number -columns number=number,name=name,avatar=avatar
//
// cupid calls again until it has seen the row equal on both sides, with the row as it is then. So a receiver needs no
// memory and no retries of its own. It has to write the same row twice without harm, and to answer 2xx only after the
// row is committed. Its account needs SELECT, INSERT and UPDATE on the table, and DELETE with -delete.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"
)

const (
	exitFailure = 1
	exitUsage   = 64 // EX_USAGE of sysexits.h

	// callLimit is how long a call may take as a whole. cupid gives up after callbackNotification.timeoutSecond, 15 by
	// default, and calls again.
	callLimit = 15 * time.Second
	// stopLimit is how long calls in progress may go on after a stop signal.
	stopLimit = 10 * time.Second
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Getenv, os.Stderr)
	stop()
	os.Exit(code) //nolint:forbidigo // the one place that ends the process
}

// run receives until ctx is done and returns the exit code.
func run(ctx context.Context, args []string, getenv func(string) string, stderr io.Writer) int {
	o, err := parse(args, getenv)
	if errors.Is(err, flag.ErrHelp) {
		_, _ = io.WriteString(stderr, usage)
		return 0
	}
	if err != nil {
		_, _ = fmt.Fprintln(stderr, "receiver:", err)
		return exitUsage
	}
	if err := receive(ctx, o, slog.New(slog.NewTextHandler(stderr, nil))); err != nil {
		_, _ = fmt.Fprintln(stderr, "receiver:", err)
		return exitFailure
	}
	return 0
}

// receive opens the table and answers calls until ctx is done.
func receive(ctx context.Context, o options, log *slog.Logger) error {
	t, err := openTable(ctx, o)
	if err != nil {
		return err
	}
	defer func() { _ = t.db.Close() }() // what was answered is committed
	var config net.ListenConfig
	listener, err := config.Listen(ctx, "tcp", o.listen)
	if err != nil {
		return err
	}
	log.Info("listening", "url", "http://"+listener.Addr().String(), "signed", len(o.secrets) > 0)
	return serve(ctx, listener, newHandler(t, o, log))
}

// serve answers until ctx is done, and then lets the calls in progress end.
func serve(ctx context.Context, listener net.Listener, handler http.Handler) error {
	server := &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: callLimit, ReadTimeout: callLimit, WriteTimeout: 2 * callLimit, IdleTimeout: 2 * time.Minute,
	}
	ended := make(chan error, 1) // one: Serve returns once
	go func() { ended <- server.Serve(listener) }()
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
	}
	stopping, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopLimit)
	defer cancel()
	err := server.Shutdown(stopping)
	if err != nil {
		err = errors.Join(err, server.Close())
	}
	if serving := <-ended; !errors.Is(serving, http.ErrServerClosed) {
		err = errors.Join(err, serving)
	}
	return err
}
