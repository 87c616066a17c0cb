package row

import (
	"database/sql/driver"
	"encoding/base64"
	"fmt"
	"math"
	"strconv"
	"unicode/utf8"
)

// AppendJSON appends the JSON of a value of column c, as it stands in a callback's body: integers, YEAR, BIT and floats
// as numbers, a FLOAT with the digits of its own precision; DECIMAL, times, text and JSON columns as strings; binary and
// geometry columns as base64 (RFC 4648, padded); NULL as null. Bytes of a text that are no UTF-8 become U+FFFD. With
// asString everything but NULL is a string. An error means a value that the column cannot have; dst is then as it was.
func AppendJSON(dst []byte, c Column, v driver.Value, asString bool) ([]byte, error) {
	if v == nil {
		return append(dst, "null"...), nil
	}
	out, err := appendJSONValue(dst, c.kind(), v, asString)
	if err != nil {
		return dst, fmt.Errorf("write column %s: %w", c.Name, err)
	}
	return out, nil
}

func appendJSONValue(dst []byte, k kind, v driver.Value, asString bool) ([]byte, error) {
	switch k {
	case kindInt, kindBit, kindYear, kindFloat, kindDouble:
		if !asString {
			return appendJSONNumber(dst, k, v)
		}
		dst, err := appendJSONNumber(append(dst, '"'), k, v)
		return append(dst, '"'), err
	case kindDecimal, kindDate, kindDateTime, kindTime, kindJSON, kindText:
		return appendJSONText(dst, v)
	case kindBinary, kindOpaque:
	}
	b, err := plainBytes(v)
	dst = append(dst, '"')
	dst = base64.StdEncoding.AppendEncode(dst, b)
	return append(dst, '"'), err
}

func appendJSONNumber(dst []byte, k kind, v driver.Value) ([]byte, error) {
	if s, ok := v.(string); ok {
		v = []byte(s)
	}
	if !k.float() {
		return codec{form: formNumber, kind: k}.append(dst, v)
	}
	bits := codec{kind: k}.floatBits()
	var f float64
	switch v := v.(type) {
	case float64:
		f = v
	case float32:
		f = float64(v)
	case int64:
		f = float64(v)
	case []byte:
		var ok bool
		if f, ok = parseFloat(v, bits); !ok {
			return dst, fmt.Errorf("%q is no number", clip(v, 40))
		}
	default:
		return dst, fmt.Errorf("unexpected value of type %T", v)
	}
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return dst, fmt.Errorf("%v is no JSON number", f)
	}
	// As ECMAScript writes them: plain up to 21 digits.
	verb := byte('f')
	if abs := math.Abs(f); abs != 0 && (abs < 1e-6 || abs >= 1e21) {
		verb = 'e'
	}
	return strconv.AppendFloat(dst, f, verb, -1, bits), nil
}

func plainBytes(v driver.Value) ([]byte, error) {
	if b, ok := v.([]byte); ok {
		return b, nil
	}
	return appendPlain(nil, v)
}

func appendJSONText(dst []byte, v driver.Value) ([]byte, error) {
	b, err := plainBytes(v)
	dst = append(dst, '"')
	for len(b) > 0 {
		c := b[0]
		switch {
		case c == '"' || c == '\\':
			dst = append(dst, '\\', c)
		case c == '\n':
			dst = append(dst, '\\', 'n')
		case c < ' ' || c == 0x7f:
			dst = appendJSONControl(dst, c)
		case c < utf8.RuneSelf:
			dst = append(dst, c)
		default:
			r, n := utf8.DecodeRune(b)
			dst = utf8.AppendRune(dst, r) // U+FFFD for bytes that are none
			b = b[n:]
			continue
		}
		b = b[1:]
	}
	return append(dst, '"'), err
}
