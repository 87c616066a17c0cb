package config

import (
	"bytes"
	"encoding/json"
	"strconv"
	"strings"

	"github.com/masixun71/cupid/pkg/secret"
)

// Names is a list of columns; in the file a single name may stand for a list of one.
type Names []string

// Secrets is a list of secrets; in the file a single one may stand for a list of one.
type Secrets []secret.String

// Column is one column of the source and the column of the destination that
// should hold the same.
type Column struct {
	Src, Des string
}

// Columns are the columns to compare. In the file they are an object from source
// to destination; the order of the file is kept.
type Columns []Column

// Src returns the source's columns in order.
func (c Columns) Src() []string {
	names := make([]string, len(c))
	for i := range c {
		names[i] = c[i].Src
	}
	return names
}

// Des returns the destination's columns in order.
func (c Columns) Des() []string {
	names := make([]string, len(c))
	for i := range c {
		names[i] = c[i].Des
	}
	return names
}

// Tolerance is how far apart two values of a column may be and still be equal.
type Tolerance struct {
	// Column is the source's column, in the case that columns has or another.
	Column string
	// Within is the largest difference, above 0.
	Within float64
}

// Tolerances are those of the columns that have one. In the file they are an object
// from column to number.
type Tolerances []Tolerance

// Of returns the tolerance of a column of the source; 0 for none.
func (t Tolerances) Of(column string) float64 {
	for i := range t {
		if strings.EqualFold(t[i].Column, column) { // as MySQL compares names of columns
			return t[i].Within
		}
	}
	return 0
}

// MarshalJSON writes an object in the order of t.
func (t Tolerances) MarshalJSON() ([]byte, error) {
	var b bytes.Buffer
	b.WriteByte('{')
	for i := range t {
		if i > 0 {
			b.WriteByte(',')
		}
		b.Write(quote(t[i].Column))
		b.WriteByte(':')
		b.WriteString(strconv.FormatFloat(t[i].Within, 'g', -1, 64))
	}
	b.WriteByte('}')
	return b.Bytes(), nil
}

// MarshalJSON writes an object in the order of c.
func (c Columns) MarshalJSON() ([]byte, error) {
	var b bytes.Buffer
	b.WriteByte('{')
	for i, column := range c {
		if i > 0 {
			b.WriteByte(',')
		}
		b.Write(quote(column.Src))
		b.WriteByte(':')
		b.Write(quote(column.Des))
	}
	b.WriteByte('}')
	return b.Bytes(), nil
}

// quote returns text as a JSON string.
func quote(text string) []byte {
	data, err := json.Marshal(text)
	if err != nil {
		panic("config: a string does not marshal: " + err.Error())
	}
	return data
}
