package main_test

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// told counts the alerts of a kind in the log.
func (r *rig) told(kind string) int { return strings.Count(r.logs(), fmt.Sprintf(`"kind":%q,`, kind)) }

// callbacks changes a key of the first destination's callbackNotification.
func (r *rig) callbacks(key string, value any) {
	r.des0()["callbackNotification"].(map[string]any)[key] = value
}

// The pipeline is down and 2,000 rows are missing at once: one alert, no more calls
// than the rate, and in the end all rows are right.
func TestG7StormIsHeldBackAndNothingIsDropped(t *testing.T) {
	t.Parallel()
	const rate = 200
	r := newRig(t)
	r.with("update", false)
	r.config["chunkRow"] = 100 // the jump comes in several messages
	r.callbacks("stormRowPerMinute", 500)
	r.callbacks("stormCallbackPerSecond", rate)
	r.start()
	r.src.Exec(t, "INSERT INTO user (number, name) SELECT seq, 'x' FROM seq_1_to_2000")
	r.eventually("the storm is shown", func() bool {
		out, _ := r.command("status", "-config", r.path)
		return strings.Contains(out, "callbacks held back")
	})
	r.eventually("tables equal", func() bool { return r.differing() == 0 })
	calls := r.receiver.all()
	numbers := map[string]bool{}
	for i, c := range calls {
		numbers[fmt.Sprint(c.Body.Row["number"])] = true
		// What was called back before the jump was noticed, and what the machine delays,
		// are the second second.
		if i >= 2*rate && c.At.Sub(calls[i-2*rate].At) < time.Second {
			t.Fatalf("%d calls within %s, want no more than %d a second", 2*rate+1, c.At.Sub(calls[i-2*rate].At), rate)
		}
	}
	if took, least := calls[len(calls)-1].At.Sub(calls[0].At), 2000/rate*time.Second*8/10; took < least {
		t.Errorf("2000 rows were called back within %s, want %d a second", took, rate)
	}
	if len(numbers) != 2000 {
		t.Errorf("%d rows were called back, want 2000", len(numbers))
	}
	if n := r.told("divergence jumps"); n != 1 {
		t.Errorf("%d alerts of the jump, want 1", n)
	}
}
