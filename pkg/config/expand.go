package config

import (
	"fmt"
	"strings"
)

// expandError is why a text could not be expanded.
type expandError struct{ problem, hint string }

func (e *expandError) Error() string { return e.problem + " (" + e.hint + ")" }

const escapeHint = "write ${NAME} for an environment variable, $${ for the characters themselves"

// expand replaces each ${NAME} by what env returns, once: what it returns is not
// looked at again. $${ becomes ${. A variable that is set but empty is empty text.
func expand(text string, env func(string) (string, bool)) (string, error) {
	var b strings.Builder
	for {
		i := strings.Index(text, "${")
		if i < 0 {
			b.WriteString(text)
			return b.String(), nil
		}
		if i > 0 && text[i-1] == '$' {
			b.WriteString(text[:i-1] + "${")
			text = text[i+2:]
			continue
		}
		b.WriteString(text[:i])
		name, rest, closed := strings.Cut(text[i+2:], "}")
		if !closed || !variable(name) {
			return "", &expandError{"${ without a variable's name and a closing brace", escapeHint}
		}
		value, found := "", false
		if env != nil {
			value, found = env(name)
		}
		if !found {
			return "", &expandError{fmt.Sprintf("environment variable %s is not set", name), "set it for the master; " + escapeHint}
		}
		b.WriteString(value)
		text = rest
	}
}

// variable reports whether name is a name as POSIX has it, of sane length.
func variable(name string) bool {
	return plain(name) && !strings.Contains(name, "$") && (name[0] < '0' || name[0] > '9')
}
