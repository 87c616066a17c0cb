package main_test

import (
	"strings"
	"testing"
)

// Events of a pair that was renamed stay, are told and shown, and are removed on request;
// those of a pair that is configured are not.
func TestEventsOfARenamedPairAreShownAndForgotten(t *testing.T) {
	t.Parallel()
	const rows = 3
	r := newRig(t)
	r.with("update", false)
	r.receiver.then(func(call) int { return 500 })
	r.src.Exec(t, "INSERT INTO user (number, name) SELECT seq, 'x' FROM seq_1_to_"+itoa(rows))
	m := r.start()
	r.eventually("all events are stored", func() bool { return r.onlyPair().Depth == rows })
	old := r.pairName()
	m.stop()

	r.config["des"].([]any)[0].(map[string]any)["name"] = "renamed"
	r.start()
	now := strings.Split(old, "/")[0] + "/renamed"
	r.eventually("the renamed pair has events, too", func() bool { return r.pairs()[now].Depth == rows })
	if n := r.told("pairs not configured"); n != 1 {
		t.Errorf("%d alerts that events are of no pair, want one", n)
	}
	if p := r.pairs()[old]; p.Depth != rows || !p.NotConfigured {
		t.Errorf("status of %s: %+v, want %d events of a pair that is not configured", old, p, rows)
	}
	shown := func() string {
		t.Helper()
		out, code := r.command("status", "-config", r.path)
		if code != 0 {
			t.Fatalf("status: exit code %d: %s", code, out)
		}
		configured, rest, _ := strings.Cut(out, "NOT CONFIGURED")
		if strings.Contains(configured, old) {
			t.Errorf("%s is shown among the configured pairs:\n%s", old, out)
		}
		return rest
	}
	if out := shown(); !strings.Contains(out, old+"  "+itoa(rows)) {
		t.Errorf("%d events of %s are not shown: %s", rows, old, out)
	}

	for _, c := range []struct {
		args []string
		code int
		want string
	}{
		{[]string{"forget", now}, 1, "is configured"},
		{[]string{"forget", "nobody"}, 1, "no events"},
		{[]string{"forget"}, 64, "forget takes a pair"},
		{[]string{"forget", old}, 0, itoa(rows) + " events removed"},
		{[]string{"forget", old}, 1, "no events"},
	} {
		out, code := r.command(append(c.args, "-config", r.path)...)
		if code != c.code || !strings.Contains(out, c.want) {
			t.Errorf("%q: exit code %d, want %d; said %q, want %q", c.args, code, c.code, out, c.want)
		}
	}
	if out := shown(); out != "" {
		t.Errorf("shown after they were removed: %s", out)
	}
	if p := r.pairs()[now]; p.Depth != rows {
		t.Errorf("%d events of %s, want %d", p.Depth, now, rows)
	}
}

// A run with -once does not wait for callbacks that nobody makes.
func TestOnceDoesNotWaitForEventsOfARemovedPair(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.with("update", false)
	r.receiver.then(func(call) int { return 500 })
	r.src.Exec(t, "INSERT INTO user (number, name) VALUES (1, 'x')")
	m := r.start()
	r.eventually("the event is stored", func() bool { return r.onlyPair().Depth == 1 })
	m.stop()
	r.des.Exec(t, "INSERT INTO user (number, name) VALUES (1, 'x')")

	r.config["des"].([]any)[0].(map[string]any)["name"] = "renamed"
	r.write()
	out, code := r.command("-once", "-config", r.path)
	if code != 0 || strings.Contains(out, "waiting up to") {
		t.Errorf("exit code %d, want 0 without a wait:\n%s", code, out)
	}
}
