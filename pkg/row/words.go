package row

import (
	"encoding/hex"
	"strconv"
	"unicode"
	"unicode/utf8"
)

// words is the second half of Describe.
func (r Rule) words() string {
	a, b := r.kinds[Source], r.kinds[Destination]
	switch r.form {
	case formNumber:
		switch {
		case a.bytes() || b.bytes():
			return "as decimal text, by value; text that is no plain number differs"
		case a.float() || b.float():
			return "by exact value, the float with all its digits"
		case a == kindDecimal || b == kindDecimal:
			return "by decimal value, trailing zeros ignored"
		}
		return "as 64-bit integers"
	case formFloat32:
		return "as single-precision floats, -0 is 0"
	case formFloat64:
		return "as double-precision floats, -0 is 0"
	case formDateTime, formTime:
		return r.temporalWords()
	case formTemporalText:
		return "as the server's text of the time, trailing zeros of the fraction ignored"
	case formJSON:
		return "as JSON by value: order of keys and blanks ignored, numbers exact"
	case formBytes, formNone:
	}
	switch {
	case a == kindText && b == kindText:
		return "text by bytes of utf8mb4, trailing spaces included"
	case a == kindDate:
		return "as date"
	}
	return "by bytes"
}

func (r Rule) temporalWords() string {
	if r.kinds[Source] != r.kinds[Destination] {
		return "the date as its midnight"
	}
	words := "to the second"
	if r.digits > 0 {
		words = "to " + strconv.Itoa(r.digits) + " fractional digits"
	}
	switch {
	case r.src.FSP == r.des.FSP:
		return words
	case r.RoundFraction:
		return words + ", the finer side rounded"
	}
	return words + ", the finer side cut"
}

// AppendLog appends a readable text of a value in canonical form to dst, 200 bytes at most: a number or a time bare,
// text in quotes with its control characters escaped, bytes that are no text in hexadecimal, and NULL. It is for people
// and cannot be read back.
func (r Rule) AppendLog(dst, canonical []byte, null bool) []byte {
	if null {
		return append(dst, "NULL"...)
	}
	head := clipRune(canonical, maxLogBytes)
	switch {
	case !utf8.Valid(head):
		text := hex.AppendEncode([]byte("0x"), head)
		return appendBoundedOf(dst, text, maxLogBytes, len(canonical))
	case r.bare():
		return appendBoundedOf(dst, canonical, maxLogBytes, len(canonical))
	}
	text := canonical
	if !printable(head) {
		text = escapeControls(head)
		if len(text) <= maxLogBytes-2 && len(head) < len(canonical) {
			text = append(text, canonical[len(head):]...)
		}
	}
	dst = append(dst, '\'')
	dst = appendBoundedOf(dst, text, maxLogBytes-2, len(canonical))
	return append(dst, '\'')
}

// bare says that a value needs no quotes to be told from NULL.
func (r Rule) bare() bool {
	a, b := r.kinds[Source], r.kinds[Destination]
	switch r.form {
	case formBytes, formNone:
		return a == kindDate
	case formNumber, formFloat32, formFloat64, formTemporalText, formJSON:
		return !a.bytes() && !b.bytes()
	case formDateTime, formTime:
		return true
	}
	return false
}

// escapeControls writes what is not printable as Go does: \n, \u200b.
func escapeControls(text []byte) []byte {
	var out []byte
	for _, r := range string(text) {
		if unicode.IsPrint(r) {
			out = utf8.AppendRune(out, r)
			continue
		}
		q := strconv.AppendQuoteRune(nil, r)
		out = append(out, q[1:len(q)-1]...)
	}
	return out
}

// appendBounded appends text, cut at a rune if it is longer than limit bytes; the cut is marked with the length.
func appendBounded(dst, text []byte, limit int) []byte {
	return appendBoundedOf(dst, text, limit, len(text))
}

func appendBoundedOf(dst, text []byte, limit, size int) []byte {
	if len(text) <= limit {
		return append(dst, text...)
	}
	tail := strconv.AppendInt([]byte("…("), int64(size), 10)
	tail = append(tail, " bytes)"...)
	dst = append(dst, clipRune(text, limit-len(tail))...)
	return append(dst, tail...)
}

// clipRune cuts b at n bytes or up to three before, so that no rune is cut.
func clipRune(b []byte, n int) []byte {
	if len(b) <= n {
		return b
	}
	for i := n; i > max(n-utf8.UTFMax, 0); i-- {
		if utf8.RuneStart(b[i]) {
			return b[:i]
		}
	}
	return b[:n]
}
