package main_test

import (
	"fmt"
	"net"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"
)

// silent is the address of a server that accepts connections and never says a word.
func silent(tb testing.TB) string {
	tb.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	var wg sync.WaitGroup
	var mu sync.Mutex
	var conns []net.Conn
	wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			mu.Lock()
			conns = append(conns, c)
			mu.Unlock()
		}
	})
	tb.Cleanup(func() {
		_ = l.Close()
		wg.Wait()
		for _, c := range conns {
			_ = c.Close()
		}
	})
	return l.Addr().String()
}

// unreachable is an address to which no connection is ever made, and which refuses
// none: its backlog is full, so that packets are dropped.
func unreachable(tb testing.TB) string {
	tb.Helper()
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = syscall.Close(fd) })
	if err := syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		tb.Fatal(err)
	}
	if err := syscall.Listen(fd, 0); err != nil {
		tb.Fatal(err)
	}
	name, err := syscall.Getsockname(fd)
	if err != nil {
		tb.Fatal(err)
	}
	addr := fmt.Sprintf("127.0.0.1:%d", name.(*syscall.SockaddrInet4).Port)
	for { // until the backlog is full
		c, err := net.DialTimeout("tcp", addr, 200*time.Millisecond)
		if err != nil {
			return addr
		}
		tb.Cleanup(func() { _ = c.Close() })
	}
}

// blackHoles adds destinations that hang, of every kind in turn.
func (r *rig) blackHoles(n int) {
	quiet, gone := silent(r.t), unreachable(r.t)
	des := r.config["des"].([]any)
	for i := range n {
		d := r.destination(r.des, r.receiver.url())
		d["name"] = fmt.Sprint("hole", i)
		switch i % 8 { // most are databases: those with a URL need connections to a real one
		case 0:
			d["callbackNotification"].(map[string]any)["url"] = fmt.Sprintf("%s/hole/%d", quiet, i)
		case 1:
			d["callbackNotification"].(map[string]any)["url"] = fmt.Sprintf("%s/hole/%d", gone, i)
		case 2, 3, 4:
			host, port, _ := net.SplitHostPort(quiet)
			d["dsn"] = fmt.Sprintf("mysql:dbname=x;host=%s;port=%s", host, port)
		default:
			host, port, _ := net.SplitHostPort(gone)
			d["dsn"] = fmt.Sprintf("mysql:dbname=x;host=%s;port=%s", host, port)
		}
		des = append(des, d)
	}
	r.config["des"] = des
}

// lost loses rows one after the other, and returns how long each took from its commit
// to its callback.
func (r *rig) lost(from, n int) []time.Duration {
	r.t.Helper()
	var all []time.Duration
	for number := from; number < from+n; number++ {
		begun := time.Now()
		r.src.Exec(r.t, fmt.Sprintf("INSERT INTO user (number, name) VALUES (%d, 'x')", number))
		r.eventually("the row is called back", func() bool {
			for _, c := range r.receiver.all() {
				if fmt.Sprint(c.Body.Row["number"]) == fmt.Sprint(number) {
					all = append(all, c.At.Sub(begun))
					return true
				}
			}
			return false
		})
	}
	slices.Sort(all)
	return all
}

// 99 destinations and URLs of 100 are black holes: the one that lives does not notice.
func TestG6NinetyNineBlackHolesDelayNoOther(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.with("update", false)                  // each scan needs connections of its own, and the server has 200
	r.with("insertIntervalMillisecond", 500) // a hundred pairs at the rig's pace would keep the machine busy
	r.config["connectTimeoutSecond"] = 2
	r.config["settleMillisecond"] = 50
	alone := r.start()
	before := r.lost(1, 5)
	alone.stop()
	r.blackHoles(99)
	r.start()
	after := r.lost(101, 8)
	t.Logf("from commit to callback alone: median %s, worst %s; beside 99 black holes: median %s, worst %s",
		before[len(before)/2], before[len(before)-1], after[len(after)/2], after[len(after)-1])
	// A machine that is busy makes both slow.
	if worst := after[len(after)-1]; worst > 5*time.Second+5*before[len(before)-1] {
		t.Errorf("from commit to callback it takes %s at worst, with 99 black holes", worst)
	}
}
