package main

import (
	"context"
	"database/sql"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-sql-driver/mysql"
	"github.com/jmoiron/sqlx"
)

// maxConns bounds the connections to the database; "concurrency" in cupid's configuration is 8 by default.
const maxConns = 16

// errRow is a row that cannot be stored as it is: the caller's fault.
var errRow = errors.New("row does not fit")

// table writes rows into the destination. Safe for concurrent use.
type table struct {
	db      *sqlx.DB
	name    string
	columns []column
	key     []string
	types   map[string]string // DATA_TYPE of the destination's columns
	update  string
	insert  string
}

// openTable connects and reads the types of the columns.
func openTable(ctx context.Context, o options) (*table, error) {
	db, err := connect(o.dsn, o.zone)
	if err != nil {
		return nil, err
	}
	t := &table{db: db, name: o.table, columns: o.columns, key: o.key, types: map[string]string{}}
	if err := t.readTypes(ctx); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	// cupid sends the destination's rows in the zone of the destination, which need not be that of the sessions.
	if o.deletes && slices.ContainsFunc(o.key, func(k string) bool { return t.types[k] == "timestamp" }) {
		return nil, errors.Join(errors.New("-delete: the key has a TIMESTAMP, whose zone may be another one"), db.Close())
	}
	t.write()
	return t, nil
}

// connect sets the sessions up for what a callback carries.
func connect(c *mysql.Config, zone string) (*sqlx.DB, error) {
	c = c.Clone()
	if c.Params == nil {
		c.Params = map[string]string{}
	}
	if zone != "" {
		c.Params["time_zone"] = "'" + strings.NewReplacer(`\`, `\\`, "'", "''").Replace(zone) + "'"
	}
	// Strict: a value that does not fit is an error and is not cut. Whatever the source holds is let in, zero dates and an
	// id of 0 too.
	c.Params["sql_mode"] = "'STRICT_ALL_TABLES,NO_AUTO_VALUE_ON_ZERO'"
	// A row that is found counts as affected, changed or not.
	c.ClientFoundRows = true
	c.Timeout, c.ReadTimeout, c.WriteTimeout = callLimit, callLimit, callLimit
	connector, err := mysql.NewConnector(c)
	if err != nil {
		return nil, err
	}
	db := sqlx.NewDb(sql.OpenDB(connector), "mysql")
	db.SetMaxOpenConns(maxConns)
	db.SetMaxIdleConns(maxConns)
	db.SetConnMaxIdleTime(time.Minute)
	return db, nil
}

func (t *table) readTypes(ctx context.Context) error {
	var found []struct{ Name, Type string }
	err := t.db.SelectContext(ctx, &found, `SELECT COLUMN_NAME AS name, DATA_TYPE AS type
		FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME = ?`, t.name)
	if err != nil {
		return fmt.Errorf("read columns of %s: %w", t.name, err)
	}
	for _, c := range found {
		t.types[c.Name] = strings.ToLower(c.Type)
	}
	for _, c := range t.columns {
		if t.types[c.des] == "" {
			return fmt.Errorf("table %s has no column %s", t.name, c.des)
		}
	}
	return nil
}

// write makes the two statements of an upsert.
func (t *table) write() {
	var set, where, names, values []string
	for _, c := range t.columns {
		names, values = append(names, quote(c.des)), append(values, "?")
		set = append(set, quote(c.des)+" = ?")
	}
	for _, k := range t.key {
		where = append(where, quote(k)+" = ?")
	}
	t.update = fmt.Sprintf("UPDATE %s SET %s WHERE %s", quote(t.name), strings.Join(set, ", "), strings.Join(where, " AND "))
	t.insert = fmt.Sprintf("INSERT INTO %s (%s) VALUES (%s)", quote(t.name), strings.Join(names, ", "), strings.Join(values, ", "))
}

// repair writes a row of the source; when it returns nil the row is committed. The same row twice does no harm.
//
// Exactly one of the two statements writes, so each is a transaction of its own. This is not INSERT … ON DUPLICATE KEY
// UPDATE, which writes over a stranger's row when the two have the same value in another unique index. Here that is an
// error, and cupid calls again until the other row is repaired too. So it is when the pipeline inserts the row between
// the two statements.
func (t *table) repair(ctx context.Context, row map[string]any) error {
	all := make([]any, len(t.columns))
	key := make([]any, len(t.key))
	for i, c := range t.columns {
		v, ok := row[c.src]
		if !ok {
			return fmt.Errorf("%w: column %s is missing", errRow, c.src)
		}
		var err error
		if all[i], err = bind(t.types[c.des], v); err != nil {
			return fmt.Errorf("%w: column %s: %w", errRow, c.src, err)
		}
		if k := slices.Index(t.key, c.des); k >= 0 {
			if v == nil {
				return fmt.Errorf("%w: key column %s is NULL", errRow, c.src)
			}
			key[k] = all[i]
		}
	}
	result, err := t.db.ExecContext(ctx, t.update, slices.Concat(all, key)...)
	if err != nil {
		return fmt.Errorf("update: %w", err)
	}
	if found, err := result.RowsAffected(); err != nil || found > 0 {
		return err
	}
	if _, err := t.db.ExecContext(ctx, t.insert, all...); err != nil {
		return fmt.Errorf("insert: %w", err)
	}
	return nil
}

// remove deletes a row of the destination by its key; that it is gone already is just as well. To the server "Ada" may
// equal "ada", and "1x" equals the number 1. So a text finds the row by an index, and then has to be the same text.
func (t *table) remove(ctx context.Context, row map[string]any) error {
	var where []string
	var key []any
	for _, k := range t.key {
		if row[k] == nil {
			return fmt.Errorf("%w: key column %s is missing or NULL", errRow, k)
		}
		v, err := bind(t.types[k], row[k])
		if err != nil {
			return fmt.Errorf("%w: column %s: %w", errRow, k, err)
		}
		where, key = append(where, quote(k)+" = ?"), append(key, v)
		if _, ok := v.(string); ok {
			where, key = append(where, "CAST(CONVERT("+quote(k)+" USING utf8mb4) AS BINARY) = ?"), append(key, v)
		}
	}
	query := fmt.Sprintf("DELETE FROM %s WHERE %s", quote(t.name), strings.Join(where, " AND "))
	if _, err := t.db.ExecContext(ctx, query, key...); err != nil {
		return fmt.Errorf("delete: %w", err)
	}
	return nil
}

// bind makes a callback's value one of the destination column's type, so that it is compared and stored as that. A
// binary column takes base64, as which a binary column of the source is sent.
func bind(dataType string, v any) (any, error) {
	var text string
	switch v := v.(type) {
	case nil:
		return nil, nil //nolint:nilnil // NULL is a value
	case string:
		text = v
	case json.Number: // never a float64, which would round a large integer
		text = v.String()
	default:
		return nil, fmt.Errorf("a %T is no value of a column", v)
	}
	switch dataType {
	case "tinyint", "smallint", "mediumint", "int", "bigint", "bit", "year":
		if n, err := strconv.ParseInt(text, 10, 64); err == nil {
			return n, nil
		}
		if n, err := strconv.ParseUint(text, 10, 64); err == nil {
			return n, nil
		}
	case "binary", "varbinary", "tinyblob", "blob", "mediumblob", "longblob":
		return base64.StdEncoding.DecodeString(text)
	}
	return text, nil // the server reads the text of decimals, times and the rest
}

func quote(name string) string { return "`" + strings.ReplaceAll(name, "`", "``") + "`" }
