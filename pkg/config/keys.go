package config

import "slices"

// Key is the definition of one key of the file, for the generator of the JSON
// schema.
type Key struct {
	// Object is the name of the Go struct whose field it is.
	Object string
	// Name is the key in the file.
	Name string
	// Required says whether the file must have it and not be empty.
	Required bool
	// Default is nil where there is none.
	Default any
	// Min and Max are the limits of a number, or Max the length of a list; 0 and 0 are none.
	Min, Max int
	// Words are the only values of a text; nil where any will do.
	Words []string
}

// Keys returns the definitions of all keys.
func Keys() []Key {
	source, destination := newSource(), newDestination()
	objects := []struct {
		name   string
		object object
	}{
		{"Config", newConfig()},
		{"Notify", &newConfig().Notify},
		{"Job", &Job{}},
		{"Source", &source},
		{"Destination", &destination},
		{"CallbackNotification", &destination.CallbackNotification},
	}
	var keys []Key
	for _, o := range objects {
		for _, f := range o.object.fields() {
			keys = append(keys, Key{Object: o.name, Name: f.key, Required: f.required, Default: f.preset(), Min: f.min, Max: f.max, Words: slices.Clone(f.words)})
		}
	}
	return keys
}

// preset returns the default of a key that was not read yet; nil stands for none:
// a number below its limits, an empty text.
func (f field) preset() any {
	switch into := f.into.(type) {
	case *bool:
		return *into
	case *int:
		if *into >= f.min {
			return *into
		}
	case *string:
		if *into != "" {
			return *into
		}
	}
	return nil
}
