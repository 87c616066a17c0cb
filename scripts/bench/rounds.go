package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"
)

const mostMemory = 100_000_000

// rounds are what was measured of one thing, an outcome a round.
type rounds []outcome

func (r *rounds) add(o outcome, unit time.Duration) {
	o.unit = unit
	*r = append(*r, o)
}

// ratio is the median of the rounds' ratios: what disturbs a round disturbs its unit too.
func (r rounds) ratio() float64 {
	return median(r, func(o outcome) float64 { return o.took.Seconds() / o.unit.Seconds() })
}

// sweepAll fills a schema's tables and measures all of its cases, a round after the other.
func (w *world) sweepAll(ctx context.Context, s schema) ([]line, error) {
	if w.only != "" {
		s.cases = slices.DeleteFunc(slices.Clone(s.cases), func(c sweepCase) bool { return !strings.Contains(c.name, w.only) })
		if len(s.cases) == 0 {
			return nil, nil
		}
	}
	if err := w.fill(ctx, s); err != nil {
		return nil, err
	}
	bounds, err := w.bounds(ctx, s)
	if err != nil {
		return nil, fmt.Errorf("cut chunks: %w", err)
	}
	expected := make([]map[string]string, len(s.cases))
	for i, c := range s.cases {
		if expected[i], err = w.planted(ctx, s, c); err != nil {
			return nil, fmt.Errorf("%s: %w", c.name, err)
		}
	}
	var unit, one, two rounds
	cases := make([]rounds, len(s.cases))
	for n := range w.rounds {
		w.progress(fmt.Sprintf("%s: round %d of %d", s.table, n+1, w.rounds))
		u, err := w.unit(ctx, s)
		if err != nil {
			return nil, err
		}
		unit.add(outcome{took: u}, u)
		for connections, r := range map[int]*rounds{1: &one, 2: &two} {
			took, err := w.chunks(ctx, s, bounds, connections)
			if err != nil {
				return nil, fmt.Errorf("bare chunk queries: %w", err)
			}
			r.add(outcome{took: took}, u)
		}
		for i, c := range s.cases {
			// The unit of each case is taken right before it: the machine may not be as idle in a minute.
			u, err := w.unit(ctx, s)
			if err != nil {
				return nil, err
			}
			unit.add(outcome{took: u}, u)
			o, err := w.sweep(ctx, s, c, expected[i])
			if err != nil {
				return nil, fmt.Errorf("%s: %w", c.name, err)
			}
			cases[i].add(o, u)
		}
	}
	lines := []line{
		w.bareLine("one bare query a side: the unit", s, unit),
		w.bareLine("bare chunk queries, 1 connection", s, one),
		w.bareLine("bare chunk queries, 2 connections: the limit", s, two),
	}
	for i, c := range s.cases {
		lines = append(lines, w.caseLine(c, s, cases[i]))
	}
	return append(lines, w.others(ctx, s, unit[len(unit)-1].took)...), nil
}

func (w *world) bareLine(what string, s schema, r rounds) line {
	rows, table := w.rows/s.part, s.table
	if w.mysql {
		table = "mysql: " + table
	}
	took := median(r, func(o outcome) float64 { return o.took.Seconds() })
	return line{cells: []string{
		what, fmt.Sprintf("%s %s", table, thousands(float64(rows))), fmt.Sprintf("%.2f", took), fmt.Sprintf("%.2f", r.ratio()), thousands(float64(rows) / took),
	}}
}

func (w *world) caseLine(c sweepCase, s schema, r rounds) line {
	l := w.bareLine(c.name, s, r)
	cpu := median(r, func(o outcome) float64 { return o.cpu.Seconds() })
	server := median(r, func(o outcome) float64 { return o.server.Seconds() })
	most := int64(0)
	for _, o := range r {
		most = max(most, o.memory)
		if o.wrong != "" {
			l.wrong = o.wrong
		}
	}
	l.cells = append(l.cells, fmt.Sprintf("%.2f", cpu), fmt.Sprintf("%.2f", server), megabytes(most))
	l.met = most < mostMemory
	l.target = "memory < " + megabytes(mostMemory)
	if c.most > 0 {
		l.target = fmt.Sprintf("≤ %g, ", c.most) + l.target
		l.met = l.met && r.ratio() <= c.most
	}
	return l
}
