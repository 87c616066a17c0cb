package ipc

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"syscall"
)

// MaxFrameBytes is the largest JSON object that a frame may carry, 4 MiB, checked by the sender and by the receiver.
// The largest single thing that has to fit is a batch of keys, each of at most 3,072 bytes.
const MaxFrameBytes = 4 << 20

const (
	headerBytes = 4
	// firstReadBytes is what is allocated for a frame before any of its bytes have come. Nearly all frames fit.
	firstReadBytes = 4 << 10
	// keepBytes is the largest buffer that is kept for the next frames; a larger one was an exception.
	keepBytes = 256 << 10
)

// Sentences for what is wrong with a frame. They come wrapped with the peer's name.
var (
	// ErrFrameTooLarge says that a frame is, or claims to be, larger than MaxFrameBytes.
	ErrFrameTooLarge = errors.New("frame larger than 4 MiB")
	// ErrFrameEmpty says that a frame claims to have no bytes, which no JSON object has.
	ErrFrameEmpty = errors.New("frame of length 0")
	// ErrFrameInvalid says that the bytes of a frame are no envelope.
	ErrFrameInvalid = errors.New("frame holds no valid envelope")
)

// Envelope is what a frame carries: what it is, which request it answers or opens, and the rest as JSON.
type Envelope struct {
	// Type is one of the Type constants; it is never empty.
	Type string `json:"type"`
	// ID joins an answer to its request; 0 means that none is expected.
	ID uint64 `json:"id,omitempty"`
	// Body is the message in JSON; nil when the type says it all.
	Body json.RawMessage `json:"body,omitempty"`
}

// NewEnvelope returns an envelope with body in JSON, or without one when body is nil.
func NewEnvelope(typ string, id uint64, body any) (Envelope, error) {
	env := Envelope{Type: typ, ID: id}
	if body == nil {
		return env, nil
	}
	raw, err := json.Marshal(body)
	if err != nil {
		return Envelope{}, fmt.Errorf("encode body of %s: %w", typ, err)
	}
	env.Body = raw
	return env, nil
}

// AppendFrame appends env as one frame to dst and returns the longer slice. On an error dst comes back as it was:
// ErrFrameTooLarge, or ErrFrameInvalid for an empty type or a body that is no JSON, so that the fault is
// found where it was made and not at the peer.
func AppendFrame(dst []byte, env Envelope) ([]byte, error) {
	if err := check(env); err != nil {
		return dst, err
	}
	return appendChecked(dst, env)
}

// check finds the faults of an envelope that make it no JSON. It is apart from the encoding because it is the slow part, and
// a sender does it before it holds the lock of its queue.
func check(env Envelope) error {
	switch {
	case env.Type == "":
		return fmt.Errorf("encode frame: %w: no type", ErrFrameInvalid)
	case len(env.Body) > MaxFrameBytes:
		return fmt.Errorf("encode frame %s: %w", env.Type, ErrFrameTooLarge)
	case env.Body != nil && !json.Valid(env.Body):
		return fmt.Errorf("encode frame %s: %w: body is no JSON", env.Type, ErrFrameInvalid)
	}
	return nil
}

func appendChecked(dst []byte, env Envelope) ([]byte, error) {
	start := len(dst)
	out := append(dst, 0, 0, 0, 0)
	out = append(out, `{"type":`...)
	out = appendString(out, env.Type)
	if env.ID != 0 {
		out = append(out, `,"id":`...)
		out = strconv.AppendUint(out, env.ID, 10)
	}
	if env.Body != nil {
		out = append(out, `,"body":`...)
		out = append(out, env.Body...)
	}
	out = append(out, '}')
	size := len(out) - start - headerBytes
	if size > MaxFrameBytes {
		return dst, fmt.Errorf("encode frame %s: %w", env.Type, ErrFrameTooLarge)
	}
	binary.BigEndian.PutUint32(out[start:], uint32(size))
	return out, nil
}

// appendString appends s as a JSON string. Types are plain words; whatever is not takes the slow way.
func appendString(dst []byte, s string) []byte {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c > '~' || c == '"' || c == '\\' {
			quoted, _ := json.Marshal(s) // A string cannot fail.
			return append(dst, quoted...)
		}
	}
	dst = append(dst, '"')
	dst = append(dst, s...)
	return append(dst, '"')
}

// ReadFrame reads one frame from r into buf, which may be nil and is grown as bytes arrive: a length that is only
// claimed costs 4 KiB and no more. It returns the JSON, which lies in the returned memory until buf is used again.
// io.EOF means that r ended between two frames, io.ErrUnexpectedEOF that it ended inside of one. A peer that ends with
// something unread has the kernel say ECONNRESET instead of end of file; inside of a frame that means the same.
func ReadFrame(r io.Reader, buf []byte) ([]byte, error) {
	if cap(buf) < firstReadBytes {
		buf = make([]byte, firstReadBytes)
	}
	buf = buf[:cap(buf)]
	if n, err := io.ReadFull(r, buf[:headerBytes]); err != nil {
		if n > 0 && errors.Is(err, syscall.ECONNRESET) {
			err = io.ErrUnexpectedEOF
		}
		return buf[:0], fmt.Errorf("read frame header: %w", err)
	}
	length := binary.BigEndian.Uint32(buf[:headerBytes])
	switch {
	case length == 0:
		return buf[:0], ErrFrameEmpty
	case length > MaxFrameBytes:
		return buf[:0], fmt.Errorf("%w: %d bytes announced", ErrFrameTooLarge, length)
	}
	size := int(length)
	for have := 0; have < size; {
		upTo := min(size, len(buf))
		n, err := io.ReadFull(r, buf[have:upTo])
		have += n
		if err != nil {
			if errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET) {
				err = io.ErrUnexpectedEOF
			}
			return buf[:0], fmt.Errorf("read frame, %d of %d bytes: %w", have, size, err)
		}
		if have < size {
			grown := make([]byte, min(size, 2*len(buf)))
			copy(grown, buf)
			buf = grown
		}
	}
	return buf[:size], nil
}

// ParseEnvelope reads the JSON of one frame. The envelope shares no memory with data. The error is ErrFrameInvalid.
func ParseEnvelope(data []byte) (Envelope, error) {
	if env, ok := parsePlain(data); ok {
		return env, nil
	}
	var env Envelope
	if err := json.Unmarshal(data, &env); err != nil {
		return Envelope{}, fmt.Errorf("%w: %w", ErrFrameInvalid, err)
	}
	if env.Type == "" {
		return Envelope{}, fmt.Errorf("%w: no type", ErrFrameInvalid)
	}
	return env, nil
}
