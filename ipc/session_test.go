package ipc_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"math"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/masixun71/cupid/ipc"
)

// talk is a session with its master's end of the connection, in a synctest bubble.
type talk struct {
	*ipc.Session
	t      *testing.T
	master *ipc.Conn
	frames chan ipc.Envelope // of the worker, heartbeats left out
	beats  chan ipc.Heartbeat
	ended  chan error
	cancel context.CancelCauseFunc
}

// converse runs f in a bubble with a session that prepare has set up.
func converse(t *testing.T, prepare func(*ipc.Session), f func(*talk)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		master, conn := pipe(t, ipc.Options{})
		w := &talk{
			Session: ipc.NewSession(&ipc.Worker{Conn: conn}), t: t, master: master,
			frames: make(chan ipc.Envelope, 100), beats: make(chan ipc.Heartbeat, 1000), ended: make(chan error, 1),
		}
		if prepare != nil {
			prepare(w.Session)
		}
		ctx, cancel := context.WithCancelCause(t.Context())
		w.cancel = cancel
		var reading sync.WaitGroup
		reading.Go(w.read)
		go func() { w.ended <- w.Run(ctx) }()
		f(w)
		cancel(nil)
		_ = master.Close()
		reading.Wait()
		synctest.Wait()
	})
}

func (w *talk) read() {
	for {
		env, err := w.master.Receive()
		if err != nil {
			return
		}
		if env.Type != ipc.TypeHeartbeat {
			w.frames <- env
			continue
		}
		var beat ipc.Heartbeat
		if err := ipc.Decode(env.Body, &beat); err != nil {
			w.t.Error(err)
		}
		w.beats <- beat
	}
}

// say sends a frame of the master.
func (w *talk) say(typ string, id uint64, body string) {
	w.t.Helper()
	env := ipc.Envelope{Type: typ, ID: id}
	if body != "" {
		env.Body = json.RawMessage(body)
	}
	if err := w.master.Send(w.t.Context(), env); err != nil {
		w.t.Fatal(err)
	}
	synctest.Wait()
}

func TestSessionHandsFramesToTheirHandlers(t *testing.T) {
	var got []string
	prepare := func(s *ipc.Session) {
		s.Handle(ipc.TypeChunk, func(env ipc.Envelope) { got = append(got, string(env.Body)) })
	}
	converse(t, prepare, func(w *talk) {
		t := w.t
		w.say(ipc.TypeChunk, 0, "1")
		w.say(ipc.TypeChunk, 0, "18446744073709551615")
		if len(got) != 2 || got[0] != "1" || got[1] != "18446744073709551615" {
			t.Errorf("handler got %v", got)
		}
	})
}

func TestSessionEndsOnAFrameThatNobodyTakes(t *testing.T) {
	converse(t, nil, func(w *talk) {
		t := w.t
		w.say("nonsense", 0, "")
		if err := <-w.ended; err == nil || errors.Is(err, ipc.ErrClosed) {
			t.Errorf("Run: %v, want an error that names the frame", err)
		}
	})
}

func TestSessionDrains(t *testing.T) {
	for name, drain := range map[string]func(*talk){
		"by the master":   func(w *talk) { w.say(ipc.TypeDrain, 0, ""); w.say(ipc.TypeDrain, 0, "") },
		"from this side":  func(w *talk) { w.Drain(); w.Drain() },
		"from both sides": func(w *talk) { w.Drain(); w.say(ipc.TypeDrain, 0, "") },
	} {
		t.Run(name, func(t *testing.T) {
			converse(t, nil, func(w *talk) {
				t := w.t
				select {
				case <-w.Draining():
					t.Fatal("draining before anybody asked")
				default:
				}
				drain(w)
				<-w.Draining()
				select {
				case err := <-w.ended:
					t.Errorf("the session ended with %v, want it to go on until the worker is done", err)
				default:
				}
			})
		})
	}
}

func TestSessionReopensLogs(t *testing.T) {
	reopened := 0
	converse(t, func(s *ipc.Session) { s.ReopenLogs = func() { reopened++ } }, func(w *talk) {
		t := w.t
		w.say(ipc.TypeReopenLogs, 0, "")
		if reopened != 1 {
			t.Errorf("reopened %d times", reopened)
		}
	})
	converse(t, nil, func(w *talk) { w.say(ipc.TypeReopenLogs, 0, "") })
}

func TestSessionAnswersForItsStatus(t *testing.T) {
	for name, c := range map[string]struct {
		status func() any
		want   string
	}{
		"as the worker says":          {func() any { return map[string]uint64{"rows": math.MaxUint64} }, `{"rows":18446744073709551615}`},
		"without a status":            {nil, ""},
		"that has no form in JSON":    {func() any { return math.NaN() }, `{"error":"encode body of status-reply: json: unsupported value: NaN"}`},
		"that is longer than allowed": {func() any { return string(make([]byte, 1<<20)) }, `{"error":"status of 6291458 bytes is too long"}`},
	} {
		t.Run(name, func(t *testing.T) {
			converse(t, func(s *ipc.Session) { s.Status = c.status }, func(w *talk) {
				t := w.t
				w.say(ipc.TypeStatus, 77, "")
				env := <-w.frames
				if env.Type != ipc.TypeStatusReply || env.ID != 77 || string(env.Body) != c.want {
					t.Errorf("got %s %d %s, want the reply 77 %s", env.Type, env.ID, env.Body, c.want)
				}
				w.say(ipc.TypeDrain, 0, "")
				<-w.Draining() // it goes on
			})
		})
	}
}

func TestSessionBeatsWithItsProgress(t *testing.T) {
	converse(t, func(s *ipc.Session) { s.RSSBytes = func() int64 { return 4096 } }, func(w *talk) {
		t := w.t
		first := <-w.beats
		w.Step()
		w.Step()
		start := time.Now()
		second := <-w.beats
		if first.Progress != 0 || second.Progress != 2 || second.RSSBytes != 4096 {
			t.Errorf("beats %+v and %+v, want progress 0 and 2", first, second)
		}
		if got := time.Since(start); got != ipc.BeatInterval {
			t.Errorf("%v between beats, want %v", got, ipc.BeatInterval)
		}
	})
}

func TestAskWaitsForItsOwnAnswer(t *testing.T) {
	converse(t, nil, func(w *talk) {
		t := w.t
		answers := make(chan string, 2)
		ask := func(body string) {
			env, err := w.Ask(t.Context(), ipc.TypeEvents, body)
			if err != nil {
				t.Error(err)
			}
			answers <- body + " " + string(env.Body)
		}
		go ask("a")
		a := <-w.frames
		go ask("b")
		b := <-w.frames
		if a.ID == b.ID || a.ID == 0 || b.ID == 0 {
			t.Fatalf("asked with the ids %d and %d", a.ID, b.ID)
		}
		w.say(ipc.TypeEventsAck, b.ID+100, `"nobody's"`)
		w.say(ipc.TypeEventsAck, b.ID, `"second"`)
		if got := <-answers; got != `b "second"` {
			t.Errorf("got %s", got)
		}
		w.say(ipc.TypeEventsAck, b.ID, `"again"`)
		w.say(ipc.TypeEventsAck, a.ID, `"first"`)
		if got := <-answers; got != `a "first"` {
			t.Errorf("got %s", got)
		}
	})
}

func TestAskEndsWithItsContext(t *testing.T) {
	converse(t, nil, func(w *talk) {
		t := w.t
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if _, err := w.Ask(ctx, ipc.TypeEvents, "x"); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Ask: %v, want the deadline", err)
		}
		w.say(ipc.TypeEventsAck, (<-w.frames).ID, "") // too late, and nobody minds
		w.say(ipc.TypeDrain, 0, "")
		<-w.Draining()
	})
}

func TestAskEndsWithTheSession(t *testing.T) {
	converse(t, nil, func(w *talk) {
		t := w.t
		asked := make(chan error)
		go func() {
			_, err := w.Ask(context.WithoutCancel(t.Context()), ipc.TypeEvents, "x")
			asked <- err
		}()
		<-w.frames
		_ = w.master.Close()
		if err := <-asked; err == nil {
			t.Error("Ask returned an answer that nobody gave")
		}
		if _, err := w.Ask(t.Context(), ipc.TypeEvents, "x"); err == nil {
			t.Error("Ask worked after the end")
		}
	})
}

func TestTellSendsOneMessage(t *testing.T) {
	converse(t, nil, func(w *talk) {
		t := w.t
		if err := w.Tell(t.Context(), ipc.TypeWant, 3, 8); err != nil {
			t.Fatal(err)
		}
		if env := <-w.frames; env.Type != ipc.TypeWant || env.ID != 3 || string(env.Body) != "8" {
			t.Errorf("got %+v", env)
		}
		if err := w.Tell(t.Context(), ipc.TypeWant, 0, math.Inf(1)); err == nil {
			t.Error("infinity was told")
		}
		if err := w.Flush(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

func TestTryTellDoesNotWait(t *testing.T) {
	converse(t, nil, func(w *talk) {
		t := w.t
		if !w.TryTell(ipc.TypeAlert, 0, "x") {
			t.Error("an empty queue took nothing")
		}
		if env := <-w.frames; env.Type != ipc.TypeAlert {
			t.Errorf("got %+v", env)
		}
		if w.TryTell(ipc.TypeAlert, 0, math.NaN()) {
			t.Error("told what has no form")
		}
	})
}

func TestSessionEndsWithTheMaster(t *testing.T) {
	converse(t, nil, func(w *talk) {
		t := w.t
		<-w.beats
		_ = w.master.Close()
		if err := <-w.ended; !errors.Is(err, io.EOF) {
			t.Errorf("Run: %v, want the end of the connection", err)
		}
	})
}

func TestSessionEndsWithItsContextAndThatIsNoError(t *testing.T) {
	for name, cause := range map[string]error{"without a cause": nil, "with a cause": errors.New("SIGTERM")} {
		t.Run(name, func(t *testing.T) {
			converse(t, nil, func(w *talk) {
				t := w.t
				<-w.beats
				w.cancel(cause)
				if err := <-w.ended; err != nil {
					t.Errorf("Run: %v", err)
				}
				if err := w.Tell(t.Context(), ipc.TypeWant, 0, 1); err == nil {
					t.Error("the connection is open after the end")
				}
			})
		})
	}
}

// Over a real socketpair, where end of file may come before the beat notices.
func TestSessionOverASocketLeavesNothingBehind(t *testing.T) {
	master, conn := socketPair(t)
	s := ipc.NewSession(&ipc.Worker{Conn: conn})
	ended := make(chan error)
	go func() { ended <- s.Run(t.Context()) }()
	if env, err := master.Receive(); err != nil || env.Type != ipc.TypeHeartbeat {
		t.Fatalf("got %v, %v, want a heartbeat", env.Type, err)
	}
	_ = master.Close()
	if err := <-ended; err == nil {
		t.Error("Run returned no error although the master is gone")
	}
}
