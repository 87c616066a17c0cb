package row

import (
	"database/sql/driver"
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"
)

// form is a canonical form. Every form is text that its own codec reads back to the same text, so a key can be
// stored in canonical form and be compared again later.
type form uint8

const (
	formBytes        form = iota // the bytes as delivered
	formNone                     // no common form
	formNumber                   // exact decimal text: -12.5
	formFloat32                  // shortest text of the nearest float32
	formFloat64                  // shortest text of the nearest float64
	formDateTime                 // 2006-01-02 15:04:05.000, with the rule's digits
	formTime                     // -838:59:59.000, with the rule's digits
	formTemporalText             // as above without the fraction's trailing zeros
	formJSON                     // sorted, unescaped, exact numbers; bytes that are no JSON as they are
)

// formOf is the table of the package comment. It is symmetric.
func formOf(a, b kind) form {
	either := func(is func(kind) bool) bool { return is(a) || is(b) }
	both := func(is func(kind) bool) bool { return is(a) && is(b) }
	exactly := func(k, l kind) bool { return a == k && b == l || a == l && b == k }
	switch {
	case either(func(k kind) bool { return k == kindOpaque }):
		if both(func(k kind) bool { return k == kindOpaque || k.bytes() }) {
			return formBytes
		}
		return formNone
	case exactly(kindBit, kindBinary), both(kind.bytes), exactly(kindDate, kindDate):
		return formBytes
	case either(func(k kind) bool { return k == kindJSON }):
		if either(kind.temporal) {
			return formNone
		}
		return formJSON
	case either(kind.temporal):
		return temporalForm(a, b)
	case both(kind.number), either(kind.float) && either(kind.integer):
		return formNumber
	case either(func(k kind) bool { return k == kindFloat }):
		return formFloat32
	case either(kind.float):
		return formFloat64
	}
	return formNumber // a number against text
}

func (k kind) integer() bool { return k == kindInt || k == kindBit || k == kindYear }

func temporalForm(a, b kind) form {
	switch {
	case a.bytes() || b.bytes():
		return formTemporalText
	case a == kindTime && b == kindTime:
		return formTime
	case a.temporal() && b.temporal() && a != kindTime && b != kindTime:
		return formDateTime
	}
	return formNone
}

// codec writes the values of one column in a rule's form.
type codec struct {
	form     form
	kind     kind // of the column itself
	temporal kind // of the temporal column of the pair, in formTemporalText
	digits   int
	round    bool
}

var errNull = errors.New("NULL has no canonical form")

func (c codec) append(dst []byte, v driver.Value) ([]byte, error) {
	switch v := v.(type) {
	case nil:
		return dst, errNull
	case []byte:
		return c.appendBytes(dst, v)
	case string:
		return c.appendBytes(dst, []byte(v))
	case int64:
		return c.appendInt(dst, strconv.AppendInt(dst, v, 10), float64(v)), nil
	case uint64:
		return c.appendInt(dst, strconv.AppendUint(dst, v, 10), float64(v)), nil
	case bool:
		n := byte('0')
		if v {
			n = '1'
		}
		return append(dst, n), nil
	case float32:
		return c.appendFloat(dst, float64(v), 32), nil
	case float64:
		return c.appendFloat(dst, v, 64), nil
	}
	return dst, fmt.Errorf("unexpected value of type %T", v)
}

// appendInt keeps written, which is dst with the digits of an integer, unless the form wants a float.
func (c codec) appendInt(dst, written []byte, f float64) []byte {
	switch c.form {
	case formFloat32, formFloat64:
		return c.appendFloat(dst, f, 64)
	default:
		return written
	}
}

func (c codec) appendFloat(dst []byte, f float64, bits int) []byte {
	switch c.form {
	case formNumber:
		return appendExactFloat(dst, f, bits)
	case formFloat32:
		return appendShortest(dst, float64(float32(f)), 32)
	case formFloat64:
		return appendShortest(dst, f, 64)
	case formJSON:
		var buf [32]byte
		out, _ := appendNumeral(dst, appendShortest(buf[:0], f, bits), true)
		return out
	default:
		return appendShortest(dst, f, bits)
	}
}

func (c codec) appendBytes(dst, b []byte) ([]byte, error) {
	switch c.form {
	case formNumber, formFloat32, formFloat64:
		return c.appendNumberBytes(dst, b)
	case formJSON:
		if c.kind == kindJSON || c.kind.bytes() {
			return appendCanonicalJSON(dst, b), nil
		}
		return c.appendNumberBytes(dst, b)
	case formDateTime:
		return appendDateTime(dst, b, c.digits, c.round), nil
	case formTime:
		return appendTime(dst, b, c.digits, c.round), nil
	case formTemporalText:
		return appendTemporalText(dst, b, c.temporal), nil
	case formBytes, formNone:
	}
	return append(dst, b...), nil
}

// appendNumberBytes reads a number from bytes: bits, digits of the text protocol, a DECIMAL, or a text column in which
// somebody keeps numbers. Text that is no number stays as it is and so equals none, since every form of a number reads
// as a number.
func (c codec) appendNumberBytes(dst, b []byte) ([]byte, error) {
	if c.kind == kindBit {
		n, ok := bits(b)
		if !ok {
			return dst, fmt.Errorf("BIT value of %d bytes", len(b))
		}
		return c.appendInt(dst, strconv.AppendUint(dst, n, 10), float64(n)), nil
	}
	var ok bool
	out := dst
	switch {
	case c.kind.float(), c.form == formFloat32, c.form == formFloat64:
		var f float64
		if f, ok = parseFloat(b, c.floatBits()); ok {
			out = c.appendFloat(dst, f, c.floatBits())
		}
	default:
		out, ok = appendNumeral(dst, b, false)
	}
	if ok {
		return out, nil
	}
	if !c.kind.bytes() {
		return dst, fmt.Errorf("%q is no number", clip(b, 40))
	}
	return append(dst, b...), nil
}

// floatBits is the precision in which text of this column is read: its own for a FLOAT, else that of a double, as the
// server does it.
func (c codec) floatBits() int {
	if c.kind == kindFloat {
		return 32
	}
	return 64
}

// bits reads the big-endian bytes of a BIT.
func bits(b []byte) (uint64, bool) {
	for len(b) > 8 && b[0] == 0 {
		b = b[1:]
	}
	if len(b) > 8 {
		return 0, false
	}
	var buf [8]byte
	copy(buf[8-len(b):], b)
	return binary.BigEndian.Uint64(buf[:]), true
}

func clip(b []byte, n int) []byte { return b[:min(len(b), n)] }
