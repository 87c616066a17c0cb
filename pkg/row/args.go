package row

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"unicode/utf8"
)

// ErrImpossibleKey says that no row can have the key, because a part of it is NULL or is no value of its column's type,
// such as 'abc' for an INT: on the destination the row is missing, and no query is needed to know it. Test with ==
// or errors.Is.
var ErrImpossibleKey = errors.New("row: no row of the table can have this key")

// ErrOtherColumns says that the key is not one of this byColumn: it has another number of parts. Test with errors.Is.
var ErrOtherColumns = errors.New("row: the key is of another number of columns")

// Args are the values to bind when the destination is asked for the key, each in its column's type, so that the server
// compares as the column does and uses its index: int64 or uint64 for integers, YEAR and BIT, float64 for floats, string
// for text and times, []byte for binary columns, string or int64 (only where the column has no fraction) for DECIMAL.
func (k Key) Args(rules []Rule) ([]any, error) { return k.AppendArgs(nil, Destination, rules) }

// SourceArgs is Args for the source.
func (k Key) SourceArgs(rules []Rule) ([]any, error) { return k.AppendArgs(nil, Source, rules) }

// AppendArgs is Args, for either side, appended to dst. With an error dst is returned as it was: ErrImpossibleKey, or
// ErrOtherColumns if the key does not have the rules' number of parts.
func (k Key) AppendArgs(dst []any, side Side, rules []Rule) ([]any, error) {
	if len(rules) == 1 && strings.IndexByte(k.s, keyEscape) < 0 { // the usual key: nothing to split
		arg, err := rules[0].keyArg(side, []byte(k.s))
		if err != nil {
			return dst, err
		}
		return append(dst, arg), nil
	}
	parts := k.Parts()
	if len(parts) != len(rules) {
		return dst, fmt.Errorf("bind key %s: %w: %d parts for %d columns", k, ErrOtherColumns, len(parts), len(rules))
	}
	out := dst
	for i, part := range parts {
		arg, err := rules[i].keyArg(side, part)
		if err != nil {
			return dst, err
		}
		out = append(out, arg)
	}
	return out, nil
}

// keyArg converts one part of a key, which is as the source spells it. What the source's own reading refuses is a key
// of no table.
func (r *Rule) keyArg(side Side, part []byte) (any, error) {
	if part == nil {
		return nil, ErrImpossibleKey
	}
	if side == Destination && r.lossy() {
		var err error
		if part, err = r.AppendSource(nil, part); err != nil {
			return nil, ErrImpossibleKey
		}
	}
	return r.arg(side, part)
}

// arg converts a part in canonical form, or for the source as the source spells it. It keeps no memory of the part.
func (r *Rule) arg(side Side, part []byte) (any, error) {
	c := &r.src
	if side == Destination {
		c = &r.des
	}
	switch k := r.kinds[side]; k {
	case kindInt:
		return c.intArg(part)
	case kindBit:
		return r.bitArg(c, part)
	case kindYear:
		return boundedInt(part, 0, 2155)
	case kindDecimal:
		return c.decimalArg(part)
	case kindFloat, kindDouble:
		return floatArg(part, k)
	case kindDate, kindDateTime, kindTime:
		return r.temporalArg(k, part)
	case kindText, kindJSON:
		if side == Destination {
			part = r.printed(part)
		}
		if !utf8.Valid(part) {
			return nil, ErrImpossibleKey
		}
		return string(part), nil
	case kindBinary, kindOpaque:
	}
	return bytes.Clone(part), nil
}

var intBytes = map[string]int{"tinyint": 1, "bool": 1, "boolean": 1, "smallint": 2, "mediumint": 3, "int": 4, "integer": 4}

func (c *Column) intArg(part []byte) (any, error) {
	width := 8
	if n, ok := intBytes[c.DataType]; ok {
		width = n
	}
	if c.Unsigned {
		n, err := strconv.ParseUint(string(part), 10, 8*width)
		if err != nil {
			return nil, ErrImpossibleKey
		}
		return n, nil
	}
	limit := int64(math.MaxInt64) >> (64 - 8*width)
	return boundedInt(part, -limit-1, limit)
}

func boundedInt(part []byte, low, high int64) (any, error) {
	n, err := strconv.ParseInt(string(part), 10, 64)
	if err != nil || n < low || n > high {
		return nil, ErrImpossibleKey
	}
	return n, nil
}

func (r *Rule) bitArg(c *Column, part []byte) (any, error) {
	if r.form == formBytes {
		if n, ok := bits(part); ok {
			return n, nil
		}
		return nil, ErrImpossibleKey
	}
	n, err := strconv.ParseUint(string(part), 10, 64)
	if err != nil || c.Length > 0 && c.Length < 64 && n>>c.Length != 0 {
		return nil, ErrImpossibleKey
	}
	return n, nil
}

// decimalArg binds an integer where it can: the server compares a DECIMAL with a string as two floats, and with an
// integer exactly.
func (c *Column) decimalArg(part []byte) (any, error) {
	if _, ok := splitNumeral(part, true); !ok {
		return nil, ErrImpossibleKey
	}
	if c.Scale == 0 {
		if n, err := strconv.ParseInt(string(part), 10, 64); err == nil {
			return n, nil
		}
	}
	return string(part), nil
}

func floatArg(part []byte, k kind) (any, error) {
	size := 64
	if k == kindFloat {
		size = 32
	}
	f, ok := parseFloat(part, size)
	if !ok {
		return nil, ErrImpossibleKey
	}
	return f, nil
}

func (r *Rule) temporalArg(k kind, part []byte) (any, error) {
	if k == kindDate && r.form == formDateTime && len(part) > dateLen {
		if len(bytes.Trim(part[dateLen:], " 0:.")) > 0 {
			return nil, ErrImpossibleKey
		}
		part = part[:dateLen]
	}
	if !validTemporal(part, k) {
		return nil, ErrImpossibleKey
	}
	return string(part), nil
}

// printed is the text that the source's server prints for a canonical number or time, with all its fractional digits,
// which is how its values ended up in a text column of the destination.
func (r *Rule) printed(part []byte) []byte {
	switch k := r.kinds[Source]; {
	case k == kindDecimal && r.form == formNumber:
		if _, ok := splitNumeral(part, false); ok {
			return padFraction(part, r.src.Scale)
		}
	case k.temporal() && isTemporal(part, k):
		return padFraction(part, r.src.FSP)
	}
	return part
}

// padFraction fills the fraction of a number or a time up with zeros to n digits.
func padFraction(b []byte, n int) []byte {
	if n <= 0 {
		return b
	}
	whole, frac, _ := bytes.Cut(b, []byte{'.'})
	if len(frac) >= n {
		return b
	}
	return appendFraction(bytes.Clone(whole), frac, n)
}
