package process_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/sys/unix"

	"github.com/masixun71/cupid/pkg/process"
)

// roleVariable makes the test binary, started again, be one of the processes in roles.
const roleVariable = "CUPID_TEST_ROLE"

// roles are what a child does; the string is its first argument.
var roles = map[string]func(arg string) int{
	"block":     func(string) int { block(); return 0 },
	"exit":      func(arg string) int { code, _ := strconv.Atoi(arg); return code },
	"panic":     crash,
	"env":       func(string) int { fmt.Println(strings.Join(os.Environ(), "\n")); return 0 },
	"eof":       untilEndOfFile,
	"titled":    titled,
	"retitled":  retitled,
	"lines":     manyLines,
	"long":      longLine,
	"parent":    parent,
	"orphan":    orphan,
	"leaver":    leaver,
	"deaf":      deaf,
	"no-reader": noReader,
}

func TestMain(m *testing.M) {
	if role, ok := roles[os.Getenv(roleVariable)]; ok {
		arg := ""
		if len(os.Args) > 1 {
			arg = os.Args[1]
		}
		os.Exit(role(arg)) //nolint:forbidigo // This is the main of a child.
	}
	// The race detector lets every process that ends wait a second for late reports; children here have none.
	if err := os.Setenv("GORACE", "atexit_sleep_ms=0"); err != nil {
		panic(err)
	}
	goleak.VerifyTestMain(m)
}

// block waits for ever, as far as a test is concerned: even a failed test leaves no process for long.
func block() { <-time.After(time.Minute) }

func crash(path string) int {
	if err := process.CrashOutput(path); err != nil {
		return 1
	}
	panic("planned")
}

// master returns the connection that a child inherits.
func master() net.Conn {
	conn, err := net.FileConn(os.NewFile(3, "master"))
	if err != nil {
		panic(err)
	}
	return conn
}

func untilEndOfFile(string) int {
	if _, err := io.Copy(io.Discard, master()); err != nil {
		return 1
	}
	return 7
}

func titled(title string) int {
	if err := process.SetTitle(title); err != nil {
		return 1
	}
	fmt.Println("titled")
	block()
	return 0
}

func retitled(title string) int {
	before := os.Args[0]
	if err := process.Retitle(title); err != nil {
		return 1
	}
	fmt.Println(before, os.Getpid(), strings.Join(os.Args, ","))
	return 0
}

func manyLines(count string) int {
	n, _ := strconv.Atoi(count)
	line := strings.Repeat("x", 1000)
	for range n {
		fmt.Println(line)
	}
	return 0
}

func longLine(string) int {
	fmt.Println("before")
	for range 10 {
		fmt.Print(strings.Repeat("x", 1<<20))
	}
	fmt.Print("\nafter\nno end")
	return 0
}

// parent starts an orphan-to-be with the given lock, says its pid, and waits to be killed.
func parent(arg string) int {
	role, lock, _ := strings.Cut(arg, ",")
	child, err := process.Start(context.Background(), process.Command{
		Path: os.Args[0], Env: []string{roleVariable + "=" + role}, LockPath: lock,
	})
	if err != nil {
		fmt.Println(err)
		return 1
	}
	// The child has come to life when it says so; it might be killed before otherwise.
	if _, err := io.ReadFull(child.Conn(), make([]byte, 1)); err != nil {
		fmt.Println(err)
		return 1
	}
	fmt.Println(child.Pid())
	block()
	return 0
}

// orphan does everything wrong: it does not mind the end of file, and takes away the signal of its parent's death.
func orphan(string) int {
	if err := unix.Prctl(unix.PR_SET_PDEATHSIG, 0, 0, 0, 0); err != nil {
		return 1
	}
	return deaf("")
}

func deaf(string) int {
	process.IgnoreStopSignals()
	if _, err := master().Write([]byte("!")); err != nil {
		return 1
	}
	block()
	return 0
}

// leaver leaves a process behind that holds standard output.
func leaver(string) int {
	cmd := exec.Command(os.Args[0]) // without a context: it is to outlive this process
	cmd.Env = append(os.Environ(), roleVariable+"=block")
	cmd.Stdout = os.Stdout
	if err := cmd.Start(); err != nil {
		return 1
	}
	fmt.Println(cmd.Process.Pid)
	return 0
}

// noReader writes to a standard output that nobody reads.
func noReader(string) int {
	process.TolerateBrokenOutput()
	signal.Ignore(syscall.SIGHUP)
	for range 10 {
		if _, err := fmt.Println("lost"); err == nil {
			return 1
		}
	}
	return 0
}
