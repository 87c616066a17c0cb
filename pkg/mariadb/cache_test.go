package mariadb_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/masixun71/cupid/pkg/mariadb"
)

func TestCacheEntryIsMadeOnce(t *testing.T) {
	t.Parallel()
	cache := t.TempDir()
	var built atomic.Int32
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			path, err := mariadb.Ensure(t.Context(), cache, "entry", func(_ context.Context, dir string) error {
				built.Add(1)
				return os.WriteFile(filepath.Join(dir, "file"), []byte("whole"), 0o600)
			})
			if err != nil {
				t.Error(err)
				return
			}
			if got, err := os.ReadFile(filepath.Join(path, "file")); string(got) != "whole" {
				t.Errorf("file = %q, %v", got, err)
			}
		})
	}
	wg.Wait()
	if got := built.Load(); got != 1 {
		t.Errorf("built %d times, want once", got)
	}
}

func TestFailedCacheEntryIsTriedAgain(t *testing.T) {
	t.Parallel()
	cache := t.TempDir()
	broken := errors.New("broken")
	_, err := mariadb.Ensure(t.Context(), cache, "entry", func(_ context.Context, dir string) error {
		return errors.Join(broken, os.WriteFile(filepath.Join(dir, "half"), nil, 0o600))
	})
	if !errors.Is(err, broken) {
		t.Errorf("error = %v, want that of the build", err)
	}
	// As one that was killed leaves it.
	if err := os.Mkdir(filepath.Join(cache, "entry.new-1"), 0o700); err != nil {
		t.Fatal(err)
	}
	path, err := mariadb.Ensure(t.Context(), cache, "entry", func(context.Context, string) error { return nil })
	if err != nil {
		t.Fatal(err)
	}
	if left, err := filepath.Glob(filepath.Join(cache, "entry*")); err != nil || len(left) != 2 {
		t.Errorf("cache holds %v, %v, want the entry and its lock", left, err)
	}
	if left, err := os.ReadDir(path); err != nil || len(left) != 0 {
		t.Errorf("entry holds %v, %v, want nothing", left, err)
	}
}

func TestWaitForCacheEntryEndsWithItsContext(t *testing.T) {
	t.Parallel()
	cache := t.TempDir()
	_, err := mariadb.Ensure(t.Context(), cache, "entry", func(ctx context.Context, _ string) error {
		second, cancel := context.WithCancel(ctx)
		cancel()
		_, err := mariadb.Ensure(second, cache, "entry", func(context.Context, string) error {
			t.Error("built by two at once")
			return nil
		})
		return err
	})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("error = %v, want context.Canceled", err)
	}
}

func TestInstalledReadsThePlan(t *testing.T) {
	t.Parallel()
	plan := `Inst mysql-common (5.8+1.1.0 Debian:12.11/stable [all])
Inst liburing2 (2.3-3 Debian:12.11/stable [amd64])
Inst mariadb-server-core [1:10.11.6-0+deb12u1] (1:10.11.19-0+deb12u1 Debian-Security:12 [amd64])
Conf mysql-common (5.8+1.1.0 Debian:12.11/stable [all])
`
	got := mariadb.Installed(plan, "mariadb-server-core")
	if want := []string{"mariadb-server-core", "mysql-common", "liburing2"}; !slices.Equal(got, want) {
		t.Errorf("packages = %q, want %q", got, want)
	}
}

func TestNothingWorksInOneLine(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	_, err := mariadb.Fetched(t.Context(), mariadb.Options{Cache: filepath.Join(t.TempDir(), "cache")})
	if !errors.Is(err, mariadb.ErrNoServer) || strings.Contains(err.Error(), "\n") || !strings.Contains(err.Error(), "apt-get") {
		t.Errorf("error = %v, want ErrNoServer with the reason in a line", err)
	}
}

func TestTailKeepsWholeLastLines(t *testing.T) {
	t.Parallel()
	if got := mariadb.Tail("one\ntwo\n"); got != "one\ntwo" {
		t.Errorf("short log: %q", got)
	}
	got := mariadb.Tail(strings.Repeat("a line of a log\n", 1000) + "the end\n")
	if len(got) > 2000 || !strings.HasPrefix(got, "a line") || !strings.HasSuffix(got, "\nthe end") {
		t.Errorf("long log: %d bytes, %q", len(got), got)
	}
}

func TestNamedProgramMustBeAMariaDB(t *testing.T) {
	for _, c := range []struct{ name, script, want string }{
		{"mysql", "#!/bin/sh\necho 'mysqld  Ver 8.0.36 for Linux on x86_64 (MySQL Community Server)'\n", "is not a MariaDB server"},
		{"broken", "#!/bin/sh\necho no such library >&2\nexit 127\n", "no such library"},
		{"bare", "#!/bin/sh\necho 'mariadbd  Ver 10.11.6-MariaDB for Linux'\n", "no SQL of the system tables"},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "mariadbd")
			if err := os.WriteFile(path, []byte(c.script), 0o700); err != nil {
				t.Fatal(err)
			}
			t.Setenv("CUPID_MARIADBD", path)
			_, err := mariadb.Start(t.Context(), mariadb.Options{})
			if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "CUPID_MARIADBD") {
				t.Errorf("error = %v, want %q and the variable", err, c.want)
			}
		})
	}
}
