package config

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/tailscale/hujson"

	"github.com/masixun71/cupid/pkg/dsn"
	"github.com/masixun71/cupid/pkg/secret"
)

func (d *decoder) boolean(path string, v *hujson.Value, into *bool) {
	switch l := literal(v); string(l) {
	case "true", "false":
		*into = l.Bool()
	default:
		d.wrongType(path, v, "true or false without quotes")
	}
}

func (d *decoder) number(path string, v *hujson.Value, f field, into *int) {
	limits := fmt.Sprintf("an integer from %d to %d", f.min, f.max)
	l := literal(v)
	if l == nil || l.Kind() != '0' {
		d.wrongType(path, v, limits+" without quotes")
		return
	}
	n, err := strconv.Atoi(string(l))
	switch {
	case err != nil && !errors.Is(err, strconv.ErrRange):
		d.fault(path, "number with a fraction or an exponent", "write "+limits)
	case d.wire && err == nil:
		*into = n
	case n < f.min: // an error of range leaves the nearest number in n
		d.fault(path, fmt.Sprintf("below the smallest value %d", f.min), "write "+limits)
	case n > f.max:
		d.fault(path, fmt.Sprintf("above the largest value %d", f.max), "write "+limits)
	default:
		*into = n
	}
}

// string returns the text of v with its ${NAME} replaced.
func (d *decoder) string(path string, v *hujson.Value, f field) (string, bool) {
	l := literal(v)
	if l == nil || l.Kind() != '"' {
		d.wrongType(path, v, "text in quotes")
		return "", false
	}
	text := l.String()
	if d.wire {
		return text, true
	}
	text, err := expand(text, d.env)
	if err != nil {
		fault := Fault{Problem: err.Error()}
		if expansion, ok := errors.AsType[*expandError](err); ok {
			fault = Fault{Problem: expansion.problem, Hint: expansion.hint}
		}
		d.fault(path, fault.Problem, fault.Hint)
		return "", false
	}
	switch {
	case text == "" && f.required:
		d.fault(path, "empty", "write a value")
	case len(text) > MaxTextBytes:
		d.fault(path, "too long", fmt.Sprintf("at most %d bytes", MaxTextBytes))
	case !utf8.ValidString(text): // an environment variable may hold anything
		d.fault(path, "text that is not UTF-8", "look at the environment variable it is taken from")
	case strings.ContainsRune(text, 0):
		d.fault(path, "holds a NUL byte", "remove it")
	case f.words != nil && !slices.Contains(f.words, text):
		d.fault(path, "unknown value", "write one of "+strings.Join(f.words, ", "))
	default:
		return text, true
	}
	return "", false
}

// strings returns a list of texts, none of them empty; with single, one text may
// stand for a list of one.
func (d *decoder) strings(path string, v *hujson.Value, f field, single bool) []string {
	element := field{key: f.key, required: true}
	var list []string
	if _, isArray := v.Value.(*hujson.Array); single && !isArray {
		if literal(v) == nil {
			d.wrongType(path, v, "text in quotes, or a list of such")
			return nil
		}
		element.required = f.required
		if text, ok := d.string(path, v, element); ok && text != "" {
			list = append(list, text)
		}
		return list
	}
	d.elements(path, v, f, func(at string, value *hujson.Value) {
		text, _ := d.string(at, value, element)
		list = append(list, text)
	})
	return list
}

func (d *decoder) columns(path string, v *hujson.Value, f field) Columns {
	var list Columns
	if d.members(path, v, func(name, value *hujson.Value, at string) {
		text, _ := d.string(at, value, field{key: f.key, required: true})
		list = append(list, Column{Src: literal(name).String(), Des: text})
	}) {
		d.length(path, len(list), f)
	}
	return list
}

func (d *decoder) tolerances(path string, v *hujson.Value, f field) Tolerances {
	const want = "a number above 0"
	var list Tolerances
	if d.members(path, v, func(name, value *hujson.Value, at string) {
		l := literal(value)
		if l == nil || l.Kind() != '0' {
			d.wrongType(at, value, want+" without quotes")
			return
		}
		within, err := strconv.ParseFloat(string(l), 64)
		if !d.wire && (err != nil || within <= 0) {
			d.fault(at, "no number above 0", "write "+want+", such as 0.001")
		}
		list = append(list, Tolerance{Column: literal(name).String(), Within: within})
	}) {
		d.length(path, len(list), f)
	}
	return list
}

func (d *decoder) headers(path string, v *hujson.Value, f field) map[string]secret.String {
	var headers map[string]secret.String
	if d.members(path, v, func(name, value *hujson.Value, at string) {
		if headers == nil {
			headers = map[string]secret.String{}
		}
		text, _ := d.string(at, value, field{key: f.key})
		header := literal(name).String()
		for other := range headers { // names that differ in case are one (RFC 9110, section 5.1)
			if other != header && strings.EqualFold(other, header) {
				d.fault(at, "the same header again", "remove one")
			}
		}
		headers[header] = secret.New(text)
	}) {
		d.length(path, len(headers), f)
	}
	return headers
}

func (d *decoder) address(path, text string, into *dsn.DSN) {
	if d.wire && text == "" {
		return
	}
	parsed, err := dsn.Parse(text)
	if err == nil {
		*into = parsed
		return
	}
	problem, hint := err.Error(), ""
	if fault, ok := errors.AsType[*dsn.Error](err); ok {
		problem, hint = fault.Problem, fault.Hint
	}
	d.fault(path, problem, hint)
}

func secrets(list []string) []secret.String {
	if list == nil {
		return nil
	}
	out := make([]secret.String, len(list))
	for i := range list {
		out[i] = secret.New(list[i])
	}
	return out
}
