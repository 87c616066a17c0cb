package main_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/masixun71/cupid/pkg/mariadb/mariadbtest"
)

// patience is how long a test waits for what must happen; it is only waited out
// when it does not. CUPID_TEST_PATIENCE names another, for who expects that it does not.
var patience = func() time.Duration {
	if d, err := time.ParseDuration(os.Getenv("CUPID_TEST_PATIENCE")); err == nil {
		return d
	}
	return 60 * time.Second
}()

// rig is a cupid with its databases, its receiver and its directories.
type rig struct {
	t        testing.TB
	src, des *mariadbtest.Database
	receiver *receiver
	dir      string
	path     string         // of the configuration
	config   map[string]any // as it is written
	extra    []string       // arguments of the master
	wrap     []string       // the command that runs the master
	verbatim string         // the configuration, when it is not config
	// prepare changes how the master is started. It may be nil.
	prepare func(cmd *exec.Cmd)
}

// columns of the test tables, on both sides.
const table = `(
	id BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY,
	number BIGINT NOT NULL UNIQUE,
	name VARCHAR(64),
	balance DECIMAL(20,4) NOT NULL DEFAULT 0,
	update_time TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP,
	KEY (update_time)
)`

// newRig makes two databases with a table user in each, and a configuration that
// watches them closely.
func newRig(tb testing.TB) *rig {
	tb.Helper()
	dir, err := os.MkdirTemp("", "cupid-e2e-") //nolint:usetesting // the parent of TempDir is closed to the user nobody
	if err != nil {
		tb.Fatal(err)
	}
	r := &rig{t: tb, src: mariadbtest.New(tb), des: mariadbtest.New(tb), dir: dir, path: filepath.Join(dir, "cupid.json")}
	tb.Cleanup(func() {
		if tb.Failed() {
			r.dumpLogs()
		}
		if err := os.RemoveAll(dir); err != nil {
			tb.Error(err)
		}
	})
	r.src.Exec(tb, "CREATE TABLE user "+table)
	r.des.Exec(tb, "CREATE TABLE user "+table)
	r.receiver = newReceiver(tb, r.repair)
	r.config = map[string]any{
		"workerNumber": 3, "logDir": filepath.Join(dir, "log"), "settleMillisecond": 100, "logLevel": "debug",
		"callbackWorkerIntervalMillisecond": 50, "taskWorkerIntervalMillisecond": 50,
		"src": map[string]any{
			"dsn": r.src.PDOTCP(), "user": r.src.User, "password": r.src.Password, "table": "user", "byColumn": "number",
			"insert": true, "insertIntervalMillisecond": 100,
			"update": true, "updateColumn": "update_time", "updateIntervalMillisecond": 100, "updateScanSecond": 5, "sweep": false,
			"cacheFilePath": filepath.Join(dir, "cache"),
		},
		"des": []any{r.destination(r.des, r.receiver.url())},
	}
	return r
}

func (r *rig) destination(d *mariadbtest.Database, url string) map[string]any {
	return map[string]any{
		"dsn": d.PDOTCP(), "user": d.User, "password": d.Password, "table": "user", "byColumn": "number",
		"columns":              map[string]any{"number": "number", "name": "name", "balance": "balance"},
		"callbackNotification": map[string]any{"url": url, "repairGraceSecond": 1, "retryMaxSecond": 1},
	}
}

// with changes a key of the source.
func (r *rig) with(key string, value any) { r.config["src"].(map[string]any)[key] = value }

// write writes the configuration.
func (r *rig) write() {
	r.t.Helper()
	text, err := json.MarshalIndent(r.config, "", "  ")
	if err != nil {
		r.t.Fatal(err)
	}
	if r.verbatim != "" {
		text = []byte(r.verbatim)
	}
	if err := os.WriteFile(r.path, text, 0o600); err != nil {
		r.t.Fatal(err)
	}
}

// repair is what the default receiver does: an idempotent upsert.
func (r *rig) repair(c call) int {
	row := c.Body.Row
	_, err := r.des.DB.ExecContext(context.Background(),
		"INSERT INTO user (number, name, balance) VALUES (?,?,?) ON DUPLICATE KEY UPDATE name = VALUES(name), balance = VALUES(balance)",
		row["number"].(json.Number).String(), row["name"], row["balance"])
	if err != nil {
		r.t.Errorf("repair: %v", err)
		return 500
	}
	return 204
}

// run is a running master.
type run struct {
	t      testing.TB
	rig    *rig
	cmd    *exec.Cmd
	done   chan struct{}
	output *buffer
}

// start starts cupid-master and waits until all workers are ready.
func (r *rig) start(args ...string) *run {
	r.t.Helper()
	m := r.launch(args...)
	r.eventually("all workers ready", func() bool {
		if m.ended() {
			r.t.Fatalf("cupid-master ended: %v\n%s", m.cmd.ProcessState, m.output)
		}
		s, err := r.status(args...)
		if err != nil {
			return false
		}
		for _, w := range s.Workers {
			if w.State != "ready" {
				return false
			}
		}
		return len(s.Workers) > 0
	})
	return m
}

// launch starts cupid-master and waits for nothing.
func (r *rig) launch(args ...string) *run {
	r.t.Helper()
	r.write()
	m := &run{t: r.t, rig: r, output: &buffer{}}
	line := slices.Concat(r.wrap, []string{filepath.Join(bin, "cupid-master"), "-config", r.path}, args)
	m.cmd = exec.Command(line[0], line[1:]...)
	m.cmd.Stdout, m.cmd.Stderr = m.output, m.output
	m.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if r.prepare != nil {
		r.prepare(m.cmd)
	}
	var err error
	if m.done, err = spawn(m.cmd, syscall.SIGKILL); err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() {
		if !m.ended() {
			m.stop()
		}
		r.noneLeft()
	})
	return m
}

func (m *run) ended() bool {
	select {
	case <-m.done:
		return true
	default:
		return false
	}
}

// stop ends the master by SIGTERM and waits.
func (m *run) stop() {
	m.t.Helper()
	_ = m.cmd.Process.Signal(syscall.SIGTERM)
	m.wait()
}

// kill ends the master by SIGKILL and waits.
func (m *run) kill() {
	m.t.Helper()
	_ = m.cmd.Process.Kill()
	m.wait()
}

func (m *run) wait() int {
	m.t.Helper()
	select {
	case <-m.done:
	case <-time.After(patience):
		_ = m.cmd.Process.Signal(syscall.SIGQUIT)
		m.t.Errorf("cupid-master has not ended\n%s", m.output)
		_ = m.cmd.Process.Kill()
		<-m.done
	}
	return m.cmd.ProcessState.ExitCode()
}

// workerStatus and statusReply are what tests look at of a status answer.
type workerStatus struct {
	Slot       int    `json:"slot"`
	Role       string `json:"role"`
	Pid        int    `json:"pid"`
	State      string `json:"state"`
	Generation uint64 `json:"generation"`
	Restarts   int    `json:"restarts"`
	LastExit   string `json:"lastExit"`
}

type statusReply struct {
	Pid     int                        `json:"pid"`
	Workers []workerStatus             `json:"workers"`
	Reports map[string]json.RawMessage `json:"reports"`
}

// command runs cupid-master with arguments and returns its output and exit code.
func (r *rig) command(args ...string) (string, int) {
	r.t.Helper()
	return execute(r.t, filepath.Join(bin, "cupid-master"), args...)
}

func execute(tb testing.TB, path string, args ...string) (string, int) {
	tb.Helper()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(tb.Context()), 3*patience) // cleanups run commands too
	defer cancel()
	cmd := exec.CommandContext(ctx, path, args...)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	done, err := spawn(cmd, syscall.SIGKILL)
	if err != nil {
		tb.Fatalf("run %s: %v", path, err)
	}
	if <-done; ctx.Err() != nil {
		tb.Fatalf("%s %q has not ended: %s", path, args, &out)
	}
	return out.String(), cmd.ProcessState.ExitCode()
}

func (r *rig) status(args ...string) (statusReply, error) {
	ask := []string{"status", "-json", "-config", r.path}
	if slices.Contains(args, "-dry-run") {
		ask = append(ask, "-dry-run")
	}
	out, code := r.command(ask...)
	var s statusReply
	if code != 0 {
		return s, fmt.Errorf("status: exit code %d: %s", code, out)
	}
	return s, json.Unmarshal([]byte(out), &s)
}

// pidOf is the process id of the first worker of a role.
func (r *rig) pidOf(role string) int {
	r.t.Helper()
	s, err := r.status()
	if err != nil {
		r.t.Fatal(err)
	}
	for _, w := range s.Workers {
		if w.Role == role && w.Pid != 0 {
			return w.Pid
		}
	}
	return 0
}

// eventually waits until ok.
func (r *rig) eventually(what string, ok func() bool) {
	r.t.Helper()
	eventually(r.t, what, ok)
}

func eventually(tb testing.TB, what string, ok func() bool) {
	tb.Helper()
	deadline := time.NewTimer(patience)
	defer deadline.Stop()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-tick.C:
		case <-deadline.C:
			tb.Fatalf("not within %s: %s", patience, what)
		}
	}
}

// differing counts the source rows that the destination does not hold as they are.
func (r *rig) differing() int {
	r.t.Helper()
	var n int
	err := r.src.DB.GetContext(r.t.Context(), &n, fmt.Sprintf(`SELECT COUNT(*) FROM %s.user s LEFT JOIN %s.user d ON s.number = d.number
		WHERE d.number IS NULL OR NOT (s.name <=> d.name AND s.balance <=> d.balance)`, r.src.Name, r.des.Name))
	if err != nil {
		r.t.Fatal(err)
	}
	return n
}

// noneLeft checks that no process of this rig lives any more.
func (r *rig) noneLeft() {
	r.t.Helper()
	eventually(r.t, "no process left over", func() bool { return len(r.processes()) == 0 })
}

// processes are the pids that hold a slot's lock of this rig or are its master.
func (r *rig) processes() []string {
	var found []string
	dirs, _ := filepath.Glob("/proc/[0-9]*/fd")
	for _, dir := range dirs {
		fds, err := os.ReadDir(dir)
		if err != nil {
			continue
		}
		for _, fd := range fds {
			target, _ := os.Readlink(filepath.Join(dir, fd.Name()))
			if strings.HasPrefix(target, r.dir+"/cache") && strings.HasSuffix(target, ".lock") {
				found = append(found, filepath.Base(filepath.Dir(dir)))
				break
			}
		}
	}
	return found
}

func (r *rig) dumpLogs() {
	files, _ := filepath.Glob(filepath.Join(r.dir, "log", "*"))
	for _, f := range files {
		text, _ := os.ReadFile(f)
		if len(text) > 6000 {
			text = text[len(text)-6000:]
		}
		r.t.Logf("== %s\n%s", filepath.Base(f), text)
	}
}

// logs is everything that was logged.
func (r *rig) logs() string {
	var all strings.Builder
	files, _ := filepath.Glob(filepath.Join(r.dir, "log", "*"))
	for _, f := range files {
		text, _ := os.ReadFile(f)
		all.Write(text)
	}
	return all.String()
}

// buffer is a bytes.Buffer for several goroutines.
type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}
