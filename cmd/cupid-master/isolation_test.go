package main_test

import (
	"fmt"
	"net"
	"testing"

	"github.com/masixun71/cupid/pkg/blackhole"
)

// holes are black holes of every kind. The databases refuse connections at first.
type holes struct {
	silentURL, vanishedURL *blackhole.Hole
	silentDB, vanishedDB   *blackhole.Hole
	databases              int // pairs whose destination is silentDB
}

func newHoles(t *testing.T) *holes {
	t.Helper()
	h := &holes{}
	for _, one := range []**blackhole.Hole{&h.silentURL, &h.vanishedURL, &h.silentDB, &h.vanishedDB} {
		made, err := blackhole.New()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := made.Close(); err != nil {
				t.Error(err)
			}
		})
		*one = made
	}
	h.blacken(t, h.silentURL, h.vanishedURL)
	return h
}

// blacken ends the answers.
func (h *holes) blacken(t *testing.T, silent, vanished *blackhole.Hole) {
	t.Helper()
	if err := silent.Silence(); err != nil {
		t.Fatal(err)
	}
	if err := vanished.Vanish(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// add adds n destinations. Most are databases: those with a URL need connections to a real one.
func (h *holes) add(r *rig, n int) {
	des := r.config["des"].([]any)
	for i := range n {
		d := r.destination(r.des, r.receiver.url())
		d["name"] = fmt.Sprint("hole", i)
		callback := d["callbackNotification"].(map[string]any)
		callback["timeoutSecond"] = longest
		database := func(at *blackhole.Hole) {
			host, port, _ := net.SplitHostPort(at.Addr)
			d["dsn"] = fmt.Sprintf("mysql:dbname=x;host=%s;port=%s", host, port)
		}
		switch i % 16 {
		case 0:
			callback["url"] = fmt.Sprintf("http://%s/hole/%d", h.silentURL.Addr, i)
		case 8:
			callback["url"] = fmt.Sprintf("http://%s/hole/%d", h.vanishedURL.Addr, i)
		case 1, 3, 5, 7, 9, 11, 13, 15:
			database(h.silentDB)
			h.databases++
		default:
			database(h.vanishedDB)
		}
		des = append(des, d)
	}
	r.config["des"] = des
}

// longest is how many seconds a black hole holds whoever waits for it: longer than a
// test has patience for a row, however slow the machine is.
const longest = 300

// 99 destinations and URLs of 100 turn into black holes: the one that lives waits for none
// of them. How much later its rows come, make bench tells.
func TestG6NinetyNineBlackHolesHoldUpNoOther(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	h := newHoles(t)
	h.add(r, 99)
	r.with("update", false)
	// A hundred pairs at the rig's pace would keep the machine busy.
	r.with("insertIntervalMillisecond", 1000)
	r.config["callbackWorkerIntervalMillisecond"] = 1000
	r.config["connectTimeoutSecond"], r.config["queryTimeoutSecond"] = longest, longest
	r.config["logLevel"] = "info"
	r.start()
	h.blacken(t, h.silentDB, h.vanishedDB)
	row := 0
	r.eventually("all of them are waited for", func() bool {
		row++
		r.lose(row)
		return h.silentDB.Held() >= h.databases
	})
	for range 3 {
		row++
		r.lose(row)
	}
}

// lose loses a row, and waits until it is called back.
func (r *rig) lose(number int) {
	r.t.Helper()
	r.src.Exec(r.t, fmt.Sprintf("INSERT INTO user (number, name) VALUES (%d, 'x')", number))
	r.eventually(fmt.Sprintf("row %d is called back", number), func() bool {
		for _, c := range r.receiver.all() {
			if fmt.Sprint(c.Body.Row["number"]) == fmt.Sprint(number) {
				return true
			}
		}
		return false
	})
}
