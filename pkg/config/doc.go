// Package config is the configuration file: its keys with their defaults and
// limits, the faults of a file with their places, and the list of pairs that
// follows from it. It opens no file, reads no environment (a look-up is handed
// in) and does not know whether a database, a table or a URL it names exists.
//
// # Model
//
// The file is JSON with comments and trailing commas. A key is defined once: a
// struct field, whose comment is the description in the JSON schema, and a line
// in the fields method of that struct with its name, default and limits. Reading,
// the wire form and the schema all follow these lines.
//
// Load turns the form of the original, one src with its des, into a list of one
// job, so that everybody else sees Jobs only.
//
// # Faults
//
// Load reports all faults of a file together, each with its key, line, column and
// what to do. No fault quotes a value, because any value may be a secret.
//
// # Concurrency
//
// A Config is not changed after Load; reading it is safe for concurrent use.
package config
