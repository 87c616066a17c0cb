package callback_test

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/masixun71/cupid/pkg/callback"
	"github.com/masixun71/cupid/pkg/event"
)

// version makes row 1 equal on both sides, as version n.
func (r *rig) version(n int) {
	r.set(1, "hot", fmt.Sprint("v", n))
	r.copied("hot", fmt.Sprint("v", n))
}

// A worker that stands still between the two reads of a look compares sides of different
// times. The destination follows all the time, and nobody is called.
func TestG3RowThatMovesBetweenTheReadsIsNoEvent(t *testing.T) {
	behind := func(r *rig) event.Look { // one version
		r.set(1, "hot", "v1")
		r.copied("hot", "v0")
		return r.look(1)
	}
	for name, begin := range map[string]func(r *rig) event.Event{
		"of a row that is watched": func(r *rig) event.Event {
			e := watched(1, "hot", behind(r))
			r.version(1)
			return e
		},
		"of a row that is watched since a first look in which its worker stood still, too": func(r *rig) event.Event {
			look := behind(r)
			r.version(2)
			look.Destination, look.SourceFirst = r.versionOf(1), true
			return watched(1, "hot", look)
		},
		"of an event whose row has healed": func(r *rig) event.Event {
			look := behind(r)
			r.version(1)
			e := diverged("p", 1, "hot")
			e.Kind, e.Look = event.Different, &look
			return e
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, nil)
				e := begin(r)
				r.standStill(func() { r.version(3) })
				r.submit(e)
				after(settle + settle/2)
				r.wantPosts(0)
				after(settle)
				r.wantPosts(0)
				r.wantDepth(0)
				r.stop()
			})
		})
	}
}

// versionOf is the fingerprint of a row's values, which both sides have.
func (w *world) versionOf(id int64) uint64 { return w.look(id).Source }

// Nor is a row that was repaired, and moves while the worker stands still, called unrepaired.
func TestG5RowThatMovesBetweenTheReadsIsNotCalledUnrepaired(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, nil)
		r.set(1, "hot", "v1")
		r.submit(diverged("p", 1, "hot"))
		after(grace / 2)
		r.wantPosts(1)
		r.version(1) // the repair
		r.standStill(func() { r.version(2) })
		after(grace)
		r.wantPosts(1)
		r.wantAlerts("accepted, not repaired", 0)
		after(settle)
		r.wantDepth(0)
		if c := r.counts(); c.HealedByCallback != 1 {
			t.Errorf("counts %+v, want one healed by its callback", c)
		}
		r.stop()
	})
}

// The payload is what was read last.
func TestG4PayloadIsReadAfterTheDestination(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, nil)
		r.set(1, "hot", "old")
		r.standStill(func() { r.set(1, "hot", "new") })
		r.submit(diverged("p", 1, "hot"))
		synctest.Wait()
		r.wantPosts(1)
		if got := string(r.got()[0].Body); !strings.Contains(got, `"new"`) {
			t.Errorf("body %s, want the row as it was read last", got)
		}
		r.stop()
	})
}

// The destination is asked for the key that a record has, and for the one that its row
// has by now after it.
func TestG3RowWhoseKeyChangesIsWatchedFromTheLookThatFindsIt(t *testing.T) {
	for name, c := range map[string]struct {
		copied string // under the new key, when the row is looked at
		depth  int
	}{
		"missing under the new key":   {"", 1},
		"different under the new key": {"y", 1},
		"equal under the new key":     {"x", 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, nil)
				r.answering(r.repair)
				r.set(1, "k2", "x")
				if c.copied != "" {
					r.copied("k2", c.copied)
				}
				r.submit(diverged("p", 1, "hot"))
				after(settle / 2)
				r.wantPosts(0)
				r.wantDepth(c.depth)
				if list := r.queue.of("p"); len(list) > 0 && (list[0].Key != "k2" || !strings.Contains(string(list[0].Note), `"sourceFirst":true`)) {
					t.Errorf("queue has %s with %s, want the new key, and that its look read the source first", list[0].Key, list[0].Note)
				}
				after(settle)
				r.wantPosts(c.depth)
				r.wantDepth(0)
				r.stop()
			})
		})
	}
}

// A note that an older build has written says nothing of the order.
func TestNoteOfAnOlderBuildIsJudged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, func(r *rig) {
			r.set(1, "hot", "v1")
			look := r.look(1)
			note := fmt.Sprintf(`{"kind":1,"src":"1","state":"watched","looks":[{"source":%d,"destination":0}]}`, look.Source)
			err := r.queue.Put(t.Context(), []callback.Record{{Pair: "p", Key: "hot", Note: []byte(note), Due: time.Now()}})
			if err != nil {
				t.Fatal(err)
			}
		})
		synctest.Wait()
		r.wantPosts(1)
		r.stop()
	})
}
