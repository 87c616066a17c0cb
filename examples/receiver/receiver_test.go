package main_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	main "github.com/masixun71/cupid/examples/receiver"
	"github.com/masixun71/cupid/pkg/mariadb"
	"github.com/masixun71/cupid/pkg/mariadb/mariadbtest"
	"github.com/masixun71/cupid/pkg/secret"
	"github.com/masixun71/cupid/pkg/webhook"
)

func TestMain(m *testing.M) { mariadbtest.Run(m) }

// patience is how long a test waits for what must happen.
const patience = 30 * time.Second

const (
	signingSecret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
	password      = "the-receivers-password"
)

// receiver is the program at work on a table of its own.
type receiver struct {
	t    *testing.T
	db   *mariadbtest.Database
	user string // an account that may read and write rows, and nothing else
	url  string
	log  *output
}

// prepare makes a database with the account of a receiver.
func prepare(t *testing.T) *receiver {
	t.Helper()
	db := mariadbtest.New(t)
	r := &receiver{t: t, db: db, user: "r" + db.Name[max(0, len(db.Name)-20):], log: &output{}}
	for _, host := range []string{"localhost", "%"} {
		account := "'" + r.user + "'@'" + host + "'"
		db.Exec(t, "CREATE USER "+account+" IDENTIFIED BY '"+password+"'", "GRANT SELECT, INSERT, UPDATE, DELETE ON "+db.Name+".* TO "+account)
		t.Cleanup(func() {
			if _, err := db.DB.ExecContext(context.WithoutCancel(t.Context()), "DROP USER "+account); err != nil {
				t.Error(err)
			}
		})
	}
	return r
}

// start makes a table and starts the program on it.
func start(t *testing.T, env map[string]string, more ...string) *receiver {
	t.Helper()
	r := prepare(t)
	r.db.Exec(t, `CREATE TABLE user (
		number BIGINT UNSIGNED PRIMARY KEY,
		full_name VARCHAR(64),
		email VARCHAR(64) UNIQUE,
		balance DECIMAL(20,4),
		avatar VARBINARY(64),
		flags BIT(8),
		seen TIMESTAMP NULL,
		born DATE,
		extra INT NOT NULL DEFAULT 7
	)`)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan int, 1)
	go func() {
		ended <- main.Run(ctx, r.args(append(more, "-listen", "127.0.0.1:0")...), r.getenv(env), r.log)
	}()
	t.Cleanup(func() {
		cancel()
		if code := <-ended; code != 0 {
			t.Errorf("exit code = %d, want 0\n%s", code, r.log)
		}
	})
	r.url = r.log.wait(t, regexp.MustCompile(`url=(http://\S+)`))
	return r
}

// args is a command line for the table.
func (r *receiver) args(more ...string) []string {
	address := "unix(" + r.db.Socket + ")"
	if r.db.Socket == "" {
		address = fmt.Sprintf("tcp(%s:%d)", r.db.Host, r.db.Port)
	}
	return append([]string{
		"-dsn", r.user + "@" + address + "/" + r.db.Name, "-table", "user", "-key", "number",
		"-columns", "number=number,name=full_name,email=email,balance=balance,avatar=avatar,flags=flags,seen=seen,born=born",
	}, more...)
}

func (r *receiver) getenv(env map[string]string) func(string) string {
	return func(name string) string {
		if name == "RECEIVER_PASSWORD" {
			return password
		}
		return env[name]
	}
}

// post calls and returns the status with the answer.
func (r *receiver) post(body string, header http.Header) (int, string) {
	r.t.Helper()
	req, err := http.NewRequestWithContext(r.t.Context(), http.MethodPost, r.url+"/test/callback", strings.NewReader(body))
	if err != nil {
		r.t.Error(err)
		return 0, ""
	}
	req.Header = header.Clone()
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		r.t.Error(err)
		return 0, ""
	}
	defer func() { _ = res.Body.Close() }() // read to its end
	text, err := io.ReadAll(res.Body)
	if err != nil {
		r.t.Error(err)
	}
	return res.StatusCode, string(text)
}

// body is a callback; more replaces columns of its row.
func body(kind, number, more string) string {
	row := `"number": ` + number + `, "name": "Ada \"A\" Ω", "email": null, "balance": "12.3400", "avatar": "AP8B", "flags": 5,
		"seen": "2024-05-06 07:08:09", "born": "0000-00-00", "unmapped": 1`
	return `{"type": ` + kind + `, "srcColumn": {` + row + more + `}}`
}

// row is a row of the table as one text.
func (r *receiver) row(number string) string {
	r.t.Helper()
	var text string
	err := r.db.DB.GetContext(r.t.Context(), &text, `SELECT CONCAT_WS('|', number, full_name, IFNULL(email, 'NULL'), balance, HEX(avatar),
		flags + 0, seen, born, extra) FROM user WHERE number = ?`, number)
	if err != nil {
		r.t.Fatal(err)
	}
	return text
}

// want checks the numbers and names of all rows.
func (r *receiver) want(rows ...string) {
	r.t.Helper()
	var got []string
	err := r.db.DB.SelectContext(r.t.Context(), &got, "SELECT CONCAT(number, ' ', full_name) FROM user ORDER BY number, HEX(full_name)")
	if err != nil || !slices.Equal(got, rows) {
		r.t.Errorf("rows = %q, %v, want %q", got, err, rows)
	}
}

func TestMissingAndDifferentRowsAreWritten(t *testing.T) {
	t.Parallel()
	r := start(t, nil)
	const big = "18446744073709551615" // no float64 and no int64 holds it
	want := big + `|Ada "A" Ω|NULL|12.3400|00FF01|5|2024-05-06 07:08:09|0000-00-00|7`
	for range 2 { // the second time changes nothing
		if status, text := r.post(body("1", big, ""), nil); status != http.StatusNoContent || text != "" {
			t.Fatalf("answer = %d %q, want 204", status, text)
		}
		if got := r.row(big); got != want {
			t.Errorf("row = %s\nwant  %s", got, want)
		}
	}
	r.db.Exec(t, "UPDATE user SET full_name = 'other', balance = NULL, extra = 8")
	if status, text := r.post(body("2", big, `, "email": "a@b"`), nil); status != http.StatusNoContent {
		t.Fatalf("answer = %d %q, want 204", status, text)
	}
	want = big + `|Ada "A" Ω|a@b|12.3400|00FF01|5|2024-05-06 07:08:09|0000-00-00|8`
	if got := r.row(big); got != want {
		t.Errorf("row = %s\nwant  %s", got, want)
	}
}

func TestValuesAsStringAreWrittenAlike(t *testing.T) {
	t.Parallel()
	r := start(t, nil)
	if status, text := r.post(body("1", `"9"`, `, "flags": "5"`), nil); status != http.StatusNoContent {
		t.Fatalf("answer = %d %q, want 204", status, text)
	}
	if got, want := r.row("9"), `9|Ada "A" Ω|NULL|12.3400|00FF01|5|2024-05-06 07:08:09|0000-00-00|7`; got != want {
		t.Errorf("row = %s\nwant  %s", got, want)
	}
}

// An upsert by INSERT … ON DUPLICATE KEY UPDATE would write over row 1 here.
func TestRowWithTheSameUniqueValueIsNotOverwritten(t *testing.T) {
	t.Parallel()
	r := start(t, nil)
	r.db.Exec(t, "INSERT INTO user (number, full_name, email) VALUES (1, 'first', 'a@b')")
	if status, text := r.post(body("1", "2", `, "email": "a@b"`), nil); status != http.StatusInternalServerError || strings.Contains(text, "a@b") {
		t.Errorf("answer = %d %q, want 500 without a value", status, text)
	}
	r.db.Exec(t, "UPDATE user SET email = 'c@d' WHERE number = 1 AND full_name = 'first'") // is repaired as well
	if status, text := r.post(body("1", "2", `, "email": "a@b"`), nil); status != http.StatusNoContent {
		t.Errorf("answer = %d %q, want 204", status, text)
	}
}

func TestOrphanIsDeleted(t *testing.T) {
	t.Parallel()
	r := start(t, nil, "-delete")
	r.db.Exec(t, "INSERT INTO user (number, full_name) VALUES (1, 'kept'), (2, 'left over')")
	// The row is the destination's, whose names are other ones.
	orphan := `{"type": 3, "srcColumn": {"number": 2, "full_name": "left over", "email": null, "extra": 7}}`
	for range 2 { // the second time it is gone
		if status, text := r.post(orphan, nil); status != http.StatusNoContent {
			t.Errorf("answer = %d %q, want 204", status, text)
		}
		r.want("1 kept")
	}
	for _, c := range []struct {
		name, row string
		want      int
	}{
		{"key missing", `{"full_name": "kept"}`, 400},
		{"key is NULL", `{"number": null}`, 400},
		{"key is no value", `{"number": []}`, 400},
	} {
		t.Run(c.name, func(t *testing.T) {
			if status, text := r.post(`{"type": 3, "srcColumn": `+c.row+`}`, nil); status != c.want || text == "" {
				t.Errorf("answer = %d %q, want %d with a reason", status, text, c.want)
			}
		})
	}
	if status, text := r.post(`{"type": 3, "srcColumn": {"number": "1x"}}`, nil); status != http.StatusNoContent {
		t.Errorf("answer to a key that no row has = %d %q, want 204", status, text)
	}
	r.want("1 kept")
}

func TestOrphanIsNotDeletedWithoutTheFlag(t *testing.T) {
	t.Parallel()
	r := start(t, nil)
	r.db.Exec(t, "INSERT INTO user (number, full_name) VALUES (1, 'left over')")
	if status, text := r.post(`{"type": 3, "srcColumn": {"number": 1}}`, nil); status != http.StatusBadRequest || !strings.Contains(text, "-delete") {
		t.Errorf("answer = %d %q, want 400 that names -delete", status, text)
	}
	r.want("1 left over")
}

// To the collation all of these keys are the same.
func TestOrphanIsDeletedByItsExactKey(t *testing.T) {
	t.Parallel()
	r := start(t, nil, "-delete", "-key", "full_name,number")
	r.db.Exec(t, "ALTER TABLE user DROP PRIMARY KEY, CONVERT TO CHARACTER SET latin1",
		"INSERT INTO user (number, full_name) VALUES (1, 'zoë'), (1, 'Zoë'), (1, 'zoë '), (2, 'zoë')")
	if status, text := r.post(`{"type": 3, "srcColumn": {"number": 1, "full_name": "zoë"}}`, nil); status != http.StatusNoContent {
		t.Errorf("answer = %d %q, want 204", status, text)
	}
	r.want("1 Zoë", "1 zoë ", "2 zoë")
}

// A TIMESTAMP is sent as a session of the source's writers shows it.
func TestTimestampComesInTheZoneOfTheSource(t *testing.T) {
	server := mariadbtest.Start(t, mariadb.Options{Args: []string{"--default-time-zone=+08:00"}})
	t.Setenv("CUPID_TEST_DSN", server.DSN(""))
	for _, c := range []struct {
		name, zone, text string
		args             []string
	}{
		{"the server's own", "", "2024-05-06 15:08:09", nil},
		{"another one", "-03:30", "2024-05-06 03:38:09", []string{"-time-zone", "-03:30"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := start(t, nil, c.args...)
			source, err := r.db.DB.Connx(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = source.Close() }() // it only read
			var sent string
			var stored int
			if c.zone != "" {
				if _, err := source.ExecContext(t.Context(), "SET time_zone = ?", c.zone); err != nil {
					t.Fatal(err)
				}
			}
			if err := source.GetContext(t.Context(), &sent, "SELECT FROM_UNIXTIME(1714979289)"); err != nil || sent != c.text {
				t.Fatalf("the source shows %q, %v, want %q", sent, err, c.text)
			}
			if status, text := r.post(body("1", "1", `, "seen": "`+sent+`"`), nil); status != http.StatusNoContent {
				t.Fatalf("answer = %d %q, want 204", status, text)
			}
			if err := source.GetContext(t.Context(), &stored, "SELECT UNIX_TIMESTAMP(seen) FROM user"); err != nil || stored != 1714979289 {
				t.Errorf("stored is %d, %v, want 1714979289", stored, err)
			}
		})
	}
}

func TestWhatIsRefused(t *testing.T) {
	t.Parallel()
	r := start(t, nil)
	for _, c := range []struct {
		name, body string
		want       int
	}{
		{"no JSON", "hello", 400},
		{"empty", "", 400},
		{"two objects", body("1", "1", "") + "{}", 400},
		{"orphan without -delete", `{"type": 3, "srcColumn": {"number": 1}}`, 400},
		{"type 4", body("4", "1", ""), 400},
		{"no type", `{"srcColumn": {}}`, 400},
		{"column missing", `{"type": 1, "srcColumn": {"number": 1}}`, 400},
		{"value of no column", body("1", "1", `, "name": {}`), 400},
		{"binary that is no base64", body("1", "1", `, "avatar": "%"`), 400},
		{"key is NULL", body("1", "null", ""), 400},
		{"text too long for its column", body("1", "1", `, "name": "`+strings.Repeat("x", 65)+`"`), 500},
		{"too large", body("1", "1", `, "unmapped": "`+strings.Repeat("x", main.MaxBody)+`"`), 413},
	} {
		t.Run(c.name, func(t *testing.T) {
			if status, text := r.post(c.body, nil); status != c.want || text == "" {
				t.Errorf("answer = %d %q, want %d with a reason", status, text, c.want)
			}
		})
	}
	var n int
	if err := r.db.DB.GetContext(t.Context(), &n, "SELECT COUNT(*) FROM user"); err != nil || n != 0 {
		t.Errorf("rows = %d, %v, want none", n, err)
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, r.url, nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	if _ = res.Body.Close(); res.StatusCode != http.StatusMethodNotAllowed {
		t.Errorf("answer to GET = %d, want 405", res.StatusCode)
	}
}

// signed are the headers that cupid itself sends with body.
func signed(t *testing.T, key, body string) http.Header {
	t.Helper()
	got := make(chan http.Header, 1)
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { got <- r.Header }))
	defer server.Close()
	client := webhook.New(webhook.Options{})
	t.Cleanup(client.Close)
	outcome := client.Post(t.Context(), webhook.Request{
		URL: server.URL, Body: []byte(body), ID: "evt_1", Attempt: 1, Pair: "p", Secrets: []secret.String{secret.New(key)}, Timeout: patience,
	})
	if !outcome.Accepted {
		t.Fatal(outcome.Err)
	}
	return <-got
}

func TestSignatureIsChecked(t *testing.T) {
	t.Parallel()
	const old = "a secret from before the change"
	r := start(t, map[string]string{"RECEIVER_SECRET": signingSecret, "RECEIVER_SECRET_OLD": old})
	good := body("1", "1", "")
	stale := signed(t, signingSecret, good)
	stale.Set(webhook.HeaderTimestamp, "1700000000")
	for _, c := range []struct {
		name   string
		header http.Header
		body   string
		want   int
	}{
		{"none", nil, good, 401},
		{"of another secret", signed(t, "another secret of some length", good), good, 401},
		{"of another body", signed(t, signingSecret, good), body("1", "2", ""), 401},
		{"stale", stale, good, 401},
		{"right", signed(t, signingSecret, good), good, 204},
		{"of the old secret", signed(t, old, good), good, 204},
	} {
		t.Run(c.name, func(t *testing.T) {
			if status, text := r.post(c.body, c.header); status != c.want {
				t.Errorf("answer = %d %q, want %d", status, text, c.want)
			}
		})
	}
}

func TestCommandLineFaults(t *testing.T) {
	t.Parallel()
	r := prepare(t)
	r.db.Exec(t, "CREATE TABLE user (number INT)", "CREATE TABLE log (at TIMESTAMP)")
	for _, c := range []struct {
		name string
		args []string
		want int
		text string
	}{
		{"nothing", nil, 64, "-dsn, -table, -columns and -key are needed"},
		{"help", []string{"-help"}, 0, "RECEIVER_PASSWORD"},
		{"unknown flag", []string{"-x"}, 64, "-x"},
		{"word", r.args("word"), 64, `"word"`},
		{"password in the argument list", r.args("-dsn", "u:topsecret@tcp(h:1)/d"), 64, "RECEIVER_PASSWORD"},
		{"columns", r.args("-columns", "number"), 64, `"number" is not SRC=DES`},
		{"key", r.args("-key", "id"), 64, `"id"`},
		{"key with a zone", r.args("-delete", "-table", "log", "-key", "at", "-columns", "at=at"), 1, "-delete: the key has a TIMESTAMP"},
		{"no such zone", r.args("-time-zone", `Nowhere\'`), 1, `Nowhere\'`},
		{"no such column", r.args(), 1, "has no column full_name"},
		{"no such server", r.args("-dsn", "u@unix(/nowhere)/d"), 1, "/nowhere"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			var out output
			if code := main.Run(t.Context(), c.args, r.getenv(nil), &out); code != c.want {
				t.Errorf("exit code = %d, want %d", code, c.want)
			}
			if text := out.String(); !strings.Contains(text, c.text) || strings.Contains(text, "topsecret") {
				t.Errorf("said %q, want %q and no password", text, c.text)
			}
		})
	}
}

// A stop lets a call end that has begun.
func TestStopLetsCallsEnd(t *testing.T) {
	t.Parallel()
	r := start(t, nil)
	tx, err := r.db.DB.BeginTxx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tx.Rollback() }() // committed below
	if _, err := tx.ExecContext(t.Context(), "INSERT INTO user (number) VALUES (1)"); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan int, 1)
	log := &output{}
	go func() { ended <- main.Run(ctx, r.args("-listen", "127.0.0.1:0"), r.getenv(nil), log) }()
	second := &receiver{t: t, db: r.db, log: log, url: log.wait(t, regexp.MustCompile(`url=(http://\S+)`))}
	status := make(chan int, 1)
	go func() { s, _ := second.post(body("1", "1", ""), nil); status <- s }()
	waitFor(t, "the call waits for the row's lock", func() bool {
		var n int
		err := r.db.DB.GetContext(t.Context(), &n, "SELECT COUNT(*) FROM information_schema.innodb_trx WHERE trx_state = 'LOCK WAIT'")
		return err == nil && n > 0
	})
	cancel()
	if err := tx.Commit(); err != nil {
		t.Fatal(err)
	}
	if got := <-status; got != http.StatusNoContent {
		t.Errorf("answer = %d, want 204", got)
	}
	if code := <-ended; code != 0 {
		t.Errorf("exit code = %d\n%s", code, log)
	}
}

func waitFor(t *testing.T, what string, ok func() bool) {
	t.Helper()
	deadline := time.NewTimer(patience)
	defer deadline.Stop()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-tick.C:
		case <-deadline.C:
			t.Fatalf("not within %s: %s", patience, what)
		}
	}
}

// output is what the program says.
type output struct {
	mu   sync.Mutex // guards text
	text bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

// wait returns the first group of a pattern once it is said.
func (o *output) wait(t *testing.T, pattern *regexp.Regexp) string {
	t.Helper()
	var found []string
	waitFor(t, "receiver says "+pattern.String(), func() bool {
		found = pattern.FindStringSubmatch(o.String())
		return found != nil
	})
	return found[1]
}
