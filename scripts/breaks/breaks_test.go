package main

import (
	"errors"
	"fmt"
	"go/parser"
	"go/token"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// Every break fits the sources and can be parsed. Whether it compiles is seen when it is
// made: to build them all takes a minute.
func TestBreaksFit(t *testing.T) {
	t.Parallel()
	for _, b := range breaks {
		t.Run(b.test+": "+b.what, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			if _, err := b.overlay("../..", dir); err != nil {
				t.Fatal(err)
			}
			files, err := filepath.Glob(filepath.Join(dir, "*.go"))
			if err != nil || len(files) == 0 {
				t.Fatalf("%d files are replaced, %v", len(files), err)
			}
			for _, f := range files {
				if _, err := parser.ParseFile(token.NewFileSet(), f, nil, parser.SkipObjectResolution); err != nil {
					t.Error(err)
				}
			}
		})
	}
}

func TestEveryPromiseHasABreak(t *testing.T) {
	t.Parallel()
	for n := range 10 {
		promise := fmt.Sprintf("G%d", n+1)
		found := false
		for _, b := range breaks {
			found = found || b.promise == promise && strings.HasPrefix(b.test, "Test"+promise) && regexp.MustCompile(`^Test`+promise+`\D`).MatchString(b.test)
		}
		if !found {
			t.Errorf("no break with a test of its name for %s", promise)
		}
	}
}

// A test that does not notice shows in the table, and in what the whole is.
func TestTableTellsWhatWasNotNoticed(t *testing.T) {
	t.Parallel()
	said := result{brk: brk{promise: "G1", what: "one", test: "TestA"}, output: []byte("=== RUN TestA\n    a_test.go:7: two rows are lost\n--- FAIL: TestA\n")}
	if got, want := said.verdict(), "noticed: a_test.go:7: two rows are lost"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	missed := result{brk: brk{promise: "G2", what: "two", test: "TestB"}, err: errors.New("it passes")}
	for _, c := range []struct {
		results []result
		want    bool
		shown   string
	}{
		{[]result{said}, true, "1 breaks, 0 of them not noticed"},
		{[]result{said, missed}, false, "2 breaks, 1 of them not noticed"},
	} {
		var out strings.Builder
		if got := table(&out, c.results); got != c.want || !strings.Contains(out.String(), c.shown) {
			t.Errorf("got %v, want %v, and %q in\n%s", got, c.want, c.shown, out.String())
		}
		for _, r := range c.results {
			line := []string{r.brk.promise, r.brk.what, r.brk.test, map[bool]string{true: "yes", false: "NO"}[r.err == nil], "0"}
			if !slices.ContainsFunc(strings.Split(out.String(), "\n"), func(l string) bool { return slices.Equal(strings.Fields(l), line) }) {
				t.Errorf("no line %v in\n%s", line, out.String())
			}
		}
	}
}

func TestCommandLineThatMakesNoSense(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{{"-only", "("}, {"-parallel", "0"}, {"-none"}, {"-only", "no such break"}} {
		var said strings.Builder
		if code := run(t.Context(), args, &said, &said); code != 64 || said.Len() == 0 {
			t.Errorf("%v: exit code %d, want 64, and a reason: %q", args, code, said.String())
		}
	}
}

func TestEditThatDoesNotFitIsAnError(t *testing.T) {
	t.Parallel()
	for _, old := range []string{"no such text", "return"} {
		b := brk{edits: []edit{{file: "pkg/queue/write.go", old: old}}}
		if _, err := b.overlay("../..", t.TempDir()); err == nil || !strings.Contains(err.Error(), "want once") {
			t.Errorf("%q: got %v", old, err)
		}
	}
}
