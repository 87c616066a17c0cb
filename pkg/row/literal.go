package row

import (
	"encoding/hex"
	"math"
	"strconv"
	"unicode/utf8"
)

// AppendLiteral appends a value in canonical form as an SQL literal for the destination's column: stored there by a session
// in utf8mb4 and UTC whose sql_mode lets the value in, it compares equal again. Numbers stand bare; times and text in
// single quotes if they are printable ASCII without a quote or a backslash, so that they mean the same in every
// sql_mode; other text is _utf8mb4 with hexadecimal digits, and bytes are hexadecimal digits. null makes it NULL.
//
// No literal can do what the column cannot: hold 'abc' in an INT, bytes that are no text in a VARCHAR, or the thirtieth
// digit of a JSON number on MySQL. Then the server refuses or changes the value, and the rows differ as before.
func (r Rule) AppendLiteral(dst, canonical []byte, null bool) []byte {
	if null {
		return append(dst, "NULL"...)
	}
	switch k := r.kinds[Destination]; k {
	case kindInt, kindYear, kindDecimal, kindDouble:
		return appendNumberLiteral(dst, canonical)
	case kindFloat:
		return appendFloatLiteral(dst, canonical)
	case kindBit:
		if r.form != formBytes {
			return appendNumberLiteral(dst, canonical)
		}
	case kindDate, kindDateTime, kindTime, kindJSON, kindText:
		return appendTextLiteral(dst, canonical)
	case kindBinary, kindOpaque:
	}
	return appendHexLiteral(dst, canonical)
}

// appendNumberLiteral writes a number bare. What is none, as the text of a source that keeps numbers in one, is quoted:
// it must not become anything but a value.
func appendNumberLiteral(dst, b []byte) []byte {
	if _, ok := splitNumeral(b, true); !ok {
		return appendTextLiteral(dst, b)
	}
	return append(dst, b...)
}

// appendFloatLiteral writes a number for a FLOAT. The server reads it as a float64 and rounds that; where the second
// rounding would end in a neighbour of the value, it is written with every digit of the float64 that it is.
func appendFloatLiteral(dst, b []byte) []byte {
	f, ok := parseFloat(b, 32)
	if !ok {
		return appendNumberLiteral(dst, b)
	}
	if double, ok := parseFloat(b, 64); ok && math.Float32bits(float32(double)) == math.Float32bits(float32(f)) {
		return append(dst, b...)
	}
	return strconv.AppendFloat(dst, f, 'g', -1, 64)
}

func appendTextLiteral(dst, b []byte) []byte {
	for _, c := range b {
		if c < ' ' || c > '~' || c == '\'' || c == '\\' {
			if utf8.Valid(b) {
				dst = append(dst, "_utf8mb4 "...)
			}
			return appendHexLiteral(dst, b)
		}
	}
	dst = append(dst, '\'')
	dst = append(dst, b...)
	return append(dst, '\'')
}

func appendHexLiteral(dst, b []byte) []byte {
	dst = append(dst, "x'"...)
	dst = hex.AppendEncode(dst, b)
	return append(dst, '\'')
}
