package queue_test

import (
	"bytes"
	"database/sql"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/masixun71/cupid/pkg/queue"
)

// told collects what a queue reports.
type told struct {
	damaged  []string
	replaced []queue.Replacement
}

func (r *told) options() queue.Options {
	return queue.Options{
		Damaged: func(rec queue.Record, reason string) {
			r.damaged = append(r.damaged, rec.Group+"/"+rec.Key+": "+reason)
		},
		Replaced: func(x queue.Replacement) { r.replaced = append(r.replaced, x) },
	}
}

// edit runs a statement on the closed file, behind the queue's back.
func edit(t *testing.T, path, statement string) {
	t.Helper()
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := db.ExecContext(t.Context(), statement); err != nil {
		t.Fatalf("%s: %v", statement, err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
}

// made returns the path of a closed queue with n records of group g.
func made(tb testing.TB, n int) string {
	tb.Helper()
	path := filepath.Join(tb.TempDir(), "q.db")
	q := open(tb, path, queue.Options{})
	mustPut(tb, q, puts("g", 0, n))
	closeQueue(tb, q)
	return path
}

func readFile(tb testing.TB, path string) []byte {
	tb.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		tb.Fatal(err)
	}
	return data
}

func writeFile(tb testing.TB, path string, data []byte) {
	tb.Helper()
	if err := os.WriteFile(path, data, 0o600); err != nil {
		tb.Fatal(err)
	}
}

func TestChangedRowIsSetAside(t *testing.T) {
	t.Parallel()
	for name, statement := range map[string]string{
		"payload":            `UPDATE record SET payload = CAST(replace(payload, 'kind":2', 'kind":3') AS BLOB)`,
		"payload no blob":    `UPDATE record SET payload = 'text'`,
		"key":                `UPDATE record SET key = CAST(key || 'x' AS BLOB)`,
		"group":              `UPDATE record SET grp = 'h'`,
		"due":                `UPDATE record SET due = due + 1`,
		"due no number":      `UPDATE record SET due = 'soon'`,
		"attempts":           `UPDATE record SET attempts = attempts + 1`,
		"attempts no number": `UPDATE record SET attempts = 'many'`,
		"version":            `UPDATE record SET version = version + 1`,
		"first seen":         `UPDATE record SET first_seen = first_seen - 1`,
		"crc":                `UPDATE record SET crc = crc + 1`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := made(t, 5)
			edit(t, path, statement+` WHERE rowid = 3`)
			var r told
			q := open(t, path, r.options())
			got := append(mustDue(t, q, "g", 10), mustDue(t, q, "h", 10)...)
			// A due time that is text sorts behind every number: NextDue and Due never
			// reach it, Get does.
			if _, _, err := q.Get(t.Context(), "g", "key-0000002"); err != nil {
				t.Errorf("Get: %v", err)
			}
			if len(got) != 4 || len(r.damaged) != 1 || len(r.replaced) != 0 {
				t.Errorf("got %d records, told of %q and %v; want 4 and one damaged", len(got), r.damaged, r.replaced)
			}
			if q.Len() != 4 || q.Depth("g") != 4 {
				t.Errorf("counted %d and %d, want 4", q.Len(), q.Depth("g"))
			}
			mustPut(t, q, puts("g", 2, 3))
			if got := mustDue(t, q, "g", 10); len(got) != 5 {
				t.Errorf("got %d records after a new Put, want 5", len(got))
			}
			closeQueue(t, q)
			edit(t, path, `INSERT INTO meta SELECT 2, 2 WHERE (SELECT COUNT(*) FROM damaged) <> 1`) // meta refuses it
		})
	}
}

func TestWritingOverADamagedRowDoesNotHideIt(t *testing.T) {
	t.Parallel()
	path := made(t, 2)
	edit(t, path, `UPDATE record SET attempts = 99`)
	var r told
	q := open(t, path, r.options())
	mustPut(t, q, puts("g", 0, 1))
	got, _, err := q.Get(t.Context(), "g", "key-0000000")
	if err != nil || got.Attempts != 0 || len(r.damaged) != 1 {
		t.Errorf("after Put: %+v, %v, told of %q; want a new record and one damaged", got, err, r.damaged)
	}
	n, err := q.Apply(t.Context(), []queue.Change{{Group: "g", Key: "key-0000001", Version: 2, Due: base}})
	if n != 0 || err != nil || len(r.damaged) != 2 || q.Len() != 1 {
		t.Errorf("Apply = %d, %v, told of %q, %d left; want it set aside", n, err, r.damaged, q.Len())
	}
}

func TestUselessFileIsKeptAndReplaced(t *testing.T) {
	t.Parallel()
	garbage := make([]byte, 50_000)
	for i := range garbage {
		garbage[i] = byte(rand.Uint32())
	}
	for name, test := range map[string]struct {
		content func(good []byte) []byte // or
		edit    string
		reason  string
		// rescued is the least number of the 1000 records that must be in the new file.
		rescued int
	}{
		"zero bytes":          {content: func([]byte) []byte { return nil }, reason: "empty"},
		"garbage":             {content: func([]byte) []byte { return garbage }, reason: "not a database"},
		"short":               {content: func([]byte) []byte { return []byte("{}") }, reason: "not a database"},
		"truncated":           {content: func(good []byte) []byte { return good[:len(good)*3/4] }, reason: "malformed", rescued: 100},
		"truncated in a page": {content: func(good []byte) []byte { return good[:len(good)-1000] }, reason: "integrity check", rescued: 100},
		"newer schema":        {edit: "PRAGMA user_version = 2", reason: "schema version 2 is newer"},
		"foreign":             {edit: "PRAGMA application_id = 7", reason: "another application", rescued: 1000},
		"no index":            {edit: "DROP INDEX record_due", reason: "schema", rescued: 1000},
		"no table":            {edit: "DROP TABLE record", reason: "schema"},
		"index without rows": {
			edit: `PRAGMA writable_schema = ON;
			UPDATE sqlite_schema SET sql = 'CREATE INDEX record_due ON record (grp, due) WHERE due < 0' WHERE name = 'record_due';
			PRAGMA writable_schema = RESET; REINDEX record_due; PRAGMA writable_schema = ON;
			UPDATE sqlite_schema SET sql = 'CREATE INDEX record_due ON record (grp, due)' WHERE name = 'record_due'`,
			reason: "record_due", rescued: 1000,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := made(t, 1000)
			if test.content != nil {
				writeFile(t, path, test.content(readFile(t, path)))
			} else {
				edit(t, path, test.edit)
			}
			spoilt := readFile(t, path)
			var r told
			q := open(t, path, r.options())
			if len(r.replaced) != 1 || !strings.Contains(r.replaced[0].Reason, test.reason) {
				t.Fatalf("told of %+v, want one replacement because of %q", r.replaced, test.reason)
			}
			if kept := readFile(t, r.replaced[0].Old); !bytes.Equal(kept, spoilt) {
				t.Error("the old file was not kept as it was")
			}
			got := mustDue(t, q, "g", 2000)
			if len(got) < test.rescued || len(got) != r.replaced[0].Rescued || len(got) != q.Len() {
				t.Errorf("%d records are there, %d counted, %d reported, want %d or more",
					len(got), q.Len(), r.replaced[0].Rescued, test.rescued)
			}
			wantSound(t, got)
			mustPut(t, q, puts("g", 0, 1100))
			closeQueue(t, q)
			if got := len(mustDue(t, open(t, path, r.options()), "g", 2000)); got != 1100 || len(r.replaced) != 1 {
				t.Errorf("%d records after reopen and %d replacements, want 1100 and 1", got, len(r.replaced))
			}
		})
	}
}

// wantSound checks that the records are what puts made.
func wantSound(t *testing.T, got []queue.Record) {
	t.Helper()
	for _, r := range got {
		var n int
		if _, err := fmt.Sscanf(r.Key, "key-%07d", &n); err != nil {
			t.Fatalf("a key that nobody has put: %q", r.Key)
		}
		want := puts("g", n, n+1)[0]
		if r.Group != "g" || r.Key != want.Key || !bytes.Equal(r.Payload, want.Payload) || !r.Due.Equal(want.Due) {
			t.Fatalf("got %+v, want what was put: %+v", r, want)
		}
	}
}

func TestKeptFilesDoNotOverwriteEachOther(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "q.db")
	var r told
	opt := r.options()
	opt.Now = func() time.Time { return base }
	for i := range 3 {
		writeFile(t, path, fmt.Appendf(nil, "garbage %d", i))
		closeQueue(t, open(t, path, opt))
	}
	for i, x := range r.replaced {
		if got := string(readFile(t, x.Old)); got != fmt.Sprintf("garbage %d", i) {
			t.Errorf("%s holds %q", x.Old, got)
		}
	}
	if want := path + ".damaged-20261124T060000.000Z"; len(r.replaced) != 3 || r.replaced[0].Old != want {
		t.Errorf("told of %+v, want three, the first %s", r.replaced, want)
	}
}

func TestMissingFileBesideItsLog(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "q.db")
	writeFile(t, path+"-wal", []byte("frames"))
	var r told
	q := open(t, path, r.options())
	if len(r.replaced) != 1 || q.Len() != 0 {
		t.Fatalf("told of %+v, want one replacement", r.replaced)
	}
	if got := string(readFile(t, r.replaced[0].Old+"-wal")); got != "frames" {
		t.Errorf("kept %q", got)
	}
}

func TestInterruptedReplacementIsFinished(t *testing.T) {
	t.Parallel()
	const stamp = "20261124T060000.000Z"
	for name, before := range map[string][]string{
		"nothing renamed": {"", "-wal"},
		"database gone":   {"-wal"},
		"all renamed":     {},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := made(t, 10)
			if err := os.Rename(path, path+".rescued-"+stamp); err != nil {
				t.Fatal(err)
			}
			for _, part := range before {
				writeFile(t, path+part, []byte("broken"))
			}
			writeFile(t, path+".new", []byte("half"))
			var r told
			q := open(t, path, r.options())
			if got := q.Depth("g"); got != 10 || len(r.replaced) != 1 {
				t.Errorf("%d records, told of %+v; want 10 and the replacement", got, r.replaced)
			}
			for _, part := range before {
				if got := string(readFile(t, path+".damaged-"+stamp+part)); got != "broken" {
					t.Errorf("kept %q", got)
				}
			}
		})
	}
}

func TestMalformedWhileInUse(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "q.db")
	var r told
	q := open(t, path, r.options())
	for i := range 2 { // more than the page cache holds
		list := puts("g", i*80, i*80+80)
		for j := range list {
			list[j].Payload = bytes.Repeat([]byte{byte(j)}, queue.MaxPayloadBytes)
		}
		mustPut(t, q, list)
	}
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt(bytes.Repeat([]byte{0xff}, 1<<20), 2<<20); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := q.Due(t.Context(), "g", late, 1000, nil); err == nil || !strings.Contains(err.Error(), "malformed") {
		t.Fatalf("Due over a spoilt file = %v", err)
	}
	if len(r.replaced) != 1 || r.replaced[0].Rescued < 20 {
		t.Fatalf("told of %+v; want a replacement with most of the 160 records", r.replaced)
	}
	got := mustDue(t, q, "g", 1000)
	if len(got) != r.replaced[0].Rescued || len(got) != q.Len() {
		t.Errorf("%d records, %d counted, %d reported", len(got), q.Len(), r.replaced[0].Rescued)
	}
	n, err := q.Apply(t.Context(), removals(got))
	if err != nil || n != len(got) {
		t.Errorf("Apply = %d, %v; want %d", n, err, len(got))
	}
}

// FuzzFlippedBits flips bits of a queue file and demands that Open works, that no
// record comes back changed, and that none is missing in silence.
func FuzzFlippedBits(f *testing.F) {
	data := readFile(f, made(f, 100))
	r := rand.New(rand.NewPCG(1, 2))
	for range 16 {
		f.Add(r.Uint32N(uint32(len(data))), byte(1<<r.UintN(8)))
	}
	for i := range uint32(8) { // the header
		f.Add(i*6, byte(0x81))
	}
	f.Fuzz(func(t *testing.T, at uint32, mask byte) {
		path := filepath.Join(t.TempDir(), "q.db")
		spoilt := bytes.Clone(data)
		spoilt[int(at)%len(spoilt)] ^= mask
		writeFile(t, path, spoilt)
		var r told
		q := open(t, path, r.options())
		got, err := q.Due(t.Context(), "g", late, 1000, nil)
		if err != nil { // repaired: the next call works
			got = mustDue(t, q, "g", 1000)
		}
		wantSound(t, got)
		if len(got) != 100 && len(r.damaged) == 0 && len(r.replaced) == 0 {
			t.Errorf("%d of 100 records, and nobody was told", len(got))
		}
		if len(got) != q.Depth("g") && len(r.damaged) == 0 {
			t.Errorf("%d records, %d counted", len(got), q.Depth("g"))
		}
		mustPut(t, q, puts("g", 0, 101))
	})
}

func TestWrongCountIsCorrected(t *testing.T) {
	t.Parallel()
	path := made(t, 5)
	edit(t, path, `UPDATE depth SET n = 7; INSERT INTO depth VALUES ('none', 3)`)
	for range 2 {
		q := open(t, path, queue.Options{})
		if q.Depth("g") != 5 || q.Len() != 5 {
			t.Errorf("counted %d and %d, want 5", q.Depth("g"), q.Len())
		}
		closeQueue(t, q)
	}
	edit(t, path, `INSERT INTO meta SELECT 2, 2 WHERE (SELECT n FROM depth) <> 5`) // meta refuses it
}
