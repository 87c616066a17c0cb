package table

import (
	"time"

	"github.com/masixun71/cupid/pkg/dsn"
)

// Defaults of SideOptions.
const (
	DefaultQueryTimeout   = 30 * time.Second
	DefaultConnectTimeout = 10 * time.Second
	DefaultMaxConns       = 2
	DefaultIDColumn       = "id"
)

// DefaultBatchBytes is how many bytes of rows are read at a time from a side.
const DefaultBatchBytes = 32 << 20

// SideOptions describe one table and how to reach it.
type SideOptions struct {
	// Name stands before every error, such as "orders: src".
	Name string
	// DSN is where the server is and who logs in.
	DSN dsn.DSN
	// CA are the certificates, as PEM, that vouch for the server: then the connection is
	// encrypted and the server's name checked. Empty is what the dsn's tls says.
	CA string
	// Table is the table's name, without its database.
	Table string
	// By are the columns that join the two sides, in the same order on both.
	By []string
	// IDColumn is the column that the insert scan follows; "id" by default. It
	// should be unique. It has no meaning on a destination.
	IDColumn string
	// UpdateColumn holds the time of a row's last change; empty when there is no
	// update scan.
	UpdateColumn string
	// UpdateFormat is the PHP date format of UpdateColumn's values where that is no
	// temporal column. "Y-m-d H:i:s" by default.
	UpdateFormat string
	// Where is an SQL condition that rows have to meet to exist for cupid; may be
	// empty.
	Where string
	// TimeZone is the session time zone of those who write the table ("+08:00",
	// "Asia/Shanghai"); empty is the server's default. See the package comment.
	TimeZone string
	// QueryTimeout ends a query; 30 s by default.
	QueryTimeout time.Duration
	// ConnectTimeout ends an attempt to connect; 10 s by default.
	ConnectTimeout time.Duration
	// MaxConns bounds the open connections; 2 by default.
	MaxConns int
	// Altered, when set, hears of what has changed in a table since it was looked at last.
	Altered func(Change)
	// Servers is what is shared with other tables on the same server; nil is nothing.
	Servers *Servers
}

func (o SideOptions) withDefaults() SideOptions {
	if o.IDColumn == "" {
		o.IDColumn = DefaultIDColumn
	}
	if o.UpdateFormat == "" {
		o.UpdateFormat = "Y-m-d H:i:s"
	}
	if o.QueryTimeout <= 0 {
		o.QueryTimeout = DefaultQueryTimeout
	}
	if o.ConnectTimeout <= 0 {
		o.ConnectTimeout = DefaultConnectTimeout
	}
	if o.MaxConns <= 0 {
		o.MaxConns = DefaultMaxConns
	}
	return o
}

// ColumnPair maps a column of the source to one of the destination.
type ColumnPair struct {
	// Src is the column's name in the source.
	Src string
	// Des is its name in the destination.
	Des string
	// Tolerance is how far apart two values may be and still be equal, for floats; 0
	// for none.
	Tolerance float64
}

// PairOptions describe a source and a destination.
type PairOptions struct {
	// Name is the pair's name.
	Name string
	// Source and Destination are the two sides. Their By have the same length.
	Source, Destination SideOptions
	// Columns are the columns that are compared.
	Columns []ColumnPair
	// BatchBytes bounds the rows of one read in memory, those of a side: a read that meets more
	// fails with a row.TooLarge, and is to be made of fewer rows. One row of any size is read.
	// DefaultBatchBytes by default.
	BatchBytes int
}
