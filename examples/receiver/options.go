package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/go-sql-driver/mysql"

	"github.com/masixun71/cupid/pkg/secret"
	"github.com/masixun71/cupid/pkg/webhook"
)

const usage = `receiver repairs the rows that cupid calls back about.

  -listen ADDRESS        where to listen (default 127.0.0.1:20000)
  -dsn DSN               the destination's database: USER@tcp(HOST:PORT)/DATABASE
  -table NAME            the destination's table
  -columns SRC=DES,...   as "columns" in cupid's configuration
  -key DES,...           as the destination's "byColumn"; it should be unique there
  -delete                delete rows that the source does not have ("delete" in cupid's configuration); refused otherwise
  -time-zone ZONE        the zone in which TIMESTAMP values come, which must be that of the source's writers: "timeZone"
                         of "src" in cupid's configuration, +08:00 (default: the destination server's own)

From the environment, since everybody can read an argument list:
  RECEIVER_PASSWORD      the password of the database
  RECEIVER_SECRET        the signing secret, "secret" in cupid's configuration; without one calls are not checked
  RECEIVER_SECRET_OLD    the secret before it, while the new one takes its place
`

// column is a column of the source with that of the destination.
type column struct{ src, des string }

// options are the command line with the environment.
type options struct {
	listen  string
	dsn     *mysql.Config
	table   string
	columns []column
	key     []string // of the destination
	deletes bool
	zone    string // of the sessions; empty: the server's default
	secrets []secret.String
}

func parse(args []string, getenv func(string) string) (options, error) {
	var o options
	f := flag.NewFlagSet("receiver", flag.ContinueOnError)
	f.SetOutput(io.Discard)
	f.StringVar(&o.listen, "listen", "127.0.0.1:20000", "")
	f.StringVar(&o.table, "table", "", "")
	f.BoolVar(&o.deletes, "delete", false, "")
	f.StringVar(&o.zone, "time-zone", "", "")
	dsn, columns, key := f.String("dsn", "", ""), f.String("columns", "", ""), f.String("key", "", "")
	if err := f.Parse(args); err != nil {
		return o, err
	}
	switch {
	case f.NArg() > 0:
		return o, fmt.Errorf("what is %q? receiver -help shows what there is", f.Arg(0))
	case *dsn == "" || o.table == "" || *columns == "" || *key == "":
		return o, errors.New("-dsn, -table, -columns and -key are needed; receiver -help says more")
	}
	var err error
	if o.dsn, err = mysql.ParseDSN(*dsn); err != nil {
		return o, fmt.Errorf("-dsn: %w", err)
	}
	if o.dsn.Passwd != "" {
		return o, errors.New("-dsn: the password would stand in the argument list; put it into RECEIVER_PASSWORD")
	}
	o.dsn.Passwd = getenv("RECEIVER_PASSWORD")
	o.key = strings.Split(*key, ",")
	if o.columns, err = parseColumns(*columns, o.key); err != nil {
		return o, err
	}
	for _, name := range []string{"RECEIVER_SECRET", "RECEIVER_SECRET_OLD"} {
		s := secret.New(getenv(name))
		if s.IsZero() {
			continue
		}
		if err := webhook.CheckSecret(s); err != nil {
			return o, fmt.Errorf("%s: %w", name, err)
		}
		o.secrets = append(o.secrets, s)
	}
	return o, nil
}

func parseColumns(text string, key []string) ([]column, error) {
	var columns []column
	for pair := range strings.SplitSeq(text, ",") {
		src, des, ok := strings.Cut(pair, "=")
		if !ok || src == "" || des == "" {
			return nil, fmt.Errorf("-columns: %q is not SRC=DES", pair)
		}
		columns = append(columns, column{src: src, des: des})
	}
	for _, k := range key {
		if !slices.ContainsFunc(columns, func(c column) bool { return c.des == k }) {
			return nil, fmt.Errorf("-key: column %q is not a destination column of -columns", k)
		}
	}
	return columns, nil
}
