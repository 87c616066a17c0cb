// Package cache is a worker's cache file: one JSON value, replaced as a whole. It
// knows nothing of what the value means.
//
// # File
//
//	{
//	  "version": 1,
//	  "crc": "1b2c3d4e",
//	  "data": { … }
//	}
//
// crc is the CRC-32C (Castagnoli) of data without white space, in eight hex
// digits. Beside the file at path lie
//
//	<path>.previous            what it held before the last Save (a hard link)
//	<path>.damaged-<UTC time>  what could not be read, kept for whoever looks into it
//	.<name><number>            a Save that was cut short; removed by Load
//
// # Promises
//
// After a Save that returned nil the value is on disk, its name included
// (renameio syncs the file, this package the directory). After a Save that
// failed or was cut short, Load returns the value before it or the new one. A
// file that cannot be read is never taken for an empty one.
package cache

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"path/filepath"
	"sync"
	"time"
)

// Version is the version of the file format that is written. Older ones, from 1
// on, are read.
const Version = 1

// MaxBytes is the most that a file may have.
const MaxBytes = 16 << 20

// ErrTooLarge says that a value does not fit into MaxBytes. Nothing was written.
var ErrTooLarge = errors.New("value is too large for a cache file")

// Damaged says that the file could not be used. It is returned by Load, and once
// only for each damage, for the file has another name then.
type Damaged struct {
	// Path is the file.
	Path string
	// Kept is where the file is now; empty if there was none any more.
	Kept string
	// Reason says what was wrong with it.
	Reason string
	// Recovered says that the value returned with this error is the one before the
	// last Save. Without it the value is the zero value.
	Recovered bool
}

// Error is one line for the log.
func (d *Damaged) Error() string {
	text := fmt.Sprintf("cache file %s %s", d.Path, d.Reason)
	if d.Kept != "" {
		text += ", kept as " + d.Kept
	}
	if d.Recovered {
		return text + "; the value before the last save is used"
	}
	return text + "; no earlier value is there"
}

// File is the cache file of one owner, which is the only one to write it. It is
// safe for concurrent use.
type File[T any] struct {
	// Path is the file; its directory must exist.
	Path string

	disk disk
	now  func() time.Time

	mu     sync.Mutex // one Load or Save at a time
	synced bool       // the last Save went through to the end
}

// New describes the file at path and touches nothing.
func New[T any](path string) *File[T] {
	return &File[T]{Path: path, disk: osDisk{}, now: time.Now}
}

// Load reads the value. Without a file it returns an error that is
// fs.ErrNotExist. If the file is damaged, written by a newer version, or missing
// though an earlier one is there, it returns a *Damaged with the value before
// the last Save, if that can be read. Any other error says that the directory
// could not be read or written, and that nothing is known of the value.
func (f *File[T]) Load() (T, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.synced = false
	value, err := f.load()
	if err != nil {
		if _, ok := errors.AsType[*Damaged](err); !ok {
			err = fmt.Errorf("read cache file %s: %w", f.Path, err)
		}
	}
	return value, err
}

// Peek reads the value for who does not own the file, and changes nothing. ok is false where there is none, or a damaged
// one.
func (f *File[T]) Peek() (value T, ok bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	value, reason, err := f.read(f.Path)
	return value, err == nil && reason == ""
}

func (f *File[T]) load() (T, error) {
	var zero T
	if err := f.removeLeftovers(); err != nil {
		return zero, err
	}
	value, reason, err := f.read(f.Path)
	if err == nil && reason == "" {
		return value, nil
	}
	d := &Damaged{Path: f.Path, Reason: reason}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		if _, err := f.disk.read(f.previous()); errors.Is(err, fs.ErrNotExist) {
			return zero, fs.ErrNotExist
		}
		d.Reason = "is missing"
	case err != nil:
		return zero, err
	default:
		if d.Kept, err = f.setAside(f.Path); err != nil {
			return zero, fmt.Errorf("it %s; set it aside: %w", reason, err)
		}
	}
	value, reason, err = f.read(f.previous())
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return zero, d
	case err != nil:
		return zero, fmt.Errorf("it %s; read the previous one: %w", d.Reason, err)
	case reason != "":
		kept, err := f.setAside(f.previous())
		if err != nil {
			return zero, fmt.Errorf("it %s; set the previous one aside: %w", d.Reason, err)
		}
		d.Reason += ", the previous one " + reason
		if d.Kept == "" {
			d.Kept = kept
		}
		return zero, d
	}
	d.Recovered = true
	return value, d
}

// Save replaces the file by one with this value, mode 0600. If the file holds
// the value already, it is left alone.
func (f *File[T]) Save(value T) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	synced := f.synced
	f.synced = false
	if err := f.save(value, synced); err != nil {
		return fmt.Errorf("write cache file %s: %w", f.Path, err)
	}
	f.synced = true
	return nil
}

func (f *File[T]) save(value T, synced bool) error {
	text, err := encode(value)
	if err != nil {
		return err
	}
	old, err := f.disk.read(f.Path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, ErrTooLarge) {
		return err
	}
	if bytes.Equal(old, text) {
		if synced {
			return nil
		}
		return f.disk.syncDir(filepath.Dir(f.Path)) // the Save that wrote it may have died before
	}
	// Only what can be read takes the place of the previous value.
	if _, reason := open(old); reason == "" {
		if err := f.disk.linkOver(f.Path, f.previous()); err != nil {
			return fmt.Errorf("keep the previous one: %w", err)
		}
	}
	if err := f.disk.replace(f.Path, text); err != nil {
		return err
	}
	return f.disk.syncDir(filepath.Dir(f.Path))
}

func (f *File[T]) previous() string { return f.Path + ".previous" }

// read returns the value of a file, or what is wrong with its content.
func (f *File[T]) read(path string) (value T, reason string, err error) {
	text, err := f.disk.read(path)
	if errors.Is(err, ErrTooLarge) {
		return value, "is larger than a cache file can be", nil
	}
	if err != nil {
		return value, "", err
	}
	value, reason = decode[T](text)
	return value, reason, nil
}

// setAside gives a file a name that no file has.
func (f *File[T]) setAside(path string) (kept string, err error) {
	for t := f.now().UTC(); ; t = t.Add(time.Millisecond) {
		kept = path + ".damaged-" + t.Format("20060102T150405.000Z")
		err := f.disk.reserve(kept)
		if errors.Is(err, fs.ErrExist) {
			continue
		}
		if err != nil {
			return "", err
		}
		break
	}
	if err := f.disk.rename(path, kept); err != nil {
		return "", err
	}
	return kept, f.disk.syncDir(filepath.Dir(path))
}

// envelope is the file.
type envelope struct {
	Version int             `json:"version"`
	CRC     string          `json:"crc"`
	Data    json.RawMessage `json:"data"`
}

func encode(value any) ([]byte, error) {
	data, err := json.Marshal(value)
	if err != nil {
		return nil, err
	}
	text, err := json.MarshalIndent(envelope{Version: Version, CRC: checksum(data), Data: data}, "", "  ")
	if err != nil {
		return nil, err
	}
	if len(text) >= MaxBytes {
		return nil, fmt.Errorf("%w: %d bytes, limit %d", ErrTooLarge, len(text), MaxBytes)
	}
	return append(text, '\n'), nil
}

func decode[T any](text []byte) (value T, reason string) {
	data, reason := open(text)
	if reason != "" {
		return value, reason
	}
	if err := json.Unmarshal(data, &value); err != nil {
		var zero T
		return zero, "holds another kind of value: " + err.Error()
	}
	return value, ""
}

// open takes the data out of the envelope, or says what is wrong with it.
func open(text []byte) (data []byte, reason string) {
	if len(text) == 0 {
		return nil, "is empty"
	}
	var e envelope
	if err := json.Unmarshal(text, &e); err != nil {
		return nil, "is no JSON of ours: " + err.Error()
	}
	if e.Version > Version {
		return nil, fmt.Sprintf("has version %d, newer than %d, which this build knows", e.Version, Version)
	}
	if e.Version < 1 {
		return nil, "has no version"
	}
	var compact bytes.Buffer
	if err := json.Compact(&compact, e.Data); err != nil {
		return nil, "has no data"
	}
	if got := checksum(compact.Bytes()); got != e.CRC {
		return nil, fmt.Sprintf("has checksum %s and says %.20q", got, e.CRC)
	}
	return compact.Bytes(), ""
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func checksum(data []byte) string { return fmt.Sprintf("%08x", crc32.Checksum(data, castagnoli)) }
