package config

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/tailscale/hujson"

	"github.com/masixun71/cupid/pkg/dsn"
	"github.com/masixun71/cupid/pkg/secret"
)

// field is the one definition of a key. into points at the struct field, which
// holds the default until the key is read.
type field struct {
	key      string
	into     any
	required bool     // must be there and not be empty
	min, max int      // of a number; of a list, max is its length
	words    []string // of a text: the values that are allowed
	aside    bool     // it does not decide which rows differ: see Fingerprint
}

// object is a struct that is an object in the file.
type object interface {
	fields() []field
}

// decoder reads one file and collects its faults.
type decoder struct {
	file    string
	text    []byte
	env     func(string) (string, bool)
	wire    bool           // the wire form: no ${NAME}, no limits, nothing required
	offsets map[string]int // where the value of each path that is in the file begins
	bad     []string       // paths with a fault
	faults  Faults
}

// fault adds a fault at the value of path or, where the file has none, at the
// object it should be in.
func (d *decoder) fault(path, problem, hint string) {
	at := path
	offset, found := d.offsets[at]
	for !found && at != "" {
		at = at[:max(0, strings.LastIndexAny(at, ".["))]
		offset, found = d.offsets[at]
	}
	d.faultAt(offset, path, problem, hint)
}

// has reports whether the file has the key.
func (d *decoder) has(path string) bool {
	_, found := d.offsets[path]
	return found
}

// ok reports whether nothing at or below path has a fault, so that a check of
// its value makes sense.
func (d *decoder) ok(path string) bool {
	return !slices.ContainsFunc(d.bad, func(bad string) bool {
		rest, below := strings.CutPrefix(bad, path)
		return below && (rest == "" || rest[0] == '.' || rest[0] == '[')
	})
}

// at notes the place of a value.
func (d *decoder) at(path string, v *hujson.Value) {
	if d.offsets == nil {
		d.offsets = map[string]int{}
	}
	d.offsets[path] = v.StartOffset
}

// join returns the path of a key.
func join(path, key string) string {
	switch {
	case !plain(key):
		return path + "[" + strconv.QuoteToASCII(key) + "]"
	case path == "":
		return key
	default:
		return path + "." + key
	}
}

// plain reports whether key needs no quotes in a path.
func plain(key string) bool {
	return key != "" && len(key) <= MaxIdentifierRunes && !strings.ContainsFunc(key, func(r rune) bool {
		return r != '_' && r != '$' && (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z')
	})
}

func index(path string, i int) string { return path + "[" + strconv.Itoa(i) + "]" }

// object reads v into target, key by key.
func (d *decoder) object(path string, v *hujson.Value, target object) {
	d.at(path, v)
	fields := target.fields()
	if !d.members(path, v, func(name, value *hujson.Value, at string) {
		key := literal(name).String()
		i := slices.IndexFunc(fields, func(f field) bool { return f.key == key })
		if i < 0 {
			d.faultAt(name.StartOffset, at, "unknown key", unknownHint(key, fields))
			return
		}
		d.value(at, value, fields[i])
	}) {
		return
	}
	for _, f := range fields {
		if at := join(path, f.key); f.required && !d.has(at) && !d.wire {
			d.fault(at, "missing", "add the key "+strconv.Quote(f.key))
		}
	}
}

// members calls each for every member of v but those whose key came before. It
// reports whether v is an object.
func (d *decoder) members(path string, v *hujson.Value, each func(name, value *hujson.Value, at string)) bool {
	obj, isObject := v.Value.(*hujson.Object)
	if !isObject {
		d.wrongType(path, v, "an object in braces")
		return false
	}
	first := map[string]int{}
	for i := range obj.Members {
		name, value := &obj.Members[i].Name, &obj.Members[i].Value
		key := literal(name).String()
		at := join(path, key)
		if offset, again := first[key]; again {
			line := 1 + strings.Count(string(d.text[:offset]), "\n")
			d.faultAt(name.StartOffset, at, "the same key again", fmt.Sprintf("it is already in line %d; remove one", line))
			continue
		}
		first[key] = name.StartOffset
		d.at(at, value)
		each(name, value, at)
	}
	return true
}

// value reads v into f.into.
func (d *decoder) value(path string, v *hujson.Value, f field) {
	switch into := f.into.(type) {
	case *bool:
		d.boolean(path, v, into)
	case *int:
		d.number(path, v, f, into)
	case *string:
		if text, ok := d.string(path, v, f); ok {
			*into = text
		}
	case *secret.String:
		if text, ok := d.string(path, v, f); ok {
			*into = secret.New(text)
		}
	case *dsn.DSN:
		if text, ok := d.string(path, v, f); ok {
			d.address(path, text, into)
		}
	case *[]string:
		*into = d.strings(path, v, f, false)
	case *[]secret.String:
		*into = secrets(d.strings(path, v, f, false))
	case *Names:
		*into = d.strings(path, v, f, true)
	case *Secrets:
		*into = secrets(d.strings(path, v, f, true))
	case *Columns:
		*into = d.columns(path, v, f)
	case *Tolerances:
		*into = d.tolerances(path, v, f)
	case *map[string]secret.String:
		*into = d.headers(path, v, f)
	case **Source:
		s := newSource()
		*into = &s
		d.object(path, v, &s)
	case *[]Destination:
		*into = objects(d, path, v, f, newDestination)
	case *[]Job:
		*into = objects(d, path, v, f, func() Job { return Job{Src: newSource()} })
	case object:
		d.object(path, v, into)
	default:
		panic(fmt.Sprintf("config: key %s has a type that nobody reads: %T", f.key, f.into))
	}
}

// objects reads a list of objects.
func objects[T any, P interface {
	*T
	object
}](d *decoder, path string, v *hujson.Value, f field, fresh func() T,
) []T {
	var list []T
	d.elements(path, v, f, func(at string, element *hujson.Value) {
		list = append(list, fresh())
		d.object(at, element, P(&list[len(list)-1]))
	})
	return list
}

// elements calls each for every element of v.
func (d *decoder) elements(path string, v *hujson.Value, f field, each func(at string, element *hujson.Value)) {
	array, isArray := v.Value.(*hujson.Array)
	if !isArray {
		d.wrongType(path, v, "a list in square brackets")
		return
	}
	if !d.length(path, len(array.Elements), f) {
		return
	}
	for i := range array.Elements {
		at := index(path, i)
		d.at(at, &array.Elements[i])
		each(at, &array.Elements[i])
	}
}

// length checks the length of a list.
func (d *decoder) length(path string, n int, f field) bool {
	switch {
	case d.wire:
		return true
	case n == 0 && f.required:
		d.fault(path, "empty", "at least one is needed")
		return false
	case n > f.max:
		d.fault(path, "too long", fmt.Sprintf("at most %d", f.max))
		return false
	}
	return true
}

// wrongType adds the fault for a value that is not what was wanted.
func (d *decoder) wrongType(path string, v *hujson.Value, want string) {
	found := "an object"
	switch value := v.Value.(type) {
	case *hujson.Array:
		found = "a list"
	case hujson.Literal:
		switch value.Kind() {
		case 'n':
			d.faultAt(v.StartOffset, path, "null is no value", "write "+want+", or leave the key out for its default")
			return
		case '"':
			found = "text in quotes"
		case '0':
			found = "a number"
		default:
			found = "true or false"
		}
	}
	d.faultAt(v.StartOffset, path, found+" is of the wrong type", "write "+want)
}

// literal returns the literal of v; nil where v is none.
func literal(v *hujson.Value) hujson.Literal {
	l, isLiteral := v.Value.(hujson.Literal)
	if !isLiteral {
		return nil
	}
	return l
}
