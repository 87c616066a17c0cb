package config

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"slices"
	"unicode/utf8"

	"github.com/tailscale/hujson"
)

// Load reads data, the content of the file at path, which only appears in faults.
// A ${NAME} in a string value is replaced by what env returns, normally
// os.LookupEnv of the master; $${ stands for ${ itself. The returned Config is
// valid and its defaults are filled. The error is always Faults and holds every
// fault of the file.
func Load(path string, data []byte, env func(string) (string, bool)) (*Config, error) {
	d := &decoder{file: path, env: env}
	c := newConfig()
	if d.parse(data, c) {
		d.settle(c)
	}
	if err := d.err(); err != nil {
		return nil, err
	}
	return c, nil
}

// CachePath returns the cacheFilePath of a file for who asks a running cupid and needs no more: other keys may have
// faults, as the ${NAME} in them that only the master has. The error is Faults, of that key or of the file as a whole.
func CachePath(path string, data []byte, env func(string) (string, bool)) (string, error) {
	d := &decoder{file: path, env: env}
	c := newConfig()
	if d.parse(data, c) {
		d.jobs(c)
		d.top(c)
		d.faults = slices.DeleteFunc(d.faults, func(f Fault) bool { return f.Key != "cacheFilePath" && f.Key != "src.cacheFilePath" })
	}
	return c.CacheFilePath, d.err()
}

// parse reads data into c and reports whether it was JSON at all.
func (d *decoder) parse(data []byte, c *Config) bool {
	data = bytes.TrimPrefix(data, []byte("\ufeff")) // editors on Windows put a byte order mark there
	if len(data) > MaxFileBytes && !d.wire {
		d.add(Fault{Problem: fmt.Sprintf("file is longer than %d bytes", MaxFileBytes), Hint: "is it the right file?"})
		return false
	}
	d.text = data
	if i := invalidUTF8(data); i >= 0 {
		d.faultAt(i, "", "text is not UTF-8 here", "save the file as UTF-8")
		return false
	}
	if bytes.Count(data, []byte("{"))+bytes.Count(data, []byte("[")) > MaxBrackets && !d.wire { // empty lists stand there, too
		d.add(Fault{Problem: fmt.Sprintf("file has more than %d brackets", MaxBrackets), Hint: "is it the right file?"})
		return false
	}
	root, err := hujson.Parse(data)
	if errors.Is(err, io.ErrUnexpectedEOF) {
		// The parser wants a line break behind a comment, even at the end of the file.
		if again, retryErr := hujson.Parse(append(bytes.Clone(data), '\n')); retryErr == nil {
			root, err = again, nil
		}
	}
	if err != nil {
		d.syntax(err)
		return false
	}
	d.object("", &root, c)
	return true
}

// syntax adds the fault for an error of the parser. The parser's own text is not
// shown: it quotes the file, where a password without quotes may stand.
func (d *decoder) syntax(err error) {
	fault := Fault{Problem: "this is not JSON", Hint: "look here and just before for a comma, colon or quote that is missing or too many"}
	if errors.Is(err, io.ErrUnexpectedEOF) {
		fault = Fault{Problem: "the file ends in the middle", Hint: "a brace, bracket, quote or comment is not closed"}
	}
	var column int // the parser counts bytes and has its position in its text only
	if n, _ := fmt.Sscanf(err.Error(), "hujson: line %d, column %d:", &fault.Line, &column); n == 2 {
		fault.Column = d.runeColumn(fault.Line, column)
	}
	d.add(fault)
}

// runeColumn turns a column in bytes into one in characters.
func (d *decoder) runeColumn(line, column int) int {
	lines := bytes.SplitN(d.text, []byte("\n"), line+1)
	if line < 1 || line > len(lines) {
		return column
	}
	text := lines[line-1]
	return 1 + utf8.RuneCount(text[:min(len(text), max(0, column-1))])
}

// add keeps a fault.
func (d *decoder) add(f Fault) {
	f.File = d.file
	d.faults = append(d.faults, f)
}

// faultAt adds a fault at an offset of the text.
func (d *decoder) faultAt(offset int, path, problem, hint string) {
	line := 1 + bytes.Count(d.text[:offset], []byte("\n"))
	column := 1 + utf8.RuneCount(d.text[bytes.LastIndexByte(d.text[:offset], '\n')+1:offset])
	d.bad = append(d.bad, path)
	d.add(Fault{Key: path, Line: line, Column: column, Problem: problem, Hint: hint})
}

// err returns all faults in the order of the file, or nil.
func (d *decoder) err() error {
	if len(d.faults) == 0 {
		return nil
	}
	slices.SortStableFunc(d.faults, func(a, b Fault) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
	if more := len(d.faults) - MaxFaults; more > 0 {
		d.faults = append(d.faults[:MaxFaults], Fault{File: d.file, Problem: fmt.Sprintf("and %d faults more", more)})
	}
	return d.faults
}

func invalidUTF8(data []byte) int {
	for i := 0; i < len(data); {
		r, size := utf8.DecodeRune(data[i:])
		if r == utf8.RuneError && size == 1 {
			return i
		}
		i += size
	}
	return -1
}
