package table

import (
	"strings"

	"github.com/masixun71/cupid/pkg/row"
)

// RepairSQL is the statement that would make a destination row right: an INSERT of
// row i of src where j is negative, an UPDATE of the mapped columns by index, or a
// DELETE of row j of des where src is nil. It is for people to read and to run;
// nothing here executes it. Both batches are of this pair.
func (p *Pair) RepairSQL(src *row.Batch, i int, des *row.Batch, j int, columns []int) string {
	table := quote(p.des.o.DSN.Database) + "." + quote(p.des.o.Table)
	switch {
	case src == nil:
		return "DELETE FROM " + table + " WHERE " + p.keyIs(des, j) + ";"
	case j < 0:
		return "INSERT INTO " + table + p.inserted(src, i) + ";"
	}
	sets := make([]string, 0, len(columns))
	for _, c := range columns {
		sets = append(sets, quote(p.o.Columns[c].Des)+" = "+cellLiteral(src, i, c))
	}
	return "UPDATE " + table + " SET " + strings.Join(sets, ", ") + " WHERE " + p.keyIs(src, i) + ";"
}

func cellLiteral(b *row.Batch, i, column int) string {
	value, null := b.Cell(i, column)
	return string(b.Mapping().Columns()[column].AppendLiteral(nil, value, null))
}

// keyLiterals are the parts of a row's key as the destination has them.
func keyLiterals(b *row.Batch, i int) []string {
	rules := b.Mapping().Keys()
	parts := b.Key(i).Parts()
	literals := make([]string, len(parts))
	for k, part := range parts {
		literals[k] = string(rules[k].AppendLiteral(nil, part, part == nil))
	}
	return literals
}

func (p *Pair) keyIs(b *row.Batch, i int) string {
	literals := keyLiterals(b, i)
	for k, name := range p.des.o.By {
		literals[k] = quote(name) + " = " + literals[k]
	}
	return strings.Join(literals, " AND ")
}

// inserted are the columns and values of an INSERT: the mapped ones, and those of
// the key that are not mapped.
func (p *Pair) inserted(src *row.Batch, i int) string {
	var names, values []string
	has := map[string]bool{}
	for c, col := range p.o.Columns {
		names, values = append(names, quote(col.Des)), append(values, cellLiteral(src, i, c))
		has[strings.ToLower(col.Des)] = true
	}
	for k, l := range keyLiterals(src, i) {
		if name := p.des.o.By[k]; !has[strings.ToLower(name)] {
			names, values = append(names, quote(name)), append(values, l)
		}
	}
	return " (" + strings.Join(names, ", ") + ") VALUES (" + strings.Join(values, ", ") + ")"
}
