package main

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"time"
)

// others measures pt-table-sync on the same tables, once, where it is installed.
func (w *world) others(ctx context.Context, s schema, unit time.Duration) []line {
	const program = "pt-table-sync"
	if _, err := exec.LookPath(program); err != nil {
		w.progress(program + " is not installed and not measured")
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
			return fmt.Sprintf("S=%s,u=root,D=%s,t=%s,A=utf8mb4", w.server.Socket(), database, table)
		}
		cmd := exec.CommandContext(ctx, program, "--print", "--no-check-triggers", side(w.srcName, s.table), side(w.desName, c.copy))
		start := time.Now()
		err := cmd.Run()
		if exit, ok := errors.AsType[*exec.ExitError](err); err != nil && (!ok || exit.ExitCode() != 2) { // 2: tables differed
			w.progress(fmt.Sprintf("%s: %v", program, err))
			continue
		}
		var r rounds
		r.add(outcome{took: time.Since(start)}, unit)
		lines = append(lines, bareLine(program+" --print, "+c.copy, s.table, w.rows/s.part, r))
	}
	return lines
}
