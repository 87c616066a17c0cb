package table

import (
	"database/sql/driver"
	"slices"
)

// skipIDs adds the condition that leaves out the rows with one of ids.
func (pl *plan) skipIDs(range_ []condition, ids []string) ([]condition, error) {
	if len(ids) == 0 {
		return range_, nil
	}
	args := make([]driver.Value, 0, len(ids))
	for _, id := range ids {
		v, err := idArg(pl.id, id)
		if err != nil {
			return nil, err
		}
		args = append(args, v)
	}
	return append(range_, leftOut([]keyColumn{{pl.id, placeholder(pl.id)}}, args)), nil
}

// skipKeys is skipIDs for texts of keys, on one side. A text that is no key of these columns is of another byColumn,
// and no row of this one: whoever keeps it has it no longer than until the next pass begins.
func (pl *plan) skipKeys(range_ []condition, columns []keyColumn, keys []string) []condition {
	if len(keys) == 0 {
		return range_
	}
	var args []driver.Value
	for _, text := range keys {
		if values, err := pl.boundArgs(columns, text); err == nil {
			args = append(args, values...)
		}
	}
	if len(args) == 0 {
		return range_
	}
	return append(range_, leftOut(columns, args))
}

// leftOut is the condition that the columns have none of the values in args, which are
// len(columns) for each row. Its text has one of few lengths, as that of an IN list.
func leftOut(columns []keyColumn, args []driver.Value) condition {
	width := len(columns)
	n := len(args) / width
	i, _ := slices.BinarySearch(listSizes, n)
	for range listSizes[min(i, len(listSizes)-1)] - n {
		args = append(args, args[(n-1)*width:n*width]...)
	}
	bound := make([]keyBound, width)
	for i, c := range columns {
		bound[i] = keyBound{column: quote(c.column.Name), param: c.param}
	}
	return condition{"NOT (" + inList(bound, len(args)/width) + ")", args}
}
