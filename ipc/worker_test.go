package ipc_test

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/masixun71/cupid/ipc"
)

func TestJoin(t *testing.T) {
	welcome := `{"role":"task","slot":2,"generation":9,"title":"cupid: task worker 2","config":{"n":18446744073709551615}}`
	tests := []struct {
		name   string
		answer ipc.Envelope
		want   string // part of the error
	}{
		{"welcome", ipc.Envelope{Type: ipc.TypeWelcome, Body: json.RawMessage(welcome)}, ""},
		{"refused", ipc.Envelope{Type: ipc.TypeRefuse, Body: json.RawMessage(`{"reason":"protocol 7"}`)}, "refused by the master: protocol 7"},
		{"something else", ipc.Envelope{Type: ipc.TypeChunk}, `master sent "chunk" first`},
		{"welcome without body", ipc.Envelope{Type: ipc.TypeWelcome}, "read welcome"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			master, conn := socketPair(t)
			var serving sync.WaitGroup
			serving.Go(func() {
				env, err := master.Receive()
				if err != nil || env.Type != ipc.TypeHello {
					t.Errorf("got %v, %v, want a hello", env.Type, err)
				}
				if err := master.Send(t.Context(), test.answer); err != nil {
					t.Error(err)
				}
			})
			worker, err := ipc.Join(t.Context(), conn, ipc.Hello{Protocol: ipc.ProtocolVersion, Slot: 2})
			serving.Wait()
			switch {
			case test.want != "":
				if err == nil || !strings.Contains(err.Error(), test.want) {
					t.Errorf("got %v, want %q", err, test.want)
				}
			case err != nil:
				t.Error(err)
			case worker.Welcome.Slot != 2 || worker.Welcome.Generation != 9 || !strings.Contains(string(worker.Welcome.Config), "18446744073709551615"):
				t.Errorf("got %+v", worker.Welcome)
			}
		})
	}
}

func TestJoinGivesUpOnASilentMaster(t *testing.T) {
	_, conn := socketPair(t)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, err := ipc.Join(ctx, conn, ipc.Hello{}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v, want the deadline", err)
	}
}

func TestBeatSendsUntilTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		left, right := pipe(t, ipc.Options{})
		worker := &ipc.Worker{Conn: left}
		ctx, cancel := context.WithCancel(t.Context())
		var beating sync.WaitGroup
		progress := uint64(0)
		beating.Go(func() {
			err := worker.Beat(ctx, time.Second, func() ipc.Heartbeat {
				progress++
				return ipc.Heartbeat{Progress: progress}
			})
			if err != nil {
				t.Error(err)
			}
		})
		start := time.Now()
		for want := uint64(1); want <= 3; want++ {
			env, err := right.Receive()
			var beat ipc.Heartbeat
			if err := errors.Join(err, ipc.Decode(env.Body, &beat)); err != nil || beat.Progress != want {
				t.Fatalf("got %+v, %v, want progress %d", beat, err, want)
			}
		}
		if got := time.Since(start); got != 2*time.Second {
			t.Errorf("three heartbeats took %v, want 2s", got)
		}
		cancel()
		beating.Wait()
	})
}

func TestHelloFromEnv(t *testing.T) {
	env := map[string]string{ipc.EnvSlot: "3", ipc.EnvGeneration: "12"}
	got, err := ipc.HelloFromEnv(func(name string) string { return env[name] })
	if err != nil || got.Slot != 3 || got.Generation != 12 || got.Protocol != ipc.ProtocolVersion || got.Pid == 0 {
		t.Errorf("got %+v, %v", got, err)
	}
	delete(env, ipc.EnvSlot)
	if _, err := ipc.HelloFromEnv(func(name string) string { return env[name] }); err == nil {
		t.Error("a missing slot was accepted")
	}
}
