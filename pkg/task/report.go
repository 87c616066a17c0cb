package task

import (
	"fmt"

	"github.com/masixun71/cupid/pkg/event"
	"github.com/masixun71/cupid/pkg/row"
)

// kindMoving is the kind of a row that differed in every look and kept changing: it is no
// confirmed divergence, and nobody can say that it is equal.
const kindMoving = "moving"

// Line is a confirmed divergence as it stands in a report, or a row that could not be judged.
type Line struct {
	Pair    string   `json:"pair"`
	Key     string   `json:"key"`
	Kind    string   `json:"kind"`
	Columns []string `json:"columns,omitempty"`
	// Source and Destination are the values of the mapped columns by their source
	// names; nil is NULL, and no map at all a row that is not there.
	Source      map[string]*string `json:"src,omitempty"`
	Destination map[string]*string `json:"des,omitempty"`
	SQL         string             `json:"sql,omitempty"`
}

// maxValuesBytes bounds the values of one row in a line: a line goes into one frame,
// and JSON may take six bytes for one.
const maxValuesBytes = 128 << 10

// report keeps what became of a row for whoever wants it: row i of src, which is
// nil for an orphan, and row j of des, -1 when it is missing.
func (w *Worker) report(lines *[]Line, p *reader, e event.Event, src *row.Batch, i int, des *row.Batch, j int, columns ...int) {
	if w.config.Report == nil {
		return
	}
	l := Line{
		Pair: e.Pair, Key: e.Key.String(), Kind: e.Kind.String(), Columns: e.Columns,
		Source: values(p, src, i), Destination: values(p, des, j),
	}
	if len(e.Watch) > 0 {
		l.Kind = kindMoving // and no statement: it would write a version that is gone
	} else if w.config.SQL {
		l.SQL = p.RepairSQL(src, i, des, j, columns)
	}
	*lines = append(*lines, l)
}

// tell hands lines on, in messages that fit into a frame.
func (w *Worker) tell(lines []Line) error {
	for len(lines) > 0 {
		n, err := fitting(lines)
		if err != nil {
			return fmt.Errorf("write line of the report: %w", err)
		}
		w.config.Report(lines[:n])
		lines = lines[n:]
	}
	return nil
}

// values are the values of one row, nil when there is none.
func values(p *reader, b *row.Batch, i int) map[string]*string {
	if b == nil || i < 0 {
		return nil
	}
	all := map[string]*string{}
	bytes := 0
	for column, name := range p.Columns() {
		v := p.ReportValue(b, i, column)
		if v != nil {
			if bytes += len(*v); bytes > maxValuesBytes {
				long := "… (too long for a report)"
				v = &long
			}
		}
		all[name] = v
	}
	return all
}
