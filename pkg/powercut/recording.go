package powercut

import (
	"fmt"
	"iter"
	"maps"
	"os"
	"path/filepath"
	"slices"
)

// Kind is what an Op does.
type Kind int

// The kinds of an Op.
const (
	Write    Kind = iota // Data at Offset of File
	Truncate             // File to Offset bytes
	Sync                 // File
	Rename               // Names: what each of them stands for from now on
	SyncDir              // the directory
	Map                  // File is mapped for writing
	Mark                 // the program has said Text
)

// Op is one thing that the program did.
type Op struct {
	Kind   Kind
	File   int // files are counted from 1
	Offset int64
	Data   []byte
	Names  map[string]int // 0: there is no such name any more
	Text   string
}

// Recording is what a program did to the files of a directory.
type Recording struct {
	// Ops are in the order in which they ended.
	Ops []Op
	// start is the directory before, all of it on disk.
	start map[string][]byte
}

// markPrefix begins what a program writes to its standard output to be recorded.
const markPrefix = "powercut: "

// Say puts a mark into the recording of the calling program. It returns when the mark
// is recorded.
func Say(text string) {
	if _, err := os.Stdout.WriteString(markPrefix + text + "\n"); err != nil {
		panic(fmt.Sprintf("powercut: say %q: %v", text, err))
	}
}

// Without is the recording of a program that would have done the same and left out
// some of it: a control.
func (r *Recording) Without(left func(Op) bool) *Recording {
	control := &Recording{start: r.start}
	for _, op := range r.Ops {
		if !left(op) {
			control.Ops = append(control.Ops, op)
		}
	}
	return control
}

// Program is what Record runs.
type Program struct {
	Args   []string // the first is the path of the binary
	Env    []string
	Output *os.File // takes its standard output and standard error
}

// names are the files of a directory in the order in which they are counted.
func names(d Disk) []string { return slices.Sorted(maps.Keys(d)) }

// Disk is the content of a directory.
type Disk map[string][]byte

// WriteTo puts the files into an existing directory.
func (d Disk) WriteTo(dir string) error {
	for name, content := range d {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			return fmt.Errorf("write disk: %w", err)
		}
	}
	return nil
}

// read is the content of a directory.
func read(dir string) (Disk, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	d := Disk{}
	for _, e := range entries {
		if d[e.Name()], err = os.ReadFile(filepath.Join(dir, e.Name())); err != nil {
			return nil, err
		}
	}
	return d, nil
}

// Cut is the power loss after some of the operations.
type Cut struct {
	// Done is how many operations have ended before it.
	Done int
	// Marks are what the program has said before it. They must not be changed.
	Marks []string

	files   map[int]*file
	names   map[string]int   // on disk
	unnamed []map[string]int // changes to names that are not synced
}

// file is one file, whatever its names.
type file struct {
	synced  []byte
	pending []Op
	mapped  bool
}

// Cuts are all points at which the power can go, the first before anything was done.
// A Cut is only good until the next.
func (r *Recording) Cuts() iter.Seq[*Cut] {
	return func(yield func(*Cut) bool) {
		c := &Cut{files: map[int]*file{}, names: map[string]int{}}
		for _, name := range names(r.start) {
			id := len(c.files) + 1
			c.names[name] = id
			c.files[id] = &file{synced: r.start[name]}
		}
		for {
			if !yield(c) || c.Done == len(r.Ops) {
				return
			}
			c.do(r.Ops[c.Done])
			c.Done++
		}
	}
}

func (c *Cut) do(op Op) {
	switch op.Kind {
	case Write, Truncate:
		f := c.file(op.File)
		f.pending = append(f.pending, op)
	case Sync:
		f := c.file(op.File)
		f.synced = f.after(0, func() bool { return true })
		f.pending = nil
	case Map:
		c.file(op.File).mapped = true
	case Rename:
		c.unnamed = append(c.unnamed, op.Names)
	case SyncDir:
		for _, change := range c.unnamed {
			rename(c.names, change)
		}
		c.unnamed = nil
	case Mark:
		c.Marks = append(c.Marks, op.Text)
	}
}

func (c *Cut) file(id int) *file {
	if c.files[id] == nil {
		c.files[id] = &file{}
	}
	return c.files[id]
}

// Pending reports whether there is anything at all that is not certain.
func (c *Cut) Pending() bool {
	for _, f := range c.files {
		if len(f.pending) > 0 || f.mapped {
			return true
		}
	}
	return len(c.unnamed) > 0
}

// Disk is a directory that this cut can leave. keep is asked for everything that is not
// certain, in the order in which it was done, whether it is there.
func (c *Cut) Disk(sectorBytes int, keep func() bool) Disk {
	names := maps.Clone(c.names)
	for _, change := range c.unnamed {
		if keep() {
			rename(names, change)
		}
	}
	left := map[int][]byte{} // a file with two names is one file
	for _, id := range slices.Compact(slices.Sorted(maps.Values(names))) {
		left[id] = c.file(id).after(sectorBytes, keep)
	}
	d := Disk{}
	for name, id := range names {
		d[name] = left[id]
	}
	return d
}

func rename(names, change map[string]int) {
	for name, id := range change {
		if id == 0 {
			delete(names, name)
		} else {
			names[name] = id
		}
	}
}

// after is the content with those pending operations that are kept. A sector of no
// bytes is a whole write.
func (f *file) after(sectorBytes int, keep func() bool) []byte {
	content := append([]byte(nil), f.synced...)
	for _, op := range f.pending {
		if op.Kind == Truncate {
			if keep() {
				content = resize(content, op.Offset)
			}
			continue
		}
		for offset, data := op.Offset, op.Data; len(data) > 0; {
			n := len(data)
			if sectorBytes > 0 {
				n = min(n, sectorBytes-int(offset%int64(sectorBytes)))
			}
			end := offset + int64(n)
			switch grows := int64(len(content)) < end; {
			case keep():
				if grows {
					content = resize(content, end)
				}
				copy(content[offset:], data[:n])
			case grows && keep(): // the length came first
				content = resize(content, end)
			}
			offset, data = end, data[n:]
		}
	}
	if f.mapped {
		for i := range content {
			if i%64 == 0 && !keep() {
				clear(content[i:min(i+64, len(content))])
			}
		}
	}
	return content
}

func resize(b []byte, n int64) []byte {
	if int64(len(b)) >= n {
		return b[:n:n]
	}
	return append(b, make([]byte, n-int64(len(b)))...)
}
