package mariadb

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// serverPackages are the names of the bare server in Debian and Ubuntu, newest first.
var serverPackages = []string{"mariadb-server-core", "mariadb-server-core-10.6", "mariadb-server-core-10.5", "mariadb-server-core-10.3"}

// apt is apt-get with a configuration that leaves the system as it is: caches and, on demand, package lists in a
// directory of our own, and none of the hooks that other packages hang into it.
type apt struct {
	dir    string // working directory; downloads land here
	config string // the file that APT_CONFIG names
}

// fetch downloads the server with those of its dependencies that the machine lacks, and unpacks all into root.
func fetch(ctx context.Context, root string) (err error) {
	for _, tool := range []string{"apt-get", "apt-config", "dpkg-deb"} {
		if _, err := exec.LookPath(tool); err != nil {
			return fmt.Errorf("fetch packages: %w", err)
		}
	}
	dir, err := os.MkdirTemp("", "cupid-apt-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	a, err := newApt(ctx, dir, false)
	if err != nil {
		return err
	}
	if err := a.download(ctx); err != nil {
		// The machine has no package lists, or so old ones that their packages are gone: take fresh lists of our own.
		if a, err = newApt(ctx, dir, true); err != nil {
			return err
		}
		// One unreachable source of several fails the update and does not matter; the download decides.
		_, updated := a.run(ctx, "update")
		if err := a.download(ctx); err != nil {
			return errors.Join(err, updated)
		}
	}
	debs, err := filepath.Glob(filepath.Join(dir, "*.deb"))
	if err != nil {
		return err
	}
	for _, deb := range debs {
		if _, err := output(exec.CommandContext(ctx, "dpkg-deb", "-x", deb, root)); err != nil {
			return err
		}
	}
	return nil
}

// newApt writes the configuration. It starts from the machine's own, which may name a proxy.
func newApt(ctx context.Context, dir string, ownLists bool) (*apt, error) {
	system, err := output(exec.CommandContext(ctx, "apt-config", "dump"))
	if err != nil {
		return nil, err
	}
	var conf strings.Builder
	for line := range strings.Lines(system) {
		if !strings.Contains(line, "-Invoke") {
			conf.WriteString(line)
		}
	}
	set := func(key, value string) { fmt.Fprintf(&conf, "%s %q;\n", key, value) }
	set("Dir::Etc::parts", "/dev/null") // both are in the dump already
	set("Dir::Etc::main", "/dev/null")
	set("Dir::Cache", filepath.Join(dir, "cache"))
	set("Debug::NoLocking", "true")
	needed := []string{"cache/archives/partial"}
	if ownLists {
		set("Dir::State::lists", filepath.Join(dir, "lists"))
		needed = append(needed, "lists/partial")
	}
	if os.Getuid() == 0 {
		set("APT::Sandbox::User", "root") // its own user cannot write into our directory
	}
	for _, sub := range needed {
		if err := os.MkdirAll(filepath.Join(dir, sub), 0o755); err != nil {
			return nil, err
		}
	}
	a := &apt{dir: dir, config: filepath.Join(dir, "apt.conf")}
	// A proxy may come with a password, so the file is nobody else's.
	return a, os.WriteFile(a.config, []byte(conf.String()), 0o600)
}

// download fetches what is missing, as .deb files in the working directory.
func (a *apt) download(ctx context.Context) error {
	var failed error
	for _, server := range serverPackages {
		// Simulated as an installation, so that apt itself says which dependencies are not there yet.
		plan, err := a.run(ctx, "--simulate", "--no-install-recommends", "install", server)
		if err != nil {
			failed = errors.Join(failed, err)
			continue
		}
		_, err = a.run(ctx, append([]string{"download"}, installed(plan, server)...)...)
		return err
	}
	return failed
}

// installed reads the packages out of the plan, whose lines are `Inst name (version origin [architecture])`. The server
// itself is among them even if the plan has it not, for then it is installed and only its program was not usable.
func installed(plan, server string) []string {
	names := []string{server}
	for line := range strings.Lines(plan) {
		fields := strings.Fields(line)
		if len(fields) > 1 && fields[0] == "Inst" && fields[1] != server {
			names = append(names, fields[1])
		}
	}
	return names
}

func (a *apt) run(ctx context.Context, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, "apt-get", append([]string{"--quiet", "--quiet", "--yes"}, args...)...)
	cmd.Dir = a.dir
	cmd.Env = append(os.Environ(), "APT_CONFIG="+a.config, "LC_ALL=C", "DEBIAN_FRONTEND=noninteractive")
	return output(cmd)
}

// output runs a command; its error carries the last line that the command complained with.
func output(cmd *exec.Cmd) (string, error) {
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		lines := strings.Split(strings.TrimSpace(stderr.String()), "\n")
		return "", fmt.Errorf("run %s: %w: %s", strings.Join(cmd.Args, " "), err, lines[len(lines)-1])
	}
	return stdout.String(), nil
}
