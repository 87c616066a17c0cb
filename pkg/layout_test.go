// Package pkg_test checks the rules of the repository that ARCHITECTURE.md states.
package pkg_test

import (
	"encoding/json"
	"errors"
	"go/parser"
	"go/token"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/masixun71/cupid/"

// layers are the packages of the map in ARCHITECTURE.md.
var layers = map[string][]string{
	"cmd":      {"cmd/cupid-master", "cmd/cupid-worker"},
	"ipc":      {"ipc"},
	"actors":   {"pkg/supervisor", "pkg/router", "pkg/manager", "pkg/task", "pkg/callback"},
	"adapters": {"pkg/table", "pkg/queue", "pkg/cache", "pkg/webhook", "pkg/notify", "pkg/process", "pkg/logfile", "pkg/mariadb", "pkg/blackhole"},
	"values":   {"pkg/config", "pkg/boot", "pkg/event", "pkg/chunk", "pkg/row", "pkg/dsn", "pkg/phpdate", "pkg/secret", "pkg/backoff", "pkg/failpoint"},
	"tests":    {"pkg", "pkg/queue/queuetest", "pkg/mariadb/mariadbtest", "pkg/protocol", "pkg/powercut"},
	"programs": {"examples/receiver", "scripts/demo", "scripts/bench", "scripts/breaks", "scripts/chaos"},
}

// mayImport says which layers a layer may import, besides the standard library.
var mayImport = map[string][]string{
	"cmd":      {"ipc", "actors", "adapters", "values"},
	"actors":   {"ipc", "values"},
	"adapters": {"values"},
	"values":   {"values"},
	"ipc":      {},
	"tests":    {"adapters", "values"},
	"programs": {"ipc", "adapters", "values"},
}

// foreign says which modules outside of ours a package may import: each module has
// one home.
var foreign = map[string][]string{
	"cmd/cupid-master":        {"github.com/rs/zerolog"},
	"cmd/cupid-worker":        {"github.com/rs/zerolog"},
	"pkg/supervisor":          {"github.com/rs/zerolog"},
	"pkg/router":              {"github.com/rs/zerolog"},
	"pkg/manager":             {"github.com/rs/zerolog"},
	"pkg/task":                {"github.com/rs/zerolog"},
	"pkg/callback":            {"github.com/rs/zerolog"},
	"pkg/table":               {"github.com/jmoiron/sqlx", "github.com/go-sql-driver/mysql", "github.com/rs/zerolog"},
	"pkg/queue":               {"github.com/jmoiron/sqlx", "modernc.org/sqlite", "github.com/rs/zerolog", "golang.org/x/sys"},
	"pkg/cache":               {"github.com/google/renameio"},
	"pkg/notify":              {"github.com/nicholas-fedor/shoutrrr", "github.com/rs/zerolog"},
	"pkg/process":             {"golang.org/x/sys"},
	"pkg/logfile":             {"github.com/rs/zerolog", "golang.org/x/sys"},
	"pkg/mariadb":             {"github.com/jmoiron/sqlx", "github.com/go-sql-driver/mysql", "golang.org/x/sys"},
	"pkg/mariadb/mariadbtest": {"github.com/jmoiron/sqlx", "github.com/go-sql-driver/mysql"},
	"pkg/powercut":            {"golang.org/x/sys"},
	"pkg/config":              {"github.com/tailscale/hujson"},
	"scripts/demo":            {"github.com/jmoiron/sqlx", "github.com/go-sql-driver/mysql"},
	"scripts/bench":           {"github.com/jmoiron/sqlx", "github.com/go-sql-driver/mysql"},
	"scripts/chaos":           {"github.com/jmoiron/sqlx", "github.com/go-sql-driver/mysql"},
	"examples/receiver":       {"github.com/jmoiron/sqlx", "github.com/go-sql-driver/mysql"},
}

type listed struct {
	ImportPath string
	Dir        string
	Standard   bool
	Imports    []string
	GoFiles    []string
}

func list(t *testing.T) []listed {
	t.Helper()
	cmd := exec.Command("go", "list", "-json=ImportPath,Dir,Standard,Imports,GoFiles", "./...")
	cmd.Dir = ".."
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	var all []listed
	for d := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p listed
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			return all
		} else if err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
}

func layerOf(path string) string {
	for layer, packages := range layers {
		if slices.Contains(packages, path) {
			return layer
		}
	}
	return ""
}

func TestImportDirection(t *testing.T) {
	for _, p := range list(t) {
		path := strings.TrimPrefix(p.ImportPath, module)
		layer := layerOf(path)
		if layer == "" {
			t.Errorf("%s stands in no layer: add it to the map in ARCHITECTURE.md and to this test", path)
			continue
		}
		for _, imported := range p.Imports {
			if problem := direction(path, layer, imported); problem != "" {
				t.Error(problem)
			}
		}
	}
}

// direction says what is wrong with an import, and nothing when it is right.
func direction(path, layer, imported string) string {
	first, _, _ := strings.Cut(imported, "/")
	if !strings.Contains(first, ".") {
		return "" // the standard library
	}
	if inner, ok := strings.CutPrefix(imported, module); ok {
		to := layerOf(inner)
		// mariadbtest and queuetest are the tests' side of their adapter.
		if slices.Contains(mayImport[layer], to) && inner != path {
			return ""
		}
		return path + " (" + layer + ") must not import " + inner + " (" + to + ")"
	}
	for _, allowed := range foreign[path] {
		if imported == allowed || strings.HasPrefix(imported, allowed+"/") {
			return ""
		}
	}
	return path + " must not import " + imported
}

func TestEveryPackageHasItsComment(t *testing.T) {
	for _, p := range list(t) {
		found := false
		for _, file := range p.GoFiles {
			f, err := parser.ParseFile(token.NewFileSet(), filepath.Join(p.Dir, file), nil, parser.PackageClauseOnly|parser.ParseComments)
			if err != nil {
				t.Fatal(err)
			}
			if f.Doc != nil && len(strings.Fields(f.Doc.Text())) >= 8 {
				found = true
			}
		}
		if len(p.GoFiles) > 0 && !found {
			t.Errorf("%s has no package comment of at least a sentence", p.ImportPath)
		}
	}
}

// Every package stands in the map that newcomers read.
func TestArchitectureNamesEveryPackage(t *testing.T) {
	text, err := os.ReadFile("../ARCHITECTURE.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range list(t) {
		path := strings.TrimPrefix(p.ImportPath, module)
		if !strings.HasPrefix(path, "pkg/") && !strings.HasPrefix(path, "cmd/") {
			continue
		}
		if !strings.Contains(string(text), path) {
			t.Errorf("ARCHITECTURE.md does not name %s", path)
		}
	}
}
