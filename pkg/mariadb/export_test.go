package mariadb

import (
	"context"
	"path/filepath"
	"strings"
)

// Fetched is Find without a look at the machine's own servers.
func Fetched(ctx context.Context, o Options) (*Program, error) { return fetched(ctx, o) }

// Installed reads the packages to download out of apt's plan.
var Installed = installed

// Ensure makes an entry of a cache folder.
func Ensure(ctx context.Context, dir, name string, build func(ctx context.Context, dir string) error) (string, error) {
	return ensure(ctx, folders(dir), name, build)
}

// Tail returns what an error quotes of a log.
func Tail(text string) string {
	t := &tail{}
	for len(text) > 0 {
		n := min(len(text), 700)
		_, _ = t.Write([]byte(text[:n]))
		text = text[n:]
	}
	return t.String()
}

// CacheFolder returns the cache folder that a program comes from, and false for one of the machine.
func (p *Program) CacheFolder() (string, bool) {
	root := filepath.Dir(filepath.Dir(filepath.Dir(p.Path)))
	return filepath.Dir(root), filepath.Base(root) == "server-"+platform()
}

// LibraryPath returns the directories of the libraries of an unpacked program.
func (p *Program) LibraryPath() string { return strings.Join(p.libs, ":") }
