package row

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// The bytes of a key are its parts, in canonical form, one after the other:
//
//	part          its bytes, each 00 as 00 FF
//	between two   00 01
//	NULL part     00 02
//
// So a key of one part that holds no zero byte is just that part, no two keys share their bytes, and the number of
// parts can be read from them.
const (
	keyEscape    = 0x00
	keyZero      = 0xff
	keySeparator = 0x01
	keyNull      = 0x02
)

// Key is the value of byColumn of one row: one part for each of its columns. Keys are comparable with == and usable as
// keys of a map; two rows have one key exactly when all parts are equal in the source's form. The zero Key has one
// empty part.
type Key struct{ s string }

// NewKey makes a key of its parts in canonical form; a nil part is NULL.
func NewKey(parts ...[]byte) Key {
	var b []byte
	for i, p := range parts {
		if i > 0 {
			b = append(b, keyEscape, keySeparator)
		}
		if p == nil {
			b = append(b, keyEscape, keyNull)
			continue
		}
		at := len(b)
		b = escapeKeyPart(append(b, p...), at)
	}
	return Key{string(b)}
}

// escapeKeyPart escapes the part that begins at b[at] in place.
func escapeKeyPart(b []byte, at int) []byte {
	zeros := bytes.Count(b[at:], []byte{keyEscape})
	if zeros == 0 {
		return b
	}
	from := len(b) - 1
	for range zeros {
		b = append(b, 0)
	}
	for to := len(b) - 1; to > from; {
		c := b[from]
		if c == keyEscape {
			b[to] = keyZero
			to--
		}
		b[to] = c
		to--
		from--
	}
	return b
}

// Parts are the key's parts in canonical form, in new memory; a NULL part is nil.
func (k Key) Parts() [][]byte {
	var parts [][]byte
	part := []byte{}
	for i := 0; i < len(k.s); i++ {
		c := k.s[i]
		if c != keyEscape || i+1 == len(k.s) {
			part = append(part, c)
			continue
		}
		i++
		switch k.s[i] {
		case keyZero:
			part = append(part, keyEscape)
		case keySeparator:
			parts = append(parts, part)
			part = []byte{}
		case keyNull:
			part = nil
		}
	}
	return append(parts, part)
}

// HasNull says that a part is NULL: such a key equals no row's key.
func (k Key) HasNull() bool {
	return hasNullPart(k.s)
}

// hasNullPart looks for 00 02. An escaped zero is followed by FF, so the pair can mean nothing else.
func hasNullPart(s string) bool { return strings.Contains(s, "\x00\x02") }

// maxLogBytes bounds what one value or key takes in a log line.
const maxLogBytes = 200

// String is the key for people: the text of MarshalText, cut at 200 bytes.
func (k Key) String() string {
	return string(appendBounded(nil, k.appendText(nil), maxLogBytes))
}

// MarshalText writes the parts with commas between them. A part of printable UTF-8 stands as it is, with a backslash
// before a comma or a backslash; any other, and one that begins with 0x, as 0x and hexadecimal digits; NULL is \N.
// UnmarshalText reads all of it back. The error is always nil.
func (k Key) MarshalText() ([]byte, error) { return k.appendText(nil), nil }

func (k Key) appendText(dst []byte) []byte {
	for i, p := range k.Parts() {
		if i > 0 {
			dst = append(dst, ',')
		}
		switch {
		case p == nil:
			dst = append(dst, `\N`...)
		case !printable(p) || bytes.HasPrefix(p, []byte("0x")):
			dst = append(dst, "0x"...)
			dst = hex.AppendEncode(dst, p)
		default:
			for _, c := range p {
				if c == ',' || c == '\\' {
					dst = append(dst, '\\')
				}
				dst = append(dst, c)
			}
		}
	}
	return dst
}

// UnmarshalText reads what MarshalText wrote.
func (k *Key) UnmarshalText(text []byte) error {
	var parts [][]byte
	for {
		part, rest, more, err := cutKeyPart(text)
		if err != nil {
			return fmt.Errorf("read key %q: %w", clip(text, maxLogBytes), err)
		}
		parts = append(parts, part)
		if !more {
			break
		}
		text = rest
	}
	*k = NewKey(parts...)
	return nil
}

// cutKeyPart reads one part; more says that a comma followed it.
func cutKeyPart(text []byte) (part, rest []byte, more bool, err error) {
	part = []byte{}
	null := false
	i := 0
	for ; i < len(text) && text[i] != ','; i++ {
		if text[i] != '\\' {
			part = append(part, text[i])
			continue
		}
		i++
		switch {
		case i == len(text):
			return nil, nil, false, fmt.Errorf("nothing follows the last backslash")
		case text[i] == 'N' && i == 1:
			null = true
		case text[i] == ',' || text[i] == '\\':
			part = append(part, text[i])
		default:
			return nil, nil, false, fmt.Errorf("unknown escape \\%c", text[i])
		}
	}
	if i < len(text) {
		rest, more = text[i+1:], true
	}
	if null {
		if len(part) > 0 {
			return nil, nil, false, fmt.Errorf(`text follows \N`)
		}
		return nil, rest, more, nil
	}
	if bytes.HasPrefix(text, []byte("0x")) {
		out := make([]byte, hex.DecodedLen(len(part)-2))
		if _, err := hex.Decode(out, part[2:]); err != nil {
			return nil, nil, false, err
		}
		part = out
	}
	return part, rest, more, nil
}

func printable(b []byte) bool {
	for len(b) > 0 {
		r, n := utf8.DecodeRune(b)
		if r == utf8.RuneError && n == 1 || !unicode.IsPrint(r) {
			return false
		}
		b = b[n:]
	}
	return true
}
