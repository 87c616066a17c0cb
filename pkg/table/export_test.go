package table

import (
	"context"
	"database/sql/driver"

	"github.com/jmoiron/sqlx"

	"github.com/masixun71/cupid/pkg/row"
)

// Query is a statement with its arguments.
type Query struct {
	Text string
	Args []driver.Value
}

// DestinationQueries are what ReadDestination sends.
func (p *Pair) DestinationQueries(ctx context.Context, keys []row.Key) ([]Query, error) {
	pl, err := p.plan(ctx)
	if err != nil {
		return nil, err
	}
	args, err := pl.keyArgs(keys)
	var queries []Query
	for _, q := range inQueries(p.des, &pl.des, pl.desKeys, args) {
		queries = append(queries, Query{q.text, q.args})
	}
	return queries, err
}

// UseDB replaces the pools of both sides before their first use.
func (p *Pair) UseDB(src, des *sqlx.DB) { p.src.open, p.des.open = give(src), give(des) }

// UseDB replaces the pool before its first use.
func (s *Source) UseDB(db *sqlx.DB) { s.side.open = give(db) }

func give(db *sqlx.DB) func(SideOptions) (*sqlx.DB, error) {
	return func(SideOptions) (*sqlx.DB, error) { return db, nil }
}
