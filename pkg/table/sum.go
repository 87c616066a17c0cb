package table

import (
	"context"
	"database/sql/driver"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/masixun71/cupid/pkg/chunk"
	"github.com/masixun71/cupid/pkg/row"
)

// Sum is the checksum of a range on one side. Two are compared with ==.
type Sum struct {
	// Rows is how many rows were added up.
	Rows int64
	// Hash has the keys and the mapped values of the rows in it.
	Hash uint64
}

// HasSums reports whether SumParts works for a chunk: for those of a sweep where its plan
// says Checksum, and there also for those of an insert scan where it says Inserts.
func (p *Pair) HasSums(ctx context.Context, c chunk.Chunk) (bool, error) {
	pl, err := p.plan(ctx)
	if err != nil {
		return false, err
	}
	switch c.Scan {
	case chunk.Sweep:
		return pl.sweep.Checksum, nil
	case chunk.Insert:
		return pl.sweep.Inserts, nil
	case chunk.Update:
	}
	return false, nil
}

// bothSums reads sums of both sides at the same time, on a connection each.
func (p *Pair) bothSums(ctx context.Context, pl *plan, c chunk.Chunk, read func(ctx context.Context, on row.Side) ([]Sum, error)) (src, des []Sum, err error) {
	if !pl.sweep.Checksum {
		return nil, nil, fmt.Errorf("checksum %s: %s", c, pl.sweep.Why)
	}
	err = together(ctx, func(ctx context.Context) (err error) {
		src, err = read(ctx, row.Source)
		return err
	}, func(ctx context.Context) (err error) {
		des, err = read(ctx, row.Destination)
		return err
	})
	if err != nil {
		return nil, nil, p.failed(pl, err)
	}
	return src, des, nil
}

func (p *Pair) side(on row.Side) *side {
	if on == row.Destination {
		return p.des
	}
	return p.src
}

// sumOf reads COUNT(*) and the expression of a summer.
func sumOf(values []driver.Value) (Sum, error) {
	rows, ok := values[0].(int64)
	if !ok {
		return Sum{}, fmt.Errorf("COUNT(*) is a %T", values[0])
	}
	hash, err := strconv.ParseUint(valueText(values[1]), 10, 64) // the driver prints what no int64 can hold
	if err != nil {
		return Sum{}, fmt.Errorf("read BIT_XOR: %w", err)
	}
	return Sum{rows, hash}, nil
}

// hash is a way to hash the rows of both sides.
type hash int

const (
	hashCRC32       hash = iota // of any two servers
	hashMariaCRC32              // the same between two MariaDB, which put a float into a text as it is stored
	hashMariaCRC32C             // another polynomial, which sees what CRC32 misses; from 10.8 on
	hashSHA2                    // 64 bits of SHA-256
)

// summer makes the expressions that add up the rows of a side.
type summer struct {
	keys, columns []columnPair // columns without those that are of the key, too
	hashes        [2]hash      // by the salt's lowest bit
}

// summer chooses the hashes. CRC32 has 32 bits and is linear: two values that it
// does not tell apart it never does, whatever is put before them. So every second
// salt takes another function. SHA-2 costs a MySQL server a fifth more, and a MariaDB
// twice as much.
func (b planner) summer(keys, columns []columnPair) summer {
	s := summer{keys: keys}
	for _, cp := range columns {
		if !slices.ContainsFunc(keys, cp.same) {
			s.columns = append(s.columns, cp)
		}
	}
	if len(s.columns) == 0 {
		s.columns = s.keys
	}
	src, des := parseServer(b.src.server.Version), parseServer(b.des.server.Version)
	crc32c := func(s server) bool { return s.Major > 10 || s.Major == 10 && s.Minor >= 8 }
	switch {
	case !src.MariaDB && !des.MariaDB:
		s.hashes = [2]hash{hashSHA2, hashSHA2}
	case !src.MariaDB || !des.MariaDB:
		s.hashes = [2]hash{hashCRC32, hashSHA2}
	case crc32c(src) && crc32c(des):
		s.hashes = [2]hash{hashMariaCRC32, hashMariaCRC32C}
	default:
		s.hashes = [2]hash{hashMariaCRC32, hashSHA2}
	}
	return s
}

// same reports whether two pairs are of the same columns.
func (cp columnPair) same(o columnPair) bool {
	return cp.rule.Source().Name == o.rule.Source().Name && cp.rule.Destination().Name == o.rule.Destination().Name
}

// expression adds up all rows. It has one parameter, the salt. The XOR of a linear
// hash would not see two rows that swap their values, so a row's is multiplied with its
// key's; the salt varies the factors.
func (s summer) expression(side row.Side, salt uint32) string {
	h := s.hashes[salt&1]
	if h == hashSHA2 {
		text := h.text(side, slices.Concat(s.keys, s.columns), "?")
		return "BIT_XOR(CAST(CONV(LEFT(SHA2(" + text + ", 256), 16), 16, 10) AS UNSIGNED))"
	}
	return "BIT_XOR(" + h.of(h.text(side, s.columns, "")) + " * ((" + h.of(s.keyText(h, side)) + " ^ ?) | 1))"
}

// keyText is what is hashed of a row's key.
func (s summer) keyText(h hash, side row.Side) string {
	if len(s.keys) == 1 {
		return h.value(side, s.keys[0])
	}
	return h.text(side, s.keys, "")
}

// of is the hash of an expression, as a number or a text without commas.
func (h hash) of(expression string) string {
	switch h {
	case hashMariaCRC32C:
		return "CRC32C(" + expression + ")"
	case hashSHA2:
		return "SHA2(" + expression + ", 256)"
	case hashCRC32, hashMariaCRC32:
	}
	return "CRC32(" + expression + ")"
}

// separator parts values, and null stands for NULL. No text in utf8mb4 has either byte, nor
// has a number. Both are binary, which makes all of the text binary: nothing is converted
// that need not be, and character sets and collations do not clash.
const (
	separator = "CAST(0xFF AS BINARY)"
	null      = "CAST(0xFE AS BINARY)"
)

// text is one text of the values of all pairs, after a first one if that is given. It
// is unambiguous: values that are text or number are parted by the separator, those of a
// fixed length need none. Of those that may have any bytes in them the lengths, but that of the
// last, and which ones are NULL stand at the end.
func (h hash) text(side row.Side, pairs []columnPair, first string) string {
	parts := []string{separator}
	if first != "" {
		parts = append(parts, first)
	}
	var lengths, nulls []string
	for _, cp := range pairs {
		value := h.value(side, cp)
		nullable := columnOf(cp.rule, side).Nullable
		switch {
		case cp.anyBytes():
			lengths = append(lengths, "LENGTH("+value+")")
			if cp.rule.Source().Nullable || cp.rule.Destination().Nullable {
				flag := "0"
				if nullable {
					flag = "ISNULL(" + quote(columnOf(cp.rule, side).Name) + ")"
				}
				nulls = append(nulls, fmt.Sprintf("(%s << %d)", flag, len(nulls)%maxFlags))
			}
		case nullable && !h.stored(cp):
			value = "IFNULL(" + value + ", " + null + ")"
		}
		parts = append(parts, value)
	}
	if len(lengths) > 0 {
		parts = append(parts, lengths[:len(lengths)-1]...)
	}
	for flags := range slices.Chunk(nulls, maxFlags) {
		parts = append(parts, strings.Join(flags, " | "))
	}
	return "CONCAT_WS(" + strings.Join(parts, ", ") + ")"
}

// maxFlags is how many columns share a number that says which of them are NULL.
const maxFlags = 60

func columnOf(r row.Rule, side row.Side) row.Column {
	if side == row.Destination {
		return r.Destination()
	}
	return r.Source()
}

// anyBytes reports whether the value of a pair may have any bytes in it.
func (cp columnPair) anyBytes() bool {
	return cp.rule.Shape() == row.ShapeBytes && !cp.long() && (!isUTF8(cp.rule.Source()) || !isUTF8(cp.rule.Destination()))
}

// isUTF8 reports whether bytesText of a column is text in utf8mb4. An ASCII column of some
// servers holds bytes that are none.
func isUTF8(c row.Column) bool {
	return c.DataType == "date" || slices.Contains(printedTypes, c.DataType) || isText(c) && c.Charset != "" && c.Charset != "ascii"
}
