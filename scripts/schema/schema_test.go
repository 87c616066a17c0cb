package main_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/tailscale/hujson"

	schema "github.com/masixun71/cupid/scripts/schema"

	"github.com/masixun71/cupid/pkg/config"
)

const (
	shipped  = "../../examples/cupid.schema.json"
	example  = "../../examples/cupid.json"
	original = "../../pkg/config/testdata/original.json"
)

func read(t *testing.T, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// validate checks a file with comments against the shipped schema.
func validate(t *testing.T, data []byte) error {
	t.Helper()
	standard, err := hujson.Standardize(bytes.Clone(data))
	if err != nil {
		t.Fatal(err)
	}
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(standard))
	if err != nil {
		t.Fatal(err)
	}
	compiled, err := jsonschema.NewCompiler().Compile(shipped)
	if err != nil {
		t.Fatal(err)
	}
	return compiled.Validate(value)
}

func TestShippedSchemaIsUpToDate(t *testing.T) {
	want, err := schema.Generate("../../pkg/config")
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(read(t, shipped), want) {
		t.Error("examples/cupid.schema.json is out of date; run: cd scripts/schema && go run .")
	}
}

func TestExamplesAreValid(t *testing.T) {
	for _, path := range []string{example, original} {
		if err := validate(t, read(t, path)); err != nil {
			t.Errorf("%s: %v", path, err)
		}
	}
}

func TestExampleLoads(t *testing.T) {
	c, err := config.Load("cupid.json", read(t, example), func(name string) (string, bool) { return "value-of-" + name, true })
	if err != nil {
		t.Fatal(err)
	}
	if len(c.Pairs()) == 0 {
		t.Error("no pairs")
	}
}

func TestExampleExplainsEveryKey(t *testing.T) {
	text := string(read(t, example))
	for _, key := range config.Keys() {
		if !strings.Contains(text, `"`+key.Name+`":`) {
			t.Errorf("examples/cupid.json does not show %s.%s", key.Object, key.Name)
		}
	}
}

// The comments name numbers; the constants decide.
func TestCommentsNameDefaultsAndLimits(t *testing.T) {
	for _, key := range config.Keys() {
		if _, isNumber := key.Default.(int); !isNumber && key.Max == 0 {
			continue
		}
		text := comment(t, key)
		for _, want := range []any{key.Default, key.Max} {
			// The number of columns of a MySQL table is not worth a word.
			if want != nil && want != false && want != config.MaxColumns && want != config.MaxKeyColumns && !strings.Contains(text, fmt.Sprint(want)) {
				t.Errorf("%s.%s: %v is not in %q", key.Object, key.Name, want, text)
			}
		}
	}
}

// comment returns the description that the shipped schema has for a key.
func comment(t *testing.T, key config.Key) string {
	t.Helper()
	type object struct {
		Properties map[string]struct{ Description string }
	}
	var root struct {
		object
		Defs map[string]object `json:"$defs"`
	}
	if err := json.Unmarshal(read(t, shipped), &root); err != nil {
		t.Fatal(err)
	}
	if key.Object == "Config" {
		return root.Properties[key.Name].Description
	}
	return root.Defs[key.Object].Properties[key.Name].Description
}

func TestFaultsAreRefused(t *testing.T) {
	text := string(read(t, original))
	for old, wrong := range map[string]string{
		`"byColumn"`:                      `"byColum"`,
		`"workerNumber": 3`:               `"workerNumber": 2`,
		`"workerNumber":`:                 `"workerNumer":`,
		`"updateTimeFormate"`:             `"updateTimeFormat"`,
		`"insert": true`:                  `"insert": "true"`,
		`"logDir": "/tmp",`:               ``,
		`"url" :`:                         `"uri" :`,
		`"des": [`:                        `"jobs": [], "des": [`,
		`"table": "user"`:                 `"table": ""`,
		`"callbackNotification"`:          `"tolerance": {"number": 0}, "callbackNotification"`,
		`"insertIntervalMillisecond": 20`: `"insertIntervalMillisecond": 0.20`,
	} {
		changed := strings.Replace(text, old, wrong, 1)
		if changed == text {
			t.Fatalf("%s is not in the file", old)
		}
		if err := validate(t, []byte(changed)); err == nil {
			t.Errorf("%s in place of %s is valid", wrong, old)
		}
		if _, err := config.Load("f", []byte(changed), nil); err == nil {
			t.Errorf("%s in place of %s loads", wrong, old)
		}
	}
}
