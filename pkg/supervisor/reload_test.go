package supervisor_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/masixun71/cupid/ipc"
	"github.com/masixun71/cupid/pkg/supervisor"
)

func payload(text string) func(int) json.RawMessage {
	return func(int) json.RawMessage { return json.RawMessage(`"` + text + `"`) }
}

func withOld(c *supervisor.Config) { c.Payload = payload("old") }

// slow is good, and takes its time to get ready and to drain.
func slow(f *fake) int {
	<-time.After(time.Second)
	code := good(f)
	<-time.After(time.Second)
	return code
}

// refusing is a worker that cannot live with a configuration.
func refusing(bad string, slot int) script {
	return func(f *fake) int {
		env, err := f.hello(ipc.ProtocolVersion)
		var welcome ipc.Welcome
		if err := errors.Join(err, ipc.Decode(env.Body, &welcome)); err != nil {
			return 1
		}
		if f.config = welcome.Config; string(f.config) == `"`+bad+`"` && f.order.Slot == slot {
			return 78
		}
		f.send(ipc.TypeReady, nil)
		return f.serve(func() ipc.Heartbeat { return ipc.Heartbeat{Waiting: true} })
	}
}

// configs returns the configuration of the youngest worker of each slot.
func (w *world) configs() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	configs := map[int]string{}
	for _, f := range w.workers {
		configs[f.order.Slot] = string(f.config)
	}
	return fmt.Sprint(configs)
}

func TestReloadGoesSlotBySlot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 3, always(slow), withOld)
		pass(2 * time.Second)
		var reloading sync.WaitGroup
		reloading.Go(func() {
			if err := w.pool.Reload(t.Context(), supervisor.Update{Payload: payload("new")}); err != nil {
				t.Error(err)
			}
		})
		for range 60 {
			if got := strings.Count(w.states(), "ready"); got < 2 {
				t.Fatalf("%d of 3 are ready: %s", got, w.states())
			}
			pass(100 * time.Millisecond)
		}
		reloading.Wait()
		w.want("states", w.states(), "0.2 ready, 1.2 ready, 2.2 ready")
		w.want("configs", w.configs(), `map[0:"new" 1:"new" 2:"new"]`)
		if got := w.pool.Status()[0].Restarts; got != 0 {
			t.Errorf("a reload counts as %d crashes", got)
		}
	})
}

func TestG9ReloadThatFailsGoesBack(t *testing.T) {
	for bad := range 3 {
		t.Run(fmt.Sprint("at slot ", bad), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, 3, always(refusing("new", bad)), withOld)
				synctest.Wait()
				before := w.states()
				err := w.pool.Reload(t.Context(), supervisor.Update{Payload: payload("new"), Slots: tasks(4)})
				if err == nil || !strings.Contains(err.Error(), fmt.Sprintf("task of slot %d did not get ready", bad)) ||
					!strings.Contains(err.Error(), "exit status 78") {
					t.Errorf("got %v", err)
				}
				synctest.Wait()
				w.want("configs", w.configs(), `map[0:"old" 1:"old" 2:"old"]`)
				if got := strings.Count(w.states(), "ready"); got != 3 || strings.Count(before, "ready") != 3 {
					t.Errorf("got %s, want the three slots ready", w.states())
				}
				if err := w.pool.Reload(t.Context(), supervisor.Update{Payload: payload("newer")}); err != nil {
					t.Error(err)
				}
				w.want("configs", w.configs(), `map[0:"newer" 1:"newer" 2:"newer"]`)
			})
		})
	}
}

func TestReloadThatFailsAtANewSlotTakesItAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 2, always(refusing("new", 2)), withOld)
		synctest.Wait()
		if err := w.pool.Reload(t.Context(), supervisor.Update{Payload: payload("new"), Slots: tasks(4)}); err == nil {
			t.Error("the reload succeeded")
		}
		synctest.Wait()
		w.want("states", w.states(), "0.3 ready, 1.3 ready")
		w.want("configs", w.configs(), `map[0:"old" 1:"old" 2:"new"]`)
	})
}

func TestReloadChangesTheNumberOfSlots(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 2, always(good), nil)
		synctest.Wait()
		for _, test := range []struct {
			slots int
			want  string
		}{
			{4, "0.2 ready, 1.2 ready, 2.1 ready, 3.1 ready"},
			{1, "0.3 ready"},
			{3, "0.4 ready, 1.1 ready, 2.1 ready"},
		} {
			if err := w.pool.Reload(t.Context(), supervisor.Update{Slots: tasks(test.slots)}); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
			w.want("states", w.states(), test.want)
		}
	})
}

func TestManyReloadsBecomeOneMore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 2, always(slow), withOld)
		pass(2 * time.Second)
		var reloading sync.WaitGroup
		for i := range 100 {
			reloading.Go(func() {
				if err := w.pool.Reload(t.Context(), supervisor.Update{Payload: payload(fmt.Sprint(i))}); err != nil {
					t.Error(err)
				}
			})
			synctest.Wait() // in this order
		}
		reloading.Wait()
		w.want("states", w.states(), "0.3 ready, 1.3 ready")
		w.want("configs", w.configs(), `map[0:"99" 1:"99"]`)
	})
}

func TestReloadMendsACrashLoop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 2, always(refusing("old", 1)), withOld)
		pass(time.Minute)
		w.want("states", w.states()[:len("0.1 ready, 1.")], "0.1 ready, 1.")
		if err := w.pool.Reload(t.Context(), supervisor.Update{Payload: payload("new")}); err != nil {
			t.Error(err)
		}
		if got := strings.Count(w.states(), "ready"); got != 2 {
			t.Errorf("got %s, want both ready", w.states())
		}
	})
}

func TestReloadOfAWorkerThatDoesNotDrain(t *testing.T) {
	for own, want := range map[time.Duration]time.Duration{0: 10 * time.Second, 32 * time.Second: 32 * time.Second} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t, 1, always(deaf), func(c *supervisor.Config) { c.Slots[0].DrainTimeout = own })
			synctest.Wait()
			begin := time.Now()
			if err := w.pool.Reload(t.Context(), supervisor.Update{}); err != nil {
				t.Error(err)
			}
			if got := time.Since(begin); got != want {
				t.Errorf("took %v, want the drain timeout of %v", got, want)
			}
			w.want("heard", w.heard(), fmt.Sprintf("0.1 ready\n0.1 gone, drained false: not drained within %v (signal: killed)\n0.2 ready", want))
		})
	}
}

func TestReloadIsRefusedOnceThePoolStops(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 2, always(slow), nil)
		pass(2 * time.Second)
		var reloading sync.WaitGroup
		for range 2 {
			reloading.Go(func() {
				if err := w.pool.Reload(t.Context(), supervisor.Update{}); !errors.Is(err, supervisor.ErrStopping) {
					t.Errorf("got %v, want ErrStopping", err)
				}
			})
		}
		pass(time.Second / 2)
		w.pool.Stop()
		reloading.Wait()
		if err := w.pool.Reload(t.Context(), supervisor.Update{}); !errors.Is(err, supervisor.ErrStopping) {
			t.Errorf("afterwards: got %v, want ErrStopping", err)
		}
	})
}

// A slot without a worker keeps its number and stays without one, through a reload and a stop.
func TestUnusedSlotStaysIdle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		unused := tasks(3)
		unused[1].Unused = true
		w := newWorld(t, 3, always(good), func(c *supervisor.Config) {
			withOld(c)
			c.Slots = unused
		})
		synctest.Wait()
		w.want("states", w.states(), "0.1 ready, 1.0 idle, 2.1 ready")
		if err := w.pool.Reload(t.Context(), supervisor.Update{Payload: payload("new")}); err != nil {
			t.Error(err)
		}
		w.want("states", w.states(), "0.2 ready, 1.0 idle, 2.2 ready")
		if err := w.pool.Send(1, ipc.Envelope{Type: "x"}); !errors.Is(err, supervisor.ErrNotReady) {
			t.Errorf("a frame for nobody: %v", err)
		}
		w.pool.Stop()
		w.want("states", w.states(), "0.2 stopped, 1.0 stopped, 2.2 stopped")
	})
}
