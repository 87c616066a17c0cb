package main

import (
	"fmt"
	"os"
	"os/exec"
	"path"
	"regexp"
	"strings"
	"testing"
)

// Every break fits the sources and compiles, so that the test which notices it can fail
// for the promise alone.
func TestBreaksCompile(t *testing.T) {
	t.Parallel()
	for _, b := range breaks {
		t.Run(b.test+": "+b.what, func(t *testing.T) {
			t.Parallel()
			overlay, err := b.overlay("../..", t.TempDir())
			if err != nil {
				t.Fatal(err)
			}
			for _, e := range b.edits {
				out, err := exec.CommandContext(t.Context(), "go", "build", "-o="+os.DevNull, "-overlay="+overlay, "../../"+path.Dir(e.file)).CombinedOutput()
				if err != nil {
					t.Errorf("%v\n%s", err, out)
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
