package table

import (
	"database/sql/driver"
	"fmt"
	"slices"
	"strings"

	"github.com/masixun71/cupid/pkg/row"
)

// plan is how the rows of a pair are read, as the tables were when it was made. It
// is not changed afterwards.
type plan struct {
	mapping  row.Mapping
	id       row.Column // of the source
	update   row.Column // of the source; no name when there is none
	src, des list
	full     whole       // of the source
	desFull  whole       // of the destination
	srcKeys  []keyBound  // the source's key columns
	onlyKeys list        // of the source, without cells
	keys     row.Mapping // without columns
	desKeys  []keyBound  // the destination's
	sweep    sweepPlan
	notes    []string  // how each column pair is compared, in words
	zones    []zoneUse // what servers are asked to convert into
}

// zoneUse is a zone that a side's server has to know.
type zoneUse struct {
	side *side
	zone string
}

// whole is a side's list with all of its columns.
type whole struct {
	list
	payload []payload
	zone    string // of the TIMESTAMP columns; empty if nothing is converted
}

// payload is one column of the callback's body.
type payload struct {
	column row.Column
	at     int
}

// keyBound is a key column of a side and the parameter it is compared with.
type keyBound struct{ column, param string }

// list is the list of expressions that a side is asked for, and where the parts of
// a row are in it. An expression that is needed twice is read once.
type list struct {
	expressions []string
	id          int // -1 for none
	keys, cells []int
}

func (l *list) add(expression string) int {
	if i := slices.Index(l.expressions, expression); i >= 0 {
		return i
	}
	l.expressions = append(l.expressions, expression)
	return len(l.expressions) - 1
}

func (l *list) sql() string { return strings.Join(l.expressions, ", ") }

// columnPair is a pair of columns with the expressions that read them.
type columnPair struct {
	rule     row.Rule
	src, des string
	srcParam string // when the pair is of a key
	desParam string
	note     string
	zone     *zoneUse // nil when nothing is converted
}

// planner makes a plan of the metadata of both sides.
type planner struct {
	p        *Pair
	src, des *meta
}

func (b planner) plan() (*plan, error) {
	o := b.p.o
	if len(o.Source.By) == 0 || len(o.Source.By) != len(o.Destination.By) {
		return nil, &Fault{
			Side:    b.p.src.o.Name,
			Problem: fmt.Sprintf("byColumn has %d columns on the source and %d on the destination", len(o.Source.By), len(o.Destination.By)),
		}
	}
	var pl plan
	var err error
	if pl.id, err = b.p.src.column(b.src, b.p.src.o.IDColumn, "idColumn"); err != nil {
		return nil, err
	}
	if name := o.Source.UpdateColumn; name != "" {
		if pl.update, err = b.p.src.column(b.src, name, "updateColumn"); err != nil {
			return nil, err
		}
	}
	pl.src.id, pl.des.id = pl.src.add(quote(pl.id.Name)), -1
	var keys, columns []columnPair
	for i, name := range o.Source.By {
		cp, err := b.pair(ColumnPair{Src: name, Des: o.Destination.By[i]}, "byColumn")
		if err != nil {
			return nil, err
		}
		keys = append(keys, cp)
		pl.src.keys = append(pl.src.keys, pl.src.add(cp.src))
		pl.des.keys = append(pl.des.keys, pl.des.add(cp.des))
		pl.srcKeys = append(pl.srcKeys, keyBound{quote(cp.rule.Source().Name), cp.srcParam})
		pl.desKeys = append(pl.desKeys, keyBound{quote(cp.rule.Destination().Name), cp.desParam})
		pl.note("key "+cp.note, cp.zone)
	}
	pl.onlyKeys = list{expressions: slices.Clone(pl.src.expressions), id: pl.src.id, keys: pl.src.keys}
	pl.keys = row.NewMapping(rulesOf(keys), nil)
	for _, c := range o.Columns {
		cp, err := b.pair(c, "columns")
		if err != nil {
			return nil, err
		}
		columns = append(columns, cp)
		pl.src.cells = append(pl.src.cells, pl.src.add(cp.src))
		pl.des.cells = append(pl.des.cells, pl.des.add(cp.des))
		pl.note(cp.note, cp.zone)
	}
	pl.mapping = row.NewMapping(rulesOf(keys), rulesOf(columns))
	pl.sweep = b.sweep(&pl, keys, columns)
	pl.full = b.whole(b.p.src, b.src, pl.src)
	for _, c := range b.src.columns {
		if c.DataType == "timestamp" && pl.full.zone != "" {
			pl.note("payload: TIMESTAMP "+quote(c.Name)+" is sent in zone "+pl.full.zone, &zoneUse{b.p.src, pl.full.zone})
		}
	}
	pl.desFull = b.whole(b.p.des, b.des, pl.des)
	return &pl, nil
}

func rulesOf(pairs []columnPair) []row.Rule {
	rules := make([]row.Rule, len(pairs))
	for i, cp := range pairs {
		rules[i] = cp.rule
	}
	return rules
}

func (pl *plan) note(text string, zone *zoneUse) {
	pl.notes = append(pl.notes, text)
	if zone != nil && !slices.Contains(pl.zones, *zone) {
		pl.zones = append(pl.zones, *zone)
	}
}

// pair finds the two columns of c and how they are read and compared.
func (b planner) pair(c ColumnPair, use string) (columnPair, error) {
	src, err := b.p.src.column(b.src, c.Src, use)
	if err != nil {
		return columnPair{}, err
	}
	des, err := b.p.des.column(b.des, c.Des, use)
	if err != nil {
		return columnPair{}, err
	}
	cp := columnPair{src: quote(src.Name), des: quote(des.Name), srcParam: placeholder(src), desParam: placeholder(des)}
	switch {
	case src.DataType == "timestamp" && zoneless(des):
		zone, err := b.zone(b.p.des, b.des, b.src)
		if err != nil {
			return columnPair{}, err
		}
		cp.src = local(cp.src, zone)
		cp.srcParam = "CONVERT_TZ(?, " + literal(zone) + ", '+00:00')"
		cp.note = fmt.Sprintf("; the source's TIMESTAMP is read in zone %s", zone)
		cp.zone = &zoneUse{b.p.src, zone}
		src.DataType = "datetime"
	case des.DataType == "timestamp" && zoneless(src):
		zone, err := b.zone(b.p.src, b.src, b.des)
		if err != nil {
			return columnPair{}, err
		}
		cp.des = local(cp.des, zone)
		cp.desParam = "CONVERT_TZ(?, " + literal(zone) + ", '+00:00')"
		cp.note = fmt.Sprintf("; the destination's TIMESTAMP is read in zone %s", zone)
		cp.zone = &zoneUse{b.p.des, zone}
		des.DataType = "datetime"
	}
	cp.rule, err = row.NewRule(src, des)
	if err != nil {
		return columnPair{}, &Fault{Side: b.p.des.o.Name, Problem: err.Error(), Hint: "check " + use, Err: err}
	}
	if c.Tolerance != 0 {
		if cp.rule, err = cp.rule.WithTolerance(c.Tolerance); err != nil {
			return columnPair{}, &Fault{
				Side: b.p.des.o.Name, Problem: err.Error(), Hint: "remove it from tolerance of the destination, or change the column", Err: err,
			}
		}
	}
	cp.rule.RoundFraction = !parseServer(b.des.server.Version).MariaDB
	cp.note = cp.rule.Describe() + cp.note
	return cp, nil
}

// zoneless reports whether c holds times without a zone, or texts that may be such.
func zoneless(c row.Column) bool {
	return slices.Contains([]string{"datetime", "date", "time"}, c.DataType) || isText(c)
}

// local is a TIMESTAMP expression as the clock on the wall showed it in zone. The
// zero value, which CONVERT_TZ has no answer for, stays as it is.
func local(expression, zone string) string {
	return "IFNULL(CONVERT_TZ(" + expression + ", '+00:00', " + literal(zone) + "), " + expression + ")"
}

// zone is the zone of the writers of side s, in a form that the server at has.
func (b planner) zone(s *side, own, at *meta) (string, error) {
	zone := s.zone(own)
	if !strings.EqualFold(zone, systemZone) || own.server.Identity == at.server.Identity {
		return zone, nil
	}
	switch own.server.SystemZone {
	case "UTC":
		return "+00:00", nil
	case at.server.SystemZone:
		return systemZone, nil
	}
	return "", &Fault{
		Side: s.o.Name,
		Problem: fmt.Sprintf("the server's time zone is SYSTEM (%s), which another server (%s) cannot be asked to use",
			own.server.SystemZone, at.server.SystemZone),
		Hint: "set timeZone to the zone of those who write the table",
	}
}

// systemZone is the name of the server machine's own zone.
const systemZone = "SYSTEM"

// zone is the zone of those who write the table.
func (s *side) zone(m *meta) string {
	if s.o.TimeZone != "" {
		return s.o.TimeZone
	}
	return m.server.Zone
}

// whole lists all columns of a side behind those of l. A TIMESTAMP stands in the
// side's zone, as a client with default settings would see it.
func (b planner) whole(s *side, m *meta, l list) whole {
	w := whole{list: l}
	w.expressions = slices.Clone(l.expressions)
	zone := s.zone(m)
	for _, c := range m.columns {
		expression := quote(c.Name)
		if c.DataType == "timestamp" && zone != "+00:00" && zone != "UTC" {
			expression, w.zone = local(expression, zone), zone
		}
		w.payload = append(w.payload, payload{c, w.add(expression)})
	}
	return w
}

// rowOf appends a row as the driver delivers it to batch, by way of scratch slices.
func (l *list) rowOf(batch *row.Batch, id row.Column) take {
	keys, cells := make([]driver.Value, len(l.keys)), make([]driver.Value, len(l.cells))
	return func(values []driver.Value) error {
		var idValue driver.Value
		if l.id >= 0 {
			idValue = values[l.id]
			if isBinary(id) && idValue != nil {
				idValue = idText(id, idValue)
			}
		}
		for i, at := range l.keys {
			keys[i] = values[at]
		}
		for i, at := range l.cells {
			cells[i] = values[at]
		}
		return batch.Append(idValue, keys, cells)
	}
}
