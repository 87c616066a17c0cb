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

// Sums adds up the rows of a sweep's chunk on both sides at the same time, on a
// connection each. The sums are equal when the rows are, as row.Compare and row.Orphans
// see it, and as good as only then: see the package comment. Rows with a NULL in their
// key are left out. It works where the plan of Sweep says Checksum.
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
	range_, err := pl.sweepRange(on, c)
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
	return s.read(ctx, "checksum "+c.String(), []query{q}, one(func(values []driver.Value) error {
		rows, ok := values[0].(int64)
		if !ok {
			return fmt.Errorf("COUNT(*) is a %T", values[0])
		}
		sum.Rows = rows
		hash, err := strconv.ParseUint(valueText(values[1]), 10, 64) // the driver prints what no int64 can hold
		if err != nil {
			return fmt.Errorf("read BIT_XOR: %w", err)
		}
		sum.Hash = hash
		return nil
	}))
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

// longTypes may hold values whose concatenation is more than max_allowed_packet, which
// would make it NULL. They are hashed on their own.
var longTypes = []string{"text", "mediumtext", "longtext", "blob", "mediumblob", "longblob"}

func (cp columnPair) long() bool {
	return slices.Contains(longTypes, cp.rule.Source().DataType) || slices.Contains(longTypes, cp.rule.Destination().DataType)
}

// value is what a server prints for the value of a pair's column; NULL for NULL.
func (h hash) value(side row.Side, cp columnPair) string {
	c, other, expression := cp.rule.Source(), cp.rule.Destination(), cp.src
	if side == row.Destination {
		c, other, expression = other, c, cp.des
	}
	switch cp.rule.Shape() {
	case row.ShapeNumber:
		return numberText(c, other, expression)
	case row.ShapeFloat:
		return h.floatText(expression)
	case row.ShapeDateTime:
		return dateTimeText(c, expression, cp.rule)
	case row.ShapeTime:
		return timeText(c, expression, cp.rule)
	case row.ShapeBytes, row.ShapeNone:
	}
	text := bytesText(c, expression)
	if cp.long() {
		return h.of(text)
	}
	return text
}

// bytesText is text in utf8mb4. Of the character sets whose bytes are those of utf8mb4
// it is the column itself.
func bytesText(c row.Column, expression string) string {
	switch {
	case slices.Contains([]string{"uuid", "inet4", "inet6"}, c.DataType):
		return "CAST(" + expression + " AS CHAR)"
	case isText(c) && !slices.Contains([]string{"", "utf8mb4", "utf8mb3", "utf8", "ascii"}, c.Charset):
		return "CONVERT(" + expression + " USING utf8mb4)"
	}
	return expression
}

// numberText is a number without leading zeros, and without trailing ones of the
// fraction where the other side may have fewer.
func numberText(c, other row.Column, expression string) string {
	if c.DataType == "bit" || c.DataType == "year" || strings.Contains(strings.ToLower(c.ColumnType), "zerofill") {
		expression = "(" + expression + " + 0)"
	}
	if c.Scale > 0 && isDecimal(c) && c.Scale != other.Scale {
		return "TRIM(TRAILING '.' FROM TRIM(TRAILING '0' FROM " + expression + "))"
	}
	return expression
}

// floatText avoids printing a float where it can, which is half of all work. Adding
// zero makes -0.0 0.0, and a FLOAT the double it is, instead of six digits of it.
func (h hash) floatText(expression string) string {
	if h == hashSHA2 {
		return "(" + expression + " + 0e0)" // 32 bits of a value would be too few here
	}
	return h.of("POINT(" + expression + " + 0e0, 0)")
}

const (
	dateTimeLen = len("2006-01-02 15:04:05")
	microDigits = 6
)

// dateTimeText brings a time to the fractional digits of the coarser side.
func dateTimeText(c row.Column, expression string, r row.Rule) string {
	digits := r.Digits()
	if c.DataType == "date" {
		midnight := " 00:00:00"
		if digits > 0 {
			midnight += "." + strings.Repeat("0", digits)
		}
		return "CONCAT(" + expression + ", " + literal(midnight) + ")"
	}
	if c.FSP <= digits {
		return expression
	}
	length := dateTimeLen
	if digits > 0 {
		length += 1 + digits
	}
	if r.RoundFraction {
		// The digit behind the last one that counts. What has no next moment (zero, the end
		// of all time) stays as it is.
		at := max(length, dateTimeLen+1) + 1
		micros := "1" + strings.Repeat("0", microDigits-digits)
		expression = fmt.Sprintf("IF(SUBSTRING(%[1]s, %[2]d, 1) >= '5', IFNULL(%[1]s + INTERVAL %[3]s MICROSECOND, %[1]s), %[1]s)",
			expression, at, micros)
	}
	return fmt.Sprintf("LEFT(%s, %d)", expression, length)
}

// timeText cuts a TIME to the fractional digits of the coarser side.
func timeText(c row.Column, expression string, r row.Rule) string {
	cut := c.FSP - r.Digits()
	if cut <= 0 {
		return expression
	}
	zero := "00:00:00"
	if r.Digits() == 0 {
		cut++ // the point
	} else {
		zero += "." + strings.Repeat("0", r.Digits())
	}
	short := fmt.Sprintf("LEFT(%[1]s, CHAR_LENGTH(%[1]s) - %[2]d)", expression, cut)
	return fmt.Sprintf("IF(%[1]s = '-%[2]s', '%[2]s', %[1]s)", short, zero)
}
