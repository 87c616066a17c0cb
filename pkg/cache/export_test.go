package cache

import (
	"io"
	"time"
)

// Steps lets the n-th step of a file's work on the disk fail: the fault, and with
// dead set every step after it too, as if the process had been killed.
type Steps struct {
	FailAt int // counted from 1; 0 never
	Fault  error
	Dead   bool
	Count  int
}

func (s *Steps) step() error {
	s.Count++
	if s.FailAt > 0 && (s.Count == s.FailAt || s.Dead && s.Count > s.FailAt) {
		return s.Fault
	}
	return nil
}

// NewFaulty is New on a disk whose steps can fail.
func NewFaulty[T any](path string, steps *Steps) *File[T] {
	f := New[T](path)
	f.disk = faultyDisk{steps, osDisk{pending: func(path string) (pendingFile, error) {
		if err := steps.step(); err != nil {
			return nil, err
		}
		p, err := renameioPending(path)
		return faultyPending{steps, p}, err
	}}}
	return f
}

// SetNow sets the clock of a file.
func (f *File[T]) SetNow(now func() time.Time) { f.now = now }

// Decode reads the content of a file.
func Decode[T any](text []byte) (T, string) { return decode[T](text) }

// Encode makes the content of a file.
func Encode(value any) ([]byte, error) { return encode(value) }

type faultyPending struct {
	steps *Steps
	pendingFile
}

// Write writes half before it fails.
func (p faultyPending) Write(b []byte) (int, error) {
	if err := p.steps.step(); err != nil {
		n, _ := p.pendingFile.Write(b[:len(b)/2])
		return n, err
	}
	return p.pendingFile.Write(b)
}

func (p faultyPending) CloseAtomicallyReplace() error {
	if err := p.steps.step(); err != nil {
		return err
	}
	return p.pendingFile.CloseAtomicallyReplace()
}

// Cleanup does nothing once the process is dead, so that the temporary file stays.
func (p faultyPending) Cleanup() error {
	if err := p.steps.step(); err != nil {
		if c, ok := p.pendingFile.(io.Closer); ok {
			_ = c.Close()
		}
		return err
	}
	return p.pendingFile.Cleanup()
}

type faultyDisk struct {
	steps *Steps
	osDisk
}

func (d faultyDisk) read(path string) ([]byte, error) {
	if err := d.steps.step(); err != nil {
		return nil, err
	}
	return d.osDisk.read(path)
}

func (d faultyDisk) linkOver(from, to string) error {
	if err := d.steps.step(); err != nil {
		return err
	}
	return d.osDisk.linkOver(from, to)
}

func (d faultyDisk) reserve(path string) error {
	if err := d.steps.step(); err != nil {
		return err
	}
	return d.osDisk.reserve(path)
}

func (d faultyDisk) rename(from, to string) error {
	if err := d.steps.step(); err != nil {
		return err
	}
	return d.osDisk.rename(from, to)
}

func (d faultyDisk) remove(path string) error {
	if err := d.steps.step(); err != nil {
		return err
	}
	return d.osDisk.remove(path)
}

func (d faultyDisk) syncDir(dir string) error {
	if err := d.steps.step(); err != nil {
		return err
	}
	return d.osDisk.syncDir(dir)
}

func (d faultyDisk) names(dir string) ([]string, error) {
	if err := d.steps.step(); err != nil {
		return nil, err
	}
	return d.osDisk.names(dir)
}
