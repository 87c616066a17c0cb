package table

import (
	"database/sql/driver"
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/masixun71/cupid/pkg/chunk"
	"github.com/masixun71/cupid/pkg/row"
)

var (
	integerTypes  = []string{"tinyint", "smallint", "mediumint", "int", "integer", "bigint", "year", "bool", "boolean"}
	textTypes     = []string{"char", "varchar", "tinytext", "text", "mediumtext", "longtext", "enum", "set"}
	binaryTypes   = []string{"binary", "varbinary", "tinyblob", "blob", "mediumblob", "longblob", "bit"}
	temporalTypes = []string{"date", "datetime", "timestamp"}
)

func isInteger(c row.Column) bool { return slices.Contains(integerTypes, c.DataType) }
func isText(c row.Column) bool {
	return slices.Contains(textTypes, c.DataType) && c.Charset != "binary"
}
func isBinary(c row.Column) bool   { return slices.Contains(binaryTypes, c.DataType) }
func isTemporal(c row.Column) bool { return slices.Contains(temporalTypes, c.DataType) }

// placeholder is the parameter that a value of column c is bound to. The server has
// to compare as the column does, or it cannot use an index: the value takes the
// column's character set and collation, and a DECIMAL is not compared as a float.
func placeholder(c row.Column) string {
	switch {
	case isText(c) && c.Charset != "" && c.Charset != "utf8mb4":
		return "CONVERT(? USING " + quote(c.Charset) + ") COLLATE " + quote(c.Collation)
	case isBinary(c) && c.DataType != "bit":
		return "CAST(? AS BINARY)"
	case c.DataType == "decimal" || c.DataType == "numeric":
		return fmt.Sprintf("CAST(? AS DECIMAL(65,%d))", min(c.Scale, 30))
	}
	return "?"
}

// idText is the text of an id or of a value of the update column, as positions
// hold it: decimal for integers, hexadecimal for binary columns, which need not be
// text, else as the server prints it.
func idText(c row.Column, v driver.Value) string {
	if b, ok := v.([]byte); ok && isBinary(c) {
		return hex.EncodeToString(b)
	}
	return valueText(v)
}

// idArg is the value to bind for the text that idText made.
func idArg(c row.Column, text string) (driver.Value, error) {
	switch {
	case isInteger(c) && c.Unsigned:
		if strings.HasPrefix(text, "-") {
			return int64(0), nil // a lower bound from before the column became unsigned
		}
		n, err := strconv.ParseUint(text, 10, 64)
		return n, wrapID(c, text, err)
	case isInteger(c):
		n, err := strconv.ParseInt(text, 10, 64)
		if n, overflow := strconv.ParseUint(text, 10, 64); err != nil && overflow == nil {
			return n, nil // above every value of the column
		}
		return n, wrapID(c, text, err)
	case c.DataType == "bit":
		b, err := hex.DecodeString(text)
		if err != nil || len(b) > 8 {
			return nil, wrapID(c, text, strconv.ErrSyntax)
		}
		var n uint64
		for _, d := range b {
			n = n<<8 | uint64(d)
		}
		return n, nil
	case isBinary(c):
		b, err := hex.DecodeString(text)
		return b, wrapID(c, text, err)
	}
	return text, nil
}

func wrapID(c row.Column, text string, err error) error {
	if err == nil {
		return nil
	}
	return &Fault{
		Problem: fmt.Sprintf("%q is no value of column %s %s", text, quote(c.Name), strings.ToUpper(c.ColumnType)),
		Hint:    "the cache file or -start-id belongs to another table, or the column was altered",
		Err:     err,
	}
}

// condition is a part of a WHERE clause with its arguments.
type condition struct {
	text string
	args []driver.Value
}

// compare is the condition that column c stands in relation op to the text of a value.
func compare(c row.Column, op, text string) (condition, error) {
	v, err := idArg(c, text)
	if err != nil {
		return condition{}, err
	}
	return condition{quote(c.Name) + " " + op + " " + placeholder(c), []driver.Value{v}}, nil
}

// bounds builds conditions and keeps the first error.
type bounds struct {
	conditions []condition
	err        error
}

func (b *bounds) add(c row.Column, op, text string) *bounds {
	if b.err == nil {
		var x condition
		x, b.err = compare(c, op, text)
		b.conditions = append(b.conditions, x)
	}
	return b
}

// updateWindow is the condition on rows behind after, or else from lo on, up to hi, in
// the order of (update, id). The OR is read as two ranges of an index on both. Two
// statements without it read worse: told that update has one value, MariaDB finds all
// of its rows by that value, and looks through them for the ids.
func updateWindow(update, id row.Column, after *chunk.Position, lo, hi string) (condition, error) {
	var tie, rest bounds
	if after == nil {
		return anyOf(rest.add(update, ">=", lo).add(update, "<=", hi))
	}
	return anyOf(tie.add(update, "=", after.Value).add(id, ">", after.ID),
		rest.add(update, ">", after.Value).add(update, "<=", hi))
}

// updateRange is the condition on rows behind after, or else from a value on, up to
// the position upTo.
func updateRange(update, id row.Column, after *chunk.Position, from string, upTo chunk.Position) (condition, error) {
	var first, middle, last bounds
	switch {
	case after != nil && after.Value == upTo.Value:
		return anyOf(first.add(update, "=", upTo.Value).add(id, ">", after.ID).add(id, "<=", upTo.ID))
	case after != nil:
		first.add(update, "=", after.Value).add(id, ">", after.ID)
		middle.add(update, ">", after.Value)
	case from != "":
		middle.add(update, ">=", from)
	}
	middle.add(update, "<", upTo.Value)
	last.add(update, "=", upTo.Value).add(id, "<=", upTo.ID)
	return anyOf(&first, &middle, &last)
}

// anyOf is the condition that all of one of alternatives are met; one without
// conditions does not count.
func anyOf(alternatives ...*bounds) (condition, error) {
	var c condition
	var texts []string
	for _, b := range alternatives {
		if b.err != nil {
			return condition{}, b.err
		}
		var all []string
		for _, x := range b.conditions {
			all = append(all, x.text)
			c.args = append(c.args, x.args...)
		}
		if len(all) > 0 {
			texts = append(texts, "("+strings.Join(all, " AND ")+")")
		}
	}
	c.text = "(" + strings.Join(texts, " OR ") + ")"
	return c, nil
}

// where is the WHERE clause of conditions and of the side's own; empty if there are none.
func (s *side) where(conditions []condition) (string, []driver.Value) {
	var texts []string
	var args []driver.Value
	for _, c := range conditions {
		texts = append(texts, c.text)
		args = append(args, c.args...)
	}
	if s.o.Where != "" {
		// The newline ends a comment at the end of the condition.
		texts = append(texts, "("+s.o.Where+"\n)")
	}
	if len(texts) == 0 {
		return "", nil
	}
	return " WHERE " + strings.Join(texts, " AND "), args
}

// listSizes are the lengths of IN lists. Few, so that few statements are prepared;
// the last is where longer lists stop to pay (1,000 to 2,000 keys).
var listSizes = []int{1, 8, 64, 256, 1024, 2048}

// split cuts n values into pieces and gives each the length of its list, which is
// filled up by repeating the last value.
func split(n int) (pieces []piece) {
	largest := listSizes[len(listSizes)-1]
	for from := 0; from < n; from += largest {
		to := min(n, from+largest)
		i, _ := slices.BinarySearch(listSizes, to-from)
		pieces = append(pieces, piece{from, to, listSizes[i]})
	}
	return pieces
}

type piece struct{ from, to, size int }
