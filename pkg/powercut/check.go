package powercut

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
)

// Check are the settings of a check.
type Check struct {
	// Torn is how many directories are made of each cut by chance, besides the one with
	// what is certain and the one with everything.
	Torn int
	// Every is how many operations there are from one cut to the next; 0 means 1.
	Every int
	// Enough is after how many faults the check ends; 0: it looks at all cuts.
	Enough int
	// Look opens what a cut has left in a directory and says what is wrong. It is called
	// by several goroutines.
	Look func(dir string, marks []string) error
}

// Result is what a check has found.
type Result struct {
	Disks  int     // directories looked at, those that differ
	Faults []error // what is wrong with them
}

// Run looks at every cut of a recording. The directories are made below dir.
func (c Check) Run(dir string, rec *Recording) Result {
	r := &run{Check: c, disks: make(chan left), seen: map[[sha256.Size]byte]bool{}}
	var wg sync.WaitGroup
	for i := range runtime.GOMAXPROCS(0) {
		wg.Go(func() { r.look(filepath.Join(dir, fmt.Sprintf("disk%d", i))) })
	}
	for cut := range rec.Cuts() {
		if cut.Done%max(c.Every, 1) != 0 {
			continue
		}
		if r.cut(cut); r.enough() {
			break
		}
	}
	close(r.disks)
	wg.Wait()
	return r.result
}

// run is one run of a check.
type run struct {
	Check
	disks chan left
	seen  map[[sha256.Size]byte]bool

	mu     sync.Mutex // guards result
	result Result
}

// left is what a cut has left.
type left struct {
	disk  Disk
	marks []string
	how   string
}

// cut makes the directories that a cut can leave.
func (r *run) cut(c *Cut) {
	r.hand(c, "only what is certain", 0, func() bool { return false })
	if !c.Pending() {
		return
	}
	r.hand(c, "everything", 0, func() bool { return true })
	for i := range r.Torn {
		random := rand.New(rand.NewPCG(uint64(c.Done), uint64(i)))
		share := []float64{0.5, 0.9, 0.1}[i%3]
		sector := []int{512, 4096}[i%2]
		r.hand(c, fmt.Sprintf("chance %d", i), sector, func() bool { return random.Float64() < share })
	}
}

// hand has a directory looked at, unless one like it was.
func (r *run) hand(c *Cut, how string, sector int, keep func() bool) {
	d := c.Disk(sector, keep)
	sum := sha256.New()
	_, _ = fmt.Fprint(sum, len(c.Marks))
	for _, name := range names(d) {
		_, _ = fmt.Fprintf(sum, "%q %d\n%s", name, len(d[name]), d[name])
	}
	if id := [sha256.Size]byte(sum.Sum(nil)); !r.seen[id] {
		r.seen[id] = true
		r.disks <- left{d, slices.Clip(c.Marks), fmt.Sprintf("cut after %d operations, %s", c.Done, how)}
	}
}

func (r *run) look(dir string) {
	for l := range r.disks {
		if r.enough() {
			continue
		}
		err := errors.Join(os.RemoveAll(dir), os.Mkdir(dir, 0o700), l.disk.WriteTo(dir))
		if err == nil {
			err = r.Look(dir, l.marks)
		}
		r.note(l, err)
	}
}

func (r *run) note(l left, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.result.Disks++
	if err != nil {
		r.result.Faults = append(r.result.Faults, fmt.Errorf("%s: %w", l.how, err))
	}
}

func (r *run) enough() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.Enough > 0 && len(r.result.Faults) >= r.Enough
}

// Memory is a directory for disks to be looked at: in memory where there is such a file
// system, for the tests of a check do not depend on a disk; else below dir. The caller
// removes it.
func Memory(dir string) (string, error) {
	for _, parent := range []string{"/dev/shm", dir} {
		if made, err := os.MkdirTemp(parent, "powercut"); err == nil {
			return made, nil
		}
	}
	return "", fmt.Errorf("make a directory below %s: %w", dir, os.ErrPermission)
}
