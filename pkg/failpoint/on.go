//go:build failpoint

package failpoint

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// Enabled says whether this binary has points.
const Enabled = true

// place is the directory of the points, and the role of this process.
var place = sync.OnceValues(func() (dir, role string) {
	path, err := os.Executable()
	if err != nil {
		return "", ""
	}
	role = "other"
	if words := strings.Fields(os.Args[0]); len(words) > 1 {
		role = words[1] // "cupid: task worker 2"
	}
	return filepath.Join(filepath.Dir(path), "failpoints"), role
})

// Reach does what was armed for point, at most once for each time that it was armed.
func Reach(point string) {
	dir, role := place()
	name := role + "." + point
	taken := filepath.Join(dir, "reached", name+"."+strconv.Itoa(os.Getpid()))
	if os.Rename(filepath.Join(dir, "armed", name), taken) != nil {
		return // not armed, or another process was first
	}
	what, err := os.ReadFile(taken)
	if err != nil {
		panic("failpoint: " + err.Error())
	}
	do(string(what))
}

func do(what string) {
	var code int
	switch what {
	case "kill":
		signal(syscall.SIGKILL)
	case "segv":
		signal(syscall.SIGSEGV)
	case "stop":
		stop()
	default:
		if _, err := fmt.Sscanf(what, "exit %d", &code); err != nil {
			panic("failpoint: what is " + what)
		}
		os.Exit(code) //nolint:forbidigo // to end here is what the point is for
	}
}

// stop stops this process until somebody has it go on. The signal goes to the thread that is here,
// which then goes no step further; another one might get to it late.
func stop() {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	_ = unix.Tgkill(os.Getpid(), unix.Gettid(), unix.SIGSTOP)
}

// signal ends this process by a signal, before anything else happens on this goroutine.
func signal(s syscall.Signal) {
	_ = syscall.Kill(os.Getpid(), s)
	select {}
}
