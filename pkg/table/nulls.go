package table

import (
	"context"
	"database/sql/driver"
	"fmt"
	"strings"

	"github.com/masixun71/cupid/pkg/row"
)

// NullRows counts the source rows that no chunk of a sweep has: those with a NULL in their key,
// and, where the pair is swept by row, those whose id is NULL; rows with a NULL in their key are
// in chunks then. Nothing is asked where no such column can be NULL. An index that begins with
// the column is a help; else it costs what reading the whole table does.
func (p *Pair) NullRows(ctx context.Context) (keys, ids int64, err error) {
	pl, err := p.plan(ctx)
	if err != nil {
		return 0, 0, err
	}
	if pl.sweep.Mode == SweepByRow {
		ids, err = p.nullRows(ctx, pl, []keyColumn{{column: pl.id}})
		return 0, ids, err
	}
	keys, err = p.nullRows(ctx, pl, pl.ordered(row.Source))
	return keys, 0, err
}

// nullRows counts the source rows that have a NULL in one of columns.
func (p *Pair) nullRows(ctx context.Context, pl *plan, columns []keyColumn) (n int64, err error) {
	var terms []string
	for _, c := range columns {
		if c.column.Nullable {
			terms = append(terms, quote(c.column.Name)+" IS NULL")
		}
	}
	if len(terms) == 0 {
		return 0, nil
	}
	where, args := p.src.where([]condition{{text: "(" + strings.Join(terms, " OR ") + ")"}})
	q := query{"SELECT COUNT(*) FROM " + quote(p.src.o.Table) + where, args}
	err = p.src.read(ctx, "count the rows with "+strings.Join(terms, " or "), []query{q}, one(func(values []driver.Value) error {
		var ok bool
		if n, ok = values[0].(int64); !ok {
			return fmt.Errorf("COUNT(*) is a %T", values[0])
		}
		return nil
	}))
	return n, p.failed(pl, err)
}
