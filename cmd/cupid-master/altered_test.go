package main_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/masixun71/cupid/pkg/mariadb/mariadbtest"
)

// Both tables are altered while cupid runs, as gh-ost does it, and no statement fails for it. Nobody is
// called for the rows that are beyond what their columns held before, and what is really wrong is
// called back with the column that was added.
func TestG3AlteredTablesAreNoAlarm(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	both := func(statements ...string) {
		for _, d := range []*mariadbtest.Database{r.des, r.src} {
			d.Exec(t, statements...)
		}
	}
	both("ALTER TABLE user MODIFY number INT NOT NULL")
	r.insert(1, 3)
	r.start()
	r.eventually("the rows are repaired", func() bool { return r.differing() == 0 })
	before := len(r.receiver.all())
	both("ALTER TABLE user MODIFY number BIGINT NOT NULL")
	r.src.Exec(t, "ALTER TABLE user ADD extra VARCHAR(9) NOT NULL DEFAULT 'new'")
	for _, d := range []*mariadbtest.Database{r.des, r.src} {
		d.Exec(t, "INSERT INTO user (number, name) SELECT 3000000000 + seq, 'x' FROM seq_1_to_50")
	}
	r.eventually("the cursor is past the new rows", func() bool {
		return strings.Contains(r.state(), `"cursor": "53"`) || strings.Contains(r.state(), `"cursor":"53"`)
	})
	r.src.Exec(t, "INSERT INTO user (number, name) VALUES (3000000051, 'x')")
	r.eventually("the missing row is repaired", func() bool { return r.differing() == 0 })
	calls := r.receiver.all()[before:]
	for _, c := range calls {
		if number := c.Body.Row["number"]; number != json.Number("3000000051") {
			t.Errorf("called for row %v, which is there", number)
		}
		if c.Body.Row["extra"] != "new" {
			t.Errorf("called with %v, want the column that was added", c.Body.Row)
		}
	}
	if len(calls) == 0 {
		t.Error("nobody was called for the row that is missing")
	}
}
