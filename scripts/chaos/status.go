package main

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"net"
	"path/filepath"
	"slices"
	"time"

	"github.com/masixun71/cupid/ipc"
	"github.com/masixun71/cupid/pkg/boot"
)

// answerLimit is how long a master may take to answer; a stopped one does not.
const answerLimit = 2 * time.Second

// status is what is looked at of an answer of cupid's master.
type status struct {
	Pid     int `json:"pid"`
	Workers []struct {
		Slot     int    `json:"slot"`
		Role     string `json:"role"`
		Pid      int    `json:"pid"`
		State    string `json:"state"`
		Restarts int    `json:"restarts"`
	} `json:"workers"`
	Reports map[int]json.RawMessage `json:"reports"`
}

// ask asks the master in a state directory how it is.
func ask(ctx context.Context, dir string) (s status, err error) {
	var d net.Dialer
	nc, err := d.DialContext(ctx, "unix", filepath.Join(dir, boot.SocketFile))
	if err != nil {
		return s, err
	}
	conn := ipc.NewConn(nc, ipc.Options{Peer: "cupid-master"})
	defer func() { _ = conn.Close() }() // it was answered, or was not
	if err := conn.Send(ctx, ipc.Envelope{Type: ipc.TypeStatus, ID: 1}); err != nil {
		return s, err
	}
	if err := conn.SetReceiveDeadline(time.Now().Add(answerLimit)); err != nil {
		return s, err
	}
	env, err := conn.Receive()
	if err != nil {
		return s, err
	}
	var a ipc.Answer
	if err := ipc.Decode(env.Body, &a); err != nil {
		return s, err
	}
	if !a.OK {
		return s, errors.New(a.Error)
	}
	return s, ipc.Decode(a.Body, &s)
}

// ready reports whether all workers are.
func (s status) ready() bool {
	for _, w := range s.Workers {
		if w.State != "ready" {
			return false
		}
	}
	return len(s.Workers) > 0
}

// pids are those of all processes, by what they are called here.
func (s status) pids() map[string]int {
	all := map[string]int{}
	if s.Pid != 0 {
		all["master"] = s.Pid
	}
	for _, w := range s.Workers {
		if w.Pid == 0 {
			continue
		}
		name := w.Role
		if w.Role == "task" && w.Slot > firstTask {
			name = "task 2"
		}
		all[name] = w.Pid
	}
	return all
}

// has reports whether a process is one of those.
func (s status) has(pid int) bool {
	return pid != 0 && slices.Contains(slices.Collect(maps.Values(s.pids())), pid)
}

// firstTask is the slot of the first task worker, callbackSlot that of the callback worker.
const firstTask, callbackSlot = 2, 1

// waiting is how many events wait for their callback; ok is false when the callback worker has not said.
func (s status) waiting() (n int, ok bool) {
	var pairs map[string]struct {
		Depth int `json:"depth"`
	}
	if json.Unmarshal(s.Reports[callbackSlot], &pairs) != nil || len(pairs) == 0 {
		return 0, false
	}
	for _, p := range pairs {
		n += p.Depth
	}
	return n, true
}
