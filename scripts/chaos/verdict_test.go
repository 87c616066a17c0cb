package main_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	chaos "github.com/masixun71/cupid/scripts/chaos"
)

var begin = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// at is a time of the tests, in seconds.
func at(seconds float64) time.Time { return begin.Add(time.Duration(seconds * float64(time.Second))) }

// In these the settle time is 2 s.
func TestFalseAlarmIsARowThatWasMerelyLate(t *testing.T) {
	for name, c := range map[string]struct {
		write func(chaos.Row)
		call  float64
		want  bool
	}{
		"never touched":              {func(chaos.Row) {}, 10, true},
		"late, and still on its way": {func(r chaos.Row) { r.Source(at(1), at(1.1), "1") }, 2.9, true},
		"later than the settle time": {func(r chaos.Row) { r.Source(at(1), at(1.1), "1") }, 3.1, false},
		"the settle time, if the longest possible is taken": {func(r chaos.Row) {
			r.Source(at(1), at(1.5), "1")
			r.Copy(at(2.8), at(3.1), "1", false)
		}, 4, false},
		"late, and there": {func(r chaos.Row) {
			r.Source(at(1), at(1.1), "1")
			r.Copy(at(2), at(2.1), "1", false)
		}, 100, true},
		"another version on its way for each that has come": {func(r chaos.Row) {
			for n := range 50 {
				r.Source(at(float64(n)), at(float64(n)+0.1), fmt.Sprint(n+1))
				r.Copy(at(float64(n)+1.2), at(float64(n)+1.3), fmt.Sprint(n+1), false)
			}
		}, 50, true},
		"spoilt": {func(r chaos.Row) {
			r.Source(at(1), at(1.1), "1")
			r.Copy(at(1.2), at(1.3), "something else", false)
		}, 1.5, false},
		"vanished": {func(r chaos.Row) { r.Copy(at(1), at(1.1), "", false) }, 1.5, false},
		"overwritten by an older version, for a moment": {func(r chaos.Row) {
			r.Source(at(1), at(1.1), "1")
			r.Copy(at(1.2), at(1.3), "1", false)
			r.Copy(at(1.4), at(1.5), "0", false)
		}, 2.5, true},
		"overwritten by an older version": {func(r chaos.Row) {
			r.Source(at(1), at(1.1), "1")
			r.Copy(at(1.2), at(1.3), "1", false)
			r.Copy(at(1.4), at(1.5), "0", false)
		}, 3.5, false},
		"deleted, and left over": {func(r chaos.Row) { r.Source(at(1), at(1.1), "") }, 3.5, false},
	} {
		t.Run(name, func(t *testing.T) {
			r := chaos.NewRow()
			c.write(r)
			if got := r.FalseAlarm(at(c.call)); got != c.want {
				t.Errorf("false alarm: %t, want %t", got, c.want)
			}
		})
	}
	if chaos.Settle != 2*time.Second {
		t.Errorf("the settle time is %s: these tests are made for 2 s", chaos.Settle)
	}
}

func TestStalePayload(t *testing.T) {
	r := chaos.NewRow()
	r.Source(at(1), at(1.1), "1")
	limit := chaos.StaleLimit.Seconds()
	for _, c := range []struct {
		at      float64
		payload string
		want    bool
	}{
		{1000, "1", false}, {limit, "0", false}, {limit + 2, "0", true}, {5, "never there", true},
	} {
		if got := r.Stale(at(c.at), c.payload); got != c.want {
			t.Errorf("%q at %g: stale %t, want %t", c.payload, c.at, got, c.want)
		}
	}
}

func TestOutcomeOfAPlant(t *testing.T) {
	for name, c := range map[string]struct {
		write              func(chaos.Row) // the row was spoilt at 2
		real, healed, mine bool
	}{
		"nothing happened": {func(chaos.Row) {}, false, false, false},
		"never healed":     {func(r chaos.Row) { r.Copy(at(1), at(2), "x", false) }, true, false, false},
		"repaired": {func(r chaos.Row) {
			r.Copy(at(1), at(2), "x", false)
			r.Copy(at(3), at(4), "0", true)
		}, true, true, true},
		"overtaken": {func(r chaos.Row) {
			r.Copy(at(1), at(2), "x", false)
			r.Source(at(2.5), at(3), "1")
			r.Copy(at(3), at(4), "1", false)
		}, true, true, false},
		"overtaken, and never equal": {func(r chaos.Row) {
			r.Copy(at(1), at(2), "x", false)
			r.Source(at(2.5), at(3), "1")
			r.Source(at(3), at(3.5), "2")
			r.Copy(at(3), at(4), "1", false)
		}, true, true, false},
		"repaired with what the source does not have any more": {func(r chaos.Row) {
			r.Copy(at(1), at(2), "x", false)
			r.Source(at(2.5), at(3), "1")
			r.Copy(at(3), at(4), "0", true)
		}, true, false, false},
	} {
		t.Run(name, func(t *testing.T) {
			r := chaos.NewRow()
			c.write(r)
			real, healed, repaired := r.Outcome(at(2))
			if real != c.real || healed.IsZero() == c.healed || repaired != c.mine {
				t.Errorf("real %t, healed at %v, repaired %t, want %t, %t, %t", real, healed, repaired, c.real, c.healed, c.mine)
			}
		})
	}
}

func TestRepeatedCallsAreThoseInFlightAtAKill(t *testing.T) {
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "log"), 0o700); err != nil {
		t.Fatal(err)
	}
	text := ""
	for _, s := range []float64{0, 20} {
		text += fmt.Sprintf(`{"time":%q,"message":"worker starts"}`+"\n", at(s).Format(time.RFC3339Nano))
	}
	if err := os.WriteFile(filepath.Join(dir, "log", "cupid-callback-process.log"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	one := func(attempt string, s float64) chaos.Call {
		return chaos.Call{Attempt: attempt, Start: at(s), End: at(s + 1)}
	}
	closed := one("1", 3)
	closed.Closed = true
	for name, c := range map[string]struct {
		calls         []chaos.Call
		repeated, bad int
	}{
		"each attempt once":           {[]chaos.Call{one("1", 3), one("2", 4)}, 0, 0},
		"in flight at the kill":       {[]chaos.Call{one("1", 18), one("1", 21)}, 1, 0},
		"without a kill":              {[]chaos.Call{one("1", 3), one("1", 4)}, 1, 1},
		"answered long before":        {[]chaos.Call{one("1", 3), one("1", 21)}, 1, 1},
		"tried again by HTTP":         {[]chaos.Call{closed, one("1", 3.5)}, 0, 0},
		"twice after one kill":        {[]chaos.Call{one("1", 18), one("1", 21), one("1", 22)}, 2, 1},
		"at a later kill, not at any": {[]chaos.Call{one("1", 25), one("1", 27)}, 1, 1},
	} {
		t.Run(name, func(t *testing.T) {
			repeated, bad, err := chaos.Repeats(dir, []time.Time{at(19)}, c.calls...)
			if err != nil || repeated != c.repeated || bad != c.bad {
				t.Errorf("repeated %d, without need %d, %v, want %d and %d", repeated, bad, err, c.repeated, c.bad)
			}
		})
	}
}

func TestGrowth(t *testing.T) {
	young := [3]int{16, 8, 36}
	for name, c := range map[string]struct {
		old     [3]int
		zombies int
		want    int
	}{
		"as it was": {young, 0, 0}, "pools are filled": {[3]int{21, 13, 50}, 0, 0}, "files": {[3]int{60, 8, 36}, 0, 1},
		"threads": {[3]int{16, 60, 36}, 0, 1}, "goroutines": {[3]int{16, 8, 100}, 0, 1}, "a zombie": {young, 1, 1},
		"no stacks": {[3]int{16, 8, 0}, 0, 1},
	} {
		if got := chaos.Grown(young, c.old, c.zombies); got != c.want {
			t.Errorf("%s: %d complaints, want %d", name, got, c.want)
		}
	}
}

func TestGoroutinesAreCounted(t *testing.T) {
	text := "SIGQUIT: quit\nPC=0x1 m=0\n\ngoroutine 0 gp=0xc0 m=0 mp=0x1 [idle]:\nmain()\n\ngoroutine 1 gp=0xc1 m=nil [select]:\nmain()\n\ngoroutine 12 [chan receive, 2 minutes]:\ncreated by x in goroutine 1\n"
	if got := chaos.Goroutines([]byte(text)); got != 2 {
		t.Errorf("%d goroutines, want 2", got)
	}
}
