package main_test

import (
	"bytes"
	"io"
	"testing"
)

func bytesReader(b []byte) io.Reader { return bytes.NewReader(b) }

// The main job: what is missing or different is called back and repaired.
func TestMissingAndDifferentRowsAreRepaired(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.src.Exec(t, "INSERT INTO user (number, name, balance) SELECT seq, CONCAT('user-', seq), seq / 7 FROM seq_1_to_500")
	r.des.Exec(t, "INSERT INTO user SELECT * FROM "+r.src.Name+".user WHERE number NOT IN (3, 77, 499)")
	r.des.Exec(t, "UPDATE user SET name = 'other' WHERE number IN (5, 250)")
	r.start()
	r.eventually("tables equal", func() bool { return r.differing() == 0 })
	types := map[string]int{}
	for _, c := range r.receiver.all() {
		types[string(c.Raw[:9])]++
	}
	if types[`{"type":1`] != 3 || types[`{"type":2`] != 2 || len(types) != 2 {
		t.Errorf("calls by type = %v, want 3 of type 1 and 2 of type 2", types)
	}
	// What happens later is found as well.
	r.src.Exec(t, "INSERT INTO user (number, name) VALUES (1000, 'late')", "UPDATE user SET name = 'changed' WHERE number = 9")
	r.eventually("tables equal again", func() bool { return r.differing() == 0 })
}
