package main

import (
	"fmt"
	"go/parser"
	"go/token"
	"path/filepath"
	"regexp"
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

func TestEditThatDoesNotFitIsAnError(t *testing.T) {
	t.Parallel()
	for _, old := range []string{"no such text", "return"} {
		b := brk{edits: []edit{{file: "pkg/queue/write.go", old: old}}}
		if _, err := b.overlay("../..", t.TempDir()); err == nil || !strings.Contains(err.Error(), "want once") {
			t.Errorf("%q: got %v", old, err)
		}
	}
}
