package queuetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/masixun71/cupid/pkg/queue"
)

// base is the time around which the tests put their records.
var base = time.Date(2026, 11, 24, 6, 0, 0, 123_000_000, time.UTC)

// Run demands of a Store all that the users of a queue rely on. open returns a
// new, empty store that holds Limit records at most and closes itself when the
// test ends.
func Run(t *testing.T, open func(t *testing.T) Store) {
	t.Helper()
	for _, test := range []struct {
		name string
		run  func(world)
	}{
		{"DueByTime", testDueByTime},
		{"DueSkipsWithoutCounting", testDueSkips},
		{"LatestDueFirst", testLatest},
		{"BeyondATime", testBeyond},
		{"GroupsAreApart", testGroups},
		{"NewestWins", testNewestWins},
		{"SameIdentityTwiceInOnePut", testTwice},
		{"ZeroDueIsNow", testZeroDue},
		{"ApplyChanges", testApply},
		{"StaleChangeDoesNothing", testStale},
		{"OldVersionSparesANewRecord", testReborn},
		{"AnyBytesInAKey", testKeys},
		{"PayloadIsCopied", testPayload},
		{"LargestRecord", testLargest},
		{"TooLargeWritesNothing", testTooLarge},
		{"FullWritesNothing", testFull},
		{"FullStillRenews", testFullRenews},
		{"CanceledContext", testCanceled},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			test.run(world{t, open(t)})
		})
	}
}

// world is what one test has for itself.
type world struct {
	t     *testing.T
	store Store
}

func put(t *testing.T, s Store, puts ...queue.Put) {
	t.Helper()
	if err := s.Put(t.Context(), puts); err != nil {
		t.Fatalf("Put: %v", err)
	}
}

func one(key string, due time.Duration) queue.Put {
	return queue.Put{Group: "g", Key: key, Payload: []byte("of " + key), Due: base.Add(due)}
}

func due(t *testing.T, s Store, group string, now time.Time, limit int) []queue.Record {
	t.Helper()
	got, err := s.Due(t.Context(), group, now, limit, nil)
	if err != nil {
		t.Fatalf("Due: %v", err)
	}
	return got
}

// only returns the one record of group g.
func only(t *testing.T, s Store) queue.Record {
	t.Helper()
	got := due(t, s, "g", base.AddDate(100, 0, 0), 10)
	if len(got) != 1 {
		t.Fatalf("got %d records, want 1: %+v", len(got), got)
	}
	return got[0]
}

func apply(t *testing.T, s Store, want int, changes ...queue.Change) {
	t.Helper()
	got, err := s.Apply(t.Context(), changes)
	if err != nil || got != want {
		t.Fatalf("Apply = %d, %v; want %d", got, err, want)
	}
}

func keys(records []queue.Record) string {
	var list []string
	for _, r := range records {
		list = append(list, r.Key)
	}
	return strings.Join(list, " ")
}

func wantKeys(t *testing.T, got []queue.Record, want string) {
	t.Helper()
	if keys(got) != want {
		t.Errorf("got keys %q, want %q", keys(got), want)
	}
}

func wantDepth(t *testing.T, s Store, want int) {
	t.Helper()
	if got := s.Depth("g"); got != want {
		t.Errorf("Depth = %d, want %d", got, want)
	}
}

func testDueByTime(w world) {
	t, s := w.t, w.store
	put(t, s, one("c", 3*time.Second), one("a", time.Second), one("b", 2*time.Second), one("d", 4*time.Second))
	wantKeys(t, due(t, s, "g", base.Add(3*time.Second), 10), "a b c")
	wantKeys(t, due(t, s, "g", base.Add(3*time.Second-time.Millisecond), 10), "a b")
	wantKeys(t, due(t, s, "g", base.Add(time.Hour), 2), "a b")
	wantKeys(t, due(t, s, "g", base.Add(time.Hour), 0), "")
	wantKeys(t, due(t, s, "g", base, 10), "")
	next, ok, err := s.NextDue(t.Context(), "g")
	if err != nil || !ok || !next.Equal(base.Add(time.Second)) {
		t.Errorf("NextDue = %v, %v, %v; want %v", next, ok, err, base.Add(time.Second))
	}
}

func testDueSkips(w world) {
	t, s := w.t, w.store
	put(t, s, one("a", 0), one("b", 1), one("c", 2*time.Millisecond), one("d", 3*time.Millisecond))
	got, err := s.Due(t.Context(), "g", base.Add(time.Hour), 2, func(key string) bool { return key == "a" || key == "c" })
	if err != nil {
		t.Fatalf("Due: %v", err)
	}
	wantKeys(t, got, "b d")
}

func testLatest(w world) {
	t, s := w.t, w.store
	put(t, s, one("c", 3*time.Second), one("a", time.Second), one("b", 2*time.Second), one("d", 4*time.Second))
	put(t, s, queue.Put{Group: "h", Key: "x", Due: base.Add(3 * time.Second)})
	latest := func(now time.Duration, limit int, skip func(string) bool) []queue.Record {
		t.Helper()
		got, err := s.Latest(t.Context(), "g", base.Add(now), limit, skip)
		if err != nil {
			t.Fatalf("Latest: %v", err)
		}
		return got
	}
	wantKeys(t, latest(3*time.Second, 10, nil), "c b a")
	wantKeys(t, latest(3*time.Second, 2, nil), "c b")
	wantKeys(t, latest(time.Hour, 2, func(key string) bool { return key == "d" || key == "b" }), "c a")
	wantKeys(t, latest(time.Hour, 0, nil), "")
	wantKeys(t, latest(0, 10, nil), "")
}

func testBeyond(w world) {
	t, s := w.t, w.store
	put(t, s, one("c", 3*time.Second), one("a", time.Second), one("b", 2*time.Second), one("d", 4*time.Second))
	put(t, s, queue.Put{Group: "h", Key: "x", Due: base.AddDate(1, 0, 0)})
	beyond := func(after time.Duration, limit int, skip func(string) bool) []queue.Record {
		t.Helper()
		got, err := s.Beyond(t.Context(), "g", base.Add(after), limit, skip)
		if err != nil {
			t.Fatalf("Beyond: %v", err)
		}
		return got
	}
	wantKeys(t, beyond(time.Second, 10, nil), "b c d")
	wantKeys(t, beyond(time.Second, 2, nil), "b c")
	wantKeys(t, beyond(time.Second, 1, func(key string) bool { return key == "b" }), "c")
	wantKeys(t, beyond(0, 0, nil), "")
	wantKeys(t, beyond(4*time.Second, 10, nil), "")
}

func testGroups(w world) {
	t, s := w.t, w.store
	put(t, s, one("k", 0), queue.Put{Group: "h", Key: "k", Payload: []byte("other"), Due: base})
	r := only(t, s)
	apply(t, s, 1, queue.Change{Group: "g", Key: "k", Version: r.Version, Remove: true})
	other := due(t, s, "h", base, 10)
	if len(other) != 1 || string(other[0].Payload) != "other" || s.Depth("g") != 0 || s.Depth("h") != 1 {
		t.Errorf("group h has %+v, depths %d and %d; want its one record", other, s.Depth("g"), s.Depth("h"))
	}
	if _, ok, err := s.NextDue(t.Context(), "g"); ok || err != nil {
		t.Errorf("NextDue of an empty group = %v, %v; want false", ok, err)
	}
}

func testNewestWins(w world) {
	t, s := w.t, w.store
	put(t, s, one("k", 0))
	first := only(t, s)
	apply(t, s, 1, queue.Change{Group: "g", Key: "k", Version: first.Version, Due: base.Add(time.Minute), Attempts: 7})
	tried := only(t, s)
	put(t, s, queue.Put{Group: "g", Key: "k", Payload: []byte("new"), Due: base.Add(time.Second)})
	got := only(t, s)
	if string(got.Payload) != "new" {
		t.Errorf("payload %q, want the new one", got.Payload)
	}
	if got.Attempts != 7 || !got.Due.Equal(base.Add(time.Minute)) || !got.FirstSeen.Equal(first.FirstSeen) {
		t.Errorf("got %+v; want attempts, due and first seen of %+v", got, tried)
	}
	if tried.Version <= first.Version || got.Version <= tried.Version {
		t.Errorf("versions %d, %d, %d do not rise", first.Version, tried.Version, got.Version)
	}
	wantDepth(t, s, 1)
}

func testTwice(w world) {
	t, s := w.t, w.store
	put(t, s, one("k", time.Second), queue.Put{Group: "g", Key: "k", Payload: []byte("later"), Due: base})
	got := only(t, s)
	if string(got.Payload) != "later" || !got.Due.Equal(base.Add(time.Second)) {
		t.Errorf("got %q due %v; want the later payload and the first due time", got.Payload, got.Due)
	}
	wantDepth(t, s, 1)
}

func testZeroDue(w world) {
	t, s := w.t, w.store
	before := time.Now().Add(-time.Second)
	put(t, s, queue.Put{Group: "g", Key: "k"})
	got := due(t, s, "g", time.Now().Add(time.Second), 1)
	if len(got) != 1 || got[0].Due.Before(before) || len(got[0].Payload) != 0 {
		t.Errorf("got %+v; want the record, due since it was put", got)
	}
}

func testApply(w world) {
	t, s := w.t, w.store
	put(t, s, one("a", 0), one("b", 1*time.Millisecond), one("c", 2*time.Millisecond))
	got := due(t, s, "g", base.Add(time.Hour), 10)
	apply(t, s, 3,
		queue.Change{Group: "g", Key: "a", Version: got[0].Version, Remove: true},
		queue.Change{Group: "g", Key: "b", Version: got[1].Version, Due: base.Add(time.Minute), Attempts: 1},
		queue.Change{Group: "g", Key: "c", Version: got[2].Version, Due: base, Attempts: 2, Payload: []byte("changed")})
	got = due(t, s, "g", base.Add(time.Hour), 10)
	wantKeys(t, got, "c b")
	if string(got[0].Payload) != "changed" || got[0].Attempts != 2 || string(got[1].Payload) != "of b" || got[1].Attempts != 1 {
		t.Errorf("got %+v; want the changed payload, the kept one, and both attempts", got)
	}
	wantKeys(t, due(t, s, "g", base.Add(time.Second), 10), "c")
	wantDepth(t, s, 2)
}

func testStale(w world) {
	t, s := w.t, w.store
	put(t, s, one("k", 0))
	old := only(t, s)
	put(t, s, queue.Put{Group: "g", Key: "k", Payload: []byte("newer")})
	apply(t, s, 0, queue.Change{Group: "g", Key: "k", Version: old.Version, Remove: true})
	apply(t, s, 0, queue.Change{Group: "g", Key: "k", Version: old.Version, Attempts: 9, Due: base})
	apply(t, s, 0, queue.Change{Group: "g", Key: "none", Version: old.Version, Remove: true})
	got := only(t, s)
	if string(got.Payload) != "newer" || got.Attempts != 0 {
		t.Errorf("got %+v; want the newer record untouched", got)
	}
	apply(t, s, 1,
		queue.Change{Group: "g", Key: "k", Version: got.Version, Attempts: 1, Due: base},
		queue.Change{Group: "g", Key: "k", Version: got.Version, Remove: true})
	wantDepth(t, s, 1)
}

func testReborn(w world) {
	t, s := w.t, w.store
	put(t, s, one("k", 0))
	old := only(t, s)
	apply(t, s, 1, queue.Change{Group: "g", Key: "k", Version: old.Version, Remove: true})
	put(t, s, one("k", 0))
	apply(t, s, 0, queue.Change{Group: "g", Key: "k", Version: old.Version, Remove: true})
	wantDepth(t, s, 1)
}

func testKeys(w world) {
	t, s := w.t, w.store
	want := []string{"", "\x00", "\x00\x00", "a", "A", "a ", "\xff\xfe", "钥匙", "'; DROP TABLE record", "%_"}
	for i, key := range want {
		put(t, s, one(key, time.Duration(i)*time.Millisecond))
	}
	got := due(t, s, "g", base.Add(time.Hour), 100)
	if len(got) != len(want) {
		t.Fatalf("got %d records, want %d", len(got), len(want))
	}
	var gone []queue.Change
	for i, r := range got {
		if r.Key != want[i] || string(r.Payload) != "of "+want[i] {
			t.Errorf("record %d: got key %q with %q, want key %q", i, r.Key, r.Payload, want[i])
		}
		gone = append(gone, queue.Change{Group: "g", Key: r.Key, Version: r.Version, Remove: true})
	}
	apply(t, s, len(want), gone...)
	wantDepth(t, s, 0)
}

func testPayload(w world) {
	t, s := w.t, w.store
	payload := []byte("before")
	put(t, s, queue.Put{Group: "g", Key: "k", Payload: payload})
	copy(payload, "after!")
	got := only(t, s)
	if string(got.Payload) != "before" {
		t.Errorf("the queue shares its payload with the caller: %q", got.Payload)
	}
	copy(got.Payload, "after!")
	if got := only(t, s); string(got.Payload) != "before" {
		t.Errorf("a reader has changed the stored payload to %q", got.Payload)
	}
}

func testLargest(w world) {
	t, s := w.t, w.store
	want := queue.Put{
		Group:   strings.Repeat("g", queue.MaxGroupBytes),
		Key:     strings.Repeat("\xff", queue.MaxKeyBytes),
		Payload: bytes.Repeat([]byte{0}, queue.MaxPayloadBytes),
		Due:     base,
	}
	put(t, s, want)
	got := due(t, s, want.Group, base, 1)
	if len(got) != 1 || got[0].Key != want.Key || !bytes.Equal(got[0].Payload, want.Payload) {
		t.Error("the largest record did not come back")
	}
}

func testTooLarge(w world) {
	t, s := w.t, w.store
	put(t, s, one("k", 0))
	version := only(t, s).Version
	for name, bad := range map[string]queue.Put{
		"no group": {Key: "k"},
		"group":    {Group: strings.Repeat("g", queue.MaxGroupBytes+1), Key: "k"},
		"key":      {Group: "g", Key: strings.Repeat("k", queue.MaxKeyBytes+1)},
		"payload":  {Group: "g", Key: "k", Payload: make([]byte, queue.MaxPayloadBytes+1)},
	} {
		if err := s.Put(t.Context(), []queue.Put{one("k", 0), bad}); !errors.Is(err, queue.ErrInvalid) {
			t.Errorf("%s: Put = %v, want ErrInvalid", name, err)
		}
	}
	for name, bad := range map[string]queue.Change{
		"payload":  {Group: "g", Key: "k", Version: version, Payload: make([]byte, queue.MaxPayloadBytes+1)},
		"attempts": {Group: "g", Key: "k", Version: version, Attempts: -1},
	} {
		if _, err := s.Apply(t.Context(), []queue.Change{bad}); !errors.Is(err, queue.ErrInvalid) {
			t.Errorf("%s: Apply = %v, want ErrInvalid", name, err)
		}
	}
	if got := only(t, s); got.Version != version {
		t.Error("a refused call has written something")
	}
}

func fill(t *testing.T, s Store) {
	t.Helper()
	var puts []queue.Put
	for i := range Limit {
		puts = append(puts, one(fmt.Sprint(i), 0))
	}
	put(t, s, puts...)
}

func testFull(w world) {
	t, s := w.t, w.store
	fill(t, s)
	before := due(t, s, "g", base, 1)[0]
	renew := queue.Put{Group: "g", Key: before.Key, Payload: []byte("new")}
	over := queue.Put{Group: "h", Key: "over"}
	if err := s.Put(t.Context(), []queue.Put{renew, over}); !errors.Is(err, queue.ErrFull) {
		t.Fatalf("Put over the limit = %v, want ErrFull", err)
	}
	for _, r := range due(t, s, "g", base, Limit) {
		if r.Key == before.Key && r.Version != before.Version {
			t.Error("a refused Put has renewed a record")
		}
	}
	if got := s.Depth("h"); got != 0 {
		t.Errorf("a refused Put has added %d records", got)
	}
	apply(t, s, 1, queue.Change{Group: "g", Key: before.Key, Version: before.Version, Remove: true})
	put(t, s, over)
	wantDepth(t, s, Limit-1)
}

func testFullRenews(w world) {
	t, s := w.t, w.store
	fill(t, s)
	put(t, s, queue.Put{Group: "g", Key: "7", Payload: []byte("new")})
	wantDepth(t, s, Limit)
}

func testCanceled(w world) {
	t, s := w.t, w.store
	gone := errors.New("gone")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(gone)
	// A store may have begun already; it must not do half of the call.
	if err := s.Put(ctx, []queue.Put{one("a", 0), one("b", 0)}); err != nil && !errors.Is(err, gone) {
		t.Errorf("Put = %v, want the cause of the cancel", err)
	}
	if n := s.Depth("g"); n != 0 && n != 2 {
		t.Errorf("a canceled Put has written %d of 2 records", n)
	}
	put(t, s, one("a", 0), one("b", 0))
	wantDepth(t, s, 2)
}
