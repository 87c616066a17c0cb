package mariadb

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

const (
	// startLimit is how long a start may take when the caller's context has no deadline.
	startLimit = 60 * time.Second
	// stopLimit is how long Stop waits for a server to shut down before it is killed, which is generous to a busy machine.
	stopLimit = 30 * time.Second
	// closeLimit is the same for Close, which has no use for what an orderly end would save.
	closeLimit = 2 * time.Second
	// startPoll is how often a starting server is asked whether it is there.
	startPoll = 5 * time.Millisecond
	// portTries bounds how often a start is repeated because somebody took the free port first.
	portTries = 5
)

// Options of a server. The zero value is a server on a socket only.
type Options struct {
	// TCP makes it also listen on a free port of 127.0.0.1, which it keeps over Restart.
	TCP bool
	// FlushLogAtCommit is innodb_flush_log_at_trx_commit. 0, the default, is fastest and may lose the last second of
	// commits when the server is killed (Server.Kill); 1 loses none.
	FlushLogAtCommit int
	// Args are given to mariadbd after all others, so they win: `--innodb-buffer-pool-size=512M`.
	Args []string
	// Env is added to the environment of mariadbd: `TZ=Europe/Berlin` is the zone of its machine.
	Env []string
	// Dir is where the temporary directory of the server is made; the default is os.TempDir.
	Dir string
	// Cache is the cache folder; the default is described at the package.
	Cache string
	// Progress, if set, is told in a line of text what takes long.
	Progress func(line string)
}

func (o Options) progress(line string) {
	if o.Progress != nil {
		o.Progress(line)
	}
}

// Server is a running private server. All methods may be called from several goroutines.
type Server struct {
	options Options
	program *Program
	dir     *tempDir // all files of the server
	sockets *tempDir // where the socket is: dir, or a shorter one
	port    int

	mu    sync.Mutex // guards child
	child *child
}

// Start finds a server program, fetching one if need be, starts it on an empty data directory, and returns when it
// answers. The context bounds the start only. Root may connect over the socket, without a password. The caller closes the
// server.
func Start(ctx context.Context, o Options) (_ *Server, err error) {
	program, err := Find(ctx, o)
	if err != nil {
		return nil, err
	}
	template, err := program.template(ctx, o.Cache)
	if err != nil {
		return nil, err
	}
	s := &Server{options: o, program: program}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.Close())
		}
	}()
	if s.dir, s.sockets, err = makeDirs(o.Dir); err != nil {
		return nil, fmt.Errorf("make a directory for the server: %w", err)
	}
	if err := copyTree(template, s.datadir()); err != nil {
		return nil, fmt.Errorf("copy the template of a data directory: %w", err)
	}
	if !o.TCP {
		return s, s.launch(ctx)
	}
	for range portTries {
		if s.port, err = freePort(ctx); err != nil {
			return nil, err
		}
		if err = s.launch(ctx); err == nil || !strings.Contains(err.Error(), "Address already in use") {
			break
		}
	}
	return s, err
}

// freePort returns a port that was free a moment ago.
func freePort(ctx context.Context) (int, error) {
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return 0, fmt.Errorf("find a free port: %w", err)
	}
	port := l.Addr().(*net.TCPAddr).Port
	return port, l.Close()
}

// launch starts the process on the data directory as it is, and waits until it answers.
func (s *Server) launch(ctx context.Context) error {
	if _, ok := ctx.Deadline(); !ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, startLimit)
		defer cancel()
	}
	log, err := os.OpenFile(s.LogPath(), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	defer func() { _ = log.Close() }() // the server has its own descriptor
	cmd := s.program.command(ctx, s.arguments()...)
	cmd.Dir = s.dir.path
	cmd.Env = append(cmd.Environ(), s.options.Env...)
	cmd.Stdout, cmd.Stderr = log, log
	c, err := spawn(cmd)
	if err != nil {
		return fmt.Errorf("start %s: %w", s.program.Path, err)
	}
	if err := s.ready(ctx, c); err != nil {
		c.kill()
		return fmt.Errorf("start %s: %w\n%s", s.program.Path, err, s.logTail())
	}
	s.child = c
	return nil
}

func (s *Server) arguments() []string {
	args := append(s.program.arguments(s.datadir()),
		"--socket="+s.Socket(),
		"--pid-file="+filepath.Join(s.dir.path, "pid"),
		"--tmpdir="+s.dir.path,
		"--innodb-flush-log-at-trx-commit="+strconv.Itoa(s.options.FlushLogAtCommit),
		"--performance-schema=OFF",
		"--skip-name-resolve",
		"--character-set-server=utf8mb4",
		"--max-allowed-packet=64M",
	)
	if s.port == 0 {
		args = append(args, "--skip-networking")
	} else {
		args = append(args, "--bind-address=127.0.0.1", "--port="+strconv.Itoa(s.port))
	}
	return append(args, s.options.Args...)
}

// ready waits until the server answers a ping, or its process ends.
func (s *Server) ready(ctx context.Context, c *child) error {
	db, err := s.open("")
	if err != nil {
		return err
	}
	defer func() { _ = db.Close() }() // it only asked
	tick := time.NewTicker(startPoll)
	defer tick.Stop()
	for {
		select {
		case <-c.exited:
			return fmt.Errorf("it ended: %w", errors.Join(c.err, errors.New("see its log")))
		case <-ctx.Done():
			return fmt.Errorf("it does not answer: %w", context.Cause(ctx))
		case <-tick.C:
			if db.PingContext(ctx) == nil {
				return nil
			}
		}
	}
}

// logTail returns the end of the server's log.
func (s *Server) logTail() string {
	text, err := os.ReadFile(s.LogPath())
	if err != nil {
		return err.Error()
	}
	t := &tail{}
	_, _ = t.Write(text) // never fails
	return t.String()
}

// Stop shuts the server down in order and keeps its data. On a stopped server it does nothing. A server that does not
// end within 30 seconds, or before ctx does, is killed.
func (s *Server) Stop(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.stop(ctx)
}

func (s *Server) stop(ctx context.Context) error {
	if asked := time.Now(); !s.end(ctx.Done(), stopLimit) {
		return fmt.Errorf("stop the server: killed after %v\n%s", time.Since(asked).Round(time.Millisecond), s.logTail())
	}
	return nil
}

// end ends the process and reports whether it ended in order. It is killed at the limit or when hurry is closed.
func (s *Server) end(hurry <-chan struct{}, limit time.Duration) bool {
	if !s.child.running() {
		return true
	}
	timer := time.NewTimer(limit)
	defer timer.Stop()
	s.child.signal(syscall.SIGTERM)
	s.child.signal(syscall.SIGCONT) // a paused one could not obey
	select {
	case <-s.child.exited:
		return true
	case <-timer.C:
	case <-hurry:
	}
	s.child.kill()
	return false
}

// Kill ends the server as a crash would and keeps its data.
func (s *Server) Kill() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.child.running() {
		s.child.kill()
	}
}

// Restart stops the server, if it runs, and starts it on the same data, socket and port.
func (s *Server) Restart(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.stop(ctx); err != nil {
		return err
	}
	return s.launch(ctx)
}

// Pause freezes the server: connections stay open and get no answer.
func (s *Server) Pause() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.child.running() {
		s.child.signal(syscall.SIGSTOP)
	}
}

// Resume ends a Pause.
func (s *Server) Resume() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.child.running() {
		s.child.signal(syscall.SIGCONT)
	}
}

// Close stops the server and removes all its files. Twice is fine.
func (s *Server) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.end(nil, closeLimit)
	return errors.Join(s.dir.remove(), s.sockets.remove())
}
