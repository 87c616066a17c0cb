//go:build amd64 || arm64

package powercut

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// cwd is AT_FDCWD as the kernel gets it.
const cwd = 0xffffffffffffff9c

// maxPathBytes is PATH_MAX of the kernel.
const maxPathBytes = 4096

// begin reads what a system call is going to use while its thread stands still.
func (t *tracer) begin(c *call) (err error) {
	canonical(c)
	switch c.number {
	case unix.SYS_WRITE, unix.SYS_PWRITE64:
		if c.args[0] == 1 || c.args[0] == 2 || t.nameOf(c.args[0]) != "" {
			c.data = make([]byte, c.args[2])
			_, err = t.memory.ReadAt(c.data, int64(c.args[1]))
		}
	case unix.SYS_OPENAT, unix.SYS_UNLINKAT, unix.SYS_MKDIRAT:
		c.paths[0], err = t.path(c.args[0], c.args[1])
	case unix.SYS_RENAMEAT2, unix.SYS_LINKAT:
		if c.paths[0], err = t.path(c.args[0], c.args[1]); err == nil {
			c.paths[1], err = t.path(c.args[2], c.args[3])
		}
	case unix.SYS_SYMLINKAT:
		c.paths[0], err = t.path(c.args[1], c.args[2])
	case unix.SYS_TRUNCATE:
		c.paths[0], err = t.path(cwd, c.args[0])
	case unix.SYS_WRITEV, unix.SYS_PWRITEV, unix.SYS_PWRITEV2, unix.SYS_FALLOCATE,
		unix.SYS_COPY_FILE_RANGE, unix.SYS_SENDFILE, unix.SYS_SPLICE, unix.SYS_IO_URING_SETUP, unix.SYS_IO_SUBMIT:
		return t.refuse(c)
	}
	if err == nil && c.paths[0] != "" && slices.Contains([]uint64{unix.SYS_MKDIRAT, unix.SYS_SYMLINKAT, unix.SYS_TRUNCATE}, c.number) {
		return t.refuse(c)
	}
	return err
}

// refuse fails if a system call that is not followed may concern the directory.
func (t *tracer) refuse(c *call) error {
	switch c.number {
	case unix.SYS_FALLOCATE:
		if t.nameOf(c.args[0]) == "" || c.args[1] == unix.FALLOC_FL_KEEP_SIZE { // which changes nothing that can be read
			return nil
		}
	case unix.SYS_WRITEV, unix.SYS_PWRITEV, unix.SYS_PWRITEV2, unix.SYS_SENDFILE:
		if t.nameOf(c.args[0]) == "" {
			return nil
		}
	case unix.SYS_COPY_FILE_RANGE, unix.SYS_SPLICE:
		if t.nameOf(c.args[2]) == "" {
			return nil
		}
	}
	return fmt.Errorf("the program makes system call %d, which is not followed", c.number)
}

// end records a system call that succeeded.
func (t *tracer) end(c *call, result int64) error {
	switch c.number {
	case unix.SYS_WRITE, unix.SYS_PWRITE64:
		return t.wrote(c, result)
	case unix.SYS_FTRUNCATE:
		t.onFile(c.args[0], Op{Kind: Truncate, Offset: int64(c.args[1])})
	case unix.SYS_FSYNC, unix.SYS_FDATASYNC:
		if target(t.pid, c.args[0]) == t.dir {
			t.record(Op{Kind: SyncDir})
		} else {
			t.onFile(c.args[0], Op{Kind: Sync})
		}
	case unix.SYS_MMAP:
		if c.args[2]&unix.PROT_WRITE != 0 && c.args[3]&unix.MAP_TYPE == unix.MAP_SHARED {
			t.onFile(c.args[4], Op{Kind: Map})
		}
	case unix.SYS_OPENAT:
		return t.opened(c, result)
	case unix.SYS_UNLINKAT:
		t.rename(map[string]string{c.paths[0]: ""})
	case unix.SYS_LINKAT:
		t.rename(map[string]string{c.paths[1]: c.paths[0]})
	case unix.SYS_RENAMEAT2:
		from, to := c.paths[0], c.paths[1]
		if t.names[from] == t.names[to] && t.names[to] != 0 {
			return nil // rename(2) does nothing if both are names of one file
		}
		t.rename(map[string]string{to: from, from: ""})
	}
	return nil
}

func (t *tracer) record(op Op) { t.rec.Ops = append(t.rec.Ops, op) }

// onFile records what was done to an open file of the directory.
func (t *tracer) onFile(fd uint64, op Op) {
	if name := t.nameOf(fd); name != "" {
		op.File = t.names[name]
		t.record(op)
	}
}

func (t *tracer) wrote(c *call, n int64) error {
	if text, ok := strings.CutPrefix(string(c.data), markPrefix); ok {
		t.record(Op{Kind: Mark, Text: strings.TrimSuffix(text, "\n")})
		return nil
	}
	offset := int64(c.args[3])
	if t.nameOf(c.args[0]) == "" {
		return nil
	}
	if c.number == unix.SYS_WRITE {
		position, err := t.position(c.args[0])
		if err != nil {
			return err
		}
		offset = position - n
	}
	t.onFile(c.args[0], Op{Kind: Write, Offset: offset, Data: c.data[:n]})
	return nil
}

func (t *tracer) opened(c *call, fd int64) error {
	name := c.paths[0]
	if name == "" {
		return nil
	}
	switch {
	case t.names[name] == 0:
		t.files++
		t.names[name] = t.files
		t.record(Op{Kind: Rename, Names: map[string]int{name: t.files}})
	case c.args[2]&unix.O_TRUNC != 0:
		t.onFile(uint64(fd), Op{Kind: Truncate})
	}
	return nil
}

// rename records that names stand for what other names stood for, or for nothing.
func (t *tracer) rename(to map[string]string) {
	change := map[string]int{}
	for name, from := range to {
		if name != "" {
			change[name] = t.names[from]
		}
	}
	if len(change) > 0 {
		rename(t.names, change)
		t.record(Op{Kind: Rename, Names: change})
	}
}

// nameOf is the name in the directory of an open file; "" if it is none of its files,
// or one that was removed.
func (t *tracer) nameOf(fd uint64) string {
	return t.inside(target(t.pid, fd))
}

// inside is the name of a path in the directory, or "".
func (t *tracer) inside(path string) string {
	name, ok := strings.CutPrefix(path, t.dir+"/")
	if !ok || strings.Contains(name, "/") || strings.HasSuffix(name, " (deleted)") {
		return ""
	}
	return name
}

// target is what a descriptor of the program stands for.
func target(pid int, fd uint64) string {
	path, err := os.Readlink(fmt.Sprintf("/proc/%d/fd/%d", pid, int32(fd)))
	if err != nil {
		return ""
	}
	return path
}

// path is the name in the directory of a path that the program has given, or "".
func (t *tracer) path(dirfd, address uint64) (string, error) {
	buf := make([]byte, maxPathBytes)
	n, err := t.memory.ReadAt(buf, int64(address))
	if err != nil && !errors.Is(err, io.EOF) && n == 0 {
		// A path that ends before a page that is not there.
		n, err = t.memory.ReadAt(buf[:maxPathBytes-address%maxPathBytes], int64(address))
		if err != nil {
			return "", fmt.Errorf("read a path: %w", err)
		}
	}
	text, _, _ := bytes.Cut(buf[:n], []byte{0})
	path := string(text)
	if !filepath.IsAbs(path) {
		base := target(t.pid, dirfd)
		if uint32(dirfd) == cwd&0xffffffff {
			if base, err = os.Readlink(fmt.Sprintf("/proc/%d/cwd", t.pid)); err != nil {
				return "", err
			}
		}
		path = filepath.Join(base, path)
	}
	return t.inside(filepath.Clean(path)), nil
}

// position is where the next write to an open file goes.
func (t *tracer) position(fd uint64) (int64, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/fdinfo/%d", t.pid, fd))
	if err != nil {
		return 0, err
	}
	var n int64
	if _, err := fmt.Sscanf(string(text), "pos: %d", &n); err != nil {
		return 0, fmt.Errorf("read the position: %w", err)
	}
	return n, nil
}
