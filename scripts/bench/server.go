package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/go-sql-driver/mysql"
	"github.com/jmoiron/sqlx"

	"github.com/masixun71/cupid/pkg/mariadb"
)

// mysqlEnv names a MySQL server, by a DSN of go-sql-driver whose account may create databases.
const mysqlEnv = "CUPID_TEST_MYSQL_DSN"

// server is where the tables are.
type server interface {
	DSN(database string) string
	CreateDatabase(ctx context.Context) (string, error)
	Close() error
}

// named is a server that somebody else runs. What was made there is removed again.
type named struct {
	config  *mysql.Config
	admin   *sqlx.DB
	created []string
}

// openNamed makes a server of a DSN.
func openNamed(dsn string) (*named, error) {
	config, err := mysql.ParseDSN(dsn)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", mysqlEnv, err)
	}
	n := &named{config: config}
	n.admin, err = sqlx.Open("mysql", n.DSN(""))
	return n, err
}

// DSN is the address of a database.
func (n *named) DSN(database string) string {
	c := n.config.Clone()
	c.DBName = database
	return c.FormatDSN()
}

// CreateDatabase makes an empty database of a new name.
func (n *named) CreateDatabase(ctx context.Context) (string, error) {
	name, err := mariadb.CreateDatabase(ctx, n.admin)
	if err == nil {
		n.created = append(n.created, name)
	}
	return name, err
}

// Close removes the databases.
func (n *named) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	var all error
	for _, name := range n.created {
		_, err := n.admin.ExecContext(ctx, "DROP DATABASE "+name)
		all = errors.Join(all, err)
	}
	return errors.Join(all, n.admin.Close())
}

// private is the server when it is ours, nil when it is a named one.
func (w *world) private() *mariadb.Server {
	s, _ := w.server.(*mariadb.Server)
	return s
}

// serverCPU is the time that the server has computed; 0 of a named one, whose process is
// not to be seen.
func (w *world) serverCPU() (time.Duration, error) {
	if s := w.private(); s != nil {
		return cpuOf(s.Pid())
	}
	return 0, nil
}
