package main_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/masixun71/cupid/pkg/callback"
)

// pairs is what the callback worker says of its pairs.
func (r *rig) pairs() map[string]callback.Status {
	s, err := r.status()
	if err != nil {
		return nil
	}
	var all map[string]callback.Status
	if json.Unmarshal([]byte(s.Reports["1"]), &all) != nil {
		return nil
	}
	return all
}

// onlyPair is what the callback worker says of the one pair.
func (r *rig) onlyPair() callback.Status {
	for _, s := range r.pairs() {
		return s
	}
	return callback.Status{}
}

// What becomes of a row is counted and told: healed by itself, healed after a
// callback, accepted and not repaired, relapsed.
func TestG5WhatBecomesOfARowIsTold(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.config["settleMillisecond"] = 200
	r.with("insert", false) // two scans that report a row at one time would make its heals a matter of luck
	r.receiver.then(func(c call) int {
		switch fmt.Sprint(c.Body.Row["number"]) {
		case "1":
			return r.repair(c)
		case "2":
			return 200 // and repairs nothing
		}
		return 500
	})
	r.start()
	r.src.Exec(t, "INSERT INTO user (number, name) VALUES (1, 'repaired'), (2, 'accepted'), (3, 'failing')")
	r.eventually("row 1 is healed after a callback", func() bool { return r.onlyPair().HealedByCallback == 1 })

	r.des.Exec(t, "UPDATE user SET name = 'broken' WHERE number = 1") // and the scan looks again at what was touched
	r.src.Exec(t, "UPDATE user SET update_time = CURRENT_TIMESTAMP WHERE number = 1")
	r.eventually("row 1 relapses and is healed again", func() bool {
		p := r.onlyPair()
		return p.Relapsed == 1 && p.HealedByCallback == 2
	})
	r.eventually("row 2 is not repaired", func() bool { return r.onlyPair().NotRepaired >= 1 })
	r.eventually("row 3 was tried", func() bool { return r.onlyPair().Failed > 0 })
	r.des.Exec(t, "INSERT INTO user SELECT * FROM "+r.src.Name+".user WHERE number = 3")
	r.eventually("row 3 heals by itself", func() bool { return r.onlyPair().HealedItself == 1 })

	if p := r.onlyPair(); p.Relapsed != 1 || p.HealTime == nil || p.HealTime.MaxMillisecond < 100 || p.SelfHealTime == nil {
		t.Errorf("status %+v, want one relapse and the times to heal", p)
	}
	for _, kind := range []string{"relapsed", "accepted, not repaired"} {
		if r.told(kind) == 0 {
			t.Errorf("no alert %q", kind)
		}
	}
	out, _ := r.command("status", "-config", r.path)
	for _, word := range []string{"NOT REPAIRED", "RELAPSED", "TIME TO HEAL", "p99"} {
		if !strings.Contains(out, word) {
			t.Errorf("status does not show %s:\n%s", word, out)
		}
	}
}
