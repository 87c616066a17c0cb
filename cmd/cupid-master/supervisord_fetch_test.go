package main_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// supervisorProgram is a supervisor that is installed, or one that was unpacked into a directory.
type supervisorProgram struct{ python, root string }

// command is supervisord or supervisorctl.
func (p supervisorProgram) command(name string, args ...string) *exec.Cmd {
	if p.root == "" {
		return exec.Command(name, args...)
	}
	cmd := exec.Command(p.python, append([]string{filepath.Join(p.root, "usr", "bin", name)}, args...)...)
	cmd.Env = append(os.Environ(), "PYTHONDONTWRITEBYTECODE=1", "PYTHONPATH="+filepath.Join(p.root, "usr", "lib", "python3", "dist-packages"))
	return cmd
}

// findSupervisor returns the machine's supervisor, or the distribution's package unpacked in the cache folder. Nothing
// is installed.
func findSupervisor(t *testing.T) supervisorProgram {
	t.Helper()
	if _, err := exec.LookPath("supervisord"); err == nil {
		return supervisorProgram{}
	}
	// The distribution's own python finds the distribution's own modules.
	python, err := exec.LookPath("/usr/bin/python3")
	if err != nil {
		if python, err = exec.LookPath("python3"); err != nil {
			t.Skip("no supervisord, and no python3, in which it is written")
		}
	}
	for _, tool := range []string{"apt-get", "apt-config", "dpkg-deb"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("no supervisord, and no %s to fetch it with: install the package supervisor", tool)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	root, err := unpackedSupervisor(ctx, t.TempDir())
	if err != nil {
		t.Fatalf("fetch supervisor: %v", err)
	}
	return supervisorProgram{python, root}
}

// unpackedSupervisor returns the tree in the cache folder of the checkout, which is made if it is missing. Where the
// checkout is somebody else's, the tree is made in temp.
func unpackedSupervisor(ctx context.Context, temp string) (string, error) {
	root, err := filepath.Abs(filepath.Join("..", "..", ".cache", "supervisor"))
	if err != nil {
		return "", err
	}
	if _, err := os.Stat(root); err == nil {
		return root, nil
	}
	_ = os.MkdirAll(filepath.Dir(root), 0o755) // the next line tells
	made, err := os.MkdirTemp(filepath.Dir(root), "supervisor.new-")
	if err != nil {
		tree := filepath.Join(temp, "tree")
		return tree, fetchPackage(ctx, "supervisor", temp, tree)
	}
	defer func() { _ = os.RemoveAll(made) }() // the tree has another name by then
	tree := filepath.Join(made, "tree")
	if err := fetchPackage(ctx, "supervisor", made, tree); err != nil {
		return "", err
	}
	if err := os.Rename(tree, root); err != nil && !errors.Is(err, os.ErrExist) {
		return "", err
	}
	return root, nil // complete or absent: others may be looking for it
}

// fetchPackage downloads a package, with those of its dependencies that the machine lacks, to dir and unpacks all into
// tree. If the machine's package lists do not do, fresh ones are fetched to dir.
func fetchPackage(ctx context.Context, name, dir, tree string) error {
	download := func(ownLists bool) error {
		a, err := newApt(ctx, dir, ownLists)
		if err != nil {
			return err
		}
		if ownLists {
			_, _ = a.run(ctx, "update") // one source of several may be away; the download decides
		}
		plan, err := a.run(ctx, "--simulate", "--no-install-recommends", "install", name)
		if err != nil {
			return err
		}
		names := []string{"download"}
		for line := range strings.Lines(plan) {
			if f := strings.Fields(line); len(f) > 1 && f[0] == "Inst" {
				names = append(names, f[1])
			}
		}
		_, err = a.run(ctx, names...)
		return err
	}
	if download(false) != nil {
		if err := download(true); err != nil {
			return err
		}
	}
	debs, err := filepath.Glob(filepath.Join(dir, "*.deb"))
	if err != nil {
		return err
	}
	for _, deb := range debs {
		if out, err := exec.CommandContext(ctx, "dpkg-deb", "-x", deb, tree).CombinedOutput(); err != nil {
			return fmt.Errorf("unpack %s: %w\n%s", deb, err, out)
		}
	}
	return nil
}

// apt is apt-get with caches, and on demand lists, in a directory of ours, and without the hooks of other packages.
type apt struct{ dir, config string }

func newApt(ctx context.Context, dir string, ownLists bool) (apt, error) {
	a := apt{dir: dir, config: filepath.Join(dir, "apt.conf")}
	dump, err := exec.CommandContext(ctx, "apt-config", "dump").Output()
	if err != nil {
		return a, fmt.Errorf("read configuration of apt: %w", err)
	}
	var conf strings.Builder
	for line := range strings.Lines(string(dump)) {
		if !strings.Contains(line, "-Invoke") {
			conf.WriteString(line)
		}
	}
	// What the two names stand for is in the dump already.
	fmt.Fprintf(&conf, "Dir::Etc::parts \"/dev/null\";\nDir::Etc::main \"/dev/null\";\nDir::Cache %q;\nDebug::NoLocking \"true\";\n", dir+"/cache")
	if ownLists {
		fmt.Fprintf(&conf, "Dir::State::lists %q;\n", dir+"/lists")
	}
	if os.Getuid() == 0 {
		conf.WriteString("APT::Sandbox::User \"root\";\n") // its own user may not write here
	}
	return a, errors.Join(
		os.MkdirAll(filepath.Join(dir, "cache", "archives", "partial"), 0o755),
		os.MkdirAll(filepath.Join(dir, "lists", "partial"), 0o755),
		os.WriteFile(a.config, []byte(conf.String()), 0o600),
	)
}

func (a apt) run(ctx context.Context, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, "apt-get", append([]string{"--quiet", "--quiet", "--yes"}, args...)...)
	cmd.Dir = a.dir
	cmd.Env = append(os.Environ(), "APT_CONFIG="+a.config, "LC_ALL=C", "DEBIAN_FRONTEND=noninteractive")
	out, err := cmd.CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("apt-get %s: %w\n%s", strings.Join(args, " "), err, out)
	}
	return string(out), nil
}
