package main_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/go-sql-driver/mysql"
	"github.com/jmoiron/sqlx"
	"golang.org/x/sys/unix"
)

// reportLine and reportSummary are what tests look at of a report.
type reportLine struct {
	Pair        string         `json:"pair"`
	Key         string         `json:"key"`
	Kind        string         `json:"kind"`
	Columns     []string       `json:"columns"`
	Source      map[string]any `json:"src"`
	Destination map[string]any `json:"des"`
	SQL         string         `json:"sql"`
}

type reportSummary struct {
	Verdict  string `json:"verdict"`
	ExitCode int    `json:"exitCode"`
	Pairs    []struct {
		Pair      string `json:"pair"`
		Rows      int    `json:"rows"`
		Missing   int    `json:"missing"`
		Verdict   string `json:"verdict"`
		Restarted bool   `json:"restarted"`
	} `json:"pairs"`
}

// newOnceRig is a rig whose tables both hold the same rows.
func newOnceRig(t *testing.T, rows int) *rig {
	t.Helper()
	r := newRig(t)
	r.with("delete", true)
	if rows > 0 {
		r.src.Exec(t, fmt.Sprintf("INSERT INTO user (number, name, balance) SELECT seq, CONCAT('name of ', seq), seq / 4 FROM seq_1_to_%d", rows))
	}
	r.copyOver("user")
	return r
}

// copyOver makes the destination's table what the source's is.
func (r *rig) copyOver(table string) {
	r.t.Helper()
	r.des.Exec(r.t, "DELETE FROM "+table, fmt.Sprintf("INSERT INTO %s SELECT * FROM %s.%s", table, r.src.Name, table))
}

// once runs cupid-master with -once and checks its exit code.
func (r *rig) once(code int, args ...string) string {
	r.t.Helper()
	r.write()
	out, got := r.command(append([]string{"-config", r.path, "-once"}, args...)...)
	if got != code {
		r.t.Fatalf("-once %v: exit code %d, want %d\n%s", args, got, code, out)
	}
	r.noneLeft()
	return out
}

// file is the path of a file of this rig.
func (r *rig) file(name string) string { return filepath.Join(r.dir, name) }

// readReport reads a report, in the order of its keys.
func readReport(t *testing.T, path string) (lines []reportLine, end reportSummary) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	all := strings.Split(strings.TrimSuffix(string(text), "\n"), "\n")
	last := struct{ Summary *reportSummary }{}
	if err := json.Unmarshal([]byte(all[len(all)-1]), &last); err != nil || last.Summary == nil {
		t.Fatalf("the report does not end in a summary: %v: %s", err, all[len(all)-1])
	}
	for _, one := range all[:len(all)-1] {
		var l reportLine
		d := json.NewDecoder(strings.NewReader(one))
		d.DisallowUnknownFields()
		if err := d.Decode(&l); err != nil {
			t.Fatalf("line %s: %v", one, err)
		}
		lines = append(lines, l)
	}
	slices.SortFunc(lines, func(a, b reportLine) int {
		return strings.Compare(fmt.Sprintf("%30s", a.Key), fmt.Sprintf("%30s", b.Key))
	})
	return lines, *last.Summary
}

// execute runs a file of statements on the destination, as somebody would who has read it.
func (r *rig) execute(path string) {
	r.t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		r.t.Fatal(err)
	}
	if !bytes.HasPrefix(text, []byte("-- ")) {
		r.t.Errorf("the statements have no comment before them: %.100s", text)
	}
	c, err := mysql.ParseDSN(r.des.DSN)
	if err != nil {
		r.t.Fatal(err)
	}
	c.MultiStatements = true
	db, err := sqlx.Open("mysql", c.FormatDSN())
	if err != nil {
		r.t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	if _, err := db.ExecContext(r.t.Context(), string(text)); err != nil {
		r.t.Fatalf("%v in\n%.3000s", err, text)
	}
}

func TestOnceOfEqualTables(t *testing.T) {
	t.Parallel()
	r := newOnceRig(t, 5000)
	out := r.once(0, "-report", r.file("report"))
	if !strings.Contains(out, "5000") || !strings.Contains(out, "equal") {
		t.Errorf("the summary is %s", out)
	}
	lines, end := readReport(t, r.file("report"))
	if len(lines) != 0 || end.Verdict != "equal" || end.ExitCode != 0 || len(end.Pairs) != 1 || end.Pairs[0].Rows != 5000 {
		t.Errorf("the report has %d lines and the summary %+v", len(lines), end)
	}
	if info, err := os.Stat(r.file("report")); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the report's mode is %v, %v, want 0600", info.Mode(), err)
	}
	if n := len(r.receiver.all()); n != 0 {
		t.Errorf("%d callbacks", n)
	}
}

func TestOnceReportsAllKindsAndSQLRepairsThem(t *testing.T) {
	t.Parallel()
	r := newOnceRig(t, 5000)
	r.src.Exec(t, "UPDATE user SET name = NULL WHERE number = 40")
	r.des.Exec(t,
		"DELETE FROM user WHERE number = 10", "UPDATE user SET name = 'x' WHERE number = 20",
		"UPDATE user SET balance = 0.0001 WHERE number = 30", "UPDATE user SET name = '' WHERE number = 40",
		"INSERT INTO user (id, number, name) VALUES (9999, 9999, 'it''s left \\\\ over')")
	out := r.once(1, "-dry-run", "-report", r.file("report"), "-sql", r.file("sql"))
	if !strings.Contains(out, "5 rows differ") {
		t.Errorf("it says %s", out)
	}
	lines, end := readReport(t, r.file("report"))
	row := func(number string, name any, balance string) map[string]any {
		return map[string]any{"number": number, "name": name, "balance": balance}
	}
	want := []reportLine{
		{Key: "10", Kind: "missing", Source: row("10", "name of 10", "2.5")},
		{Key: "20", Kind: "different", Columns: []string{"name"}, Source: row("20", "name of 20", "5"), Destination: row("20", "x", "5")},
		{
			Key: "30", Kind: "different", Columns: []string{"balance"}, Source: row("30", "name of 30", "7.5"),
			Destination: row("30", "name of 30", "0.0001"),
		},
		{Key: "40", Kind: "different", Columns: []string{"name"}, Source: row("40", nil, "10"), Destination: row("40", "", "10")},
		{Key: "9999", Kind: "orphan", Destination: row("9999", `it's left \ over`, "0")},
	}
	if len(lines) != len(want) {
		t.Fatalf("the report has %d lines, want %d: %+v", len(lines), len(want), lines)
	}
	for i, w := range want {
		got := lines[i]
		w.Pair = got.Pair
		if !maps.Equal(got.Source, w.Source) || !maps.Equal(got.Destination, w.Destination) ||
			got.Key != w.Key || got.Kind != w.Kind || !slices.Equal(got.Columns, w.Columns) || got.SQL != "" || got.Pair != end.Pairs[0].Pair {
			t.Errorf("line %d is\n%+v, want\n%+v", i, got, w)
		}
	}
	if end.Verdict != "differs" || end.ExitCode != 1 || end.Pairs[0].Missing != 1 {
		t.Errorf("the summary is %+v", end)
	}
	if n := len(r.receiver.all()); n != 0 {
		t.Errorf("a dry run made %d calls", n)
	}
	if n := r.differing(); n != 4 {
		t.Errorf("%d rows differ after the run, want 4: it only looks", n)
	}
	if logs, err := filepath.Glob(filepath.Join(r.config["logDir"].(string), "cupid-callback-*")); err != nil || len(logs) > 0 {
		t.Errorf("a dry run had a callback worker, which logs to %v, %v", logs, err)
	}
	r.execute(r.file("sql"))
	r.once(0, "-dry-run")
}

// Without -dry-run what is found is called back before the run ends.
func TestOnceCallsBack(t *testing.T) {
	t.Parallel()
	r := newOnceRig(t, 1000)
	r.des.Exec(t, "DELETE FROM user WHERE number <= 20")
	out := r.once(1)
	if !strings.Contains(out, "20 rows healed") || !strings.Contains(out, "0 still wait") {
		t.Errorf("it says %s", out)
	}
	if n := len(r.receiver.all()); n != 20 {
		t.Errorf("%d callbacks, want 20", n)
	}
	r.once(0)

	r.receiver.then(func(call) int { return 500 })
	r.des.Exec(t, "DELETE FROM user WHERE number <= 10")
	if out := r.once(1); !strings.Contains(out, "10 still wait") {
		t.Errorf("with a receiver that fails it says %s", out)
	}
	r.receiver.then(r.repair)
	r.start()
	r.eventually("the next run delivers", func() bool { return r.differing() == 0 })
}

func TestOnceOverNothingIsNoSuccess(t *testing.T) {
	t.Parallel()
	r := newOnceRig(t, 0)
	if out := r.once(2); !strings.Contains(out, "nothing was compared") {
		t.Errorf("it says %s", out)
	}
	r.des.Exec(t, "INSERT INTO user (number) VALUES (1), (2)")
	if out := r.once(2, "-dry-run"); !strings.Contains(out, "nothing was compared") {
		t.Errorf("of orphans alone it says %s", out)
	}
}

func TestOnceOfAnUnreachableDestination(t *testing.T) {
	t.Parallel()
	r := newOnceRig(t, 1000)
	alive := r.des0()
	dead := r.destination(r.des, r.receiver.url())
	dead["name"], dead["dsn"] = "dead", "mysql:dbname=x;host=127.0.0.1;port=1"
	r.config["des"] = []any{dead}
	if out := r.once(2, "-dry-run"); !strings.Contains(out, "127.0.0.1:1") {
		t.Errorf("it does not say what cannot be reached: %s", out)
	}
	r.config["des"] = []any{dead, alive}
	out := r.once(2, "-dry-run", "-report", r.file("report"))
	if !strings.Contains(out, "127.0.0.1:1") {
		t.Errorf("it does not say what cannot be reached: %s", out)
	}
	_, end := readReport(t, r.file("report"))
	verdicts := map[string]int{}
	for _, p := range end.Pairs {
		verdicts[p.Verdict]++
	}
	if verdicts["failed"] != 1 || verdicts["equal"] != 1 {
		t.Errorf("verdicts are %v, want one failed and one equal", verdicts)
	}
}

// A run that is stopped or killed is gone on with, and all of its reports together
// have everything.
func TestOnceIsResumed(t *testing.T) {
	t.Parallel()
	for name, stop := range map[string]func(*run) int{
		"TERM": func(m *run) int { m.stop(); return m.cmd.ProcessState.ExitCode() },
		"INT":  func(m *run) int { _ = m.cmd.Process.Signal(syscall.SIGINT); return m.wait() },
		"kill": func(m *run) int { m.kill(); return 2 },
		"stop": func(m *run) int {
			m.rig.command("stop", "-config", m.rig.path, "-dry-run")
			return m.wait()
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			const rows = 200_000
			r := newOnceRig(t, rows)
			r.with("sweepRowPerSecond", 40_000)
			r.des.Exec(t, "DELETE FROM user WHERE number % 1000 = 7")
			args := []string{"-once", "-dry-run", "-report", r.file("report")}
			m := r.launch(args...)
			r.eventually("the middle of the sweep", func() bool {
				s, err := r.swept()
				return err == nil && s > rows/4
			})
			if code := stop(m); code != 2 {
				t.Errorf("exit code %d, want 2\n%s", code, m.output)
			}
			if name != "kill" && !strings.Contains(m.output.String(), "-resume") {
				t.Errorf("it does not say how to go on: %s", m.output)
			}
			r.noneLeft()
			before, _ := os.ReadFile(r.file("report"))
			if n := bytes.Count(before, []byte("\n")); n < 20 || n > 190 {
				t.Errorf("the first run reported %d lines: it was not stopped in the middle", n)
			}
			out := r.once(1, "-dry-run", "-resume", "-report", r.file("report"))
			lines, end := readReport(t, r.file("report"))
			keys := map[string]int{}
			for _, l := range lines {
				keys[l.Key]++
			}
			if len(keys) != rows/1000 {
				t.Errorf("the reports have %d rows, want %d\n%s", len(keys), rows/1000, out)
			}
			if again := len(lines) - len(keys); again > 100 {
				t.Errorf("%d rows were reported twice: the sweep was not gone on with", again)
			}
			if end.Pairs[0].Rows < rows || end.Verdict != "differs" {
				t.Errorf("the summary is %+v", end)
			}
		})
	}
}

// A run goes on with a pair that could not be begun, and compares anew what is compared in
// another way now: it vouches for nothing that was not looked at.
func TestOnceIsResumedWithWhatItHasNotCompared(t *testing.T) {
	t.Parallel()
	r := newOnceRig(t, 100)
	r.des.Exec(t, "CREATE TABLE other LIKE user", "DELETE FROM user WHERE number IN (7, 70)")
	first := r.des0()
	second := r.destination(r.des, r.receiver.url())
	second["table"] = "other"
	dead := r.destination(r.des, r.receiver.url())
	dead["table"], dead["dsn"] = "other", "mysql:dbname="+r.des.Name+";host=127.0.0.1;port=1"
	args := []string{"-dry-run", "-report", r.file("report"), "-sql", r.file("sql")}
	reported := func(pair int) (lines int, restarted bool) {
		all, end := readReport(t, r.file("report"))
		for _, l := range all {
			if l.Pair == end.Pairs[pair].Pair {
				lines++
			}
		}
		return lines, end.Pairs[pair].Restarted
	}
	r.with("where", "number <= 50")
	r.with("delete", false) // what the condition leaves out would be left over
	r.config["des"] = []any{first, dead}
	r.once(2, args...)
	if n, _ := reported(0); n != 1 {
		t.Fatalf("the first run has %d lines, want one", n)
	}
	r.config["des"] = []any{first, second}
	r.once(1, append(args, "-resume")...)
	if n, again := reported(0); n != 1 || again {
		t.Errorf("a run that went on has %d lines of a pair that was complete, restarted is %v", n, again)
	}
	if n, _ := reported(1); n != 50 {
		t.Errorf("of the pair that could not be begun %d lines, want all 50 rows", n)
	}
	third := r.destination(r.des, r.receiver.url())
	third["table"], third["name"] = "other", "third" // which makes the run one to go on with
	r.with("where", "")
	r.config["des"] = []any{first, third}
	out := r.once(1, append(args, "-resume")...)
	if n, again := reported(0); n != 3 || !again || !strings.Contains(out, "compared in another way") {
		t.Errorf("with another condition %d lines, want the one of before and two, restarted is %v\n%s", n, again, out)
	}
}

// swept is how many rows the running -once -dry-run has compared.
func (r *rig) swept() (int, error) {
	out, code := r.command("status", "-json", "-config", r.path, "-dry-run")
	var s struct {
		Once []struct {
			Rows int `json:"rows"`
		} `json:"once"`
	}
	if code != 0 {
		return 0, fmt.Errorf("status: exit code %d: %s", code, out)
	}
	if err := json.Unmarshal([]byte(out), &s); err != nil || len(s.Once) == 0 {
		return 0, err
	}
	return s.Once[0].Rows, nil
}

// Beside a running cupid -once needs -dry-run, which touches nothing of the other.
func TestOnceBesideARunningCupid(t *testing.T) {
	t.Parallel()
	r := newOnceRig(t, 1000)
	r.receiver.then(func(call) int { return 500 })
	r.start()
	r.des.Exec(t, "DELETE FROM user WHERE number = 5")
	if err := os.WriteFile(r.file("report"), []byte("precious\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	r.write()
	out, code := r.command("-config", r.path, "-once", "-report", r.file("report"))
	if code != 75 || !strings.Contains(out, "-dry-run") {
		t.Errorf("exit code %d, want 75 and what to do: %s", code, out)
	}
	if text, _ := os.ReadFile(r.file("report")); string(text) != "precious\n" {
		t.Errorf("a run that was refused has changed the report: %q", text)
	}
	out, code = r.command("-config", r.path, "-once", "-dry-run", "-report", r.file("report"))
	lines, _ := readReport(t, r.file("report"))
	if code != 1 || len(lines) != 1 || lines[0].Key != "5" {
		t.Errorf("exit code %d, want 1 and row 5: %v\n%s", code, lines, out)
	}
	s, err := r.status()
	if err != nil {
		t.Fatal(err)
	}
	for _, w := range s.Workers {
		if w.State != "ready" || w.Restarts != 0 {
			t.Errorf("the running cupid was disturbed: %+v", w)
		}
	}
}

// A run with -once is not reloaded, but goes on.
func TestOnceIsNotReloaded(t *testing.T) {
	t.Parallel()
	r := newOnceRig(t, 60_000)
	r.with("sweepRowPerSecond", 5_000)
	m := r.launch("-once", "-dry-run")
	r.eventually("it sweeps", func() bool { n, err := r.swept(); return err == nil && n > 0 })
	if out, code := r.command("reload", "-config", r.path, "-dry-run"); code != 1 || !strings.Contains(out, "-once") {
		t.Errorf("reload: exit code %d, want 1: %s", code, out)
	}
	_ = m.cmd.Process.Signal(syscall.SIGUSR1)
	if out, code := r.command("status", "-config", r.path, "-dry-run"); code != 0 || !strings.Contains(out, " rows/s") {
		t.Errorf("status: exit code %d: %s", code, out)
	}
	if code := m.wait(); code != 0 {
		t.Errorf("exit code %d, want 0\n%s", code, m.output)
	}
}

// On a terminal the progress is drawn in place, in colours unless NO_COLOR forbids.
func TestOnceOnATerminal(t *testing.T) {
	t.Parallel()
	r := newOnceRig(t, 60_000)
	r.with("sweepRowPerSecond", 20_000)
	r.des.Exec(t, "DELETE FROM user WHERE number < 4")
	r.write()
	for _, env := range []string{"NO_COLOR=", "NO_COLOR=1"} {
		ptmx, tty := terminal(t)
		var shown bytes.Buffer
		read := make(chan struct{})
		go func() {
			defer close(read)
			_, _ = io.Copy(&shown, ptmx) // ends in an error when nobody has the terminal open any more
		}()
		var out bytes.Buffer
		cmd := exec.Command(filepath.Join(bin, "cupid-master"), "-config", r.path, "-once", "-dry-run")
		cmd.Stderr, cmd.Stdout, cmd.Env = tty, &out, append(os.Environ(), "TERM=xterm", env)
		done, err := spawn(cmd, syscall.SIGKILL)
		if err != nil {
			t.Fatal(err)
		}
		<-done
		_ = tty.Close()
		<-read
		_ = ptmx.Close()
		if code := cmd.ProcessState.ExitCode(); code != 1 {
			t.Errorf("exit code %d, want 1\n%s\n%s", code, shown.String(), out.String())
		}
		text := shown.String()
		if n := strings.Count(text, "\x1b[1A\r\x1b[2K"); n < 3 || !strings.Contains(text, "100%") || !strings.Contains(text, " left") {
			t.Errorf("it is not redrawn in place: %q", text)
		}
		if coloured := strings.Contains(text, "\x1b[32m"); coloured != (env == "NO_COLOR=") {
			t.Errorf("with %s: in colours is %v: %q", env, coloured, text)
		}
		if strings.Contains(out.String(), "\x1b") || !strings.Contains(out.String(), "60000") {
			t.Errorf("the summary is %q", out.String())
		}
	}
}

// terminal opens a pseudoterminal.
func terminal(t *testing.T) (ptmx, tty *os.File) {
	t.Helper()
	ptmx, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Skip(err)
	}
	if err := unix.IoctlSetPointerInt(int(ptmx.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	n, err := unix.IoctlGetInt(int(ptmx.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	tty, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	return ptmx, tty
}

func TestOnceUsage(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{
		{"-report", "x"},
		{"-sql", "x"},
		{"-resume"},
		{"-once", "-check"},
		{"-once", "-start-id", "1"},
		{"status", "-once"},
		{"-once", "-report", "-", "-sql", "-"},
		{"-once", "-report", "x", "-sql", "x"},
	} {
		if out, code := execute(t, filepath.Join(bin, "cupid-master"), append(args, "-config", "x")...); code != 64 {
			t.Errorf("%q: exit code %d, want 64: %s", args, code, out)
		}
	}
}

// A report that cannot be written ends the run, which then has not told.
func TestOnceWithAReportThatCannotBeWritten(t *testing.T) {
	t.Parallel()
	r := newOnceRig(t, 1000)
	r.des.Exec(t, "DELETE FROM user WHERE number < 100")
	r.once(78, "-dry-run", "-report", r.file("no/such/dir"))
	if out := r.once(2, "-dry-run", "-report", "/dev/full"); !strings.Contains(out, "no space left") {
		t.Errorf("it says %s", out)
	}
}

// everyType are columns of all kinds of types, with values that are hard to write.
var everyType = []struct{ column, values string }{
	{"a_int BIGINT", "-9223372036854775808, 0, 9223372036854775807"},
	{"a_unsigned BIGINT UNSIGNED", "18446744073709551615, 0, 9007199254740993"},
	{"a_year YEAR", "0, 1901, 2155"},
	{"a_bit BIT(10)", "b'1111111111', b'0', b'100111'"},
	{"a_decimal DECIMAL(65,30)", "-12345678901234567890123456789012345.000000000000000000000000000001, 0.1, 0"},
	{"a_float FLOAT", "0.1, 3.4e38, 1.1754942e-38"},
	{"a_double DOUBLE", "0.1, 1.7976931348623157e308, -5e-324"},
	{"a_date DATE", "'0000-00-00', '2024-02-29', '9999-12-31'"},
	{"a_datetime DATETIME(6)", "'0000-00-00', '2024-02-29 23:59:59.999999', '1000-01-01'"},
	{"a_timestamp TIMESTAMP(3) NULL", "'2024-03-31 02:30:00.123', '1970-01-02', '2038-01-18'"},
	{"a_time TIME(2)", "'-838:59:59', '838:59:59', '-00:00:00.01'"},
	{"a_char CHAR(20)", "'it''s', ' lead', ''"},
	{"a_text TEXT CHARACTER SET utf8mb4", "x'e4bda0e5a5bd20f09f9880', 'back\\\\slash \"q\" `b`', '\\0\\n\\r\\t%_; -- /* */'"},
	{"a_latin VARCHAR(20) CHARACTER SET latin1", "x'e9ff', 'caf', 'x '"},
	{"a_utf16 VARCHAR(20) CHARACTER SET utf16", "'ascii', _utf8mb4 x'f09f9880', ''"},
	{"a_binary BINARY(4)", "x'00ff', x'27', 'abcd'"},
	{"a_blob BLOB", "x'', x'00275c22ff', x'c3'"},
	{"a_enum ENUM('a','it''s','3','1')", "'it''s', '3', '1'"},
	{"a_set SET('x','y''z','w')", "'x,y''z', '', 'w'"},
	{"a_json JSON", `'{"a": [1, 2.50, "q\\"\\\\u00e9\\\\n"], "b": null}', '9007199254740993', '"it''s"'`},
	{"a_point POINT", "POINT(1,2), POINT(-0.5,1e300), NULL"},
	{"a_null VARCHAR(4)", "NULL, 'NULL', ''"},
}

// Statements repair every type, in a session of any sql_mode.
func TestOnceSQLRepairsEveryType(t *testing.T) {
	t.Parallel()
	r := newOnceRig(t, 0)
	columns, mapping := "id BIGINT AUTO_INCREMENT PRIMARY KEY, number BIGINT NOT NULL UNIQUE", map[string]any{}
	names := make([]string, len(everyType))
	rows := [3][]string{}
	for i, c := range everyType {
		columns += ", " + c.column
		names[i], _, _ = strings.Cut(c.column, " ")
		mapping[names[i]] = names[i]
		values := splitValues(c.values)
		for j := range rows {
			rows[j] = append(rows[j], values[j])
		}
	}
	r.with("update", false)
	for _, side := range []interface{ Exec(testing.TB, ...string) }{r.src, r.des} {
		side.Exec(t, "DROP TABLE user", "CREATE TABLE user ("+columns+")")
	}
	insert := func(number, values int) string {
		return fmt.Sprintf("INSERT INTO user (id, number, %s) VALUES (%d, %d, %s)", strings.Join(names, ", "), number, number, strings.Join(rows[values], ", "))
	}
	c, err := r.src.DB.Connx(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	for _, q := range []string{
		"SET sql_mode = 'STRICT_ALL_TABLES', time_zone = '+00:00'",
		insert(1, 0), insert(2, 1), insert(3, 2), insert(4, 0), insert(5, 1), insert(6, 2),
		"USE " + r.des.Name, insert(4, 1), insert(5, 2), insert(6, 0), insert(7, 0), insert(8, 1),
	} {
		if _, err := c.ExecContext(t.Context(), q); err != nil {
			t.Fatalf("%v in %s", err, q)
		}
	}
	mapping["number"] = "number"
	r.des0()["columns"] = mapping
	r.once(1, "-dry-run", "-report", r.file("report"), "-sql", r.file("sql"))
	if lines, _ := readReport(t, r.file("report")); len(lines) != 8 {
		t.Errorf("%d rows differ, want 8", len(lines))
	}
	r.execute(r.file("sql"))
	if out, code := r.command("-config", r.path, "-once", "-dry-run", "-report", "-"); code != 0 {
		text, _ := os.ReadFile(r.file("sql"))
		t.Errorf("after the statements exit code %d, want 0\n%s\n%s", code, out, text)
	}
}

// splitValues splits at the commas outside of quotes and parentheses.
func splitValues(list string) []string {
	var all []string
	start, depth, quoted := 0, 0, false
	for i, c := range list {
		switch {
		case c == '\'':
			quoted = !quoted
		case quoted:
		case c == '(':
			depth++
		case c == ')':
			depth--
		case c == ',' && depth == 0:
			all = append(all, list[start:i])
			start = i + 1
		}
	}
	return append(all, list[start:])
}
