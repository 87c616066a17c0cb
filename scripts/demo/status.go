package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// status is what the demo looks at of an answer of `cupid-master status -json`.
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

// comparison is the report of a task worker.
type comparison struct {
	Rows       uint64 `json:"rows"`
	SelfHealed uint64 `json:"selfHealed"`
}

// delivery is what the callback worker reports of a pair.
type delivery struct {
	Depth            int    `json:"depth"`
	Stored           uint64 `json:"stored"`
	HealedItself     uint64 `json:"healedItself"`
	HealedByCallback uint64 `json:"healedByCallback"`
}

// status asks the running master.
func (c *cupid) status(ctx context.Context) (status, error) {
	var s status
	out, err := exec.CommandContext(ctx, c.master, "status", "-json", "-config", c.config).Output()
	if err != nil {
		return s, err
	}
	if err := json.Unmarshal(out, &s); err != nil {
		return s, fmt.Errorf("read status: %w", err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, w := range s.Workers {
		c.restarts[[2]int{s.Pid, w.Slot}] = w.Restarts
		var n comparison
		if w.Role == "task" && json.Unmarshal(s.Reports[w.Slot], &n) == nil {
			c.work[[2]int{s.Pid, w.Slot}] = n
		}
	}
	return s, nil
}

// compared adds up what the task workers have reported, those of a killed master included.
func (c *cupid) compared() comparison {
	c.mu.Lock()
	defer c.mu.Unlock()
	var sum comparison
	for _, n := range c.work {
		sum.Rows += n.Rows
		sum.SelfHealed += n.SelfHealed
	}
	return sum
}

// deaths is how many workers have died, but for those of a killed master.
func (c *cupid) deaths() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	sum := 0
	for _, n := range c.restarts {
		sum += n
	}
	return sum
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

// delivery is what the callback worker has reported, nothing yet if ok is false.
func (s status) delivery() (d delivery, ok bool) {
	for _, w := range s.Workers {
		var pairs map[string]delivery
		if w.Role != "callback" || json.Unmarshal(s.Reports[w.Slot], &pairs) != nil {
			continue
		}
		for _, d := range pairs {
			return d, true // there is one pair
		}
	}
	return d, false
}

// pid is the process of the first worker with a role.
func (s status) pid(role string) int {
	for _, w := range s.Workers {
		if w.Role == role {
			return w.Pid
		}
	}
	return 0
}

func (s status) String() string {
	words := []string{fmt.Sprintf("master %d", s.Pid)}
	for _, w := range s.Workers {
		words = append(words, fmt.Sprintf("%s worker %d", w.Role, w.Pid))
	}
	return strings.Join(words, ", ")
}

// alive returns those of the processes that live. A zombie has no command line any more.
func alive(pids ...int) []int {
	var found []int
	for _, pid := range pids {
		if text, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid)); err == nil && len(text) > 0 {
			found = append(found, pid)
		}
	}
	return found
}

// users returns the processes that have a file below dir open, ours left out. Every process of cupid has.
func users(dir string) ([]string, error) {
	all, err := filepath.Glob("/proc/[0-9]*/fd/*")
	if err != nil {
		return nil, err
	}
	var found []string
	for _, fd := range all {
		target, err := os.Readlink(fd)
		pid := strings.Split(fd, "/")[2]
		if err != nil || !strings.HasPrefix(target, dir+"/") || pid == fmt.Sprint(os.Getpid()) {
			continue
		}
		if len(found) == 0 || found[len(found)-1] != pid {
			found = append(found, pid)
		}
	}
	return found, nil
}
