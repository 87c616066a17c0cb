// Package boot is what the master hands to each worker beside its place in the
// pool: the body of a welcome, and where the workers' files lie. It knows nothing
// of how it is sent or of what a worker does with it.
package boot

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
)

// RoleCheck is the role of a worker that tests the configuration against the
// databases and reports. Then it ends or, in a run with -once, is given the manager's role.
const RoleCheck = "check"

// Orders is the body of a welcome.
type Orders struct {
	// Config is the configuration in config's wire form. It holds secrets.
	Config json.RawMessage `json:"config"`
	// StartID is where an insert scan without a cursor begins.
	StartID string `json:"startId,omitempty"`
	// DryRun makes the callback worker keep what it would deliver.
	DryRun bool `json:"dryRun,omitempty"`
	// Once sweeps every pair once, and nothing else is done. Resume goes on with a
	// pass that was left unfinished.
	Once   bool `json:"once,omitempty"`
	Resume bool `json:"resume,omitempty"`
	// Run names this run of Once, unlike any other: a manager that takes the place
	// of one that died tells by it what was done in this run.
	Run string `json:"run,omitempty"`
	// Report and SQL say that the divergences are wanted in detail: for a report,
	// and as statements that would repair them.
	Report bool `json:"report,omitempty"`
	SQL    bool `json:"sql,omitempty"`
	// StateDir is the directory of the cache files.
	StateDir string `json:"stateDir"`
}

// IsStartID reports whether text can be a StartID: 1 to 20 digits.
func IsStartID(text string) bool {
	return len(text) >= 1 && len(text) <= 20 && strings.Trim(text, "0123456789") == ""
}

// TypeReport is the message by which a check worker answers.
const TypeReport = "report"

// Report is what a check found, by pair in the order of the configuration.
type Report struct {
	Pairs []PairReport `json:"pairs"`
}

// PairReport is what a check found of one pair.
type PairReport struct {
	Pair string `json:"pair"`
	// Lines say how each column pair is compared.
	Lines []string `json:"lines"`
	// Warnings do not keep cupid from working, Faults do. Unreachable are
	// databases that did not answer, which may pass.
	Warnings    []string `json:"warnings,omitempty"`
	Faults      []string `json:"faults,omitempty"`
	Unreachable []string `json:"unreachable,omitempty"`
}

// Files in the state directory.
const (
	PidFile    = "cupid.pid"
	LockFile   = "cupid.lock"
	SocketFile = "cupid.sock"
)

// ManagerFile is the manager's cache file.
func ManagerFile(dir string) string { return filepath.Join(dir, "manager-0.json") }

// SumsFile keeps what the sweep by buckets of a pair has added up. The pair may have
// any name.
func SumsFile(dir, pair string) string {
	name := sha256.Sum256([]byte(pair))
	return filepath.Join(dir, fmt.Sprintf("sweep-%x.json", name[:8]))
}

// IsSumsFile reports whether a path is that of SumsFile for some pair.
func IsSumsFile(path string) bool {
	ok, err := filepath.Match("sweep-????????????????.json", filepath.Base(path))
	return ok && err == nil
}

// QueueFile is the callback worker's queue.
func QueueFile(dir string) string { return filepath.Join(dir, "callback-1.db") }

// CallbackFile is the callback worker's cache file.
func CallbackFile(dir string) string { return filepath.Join(dir, "callback-1.json") }

// TaskFile is the cache file of the task worker in a slot.
func TaskFile(dir string, slot int) string {
	return filepath.Join(dir, "task-"+strconv.Itoa(slot)+".json")
}

// SlotLock is the lock that a worker holds for as long as it lives.
func SlotLock(dir string, slot int) string {
	return filepath.Join(dir, "slot-"+strconv.Itoa(slot)+".lock")
}

// CrashFile takes the stacks of a worker that crashed.
func CrashFile(dir string, slot int) string {
	return filepath.Join(dir, "crash-"+strconv.Itoa(slot)+".log")
}

// OriginalCursor is the file in which the original kept its id.
func OriginalCursor(dir string) string { return filepath.Join(dir, "cupid.txt") }
