package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// size is what a process has, as far as it can grow.
type size struct{ files, threads, zombies int }

// sizeOf measures a process.
func sizeOf(pid int) (s size, err error) {
	files, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
	if err != nil {
		return s, err
	}
	tasks, err := os.ReadDir(fmt.Sprintf("/proc/%d/task", pid))
	if err != nil {
		return s, err
	}
	s.files, s.threads = len(files), len(tasks)
	for _, c := range children(pid) {
		if c.state == "Z" {
			s.zombies++
		}
	}
	return s, nil
}

// child is a process with its state.
type child struct {
	pid   int
	state string
}

// children are the processes that pid has started and not waited for.
func children(pid int) []child {
	var all []child
	stats, _ := filepath.Glob("/proc/[0-9]*/stat") // the pattern is right
	for _, path := range stats {
		text, err := os.ReadFile(path)
		if err != nil {
			continue // it has ended
		}
		// The name in brackets may hold anything; behind it stand the state and the parent: proc_pid_stat(5).
		fields := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
		if len(fields) < 2 || fields[1] != strconv.Itoa(pid) {
			continue
		}
		if n, err := strconv.Atoi(filepath.Base(filepath.Dir(path))); err == nil {
			all = append(all, child{n, fields[0]})
		}
	}
	return all
}

// users are the processes that have a file below dir open, ours left out. Every process of cupid has.
func users(dir string) []string {
	var found []string
	fds, _ := filepath.Glob("/proc/[0-9]*/fd/*") // the pattern is right
	for _, fd := range fds {
		target, err := os.Readlink(fd)
		pid := strings.Split(fd, "/")[2]
		if err != nil || !strings.HasPrefix(target, dir+"/") || pid == strconv.Itoa(os.Getpid()) {
			continue
		}
		if len(found) == 0 || found[len(found)-1] != pid {
			found = append(found, pid)
		}
	}
	return found
}

// goroutines counts those in the text of a crash.
func goroutines(text []byte) int {
	n := 0
	for line := range strings.Lines(string(text)) {
		if strings.HasPrefix(line, "goroutine ") && strings.HasSuffix(strings.TrimSpace(line), ":") && !strings.HasPrefix(line, "goroutine 0 ") {
			n++
		}
	}
	return n
}
