// Package secret is text that must not be seen: a password, a token, a signing
// key. It prints and marshals as stars, whichever way it is printed, and gives
// its text only to a caller who says so. It also takes secrets out of texts that
// others wrote, such as the errors of drivers. It does not know what a secret is
// for, nor how one travels: a configuration has a wire encoding of its own.
package secret

import (
	"encoding/json"
	"fmt"
	"unique"
)

// Stars is what stands in every output in the place of a secret, an empty one
// included: whether there is one is nobody's business either.
const Stars = "***"

// String is a secret text. The zero value is the empty text. It is comparable,
// two of them being equal exactly when their texts are, and safe for concurrent
// use.
//
// The text lies behind a handle, so that fmt cannot reach it even where String
// is an unexported field of a printed struct and no method of it is called.
type String struct {
	handle unique.Handle[string]
}

// New returns the secret with the text s.
func New(s string) String {
	if s == "" {
		return String{}
	}
	return String{handle: unique.Make(s)}
}

// Reveal returns the text. Its callers are the places to look at in a review.
func (s String) Reveal() string {
	if s.IsZero() {
		return ""
	}
	return s.handle.Value()
}

// IsZero reports whether the text is empty.
func (s String) IsZero() bool { return s == String{} }

// String returns Stars.
func (s String) String() string { return Stars }

// Format prints Stars for every verb, %#v and the wrong ones included.
func (s String) Format(state fmt.State, _ rune) {
	// A fmt.State keeps its first write error for its owner; nothing to do with it here.
	_, _ = state.Write([]byte(Stars))
}

// MarshalJSON returns Stars as a JSON string.
func (s String) MarshalJSON() ([]byte, error) { return []byte(`"` + Stars + `"`), nil }

// MarshalText returns Stars.
func (s String) MarshalText() ([]byte, error) { return []byte(Stars), nil }

// UnmarshalJSON takes a JSON string as the text. The error does not quote what
// it found.
func (s *String) UnmarshalJSON(data []byte) error {
	var text *string
	if err := json.Unmarshal(data, &text); err != nil || text == nil {
		return fmt.Errorf("unmarshal secret: not a JSON string")
	}
	*s = New(*text)
	return nil
}

// UnmarshalText takes text as it is.
func (s *String) UnmarshalText(text []byte) error {
	*s = New(string(text))
	return nil
}
