package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/masixun71/cupid/ipc"
	"github.com/masixun71/cupid/pkg/callback"
	"github.com/masixun71/cupid/pkg/config"
	"github.com/masixun71/cupid/pkg/manager"
	"github.com/masixun71/cupid/pkg/router"
	"github.com/masixun71/cupid/pkg/supervisor"
)

const (
	// statusTimeout, reloadTimeout and forgetTimeout bound the wait for an answer. A
	// reload drains worker after worker; to forget is some thousand writes to the disk
	// for a million events.
	statusTimeout = 5 * time.Second
	reloadTimeout = 10 * time.Minute
	forgetTimeout = 10 * time.Minute
)

// command asks the running master.
func command(ctx context.Context, o options, stdout io.Writer) error {
	text, err := os.ReadFile(o.config)
	if err != nil {
		return &setupError{fmt.Errorf("read configuration: %w", err)}
	}
	cachePath, err := config.CachePath(o.config, text, os.LookupEnv)
	if err != nil {
		return err
	}
	dir := stateDir(cachePath, o)
	switch o.command {
	case "reload":
		if _, err := ask(ctx, dir, ipc.TypeReload, nil, reloadTimeout); err != nil {
			return err
		}
		_, _ = fmt.Fprintln(stdout, "reloaded")
	case "stop":
		if _, err := ask(ctx, dir, ipc.TypeStop, nil, statusTimeout); err != nil {
			return err
		}
		return gone(ctx, dir, stdout)
	case "retry":
		g := manager.GiveBack{Pair: o.words[0], Row: o.words[1]}
		if _, err := ask(ctx, dir, ipc.TypeRetry, g, statusTimeout); err != nil {
			return err
		}
		_, _ = fmt.Fprintf(stdout, "%s: row %s is compared again\n", g.Pair, g.Row)
	case "forget":
		body, err := ask(ctx, dir, ipc.TypeForget, o.words[0], forgetTimeout)
		if err != nil {
			return err
		}
		_, _ = fmt.Fprintf(stdout, "%s: %s events removed\n", o.words[0], body)
	case "status":
		body, err := ask(ctx, dir, ipc.TypeStatus, nil, statusTimeout)
		if err != nil {
			return err
		}
		if o.json {
			_, err := fmt.Fprintf(stdout, "%s\n", body)
			return err
		}
		var s status
		if err := ipc.Decode(body, &s); err != nil {
			return err
		}
		return s.print(stdout)
	}
	return nil
}

// gone waits until nobody answers any more.
func gone(ctx context.Context, dir string, stdout io.Writer) error {
	ctx, cancel := context.WithTimeout(ctx, statusTimeout)
	defer cancel()
	for {
		if _, err := ask(ctx, dir, ipc.TypeStatus, nil, time.Second); err != nil {
			_, _ = fmt.Fprintln(stdout, "stopped")
			return nil
		}
		if !pause(ctx, 20*time.Millisecond) {
			return fmt.Errorf("cupid has not stopped within %s", statusTimeout)
		}
	}
}

// status is what the master tells of itself and its workers.
type status struct {
	Pid     int                     `json:"pid"`
	Build   string                  `json:"build"`
	Since   time.Time               `json:"since"`
	DryRun  bool                    `json:"dryRun,omitempty"`
	Workers []supervisor.SlotStatus `json:"workers"`
	Router  router.Counts           `json:"router"`
	// Once is how far a run with -once is.
	Once []manager.SweepProgress `json:"once,omitempty"`
	// Reports are what the workers say of themselves, by slot.
	Reports map[int]json.RawMessage `json:"reports"`
}

func (s *status) print(out io.Writer) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintf(w, "cupid-master %s\tpid %d\tup %s\n\n", s.Build, s.Pid, time.Since(s.Since).Round(time.Second))
	_, _ = fmt.Fprintln(w, "SLOT\tROLE\tPID\tSTATE\tRESTARTS\tMEMORY")
	for _, slot := range s.Workers {
		_, _ = fmt.Fprintf(w, "%d\t%s\t%d\t%s\t%d\t%.1f MB\n", slot.Slot, slot.Role, slot.Pid, slot.State, slot.Restarts, float64(slot.RSSBytes)/(1<<20))
	}
	_, _ = fmt.Fprintf(w, "\nchunks in hand %d, idle %d, wanted %d; event messages unacknowledged %d\n", s.Router.InHand, s.Router.Idle, s.Router.Wanted, s.Router.Events)
	for _, p := range s.Once {
		_, _ = fmt.Fprintln(w, plainLine(pairRun{SweepProgress: p, began: s.Since}, time.Now()))
	}
	for _, slot := range s.Workers {
		if problem := unsaid(s.Reports[slot.Slot]); problem != "" {
			_, _ = fmt.Fprintf(w, "the %s worker cannot say how it is: %s\n", slot.Role, problem)
		} else if slot.Role == router.RoleCallback {
			s.printPairs(w, s.Reports[slot.Slot])
		}
	}
	printManager(w, s.Reports[managerSlot])
	printOwed(w, s.Reports[managerSlot])
	return w.Flush()
}

// unsaid is why a worker's report is none; empty when it is one.
func unsaid(report json.RawMessage) string {
	var instead struct{ Error json.RawMessage }
	var problem string
	if ipc.Decode(report, &instead) != nil || ipc.Decode(instead.Error, &problem) != nil { // a pair may have the name error
		return ""
	}
	return problem
}

func (s *status) printPairs(w io.Writer, report json.RawMessage) {
	var pairs map[string]callback.Status
	if ipc.Decode(report, &pairs) != nil {
		return
	}
	_, _ = fmt.Fprintln(w, "\nPAIR\tQUEUE\tSTORED\tACCEPTED\tFAILED\tHEALED BY ITSELF\tHEALED AFTER CALLBACK\tNOT REPAIRED\tRELAPSED\tTIME TO HEAL\tURL")
	for _, name := range slices.Sorted(maps.Keys(pairs)) {
		p := pairs[name]
		if p.NotConfigured {
			continue
		}
		url := p.URL
		if p.Gate.Down {
			url += " (down since " + p.Gate.Since.Local().Format(time.DateTime) + ")"
		}
		if p.Storm != nil {
			url += fmt.Sprintf(" (divergence jumped at %s, callbacks held back: %d rows diverged, %d healed)",
				p.Storm.Since.Local().Format(time.DateTime), p.Storm.Rows, p.Storm.HealedItself+p.Storm.HealedByCallback)
		}
		_, _ = fmt.Fprintln(w, strings.Join([]string{
			name, fmt.Sprint(p.Depth), fmt.Sprint(p.Stored), fmt.Sprint(p.Accepted), fmt.Sprint(p.Failed),
			fmt.Sprint(p.HealedItself), fmt.Sprint(p.HealedByCallback), fmt.Sprint(p.NotRepaired), fmt.Sprint(p.Relapsed), healTime(p.HealTime), url,
		}, "\t"))
	}
	printNotConfigured(w, pairs)
}

// printNotConfigured names the pairs whose events wait until they are configured again,
// or until cupid-master forget.
func printNotConfigured(w io.Writer, pairs map[string]callback.Status) {
	head := "\nNOT CONFIGURED: PAIR\tQUEUE\n"
	for _, name := range slices.Sorted(maps.Keys(pairs)) {
		if p := pairs[name]; p.NotConfigured {
			_, _ = fmt.Fprintf(w, "%s%s\t%d\n", head, name, p.Depth)
			head = ""
		}
	}
}

// printManager says what the sweeps could not judge, and names the rows that are compared again
// only after cupid-master retry.
func printManager(w io.Writer, report json.RawMessage) {
	var m manager.Status
	if ipc.Decode(report, &m) != nil {
		return
	}
	heading := "\nNOT JUDGED BY THE LAST SWEEP: PAIR\tENDED\tWHAT"
	for _, name := range slices.Sorted(maps.Keys(m.State.Sweep)) {
		last := m.State.Sweep[name].Last
		if last == nil || last.Found.Count() == 0 {
			continue
		}
		if heading != "" {
			_, _ = fmt.Fprintln(w, heading)
			heading = ""
		}
		_, _ = fmt.Fprintf(w, "%s\t%s\t%s\n", name, last.Ended.Local().Format(time.DateTime), last.Found.Why())
	}
	if len(m.State.SetAside) == 0 {
		return
	}
	_, _ = fmt.Fprintln(w, "\nSET ASIDE: PAIR\tROW\tSCAN\tSINCE")
	for _, a := range m.State.SetAside {
		_, _ = fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", a.Chunk.Pair, a.Row(), a.Chunk.Scan, a.At.Local().Format(time.DateTime))
	}
}

// printOwed names the rows that cannot be read, though others can.
func printOwed(w io.Writer, report json.RawMessage) {
	var m manager.Status
	if ipc.Decode(report, &m) != nil {
		return
	}
	unreadable := slices.DeleteFunc(m.State.Owed, func(o manager.Owed) bool { return !o.LeftOut })
	if len(unreadable) == 0 {
		return
	}
	_, _ = fmt.Fprintln(w, "\nUNREADABLE: PAIR\tROW\tSCAN\tSINCE")
	for _, o := range unreadable {
		_, _ = fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", o.Row.Chunk.Pair, o.Row.Row(), o.Row.Chunk.Scan, o.Row.At.Local().Format(time.DateTime))
	}
}

// healTime is how long rows took to heal after a callback: the median, the 99th
// percentile and the longest.
func healTime(h *callback.HealTime) string {
	if h == nil {
		return "-"
	}
	ms := func(n int64) time.Duration { return time.Duration(n) * time.Millisecond }
	return fmt.Sprintf("%s, p99 %s, max %s", ms(h.P50Millisecond), ms(h.P99Millisecond), ms(h.MaxMillisecond))
}
