package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"time"
)

// others measures pt-table-sync on the same tables, once, where it is installed.
func (w *world) others(ctx context.Context, s schema, unit time.Duration) []line {
	private := w.private()
	if private == nil {
		return nil // its login would stand in an argument list
	}
	if _, err := exec.LookPath(w.pt); err != nil {
		w.progress(w.pt + " is not installed and not measured")
		return nil
	}
	var lines []line
	copies := map[string]bool{}
	for _, c := range s.cases {
		if copies[c.copy] || c.by[0] == "number" {
			continue
		}
		copies[c.copy] = true
		side := func(database, table string) string {
			// With utf8mb4 it fails at the first statement that has more than ASCII.
			return fmt.Sprintf("S=%s,u=root,D=%s,t=%s,A=utf8", private.Socket(), database, table)
		}
		cmd := exec.CommandContext(ctx, w.pt, "--print", "--no-check-triggers", side(w.srcName, s.table), side(w.desName, c.copy))
		var complaint bytes.Buffer
		cmd.Stderr = &complaint
		start := time.Now()
		err := cmd.Run()
		if exit, ok := errors.AsType[*exec.ExitError](err); err != nil && (!ok || exit.ExitCode() != 2) { // 2: tables differed
			w.progress(fmt.Sprintf("%s: %v: %s", w.pt, err, complaint.Bytes()))
			continue
		}
		var r rounds
		r.add(outcome{took: time.Since(start)}, unit)
		lines = append(lines, w.bareLine("pt-table-sync --print, "+c.copy, s, r))
	}
	return lines
}
