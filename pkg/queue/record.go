package queue

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"time"
)

// Limits of one record.
const (
	// MaxGroupBytes is the most bytes a Group may have.
	MaxGroupBytes = 1024
	// MaxKeyBytes is the most bytes a Key may have. A MySQL index key has 3,072
	// bytes at most; the rest is room for escapes.
	MaxKeyBytes = 8192
	// MaxPayloadBytes is the most bytes a Payload may have.
	MaxPayloadBytes = 64 << 10
)

// Errors of this package, to be found with errors.Is.
var (
	// ErrFull says that a Put would raise the number of records above
	// Options.Limit. Nothing of the call was written.
	ErrFull = errors.New("queue is full")
	// ErrInvalid says that a Put or Change breaks a limit of a record. Nothing
	// of the call was written.
	ErrInvalid = errors.New("invalid record")
	// ErrLocked says that another Queue, in this process or another one, has
	// the file open.
	ErrLocked = errors.New("queue is in use by another process")
	// ErrClosed says that the queue was closed.
	ErrClosed = errors.New("queue is closed")
)

// Record is what the queue holds of one identity.
type Record struct {
	// Group and Key are the identity. Key may hold any bytes, none included.
	Group, Key string
	// Payload is opaque to the queue.
	Payload []byte
	// Due is when the record may be claimed next, in UTC, to the millisecond.
	Due time.Time
	// Attempts is what the last Apply said; zero for a new record.
	Attempts int
	// Version is set by the queue, higher with every write of the record. No
	// two writes of one queue share a version.
	Version int64
	// FirstSeen is when the identity was put for the first time since it was
	// last removed, in UTC, to the millisecond.
	FirstSeen time.Time
}

// Put is one record to be added or renewed.
type Put struct {
	// Group and Key are the identity: 1 to MaxGroupBytes, 0 to MaxKeyBytes.
	Group, Key string
	// Payload takes the place of an earlier one; at most MaxPayloadBytes.
	Payload []byte
	// Due is when a new identity may be claimed first; zero means now. An
	// identity that is in the queue already keeps its own.
	Due time.Time
}

func (p Put) check() error { return checkSizes(p.Group, p.Key, p.Payload) }

// Change is what is to become of a record that the caller has read.
type Change struct {
	// Group and Key are the identity.
	Group, Key string
	// Version is the one that was read. If the record has another one by now,
	// the change is not made.
	Version int64
	// Remove takes the record out; the fields below then mean nothing.
	Remove bool
	// Due is when the record may be claimed next.
	Due time.Time
	// Attempts is not negative.
	Attempts int
	// Payload takes the place of the earlier one; nil keeps it.
	Payload []byte
}

func (c Change) check() error {
	if c.Attempts < 0 {
		return fmt.Errorf("%w: attempts %d", ErrInvalid, c.Attempts)
	}
	return checkSizes(c.Group, c.Key, c.Payload)
}

// checkAll returns the first fault of the items of one call.
func checkAll[T interface{ check() error }](items []T) error {
	for i, item := range items {
		if err := item.check(); err != nil {
			return fmt.Errorf("record %d of %d: %w", i+1, len(items), err)
		}
	}
	return nil
}

func checkSizes(group, key string, payload []byte) error {
	switch {
	case group == "" || len(group) > MaxGroupBytes:
		return fmt.Errorf("%w: group has %d bytes, must have 1 to %d", ErrInvalid, len(group), MaxGroupBytes)
	case len(key) > MaxKeyBytes:
		return fmt.Errorf("%w: key has %d bytes, limit %d", ErrInvalid, len(key), MaxKeyBytes)
	case len(payload) > MaxPayloadBytes:
		return fmt.Errorf("%w: payload has %d bytes, limit %d", ErrInvalid, len(payload), MaxPayloadBytes)
	}
	return nil
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// sum is the checksum of a record as the package comment draws it. The lengths
// keep a byte that moves from one field to the next from going unseen.
func sum(r *Record) int64 {
	buf := make([]byte, 0, 7*8+len(r.Group)+len(r.Key)) // the payload is not copied
	number := func(n int64) { buf = binary.BigEndian.AppendUint64(buf, uint64(n)) }
	number(int64(len(r.Group)))
	buf = append(buf, r.Group...)
	number(int64(len(r.Key)))
	buf = append(buf, r.Key...)
	number(int64(len(r.Payload)))
	crc := crc32.Update(0, castagnoli, buf)
	crc = crc32.Update(crc, castagnoli, r.Payload)
	buf = buf[:0]
	number(r.Due.UnixMilli())
	number(int64(r.Attempts))
	number(r.Version)
	number(r.FirstSeen.UnixMilli())
	return int64(crc32.Update(crc, castagnoli, buf))
}

func fromMilli(ms int64) time.Time { return time.UnixMilli(ms).UTC() }
