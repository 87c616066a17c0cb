package main_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	master "github.com/masixun71/cupid/cmd/cupid-master"
	"github.com/masixun71/cupid/pkg/manager"
)

func swept(p manager.SweepProgress, took time.Duration, now time.Time) master.Pair {
	ended := time.Time{}
	if p.Done {
		ended = now
	}
	return master.NewPair(master.Pair{SweepProgress: p}, now.Add(-took), ended)
}

func TestProgressLines(t *testing.T) {
	t.Parallel()
	now := time.Now()
	cases := map[string]struct {
		progress    manager.SweepProgress
		took        time.Duration
		plain, drew string
	}{
		"half": {
			manager.SweepProgress{Pair: "shop.user", Rows: 500_000, EstimatedRows: 1_000_000, Missing: 2, Different: 1},
			5 * time.Second,
			"shop.user: 50%, 500000 of about 1000000 rows, 100000 rows/s, 0:05 left, 3 differ",
			"shop.user        [######......]  50%   500k rows   100k/s  0:05 left  3 differ",
		},
		"more than estimated": {
			manager.SweepProgress{Pair: "a", Rows: 3000, EstimatedRows: 1000},
			3 * time.Second,
			"a: 99%, 3000 of about 3000 rows, 1000 rows/s",
			"a                [###########.]  99%   3000 rows   1000/s  0:00 left",
		},
		"unknown size": {
			manager.SweepProgress{Pair: "a", Rows: 3000},
			3 * time.Second,
			"a: 3000 rows, 1000 rows/s",
			"a                [............]   ?%   3000 rows   1000/s           ",
		},
		"resolving": {
			manager.SweepProgress{Pair: "a", Rows: 1_000_000, EstimatedRows: 900_000, Resolving: 12, Again: 250_000, Different: 3},
			10 * time.Second,
			"a: 12 of 65536 buckets differ, the tables are gone over again: 25%, 250000 of about 1000000 rows, 125000 rows/s, 0:06 left, 3 differ",
			"a                [###.........]  25%  250k again   125k/s  0:06 left  3 differ",
		},
		"done": {
			manager.SweepProgress{Pair: "very.long.name.of.a.pair", Rows: 12_345_678, EstimatedRows: 1, Done: true},
			2 * time.Second,
			"very.long.name.of.a.pair: done, 12345678 rows, 6172839 rows/s",
			"~.name.of.a.pair [############] 100%    12M rows  6172k/s  done     ",
		},
		"failed": {
			manager.SweepProgress{Pair: "a", Done: true, Error: "no such host"},
			time.Second,
			"a: failed: no such host",
			"a                [############] 100%      0 rows      0/s  failed",
		},
	}
	for name, c := range cases {
		p := swept(c.progress, c.took, now)
		if got := master.PlainLine(p, now); got != c.plain {
			t.Errorf("%s: got %q, want %q", name, got, c.plain)
		}
		got := master.BarLine(p, now, false)
		if got != c.drew {
			t.Errorf("%s: got %q, want %q", name, got, c.drew)
		}
		if n := utf8.RuneCountInString(got); n > 79 {
			t.Errorf("%s: a line of %d columns wraps on a terminal", name, n)
		}
		if coloured := master.BarLine(p, now, true); !strings.Contains(coloured, "\x1b[32m") || strings.Contains(got, "\x1b") {
			t.Errorf("%s: colours are %q and %q", name, coloured, got)
		}
	}
}

// The rate of the second part is its own as far as its begin was seen, and what was gone
// over again is in no total once all is done.
func TestProgressOfTheSecondPart(t *testing.T) {
	t.Parallel()
	now := time.Now()
	both := master.Pair{SweepProgress: manager.SweepProgress{Pair: "b", Rows: 1000, EstimatedRows: 1000}}
	first := master.Pair{SweepProgress: manager.SweepProgress{Pair: "a", Rows: 100, EstimatedRows: 500}}
	resolving := []master.Pair{master.NewPair(first, now.Add(-2*time.Second), time.Time{}), master.NewPair(both, now.Add(-4*time.Second), time.Time{})}
	both.Resolving, both.Again = 1, 500
	seen := master.Hear(resolving, now.Add(-time.Second), both.SweepProgress)
	both.Again = 900
	seen = master.Hear(seen, now, both.SweepProgress)
	want := "b: 1 of 65536 buckets differ, the tables are gone over again: 90%, 900 of about 1000 rows, 400 rows/s, 0:01 left"
	if got := master.PlainLine(seen[1], now); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	want = "total: 80%, 2000 of about 2500 rows, 375 rows/s, 0:02 left"
	if got := master.PlainLine(master.Total(seen), now); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	for i := range seen {
		seen[i].Done, seen[i].Resolving = true, 0
		seen[i] = master.NewPair(seen[i], now.Add(-2*time.Second), now)
	}
	want = "total: done, 1100 rows, 550 rows/s"
	if got := master.PlainLine(master.Total(seen), now); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// On a terminal each drawing takes the place of the one before; elsewhere lines
// come seconds apart.
func TestProgressIsRedrawnInPlace(t *testing.T) {
	t.Parallel()
	now := time.Now()
	pairs := []master.Pair{{SweepProgress: manager.SweepProgress{Pair: "a"}}, {SweepProgress: manager.SweepProgress{Pair: "b"}}}
	var out bytes.Buffer
	d := master.NewTerminal(&out)
	d.Show(pairs, now)
	first := out.String()
	d.Show(pairs, now)
	if again := strings.TrimPrefix(out.String(), first); again != "\x1b[2A"+first {
		t.Errorf("drawn %q after %q", again, first)
	}
	out.Reset()
	d.Show(make([]master.Pair, 50), now)
	if n := strings.Count(out.String(), "\n"); n != 1 || !strings.Contains(out.String(), "total") {
		t.Errorf("50 pairs are %d lines: %q", n, out.String())
	}
	out.Reset()
	d = master.NewPlain(&out, now)
	for i := range 21 {
		d.Show(pairs[:1], now.Add(time.Duration(i)*500*time.Millisecond))
	}
	if n := strings.Count(out.String(), "\n"); n != 2 || strings.Contains(out.String(), "\x1b") {
		t.Errorf("in 10 s %d lines, want 2: %q", n, out.String())
	}
}

func TestOutcome(t *testing.T) {
	t.Parallel()
	equal := manager.SweepProgress{Pair: "e", Rows: 5, Done: true}
	differs := manager.SweepProgress{Pair: "d", Rows: 5, Orphans: 1, Done: true}
	for name, c := range map[string]struct {
		pairs []manager.SweepProgress
		code  int
		says  string
	}{
		"equal":                 {[]manager.SweepProgress{equal}, 0, ""},
		"differs":               {[]manager.SweepProgress{equal, differs}, 1, "1 row differs"},
		"failed":                {[]manager.SweepProgress{differs, {Pair: "f", Rows: 3, Done: true, Error: "gone away"}}, 2, "f: gone away"},
		"nothing":               {[]manager.SweepProgress{equal, {Pair: "n", Done: true}}, 2, "n: nothing was compared"},
		"orphans of no rows":    {[]manager.SweepProgress{{Pair: "n", Done: true, Orphans: 7}}, 2, "n: nothing was compared"},
		"rows not judged":       {[]manager.SweepProgress{equal, {Pair: "m", Rows: 9, Done: true, Unknown: manager.Unknown{Moving: 1}, Error: "1 rows moved"}}, 2, "m: 1 rows moved"},
		"unfinished, no reason": {[]manager.SweepProgress{{Pair: "u", Rows: 7}}, 2, "u is unfinished"},
	} {
		var pairs []master.Pair
		for _, p := range c.pairs {
			pairs = append(pairs, master.Pair{SweepProgress: p})
		}
		if code, says := master.Outcome(pairs); code != c.code || !strings.Contains(says, c.says) {
			t.Errorf("%s: %d %q, want %d %q", name, code, says, c.code, c.says)
		}
	}
}

func TestStatementIsSplitOffItsLine(t *testing.T) {
	t.Parallel()
	const line = `{"pair":"a.b","key":"7","src":{"z":"1","sql":"x"},"sql":"DELETE FROM t","n":18446744073709551615}`
	rest, sql, pair, err := master.Split([]byte(line))
	want := `{"pair":"a.b","key":"7","src":{"z":"1","sql":"x"},"n":18446744073709551615}`
	if err != nil || string(rest) != want || sql != "DELETE FROM t" || pair != "a.b" {
		t.Errorf("got %s, %q, %q, %v", rest, sql, pair, err)
	}
	for _, bad := range []string{"", "7", "[1]", `{"a":`, `{"sql":7}`} {
		if _, _, _, err := master.Split([]byte(bad)); err == nil {
			t.Errorf("%q is taken", bad)
		}
	}
}

// A report that a run goes on with keeps its lines, but not a torn one or the summary
// of the run before.
func TestReportIsGoneOnWith(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "report")
	write := func(resume bool, lines ...string) {
		t.Helper()
		if err := master.WriteReport(path, resume, nil, lines...); err != nil {
			t.Fatal(err)
		}
	}
	check := func(want string) {
		t.Helper()
		if got, err := os.ReadFile(path); err != nil || string(got) != want {
			t.Errorf("got %q, %v, want %q", got, err, want)
		}
	}
	const end = `{"summary":{}}` + "\n"
	write(false, `{"n":1}`, `{"n":2}`)
	check(`{"n":1}` + "\n" + `{"n":2}` + "\n" + end)
	write(true, `{"n":3}`)
	check(`{"n":1}` + "\n" + `{"n":2}` + "\n" + `{"n":3}` + "\n" + end)
	if err := os.WriteFile(path, []byte(`{"n":1}`+"\n"+`{"n"`), 0o600); err != nil {
		t.Fatal(err)
	}
	write(true)
	check(`{"n":1}` + "\n" + end)
	write(false, `{"n":4}`)
	check(`{"n":4}` + "\n" + end)
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the report's mode is %v, %v", info.Mode(), err)
	}
}

// A reader of a pipe that reads nothing holds the end of a run up only briefly.
func TestReportToAReaderThatDoesNotRead(t *testing.T) {
	t.Parallel()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _, _ = r.Close(), w.Close() }()
	line := `{"x":"` + strings.Repeat("x", 70_000) + `"}`
	if err := master.WriteReport("-", false, w, line, line); err == nil || !strings.Contains(err.Error(), "does not read") {
		t.Errorf("got %v", err)
	}
	var out bytes.Buffer
	if err := master.WriteReport("-", false, &out, `{"a":1}`); err != nil || out.String() != `{"a":1}`+"\n"+`{"summary":{}}`+"\n" {
		t.Errorf("got %q, %v", out.String(), err)
	}
}
