package main_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/masixun71/cupid/pkg/mariadb/mariadbtest"
)

// bin is where the binaries under test are.
var bin string

func TestMain(m *testing.M) {
	if os.Getenv(spawnOnly) != "" {
		spawnAndWait()
	}
	dir, err := os.MkdirTemp("", "cupid-bin-")
	if err != nil {
		panic(err)
	}
	bin = dir
	// The race detector lets every process that ends wait a second for late reports: with so many, that is most of the time.
	if err := os.Setenv("GORACE", "atexit_sleep_ms=0"); err != nil {
		panic(err)
	}
	code := 1
	if err := buildAll(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, err)
	} else {
		code = mariadbtest.Run(m)
	}
	_ = os.RemoveAll(dir)
	os.Exit(code) //nolint:forbidigo // TestMain ends the process
}

// buildAll builds the real binaries, once for all tests.
func buildAll(ctx context.Context) error {
	for _, name := range []string{"cupid-master", "cupid-worker"} {
		args := []string{"build", "-o", filepath.Join(bin, name)}
		if raceFlag != "" {
			args = append(args, raceFlag)
		}
		out, err := exec.CommandContext(ctx, "go", append(args, "github.com/masixun71/cupid/cmd/"+name)...).CombinedOutput()
		if err != nil {
			return fmt.Errorf("build %s: %w\n%s", name, err, out)
		}
	}
	return nil
}
