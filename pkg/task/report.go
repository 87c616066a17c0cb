package task

import (
	"github.com/masixun71/cupid/pkg/event"
	"github.com/masixun71/cupid/pkg/row"
)

// Line is a confirmed divergence as it stands in a report.
type Line struct {
	Pair    string   `json:"pair"`
	Key     string   `json:"key"`
	Kind    string   `json:"kind"`
	Columns []string `json:"columns,omitempty"`
	// Source and Destination are the values of the mapped columns by their source
	// names, as the log shows them; nil is a row that is not there.
	Source      map[string]string `json:"src,omitempty"`
	Destination map[string]string `json:"des,omitempty"`
	SQL         string            `json:"sql,omitempty"`
}

// report hands a confirmed divergence to whoever wants it: row i of src, which is
// nil for an orphan, and row j of des, -1 when it is missing.
func (w *Worker) report(p *reader, e event.Event, src *row.Batch, i int, des *row.Batch, j int, columns ...int) {
	if w.config.Report == nil {
		return
	}
	l := Line{
		Pair: e.Pair, Key: e.Key.String(), Kind: e.Kind.String(), Columns: e.Columns,
		Source: values(p, src, i), Destination: values(p, des, j),
	}
	if w.config.SQL {
		l.SQL = p.RepairSQL(src, i, des, j, columns)
	}
	w.config.Report(l)
}

// values are the values of one row, nil when there is none.
func values(p *reader, b *row.Batch, i int) map[string]string {
	if b == nil || i < 0 {
		return nil
	}
	all := map[string]string{}
	for column, name := range p.Columns() {
		all[name] = p.LogValue(b, i, column)
	}
	return all
}
