package main_test

import (
	"io"
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"testing"
	"time"
)

// spawn starts a program that gets a signal when this test binary ends, however that ends: a go test that is killed, or out
// of its time, calls no cleanup. done is closed when the program has ended and was waited for.
func spawn(cmd *exec.Cmd, signal syscall.Signal) (done chan struct{}, err error) {
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.Pdeathsig = signal
	started := make(chan error, 1)
	done = make(chan struct{})
	go func() {
		// The signal comes when the thread ends that started the program (golang/go#27505), so this goroutine keeps its
		// own for as long.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		defer close(done)
		err := cmd.Start()
		if started <- err; err == nil {
			_ = cmd.Wait() // how it ended is in cmd
		}
	}()
	return done, <-started
}

// spawnOnly makes the test binary start a program and wait for nothing but its own end.
const spawnOnly = "CUPID_TEST_SPAWN_ONLY"

// spawnAndWait is such a test binary. The program has its standard output.
func spawnAndWait() {
	cmd := exec.Command("sleep", "600")
	cmd.Stdout = os.Stdout
	if _, err := spawn(cmd, syscall.SIGKILL); err != nil {
		panic(err)
	}
	_, _ = os.Stdout.WriteString("started\n")
	select {}
}

func TestNothingOutlivesATestBinaryThatIsKilled(t *testing.T) {
	t.Parallel()
	reader, writer, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = reader.Close() }()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), spawnOnly+"=1")
	cmd.Stdout = writer
	done, err := spawn(cmd, syscall.SIGKILL)
	if err != nil {
		t.Fatal(err)
	}
	_ = writer.Close() // the two others have it
	if err := reader.SetReadDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	said := make([]byte, len("started\n"))
	if _, err := io.ReadFull(reader, said); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	<-done
	if _, err := io.ReadAll(reader); err != nil { // it ends with the last who has the other end
		t.Errorf("what it had started still runs: %v", err)
	}
}
