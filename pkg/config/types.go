package config

import (
	"bytes"
	"encoding/json"

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
