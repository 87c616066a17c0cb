package ipc

import (
	"bytes"
	"encoding/json"
)

// parsePlain reads an envelope in exactly the form that AppendFrame writes, which is a third of the work of
// json.Unmarshal because the body is looked through once instead of three times. ok is false for every other form,
// valid or not; json.Unmarshal then has the word.
func parsePlain(data []byte) (env Envelope, ok bool) {
	rest, ok := bytes.CutPrefix(data, []byte(`{"type":"`))
	if !ok {
		return Envelope{}, false
	}
	end := bytes.IndexByte(rest, '"')
	if end <= 0 || !isPlain(rest[:end]) {
		return Envelope{}, false
	}
	env.Type = string(rest[:end])
	rest = rest[end+1:]
	if number, found := bytes.CutPrefix(rest, []byte(`,"id":`)); found {
		if env.ID, rest, ok = cutUint(number); !ok {
			return Envelope{}, false
		}
	}
	if string(rest) == "}" {
		return env, true
	}
	body, found := bytes.CutPrefix(rest, []byte(`,"body":`))
	if !found || len(body) < 2 || body[len(body)-1] != '}' {
		return Envelope{}, false
	}
	// What stands before the last brace is one JSON value and nothing else, or this is another form.
	body = body[:len(body)-1]
	if isSpace(body[0]) || isSpace(body[len(body)-1]) || !json.Valid(body) {
		return Envelope{}, false
	}
	env.Body = bytes.Clone(body)
	return env, true
}

// isPlain tells whether s means itself inside of JSON quotes.
func isPlain(s []byte) bool {
	for _, c := range s {
		if c < ' ' || c > '~' || c == '\\' {
			return false
		}
	}
	return true
}

// isSpace tells whether c is white space in JSON.
func isSpace(c byte) bool { return c == ' ' || c == '\n' || c == '\r' || c == '\t' }

// cutUint takes a decimal number without sign and leading zeros off the front of s.
func cutUint(s []byte) (n uint64, rest []byte, ok bool) {
	i := 0
	for ; i < len(s) && s[i] >= '0' && s[i] <= '9'; i++ {
		digit := uint64(s[i] - '0')
		if n > (1<<64-1-digit)/10 {
			return 0, nil, false
		}
		n = n*10 + digit
	}
	if i == 0 || s[0] == '0' {
		return 0, nil, false
	}
	return n, s[i:], true
}
