package table

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/jmoiron/sqlx"

	"github.com/masixun71/cupid/pkg/row"
)

// meta is what a server says about a table.
type meta struct {
	columns []row.Column // in the table's order
	auto    string       // the AUTO_INCREMENT column; may be empty
	indexes []index
	server  serverMeta
}

// index is one index of a table.
type index struct {
	name    string
	unique  bool
	hidden  bool // no read may use it: MySQL calls it invisible, MariaDB ignored
	columns []string
}

// serverMeta is what of a server matters to its values.
type serverMeta struct {
	Version    string `db:"version"`
	Zone       string `db:"zone"`       // default session time zone, may be SYSTEM
	SystemZone string `db:"systemzone"` // abbreviation that SYSTEM had when the server started
	Identity   string `db:"identity"`   // equal for two connections to one server
}

type columnRow struct {
	Table      string  `db:"t"`
	Name       string  `db:"name"`
	DataType   string  `db:"datatype"`
	ColumnType string  `db:"columntype"`
	Length     *uint64 `db:"length"`
	Octets     *uint64 `db:"octets"`
	Precision  *uint64 `db:"prec"`
	Scale      *int    `db:"scale"`
	FSP        *int    `db:"fsp"`
	Charset    *string `db:"cs"`
	Collation  *string `db:"coll"`
	Nullable   string  `db:"nullable"`
	Extra      string  `db:"extra"`
}

const columnsQuery = `SELECT TABLE_NAME AS t, COLUMN_NAME AS name, DATA_TYPE AS datatype, COLUMN_TYPE AS columntype,
 CHARACTER_MAXIMUM_LENGTH AS length, CHARACTER_OCTET_LENGTH AS octets, NUMERIC_PRECISION AS prec, NUMERIC_SCALE AS scale,
 DATETIME_PRECISION AS fsp, CHARACTER_SET_NAME AS cs, COLLATION_NAME AS coll, IS_NULLABLE AS nullable, EXTRA AS extra
 FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME = ? ORDER BY ORDINAL_POSITION`

const serverQuery = `SELECT VERSION() AS version, @@GLOBAL.time_zone AS zone, @@system_time_zone AS systemzone,
 CONCAT_WS(' ', @@hostname, @@port, @@socket, @@datadir) AS identity`

// load reads the metadata of the side's table.
func (s *side) load(ctx context.Context) (*meta, error) {
	var m meta
	if err := s.get(ctx, &m.server, "read the server's settings", serverQuery); err != nil {
		return nil, err
	}
	var rows []columnRow
	if err := s.list(ctx, &rows, "read the table's columns", columnsQuery, s.o.Table); err != nil {
		return nil, err
	}
	// The server may compare the table's name without regard to case.
	if exact := slices.DeleteFunc(slices.Clone(rows), func(r columnRow) bool { return r.Table != s.o.Table }); len(exact) > 0 {
		rows = exact
	}
	if len(rows) == 0 {
		return nil, s.absent(ctx)
	}
	for _, r := range rows {
		if strings.Contains(strings.ToLower(r.Extra), "auto_increment") {
			m.auto = r.Name
		}
		m.columns = append(m.columns, r.column())
	}
	server := parseServer(m.server.Version)
	if server.MariaDB {
		if err := s.markJSON(ctx, m.columns); err != nil {
			return nil, err
		}
	}
	var err error
	m.indexes, err = s.loadIndexes(ctx, server)
	return &m, err
}

// absent finds out why the server shows no column of the table.
func (s *side) absent(ctx context.Context) error {
	if err := s.mayRead(ctx); err != nil {
		return err
	}
	return &Fault{Side: s.o.Name, Problem: "the server shows no column of table " + quote(s.o.Table), Hint: s.grant("SELECT")}
}

// mayRead reads no row of the table, which fails where it or the privilege is missing.
func (s *side) mayRead(ctx context.Context) error {
	var none []int
	return s.list(ctx, &none, "read table "+quote(s.o.Table), "SELECT 1 FROM "+quote(s.o.Table)+" LIMIT 0")
}

// column is r as pkg/row wants it.
func (r columnRow) column() row.Column {
	c := row.Column{
		Name:       r.Name,
		DataType:   strings.ToLower(r.DataType),
		ColumnType: r.ColumnType,
		Unsigned:   strings.Contains(strings.ToLower(r.ColumnType), "unsigned"),
		Nullable:   r.Nullable == "YES",
		Charset:    deref(r.Charset),
		Collation:  deref(r.Collation),
		Scale:      deref(r.Scale),
		FSP:        deref(r.FSP),
		Length:     int64(min(deref(r.Length), 1<<62)),
	}
	extra := strings.ToUpper(r.Extra)
	c.Invisible = strings.Contains(extra, "INVISIBLE")
	// DEFAULT_GENERATED is a default that is an expression.
	for word := range strings.FieldsSeq(strings.ReplaceAll(extra, ",", " ")) {
		c.Generated = c.Generated || slices.Contains([]string{"GENERATED", "VIRTUAL", "STORED", "PERSISTENT"}, word)
	}
	if c.DataType == "bit" {
		c.Length = int64(deref(r.Precision))
	}
	c.JSON = c.DataType == "json"
	return c
}

func deref[T any](p *T) T {
	if p == nil {
		var zero T
		return zero
	}
	return *p
}

// markJSON marks the columns that MariaDB keeps as text with a json_valid check,
// which is its JSON type. SHOW CREATE TABLE asks for no more than SELECT, unlike
// information_schema.CHECK_CONSTRAINTS.
func (s *side) markJSON(ctx context.Context, columns []row.Column) error {
	if !slices.ContainsFunc(columns, func(c row.Column) bool { return c.DataType == "longtext" }) {
		return nil
	}
	create, err := s.showCreate(ctx)
	if err != nil {
		return err
	}
	for i, c := range columns {
		if c.DataType == "longtext" && strings.Contains(create, "json_valid("+quote(c.Name)+")") {
			columns[i].JSON = true
		}
	}
	return nil
}

// showCreate is the statement that makes the table; empty for a view.
func (s *side) showCreate(ctx context.Context) (string, error) {
	ctx, cancel := s.limit(ctx)
	defer cancel()
	var values []any
	err := s.run(ctx, func(db *sqlx.DB) (err error) {
		values, err = db.QueryRowxContext(ctx, "SHOW CREATE TABLE "+quote(s.o.Table)).SliceScan()
		return err
	})
	if number(err) == errTableAccessDenied || err == nil && len(values) != 2 {
		return "", nil // a view, whose definition takes a privilege of its own and has no checks
	}
	if err != nil {
		return "", s.explain(ctx, "read the table's definition", err)
	}
	return valueText(values[1]), nil
}

// indexQuery has a place for what tells whether an index is hidden, which older servers lack.
const indexQuery = `SELECT INDEX_NAME AS name, NON_UNIQUE AS nonunique, COLUMN_NAME AS col, %s AS hidden
 FROM information_schema.STATISTICS WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME = ? ORDER BY INDEX_NAME, SEQ_IN_INDEX`

// hiddenIndex is an expression for whether an index is hidden from reads.
func (s server) hiddenIndex() string {
	switch {
	case s.MariaDB && (s.Major > 10 || s.Major == 10 && s.Minor >= 6):
		return "IGNORED = 'YES'"
	case !s.MariaDB && s.Major >= 8:
		return "IS_VISIBLE = 'NO'"
	}
	return noneHidden
}

const noneHidden = "0"

func (s *side) loadIndexes(ctx context.Context, of server) ([]index, error) {
	var rows []struct {
		Name      string  `db:"name"`
		NonUnique int     `db:"nonunique"`
		Column    *string `db:"col"` // NULL for an expression
		Hidden    int     `db:"hidden"`
	}
	ask := func(hidden string) error {
		return s.list(ctx, &rows, "read the table's indexes", fmt.Sprintf(indexQuery, hidden), s.o.Table)
	}
	hidden := of.hiddenIndex()
	err := ask(hidden)
	if number(err) == errUnknownColumn && hidden != noneHidden { // what imitates a MySQL 8 need not have its columns
		err = ask(noneHidden)
	}
	if err != nil {
		return nil, err
	}
	var indexes []index
	for _, r := range rows {
		if n := len(indexes); n == 0 || indexes[n-1].name != r.Name {
			indexes = append(indexes, index{name: r.Name, unique: r.NonUnique == 0, hidden: r.Hidden != 0})
		}
		i := &indexes[len(indexes)-1]
		i.columns = append(i.columns, deref(r.Column))
	}
	return indexes, nil
}

// find is the column of a name. Column names have no case in MySQL.
func (m *meta) find(name string) (row.Column, bool) {
	i := slices.IndexFunc(m.columns, func(c row.Column) bool { return strings.EqualFold(c.Name, name) })
	if i < 0 {
		return row.Column{}, false
	}
	return m.columns[i], true
}

// column is find, or the fault that there is none.
func (s *side) column(m *meta, name, use string) (row.Column, error) {
	if c, ok := m.find(name); ok {
		return c, nil
	}
	f := &Fault{Side: s.o.Name, Problem: fmt.Sprintf("table %s has no column %s (%s)", quote(s.o.Table), quote(name), use)}
	if near := m.nearest(name); near != "" {
		f.Hint = "did you mean " + quote(near) + "?"
	}
	return row.Column{}, f
}

// nearest is the column whose name is most like name; empty when none is near.
func (m *meta) nearest(name string) string {
	best, limit := "", max(2, len(name)/3)+1 // a transposition is two changes
	if len(name) < 4 {
		limit = 2
	}
	for _, c := range m.columns {
		if d := distance(strings.ToLower(name), strings.ToLower(c.Name)); d < limit {
			best, limit = c.Name, d
		}
	}
	return best
}

// distance counts the letters to insert, delete or replace (Levenshtein).
func distance(a, b string) int {
	prev := make([]int, len(b)+1)
	for j := range prev {
		prev[j] = j
	}
	for i := range len(a) {
		next := make([]int, len(b)+1)
		next[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			next[j+1] = min(prev[j+1]+1, next[j]+1, prev[j]+cost)
		}
		prev = next
	}
	return prev[len(b)]
}

// ledBy reports whether an index that reads may use begins with columns, in any order among themselves.
func (m *meta) ledBy(columns ...string) bool {
	return slices.ContainsFunc(m.indexes, func(i index) bool { return !i.hidden && len(i.columns) >= len(columns) && i.leads(columns) })
}

// uniqueOn reports whether an index makes columns unique, which one that is hidden does too.
func (m *meta) uniqueOn(columns ...string) bool {
	return slices.ContainsFunc(m.indexes, func(i index) bool {
		return i.unique && len(i.columns) <= len(columns) && i.leads(columns)
	})
}

func (i index) leads(columns []string) bool {
	n := min(len(i.columns), len(columns))
	for _, c := range i.columns[:n] {
		if !slices.ContainsFunc(columns, func(o string) bool { return strings.EqualFold(o, c) }) {
			return false
		}
	}
	return true
}
