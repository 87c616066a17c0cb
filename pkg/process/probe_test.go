package process_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/masixun71/cupid/pkg/process"
)

func TestProbe(t *testing.T) {
	tests := []struct {
		name string
		file string
		mode os.FileMode
		want string // part of the error
	}{
		{"good", "#!/bin/sh\n[ \"$1\" = -version ] && echo '{\"protocol\":1,\"build\":\"v1.2.3\"}'\n", 0o755, ""},
		{"not executable", "#!/bin/sh\n", 0o644, "is not executable (mode -rw-r--r--)"},
		{"no program", "no program", 0o755, "is no program of this system"},
		{"other version", "#!/bin/sh\necho '{\"protocol\":2,\"build\":\"v2\"}'\n", 0o755, "(build v2) speaks protocol 2 and this master speaks protocol 1"},
		{"something else", "#!/bin/sh\necho usage\n", 0o755, `is no cupid-worker: with -version it says "usage\n"`},
		{"no protocol", "#!/bin/sh\necho '{}'\n", 0o755, "is no cupid-worker"},
		{"talks without end", "#!/bin/sh\nexec head -c 1000000 /dev/zero\n", 0o755, "is no cupid-worker"},
		{"fails", "#!/bin/sh\nexit 3\n", 0o755, "exit status 3"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "cupid-worker")
			if err := os.WriteFile(path, []byte(test.file), test.mode); err != nil {
				t.Fatal(err)
			}
			version, err := process.Probe(t.Context(), path, 1)
			switch {
			case test.want != "":
				if err == nil || !strings.Contains(err.Error(), test.want) || !strings.Contains(err.Error(), path) {
					t.Errorf("got %v, want %q", err, test.want)
				}
			case err != nil || version.Build != "v1.2.3":
				t.Errorf("got %+v, %v", version, err)
			}
		})
	}
}

func TestProbeOfWhatIsNotThere(t *testing.T) {
	dir := t.TempDir()
	missing := filepath.Join(dir, "cupid-worker")
	if _, err := process.Probe(t.Context(), missing, 1); !errors.Is(err, os.ErrNotExist) || !strings.Contains(err.Error(), "does not exist") {
		t.Errorf("missing: got %v", err)
	}
	if _, err := process.Probe(t.Context(), dir, 1); fmt.Sprint(err) != "worker binary "+dir+" is a directory" {
		t.Errorf("directory: got %v", err)
	}
}

func TestProbeDoesNotWaitForEver(t *testing.T) {
	path := filepath.Join(t.TempDir(), "cupid-worker")
	if err := os.WriteFile(path, []byte("#!/bin/sh\nexec sleep 60\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := process.Probe(ctx, path, 1); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v, want the deadline", err)
	}
}

// An upgrade replaces the file; children are what was opened until somebody opens it anew.
func TestBinaryStaysWhatItWas(t *testing.T) {
	path := filepath.Join(t.TempDir(), "cupid-worker")
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Link(self, path); err != nil {
		t.Skipf("the test binary lies on another file system: %v", err)
	}
	binary, err := process.OpenBinary(path)
	if err != nil {
		t.Fatal(err)
	}
	change := func(c *process.Command) { c.Binary, c.Path = binary, "" }
	for range 2 {
		child, lines := start(t, "titled", "it runs", change)
		if got := next(t, lines); got != "titled" {
			t.Errorf("got %q, want the role's line", got)
		}
		if err := child.Signal(os.Kill); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path+".new", []byte("#!/bin/sh\nexit 9\n"), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(path+".new", path); err != nil {
			t.Fatal(err)
		}
	}
	if err := binary.Close(); err != nil {
		t.Fatal(err)
	}
	if binary, err = process.OpenBinary(path); err != nil {
		t.Fatal(err)
	}
	child, _ := start(t, "titled", "it runs", change)
	if err := wait(t, child); err == nil || err.Error() != "exit status 9" {
		t.Errorf("opened anew: got %v, want exit status 9", err)
	}
}
