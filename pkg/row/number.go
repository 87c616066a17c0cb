package row

import (
	"bytes"
	"math"
	"strconv"
)

// plainDigits is how many zeros a number may be written out with; beyond, an exponent is used. A DECIMAL has 65 digits
// at most and is always written out.
const plainDigits = 128

// numeral is a number split at its point. exp is the power of ten that the whole is multiplied by.
type numeral struct {
	neg         bool
	whole, frac []byte
	exp         int64
}

// splitNumeral reads -12.5 and, where exponents are allowed, -1.25e+1. Blanks, a plus sign, a bare point and an
// exponent of more than 15 digits are no number.
func splitNumeral(b []byte, exponent bool) (numeral, bool) {
	var n numeral
	if len(b) > 0 && b[0] == '-' {
		n.neg, b = true, b[1:]
	}
	i := digits(b)
	if i == 0 {
		return n, false
	}
	n.whole, b = b[:i], b[i:]
	if len(b) > 0 && b[0] == '.' {
		i = digits(b[1:])
		if i == 0 {
			return n, false
		}
		n.frac, b = b[1:1+i], b[1+i:]
	}
	if len(b) == 0 {
		return n, true
	}
	if !exponent || b[0] != 'e' && b[0] != 'E' {
		return n, false
	}
	b = b[1:]
	neg := false
	if len(b) > 0 && (b[0] == '+' || b[0] == '-') {
		neg, b = b[0] == '-', b[1:]
	}
	if len(b) == 0 || len(b) > 15 || digits(b) != len(b) {
		return n, false
	}
	for _, d := range b {
		n.exp = n.exp*10 + int64(d-'0')
	}
	if neg {
		n.exp = -n.exp
	}
	return n, true
}

func digits(b []byte) int {
	i := 0
	for i < len(b) && b[i]-'0' <= 9 {
		i++
	}
	return i
}

// appendNumeral appends the one text of b's value, or nothing and false if b is no number.
func appendNumeral(dst, b []byte, exponent bool) ([]byte, bool) {
	n, ok := splitNumeral(b, exponent)
	if !ok {
		return dst, false
	}
	return n.append(dst), true
}

func (n numeral) append(dst []byte) []byte {
	whole := bytes.TrimLeft(n.whole, "0")
	frac := bytes.TrimRight(n.frac, "0")
	if len(whole) == 0 && len(frac) == 0 {
		return append(dst, '0')
	}
	if n.neg {
		dst = append(dst, '-')
	}
	zeros := len(frac) - len(bytes.TrimLeft(frac, "0"))
	plain := len(whole) > 0 && (len(whole) <= plainDigits || len(frac) > 0) || len(whole) == 0 && zeros < plainDigits
	if n.exp != 0 || !plain {
		return n.appendShifted(dst)
	}
	if len(whole) == 0 {
		whole = []byte{'0'}
	}
	dst = append(dst, whole...)
	if len(frac) > 0 {
		dst = append(dst, '.')
		dst = append(dst, frac...)
	}
	return dst
}

// appendShifted writes a number with an exponent, or one so long that it gets one. The value is not zero.
func (n numeral) appendShifted(dst []byte) []byte {
	sig := append(append(make([]byte, 0, len(n.whole)+len(n.frac)), n.whole...), n.frac...)
	point := int64(len(n.whole)) + n.exp // digits before the point
	for sig[0] == '0' {
		sig = sig[1:]
		point--
	}
	sig = bytes.TrimRight(sig, "0")
	size := int64(len(sig))
	switch {
	case point > 0 && point < size:
		dst = append(dst, sig[:point]...)
		dst = append(dst, '.')
		return append(dst, sig[point:]...)
	case point >= size && point <= plainDigits:
		dst = append(dst, sig...)
		return appendZeros(dst, int(point-size))
	case point <= 0 && point > -plainDigits:
		dst = append(dst, '0', '.')
		dst = appendZeros(dst, int(-point))
		return append(dst, sig...)
	}
	dst = append(dst, sig[0])
	if size > 1 {
		dst = append(dst, '.')
		dst = append(dst, sig[1:]...)
	}
	dst = append(dst, 'e')
	return strconv.AppendInt(dst, point-1, 10)
}

func appendZeros(dst []byte, n int) []byte {
	for range n {
		dst = append(dst, '0')
	}
	return dst
}

// parseFloat reads a plain or exponential number; what does not fit a float64 is none.
func parseFloat(b []byte, bits int) (float64, bool) {
	if _, ok := splitNumeral(b, true); !ok {
		return 0, false
	}
	f, err := strconv.ParseFloat(string(b), bits)
	return f, err == nil
}

// appendShortest writes the shortest text that reads back to f in the given precision; -0.0 is 0.
func appendShortest(dst []byte, f float64, bits int) []byte {
	if f == 0 {
		return append(dst, '0')
	}
	return strconv.AppendFloat(dst, f, 'g', -1, bits)
}

// appendExactFloat writes a float that is compared with an integer: a whole number with every digit of its exact value,
// so that 2^53 does not pass for 2^53+1. Any other value equals no integer and only needs a text of its own.
func appendExactFloat(dst []byte, f float64, bits int) []byte {
	if f == 0 {
		return append(dst, '0')
	}
	if f == math.Trunc(f) && math.Abs(f) <= math.MaxUint64 {
		return strconv.AppendFloat(dst, f, 'f', 0, 64)
	}
	return strconv.AppendFloat(dst, f, 'g', -1, bits)
}
