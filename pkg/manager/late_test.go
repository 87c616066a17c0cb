package manager_test

import (
	"math/rand/v2"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/masixun71/cupid/pkg/manager"
)

func TestSettled(t *testing.T) {
	seen := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	at := func(s float64) time.Time { return seen.Add(time.Duration(s * float64(time.Second))) }
	for name, c := range map[string]struct {
		clock manager.Clock
		ahead time.Duration
		want  bool
	}{
		"no transaction, but too young":                       {manager.Clock{Now: at(0.9), Listed: at(0.9), Visible: true}, time.Second, false},
		"no transaction":                                      {manager.Clock{Now: at(1), Listed: at(1), Visible: true}, time.Second, true},
		"no transaction in a list that is too old":            {manager.Clock{Now: at(100), Listed: at(0.9), Visible: true}, time.Second, false},
		"an older transaction":                                {manager.Clock{Now: at(100), Listed: at(100), Oldest: at(-1), Visible: true}, time.Second, false},
		"a transaction of the same second":                    {manager.Clock{Now: at(100), Listed: at(100), Oldest: at(0), Visible: true}, time.Second, false},
		"a younger transaction within the lead":               {manager.Clock{Now: at(100), Listed: at(100), Oldest: at(1), Visible: true}, time.Second, false},
		"a younger transaction":                               {manager.Clock{Now: at(100), Listed: at(100), Oldest: at(2), Visible: true}, time.Second, true},
		"a younger transaction within a lead of 5 s":          {manager.Clock{Now: at(100), Listed: at(100), Oldest: at(5), Visible: true}, 5 * time.Second, false},
		"a younger transaction after a lead of 5 s":           {manager.Clock{Now: at(100), Listed: at(100), Oldest: at(6), Visible: true}, 5 * time.Second, true},
		"blind and young":                                     {manager.Clock{Now: at(29), Applied: at(29)}, time.Second, false},
		"blind and old enough":                                {manager.Clock{Now: at(30), Applied: at(30)}, time.Second, true},
		"a replica that lags":                                 {manager.Clock{Now: at(3600), Applied: at(29)}, time.Second, false},
		"a replica that has caught up":                        {manager.Clock{Now: at(3600), Applied: at(30)}, time.Second, true},
		"a replica that stands still":                         {manager.Clock{Now: at(1e6)}, time.Second, false},
		"the clock was put back":                              {manager.Clock{Now: at(-3600), Listed: at(-3600), Visible: true}, time.Second, false},
		"blind, and what was seen of transactions is ignored": {manager.Clock{Now: at(10), Applied: at(10), Oldest: at(5)}, time.Second, false},
	} {
		t.Run(name, func(t *testing.T) {
			if got := manager.Settled(manager.Late{Seen: seen}, c.clock, c.ahead, 30*time.Second); got != c.want {
				t.Errorf("settled = %v, want %v", got, c.want)
			}
		})
	}
}

func TestLookCountsThoseThatItsAgeHasPassedOver(t *testing.T) {
	seen := time.Unix(1_800_000_000, 0)
	l := manager.Late{Seen: seen}
	now := seen.Add(time.Hour)
	if !manager.Due(l, now) {
		t.Fatal("a span of an hour without a look is not due")
	}
	manager.Looked(&l, now)
	if manager.Due(l, now) || manager.Due(l, now.Add(time.Minute)) {
		t.Error("due again at once, want it to wait until its age has doubled")
	}
	if !manager.Due(l, now.Add(2*time.Hour)) {
		t.Error("not due when its age has doubled")
	}
}

// The spans of a lane, in whatever way they are merged, cover all that was
// remembered, and none of them gets younger for ever.
func TestRememberCoversEverythingAndStaysBounded(t *testing.T) {
	for seed := range uint64(20) {
		rnd := rand.New(rand.NewPCG(seed, 1))
		now := time.Unix(1_800_000_000, 0)
		begin := now
		var late []manager.Late
		previous := 0
		var ends []int // what was remembered: (previous end, end]
		var seen []time.Time
		for range 3000 {
			now = now.Add(time.Duration(rnd.IntN(5000)) * time.Millisecond)
			after, upTo := strconv.Itoa(previous), strconv.Itoa(previous+1+rnd.IntN(9))
			late = manager.Remember(late, manager.Late{After: &after, UpTo: upTo, From: begin, To: now, Seen: now})
			previous, _ = strconv.Atoi(upTo)
			ends, seen = append(ends, previous), append(seen, now)
			begin = now
			if len(late) > manager.MaxLate/2 {
				t.Fatalf("seed %d: %d spans", seed, len(late))
			}
		}
		covered := 0
		i := 0
		for _, l := range late {
			after, _ := strconv.Atoi(*l.After)
			upTo, _ := strconv.Atoi(l.UpTo)
			if after > covered {
				t.Fatalf("seed %d: nothing covers (%d, %d]", seed, covered, after)
			}
			covered = upTo
			for ; i < len(ends) && ends[i] <= upTo; i++ {
				if l.Seen.Before(seen[i]) {
					t.Fatalf("seed %d: what was seen at %v is in a span of %v", seed, seen[i], l.Seen)
				}
				if age := now.Sub(seen[i]); l.Seen.Sub(seen[i]) > age/2+time.Second {
					t.Fatalf("seed %d: a span of the age %v was made %v younger", seed, age, l.Seen.Sub(seen[i]))
				}
			}
		}
		if covered != previous || i != len(ends) {
			t.Fatalf("seed %d: covered up to %d, want %d", seed, covered, previous)
		}
	}
}

func TestRememberIsBoundedForAnyTimes(t *testing.T) {
	rnd := rand.New(rand.NewPCG(7, 7))
	var late, all []manager.Late
	for i := range 5000 {
		now := time.Unix(1_800_000_000+rnd.Int64N(1e8), 0) // as of a clock gone mad
		from, to := now.Add(-time.Minute), now
		l := manager.Late{From: from, To: to, Seen: now}
		late, all = manager.Remember(late, l), append(all, l)
		if len(late) > manager.MaxLate {
			t.Fatalf("%d spans after %d", len(late), i)
		}
	}
	for _, l := range all {
		if !slices.ContainsFunc(late, func(o manager.Late) bool {
			return !o.From.After(l.From) && !o.To.Before(l.To) && !o.Seen.Before(l.Seen)
		}) {
			t.Fatalf("nothing covers %+v", l)
		}
	}
}
