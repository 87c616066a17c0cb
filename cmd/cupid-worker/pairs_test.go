package main_test

import (
	"database/sql/driver"
	"testing"

	worker "github.com/masixun71/cupid/cmd/cupid-worker"
	"github.com/masixun71/cupid/pkg/row"
)

// Another chunk of the pair may have found meanwhile that a table was altered, so that nobody knows how its
// rows are compared; those of a batch were compared as the batch says.
func TestLogValueNeedsTheBatchAlone(t *testing.T) {
	c := row.Column{Name: "v", DataType: "int", ColumnType: "int"}
	rule, err := row.NewRule(c, c)
	if err != nil {
		t.Fatal(err)
	}
	m := row.NewMapping([]row.Rule{rule}, []row.Rule{rule})
	b := row.NewBatch(&m, row.Source, 1)
	if err := b.Append(int64(1), []driver.Value{int64(1)}, []driver.Value{int64(42)}); err != nil {
		t.Fatal(err)
	}
	if got := worker.LogValue(b, 0, 0); got != "42" {
		t.Errorf("value %s, want 42", got)
	}
}
