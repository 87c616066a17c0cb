package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"sync"
	"syscall"
	"time"
)

// stopLimit is how long cupid may take to stop; it promises 1.5 s.
const stopLimit = 5 * time.Second

// settle is how late a row may be. It leaves the replicator, whose rows come after lag, much more time than it needs:
// the machine may be busy.
const settle = 3 * time.Second

// configuration is cupid's own. %[1]s is the server's socket, %[2]s the directory, %[3]s the receiver, %[4]d settle.
const configuration = `{
  "workerNumber": 4, // the manager, the callback worker and two task workers
  "logDir": "%[2]s/log",
  "settleMillisecond": %[4]d, // a row may be that late
  "src": {
    "dsn": "mysql:unix_socket=%[1]s;dbname=shop",
    "user": "` + account + `",
    "password": "` + password + `",
    "table": "user",
    "byColumn": "number",
    "insert": true,
    "insertIntervalMillisecond": 200,
    "update": true,
    "updateColumn": "update_time",
    "updateIntervalMillisecond": 200,
    "updateScanSecond": 5,
    "cacheFilePath": "%[2]s/cache",
  },
  "des": [
    {
      "dsn": "mysql:unix_socket=%[1]s;dbname=warehouse",
      "user": "` + account + `",
      "password": "` + password + `",
      "table": "user",
      "byColumn": "number",
      "columns": {"number": "number", "name": "full_name", "balance": "balance"},
      "callbackNotification": {"url": "%[3]s", "retryMaxSecond": 1, "repairGraceSecond": 1},
    },
  ],
}
`

// cupid is cupid-master under a supervisor as small as can be: when it dies it is started again.
type cupid struct {
	master string // the program
	config string // its configuration
	output string // the file for what it says
	failed chan error
	done   chan struct{} // closed when it is not started again

	mu       sync.Mutex // guards all below
	process  *os.Process
	stopping bool
	work     map[[2]int]comparison // by master and slot
	restarts map[[2]int]int        // likewise
}

// newCupid writes the configuration.
func newCupid(bin, dir, socket, url string) (*cupid, string, error) {
	master, err := filepath.Abs(filepath.Join(bin, "cupid-master"))
	if err != nil {
		return nil, "", err
	}
	if _, err := os.Stat(master); err != nil {
		return nil, "", fmt.Errorf("find cupid: %w; make build makes it", err)
	}
	c := &cupid{
		master: master, config: filepath.Join(dir, "cupid.json"), output: filepath.Join(dir, "cupid.out"),
		failed: make(chan error, 1), done: make(chan struct{}), work: map[[2]int]comparison{}, restarts: map[[2]int]int{},
	}
	text := fmt.Sprintf(configuration, socket, dir, url, settle.Milliseconds())
	return c, text, os.WriteFile(c.config, []byte(text), 0o600)
}

// supervise starts the master, and starts it again when it was killed, until stop is called.
func (c *cupid) supervise() {
	defer close(c.done)
	// The death signal comes when the thread dies that started the child (golang/go#27505); this one lives as long as
	// this goroutine.
	runtime.LockOSThread()
	for {
		cmd, err := c.start()
		if cmd == nil {
			return
		}
		if err == nil {
			err = cmd.Wait()
		}
		if err != nil && (cmd.ProcessState == nil || cmd.ProcessState.Exited()) {
			said, _ := os.ReadFile(c.output) // for the error text only
			c.failed <- fmt.Errorf("cupid-master: %w\n%s", err, bytes.TrimSpace(said))
			return
		}
	}
}

// start starts the master, or returns nil when it is not to run any more.
func (c *cupid) start() (*exec.Cmd, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.stopping {
		return nil, nil //nolint:nilnil // there is nothing to wait for
	}
	cmd := exec.Command(c.master, "-config", c.config) //nolint:noctx // it is stopped by signals, in order
	output, err := os.OpenFile(c.output, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return cmd, err
	}
	defer func() { _ = output.Close() }() // the child has its own
	cmd.Stdout, cmd.Stderr = output, output
	// A group of its own keeps the terminal's ^C from it, and it does not outlive us.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
	err = cmd.Start()
	c.process = cmd.Process
	return cmd, err
}

// kill is kill -9 of the master.
func (c *cupid) kill() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.process.Kill()
}

// stop ends the master by SIGTERM, as a supervisor does.
func (c *cupid) stop() error {
	if c == nil {
		return nil
	}
	signal := func(s os.Signal) {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.stopping = true
		if c.process != nil {
			_ = c.process.Signal(s) // it may be gone
		}
	}
	signal(syscall.SIGTERM)
	late := time.NewTimer(stopLimit)
	defer late.Stop()
	select {
	case <-c.done:
		return nil
	case <-late.C:
		signal(os.Kill)
		<-c.done
		return fmt.Errorf("cupid did not stop within %s", stopLimit)
	}
}
