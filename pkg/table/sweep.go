package table

import (
	"context"
	"fmt"
	"hash/crc32"
	"slices"
	"strings"

	"github.com/masixun71/cupid/pkg/chunk"
	"github.com/masixun71/cupid/pkg/row"
)

// SweepMode is how a whole pair can be compared, which decides what the bounds of
// the chunks of a sweep are. Those of one mode mean nothing in the other, so a
// position that is kept has to be kept with its mode.
type SweepMode int

const (
	// SweepByKey reads ranges of the join key, in the order of an index that both
	// sides have. Bounds are texts of keys (row.Key.MarshalText). Rows with a NULL
	// in their key, which can match none, are left out on both sides; NullRows counts them.
	SweepByKey SweepMode = iota
	// SweepByRow reads ranges of the source's id column and asks the destination for
	// the keys of their rows. Bounds are ids, as in an insert scan, and rows without an id
	// are left out; NullRows counts them. It sees no orphans.
	SweepByRow
	// SweepByBucket reads both tables in the order of their primary keys and adds their
	// rows up by buckets of the join key, then the rows of buckets that differ. Bounds are
	// places in both tables, which CutBuckets makes; chunks say which of the two is to be done
	// (chunk.Stage).
	SweepByBucket
)

// String is the mode's word, for caches and logs.
func (m SweepMode) String() string {
	switch m {
	case SweepByRow:
		return "row"
	case SweepByBucket:
		return "bucket"
	case SweepByKey:
	}
	return "key"
}

// SweepPlan is how a pair is swept.
type SweepPlan struct {
	// Mode says what the bounds of a chunk are made of.
	Mode SweepMode
	// Checksum says that Sums works; else both sides are read with ReadBoth.
	Checksum bool
	// Divisible says that Parts divides large chunks: larger ones cost less then. Inserts says
	// that large ones of an insert or update scan are compared by checksums, too.
	Divisible, Inserts bool
	// Orphans says that rows which only the destination has are seen.
	Orphans bool
	// Why says in words how the pair is swept, and what keeps it from a faster way.
	Why string
	// Key identifies the columns that bounds are made of, and how they are compared: a position that
	// was kept with another means nothing.
	Key string
	// Choice says that the pair can be swept by key and by bucket, and Mode which is
	// likely to be faster. Sums names what the buckets add up: what was added up under
	// another name cannot be joined.
	Choice bool
	Sums   string
}

// Ranges is how the pair is swept by ranges of keys or rows: Sweep without the choice of buckets.
func (p *Pair) Ranges(ctx context.Context) (SweepPlan, error) {
	pl, err := p.plan(ctx)
	if err != nil {
		return SweepPlan{}, err
	}
	return pl.sweep.SweepPlan, nil
}

// sweepPlan is a plan's part for the sweep.
type sweepPlan struct {
	SweepPlan
	order   []int // the key's columns as the index has them; nil when it is swept by row
	steps   bool  // the key is one whole number, of which no two source rows have the same
	sums    summer
	buckets *bucketPlan // nil when it cannot be swept by buckets
}

// sweep decides how the pair is swept.
func (b planner) sweep(pl *plan, keys, columns []columnPair) sweepPlan {
	s := sweepPlan{sums: b.summer(keys, columns)}
	order, follows, why := b.order(keys)
	s.Key = b.boundKey(pl, keys, order)
	if why != "" {
		s.Mode = SweepByRow
		s.Why = fmt.Sprintf("sweep: ranges of idColumn %s, the destination is asked for each row's key, because %s; orphans are not seen",
			quote(pl.id.Name), why)
		return s
	}
	s.Mode, s.order, s.Orphans = SweepByKey, order, true
	s.steps = len(keys) == 1 && isInteger(keys[0].rule.Source()) && b.src.uniqueOn(b.p.o.Source.By...)
	s.Why = "sweep: ranges of byColumn " + quoteAll(b.p.o.Source.By)
	why = unfit(slices.Concat(keys, columns))
	if !b.src.uniqueOn(b.p.o.Source.By...) && !b.des.uniqueOn(b.p.o.Destination.By...) {
		why = "byColumn is unique on neither side, so that rows with one key may cancel out"
	}
	if s.Checksum = why == ""; s.Checksum {
		s.Why += ", rows are read where the checksums of the sides differ"
		s.Divisible = len(keys) == 1 && isInteger(keys[0].rule.Source()) && isInteger(keys[0].rule.Destination())
		s.Inserts = s.Divisible && keys[0].rule.Source().Name == pl.id.Name // a range of ids is one of keys
	} else {
		s.Why += ", all rows are read, because " + why
	}
	for i, on := range []*side{b.p.src, b.p.des} {
		if follows[i] != primaryIndex {
			s.Why += fmt.Sprintf("; %s is read in the order of index %s, which is slower than that of the primary key", on.o.Name, quote(follows[i]))
		}
	}
	s.buckets = b.buckets(s, keys, follows)
	return s
}

// boundKey is a hash of what the bounds of any mode are made of: the tables, the columns of the key with their rules
// and in their order, none where it is swept by row, the id column, and the primary keys.
func (b planner) boundKey(pl *plan, keys []columnPair, order []int) string {
	o := b.p.o
	text := []string{fmt.Sprint(order), o.Source.Table, o.Destination.Table, pl.id.Name, pl.id.ColumnType}
	text = append(append(append(text, o.Source.By...), ""), o.Destination.By...)
	for _, cp := range keys {
		text = append(text, cp.rule.Describe())
	}
	for _, m := range []*meta{b.src, b.des} {
		text = append(text, "")
		for _, c := range m.primaryColumns() {
			text = append(text, c.column.Name, c.column.ColumnType)
		}
	}
	return fmt.Sprintf("%08x", crc32.ChecksumIEEE([]byte(strings.Join(text, "\x00"))))
}

// fits returns chunk.ErrUnfit for the bounds of a sweep that were made by other metadata. Who has cut the chunk and who
// reads it notice that a table was altered one after the other.
func (pl *plan) fits(c chunk.Chunk) error {
	if c.Key != "" && c.Key != pl.sweep.Key {
		return chunk.ErrUnfit
	}
	return nil
}

// unfit names the columns that no checksum can compare; empty if there is none.
func unfit(pairs []columnPair) string {
	var words []string
	for _, cp := range pairs {
		if w := cp.rule.Describe(); cp.rule.Shape() == row.ShapeNone && !slices.Contains(words, w) {
			words = append(words, w)
		}
	}
	if len(words) == 0 {
		return ""
	}
	return "a checksum cannot express " + strings.Join(words, ", ")
}

// order is the order of the key's columns in an index of both sides, with the names of
// the two; or else why there is no common order.
func (b planner) order(keys []columnPair) (order []int, follows [2]string, why string) {
	for _, cp := range keys {
		if !sameOrder(cp.rule.Source(), cp.rule.Destination()) {
			return nil, follows, "the sides do not sort alike by " + cp.rule.Describe()
		}
	}
	src, des := b.src.orders(b.p.o.Source.By), b.des.orders(b.p.o.Destination.By)
	for _, s := range []struct {
		orders []ordering
		side   *side
	}{{src, b.p.src}, {des, b.p.des}} {
		if len(s.orders) == 0 {
			return nil, follows, fmt.Sprintf("no index of %s begins with byColumn %s", s.side.o.Name, quoteAll(s.side.o.By))
		}
	}
	for _, x := range src {
		i := slices.IndexFunc(des, func(y ordering) bool { return slices.Equal(x.order, y.order) })
		if i < 0 {
			continue
		}
		return x.order, [2]string{x.index, des[i].index}, ""
	}
	return nil, follows, "no two indexes of the sides have byColumn's columns in one order"
}

const primaryIndex = "PRIMARY"

// ordering is an index that begins with the key's columns: order[i] is which of them
// is the index's column i.
type ordering struct {
	index string
	order []int
}

// orders are the indexes that reads may use and that begin with all of by, the primary key first.
func (m *meta) orders(by []string) []ordering {
	var all []ordering
	for _, x := range m.indexes {
		if x.hidden || len(x.columns) < len(by) {
			continue
		}
		o := ordering{index: x.name}
		for _, c := range x.columns[:len(by)] {
			i := slices.IndexFunc(by, func(name string) bool { return strings.EqualFold(name, c) })
			if i < 0 || slices.Contains(o.order, i) {
				break
			}
			o.order = append(o.order, i)
		}
		switch {
		case len(o.order) < len(by):
		case x.name == primaryIndex:
			all = slices.Insert(all, 0, o)
		default:
			all = append(all, o)
		}
	}
	return all
}

// sameOrder reports whether two columns sort their values alike, and compare them with
// a bound as they sort them. A wrong answer would cost speed and no row: the ranges of
// a pass cover everything on either side, whatever the order.
func sameOrder(a, b row.Column) bool {
	both := func(is func(row.Column) bool) bool { return is(a) && is(b) }
	switch {
	case a.JSON || b.JSON:
		return false
	case both(isInteger):
		return a.DataType != "year" && b.DataType != "year" // which reads a bound of 0 to 99 as a year of our time
	case both(isDecimal):
		return true
	case both(isText):
		// An ENUM sorts by number and compares by text.
		sorts := func(c row.Column) bool { return c.DataType != "enum" && c.DataType != "set" && c.Collation != "" }
		return both(sorts) && a.Charset == b.Charset && a.Collation == b.Collation
	case both(isBinary):
		return a.DataType != "bit" && b.DataType != "bit"
	case both(isTemporal):
		return a.DataType == b.DataType && a.FSP == b.FSP
	}
	return false
}

func isDecimal(c row.Column) bool { return c.DataType == "decimal" || c.DataType == "numeric" }
