package main_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
)

// TestToleranceOfFloats has a copy whose prices went through a text of few digits: they are
// equal for the sweep, for the report, and for the look after a repair that is as coarse.
func TestToleranceOfFloats(t *testing.T) {
	t.Parallel()
	r := newOnceRig(t, 0)
	for _, db := range []interface{ Exec(testing.TB, ...string) }{r.src, r.des} {
		db.Exec(t, "ALTER TABLE user ADD price DOUBLE, ADD weight FLOAT")
	}
	r.src.Exec(t, "INSERT INTO user (number, name, price, weight) SELECT seq, 'x', seq / 7, seq / 11 FROM seq_1_to_3000")
	r.des.Exec(t, "INSERT INTO user (number, name, price, weight) SELECT number, name, ROUND(price, 3), weight FROM "+r.src.Name+".user",
		"UPDATE user SET price = price + 0.01 WHERE number = 77", "UPDATE user SET weight = weight + 0.01 WHERE number = 88")
	des := r.config["des"].([]any)[0].(map[string]any)
	columns := des["columns"].(map[string]any)
	columns["price"], columns["weight"] = "price", "weight"
	des["tolerance"] = map[string]any{"Price": 0.0005}
	r.receiver.then(func(c call) int {
		row := c.Body.Row
		r.des.Exec(t, fmt.Sprintf("UPDATE user SET price = ROUND(%s, 3), weight = %s WHERE number = %s",
			row["price"].(json.Number), row["weight"].(json.Number), row["number"].(json.Number)))
		return 204
	})
	r.write()
	out, code := r.command("-config", r.path, "-check")
	if code != 0 || !strings.Contains(out, "equal within 0.0005") || !strings.Contains(out, "all rows are read, because a checksum cannot express price") {
		t.Errorf("-check exits with %d: %s", code, out)
	}
	r.once(1, "-report", r.file("report"))
	lines, end := readReport(t, r.file("report"))
	if len(lines) != 2 || end.Pairs[0].Rows != 3000 ||
		lines[0].Key != "77" || !slices.Equal(lines[0].Columns, []string{"price"}) || lines[1].Key != "88" || !slices.Equal(lines[1].Columns, []string{"weight"}) {
		t.Errorf("the report has %+v and %+v", lines, end)
	}
	if n := len(r.receiver.all()); n != 2 {
		t.Errorf("%d callbacks, want one for each row: what was repaired within the tolerance is healed", n)
	}
	r.once(0)
	delete(des, "tolerance")
	r.once(1, "-dry-run")
	des["tolerance"] = map[string]any{"balance": 0.1}
	r.write()
	if out, code := r.command("-config", r.path, "-check"); code != 78 || !strings.Contains(out, "tolerance of column balance") {
		t.Errorf("-check of a tolerance for a DECIMAL exits with %d: %s", code, out)
	}
}
