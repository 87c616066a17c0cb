package row

import (
	"crypto/sha256"
	"database/sql/driver"
	"encoding/binary"
	"fmt"
	"hash"
	"hash/maphash"
	"slices"
	"strconv"
)

// Mapping is how the rows of one pair are read and compared: the rules of the key and those of the mapped columns, in
// the order in which the values are handed to Batch.Append. It is read-only and safe for concurrent use.
type Mapping struct {
	keys, columns []Rule
	codecs        [2]codecs // by Side
	spelled       bool      // a key rule loses the source's spelling
	tolerant      bool      // a column rule has a tolerance
}

type codecs struct{ keys, columns []codec }

// NewMapping makes a mapping. keys has at least one rule.
func NewMapping(keys, columns []Rule) Mapping {
	if len(keys) == 0 {
		panic("row: a mapping needs a key")
	}
	m := Mapping{keys: keys, columns: columns}
	m.tolerant = slices.ContainsFunc(columns, func(r Rule) bool { return r.within > 0 })
	for _, side := range []Side{Source, Destination} {
		c := codecs{keys: make([]codec, len(keys)), columns: make([]codec, len(columns))}
		for i, r := range keys {
			c.keys[i] = r.codec(side)
			m.spelled = m.spelled || r.lossy()
		}
		for i, r := range columns {
			c.columns[i] = r.codec(side)
		}
		m.codecs[side] = c
	}
	return m
}

// Keys are the rules of the key. The slice is shared and not to be changed.
func (m *Mapping) Keys() []Rule { return m.keys }

// Columns are the rules of the mapped columns. The slice is shared and not to be changed.
func (m *Mapping) Columns() []Rule { return m.columns }

// Batch holds the rows of one read in canonical form, all in one piece of memory. It is not safe for concurrent use,
// Compare included.
//
// The arena has, row after row: id, key in the source's spelling (only if the mapping loses it), key, cells. ends has
// stride numbers a row: where each of them ends, shifted left by one, with the lowest bit set for NULL.
type Batch struct {
	m       *Mapping
	codecs  codecs
	side    Side
	stride  int
	arena   []byte
	ends    []int
	rows    int // how many are expected
	limit   int // of Bytes, 0 for none
	seed    maphash.Seed
	heads   []int32 // hash table over the rows' keys: 1 + the row, 0 for none
	next    []int32 // the next row with the same slot
	indexed bool
}

// Places of a row's parts in Batch.ends.
const (
	endID = iota
	endSpelled
	endKey
	endCells
)

// NewBatch makes an empty batch for rows of one side, with room for capacityRows.
func NewBatch(m *Mapping, side Side, capacityRows int) *Batch {
	stride := endCells + len(m.columns)
	return &Batch{
		m:      m,
		codecs: m.codecs[side],
		side:   side,
		stride: stride,
		rows:   capacityRows,
		arena:  make([]byte, 0, min(capacityRows, sampleRows)*stride*16),
		ends:   make([]int, 0, capacityRows*stride),
		seed:   maphash.MakeSeed(),
	}
}

// Limit sets how large a batch may become: one that has reached so many bytes takes no further row, so it has at most
// the limit and one row. A first row of any size is taken. 0, as in a new batch, is no limit.
func (b *Batch) Limit(limitBytes int) { b.limit = limitBytes }

// TooLarge is the error of Append when the batch has reached its limit.
type TooLarge struct {
	// Side is the side of the rows.
	Side Side
	// Rows is how many were taken, at least one.
	Rows int
	// Bytes is what these have in memory.
	Bytes int
}

// Error says how many rows were too much.
func (e *TooLarge) Error() string {
	return fmt.Sprintf("the rows of the %s are too large to be read together: the first %d have %d bytes, and more follow", e.Side, e.Rows, e.Bytes)
}

// Append adds a row: the value of the id column (nil if there is none, as on the destination), those of the key and
// those of the mapped columns, in the mapping's order and as the driver delivers them. All is copied; nothing given is
// kept. After an error, which may be TooLarge, the batch is as before.
func (b *Batch) Append(id driver.Value, keys, cells []driver.Value) error {
	if len(keys) != len(b.codecs.keys) || len(cells) != len(b.codecs.columns) {
		panic(fmt.Sprintf("row: %d key values and %d cells for a mapping of %d and %d",
			len(keys), len(cells), len(b.codecs.keys), len(b.codecs.columns)))
	}
	if b.limit > 0 && b.Bytes() >= b.limit {
		return &TooLarge{b.side, b.Len(), b.Bytes()}
	}
	arena, ends := len(b.arena), len(b.ends)
	err := b.append(id, keys, cells)
	if err != nil {
		b.arena, b.ends = b.arena[:arena], b.ends[:ends]
		return err
	}
	b.indexed = false
	if b.Len() == sampleRows {
		b.reserve()
	}
	return nil
}

const (
	// sampleRows is after how many rows their length is taken for that of the rest.
	sampleRows      = 32
	maxReserveBytes = 8 << 20
)

// reserve makes room for the rows that are still expected.
func (b *Batch) reserve() {
	room := (b.rows - sampleRows) * len(b.arena) / sampleRows * 9 / 8
	if room > 0 {
		b.arena = slices.Grow(b.arena, min(room, maxReserveBytes))
	}
}

func (b *Batch) append(id driver.Value, keys, cells []driver.Value) error {
	var err error
	if b.arena, err = appendPlain(b.arena, id); err != nil {
		return fmt.Errorf("read id: %w", err)
	}
	b.end(id == nil)
	if b.m.spelled && b.side == Source {
		if err = b.appendSpelled(keys); err != nil {
			return err
		}
	}
	b.end(false)
	null := false
	for i, v := range keys {
		if i > 0 {
			b.arena = append(b.arena, keyEscape, keySeparator)
		}
		if v == nil {
			null = true
			b.arena = append(b.arena, keyEscape, keyNull)
			continue
		}
		at := len(b.arena)
		if b.arena, err = b.codecs.keys[i].append(b.arena, v); err != nil {
			return b.wrap(b.m.keys[i], err)
		}
		b.arena = escapeKeyPart(b.arena, at)
	}
	b.end(null)
	for i, v := range cells {
		if v != nil {
			if b.arena, err = b.codecs.columns[i].append(b.arena, v); err != nil {
				return b.wrap(b.m.columns[i], err)
			}
		}
		b.end(v == nil)
	}
	return nil
}

// appendSpelled appends the key as the source writes it.
func (b *Batch) appendSpelled(keys []driver.Value) error {
	var err error
	for i, v := range keys {
		if i > 0 {
			b.arena = append(b.arena, keyEscape, keySeparator)
		}
		at := len(b.arena)
		switch {
		case v == nil:
			b.arena = append(b.arena, keyEscape, keyNull)
			continue
		case b.m.keys[i].lossy():
			b.arena, err = appendPlain(b.arena, v)
		default:
			b.arena, err = b.codecs.keys[i].append(b.arena, v)
		}
		if err != nil {
			return b.wrap(b.m.keys[i], err)
		}
		b.arena = escapeKeyPart(b.arena, at)
	}
	return nil
}

func (b *Batch) end(null bool) {
	n := len(b.arena) << 1
	if null {
		n |= 1
	}
	b.ends = append(b.ends, n)
}

func (b *Batch) wrap(r Rule, err error) error {
	return fmt.Errorf("read %s column %s: %w", b.side, r.column(b.side).Name, err)
}

// appendPlain appends the text of a value, whatever its column. nil is nothing.
func appendPlain(dst []byte, v driver.Value) ([]byte, error) {
	switch v := v.(type) {
	case nil:
		return dst, nil
	case int64:
		return strconv.AppendInt(dst, v, 10), nil
	case uint64:
		return strconv.AppendUint(dst, v, 10), nil
	case []byte:
		return append(dst, v...), nil
	case string:
		return append(dst, v...), nil
	case float32:
		return appendShortest(dst, float64(v), 32), nil
	case float64:
		return appendShortest(dst, v, 64), nil
	}
	return dst, fmt.Errorf("unexpected value of type %T", v)
}

// Mapping is the mapping that the batch was made with.
func (b *Batch) Mapping() *Mapping { return b.m }

// Side is the side that the batch was made for.
func (b *Batch) Side() Side { return b.side }

// Len is the number of rows.
func (b *Batch) Len() int { return len(b.ends) / b.stride }

// Bytes is the size of the rows' memory, for limits.
func (b *Batch) Bytes() int { return len(b.arena) + 8*len(b.ends) }

// Reset empties the batch and keeps its memory.
func (b *Batch) Reset() {
	b.arena, b.ends, b.indexed = b.arena[:0], b.ends[:0], false
}

// ID is the text of row i's id, decimal for an integer.
func (b *Batch) ID(i int) string { return string(b.span(i, endID)) }

// HasNullID says that row i has no id: its id column is NULL, or it is of a side that has none.
func (b *Batch) HasNullID(i int) bool { return b.ends[i*b.stride+endID]&1 != 0 }

// Key is the key of row i. On the source it keeps the source's spelling where the canonical form loses it, so that
// Key.SourceArgs finds the row again.
func (b *Batch) Key(i int) Key {
	if b.m.spelled && b.side == Source {
		return Key{string(b.span(i, endSpelled))}
	}
	return Key{string(b.KeyBytes(i))}
}

// KeyBytes is the canonical form by which row i is matched with rows of the other side. It is valid until the next
// Append or Reset.
func (b *Batch) KeyBytes(i int) []byte { return b.span(i, endKey) }

// HasNullKey says that a part of row i's key is NULL. Such a row matches none.
func (b *Batch) HasNullKey(i int) bool { return b.ends[i*b.stride+endKey]&1 != 0 }

// Cell is the canonical form of row i's mapped column col, and whether it is NULL. It is valid until the next Append
// or Reset.
func (b *Batch) Cell(i, col int) (cell []byte, null bool) {
	return b.span(i, endCells+col), b.ends[i*b.stride+endCells+col]&1 != 0
}

// Version is a hash of row i's mapped cells: 64 bits of a SHA-256. It is the same for equal rows of both sides, and
// on every machine and in every run. It heeds no tolerance: see Nearby.
func (b *Batch) Version(i int) uint64 {
	h := sha256.New()
	for col := range b.m.columns {
		cell, null := b.Cell(i, col)
		writeCell(h, cell, null)
	}
	var sum [sha256.Size]byte
	return binary.BigEndian.Uint64(h.Sum(sum[:0]))
}

// writeCell puts a length before each cell, so that no value can slip into its neighbour; NULL is not empty.
func writeCell(h hash.Hash, cell []byte, null bool) {
	var head [9]byte
	if null {
		head[0] = 1
	}
	binary.BigEndian.PutUint64(head[1:], uint64(len(cell)))
	h.Write(head[:])
	h.Write(cell)
}

// span is the part of row i that ends at place.
func (b *Batch) span(i, place int) []byte {
	at := i*b.stride + place
	from := 0
	if at > 0 {
		from = b.ends[at-1] >> 1
	}
	return b.arena[from : b.ends[at]>>1 : b.ends[at]>>1]
}
