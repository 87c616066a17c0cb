package chunk

import (
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"math/bits"
)

// Buckets is how many buckets the rows of a pair are shared out to by the hash of
// their keys, when it is swept by buckets. A divergence costs the rows of one bucket on
// either side to be looked at, so with a thousand of them one row in sixty is.
const Buckets = 1 << 16

// Sums are the differences of the sums of the buckets of the two sides. Zero is a
// bucket that is equal on both, or, once in four thousand million, one that is not:
// the salt of the sums has to be another one in every pass. The zero value is that of
// two empty tables. A full one has 256 KiB.
type Sums struct{ of []uint32 }

// Add adds a row of the source to a bucket; Sub takes one of the destination off.
func (s *Sums) Add(bucket uint16, hash uint32) { s.room()[bucket] += hash }

// Sub takes a row of the destination off a bucket.
func (s *Sums) Sub(bucket uint16, hash uint32) { s.room()[bucket] -= hash }

// Join adds other sums.
func (s *Sums) Join(o *Sums) {
	if o.of == nil {
		return
	}
	all := s.room()
	for i, v := range o.of {
		all[i] += v
	}
}

// Reset makes all of them zero and keeps the memory.
func (s *Sums) Reset() { clear(s.of) }

func (s *Sums) room() []uint32 {
	if s.of == nil {
		s.of = make([]uint32, Buckets)
	}
	return s.of
}

// The forms of Bytes.
const (
	formSparse = 1 // for each bucket that differs its distance from the last one as a uvarint, and four bytes
	formDense  = 2 // four bytes for each bucket
)

const sumBytes = 4

// Bytes are the sums in as few bytes as there are buckets that differ, nil when none does.
func (s *Sums) Bytes() []byte {
	b := []byte{formSparse}
	last := -1
	for i, v := range s.of {
		if v == 0 {
			continue
		}
		b = binary.AppendUvarint(b, uint64(i-last))
		b = binary.LittleEndian.AppendUint32(b, v)
		last = i
		if len(b) > Buckets*sumBytes {
			return s.dense()
		}
	}
	if last < 0 {
		return nil
	}
	return b
}

func (s *Sums) dense() []byte {
	b := make([]byte, 1, 1+Buckets*sumBytes)
	b[0] = formDense
	for _, v := range s.of {
		b = binary.LittleEndian.AppendUint32(b, v)
	}
	return b
}

var errSums = errors.New("these are no sums of buckets")

// JoinBytes adds what Bytes has written. After an error nothing has been added.
func (s *Sums) JoinBytes(b []byte) error {
	if err := CheckSums(b); err != nil || len(b) == 0 {
		return err
	}
	all := s.room()
	return eachSum(b, func(bucket int, v uint32) { all[bucket] += v })
}

// CheckSums returns nil when Bytes can have written b.
func CheckSums(b []byte) error { return eachSum(b, func(int, uint32) {}) }

// eachSum hands over the sums that Bytes has written, up to the first that it cannot
// have.
func eachSum(b []byte, f func(bucket int, v uint32)) error {
	if len(b) == 0 {
		return nil
	}
	switch form, rest := b[0], b[1:]; {
	case form == formDense && len(rest) == Buckets*sumBytes:
		for i := range Buckets {
			f(i, binary.LittleEndian.Uint32(rest[i*sumBytes:]))
		}
	case form == formSparse:
		at := -1
		for len(rest) > 0 {
			gap, n := binary.Uvarint(rest)
			if n <= 0 || gap == 0 || gap > Buckets || len(rest) < n+sumBytes || at+int(gap) >= Buckets {
				return errSums
			}
			at += int(gap)
			f(at, binary.LittleEndian.Uint32(rest[n:]))
			rest = rest[n+sumBytes:]
		}
	default:
		return errSums
	}
	return nil
}

// Differ are the buckets that are not equal.
func (s *Sums) Differ() Differ {
	var d Differ
	for i, v := range s.of {
		if v != 0 {
			d.bits[i/8] |= 1 << (i % 8)
		}
	}
	return d
}

// Differ is a set of buckets, the ones that are to be looked at.
type Differ struct{ bits [Buckets / 8]byte }

// Len is how many there are.
func (d *Differ) Len() (n int) {
	for _, b := range d.bits {
		n += bits.OnesCount8(b)
	}
	return n
}

// Bits has the bit bucket % 8 of byte bucket / 8 set for each bucket of the set.
func (d *Differ) Bits() []byte { return d.bits[:] }

// String is the set as a chunk has it, in printable characters; it is what ParseDiffer reads.
func (d *Differ) String() string { return base64.StdEncoding.EncodeToString(d.bits[:]) }

// ParseDiffer reads what String has written.
func ParseDiffer(text string) (Differ, error) {
	var d Differ
	b, err := base64.StdEncoding.DecodeString(text)
	if err != nil || len(b) != len(d.bits) {
		return Differ{}, fmt.Errorf("read set of buckets of %d bytes: %w", len(b), errors.Join(errSums, err))
	}
	copy(d.bits[:], b)
	return d, nil
}
