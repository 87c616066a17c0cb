package main

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

// ticksPerSecond is USER_HZ, the unit of times in /proc/PID/stat on all of Linux.
const ticksPerSecond = 100

// cpuOf is the time that a process has computed.
func cpuOf(pid int) (all time.Duration, err error) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	// The name in brackets may hold anything; utime and stime are 12th and 13th behind it: proc_pid_stat(5).
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	if len(fields) < 13 {
		return 0, fmt.Errorf("/proc/%d/stat is %q", pid, stat)
	}
	for _, f := range fields[11:13] {
		n, err := strconv.ParseInt(f, 10, 64)
		if err != nil {
			return 0, err
		}
		all += time.Duration(n) * time.Second / ticksPerSecond
	}
	return all, nil
}

// usage is what processes use in all.
type usage struct {
	rss, pss int64 // in bytes; pss has each shared page once
	cpu      time.Duration
}

func usageOf(pids []int) (all usage, err error) {
	for _, pid := range pids {
		memory, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
		if err != nil {
			return all, err
		}
		for line := range strings.Lines(string(memory)) { // "Rss:    1234 kB": proc_pid_smaps(5)
			fields := strings.Fields(line)
			if len(fields) != 3 || fields[0] != "Rss:" && fields[0] != "Pss:" {
				continue
			}
			n, err := strconv.ParseInt(fields[1], 10, 64)
			if err != nil {
				return all, err
			}
			if fields[0] == "Rss:" {
				all.rss += n * 1024
			} else {
				all.pss += n * 1024
			}
		}
		cpu, err := cpuOf(pid)
		if err != nil {
			return all, err
		}
		all.cpu += cpu
	}
	return all, nil
}

// memoryOf is the resident memory of a process and its children; one that ends
// meanwhile has none.
func memoryOf(pid int) int64 {
	all := resident(pid)
	children, _ := os.ReadDir(fmt.Sprintf("/proc/%d/task", pid))
	for _, thread := range children {
		text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/task/%s/children", pid, thread.Name()))
		for field := range strings.FieldsSeq(string(text)) {
			if child, err := strconv.Atoi(field); err == nil {
				all += resident(child)
			}
		}
	}
	return all
}

func resident(pid int) int64 {
	text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/statm", pid))
	fields := strings.Fields(string(text))
	if len(fields) < 2 {
		return 0
	}
	pages, _ := strconv.ParseInt(fields[1], 10, 64)
	return pages * int64(os.Getpagesize())
}
