package row

import (
	"bytes"
	"slices"
	"sync"
	"unicode/utf16"
	"unicode/utf8"
)

// maxJSONDepth is where nesting ends to be looked into. MySQL takes 100 levels, MariaDB 32.
const maxJSONDepth = 200

// jsonReader rewrites one JSON text into its canonical form: no blanks, objects sorted by key with the last of equal
// keys, as MySQL keeps it, strings with the fewest escapes, and numbers by appendNumeral, never through a float.
type jsonReader struct {
	in  []byte
	pos int
	out []byte

	members []jsonMember // of all open objects, the innermost last
	tmp     []byte
}

// jsonMember is one "key":value, by its place in out.
type jsonMember struct{ start, keyEnd, end int }

var jsonReaders = sync.Pool{New: func() any { return new(jsonReader) }}

// appendCanonicalJSON appends the canonical form of b, or b itself if it is no JSON: that can equal no canonical form,
// as every one of those is JSON.
func appendCanonicalJSON(dst, b []byte) []byte {
	r, ok := jsonReaders.Get().(*jsonReader)
	if !ok {
		r = new(jsonReader)
	}
	r.in, r.pos, r.out, r.members = b, 0, dst, r.members[:0]
	r.skipBlanks()
	valid := r.value(0)
	if valid {
		r.skipBlanks()
		valid = r.pos == len(b)
	}
	out := r.out
	if !valid {
		out = append(out[:len(dst)], b...)
	}
	r.in, r.out = nil, nil
	jsonReaders.Put(r)
	return out
}

func (r *jsonReader) skipBlanks() {
	for r.pos < len(r.in) {
		switch r.in[r.pos] {
		case ' ', '\t', '\r', '\n':
			r.pos++
		default:
			return
		}
	}
}

// take goes past c if it is next.
func (r *jsonReader) take(c byte) bool {
	if r.pos < len(r.in) && r.in[r.pos] == c {
		r.pos++
		return true
	}
	return false
}

func (r *jsonReader) value(depth int) bool {
	if depth > maxJSONDepth || r.pos == len(r.in) {
		return false
	}
	switch r.in[r.pos] {
	case '{':
		return r.object(depth)
	case '[':
		return r.array(depth)
	case '"':
		return r.string()
	case 't':
		return r.word("true")
	case 'f':
		return r.word("false")
	case 'n':
		return r.word("null")
	}
	return r.number()
}

func (r *jsonReader) word(w string) bool {
	if !bytes.HasPrefix(r.in[r.pos:], []byte(w)) {
		return false
	}
	r.pos += len(w)
	r.out = append(r.out, w...)
	return true
}

func (r *jsonReader) number() bool {
	from := r.pos
	for r.pos < len(r.in) && bytes.IndexByte([]byte("+-.0123456789Ee"), r.in[r.pos]) >= 0 {
		r.pos++
	}
	n, ok := splitNumeral(r.in[from:r.pos], true)
	if !ok || len(n.whole) > 1 && n.whole[0] == '0' {
		return false
	}
	r.out = n.append(r.out)
	return true
}

func (r *jsonReader) array(depth int) bool {
	r.pos++
	r.out = append(r.out, '[')
	r.skipBlanks()
	for first := true; !r.take(']'); first = false {
		if !first {
			if !r.take(',') {
				return false
			}
			r.out = append(r.out, ',')
			r.skipBlanks()
		}
		if !r.value(depth + 1) {
			return false
		}
		r.skipBlanks()
	}
	r.out = append(r.out, ']')
	return true
}

func (r *jsonReader) object(depth int) bool {
	r.pos++
	r.out = append(r.out, '{')
	open := len(r.members)
	r.skipBlanks()
	for first := true; !r.take('}'); first = false {
		if !first {
			if !r.take(',') {
				return false
			}
			r.out = append(r.out, ',')
			r.skipBlanks()
		}
		if !r.member(depth) {
			return false
		}
		r.skipBlanks()
	}
	r.sortMembers(r.members[open:])
	r.members = r.members[:open]
	r.out = append(r.out, '}')
	return true
}

func (r *jsonReader) member(depth int) bool {
	m := jsonMember{start: len(r.out)}
	if r.pos == len(r.in) || r.in[r.pos] != '"' || !r.string() {
		return false
	}
	m.keyEnd = len(r.out)
	r.skipBlanks()
	if !r.take(':') {
		return false
	}
	r.out = append(r.out, ':')
	r.skipBlanks()
	if !r.value(depth + 1) {
		return false
	}
	m.end = len(r.out)
	r.members = append(r.members, m)
	return true
}

func (r *jsonReader) key(m jsonMember) []byte { return r.out[m.start:m.keyEnd] }

// sortMembers brings the members of the object that ends out into order and drops all but the last of equal keys.
func (r *jsonReader) sortMembers(members []jsonMember) {
	sorted := true
	for i := 1; i < len(members) && sorted; i++ {
		sorted = bytes.Compare(r.key(members[i-1]), r.key(members[i])) < 0
	}
	if sorted {
		return
	}
	start := members[0].start
	slices.SortStableFunc(members, func(a, b jsonMember) int { return bytes.Compare(r.key(a), r.key(b)) })
	r.tmp = r.tmp[:0]
	for i, m := range members {
		if i+1 < len(members) && bytes.Equal(r.key(m), r.key(members[i+1])) {
			continue
		}
		if len(r.tmp) > 0 {
			r.tmp = append(r.tmp, ',')
		}
		r.tmp = append(r.tmp, r.out[m.start:m.end]...)
	}
	r.out = append(r.out[:start], r.tmp...)
}

func (r *jsonReader) string() bool {
	r.pos++
	r.out = append(r.out, '"')
	for r.pos < len(r.in) {
		c := r.in[r.pos]
		r.pos++
		switch {
		case c == '"':
			r.out = append(r.out, '"')
			return true
		case c < ' ':
			return false
		case c != '\\':
			r.out = append(r.out, c)
		case !r.escape():
			return false
		}
	}
	return false
}

// escape reads what follows a backslash.
func (r *jsonReader) escape() bool {
	if r.pos == len(r.in) {
		return false
	}
	c := r.in[r.pos]
	r.pos++
	switch c {
	case '"', '\\':
		r.out = append(r.out, '\\', c)
		return true
	case '/':
		r.out = append(r.out, '/')
		return true
	case 'b':
		c = '\b'
	case 'f':
		c = '\f'
	case 'n':
		c = '\n'
	case 'r':
		c = '\r'
	case 't':
		c = '\t'
	case 'u':
		return r.unicodeEscape()
	default:
		return false
	}
	r.out = appendJSONControl(r.out, c)
	return true
}

// unicodeEscape decodes one UTF-16 unit, or a pair of surrogates. A surrogate without its other half is kept as the
// three bytes it would have in UTF-8, so that no two of them become equal.
func (r *jsonReader) unicodeEscape() bool {
	u, ok := r.hex4()
	if !ok {
		return false
	}
	if utf16.IsSurrogate(u) && bytes.HasPrefix(r.in[r.pos:], []byte(`\u`)) {
		back := r.pos
		r.pos += 2
		low, ok := r.hex4()
		if !ok {
			return false
		}
		if pair := utf16.DecodeRune(u, low); pair != utf8.RuneError {
			r.out = utf8.AppendRune(r.out, pair)
			return true
		}
		r.pos = back
	}
	switch {
	case u == '"', u == '\\':
		r.out = append(r.out, '\\', byte(u))
	case u < ' ':
		r.out = appendJSONControl(r.out, byte(u))
	case utf16.IsSurrogate(u):
		r.out = append(r.out, 0xe0|byte(u>>12), 0x80|byte(u>>6)&0x3f, 0x80|byte(u)&0x3f)
	default:
		r.out = utf8.AppendRune(r.out, u)
	}
	return true
}

func (r *jsonReader) hex4() (rune, bool) {
	if len(r.in)-r.pos < 4 {
		return 0, false
	}
	var u rune
	for _, c := range r.in[r.pos : r.pos+4] {
		switch {
		case c-'0' <= 9:
			c -= '0'
		case c|0x20 >= 'a' && c|0x20 <= 'f':
			c = c | 0x20 - 'a' + 10
		default:
			return 0, false
		}
		u = u<<4 | rune(c)
	}
	r.pos += 4
	return u, true
}

func appendJSONControl(dst []byte, c byte) []byte {
	const hexDigits = "0123456789abcdef"
	return append(dst, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
}
