package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strconv"

	"github.com/invopop/jsonschema"

	"github.com/masixun71/cupid/pkg/config"
	"github.com/masixun71/cupid/pkg/dsn"
	"github.com/masixun71/cupid/pkg/secret"
)

// module is the import path of this directory, from which the path of the
// comments' package follows.
const module = "github.com/masixun71/cupid/scripts/schema"

// Generate returns the schema; source is the directory of pkg/config, relative to
// the working directory.
func Generate(source string) ([]byte, error) {
	r := &jsonschema.Reflector{
		Anonymous:                  true,
		ExpandedStruct:             true,
		RequiredFromJSONSchemaTags: true, // there are none: config.Keys says what is required
		Mapper:                     mapper,
	}
	if err := r.AddGoComments(module, source); err != nil {
		return nil, fmt.Errorf("read comments: %w", err)
	}
	schema := r.Reflect(&config.Config{})
	schema.Title = "cupid"
	schema.Description = "Configuration of cupid. Any text may take ${NAME} from the environment of the master."
	if err := apply(schema, config.Keys()); err != nil {
		return nil, err
	}
	schema.OneOf = []*jsonschema.Schema{
		{Required: []string{"src", "des"}, Not: &jsonschema.Schema{Required: []string{"jobs"}}},
		{Required: []string{"jobs", "cacheFilePath"}, Not: &jsonschema.Schema{AnyOf: []*jsonschema.Schema{{Required: []string{"src"}}, {Required: []string{"des"}}}}},
	}
	data, err := json.MarshalIndent(schema, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("marshal schema: %w", err)
	}
	return append(data, '\n'), nil
}

// mapper says what stands in the file for the types that are not what they look
// like.
func mapper(t reflect.Type) *jsonschema.Schema {
	text := func() *jsonschema.Schema { return &jsonschema.Schema{Type: "string"} }
	oneOrMany := func() *jsonschema.Schema {
		return &jsonschema.Schema{OneOf: []*jsonschema.Schema{text(), {Type: "array", Items: text()}}}
	}
	switch t {
	case reflect.TypeFor[secret.String](), reflect.TypeFor[dsn.DSN]():
		return text()
	case reflect.TypeFor[config.Names](), reflect.TypeFor[config.Secrets]():
		return oneOrMany()
	case reflect.TypeFor[config.Tolerances]():
		return &jsonschema.Schema{Type: "object", AdditionalProperties: &jsonschema.Schema{Type: "number", ExclusiveMinimum: "0"}}
	case reflect.TypeFor[config.Columns](), reflect.TypeFor[map[string]secret.String]():
		return &jsonschema.Schema{Type: "object", AdditionalProperties: text()}
	}
	return nil
}

// apply puts defaults, limits and what is required into the schema. A key that
// the schema lacks, or has without a description, is an error.
func apply(root *jsonschema.Schema, keys []config.Key) error {
	var faults []error
	for _, key := range keys {
		object := root
		if key.Object != "Config" {
			object = root.Definitions[key.Object]
		}
		if object == nil {
			return fmt.Errorf("object %s is not in the schema", key.Object)
		}
		property, found := object.Properties.Get(key.Name)
		if !found || property.Description == "" {
			faults = append(faults, fmt.Errorf("key %s.%s: no property or no description", key.Object, key.Name))
			continue
		}
		if key.Required {
			object.Required = append(object.Required, key.Name)
		}
		property.Default = key.Default
		limit(property, key)
	}
	return errors.Join(faults...)
}

// limit applies the limits of one key, by the type of its value.
func limit(p *jsonschema.Schema, key config.Key) {
	length, least := uint64(key.Max), uint64(0)
	if key.Required {
		least = 1
	}
	switch {
	case key.Words != nil:
		words := &jsonschema.Schema{}
		for _, word := range key.Words {
			words.Enum = append(words.Enum, word)
		}
		p.AnyOf = []*jsonschema.Schema{words, {Pattern: `\$\{`}}
	case p.Type == "integer":
		p.Minimum, p.Maximum = json.Number(strconv.Itoa(key.Min)), json.Number(strconv.Itoa(key.Max))
	case p.Type == "array":
		p.MinItems, p.MaxItems = &least, &length
	case p.Type == "object" && p.AdditionalProperties != nil && key.Max > 0:
		p.MinProperties, p.MaxProperties = &least, &length
	case p.Type == "string" && key.Required:
		p.MinLength = &least
	case len(p.OneOf) == 2:
		p.OneOf[0].MinLength = &least
		p.OneOf[1].MinItems, p.OneOf[1].MaxItems = &least, &length
	}
}
