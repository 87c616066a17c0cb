package mariadb

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// template returns a data directory with nothing but the system tables, made once for each version of the server. It is
// readable by all, so that an ordinary user can take a copy of what root made: it holds no secret.
func (p *Program) template(ctx context.Context, cache string) (string, error) {
	identity := sha256.Sum256([]byte(p.Version + strings.Join(layout, " ")))
	return ensure(ctx, folders(cache), fmt.Sprintf("template-%x", identity[:8]), p.bootstrap)
}

// bootstrap fills an empty directory the way mariadb-install-db does.
func (p *Program) bootstrap(ctx context.Context, dir string) error {
	files, err := p.systemTables()
	if err != nil {
		return err
	}
	// The bootstrap takes one statement a line, or over several lines, but never two on one.
	var input bytes.Buffer
	input.WriteString("create database mysql;\nuse mysql;\n")
	for _, path := range files {
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for line := range bytes.Lines(text) {
			// These lines, which can be left out, give rights to root at this machine's name.
			if !bytes.Contains(line, []byte("@current_hostname")) {
				input.Write(line)
			}
		}
	}
	cmd := p.command(ctx, append(p.arguments(dir), "--bootstrap")...)
	cmd.Stdin = &input
	log := &tail{}
	cmd.Stdout, cmd.Stderr = log, log
	c, err := spawn(cmd)
	if err != nil {
		return fmt.Errorf("start %s --bootstrap: %w", p.Path, err)
	}
	select {
	case <-c.exited:
	case <-ctx.Done():
		c.kill()
		return fmt.Errorf("make a data directory: %w", context.Cause(ctx))
	}
	if c.err != nil {
		return fmt.Errorf("make a data directory: %w\n%s", c.err, log)
	}
	return filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir():
			return os.Chmod(path, 0o755)
		default:
			return os.Chmod(path, 0o644)
		}
	})
}

// copyTree copies a directory of plain files; the copy is for its owner alone.
func copyTree(from, to string) error {
	return filepath.WalkDir(from, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		if d.IsDir() {
			return os.MkdirAll(filepath.Join(to, rel), 0o700)
		}
		return copyFile(path, filepath.Join(to, rel))
	})
}

func copyFile(from, to string) error {
	src, err := os.Open(from)
	if err != nil {
		return err
	}
	defer func() { _ = src.Close() }() // only read
	des, err := os.OpenFile(to, os.O_CREATE|os.O_WRONLY|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	if _, err := io.Copy(des, src); err != nil {
		_ = des.Close() // the copy failed already
		return err
	}
	return des.Close()
}

// tail keeps the end of what is written to it.
type tail struct{ text []byte }

// tailBytes is how much of a log an error quotes.
const tailBytes = 2000

// Write implements io.Writer.
func (t *tail) Write(p []byte) (int, error) {
	t.text = append(t.text, p...)
	if over := len(t.text) - tailBytes; over > 0 {
		t.text = append(t.text[:0], t.text[over:]...)
	}
	return len(p), nil
}

// String returns the whole lines of what is kept.
func (t *tail) String() string {
	text := string(t.text)
	if len(text) == tailBytes {
		_, text, _ = strings.Cut(text, "\n")
	}
	return strings.TrimSpace(text)
}
