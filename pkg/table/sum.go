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

// HasSums reports whether Sums works for a chunk: for those of a sweep where its plan
// says Checksum, and there also for those of an insert scan whose ids are the keys.
func (p *Pair) HasSums(ctx context.Context, c chunk.Chunk) (bool, error) {
	pl, err := p.plan(ctx)
	if err != nil {
		return false, err
	}
	switch c.Scan {
	case chunk.Sweep:
		return pl.sweep.Checksum, nil
	case chunk.Insert:
		return pl.sweep.Checksum && pl.sweep.byID, nil
	case chunk.Update:
	}
	return false, nil
}

// Sums adds up the rows of a chunk on both sides at the same time, on a
// connection each. The sums are equal when the rows are, as row.Compare and row.Orphans
// see it, and as good as only then: see the package comment. Rows with a NULL in their
// key are left out. It works where HasSums says so.
func (p *Pair) Sums(ctx context.Context, c chunk.Chunk) (src, des Sum, err error) {
	pl, err := p.plan(ctx)
	if err != nil {
		return Sum{}, Sum{}, err
	}
	if !pl.sweep.Checksum {
		return Sum{}, Sum{}, fmt.Errorf("checksum %s: %s", c, pl.sweep.Why)
	}
	err = together(ctx, func(ctx context.Context) error {
		return p.sum(ctx, pl, row.Source, c, &src)
	}, func(ctx context.Context) error {
		return p.sum(ctx, pl, row.Destination, c, &des)
	})
	if err != nil {
		return Sum{}, Sum{}, p.failed(pl, err)
	}
	return src, des, nil
}

// sumQuery adds up a chunk on one side.
func (p *Pair) sumQuery(pl *plan, on row.Side, c chunk.Chunk) (query, error) {
	range_, err := pl.sumRange(on, c)
	if err != nil {
		return query{}, err
	}
	s := p.side(on)
	where, args := s.where(range_)
	return query{
		"SELECT COUNT(*), " + pl.sweep.sums.expression(on, c.Salt) + " FROM " + quote(s.o.Table) + where,
		append([]driver.Value{int64(c.Salt)}, args...),
	}, nil
}

func (p *Pair) side(on row.Side) *side {
	if on == row.Destination {
		return p.des
	}
	return p.src
}

func (p *Pair) sum(ctx context.Context, pl *plan, on row.Side, c chunk.Chunk, sum *Sum) error {
	s := p.side(on)
	q, err := p.sumQuery(pl, on, c)
	if err != nil {
		return s.explain(ctx, "checksum range", err)
	}
	return s.read(ctx, "checksum "+c.String(), []query{q}, one(func(values []driver.Value) (err error) {
		*sum, err = sumOf(values)
		return err
	}))
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
	hashCRC32  hash = iota
	hashCRC32C      // another polynomial, which sees what CRC32 misses; MariaDB from 10.8 on
	hashSHA2        // 64 bits of SHA-256
)

// summer makes the expressions that add up the rows of a side.
type summer struct {
	keys, columns []columnPair
	hashes        [2]hash // by the salt's lowest bit
}

// summer chooses the hashes. CRC32 has 32 bits and is linear: two values that it
// does not tell apart it never does, whatever is put before them. So every second
// salt takes another function. SHA-2 costs a MySQL server a fifth more, and a MariaDB
// twice as much.
func (b planner) summer(keys, columns []columnPair) summer {
	s := summer{keys: keys, columns: columns}
	src, des := parseServer(b.src.server.Version), parseServer(b.des.server.Version)
	crc32c := func(s server) bool { return s.MariaDB && (s.Major > 10 || s.Major == 10 && s.Minor >= 8) }
	switch {
	case !src.MariaDB && !des.MariaDB:
		s.hashes = [2]hash{hashSHA2, hashSHA2}
	case crc32c(src) && crc32c(des):
		s.hashes = [2]hash{hashCRC32, hashCRC32C}
	default:
		s.hashes = [2]hash{hashCRC32, hashSHA2}
	}
	if len(s.columns) == 0 {
		s.columns = s.keys
	}
	return s
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
	key := h.text(side, s.keys, "")
	if len(s.keys) == 1 {
		key = h.value(side, s.keys[0])
	}
	return "BIT_XOR(" + h.of(h.text(side, s.columns, "")) + " * ((" + h.of(key) + " ^ ?) | 1))"
}

// of is the hash of an expression, as a number or a text without commas.
func (h hash) of(expression string) string {
	switch h {
	case hashCRC32C:
		return "CRC32C(" + expression + ")"
	case hashSHA2:
		return "SHA2(" + expression + ", 256)"
	case hashCRC32:
	}
	return "CRC32(" + expression + ")"
}

// text is one text of the values of all pairs, after a first one if that is given. It
// is unambiguous: values are parted by commas, NULL left out; the lengths of those that
// may have commas in them, but the last, and which ones are NULL stand at the end.
//
// The separator is binary, which makes all of the text binary: nothing is converted that
// need not be, and character sets and collations do not clash.
func (h hash) text(side row.Side, pairs []columnPair, first string) string {
	parts := []string{"CAST(',' AS BINARY)"}
	if first != "" {
		parts = append(parts, first)
	}
	var lengths, nulls []string
	for _, cp := range pairs {
		value := h.value(side, cp)
		parts = append(parts, value)
		if cp.commas() {
			lengths = append(lengths, "LENGTH("+value+")")
		}
		if cp.rule.Source().Nullable || cp.rule.Destination().Nullable {
			null := "0"
			if c := columnOf(cp.rule, side); c.Nullable {
				null = "ISNULL(" + quote(c.Name) + ")"
			}
			nulls = append(nulls, fmt.Sprintf("(%s << %d)", null, len(nulls)%maxFlags))
		}
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

// commas reports whether the value of a pair may have any bytes in it.
func (cp columnPair) commas() bool {
	return cp.rule.Shape() == row.ShapeBytes && cp.rule.Source().DataType != "date" && !cp.long()
}
