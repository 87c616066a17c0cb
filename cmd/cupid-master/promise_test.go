package main_test

import (
	"encoding/json"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// killAll kills the master and all workers, as a power cut would end them.
func (m *run) killAll() {
	m.t.Helper()
	s, err := m.rig.status()
	if err != nil {
		m.t.Fatal(err)
	}
	for _, w := range s.Workers {
		_ = syscall.Kill(w.Pid, syscall.SIGKILL) // which may have ended
	}
	m.kill()
	m.rig.noneLeft()
}

// cursor reports whether the insert scan has passed an id.
func (r *rig) cursor(id string) bool {
	return strings.Contains(strings.ReplaceAll(r.state(), " ", ""), `"cursor":"`+id+`"`)
}

// The cursor has passed rows whose callbacks all fail, and all processes are killed:
// what was acknowledged is on disk.
func TestG1AcknowledgedEventsSurviveTheKillOfAll(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.with("update", false)
	r.receiver.then(func(call) int { return 500 })
	r.src.Exec(t, "INSERT INTO user (number, name) SELECT seq, 'x' FROM seq_1_to_300")
	m := r.start()
	r.eventually("the cursor is past all rows, for good", func() bool { return r.cursor("300") && !strings.Contains(r.state(), `"late"`) })
	m.killAll()
	r.receiver.then(r.repair)
	r.start()
	r.eventually("tables equal", func() bool { return r.differing() == 0 })
}

// A chunk is in hand, its rows are suspects, and all processes are killed: the cursor
// has not passed them.
func TestG1SuspectsSurviveTheKillOfAll(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.with("update", false)
	r.config["settleMillisecond"] = 600_000
	r.src.Exec(t, "INSERT INTO user (number, name) SELECT seq, 'x' FROM seq_1_to_300")
	m := r.start()
	r.eventually("they are suspects", func() bool { return strings.Contains(r.taskReport(), `"suspects":300`) })
	passed := time.NewTimer(3 * time.Second) // many times what the scan and its file take
	defer passed.Stop()
	for waiting := true; waiting; {
		select {
		case <-passed.C:
			waiting = false
		case <-time.After(20 * time.Millisecond):
			if r.cursor("300") {
				t.Fatal("the cursor is past rows that are still suspects")
			}
		}
	}
	m.killAll()
	r.config["settleMillisecond"] = 100
	r.start()
	r.eventually("tables equal", func() bool { return r.differing() == 0 })
}

// A row changes between two attempts, and another one heals: the next attempt sends
// what the row is now, and the healed one is sent no more.
func TestG4NothingStaleIsSent(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.with("update", false)
	var refused atomic.Int32
	r.receiver.then(func(call) int { refused.Add(1); return 503 })
	r.src.Exec(t, "INSERT INTO user (number, name) VALUES (1, 'old'), (2, 'heals')")
	r.start()
	r.eventually("both were refused", func() bool { return refused.Load() >= 2 })
	r.src.Exec(t, "UPDATE user SET name = 'new' WHERE number = 1")
	r.des.Exec(t, "INSERT INTO user SELECT * FROM "+r.src.Name+".user WHERE number = 2")
	r.receiver.then(r.repair)
	before := len(r.receiver.all())
	r.eventually("tables equal", func() bool { return r.differing() == 0 })
	r.eventually("the healed one is dropped and counted", func() bool {
		p := r.onlyPair()
		return p.Depth == 0 && p.HealedItself == 1
	})
	for _, c := range r.receiver.all()[before:] {
		if c.Body.Row["number"] != json.Number("1") || c.Body.Row["name"] != "new" {
			t.Errorf("sent %v, want row 1 as it is now", c.Body.Row)
		}
	}
}

// A full queue holds the scans and drops nothing.
func TestG7FullQueueHoldsTheScans(t *testing.T) {
	t.Parallel()
	const limit, rows = 100, 1000
	r := newRig(t)
	r.with("update", false)
	r.config["queueLimit"], r.config["chunkRow"] = limit, 50
	r.receiver.then(func(call) int { return 500 })
	r.src.Exec(t, "INSERT INTO user (number, name) SELECT seq, 'x' FROM seq_1_to_"+itoa(rows))
	r.start()
	r.eventually("the queue is full and the scan waits", func() bool {
		p := r.onlyPair()
		if p.Depth > limit {
			t.Fatalf("%d events in the queue, want at most %d", p.Depth, limit)
		}
		return p.Depth == limit && strings.Contains(r.logs(), "the scans wait until they can")
	})
	if r.cursor(itoa(rows)) {
		t.Error("the cursor is past rows that are neither right nor in the queue")
	}
	r.receiver.then(r.repair)
	r.eventually("tables equal", func() bool { return r.differing() == 0 })
}

// A stopped worker cannot see that its master is gone.
func TestG8StoppedWorkersDieWithTheirMaster(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	m := r.start()
	s, err := r.status()
	if err != nil {
		t.Fatal(err)
	}
	for _, w := range s.Workers {
		if err := syscall.Kill(w.Pid, syscall.SIGSTOP); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() {
		for _, pid := range r.processes() {
			_ = syscall.Kill(atoi(t, pid), syscall.SIGKILL)
		}
	})
	m.kill()
	r.noneLeft()
	r.start()
}
