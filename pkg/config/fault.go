package config

import (
	"fmt"
	"strings"
)

// Fault is one thing that is wrong in a file.
type Fault struct {
	// File is the path that was given to Load.
	File string
	// Key is the path of the key, as jobs[2].des[0].columns; empty for the file as a whole.
	Key string
	// Line and Column say where, from 1 on, columns in characters; 0 where there is no place.
	Line, Column int
	// Problem says what is wrong. It quotes no value.
	Problem string
	// Hint says what to do; it may be empty.
	Hint string
}

// Error returns the fault as one line: file:line:column: key: problem (hint).
func (f Fault) Error() string {
	var b strings.Builder
	b.WriteString(f.File)
	if f.Line > 0 {
		fmt.Fprintf(&b, ":%d:%d", f.Line, f.Column)
	}
	if b.Len() > 0 {
		b.WriteString(": ")
	}
	if f.Key != "" {
		b.WriteString(f.Key + ": ")
	}
	b.WriteString(f.Problem)
	if f.Hint != "" {
		b.WriteString(" (" + f.Hint + ")")
	}
	return b.String()
}

// Faults is everything that is wrong in a file, in the order of the file. It is
// the only type of error that Load returns, and is never empty there.
type Faults []Fault

// Error returns one line a fault.
func (f Faults) Error() string {
	lines := make([]string, len(f))
	for i := range f {
		lines[i] = f[i].Error()
	}
	return strings.Join(lines, "\n")
}
