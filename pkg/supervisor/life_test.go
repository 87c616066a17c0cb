package supervisor_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/masixun71/cupid/ipc"
	"github.com/masixun71/cupid/pkg/supervisor"
)

func TestWorkersAreGreetedAndHeard(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 2, always(func(f *fake) int {
			if !f.untilReady() {
				return 1
			}
			f.send(ipc.TypeWant, nil)
			return f.serve(func() ipc.Heartbeat { return ipc.Heartbeat{Waiting: true, RSSBytes: 7} })
		}), func(c *supervisor.Config) {
			c.Payload = func(slot int) json.RawMessage { return json.RawMessage(fmt.Sprintf(`{"n":%d}`, slot)) }
		})
		pass(time.Minute)
		w.want("states", w.states(), "0.1 ready, 1.1 ready")
		got := strings.Split(w.heard(), "\n")
		slices.Sort(got)
		w.want("heard", strings.Join(got, "\n"), "0.1 ready\n0.1 want\n1.1 ready\n1.1 want")
		for _, f := range []*fake{w.worker(0), w.worker(1)} {
			w.want("config", string(f.config), fmt.Sprintf(`{"n":%d}`, f.order.Slot))
		}
		if status := w.pool.Status()[1]; status.RSSBytes != 7 || status.Role != "task" || status.Pid != 1001 || status.ReadySince.IsZero() {
			t.Errorf("status: got %+v", status)
		}
	})
}

func TestDeathIsMendedAtOnceAndThenEverMoreSlowly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1, always(after(time.Second, 2)), nil)
		pass(2 * time.Minute)
		w.mu.Lock()
		defer w.mu.Unlock()
		for i, want := range []time.Duration{
			0, 0, 100 * time.Millisecond, 200 * time.Millisecond, 400 * time.Millisecond, 800 * time.Millisecond, 1600 * time.Millisecond,
			3200 * time.Millisecond, 6400 * time.Millisecond, 12800 * time.Millisecond, 25600 * time.Millisecond, 30 * time.Second,
		} {
			if i == 0 {
				continue
			}
			if got := w.starts[i] - w.starts[i-1] - time.Second; got != want {
				t.Errorf("wait before start %d: got %v, want %v", i, got, want)
			}
		}
	})
}

// Deaths that the work is to blame for do not slow the next start down, as long as there
// are not too many of them.
func TestDeathsThatAreBlamedOnTheWorkAreMendedSoonUpToABound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1, always(after(time.Second, 2)), func(c *supervisor.Config) { c.MaxBlamed = 5 })
		w.mu.Lock()
		w.blame = true
		w.mu.Unlock()
		pass(time.Minute)
		w.mu.Lock()
		defer w.mu.Unlock()
		const soon = 100 * time.Millisecond
		for i, want := range []time.Duration{0, soon, soon, soon, soon, 0, 100 * time.Millisecond, 200 * time.Millisecond, 400 * time.Millisecond} {
			if got := w.starts[i+1] - w.starts[i] - time.Second; got != want {
				t.Errorf("wait before start %d: got %v, want %v", i+1, got, want)
			}
		}
	})
}

func TestDeathsAreForgottenAfterHealth(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1, func(order supervisor.Order) script {
			if order.Generation == 6 {
				return after(31*time.Second, 2)
			}
			return after(0, 2)
		}, nil)
		pass(20 * time.Second)
		if got := w.pool.Status()[0]; got.Generation != 6 || got.Restarts != 5 || got.LastExit != "exit status 2" {
			t.Fatalf("got %+v", got)
		}
		w.mu.Lock()
		sixth := w.starts[5]
		w.mu.Unlock()
		pass(20 * time.Second)
		w.mu.Lock()
		defer w.mu.Unlock()
		if got := w.starts[6] - sixth; got != 31*time.Second {
			t.Errorf("replaced %v after the death, want at once", got-31*time.Second)
		}
		if got := w.starts[7] - w.starts[6]; got != 100*time.Millisecond {
			t.Errorf("the next time after %v, want 100ms", got)
		}
	})
}

func TestStartThatFailsIsACrash(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1, func(order supervisor.Order) script {
			if order.Generation < 4 {
				return nil
			}
			return good
		}, nil)
		pass(150 * time.Millisecond)
		if got := w.pool.Status()[0]; got.Generation != 3 || got.State != "backing off" || !strings.Contains(got.LastExit, "temporarily unavailable") {
			t.Errorf("got %+v", got)
		}
		pass(time.Second)
		w.want("states", w.states(), "0.4 ready")
		w.want("heard", w.heard(), "0.4 ready")
	})
}

func TestOtherVersionIsRefusedWithAReason(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		refused := make(chan string, 100) // more than there will be
		w := newWorld(t, 1, always(func(f *fake) int {
			env, err := f.hello(ipc.ProtocolVersion + 1)
			var refuse ipc.Refuse
			if err := errors.Join(err, ipc.Decode(env.Body, &refuse)); err != nil || env.Type != ipc.TypeRefuse {
				refused <- fmt.Sprint(env.Type, err)
				return 1
			}
			refused <- refuse.Reason
			return 1
		}), nil)
		pass(50 * time.Millisecond)
		if got := <-refused; !strings.Contains(got, "speaks protocol 2 and the master (build \"dev\") speaks protocol 1") {
			t.Errorf("the worker was told %q", got)
		}
		if got := w.pool.Status()[0]; !strings.Contains(got.LastExit, "refused: the worker (build \"test\") speaks protocol 2") || got.State != "backing off" {
			t.Errorf("got %+v", got)
		}
		w.want("heard", w.heard(), "")
	})
}

func TestWhoIsNotReadyInTimeIsKilled(t *testing.T) {
	tests := []struct {
		name string
		run  script
		want string
	}{
		{"no hello", silent, "no hello within 15s (signal: killed)"},
		{"no ready", func(f *fake) int { _, _ = f.hello(ipc.ProtocolVersion); return silent(f) }, "not ready within 15s (signal: killed)"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, 1, func(order supervisor.Order) script {
					if order.Generation == 1 {
						return test.run
					}
					return good
				}, nil)
				pass(15*time.Second + 400*time.Millisecond)
				first := w.worker(0)
				if got := <-first.signals; got != syscall.SIGQUIT {
					t.Errorf("got %v first, want SIGQUIT", got)
				}
				w.want("states", w.states(), "0.1 killing")
				pass(200 * time.Millisecond)
				w.want("states", w.states(), "0.2 ready")
				w.want("last exit", w.pool.Status()[0].LastExit, test.want)
			})
		})
	}
}

func TestWorkerThatNeedsLongerIsWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1, func(order supervisor.Order) script {
			if order.Generation > 1 {
				return good
			}
			return func(f *fake) int { _, _ = f.hello(ipc.ProtocolVersion); return silent(f) }
		}, func(c *supervisor.Config) { c.Slots[0].ReadyTimeout = time.Minute })
		pass(59 * time.Second)
		w.want("states", w.states(), "0.1 preparing")
		pass(2 * time.Second)
		w.want("last exit", w.pool.Status()[0].LastExit, "not ready within 1m0s (signal: killed)")
	})
}

func TestNonsenseIsAnsweredByReplacement(t *testing.T) {
	tests := []struct {
		name string
		run  script
		want string
	}{
		{"work before hello", func(f *fake) int { f.send(ipc.TypeWant, nil); return silent(f) }, `sent "want" while greeting`},
		{"work before ready", func(f *fake) int { _, _ = f.hello(1); f.send(ipc.TypeWant, nil); return silent(f) }, `sent "want" while preparing`},
		{"hello twice", func(f *fake) int { f.untilReady(); f.send(ipc.TypeHello, nil); return silent(f) }, `sent "hello" while ready`},
		{"heartbeat of another kind", func(f *fake) int { f.untilReady(); f.send(ipc.TypeHeartbeat, "x"); return silent(f) }, "protocol: heartbeat"},
		{"hello of another kind", func(f *fake) int { f.send(ipc.TypeHello, "x"); return silent(f) }, "protocol: hello"},
		{"other slot", func(f *fake) int { f.order.Slot = 7; _, _ = f.hello(1); return silent(f) }, "the worker says that it is slot 7"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, 1, func(order supervisor.Order) script {
					if order.Generation == 1 {
						return test.run
					}
					return good
				}, nil)
				pass(2 * time.Second)
				w.want("states", w.states(), "0.2 ready")
				if got := w.pool.Status()[0].LastExit; !strings.Contains(got, test.want) {
					t.Errorf("last exit: got %q, want %q", got, test.want)
				}
			})
		})
	}
}

func TestFrameCutOffIsTheReasonWhicheverEndIsSeenFirst(t *testing.T) {
	const moment = 50 * time.Millisecond
	for name, end := range map[string]func(f *fake){
		"exit":       func(f *fake) { f.lingers = moment },
		"connection": func(f *fake) { _ = f.far.Close(); <-time.After(moment) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, 1, func(order supervisor.Order) script {
					if order.Generation > 1 {
						return good
					}
					return func(f *fake) int {
						_, _ = f.far.Write([]byte("\x00\x00\x10\x00{"))
						end(f)
						return 0
					}
				}, nil)
				pass(2 * time.Second)
				w.want("states", w.states(), "0.2 ready")
				w.want("last exit", w.pool.Status()[0].LastExit,
					"receive from cupid: task worker 0 (slot 0): read frame, 1 of 4096 bytes: unexpected EOF (exit status 0)")
			})
		})
	}
}

func TestHungWorkerIsReplaced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1, func(order supervisor.Order) script {
			return func(f *fake) int {
				if !f.untilReady() {
					return 1
				}
				// The first beats and does not get on; the next waits for something.
				return f.serve(func() ipc.Heartbeat { return ipc.Heartbeat{Progress: 9, Waiting: order.Generation > 1} })
			}
		}, nil)
		pass(4900 * time.Millisecond)
		w.want("states", w.states(), "0.1 ready")
		pass(200 * time.Millisecond)
		w.want("states", w.states(), "0.1 killing")
		if got := <-w.worker(0).signals; got != syscall.SIGQUIT {
			t.Errorf("got %v, want SIGQUIT", got)
		}
		pass(500 * time.Millisecond)
		w.want("states", w.states(), "0.2 ready")
		pass(time.Minute)
		w.want("states", w.states(), "0.2 ready")
		w.want("heard", w.heard(), "0.1 ready\n0.1 gone, drained false: hung: no progress for 5s (signal: killed)\n0.2 ready")
	})
}

// The loop stands still for longer than any heartbeat may take, and so do the workers, as if the machine had: nobody is to
// blame, and they get on a little later than the master.
func TestFrozenMasterDoesNotKillItsWorkers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		w := newWorld(t, 3, func(order supervisor.Order) script {
			return func(f *fake) int {
				if !f.untilReady() {
					return 1
				}
				if order.Slot == 0 {
					<-time.After(time.Second / 2) // until the test is set up
					f.send(ipc.TypeWant, nil)
				}
				return f.serve(func() ipc.Heartbeat { return ipc.Heartbeat{Waiting: time.Since(begin) > 22*time.Second} })
			}
		}, nil)
		w.onMessage(func(int, ipc.Envelope) { <-time.After(20 * time.Second) })
		pass(2 * time.Minute)
		w.want("states", w.states(), "0.1 ready, 1.1 ready, 2.1 ready")
	})
}

func TestCleanEndThatNobodyAskedForWaitsForAStop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1, func(order supervisor.Order) script {
			if order.Generation == 1 {
				return after(time.Second, 0)
			}
			return good
		}, nil)
		pass(1400 * time.Millisecond)
		w.want("states", w.states(), "0.1 backing off")
		pass(200 * time.Millisecond)
		w.want("states", w.states(), "0.2 ready")
		w.want("heard", w.heard(), "0.1 ready\n0.1 gone, drained true: exit status 0\n0.2 ready")
	})
}

func TestWorkerThatOutgrowsItsMemoryIsRenewedOneAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 3, func(order supervisor.Order) script {
			return func(f *fake) int {
				if !f.untilReady() {
					return 1
				}
				code := f.serve(func() ipc.Heartbeat {
					return ipc.Heartbeat{Waiting: true, RSSBytes: 200 * int64(2-order.Generation)}
				})
				<-time.After(time.Second) // It takes its time to drain.
				return code
			}
		}, func(c *supervisor.Config) { c.MaxRSSBytes = 100 })
		for range 200 {
			pass(100 * time.Millisecond)
			if got := strings.Count(w.states(), "ready"); got < 2 {
				t.Fatalf("%d of 3 are ready: %s", got, w.states())
			}
		}
		w.want("states", w.states(), "0.2 ready, 1.2 ready, 2.2 ready")
		if got := w.pool.Status()[0].Restarts; got != 0 {
			t.Errorf("renewal counts as %d crashes", got)
		}
	})
}

func TestSend(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 2, func(order supervisor.Order) script {
			switch {
			case order.Slot == 1:
				return silent
			case order.Generation == 1:
				return func(f *fake) int { f.untilReady(); return silent(f) } // It does not read.
			default:
				return good
			}
		}, func(c *supervisor.Config) { c.QueueBytes = 1000 })
		synctest.Wait()
		env := ipc.Envelope{Type: ipc.TypeChunk}
		if err := w.pool.Send(1, env); !errors.Is(err, supervisor.ErrNotReady) {
			t.Errorf("worker that is not ready: got %v", err)
		}
		for _, slot := range []int{-1, 2} {
			if err := w.pool.Send(slot, env); !errors.Is(err, supervisor.ErrNoSlot) {
				t.Errorf("slot %d: got %v", slot, err)
			}
		}
		for sent := 0; ; sent++ {
			err := w.pool.Send(0, env)
			if errors.Is(err, ipc.ErrFull) {
				break
			}
			if err != nil || sent > 1000 {
				t.Fatalf("after %d frames: got %v, want a full queue", sent, err)
			}
		}
		pass(7 * time.Second)
		if got := w.pool.Status()[0]; got.State != "ready" || got.Generation != 2 || got.LastExit == "" {
			t.Errorf("worker that does not read: got %+v", got)
		}
		if err := w.pool.Broadcast(env); err != nil {
			t.Error(err)
		}
	})
}
