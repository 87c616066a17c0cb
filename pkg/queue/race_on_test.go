//go:build race

package queue_test

// cutEvery leaves cuts out where SQLite runs ten times slower; `make power` looks at all.
const cutEvery = 13
