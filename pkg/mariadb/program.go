package mariadb

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
)

// ErrNoServer says that there is no MariaDB on the machine and none could be fetched.
var ErrNoServer = errors.New("no MariaDB server found: install the package mariadb-server-core (mariadb-server elsewhere than on Debian and Ubuntu), or set CUPID_MARIADBD to a mariadbd")

// programDirs are searched after PATH: servers live where ordinary users do not look.
var programDirs = []string{"/usr/sbin", "/usr/libexec", "/usr/local/sbin", "/usr/local/bin"}

// Program is a MariaDB server program that can be started.
type Program struct {
	// Path is the executable, absolute, symbolic links resolved.
	Path string
	// Version is what it answers to --version, without its own path.
	Version string

	share string   // messages, character sets and the SQL of the system tables
	libs  []string // directories of the libraries that came with an unpacked copy
}

// Find returns the server program to use, fetching one into the cache folder if there is no other way. Of the options
// only Cache and Progress are read. The error is ErrNoServer with the reasons, in one line, if there is none.
func Find(ctx context.Context, o Options) (*Program, error) {
	if path := os.Getenv("CUPID_MARIADBD"); path != "" {
		p, err := open(ctx, path, nil)
		if err != nil {
			return nil, fmt.Errorf("CUPID_MARIADBD: %w", err)
		}
		return p, nil
	}
	for _, path := range candidates() {
		if p, err := open(ctx, path, nil); err == nil {
			return p, nil
		}
	}
	return fetched(ctx, o)
}

// candidates lists what could be a server on this machine.
func candidates() []string {
	var found []string
	for _, name := range []string{"mariadbd", "mysqld"} {
		if path, err := exec.LookPath(name); err == nil {
			found = append(found, path)
		}
		for _, dir := range programDirs {
			found = append(found, filepath.Join(dir, name))
		}
	}
	return found
}

// fetched returns the copy in the cache folder, which is made if it is missing.
func fetched(ctx context.Context, o Options) (*Program, error) {
	root, err := ensure(ctx, folders(o.Cache), "server-"+platform(), func(ctx context.Context, dir string) error {
		o.progress("fetching the MariaDB server into the cache folder (about 10 MB, once)")
		if err := fetch(ctx, dir); err != nil {
			return err
		}
		_, err := unpacked(ctx, dir)
		return err
	})
	switch {
	case err == nil:
		return unpacked(ctx, root)
	case ctx.Err() != nil:
		return nil, fmt.Errorf("fetch a MariaDB server: %w", context.Cause(ctx))
	default:
		// One line that a person can act on, however many tries there were.
		return nil, fmt.Errorf("%w (%s)", ErrNoServer, strings.ReplaceAll(err.Error(), "\n", "; "))
	}
}

// unpacked opens the program in a tree of unpacked packages.
func unpacked(ctx context.Context, root string) (*Program, error) {
	libs, err := libraryDirs(root)
	if err != nil {
		return nil, err
	}
	return open(ctx, filepath.Join(root, "usr", "sbin", "mariadbd"), libs)
}

// libraryDirs finds the directories of shared libraries in a tree, wherever this architecture has them.
func libraryDirs(root string) ([]string, error) {
	var dirs []string
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		dir := filepath.Dir(path)
		if strings.Contains(d.Name(), ".so.") && (len(dirs) == 0 || dirs[len(dirs)-1] != dir) {
			dirs = append(dirs, dir)
		}
		return nil
	})
	return dirs, err
}

// open checks that path is a MariaDB that runs here, and finds what belongs to it.
func open(ctx context.Context, path string, libs []string) (*Program, error) {
	path, err := filepath.EvalSymlinks(path)
	if err != nil {
		return nil, err
	}
	if path, err = filepath.Abs(path); err != nil {
		return nil, err
	}
	p := &Program{Path: path, libs: libs}
	var stderr bytes.Buffer
	cmd := p.command(ctx, "--no-defaults", "--version")
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("run %s --version: %w %s", path, err, bytes.TrimSpace(stderr.Bytes()))
	}
	_, version, _ := strings.Cut(strings.TrimSpace(string(out)), "Ver ")
	if p.Version = strings.TrimSpace(version); !strings.Contains(version, "MariaDB") {
		return nil, fmt.Errorf("%s is not a MariaDB server: %q", path, bytes.TrimSpace(out))
	}
	base := filepath.Dir(filepath.Dir(path))
	for _, name := range []string{"mariadb", "mysql"} {
		p.share = filepath.Join(base, "share", name)
		if _, err := p.systemTables(); err == nil {
			return p, nil
		}
	}
	return nil, fmt.Errorf("%s has no SQL of the system tables under %s", path, filepath.Join(base, "share"))
}

// systemTables returns the files that make the system tables, in order. Newer servers call them mariadb_, older mysql_.
func (p *Program) systemTables() ([]string, error) {
	var files []string
	for _, name := range []string{"system_tables.sql", "performance_tables.sql", "system_tables_data.sql"} {
		path := filepath.Join(p.share, "mariadb_"+name)
		if _, err := os.Stat(path); err != nil {
			path = filepath.Join(p.share, "mysql_"+name)
		}
		if _, err := os.Stat(path); err != nil {
			return nil, err
		}
		files = append(files, path)
	}
	return files, nil
}

// command is the program with these arguments, its own libraries in reach. It does not end with ctx once it runs: that
// is for the caller to decide.
func (p *Program) command(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(context.WithoutCancel(ctx), p.Path, args...)
	if len(p.libs) > 0 {
		cmd.Env = append(os.Environ(), "LD_LIBRARY_PATH="+strings.Join(p.libs, ":"))
	}
	return cmd
}

// layout are the arguments that decide about the files of a data directory. The template is named by them.
var layout = []string{
	"--skip-log-bin",
	"--innodb-data-file-path=ibdata1:10M:autoextend",
	"--innodb-temp-data-file-path=ibtmp1:1M:autoextend",
	"--innodb-log-file-size=16M",
	"--innodb-undo-tablespaces=0",
	"--innodb-doublewrite=0",
	"--aria-log-file-size=8M",
}

// arguments that every start has, the bootstrap included.
func (p *Program) arguments(datadir string) []string {
	args := append([]string{
		"--no-defaults", // must come first
		"--basedir=" + filepath.Dir(filepath.Dir(p.Path)),
		"--lc-messages-dir=" + p.share,
		"--character-sets-dir=" + filepath.Join(p.share, "charsets"),
		"--datadir=" + datadir,
		"--debug-no-sync", // no fsync anywhere: the data is not meant to survive the machine
		"--innodb-autoextend-increment=4",
		"--innodb-buffer-pool-size=64M",
		"--innodb-buffer-pool-dump-at-shutdown=0",
		"--innodb-buffer-pool-load-at-startup=0",
		"--aria-pagecache-buffer-size=8M",
		"--key-buffer-size=1M",
		"--table-open-cache=400",
		"--max-connections=1000",
	}, layout...)
	if os.Getuid() == 0 {
		args = append(args, "--user=root") // it refuses to run as root unless told to
	}
	return args
}

// platform names what a copy of the packages runs on: another release may lack a library that this one has.
func platform() string {
	id, version := "linux", ""
	text, err := os.ReadFile("/etc/os-release")
	if err != nil {
		text = nil
	}
	for line := range strings.Lines(string(text)) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		switch value = strings.Trim(value, `"'`); key {
		case "ID":
			id = value
		case "VERSION_ID":
			version = "-" + value
		}
	}
	return strings.ReplaceAll(id+version, "/", "_") + "-" + runtime.GOARCH
}
