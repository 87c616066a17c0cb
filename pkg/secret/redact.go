package secret

import (
	"encoding/json"
	"net/url"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// shortBytes is the length below which a secret is only taken out where it
// stands by itself. Starring every "a" of a text would garble it, and tell the
// reader which letter the password is.
const shortBytes = 4

// Redact returns text with Stars in the place of every occurrence of a secret:
// as it is, escaped for a URL, in JSON, and quoted as Go does. Occurrences that
// overlap or touch become one. A secret of fewer than four bytes is taken out
// only where no letter or digit stands beside it. Empty secrets are ignored.
func Redact(text string, secrets ...String) string {
	var hidden []bool // by byte of text; nil while nothing was found
	for _, s := range secrets {
		for _, form := range forms(s.Reveal()) {
			hidden = hide(hidden, text, form)
		}
	}
	if hidden == nil {
		return text
	}
	var b strings.Builder
	for i := range len(text) {
		switch {
		case !hidden[i]:
			b.WriteByte(text[i])
		case i == 0 || !hidden[i-1]:
			b.WriteString(Stars)
		}
	}
	return b.String()
}

// forms returns the spellings in which a secret turns up in texts of others.
func forms(plain string) []string {
	if plain == "" {
		return nil
	}
	list := []string{plain, url.QueryEscape(plain), url.PathEscape(plain), unquoted(strconv.Quote(plain))}
	list = append(list, url.UserPassword("", plain).String()[1:])
	if js, err := json.Marshal(plain); err == nil {
		list = append(list, unquoted(string(js)))
	}
	return list
}

func unquoted(quoted string) string { return quoted[1 : len(quoted)-1] }

// hide marks the bytes of every occurrence of form in text, overlapping ones
// included.
func hide(hidden []bool, text, form string) []bool {
	for from := 0; ; {
		i := strings.Index(text[from:], form)
		if i < 0 {
			return hidden
		}
		start := from + i
		end := start + len(form)
		from = start + 1
		if len(form) < shortBytes && !alone(text, start, end) {
			continue
		}
		if hidden == nil {
			hidden = make([]bool, len(text))
		}
		for j := start; j < end; j++ {
			hidden[j] = true
		}
	}
}

// alone reports whether text[start:end] has no letter or digit beside it.
func alone(text string, start, end int) bool {
	before, _ := utf8.DecodeLastRuneInString(text[:start])
	after, _ := utf8.DecodeRuneInString(text[end:])
	return !wordRune(before) && !wordRune(after)
}

func wordRune(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) }
