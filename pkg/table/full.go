package table

import (
	"context"
	"database/sql/driver"

	"github.com/masixun71/cupid/pkg/row"
)

// ReadFull is ReadSource with payloads: payloads[i] is the JSON object of the
// whole source row i of the batch, all columns in the table's order, invisible and
// generated ones too. asString makes every value but NULL a string.
func (p *Pair) ReadFull(ctx context.Context, ids []string, asString bool) (batch *row.Batch, payloads [][]byte, err error) {
	pl, err := p.plan(ctx)
	if err != nil {
		return nil, nil, err
	}
	queries, err := p.byID(pl, &pl.full.list, ids)
	if err != nil {
		return nil, nil, p.src.explain(ctx, "read whole rows", err)
	}
	batch = p.batch(pl, row.Source, len(ids))
	take := p.wholeRows(batch, &pl.full, pl.id, asString, &payloads)
	err = p.src.read(ctx, "read whole rows", queries, one(p.src.checked(take)))
	return batch, payloads, p.failed(pl, err)
}

// wholeRows appends rows to batch and their objects to payloads, which are bounded together.
func (p *Pair) wholeRows(batch *row.Batch, w *whole, id row.Column, asString bool, payloads *[][]byte) take {
	add := w.rowOf(batch, id)
	names := w.names()
	bytes := 0
	return func(values []driver.Value) error {
		if n := batch.Len(); n > 0 && batch.Bytes()+bytes >= p.o.BatchBytes {
			return &row.TooLarge{Side: batch.Side(), Rows: n, Bytes: batch.Bytes() + bytes}
		}
		if err := add(values); err != nil {
			return err
		}
		body, err := w.body(names, values, asString)
		bytes += len(body)
		*payloads = append(*payloads, body)
		return err
	}
}

// names are the names of the payload's columns as JSON, with the colon.
func (w *whole) names() [][]byte {
	names := make([][]byte, len(w.payload))
	text := row.Column{DataType: "varchar"}
	for i, c := range w.payload {
		// Written as a text value, so that every name is valid JSON.
		name, err := row.AppendJSON(nil, text, []byte(c.column.Name), true)
		if err != nil {
			panic("table: a column's name is no text: " + err.Error())
		}
		names[i] = append(name, ':')
	}
	return names
}

// body is the JSON object of a row.
func (w *whole) body(names [][]byte, values []driver.Value, asString bool) (body []byte, err error) {
	body = append(body, '{')
	for i, c := range w.payload {
		if i > 0 {
			body = append(body, ',')
		}
		body = append(body, names[i]...)
		if body, err = row.AppendJSON(body, c.column, values[c.at], asString); err != nil {
			return nil, err
		}
	}
	return append(body, '}'), nil
}
