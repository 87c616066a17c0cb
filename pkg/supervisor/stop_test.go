package supervisor_test

import (
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/masixun71/cupid/ipc"
	"github.com/masixun71/cupid/pkg/supervisor"
)

func TestStopTakesNoLongerThanItMay(t *testing.T) {
	tests := []struct {
		name string
		run  script
		wait time.Duration // before the stop
		want time.Duration // at most
	}{
		{"good workers", good, time.Second, 0},
		{"before they are greeted", silent, 0, 1200 * time.Millisecond},
		{"deaf workers", deaf, time.Second, 1200 * time.Millisecond},
		{"slow workers", slow, 2 * time.Second, time.Second},
		{"workers in a crash loop", after(0, 3), time.Minute, 0},
		{"workers that cannot be started", nil, time.Minute, 0},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, 3, always(test.run), nil)
				pass(test.wait)
				begin := time.Now()
				w.pool.Stop()
				if got := time.Since(begin); got > test.want {
					t.Errorf("stopped after %v, want at most %v", got, test.want)
				}
				w.want("states", states(w), "stopped, stopped, stopped")
				for _, f := range w.workers {
					select {
					case <-f.done:
					default:
						t.Errorf("worker %+v still runs", f.order)
					}
				}
				w.pool.Stop() // again is fine
			})
		})
	}
}

func states(w *world) string {
	var states []string
	for _, status := range w.pool.Status() {
		states = append(states, status.State)
	}
	return strings.Join(states, ", ")
}

func TestStopGoesByStages(t *testing.T) {
	slots := []supervisor.Slot{{Role: "manager"}, {Role: "callback", Stage: 1}, {Role: "task"}}
	tests := []struct {
		name string
		task script
		want string // the order in which they are gone
		took time.Duration
	}{
		{"in order", good, "0 2 1", 0},
		{"one that hangs is not waited for to the end", deaf, "0 1 2", 1200 * time.Millisecond},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, 3, func(order supervisor.Order) script {
					if order.Slot == 2 {
						return test.task
					}
					return good
				}, func(c *supervisor.Config) { c.Slots = slots })
				synctest.Wait()
				begin := time.Now()
				w.pool.Stop()
				if got := time.Since(begin); got != test.took {
					t.Errorf("took %v, want %v", got, test.took)
				}
				var gone []string
				for line := range strings.Lines(w.heard()) {
					if strings.Contains(line, "gone") {
						gone = append(gone, line[:1])
					}
				}
				if gone[0] > gone[1] && gone[1] == "0" { // The two of one stage go in any order.
					slices.Reverse(gone[:2])
				}
				w.want("order", strings.Join(gone, " "), test.want)
			})
		})
	}
}

// While the others drain, the callback worker still takes their events.
func TestDrainingWorkerIsHeardAndSpokenTo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1, always(func(f *fake) int {
			if !f.untilReady() {
				return 1
			}
			if f.serve(func() ipc.Heartbeat { return ipc.Heartbeat{Waiting: true} }) != 0 {
				return 1
			}
			f.send(ipc.TypeEvents, nil)
			if env, err := f.conn.Receive(); err != nil || env.Type != ipc.TypeEventsAck {
				return 1
			}
			f.send(ipc.TypeDone, nil)
			_ = f.conn.Flush(t.Context())
			return 0
		}), nil)
		w.onMessage(func(slot int, env ipc.Envelope) {
			if env.Type == ipc.TypeEvents {
				if err := w.pool.Send(slot, ipc.Envelope{Type: ipc.TypeEventsAck}); err != nil {
					t.Error(err)
				}
			}
		})
		synctest.Wait()
		w.pool.Stop()
		w.want("heard", w.heard(), "0.1 ready\n0.1 events\n0.1 done\n0.1 gone, drained true: exit status 0")
	})
}

// A SIGTERM to the whole group reaches workers first: they end their connections and are about to exit when the pool's
// own stop comes. They are not killed for it. The pool is busy meanwhile, so that it hears of both at once.
func TestStopLeavesWorkersToEndWhoHaveBegunToByThemselves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const slots = 20
		w := newWorld(t, slots, always(func(f *fake) int {
			if !f.untilReady() {
				return 1
			}
			if f.order.Slot == 0 {
				<-time.After(time.Second)
				f.send(ipc.TypeWant, nil)
				return f.serve(func() ipc.Heartbeat { return ipc.Heartbeat{Waiting: true} })
			}
			<-time.After(1500 * time.Millisecond)
			_ = f.far.Close()
			<-time.After(2 * time.Second) // the pool hears of it at 2 s, and it ends at 3.5 s
			return 0
		}), func(c *supervisor.Config) { c.QuitTimeout, c.StopTimeout = 2*time.Second, 5*time.Second })
		w.onMessage(func(int, ipc.Envelope) { <-time.After(time.Second) })
		pass(1900 * time.Millisecond)
		w.pool.Stop()
		if got := strings.Count(w.heard(), "gone, drained true: exit status 0"); got != slots {
			t.Errorf("%d of %d workers ended by themselves:\n%s", got, slots, w.heard())
		}
	})
}
