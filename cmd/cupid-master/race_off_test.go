//go:build !race

package main_test

// raceFlag builds the binaries under test like the test itself.
const raceFlag = ""
