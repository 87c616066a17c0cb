package main_test

import (
	"bufio"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	master "github.com/masixun71/cupid/cmd/cupid-master"
)

// newMissingRig is a rig whose destination is empty: each row is a line of a report.
func newMissingRig(t *testing.T, rows int) *rig {
	t.Helper()
	r := newOnceRig(t, rows)
	r.des.Exec(t, "DELETE FROM user")
	return r
}

// toPipe makes the master write its standard output, or its standard error too, to a pipe.
func (r *rig) toPipe(both bool) (reader, writer *os.File) {
	r.t.Helper()
	reader, writer, err := os.Pipe()
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { _, _ = reader.Close(), writer.Close() })
	r.prepare = func(cmd *exec.Cmd) {
		if cmd.Stdout = writer; both {
			cmd.Stderr = writer
		}
	}
	return reader, writer
}

// mkfifo makes a named pipe.
func (r *rig) mkfifo(name string) string {
	r.t.Helper()
	if err := unix.Mkfifo(r.file(name), 0o600); err != nil {
		r.t.Fatal(err)
	}
	return r.file(name)
}

// wantKeysOnce demands a report with a line for each of so many rows, and a summary.
func wantKeysOnce(t *testing.T, report io.Reader, rows int) {
	t.Helper()
	keys, summaries, lines := map[string]bool{}, 0, bufio.NewScanner(report)
	for lines.Scan() {
		var l struct {
			Key     string
			Summary *reportSummary
		}
		switch err := json.Unmarshal(lines.Bytes(), &l); {
		case err != nil:
			t.Fatalf("line %q: %v", lines.Text(), err)
		case l.Summary != nil:
			summaries++
		case keys[l.Key]:
			t.Fatalf("row %s was reported twice", l.Key)
		default:
			keys[l.Key] = true
		}
	}
	if err := lines.Err(); err != nil || len(keys) != rows || summaries != 1 {
		t.Errorf("%d rows and %d summaries, %v, want %d and one", len(keys), summaries, err, rows)
	}
}

// A reader that stands still for longer than a worker waits for the master stops nobody.
func TestOnceReportToASlowReader(t *testing.T) {
	t.Parallel()
	const rows = 28_000
	r := newMissingRig(t, rows)
	reader, writer := r.toPipe(false)
	m := r.launch("-once", "-dry-run", "-report", "-")
	_ = writer.Close() // the master has it
	<-time.After(8 * time.Second)
	wantKeysOnce(t, reader, rows)
	if code := m.wait(); code != 1 {
		t.Errorf("exit code %d, want 1\n%s", code, m.output)
	}
	if logs := r.logs(); strings.Contains(logs, "worker has to go") || strings.Contains(logs, "without reading") {
		t.Error("a worker had to go")
	}
}

// A reader that goes away ends the run at once.
func TestOnceReportToAReaderThatGoes(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{"standard output", "named pipe"} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			r := newMissingRig(t, 20_000)
			r.with("sweepRowPerSecond", 2000) // the sweep takes ten seconds
			var reader io.ReadCloser
			var m *run
			if kind == "named pipe" {
				path := r.mkfifo("report")
				m = r.launch("-once", "-dry-run", "-report", path)
				f, err := os.Open(path)
				if err != nil {
					t.Fatal(err)
				}
				reader = f
			} else {
				f, writer := r.toPipe(false)
				m = r.launch("-once", "-dry-run", "-report", "-")
				_ = writer.Close()
				reader = f
			}
			if _, err := bufio.NewReader(reader).ReadString('\n'); err != nil {
				t.Fatal(err)
			}
			_ = reader.Close()
			code, out := m.wait(), m.output.String()
			if code != 2 || !strings.Contains(out, "nobody reads it any more") || !strings.Contains(out, "without -resume") {
				t.Errorf("exit code %d, want 2 and why\n%s", code, out)
			}
			if strings.Contains(out, "-resume goes on") || !strings.Contains(out, "unfinished") {
				t.Errorf("it should end at once, and not be gone on with\n%s", out)
			}
		})
	}
}

// A run whose sweep is over waits for the reader of its report, be it one that comes late,
// until it is stopped.
func TestOnceWaitsForTheReader(t *testing.T) {
	t.Parallel()
	const rows = 3000
	for _, ending := range []string{"read", "TERM"} {
		t.Run(ending, func(t *testing.T) {
			t.Parallel()
			r := newMissingRig(t, rows)
			path := r.mkfifo("report")
			m := r.launch("-once", "-dry-run", "-report", path)
			r.eventually("the sweep is over", func() bool { return strings.Contains(r.logs(), "cupid ends") })
			r.eventually("it says what it waits for", func() bool { return strings.Contains(m.output.String(), "waiting for the reader") })
			if m.ended() {
				t.Fatalf("it has not waited\n%s", m.output)
			}
			if ending == "TERM" {
				begin := time.Now()
				_ = m.cmd.Process.Signal(syscall.SIGTERM)
				if code := m.wait(); code != 2 || time.Since(begin) > 10*time.Second || !strings.Contains(m.output.String(), "without -resume") {
					t.Errorf("exit code %d after %s, want 2 at once\n%s", code, time.Since(begin), m.output)
				}
				return
			}
			f, err := os.Open(path)
			if err != nil {
				t.Fatal(err)
			}
			wantKeysOnce(t, f, rows)
			_ = f.Close()
			if code := m.wait(); code != 1 {
				t.Errorf("exit code %d, want 1\n%s", code, m.output)
			}
		})
	}
}

// What nobody reads ends nonetheless: by a signal, and when it is done.
func TestOnceThatIsShownToNobodyEnds(t *testing.T) {
	t.Parallel()
	for _, ending := range []string{"TERM", "done"} {
		t.Run(ending, func(t *testing.T) {
			t.Parallel()
			r := newOnceRig(t, 60_000)
			want := 0
			if ending == "TERM" {
				r.with("sweepRowPerSecond", 1000)
				want = 2
			}
			_, writer := r.toPipe(true)
			fill(t, writer)
			m := r.launch("-once", "-dry-run")
			if ending == "TERM" {
				r.eventually("it sweeps", func() bool { n, err := r.swept(); return err == nil && n > 0 })
				begin := time.Now()
				_ = m.cmd.Process.Signal(syscall.SIGTERM)
				defer func() {
					if took := time.Since(begin); took > 10*time.Second { // the machine may be busy
						t.Errorf("stop took %s", took)
					}
				}()
			}
			if code := m.wait(); code != want {
				t.Errorf("exit code %d, want %d", code, want)
			}
		})
	}
}

// fill writes to a pipe until it is full.
func fill(t *testing.T, writer *os.File) (bytes int) {
	t.Helper()
	if err := writer.SetWriteDeadline(time.Now().Add(200 * time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	for {
		n, err := writer.Write(make([]byte, 4096))
		if bytes += n; err == nil {
			continue
		}
		if err := writer.SetWriteDeadline(time.Time{}); err != nil {
			t.Fatal(err)
		}
		return bytes
	}
}

// Progress that nobody reads is dropped, and what is to be seen comes when somebody does.
func TestOutletDropsWhatHasNoRoom(t *testing.T) {
	t.Parallel()
	reader, writer, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	full := fill(t, writer)
	writer.Fd() // it blocks from now on, as the standard error of a program does
	o := master.NewOutlet(writer)
	line, offered := strings.Repeat("x", 999)+"\n", 0
	for o.Offer(line) {
		if offered++; offered > 1000 {
			t.Fatal("progress is kept without bounds")
		}
	}
	if _, err := io.WriteString(o, "the end"); err != nil {
		t.Error(err)
	}
	got := make(chan string)
	go func() {
		text, _ := io.ReadAll(reader)
		got <- string(text)
	}()
	o.Close()
	_ = writer.Close()
	if text := <-got; len(text) != full+offered*len(line)+len("the end") || !strings.HasSuffix(text, "the end") {
		t.Errorf("%d bytes came, want %d of %d lines and the end", len(text), full, offered)
	}
}

// Standard output is one file under all its names: what is there stays, and the report alone
// is added to it.
func TestOnceReportToStandardOutputUnderAnotherName(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"-", "/dev/stdout", "out", "/proc/self/fd/1"} {
		r := newMissingRig(t, 5)
		r.write()
		if name == "out" {
			name = r.file("out")
		}
		if err := os.WriteFile(r.file("out"), []byte("what was there\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		out, err := os.OpenFile(r.file("out"), os.O_WRONLY|os.O_APPEND, 0)
		if err != nil {
			t.Fatal(err)
		}
		r.prepare = func(cmd *exec.Cmd) { cmd.Stdout = out }
		m := r.launch("-once", "-dry-run", "-report", name)
		if code := m.wait(); code != 1 || !strings.Contains(m.output.String(), "VERDICT") {
			t.Errorf("%s: exit code %d, want 1, and the table on standard error\n%s", name, code, m.output)
		}
		_ = out.Close()
		text, err := os.ReadFile(r.file("out"))
		if err != nil {
			t.Fatal(err)
		}
		rest, kept := strings.CutPrefix(string(text), "what was there\n")
		if !kept {
			t.Errorf("%s: it holds %q", name, text)
		}
		wantKeysOnce(t, strings.NewReader(rest), 5)
	}
}

// A file for lines that is another one, too, is refused, and nothing of it is changed.
func TestOnceRefusesToWriteIntoAnotherFile(t *testing.T) {
	t.Parallel()
	r := newOnceRig(t, 10)
	r.write()
	const there = "precious\n"
	for _, name := range []string{"lines", "errors"} {
		if err := os.WriteFile(r.file(name), []byte(there), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Link(r.file("lines"), r.file("link")); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(r.path, r.file("config link")); err != nil {
		t.Fatal(err)
	}
	config, _ := os.ReadFile(r.path)
	for _, c := range []struct{ report, sql, clash string }{
		{r.file("lines"), r.dir + "/./lines", r.dir + "/./lines"},
		{r.file("lines"), r.file("link"), r.file("link")},
		{"-", "/dev/stdout", "/dev/stdout"},
		{r.file("config link"), "", r.path},
		{"", r.path, r.path},
		{r.file("errors"), "", "standard error"},
	} {
		args := []string{"-once", "-dry-run"}
		if c.report != "" {
			args = append(args, "-report", c.report)
		}
		if c.sql != "" {
			args = append(args, "-sql", c.sql)
		}
		stderr, err := os.OpenFile(r.file("errors"), os.O_RDWR|os.O_APPEND, 0)
		if err != nil {
			t.Fatal(err)
		}
		r.prepare = func(cmd *exec.Cmd) { cmd.Stderr = stderr }
		code := r.launch(args...).wait()
		_ = stderr.Close()
		said, _ := os.ReadFile(r.file("errors"))
		if code != 64 || !strings.HasPrefix(string(said), there) || !strings.Contains(string(said), " and ") || !strings.Contains(string(said), c.clash) {
			t.Errorf("%+v: exit code %d, want 64 and both names: %s", c, code, said)
		}
		if err := os.WriteFile(r.file("errors"), []byte(there), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if lines, _ := os.ReadFile(r.file("lines")); string(lines) != there {
		t.Errorf("the file holds %q", lines)
	}
	if now, _ := os.ReadFile(r.path); string(now) != string(config) {
		t.Errorf("the configuration holds %q", now)
	}
}
