package mariadb_test

import (
	"context"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/go-sql-driver/mysql"
	"go.uber.org/goleak"

	"github.com/masixun71/cupid/pkg/mariadb"
)

// parentEnv makes the test binary a program that starts a server and waits for the end of its standard input.
const parentEnv = "CUPID_MARIADB_TEST_PARENT"

// order is what the parent program is told in parentEnv, answer what it says on standard output.
type (
	order struct {
		Dir, Cache string // as in mariadb.Options
		Fetch      bool   // do not use a server of the machine
	}
	answer struct {
		Error    string
		Pid, UID int
		Dir      string
		Program  string
	}
)

func TestMain(m *testing.M) {
	if text, ok := os.LookupEnv(parentEnv); ok {
		beParent([]byte(text))
		return
	}
	// Here servers go away under open connections all the time.
	if err := mysql.SetLogger(&mysql.NopLogger{}); err != nil {
		panic(err)
	}
	goleak.VerifyTestMain(m)
}

// beParent panics where it cannot even answer: the exit code then says so.
func beParent(text []byte) {
	var o order
	if err := json.Unmarshal(text, &o); err != nil {
		panic(err)
	}
	s, err := o.start(context.Background())
	a := answer{UID: os.Getuid()}
	if err != nil {
		a.Error = err.Error()
	} else {
		a.Pid, a.Dir, a.Program = s.Pid(), s.Dir(), s.Program().Path
	}
	if err := json.NewEncoder(os.Stdout).Encode(a); err != nil {
		panic(err)
	}
	if _, err := io.Copy(io.Discard, os.Stdin); err != nil {
		panic(err)
	}
	if s != nil {
		if err := s.Close(); err != nil {
			panic(err)
		}
	}
}

func (o order) start(ctx context.Context) (*mariadb.Server, error) {
	options := mariadb.Options{Dir: o.Dir, Cache: o.Cache}
	if o.Fetch {
		p, err := mariadb.Fetched(ctx, options)
		if err != nil {
			return nil, err
		}
		if err := os.Setenv("CUPID_MARIADBD", p.Path); err != nil {
			return nil, err
		}
		if err := os.Setenv("LD_LIBRARY_PATH", p.LibraryPath()); err != nil {
			return nil, err
		}
	}
	return mariadb.Start(ctx, options)
}

// parent is the test binary at work as beParent.
type parent struct {
	cmd   *exec.Cmd
	stdin io.Closer
	answer
}

// startParent runs the parent program, as nobody if asked to, and returns its answer.
func startParent(t *testing.T, o order, asNobody bool, env ...string) *parent {
	t.Helper()
	text, err := json.Marshal(o)
	if err != nil {
		t.Fatal(err)
	}
	self := os.Args[0]
	p := &parent{cmd: exec.CommandContext(context.WithoutCancel(t.Context()), self)}
	p.cmd.Env = append(append(os.Environ(), parentEnv+"="+string(text)), env...)
	p.cmd.Stderr = t.Output()
	if asNobody {
		// The directory that go test builds in is closed to other users.
		p.cmd.Path = filepath.Join(openDir(t), "parent.test")
		copyProgram(t, self, p.cmd.Path)
		p.cmd.Dir = filepath.Dir(p.cmd.Path)
		p.cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
		p.cmd.Env = append(p.cmd.Env, "HOME=/nonexistent", "TMPDIR=/tmp")
	}
	if p.stdin, err = p.cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	stdout, err := p.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.end)
	if err := json.NewDecoder(stdout).Decode(&p.answer); err != nil {
		t.Fatalf("answer of the parent program: %v", err)
	}
	return p
}

// end closes the parent's input, so that it closes its server, and waits for it.
func (p *parent) end() {
	_ = p.stdin.Close() // closed already where the program was killed
	_ = p.cmd.Wait()    // so is this
}

// nobody is the user id that the tests take for an ordinary user.
const nobody = 65534

// openDir returns a directory that every user can enter.
func openDir(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for _, d := range []string{dir, filepath.Dir(dir)} {
		if err := os.Chmod(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func copyProgram(t *testing.T, from, to string) {
	t.Helper()
	text, err := os.ReadFile(from)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(to, text, 0o755); err != nil {
		t.Fatal(err)
	}
}
