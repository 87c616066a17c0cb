package process

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"
)

// binaryFD is the least descriptor that holds a binary open. In a child, before it executes the binary, lower ones are moved about for
// what it inherits.
const binaryFD = 64

// Binary is a program that is held open: all children started with it are the program that was opened, whatever has
// become of the file. So an upgrade that has replaced the file, or is half done, reaches no worker before somebody has
// looked at it.
//
// A script cannot be held: the kernel hands its path to the interpreter. Its children are what the path names when they start.
type Binary struct {
	path string
	file *os.File // nil: a script
}

// OpenBinary opens the program at path. Each error is a sentence that tells the operator what is wrong with it. Close gives it up; children
// that run are not touched.
func OpenBinary(path string) (*Binary, error) {
	if err := checkBinary(path); err != nil {
		return nil, err
	}
	b := &Binary{path: path}
	if isScript(path) {
		return b, nil
	}
	// With O_PATH a program that may be executed but not read will do.
	low, err := unix.Open(path, unix.O_PATH|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("open worker binary %s: %w", path, err)
	}
	high, err := unix.FcntlInt(uintptr(low), unix.F_DUPFD_CLOEXEC, binaryFD)
	if err = errors.Join(err, unix.Close(low)); err != nil {
		return nil, fmt.Errorf("open worker binary %s: %w", path, err)
	}
	b.file = os.NewFile(uintptr(high), path)
	return b, nil
}

// isScript tells whether a file that can be read begins as a script does.
func isScript(path string) bool {
	file, err := os.Open(path)
	if err != nil {
		return false
	}
	defer func() { _ = file.Close() }()
	var begin [2]byte
	n, _ := file.Read(begin[:])
	return string(begin[:n]) == "#!"
}

// Path is where the program was opened.
func (b *Binary) Path() string { return b.path }

// Close gives the program up. It may be called more than once.
func (b *Binary) Close() error {
	if b.file == nil {
		return nil
	}
	if err := b.file.Close(); err != nil && !errors.Is(err, os.ErrClosed) {
		return fmt.Errorf("close worker binary: %w", err)
	}
	return nil
}

// program is the path to execute.
func (b *Binary) program() string {
	if b.file == nil {
		return b.path
	}
	return fmt.Sprintf("/proc/self/fd/%d", b.file.Fd())
}

// Probe runs the binary with -version and checks that it speaks protocol. Each error is a sentence that tells the operator
// what is wrong with the binary.
func (b *Binary) Probe(ctx context.Context, protocol int) (Version, error) {
	return probe(ctx, b.path, b.program(), protocol)
}

func checkBinary(path string) error {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("worker binary %s does not exist: install cupid-worker there: %w", path, err)
	case err != nil:
		return fmt.Errorf("look at worker binary: %w", err)
	case info.IsDir():
		return fmt.Errorf("worker binary %s is a directory", path)
	case info.Mode()&0o111 == 0:
		return fmt.Errorf("worker binary %s is not executable (mode %v): %w", path, info.Mode().Perm(), fs.ErrPermission)
	}
	return nil
}
