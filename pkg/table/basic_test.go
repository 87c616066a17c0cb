package table_test

import (
	"testing"

	"github.com/masixun71/cupid/pkg/mariadb/mariadbtest"
)

func TestMissingAndDifferentRowsAreFound(t *testing.T) {
	mariadbtest.Each(t, func(t *testing.T, db func() *mariadbtest.Database) {
		w := newWorld(t, db, "v INT, w VARCHAR(20)", "")
		w.both(t, 1, "1, 'a'")
		w.insert(t, w.src, 2, "1, 'a'")
		w.insert(t, w.src, 3, "1, 'a'")
		w.insert(t, w.des, 3, "1, 'b'")
		w.wantFound(t, "2 missing", "3 different w")
	})
}
