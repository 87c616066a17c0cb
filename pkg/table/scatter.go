package table

import (
	"context"
	"database/sql/driver"
	"fmt"
	"strings"
	"time"

	"github.com/masixun71/cupid/pkg/row"
)

const (
	// fewRows is how large a table is at least that is swept by buckets. A smaller one
	// is in memory, and no order of reading it is slow.
	fewRows = 50_000
	// neighbours is how many rows that are next to each other by key are looked at, and
	// farApart among how many by primary key they lie when the key is scattered. Ids that
	// several writers hand out from blocks of their own lie closer.
	neighbours, farApart = 100, 5000
	// weighFor is how long a choice stands; a table may grow.
	weighFor = time.Hour
)

// weighed is a choice between two ways to sweep a pair.
type weighed struct {
	of   *plan // the choice is made anew for another
	at   time.Time
	plan SweepPlan
}

// Sweep decides how the pair is swept, from the metadata of both sides and, where the
// join key is neither's primary key, a look at how it lies in the tables: ranges of a key
// that is scattered over the primary key are read row by row from all over the table,
// which takes several times as long as reading it in its own order. Where the two go
// together ranges are better, since both sides of a row are read at one time and what
// differs is known at once, not after the whole table.
func (p *Pair) Sweep(ctx context.Context) (SweepPlan, error) {
	pl, err := p.plan(ctx)
	if err != nil {
		return SweepPlan{}, err
	}
	if pl.sweep.buckets == nil {
		return pl.sweep.SweepPlan, nil
	}
	p.mu.Lock()
	last := p.weighed
	p.mu.Unlock()
	if last.of == pl && time.Since(last.at) < weighFor {
		return last.plan, nil
	}
	w := weighed{of: pl, at: time.Now(), plan: pl.sweep.SweepPlan}
	scattered, err := p.scattered(ctx, pl)
	if err != nil {
		return SweepPlan{}, p.failed(pl, err)
	}
	if w.plan.Sums, w.plan.Choice = pl.sweep.buckets.sums, true; scattered != "" {
		w.plan.Mode, w.plan.Why = SweepByBucket, fmt.Sprintf("sweep: both tables in the order of their primary keys, added up by buckets of byColumn %s, because %s; "+
			"rows are read where the sums of a bucket differ, at the end of a pass", quoteAll(p.o.Source.By), scattered)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.weighed = w
	return w.plan, nil
}

// scattered says on which side the key is scattered over the primary key; empty where
// it is on neither, or where buckets would gain nothing.
func (p *Pair) scattered(ctx context.Context, pl *plan) (string, error) {
	for _, on := range []row.Side{row.Source, row.Destination} {
		if large, err := p.side(on).large(ctx); err != nil || !large {
			return "", err
		}
	}
	for _, on := range []row.Side{row.Source, row.Destination} {
		index := pl.sweep.buckets.follows[on]
		if index == primaryIndex {
			continue
		}
		s := p.side(on)
		far, err := s.scattered(ctx, index, pl.ordered(on), pl.sweep.buckets.primary[on])
		if number(err) == errNoSuchIndex {
			return "", nil // it was dropped or hidden since the metadata was read; what follows from that is decided with the next
		}
		if err != nil || far {
			return fmt.Sprintf("index %s of %s is scattered over its primary key", quote(index), s.o.Name), err
		}
	}
	return "", nil
}

// large reports whether the table is worth the choice: many rows, kept in the order of
// its primary key.
func (s *side) large(ctx context.Context) (bool, error) {
	var of []struct {
		Engine *string `db:"engine"`
		Rows   *int64  `db:"rows_"`
	}
	err := s.list(ctx, &of, "ask for the table's engine and size",
		"SELECT ENGINE AS engine, TABLE_ROWS AS rows_ FROM information_schema.TABLES WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME = ?", s.o.Table)
	if err != nil || len(of) == 0 {
		return false, err
	}
	return deref(of[0].Engine) == "InnoDB" && deref(of[0].Rows) >= fewRows, nil
}

// scattered looks at both ends of the index, and above the keys of the first and the
// last row of the table. Half of these places decide.
func (s *side) scattered(ctx context.Context, index string, key, primary []keyColumn) (bool, error) {
	var starts []window
	for _, direction := range []string{"", " DESC"} {
		starts = append(starts, window{direction: direction})
		at, err := s.edgeOf(ctx, key, primary, direction)
		if err != nil {
			return false, err
		}
		if at != nil {
			starts = append(starts, window{above: at})
		}
	}
	far := 0
	for _, w := range starts {
		apart, err := s.farApart(ctx, index, key, primary[0], w)
		if err != nil {
			return false, err
		}
		if apart {
			far++
		}
	}
	return 2*far >= len(starts), nil
}

// window is where neighbours by key are taken from.
type window struct {
	direction string         // of the index
	above     []driver.Value // nil for its end
}

// edgeOf is the key of the first or the last row of the table that has one.
func (s *side) edgeOf(ctx context.Context, key, primary []keyColumn, direction string) (at []driver.Value, err error) {
	q := query{"SELECT " + columnList(key, "") + " FROM " + s.inPrimaryOrder() + " ORDER BY " + columnList(primary, direction) + " LIMIT 1", nil}
	err = s.read(ctx, "find the key of the table's edge", []query{q}, one(func(values []driver.Value) error {
		for i, v := range values {
			if v == nil {
				at = nil
				return nil
			}
			arg, err := idArg(key[i].column, idText(key[i].column, v))
			if err != nil {
				return err
			}
			at = append(at, arg)
		}
		return nil
	}))
	return at, err
}

func columnList(columns []keyColumn, direction string) string {
	names := make([]string, len(columns))
	for i, c := range columns {
		names[i] = quote(c.column.Name) + direction
	}
	return strings.Join(names, ", ")
}

// farApart reports whether neighbours by key are far apart by the first column of the
// primary key.
func (s *side) farApart(ctx context.Context, index string, key []keyColumn, first keyColumn, w window) (bool, error) {
	range_ := notNull(key)
	if w.above != nil {
		range_ = append(range_, tupleBound(key, w.above, ">"))
	}
	where, args := (&side{}).where(range_)
	name := quote(first.column.Name)
	var bounds []driver.Value
	err := s.read(ctx, "look at neighbours by key", []query{{
		fmt.Sprintf("SELECT MIN(p), MAX(p) FROM (SELECT %s AS p FROM %s FORCE INDEX (%s)%s ORDER BY %s LIMIT %d) AS n",
			name, quote(s.o.Table), quote(index), where, columnList(key, w.direction), neighbours), args,
	}}, one(func(values []driver.Value) error {
		for _, v := range values {
			if v == nil {
				return nil
			}
			arg, err := idArg(first.column, idText(first.column, v))
			if err != nil {
				return err
			}
			bounds = append(bounds, arg)
		}
		return nil
	}))
	if err != nil || len(bounds) < 2 {
		return false, err
	}
	apart := false
	err = s.read(ctx, "look at neighbours by primary key", []query{{
		fmt.Sprintf("SELECT COUNT(*) FROM (SELECT 1 FROM %s WHERE %s >= %s AND %s <= %s LIMIT %d) AS n",
			s.inPrimaryOrder(), name, first.param, name, first.param, farApart), bounds,
	}}, one(func(values []driver.Value) error {
		n, ok := values[0].(int64)
		apart = ok && n >= farApart
		return nil
	}))
	return apart, err
}
