package table_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/masixun71/cupid/pkg/mariadb/mariadbtest"
	"github.com/masixun71/cupid/pkg/secret"
	"github.com/masixun71/cupid/pkg/table"
)

// wantLine checks that one of lines has all of parts.
func wantLine(t *testing.T, lines []string, parts ...string) {
	t.Helper()
	if !slices.ContainsFunc(lines, func(l string) bool {
		return !slices.ContainsFunc(parts, func(p string) bool { return !strings.Contains(l, p) })
	}) {
		t.Errorf("no line has all of %q; there are\n%s", parts, strings.Join(lines, "\n"))
	}
}

func TestCheckOfASoundPair(t *testing.T) {
	for server, db := range servers() {
		t.Run(server, func(t *testing.T) {
			w := newWorld(t, db, "v INT, u DATETIME NOT NULL", "v VARCHAR(20), u TIMESTAMP NULL", func(o *table.PairOptions) {
				o.Source.UpdateColumn, o.Source.TimeZone = "u", "+08:00"
			})
			w.src.Exec(t, "ALTER TABLE t ADD INDEX (u)")
			before := dump(t, w.src) + dump(t, w.des)
			r := table.Check(t.Context(), w.options)
			if len(r.Faults)+len(r.Warnings) > 0 {
				t.Errorf("faults %q, warnings %q", r.Faults, r.Warnings)
			}
			wantLine(t, r.Lines, "p: src: table", "`t`", "zone of its writers +08:00")
			wantLine(t, r.Lines, "key k", "BIGINT")
			wantLine(t, r.Lines, "v INT", "VARCHAR(20)")
			wantLine(t, r.Lines, "u DATETIME", "TIMESTAMP is read in zone +08:00")
			wantLine(t, r.Lines, "the update scan asks for `u` between")
			if after := dump(t, w.src) + dump(t, w.des); after != before {
				t.Errorf("the check changed something:\n%s\n%s", before, after)
			}
		})
	}
}

// dump is the definition of table t.
func dump(t *testing.T, d *mariadbtest.Database) string {
	t.Helper()
	var name, create string
	if err := d.DB.QueryRowxContext(t.Context(), "SHOW CREATE TABLE t").Scan(&name, &create); err != nil {
		t.Fatal(err)
	}
	return create
}

func TestCheckWarns(t *testing.T) {
	for server, db := range servers() {
		t.Run(server, func(t *testing.T) {
			src, des := db(t), db(t)
			src.Exec(t, "CREATE TABLE t (id INT NULL, k INT, v INT, u DATETIME NULL)")
			des.Exec(t, "CREATE TABLE t (k INT, v INT)")
			reader(t, src, "SELECT ON `"+src.Name+"`.*")
			o := table.PairOptions{
				Source: side(t, "p: src", src), Destination: side(t, "p: des", des), Columns: []table.ColumnPair{{Src: "v", Des: "v"}},
			}
			o.Source.UpdateColumn = "u"
			asReader(src)(&o.Source)
			r := table.Check(t.Context(), o)
			if len(r.Faults) > 0 {
				t.Errorf("faults %q", r.Faults)
			}
			wantLine(t, r.Warnings, "p: src: idColumn `id` is not unique", "ALTER TABLE `"+src.Name+"`.`t` ADD UNIQUE INDEX (`id`)")
			wantLine(t, r.Warnings, "idColumn `id` may be NULL")
			wantLine(t, r.Warnings, "p: src: byColumn `k` may be NULL", "-once cannot tell")
			wantLine(t, r.Warnings, "no index begins with updateColumn `u`", "ALTER TABLE `"+src.Name+"`.`t` ADD INDEX (`u`, `id`)")
			wantLine(t, r.Warnings, "updateColumn `u` may be NULL")
			wantLine(t, r.Warnings, "p: des: no index begins with byColumn `k`", "ALTER TABLE `"+des.Name+"`.`t` ADD INDEX (`k`)")
			wantLine(t, r.Warnings, "GRANT PROCESS ON *.* TO '"+readerName(src)+"'")

			// The statements that are recommended work, and mend it.
			for _, line := range r.Warnings {
				if _, statement, ok := strings.Cut(line, "mend it with "); ok && strings.HasPrefix(statement, "ALTER") {
					src.Exec(t, "DELETE FROM t")
					src.Exec(t, statement)
				}
			}
			r = table.Check(t.Context(), o)
			for _, line := range r.Warnings {
				if strings.Contains(line, "no index") || strings.Contains(line, "idColumn `id` is not unique") {
					t.Errorf("still there: %s", line)
				}
			}
			wantLine(t, r.Warnings, "byColumn `k` is not unique")
		})
	}
}

func TestCheckNamesEveryFault(t *testing.T) {
	w := newWorld(t, mariadbtest.New, "name INT", "", func(o *table.PairOptions) {
		o.Source.UpdateColumn = "updated"
		o.Columns = []table.ColumnPair{{Src: "nmae", Des: "name"}, {Src: "name", Des: "title"}}
	})
	r := table.Check(t.Context(), w.options)
	wantLine(t, r.Faults, "p: src: ", "`updated` (updateColumn)")
	wantLine(t, r.Faults, "p: src: ", "`nmae` (columns)", "did you mean `name`?")
	wantLine(t, r.Faults, "p: des: ", "`title` (columns)")

	w.options.Source.DSN = w.options.Source.DSN.With("nobody", secret.New(readerPassword))
	w.options.Destination.Table = "missing"
	r = table.Check(t.Context(), w.options)
	wantLine(t, r.Faults, "p: src: ", "refuses user")
	wantLine(t, r.Faults, "p: des: ", "no table `missing`")
	if strings.Contains(strings.Join(slices.Concat(r.Faults, r.Lines, r.Warnings), "\n"), readerPassword) {
		t.Error("the report holds the password")
	}
}

func TestCheckLeavesAPairThatIsLoaded(t *testing.T) {
	w := newWorld(t, mariadbtest.New, "name INT", "")
	p := table.NewPair(w.options)
	r := p.Check(t.Context())
	if len(r.Faults)+len(r.Unreachable) > 0 {
		t.Errorf("faults %q, unreachable %q", r.Faults, r.Unreachable)
	}
	if p.Mapping() == nil {
		t.Error("the metadata of a sound pair would be read again")
	}
	if err := p.Close(); err != nil {
		t.Error(err)
	}

	w.options.Destination.Table = "missing"
	p = table.NewPair(w.options)
	if r := p.Check(t.Context()); len(r.Faults) != 1 || p.Mapping() != nil {
		t.Errorf("faults %q, mapping %v", r.Faults, p.Mapping())
	}
	if err := p.Close(); err != nil {
		t.Error(err)
	}
}
