package pkg_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode"

	"github.com/masixun71/cupid/pkg/config"
)

// readmes are the two READMEs, each with the word before the exit codes.
var readmes = map[string]string{
	"README.md":       "Exit codes:",
	"README.zh-CN.md": "退出码：",
}

// objects are where in the file the objects of config.Keys stand.
var objects = map[string]string{
	"Config":               "",
	"Notify":               "notify.",
	"Source":               "src.",
	"Destination":          "des[].",
	"CallbackNotification": "des[].callbackNotification.",
	"Job":                  "jobs[].",
}

func document(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// settings returns the table of the configuration: what is said of each key, and the keys in
// the order of the table.
func settings(t *testing.T, text string) (said map[string]string, order []string) {
	t.Helper()
	_, table, found := strings.Cut(text, "\n| `$schema` |")
	if !found {
		t.Fatal("the table of the configuration does not begin with $schema")
	}
	said = map[string]string{}
	row := regexp.MustCompile("^\\| `([^`]+)` \\| (.+) \\|$")
	for line := range strings.Lines("| `$schema` |" + table) {
		m := row.FindStringSubmatch(strings.TrimSpace(line))
		if m == nil {
			break
		}
		if said[m[1]] != "" {
			t.Errorf("%s stands in the table twice", m[1])
		}
		said[m[1]], order = m[2], append(order, m[1])
	}
	return said, order
}

// A key that is not in the table, or that is not there any more, or a default or a
// limit that has changed, is found here.
func TestREADMEsNameEveryKey(t *testing.T) {
	for name := range readmes {
		said, order := settings(t, document(t, name))
		var keys []string
		for _, key := range config.Keys() {
			at, known := objects[key.Object]
			if !known {
				t.Fatalf("where in the file does %s stand? Add it to objects", key.Object)
			}
			path := at + key.Name
			keys = append(keys, path)
			for _, fact := range facts(key) {
				if text, found := said[path]; found && !mentions(text, fact) {
					t.Errorf("%s: %s does not say %s: %s", name, path, fact, text)
				}
			}
			if said[path] == "" {
				t.Errorf("%s does not name %s", name, path)
			}
		}
		for _, path := range order {
			if !slices.Contains(keys, path) {
				t.Errorf("%s names %s, which is no key", name, path)
			}
		}
	}
}

// facts are what the table must say of a key: its default, the limits of a number, its words.
func facts(key config.Key) []string {
	all := slices.Clone(key.Words)
	switch preset := key.Default.(type) {
	case int:
		all = append(all, strconv.Itoa(preset))
	case bool:
		all = append(all, strconv.FormatBool(preset))
	case string:
		all = append(all, preset)
	}
	if strings.HasSuffix(key.Name, "Second") || strings.HasSuffix(key.Name, "Millisecond") || isNumber(key.Default) {
		all = append(all, strconv.Itoa(key.Max))
		if key.Min > 0 {
			all = append(all, strconv.Itoa(key.Min))
		}
	}
	return all
}

func isNumber(v any) bool { _, ok := v.(int); return ok }

// mentions reports whether text has word by itself: 100 is not in 1000, and -t not in -start-id.
func mentions(text, word string) bool {
	part := func(b byte) bool { // ASCII, since Chinese has no spaces between words
		return b == '-' || b == '_' || '0' <= b && b <= '9' || 'a' <= b && b <= 'z' || 'A' <= b && b <= 'Z'
	}
	for from := 0; ; {
		i := strings.Index(text[from:], word)
		if i < 0 {
			return false
		}
		i += from
		end := i + len(word)
		if (i == 0 || !part(text[i-1])) && (end == len(text) || !part(text[end])) {
			return true
		}
		from = i + 1
	}
}

// constants returns the values of the constants of one file of cupid-master.
func constants(t *testing.T, file string) map[string]string {
	t.Helper()
	f, err := parser.ParseFile(token.NewFileSet(), filepath.Join("../cmd/cupid-master", file), nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]string{}
	for node := range ast.Preorder(f) {
		spec, ok := node.(*ast.ValueSpec)
		if !ok || len(spec.Values) != len(spec.Names) {
			continue
		}
		for i, name := range spec.Names {
			if value, ok := spec.Values[i].(*ast.BasicLit); ok {
				all[name.Name] = value.Value
			}
		}
	}
	return all
}

func TestREADMEsNameTheCommandLine(t *testing.T) {
	usage := constants(t, "flags.go")["usage"]
	words := map[string]bool{}
	for _, m := range regexp.MustCompile(`[ (](-[a-z][a-z-]*)\b`).FindAllStringSubmatch(usage, -1) {
		words[m[1]] = true
	}
	for _, m := range regexp.MustCompile(`(?m)^ +(cupid-master [a-z]+) `).FindAllStringSubmatch(usage, -1) {
		words[m[1]] = true
	}
	for _, known := range []string{"-config", "-t", "-json", "cupid-master status", "cupid-master stop"} {
		if !words[known] {
			t.Fatalf("%s was not found in the usage: %v", known, words)
		}
	}
	for name := range readmes {
		text := document(t, name)
		for word := range words {
			if !mentions(text, word) {
				t.Errorf("%s does not name %s", name, word)
			}
		}
	}
}

func TestREADMEsNameEveryExitCode(t *testing.T) {
	var codes []string
	for name, value := range constants(t, "main.go") {
		if strings.HasPrefix(name, "exit") {
			codes = append(codes, value)
		}
	}
	if len(codes) < 2 {
		t.Fatalf("exit codes %v were found in main.go", codes)
	}
	for name, before := range readmes {
		_, rest, found := strings.Cut(document(t, name), before)
		line, _, _ := strings.Cut(rest, "\n\n")
		if !found {
			t.Errorf("%s has no %q", name, before)
		}
		for _, code := range codes {
			if !mentions(line, code) {
				t.Errorf("%s does not name exit code %s", name, code)
			}
		}
	}
}

// Both languages show the same examples, but for their comments, and the same tables
// with as many rows.
func TestREADMEsAreTheSame(t *testing.T) {
	code := regexp.MustCompile("(?s)```.*?```")
	comment := regexp.MustCompile(`(?m) *# .*$`)
	// The English one sends users of the original to the Chinese one.
	migration := regexp.MustCompile(`(?s)\n## (Coming from the PHP original|从 PHP 版迁移)\n.*?\n## `)
	row := regexp.MustCompile(`(?m)^\|`)
	heading := regexp.MustCompile(`(?m)^##+ `)
	var examples [2][]string
	var rows, headings [2]int
	for i, name := range []string{"README.md", "README.zh-CN.md"} {
		text := document(t, name)
		for _, block := range code.FindAllString(text, -1) {
			examples[i] = append(examples[i], comment.ReplaceAllString(block, ""))
		}
		text = code.ReplaceAllString(text, "")
		headings[i] = len(heading.FindAllString(text, -1))
		rows[i] = len(row.FindAllString(migration.ReplaceAllString(text, "\n## "), -1))
	}
	if !slices.Equal(examples[0], examples[1]) {
		t.Errorf("the examples differ:\n%s\n%s", strings.Join(examples[0], "\n"), strings.Join(examples[1], "\n"))
	}
	if rows[0] != rows[1] || headings[0] != headings[1] {
		t.Errorf("rows of tables %v, headings %v; want as many in both", rows, headings)
	}
	_, en := settings(t, document(t, "README.md"))
	_, zh := settings(t, document(t, "README.zh-CN.md"))
	if !slices.Equal(en, zh) {
		t.Errorf("keys in another order:\n%v\n%v", en, zh)
	}
}

func TestLinksLeadSomewhere(t *testing.T) {
	link := regexp.MustCompile(`\]\(([^)\s]+)\)`)
	quoted := regexp.MustCompile("`((?:examples|pkg|scripts|cmd)/[a-zA-Z0-9_./-]+)`")
	for _, name := range []string{"README.md", "README.zh-CN.md", "ARCHITECTURE.md"} {
		text := document(t, name)
		for _, m := range link.FindAllStringSubmatch(text, -1) {
			u, err := url.Parse(m[1])
			if err != nil {
				t.Errorf("%s: %v", name, err)
				continue
			}
			if u.Scheme != "" {
				continue
			}
			to := u.Path
			if to == "" {
				to = name
			}
			if !exists(t, name, to) || u.Fragment == "" {
				continue
			}
			if !slices.Contains(anchors(document(t, to)), u.Fragment) {
				t.Errorf("%s: %s has no heading #%s", name, to, u.Fragment)
			}
		}
		for _, m := range quoted.FindAllStringSubmatch(text, -1) {
			exists(t, name, m[1])
		}
	}
}

func exists(t *testing.T, from, path string) bool {
	t.Helper()
	_, err := os.Stat(filepath.Join("..", path))
	if err != nil {
		t.Errorf("%s leads to %s: %v", from, path, err)
	}
	return err == nil
}

// anchors are the headings of a document in the form that GitHub gives them.
func anchors(text string) []string {
	var all []string
	for line := range strings.Lines(text) {
		title, ok := strings.CutPrefix(strings.TrimLeft(line, "#"), " ")
		if !ok || !strings.HasPrefix(line, "#") {
			continue
		}
		all = append(all, strings.Map(func(r rune) rune {
			switch {
			case r == ' ':
				return '-'
			case r == '-' || r == '_' || unicode.IsLetter(r) || unicode.IsNumber(r):
				return unicode.ToLower(r)
			}
			return -1
		}, strings.TrimSpace(title)))
	}
	return all
}
