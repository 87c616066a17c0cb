package main_test

import (
	"strings"
	"testing"
)

// The sweep finds what polling cannot: changed without its update_time, lost long
// ago, and left over.
func TestG2SweepFindsWhatPollingCannot(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.with("update", false)
	r.with("insert", false)
	r.with("sweep", true)
	r.with("sweepIntervalSecond", 1)
	r.with("delete", true)
	r.src.Exec(t, "INSERT INTO user (number, name, balance) SELECT seq, CONCAT('user-', seq), seq / 7 FROM seq_1_to_20000")
	r.des.Exec(t, "INSERT INTO user SELECT * FROM "+r.src.Name+".user",
		"UPDATE user SET balance = balance + 0.0001, update_time = update_time WHERE number IN (7, 12345)",
		"DELETE FROM user WHERE number = 777",
		"INSERT INTO user (number, name) VALUES (50000, 'left over')")
	r.receiver.then(func(c call) int {
		if c.Body.Type == 3 {
			r.des.Exec(t, "DELETE FROM user WHERE number = "+c.Body.Row["number"].(interface{ String() string }).String())
			return 204
		}
		return r.repair(c)
	})
	r.start()
	r.eventually("tables equal", func() bool { return r.differing() == 0 && r.count() == 20000 })
	types := map[int]int{}
	for _, c := range r.receiver.all() {
		types[c.Body.Type]++
	}
	if types[1] != 1 || types[2] != 2 || types[3] != 1 {
		t.Errorf("calls by type = %v, want 1 missing, 2 different, 1 orphan", types)
	}
	// The next pass finds what is damaged later.
	r.des.Exec(t, "UPDATE user SET name = 'x', update_time = update_time WHERE number = 19999")
	r.eventually("tables equal again", func() bool { return r.differing() == 0 })
	r.eventually("the passes are counted", func() bool { return strings.Contains(r.state(), `"sweep"`) })
}
