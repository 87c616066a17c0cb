// Command schema writes the JSON schema of cupid's configuration file. What a key
// means comes from the comments in pkg/config, defaults and limits from
// config.Keys. It is a module of its own so that the generator is no dependency of
// cupid.
//
// Usage, in the directory of this file:
//
//	go run . ../../examples/cupid.schema.json
package main

import (
	"fmt"
	"os"
)

// defaultPath is where the shipped schema lies.
const defaultPath = "../../examples/cupid.schema.json"

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "schema:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	path := defaultPath
	if len(args) > 0 {
		path = args[0]
	}
	data, err := Generate("../../pkg/config")
	if err != nil {
		return err
	}
	if err := os.WriteFile(path, data, 0o644); err != nil {
		return fmt.Errorf("write schema: %w", err)
	}
	return nil
}
