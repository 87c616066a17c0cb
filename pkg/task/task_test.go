package task_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/masixun71/cupid/ipc"
	"github.com/masixun71/cupid/pkg/event"
	"github.com/masixun71/cupid/pkg/task"
)

func TestEqualChunkIsDoneAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, nil)
		r.both(1, "a", "x")
		r.both(2, "b", "y")
		r.give(10)
		synctest.Wait()
		r.want(1)
		if results, _ := r.got(); results[0].Rows != 2 || results[0].Error != "" {
			t.Errorf("result %+v, want two rows and no error", results[0])
		}
		r.ended()
	})
}

func TestG3DivergenceIsConfirmedByASecondReadOfBothSides(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, nil)
		r.set(source{1, "missing", "x"})
		r.both(2, "different", "y")
		r.copied("different", "z")
		r.both(3, "equal", "e")
		var source, destination atomic.Int32
		r.beforeSource = func(context.Context) error { source.Add(1); return nil }
		r.beforeDestination = func(context.Context) error { destination.Add(1); return nil }
		seen := time.Now()
		r.give(10)
		after(settle - time.Millisecond)
		r.want(0)
		if destination.Load() != 1 {
			t.Errorf("%d reads of the destination before the settle time, want 1", destination.Load())
		}
		after(2 * time.Millisecond)
		r.want(1, "different", "missing")
		if source.Load() != 1 || destination.Load() != 2 {
			t.Errorf("sides were read anew %d and %d times, want once each", source.Load(), destination.Load()-1)
		}
		_, events := r.got()
		for _, e := range events {
			kind, id := event.Missing, "1"
			if e.Key.String() == "different" {
				kind, id = event.Different, "2"
			}
			if e.Pair != "p" || e.Kind != kind || e.SourceID != id || len(e.Watch) != 0 || !e.FirstSeen.Equal(seen) {
				t.Errorf("event %+v; want pair p, %v, id %s, first seen at the first look", e, kind, id)
			}
			if e.Kind == event.Different && (len(e.Columns) != 1 || e.Columns[0] != "name") {
				t.Errorf("columns %v, want name", e.Columns)
			}
		}
		if c := r.Counts(); c.Events != 2 || c.Suspects != 2 || c.Rows != 3 || c.Chunks != 1 || c.InHand != 0 {
			t.Errorf("counts %+v", c)
		}
		r.ended()
	})
}

func TestHealedWithinSettleIsNoEvent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, nil)
		r.set(source{1, "late", "x"})
		r.set(source{2, "deleted", "x"})
		r.give(10)
		after(settle / 2)
		r.copied("late", "x")
		r.remove(2)
		after(settle)
		r.want(1)
		if results, _ := r.got(); results[0].Healed != 2 || results[0].Error != "" {
			t.Errorf("result %+v, want two healed", results[0])
		}
		r.ended()
	})
}

// hot changes row 1 every settle time, and calls follow after each change.
func hot(ctx context.Context, r *rig, follow func(version int)) {
	tick := time.NewTicker(settle)
	defer tick.Stop()
	for v := 1; ; v++ {
		r.set(source{1, "hot", fmt.Sprint("v", v)})
		follow(v)
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

func TestG3HotRowThatIsFollowedIsWatchedAndNoEvent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, nil)
		ctx, cancel := context.WithCancel(t.Context())
		go hot(ctx, r, func(v int) { r.copied("hot", fmt.Sprint("v", v-1)) })
		after(settle / 2) // the looks are in the middle between the changes
		r.give(10)
		after(settle * 3)
		r.want(0)
		after(settle * 2)
		r.want(1, "hot")
		_, events := r.got()
		if got := events[0].Watch; len(got) != 5 {
			t.Errorf("watched with %d looks, want those of the worker, 5", len(got))
		}
		if event.Judge(events[0].Watch) == event.Confirmed {
			t.Error("the looks of a watched row confirm it")
		}
		if strings.Contains(r.log.String(), "divergence") {
			t.Errorf("a watched row is logged as a divergence: %s", r.log)
		}
		cancel()
		r.ended()
	})
}

func TestG3HotRowThatIsFollowedAndThenHealsIsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, nil)
		ctx, cancel := context.WithCancel(t.Context())
		go hot(ctx, r, func(v int) {
			if v == 4 {
				r.copied("hot", "v4")
				return
			}
			r.copied("hot", fmt.Sprint("v", v-1))
		})
		after(settle / 2)
		r.give(10)
		after(settle * 4)
		r.want(1)
		cancel()
		r.ended()
	})
}

func TestStuckDestinationUnderAMovingSourceIsAnEvent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, nil)
		ctx, cancel := context.WithCancel(t.Context())
		r.copied("hot", "old")
		go hot(ctx, r, func(int) {})
		after(settle / 2)
		r.give(10)
		after(settle + time.Millisecond)
		r.want(0) // in the first look, which read the source first, it may have been newer than the source
		after(settle)
		r.want(1, "hot")
		if _, events := r.got(); len(events[0].Watch) != 0 {
			t.Error("a stuck row is only watched")
		}
		cancel()
		r.ended()
	})
}

func TestRowWhoseKeyChangedIsLookedAtAnew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, nil)
		r.set(source{1, "old", "x"})
		r.give(10)
		after(settle / 2)
		r.set(source{1, "new", "x"})
		after(settle)
		r.want(0) // the look at the new key was its first
		after(settle)
		r.want(1, "new")
		r.ended()
	})
}

func TestNullKeyIsCountedAndLogged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, nil)
		r.set(source{1, nil, "x"})
		r.set(source{2, nil, "y"})
		r.give(10)
		after(3 * settle)
		r.want(1)
		if n := r.Counts().NullKeys; n != 2 {
			t.Errorf("counted %d rows without a key, want 2", n)
		}
		if results, _ := r.got(); results[0].NullKeys != 2 {
			t.Errorf("result %+v does not tell of rows without a key", results[0])
		}
		if !strings.Contains(r.log.String(), `"rows":2`) {
			t.Errorf("log %s does not tell of rows without a key", r.log)
		}
		r.ended()
	})
}

func TestTwoDestinationRowsOfOneKeyAreAmbiguous(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, nil)
		r.set(source{1, "twice", "x"})
		r.copied("twice", "x", "x")
		r.give(10)
		after(settle + time.Millisecond)
		r.want(1, "twice")
		if r.Counts().Ambiguous != 1 || !strings.Contains(r.log.String(), `"ambiguous":true`) {
			t.Errorf("counts %+v, log %s; want one ambiguous row", r.Counts(), r.log)
		}
		r.ended()
	})
}

func TestG1ChunkIsDoneOnlyAfterItsEventsAreAcknowledged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ack := make(chan struct{})
		r := start(t, func(_ *task.Config, m *master) {
			m.submit = func(ctx context.Context, _ []event.Event) error {
				select {
				case <-ack:
					return nil
				case <-ctx.Done():
					return context.Cause(ctx)
				}
			}
		})
		r.set(source{1, "a", "x"})
		r.give(10)
		after(time.Hour)
		r.want(0)
		close(ack)
		synctest.Wait()
		r.want(1, "a")
		r.ended()
	})
}

func TestG7NoMoreChunksThanFitIntoTheHands(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, func(_ *task.Config, m *master) {
			m.submit = func(ctx context.Context, _ []event.Event) error { // the queue is full
				<-ctx.Done()
				return context.Cause(ctx)
			}
		})
		r.set(source{1, "a", "x"})
		const most = task.MaxInHand + task.MaxLent
		if given := r.giveAll("p"); given != most {
			t.Errorf("%d chunks taken while nothing is acknowledged, want %d", given, most)
		}
		if n := r.Counts().InHand; n != most {
			t.Errorf("%d in hand, want %d", n, most)
		}
		r.master.mu.Lock()
		saved := r.saved[len(r.saved)-1]
		r.master.mu.Unlock()
		if len(saved) != most {
			t.Errorf("%d chunks are named in the cache file, want %d", len(saved), most)
		}
		r.ended()
		r.want(0)
	})
}

// Of large chunks a worker that only sweeps takes no more than it reads, and the next one, though
// each takes a while; where a database hangs others get their turn all the same. Of small ones it
// takes as many as ever.
func TestAWorkerThatSweepsTakesFewLargeChunks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, func(c *task.Config, _ *master) { c.Sweeps = true })
		r.noSums = true
		r.beforeRange = func(ctx context.Context) error {
			<-ctx.Done()
			return context.Cause(ctx)
		}
		synctest.Wait()
		if n := r.room(); n != task.MaxLarge {
			t.Errorf("%d are wanted at first, want %d", n, task.MaxLarge)
		}
		for range task.MaxLarge {
			r.full(10, task.LargeRows+1)
		}
		after(900 * time.Millisecond)
		if n := r.room(); n != 0 {
			t.Errorf("%d more are wanted while %d are read", n, task.MaxLarge)
		}
		after(200 * time.Millisecond)
		if n := r.room(); n != task.MaxLarge {
			t.Errorf("%d more are wanted while the database hangs, want %d", n, task.MaxLarge)
		}
		r.full(10, task.LargeRows)
		synctest.Wait()
		if n := r.room(); n != task.MaxInHand-1 {
			t.Errorf("%d more are wanted once chunks are small, want %d", n, task.MaxInHand-1)
		}
		r.ended()
	})
}

// room is how many chunks the worker wants more.
func (r *rig) room() int {
	r.master.mu.Lock()
	defer r.master.mu.Unlock()
	return r.wanted - r.last
}

// giveAll gives chunks of a pair until the worker wants no more, and returns how many.
func (r *rig) giveAll(pair string) int {
	given := r.last
	for {
		synctest.Wait()
		n := r.room()
		if n == 0 {
			return r.last - given
		}
		for range n {
			r.giveOf(pair, 1_000_000)
		}
		after(2 * settle)
	}
}

// Chunks that wait are bounded by their suspects, too.
func TestG7ChunksThatWaitHaveNoMoreSuspectsThanAreAllowed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, func(c *task.Config, _ *master) { c.Settle = time.Hour })
		for id := range int64(task.MaxLentRows / 4) {
			r.set(source{id, strconv.FormatInt(id, 10), "x"})
		}
		if given := r.giveAll("p"); given != task.MaxInHand+4 {
			t.Errorf("%d chunks taken while none settles, want %d", given, task.MaxInHand+4)
		}
		r.ended()
	})
}

// Chunks that settle, or whose events nobody takes, leave the hands to other pairs.
func TestG6ChunksThatWaitLeaveTheHandsToOthers(t *testing.T) {
	for name, options := range map[string]func(*task.Config, *master){
		"settle": func(c *task.Config, _ *master) { c.Settle = time.Hour },
		"submit": func(_ *task.Config, m *master) {
			m.submit = func(ctx context.Context, _ []event.Event) error { // its share of the queue is full
				<-ctx.Done()
				return context.Cause(ctx)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := start(t, func(c *task.Config, m *master) {
					options(c, m)
					equal := newWorld()
					equal.both(1, "a", "x")
					c.Pairs["equal"] = pair{equal, mapping(t)}
				})
				r.set(source{1, "a", "x"})
				for range task.MaxInHand {
					r.give(10)
				}
				after(2 * settle)
				if r.room() == 0 {
					t.Fatal("no room for the pair that does not wait")
				}
				r.giveOf("equal", 10)
				synctest.Wait()
				r.want(1)
				r.ended()
			})
		})
	}
}

func TestReadErrorIsReportedAndNothingSubmitted(t *testing.T) {
	for name, fail := range map[string]func(*rig, func(context.Context) error){
		"range":        func(r *rig, f func(context.Context) error) { r.beforeRange = f },
		"source again": func(r *rig, f func(context.Context) error) { r.beforeSource = f },
		"destination":  func(r *rig, f func(context.Context) error) { r.beforeDestination = f },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := start(t, nil)
				r.set(source{1, "a", "x"})
				fail(r, func(context.Context) error { return errPlanned })
				r.give(10)
				after(2 * settle)
				r.want(1)
				if results, _ := r.got(); !strings.Contains(results[0].Error, "planned") || results[0].Chunk != "1" || results[0].Pair != "p" {
					t.Errorf("result %+v, want the error", results[0])
				}
				r.ended()
			})
		})
	}
}

func TestSecondReadOfDestinationFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, nil)
		r.set(source{1, "a", "x"})
		n := 0
		r.beforeDestination = func(context.Context) error {
			if n++; n == 2 {
				return errPlanned
			}
			return nil
		}
		r.give(10)
		after(2 * settle)
		r.want(1)
		if results, _ := r.got(); results[0].Error == "" {
			t.Error("a chunk that could not be confirmed is done without an error")
		}
		r.ended()
	})
}

func TestSubmitErrorIsTheChunksError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, func(_ *task.Config, m *master) {
			m.submit = func(context.Context, []event.Event) error { return errPlanned }
		})
		r.set(source{1, "a", "x"})
		r.give(10)
		after(2 * settle)
		r.want(1)
		if results, _ := r.got(); results[0].Error == "" {
			t.Error("a chunk whose events were not taken is done without an error")
		}
		r.ended()
	})
}

func TestManyChunksAtATimeTwoOfAPairReading(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, nil)
		for i := range int64(8) {
			r.set(source{i + 1, fmt.Sprint("k", i), "x"})
		}
		slow := func(ctx context.Context) error {
			select {
			case <-time.After(100 * time.Millisecond):
				return nil
			case <-ctx.Done():
				return context.Cause(ctx)
			}
		}
		r.beforeRange, r.beforeSource = slow, slow
		for range 8 {
			r.give(1)
		}
		after(400*time.Millisecond + settle + 401*time.Millisecond)
		results, _ := r.got()
		if len(results) != 8 {
			t.Errorf("%d chunks done, want all: while one settles others are read", len(results))
		}
		r.world.mu.Lock()
		defer r.world.mu.Unlock()
		if r.mostReading != 2 {
			t.Errorf("%d chunks were read at once, want 2", r.mostReading)
		}
		r.ended()
	})
}

func TestG6DeadDatabaseOfOnePairDelaysNoOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dead := newWorld()
		dead.beforeDestination = func(ctx context.Context) error { // packets go nowhere
			select {
			case <-time.After(10 * time.Second):
				return errPlanned
			case <-ctx.Done():
				return context.Cause(ctx)
			}
		}
		dead.set(source{1, "a", "x"})
		r := start(t, func(c *task.Config, _ *master) { c.Pairs["dead"] = pair{dead, mapping(t)} })
		r.both(1, "a", "x")
		for range 7 {
			r.giveOf("dead", 10)
		}
		synctest.Wait()
		r.give(10)
		synctest.Wait()
		r.want(1) // the chunk of the pair that lives
		after(10*time.Second + time.Millisecond)
		r.want(8) // one wait for all of the dead one
		r.ended()
	})
}

func TestQuickFailureOfAChunkIsNoFailureOfOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, nil)
		r.both(1, "a", "x")
		var n atomic.Int32
		r.beforeRange = func(context.Context) error {
			if n.Add(1) == 1 {
				return errPlanned
			}
			return nil
		}
		for range 6 {
			r.give(10)
		}
		synctest.Wait()
		results, _ := r.got()
		failed := 0
		for _, r := range results {
			if r.Error != "" {
				failed++
			}
		}
		if len(results) != 6 || failed != 1 {
			t.Errorf("%d of %d chunks failed, want 1 of 6", failed, len(results))
		}
		r.ended()
	})
}

func TestDrainingDropsWhatIsInHand(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		draining := make(chan struct{})
		r := start(t, func(c *task.Config, _ *master) { c.Draining = draining })
		r.set(source{1, "a", "x"})
		r.beforeSource = func(ctx context.Context) error { <-ctx.Done(); return context.Cause(ctx) }
		r.give(10)
		r.give(10)
		after(settle + time.Millisecond)
		r.give(10)
		synctest.Wait()
		close(draining)
		if err := <-r.end; err != nil {
			t.Errorf("drained with %v", err)
		}
		r.want(0)
	})
}

func TestUnknownPairIsAnError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, nil)
		r.giveOf("other", 10)
		synctest.Wait()
		r.want(1)
		if results, _ := r.got(); !strings.Contains(results[0].Error, `"other"`) || results[0].Pair != "other" {
			t.Errorf("result %+v, want an error that names the pair", results[0])
		}
		r.ended()
	})
}

func TestDivergenceIsLoggedWithBothValues(t *testing.T) {
	for _, values := range []bool{true, false} {
		t.Run(fmt.Sprint("values ", values), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := start(t, func(c *task.Config, _ *master) { c.LogValues = values })
				r.set(source{7, "a", "ours"})
				r.copied("a", "theirs")
				r.give(10)
				after(2 * settle)
				r.ended()
				var line struct {
					Pair, Key, ID, Kind, Scan string
					Columns                   []string
					Values                    []struct{ Column, Src, Des string }
				}
				if err := json.Unmarshal(r.log.Bytes(), &line); err != nil {
					t.Fatalf("log %s: %v", r.log, err)
				}
				if line.Pair != "p" || line.Key != "a" || line.ID != "7" || line.Kind != "different" || line.Scan != "insert" || len(line.Columns) != 1 {
					t.Errorf("line %+v", line)
				}
				if !values {
					if strings.Contains(r.log.String(), "ours") {
						t.Errorf("values are in the log: %s", r.log)
					}
					return
				}
				// Through LogValue, where they are masked.
				if len(line.Values) != 1 || line.Values[0].Src != "<ours>" || line.Values[0].Des != "<theirs>" || line.Values[0].Column != "name" {
					t.Errorf("values %+v", line.Values)
				}
			})
		})
	}
}

// TestG7EveryMessageFitsIntoAFrame has keys that are as long as MySQL's index
// allows, and longer as JSON than others.
func TestG7EveryMessageFitsIntoAFrame(t *testing.T) {
	for name, filler := range map[string]string{"escaped": "<", "backslashes": `\`, "binary": "\x01"} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				const rows = 300
				biggest := 0
				r := start(t, func(_ *task.Config, m *master) {
					m.submit = func(_ context.Context, events []event.Event) error {
						env, err := ipc.NewEnvelope(ipc.TypeEvents, 1<<63, events)
						if err != nil {
							return err
						}
						frame, err := json.Marshal(env)
						biggest = max(biggest, len(frame))
						return err
					}
				})
				for i := range int64(rows) {
					key := fmt.Sprintf("%08d", i)
					r.set(source{i + 1, key + strings.Repeat(filler, 3072-len(key)), "x"})
				}
				r.give(rows)
				after(2 * settle)
				results, events := r.got()
				if len(events) != rows || len(results) != 1 || results[0].Error != "" || results[0].Events != rows {
					t.Fatalf("%d events, results %+v; want %d", len(events), results, rows)
				}
				if biggest > ipc.MaxFrameBytes/2 {
					t.Errorf("a frame of %d bytes", biggest)
				}
				if len(r.sizes) > rows/30 {
					t.Errorf("%d messages for %d events", len(r.sizes), rows)
				}
				r.ended()
			})
		})
	}
}

func TestKeyThatNoQueueTakesIsSetAsideAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, nil)
		r.set(source{1, strings.Repeat("k", event.MaxKeyTextBytes+1), "x"})
		r.set(source{2, "b", "y"})
		r.give(10)
		after(2 * settle)
		r.want(1, "b")
		if n := r.Counts().LongKeys; n != 1 || !strings.Contains(r.log.String(), `"level":"error"`) {
			t.Errorf("%d rows set aside, log %s; want one, loudly", n, r.log)
		}
		if results, _ := r.got(); results[0].Healed != 0 {
			t.Error("the row counts as healed")
		}
		r.ended()
	})
}

func TestWorkThatEndsEndsTheWorker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := task.New(task.Config{Work: &brokenWork{}, Hand: &master{}, Settle: settle, Step: func() {}})
		if err := w.Run(t.Context()); err == nil {
			t.Error("a worker without a master goes on")
		}
	})
}

type brokenWork struct{ master }

func (*brokenWork) Want(context.Context, int) error { return errPlanned }

func TestStepsWhileIdle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var steps atomic.Int32
		r := start(t, func(c *task.Config, _ *master) { c.Step = func() { steps.Add(1) } })
		after(10 * time.Second)
		if steps.Load() < 10 {
			t.Errorf("%d steps in ten seconds, want one a second at least", steps.Load())
		}
		r.ended()
	})
}

// Pairs whose databases hang hold chunks, and not the hands of the worker.
func TestG6PairsThatHangLeaveTheHandsToOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const pairs, each = 99, 8
		r := start(t, func(c *task.Config, _ *master) {
			for i := range pairs {
				dead := newWorld()
				dead.beforeRange = func(ctx context.Context) error { // packets go nowhere
					<-ctx.Done()
					return context.Cause(ctx)
				}
				c.Pairs[fmt.Sprint("dead", i)] = pair{dead, mapping(t)}
			}
		})
		r.both(1, "a", "x")
		for i := range pairs * each {
			for tries := 0; r.room() == 0; tries++ {
				if tries > 100 {
					t.Fatalf("no room after %d chunks of pairs that hang", i)
				}
				after(10 * time.Millisecond)
			}
			r.giveOf(fmt.Sprint("dead", i%pairs), 10)
		}
		after(100 * time.Millisecond)
		if r.room() == 0 {
			t.Fatal("no room for the pair that lives")
		}
		r.give(10)
		synctest.Wait()
		r.want(1)
		if c := r.Counts(); c.InHand != pairs*each || c.Stalled != pairs*each {
			t.Errorf("%+v, want %d stalled", c, pairs*each)
		}
		r.ended()
	})
}
