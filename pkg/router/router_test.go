package router_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"
	"go.uber.org/goleak"

	"github.com/masixun71/cupid/ipc"
	"github.com/masixun71/cupid/pkg/chunk"
	"github.com/masixun71/cupid/pkg/router"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// The slots of the tests: two task workers and more where a test starts them.
const (
	managing = iota
	calling
	task1
	task2
	task3
)

// pool is a pool that keeps what is sent.
type pool struct {
	send func(slot int, env ipc.Envelope) error // nil: all is taken
	sent map[int][]ipc.Envelope
}

func (p *pool) Send(slot int, env ipc.Envelope) error {
	if p.send != nil {
		if err := p.send(slot, env); err != nil {
			return err
		}
	}
	p.sent[slot] = append(p.sent[slot], env)
	return nil
}

// rig is a router with the workers around it.
type rig struct {
	*router.Router
	t    *testing.T
	pool *pool
}

// setup makes a router whose workers are not ready yet.
func setup(t *testing.T) *rig {
	t.Helper()
	p := &pool{sent: map[int][]ipc.Envelope{}}
	r := router.New(zerolog.Nop(), func(slot int) string {
		switch slot {
		case managing:
			return router.RoleManager
		case calling:
			return router.RoleCallback
		}
		return router.RoleTask
	})
	r.Connect(p)
	return &rig{r, t, p}
}

// ready makes workers ready.
func (r *rig) ready(slots ...int) *rig {
	for _, slot := range slots {
		r.Ready(slot, 1)
	}
	return r
}

// say lets a worker send a message.
func (r *rig) say(slot int, typ string, id uint64, body any) {
	r.t.Helper()
	env, err := ipc.NewEnvelope(typ, id, body)
	if err != nil {
		r.t.Fatal(err)
	}
	r.Message(slot, 1, env)
}

// offer lets the manager send chunks of these ids.
func (r *rig) offer(ids ...string) {
	r.t.Helper()
	for _, id := range ids {
		r.say(managing, ipc.TypeChunk, 0, chunk.Chunk{ID: id, Pair: "orders", Scan: chunk.Insert})
	}
}

// heard takes what a worker was sent of a type, as compact text.
func (r *rig) heard(slot int, typ string) []string {
	r.t.Helper()
	var got []string
	r.pool.sent[slot] = slices.DeleteFunc(r.pool.sent[slot], func(env ipc.Envelope) bool {
		if env.Type != typ {
			return false
		}
		var c chunk.Chunk
		switch typ {
		case ipc.TypeChunk, ipc.TypeChunkFailed:
			if err := json.Unmarshal(env.Body, &c); err != nil {
				r.t.Fatal(err)
			}
			got = append(got, c.ID+strings.Repeat("!", c.Crashes))
		case ipc.TypeDone:
			var res chunk.Result
			if err := json.Unmarshal(env.Body, &res); err != nil {
				r.t.Fatal(err)
			}
			got = append(got, res.Chunk)
		case ipc.TypeEvents, ipc.TypeEventsAck:
			got = append(got, fmt.Sprintf("%d:%s", env.ID, env.Body))
		default:
			got = append(got, string(env.Body))
		}
		return true
	})
	return got
}

// hears fails when a worker was not sent just this.
func (r *rig) hears(slot int, typ string, want ...string) {
	r.t.Helper()
	if got := r.heard(slot, typ); !slices.Equal(got, want) {
		r.t.Errorf("slot %d was sent %s %q, want %q", slot, typ, got, want)
	}
}

func (r *rig) wants(slot, n int) { r.say(slot, ipc.TypeWant, 0, n) }

// done lets the first task worker report a chunk.
func (r *rig) done(id string) { r.say(task1, ipc.TypeDone, 0, chunk.Result{Chunk: id}) }

// dies lets a worker end by a crash, and the next one of its slot be ready.
func (r *rig) dies(slot int) {
	r.Gone(slot, 1, "signal: killed", false)
	r.Ready(slot, 2)
}

func TestDemandIsWhatIsWantedAndNotMore(t *testing.T) {
	r := setup(t).ready(task1, task2)
	r.wants(task1, 8)
	r.hears(managing, ipc.TypeDemand)
	r.ready(managing)
	r.hears(managing, ipc.TypeDemand, "8")
	r.wants(task2, 3)
	r.hears(managing, ipc.TypeDemand, "3")
	r.offer("a", "b", "c")
	r.hears(managing, ipc.TypeDemand)
	r.done("a")
	r.hears(managing, ipc.TypeDone, "a")
	r.hears(managing, ipc.TypeDemand)
	r.wants(task1, 1)
	r.hears(managing, ipc.TypeDemand, "1")
	if got := r.Counts(); got.Wanted != 9 || got.InHand != 2 || got.Chunks != 3 {
		t.Errorf("counts %+v", got)
	}
}

func TestWantOfNothingIsRefused(t *testing.T) {
	for _, n := range []int{0, -1} {
		r := setup(t).ready(managing, task1)
		r.wants(task1, n)
		r.hears(managing, ipc.TypeDemand)
		r.offer("a")
		r.hears(task1, ipc.TypeChunk)
	}
}

func TestChunkGoesToTheWorkerWithTheLeastInHand(t *testing.T) {
	r := setup(t).ready(managing, task1, task2, task3)
	r.wants(task1, 8)
	r.offer("a", "b")
	r.wants(task2, 8)
	r.offer("c")
	r.wants(task3, 1)
	r.offer("d", "e", "f", "g")
	r.hears(task1, ipc.TypeChunk, "a", "b", "f")
	r.hears(task2, ipc.TypeChunk, "c", "e", "g")
	r.hears(task3, ipc.TypeChunk, "d")
}

func TestAcknowledgmentGoesToTheWorkerThatAsked(t *testing.T) {
	r := setup(t).ready(managing, calling, task1, task2)
	r.say(task1, ipc.TypeEvents, 1, "x")
	r.say(task2, ipc.TypeEvents, 1, "y")
	r.hears(calling, ipc.TypeEvents, `1:"x"`, `2:"y"`)
	r.say(calling, ipc.TypeEventsAck, 2, nil)
	r.hears(task2, ipc.TypeEventsAck, "1:")
	r.hears(task1, ipc.TypeEventsAck)
	r.say(calling, ipc.TypeEventsAck, 1, nil)
	r.say(calling, ipc.TypeEventsAck, 1, nil)
	r.say(calling, ipc.TypeEventsAck, 99, nil)
	r.hears(task1, ipc.TypeEventsAck, "1:")
	if got := r.Counts().Events; got != 0 {
		t.Errorf("%d messages unacknowledged", got)
	}
}

func TestAcknowledgmentNeverGoesToALaterWorkerOfTheSlot(t *testing.T) {
	r := setup(t).ready(managing, calling, task1)
	r.say(task1, ipc.TypeEvents, 1, "x")
	r.dies(task1)
	r.say(task1, ipc.TypeEvents, 1, "y") // counts from 1 again
	r.say(calling, ipc.TypeEventsAck, 1, nil)
	r.hears(task1, ipc.TypeEventsAck)
	r.say(calling, ipc.TypeEventsAck, 2, nil)
	r.hears(task1, ipc.TypeEventsAck, "1:")
}

func TestG1CallbackWorkerThatDiesIsSentAgainWhatItDidNotAcknowledge(t *testing.T) {
	r := setup(t).ready(managing, calling, task1, task2)
	for i := range uint64(12) {
		r.say(task1, ipc.TypeEvents, i+1, i)
	}
	r.say(task2, ipc.TypeEvents, 1, "gone")
	r.heard(calling, ipc.TypeEvents)
	for _, id := range []uint64{1, 3, 4, 5, 6, 7, 8} {
		r.say(calling, ipc.TypeEventsAck, id, nil)
	}
	r.Gone(calling, 1, "signal: killed", false)
	r.say(task1, ipc.TypeEvents, 13, 12) // meanwhile
	r.dies(task2)
	r.hears(calling, ipc.TypeEvents)
	r.Ready(calling, 2)
	r.hears(calling, ipc.TypeEvents, "2:1", "9:8", "10:9", "11:10", "12:11", "14:12")
	if got := r.Counts().Events; got != 6 {
		t.Errorf("%d messages unacknowledged, want 6", got)
	}
}

func TestG2DeadWorkersChunksGoToAnother(t *testing.T) {
	for name, c := range map[string]struct {
		drained bool
		want    []string
	}{
		"crashed": {false, []string{"a!"}},
		"drained": {true, []string{"a", "b", "c"}},
	} {
		t.Run(name, func(t *testing.T) {
			r := setup(t).ready(managing, task1)
			r.wants(task1, 5)
			r.offer("a", "b", "c")
			r.Gone(task1, 1, "reason", c.drained)
			r.ready(task2)
			r.wants(task2, 8)
			r.hears(task2, ipc.TypeChunk, c.want...)
			r.done("a") // by nobody that has it
			r.hears(managing, ipc.TypeDone)
			if got := r.Counts(); got.Returned != 3 || got.StaleResults != 1 || got.Wanted+len(c.want) != 8 {
				t.Errorf("counts %+v", got)
			}
		})
	}
}

func TestG6CrashedChunkGoesAlone(t *testing.T) {
	r := setup(t).ready(managing, task1, task2)
	r.wants(task1, 2)
	r.offer("a", "b")
	r.dies(task1)
	r.heard(task1, ipc.TypeChunk)
	r.wants(task1, 8)
	r.offer("c", "d")
	r.hears(task1, ipc.TypeChunk, "a!")
	r.wants(task2, 8)
	r.hears(task2, ipc.TypeChunk, "b!")
	r.done("a")
	r.hears(task1, ipc.TypeChunk, "c", "d")
	r.hears(task2, ipc.TypeChunk)
	r.dies(task2)
	r.hears(managing, ipc.TypeChunkFailed, "b!!")
	if got := r.Counts(); got.SentToHalve != 1 || got.InHand != 2 {
		t.Errorf("counts %+v", got)
	}
}

// One busy worker is left to finish what it has, or a crashed chunk would wait for
// as long as there is other work.
func TestG6CrashedChunkDoesNotWaitForALull(t *testing.T) {
	r := setup(t).ready(managing, task1, task2)
	r.wants(task1, 3)
	r.offer("a", "b", "c")
	r.wants(task2, 8)
	r.offer("x")
	r.Gone(task2, 1, "signal: killed", false)
	r.heard(task1, ipc.TypeChunk)
	r.wants(task1, 5)
	n := 0
	for _, id := range []string{"a", "b", "c"} {
		n++
		r.offer(fmt.Sprint("more", n))
		r.hears(task1, ipc.TypeChunk)
		r.done(id)
		r.wants(task1, 1)
	}
	r.hears(task1, ipc.TypeChunk, "x!")
	r.done("x")
	r.hears(task1, ipc.TypeChunk, "more1", "more2", "more3")
}

func TestG6OnlyOneWorkerIsHeldBackForCrashedChunks(t *testing.T) {
	r := setup(t).ready(managing, task1, task2, task3)
	r.wants(task3, 2)
	r.offer("x", "y")
	r.wants(task1, 8)
	r.offer("a")
	r.wants(task2, 8)
	r.offer("b")
	r.hears(task1, ipc.TypeChunk, "a")
	r.hears(task2, ipc.TypeChunk, "b")
	r.Gone(task3, 1, "signal: killed", false)
	r.offer("c", "d")
	r.hears(task1, ipc.TypeChunk) // held back
	r.hears(task2, ipc.TypeChunk, "c", "d")
	r.done("a")
	if got := r.heard(task1, ipc.TypeChunk); len(got) != 1 || got[0] != "x!" && got[0] != "y!" {
		t.Errorf("the worker that was held back was given %v, want a crashed chunk", got)
	}
}

func TestChunksThatWaitAreNotAskedForAgain(t *testing.T) {
	r := setup(t).ready(managing, task1, task2)
	r.wants(task2, 1)
	r.offer("b")
	r.wants(task1, 1)
	r.offer("a")
	r.Gone(task1, 1, "signal: killed", false)
	r.heard(managing, ipc.TypeDemand)
	r.wants(task2, 1) // for which a waits
	r.hears(managing, ipc.TypeDemand)
}

func TestNextManagerIsAskedForWhatTheLastOneOwed(t *testing.T) {
	r := setup(t).ready(managing, task1)
	r.wants(task1, 5)
	r.hears(managing, ipc.TypeDemand, "5")
	r.Gone(managing, 1, "signal: killed", false)
	r.ready(managing)
	r.hears(managing, ipc.TypeDemand, "5")
}

func TestChunkThatComesBackFromHalvingIsHalvedAgainByTheNextDeath(t *testing.T) {
	r := setup(t).ready(managing, task1)
	r.wants(task1, 1)
	r.say(managing, ipc.TypeChunk, 0, chunk.Chunk{ID: "half", Crashes: 1})
	r.hears(task1, ipc.TypeChunk, "half!")
	r.dies(task1)
	r.hears(managing, ipc.TypeChunkFailed, "half!!")
}

// A death is a chunk's once it has killed before: not the first one, of which nobody knows the
// cause, and not that of a worker that has none in hand.
func TestDeathIsBlamedOnAChunkThatIsHalved(t *testing.T) {
	r := setup(t).ready(managing, task1, task2)
	r.wants(task1, 1)
	r.offer("a")
	dies := func(slot int, drained, want bool) {
		t.Helper()
		if got := r.Gone(slot, 1, "reason", drained); got != want {
			t.Errorf("blamed on the work: %v, want %v", got, want)
		}
		r.Ready(slot, 2)
	}
	dies(task1, false, false)
	dies(task1, false, false)
	r.wants(task2, 1)
	r.hears(task2, ipc.TypeChunk, "a!")
	dies(task2, true, false)
	r.wants(task1, 1)
	r.hears(task1, ipc.TypeChunk, "a", "a!")
	dies(task1, false, true)
	dies(managing, false, false)
}

func TestManagerThatDiesCutsAgain(t *testing.T) {
	r := setup(t).ready(managing, calling, task1, task2)
	r.wants(task1, 2)
	r.offer("a", "b", "idle1", "idle2")
	r.heard(managing, ipc.TypeDemand)
	r.Gone(managing, 1, "signal: killed", false)
	r.wants(task2, 4)
	r.hears(task2, ipc.TypeChunk) // what the dead one cut is cut again
	r.done("a")
	r.wants(task1, 1)
	r.ready(managing)
	r.hears(managing, ipc.TypeDemand, "5")
	r.hears(managing, ipc.TypeDone)
	r.done("b")
	r.hears(managing, ipc.TypeDone) // the new one has not cut it
	if got := r.Counts(); got.Idle != 0 || got.InHand != 0 || got.StaleResults != 2 {
		t.Errorf("counts %+v", got)
	}
}

func TestChunkOfADeadManagerIsNotGivenOn(t *testing.T) {
	r := setup(t).ready(managing, task1, task2)
	r.wants(task1, 1)
	r.offer("old")
	r.Gone(managing, 1, "signal: killed", false)
	r.ready(managing)
	r.dies(task1)
	r.wants(task2, 1)
	r.hears(task2, ipc.TypeChunk)
	r.hears(managing, ipc.TypeChunkFailed)
}

func TestBusyWorkerIsSentLaterAndInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := setup(t).ready(managing, calling, task1)
		var managerFull, taskFull atomic.Bool
		managerFull.Store(true)
		taskFull.Store(true)
		r.pool.send = func(slot int, _ ipc.Envelope) error {
			if slot == managing && managerFull.Load() || slot == task1 && taskFull.Load() {
				return fmt.Errorf("send: %w", ipc.ErrFull)
			}
			return nil
		}
		r.wants(task1, 3)
		r.offer("a", "b", "c")
		r.hears(task1, ipc.TypeChunk)
		if got := r.Counts(); got.InHand != 3 || got.Unsent != 4 {
			t.Errorf("counts %+v, want 3 chunks and a demand unsent", got)
		}
		end := r.runs()
		taskFull.Store(false)
		<-time.After(time.Second)
		end()
		r.hears(task1, ipc.TypeChunk, "a", "b", "c")
		r.done("a")
		r.done("b")
		managerFull.Store(false)
		r.done("c")
		r.hears(managing, ipc.TypeDemand, "3")
		r.hears(managing, ipc.TypeDone, "a", "b", "c")
	})
}

// runs runs the router until end is called.
func (r *rig) runs() (end func()) {
	ctx, cancel := context.WithCancel(r.t.Context())
	ended := make(chan error)
	go func() { ended <- r.Run(ctx) }()
	return func() {
		cancel()
		if err := <-ended; err != nil {
			r.t.Errorf("Run: %v", err)
		}
	}
}

func TestEventsForABusyCallbackWorkerKeepTheirOrder(t *testing.T) {
	r := setup(t).ready(managing, calling, task1)
	tries := 0
	r.pool.send = func(slot int, _ ipc.Envelope) error {
		if tries++; slot == calling && tries == 1 {
			return ipc.ErrFull
		}
		return nil
	}
	r.say(task1, ipc.TypeEvents, 1, "first")
	r.say(task1, ipc.TypeEvents, 2, "second")
	r.hears(calling, ipc.TypeEvents, `1:"first"`, `2:"second"`)
}

func TestWhatADeadWorkerDidNotTakeIsNotForTheNext(t *testing.T) {
	r := setup(t).ready(managing, calling, task1)
	full := true
	r.pool.send = func(slot int, _ ipc.Envelope) error {
		if slot == task1 && full {
			return ipc.ErrFull
		}
		return nil
	}
	r.say(task1, ipc.TypeEvents, 1, "x")
	r.say(calling, ipc.TypeEventsAck, 1, nil)
	r.wants(task1, 1)
	r.offer("a")
	r.dies(task1)
	full = false
	r.say(task1, ipc.TypeEvents, 1, "y")
	r.say(calling, ipc.TypeEventsAck, 2, nil)
	r.hears(task1, ipc.TypeEventsAck, "1:") // the second one
	r.hears(task1, ipc.TypeChunk)
	r.wants(task1, 1)
	r.hears(task1, ipc.TypeChunk, "a!")
}

func TestWorkerThatCannotBeSentToLosesItsMessages(t *testing.T) {
	r := setup(t).ready(managing, task1, task2)
	r.pool.send = func(slot int, _ ipc.Envelope) error {
		if slot == task1 {
			return errors.New("connection closed")
		}
		return nil
	}
	r.wants(task1, 1)
	r.offer("a")
	if got := r.Counts(); got.InHand != 1 || got.Unsent != 0 {
		t.Errorf("counts %+v, want the chunk in hand until the pool says that the worker is gone", got)
	}
	r.Gone(task1, 1, "connection closed", true)
	r.wants(task2, 1)
	r.hears(task2, ipc.TypeChunk, "a")
}

func TestAlertsWaitForTheCallbackWorkerAndAreBounded(t *testing.T) {
	r := setup(t).ready(managing)
	r.say(managing, ipc.TypeAlert, 0, "first")
	r.Alert("worker", "dies again and again")
	for i := range 1000 {
		r.say(managing, ipc.TypeAlert, 0, i)
	}
	r.ready(calling)
	got := r.heard(calling, ipc.TypeAlert)
	if len(got) != router.MaxHeld || got[0] != `"first"` || got[1] != `{"kind":"worker","text":"dies again and again"}` {
		t.Errorf("%d alerts %.3q…, want the first %d", len(got), got, router.MaxHeld)
	}
	if lost := r.Counts().LostAlerts; lost != 1002-router.MaxHeld {
		t.Errorf("%d alerts lost", lost)
	}
	r.Alert("a", "b")
	r.hears(calling, ipc.TypeAlert, `{"kind":"a","text":"b"}`)
	r.pool.send = func(int, ipc.Envelope) error { return ipc.ErrFull }
	for range 1000 {
		r.Alert("a", "b")
	}
	if got := r.Counts().Unsent; got != router.MaxHeld {
		t.Errorf("%d alerts wait for a busy worker, want %d", got, router.MaxHeld)
	}
}

func TestNonsenseIsDropped(t *testing.T) {
	r := setup(t).ready(managing, calling, task1)
	for _, env := range []ipc.Envelope{
		{Type: "nonsense"},
		{Type: ipc.TypeWant},
		{Type: ipc.TypeWant, Body: json.RawMessage(`"x"`)},
		{Type: ipc.TypeChunk, Body: json.RawMessage(`[]`)},
		{Type: ipc.TypeDone, Body: json.RawMessage(`1`)},
	} {
		r.Message(task1, 1, env)
	}
	if got, want := r.Counts(), (router.Counts{}); got != want {
		t.Errorf("counts %+v after nonsense", got)
	}
}

func TestEveryManagerHearsOfLostEvents(t *testing.T) {
	r := setup(t).ready(calling)
	early, late := time.Unix(1, 0).UTC(), time.Unix(2, 0).UTC()
	lose := func(lost map[string]time.Time) {
		env, err := ipc.NewEnvelope(ipc.TypeSweepAgain, 0, lost)
		if err != nil {
			t.Fatal(err)
		}
		r.Message(calling, 1, env)
	}
	lose(map[string]time.Time{"a": late, "b": early})
	lose(map[string]time.Time{"a": early, "": late})
	heard := func() (last string) {
		for _, env := range r.pool.sent[managing] {
			if env.Type == ipc.TypeSweepAgain {
				last = string(env.Body)
			}
		}
		r.pool.sent[managing] = nil
		return last
	}
	const all = `{"":"1970-01-01T00:00:02Z","a":"1970-01-01T00:00:02Z","b":"1970-01-01T00:00:01Z"}`
	for range 2 {
		r.ready(managing)
		if got := heard(); got != all {
			t.Errorf("a new manager heard %s, want %s", got, all)
		}
		r.Gone(managing, 1, "killed", false)
	}
	r.ready(managing)
	heard()
	lose(map[string]time.Time{"c": late})
	if got, want := heard(), `{"c":"1970-01-01T00:00:02Z"}`; got != want {
		t.Errorf("the manager heard %s, want %s", got, want)
	}
}
