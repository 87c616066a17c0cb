package config

import (
	"time"

	"github.com/masixun71/cupid/pkg/dsn"
	"github.com/masixun71/cupid/pkg/secret"
)

// Source is the table whose rows are right.
type Source struct {
	// Database address: mysql:host=127.0.0.1;port=3306;dbname=NAME as in PHP's PDO, or USER:PASSWORD@tcp(HOST:PORT)/NAME as in Go. Required.
	DSN dsn.DSN `json:"dsn"`
	// User name; it wins over one in dsn. Required here or in dsn.
	User string `json:"user"`
	// Password; it wins over one in dsn. Write ${NAME} to take it from the environment of the master. Required unless dsn names the user.
	Password secret.String `json:"password"`
	// PEM file with the certificates that vouch for the database server, as MYSQL_ATTR_SSL_CA in PDO: the connection is then encrypted and the server's name checked. Default none: as the dsn's tls says.
	CAFile string `json:"caFile,omitempty"`
	// Name of the table, in the database of dsn. Required, at most 64 characters.
	Table string `json:"table"`
	// Column that finds a row on both sides, or a list of at most 16 columns; as many as in byColumn of every destination. Required.
	ByColumn Names `json:"byColumn"`
	// Whether new rows are checked, by rising idColumn. Default false; at least one of insert, update and sweep must be true.
	Insert bool `json:"insert"`
	// How often new rows are looked for, in milliseconds. Default 2000, from 1 to 86400000.
	InsertIntervalMillisecond int `json:"insertIntervalMillisecond"`
	// How long a transaction may stay open and still have its rows found behind a higher id, in seconds. Default 300, from 1 to 604800. Used where the account cannot see the open transactions, or the source is a replica.
	InsertLateSecond int `json:"insertLateSecond"`
	// Whether changed rows are checked, by updateColumn. Default false.
	Update bool `json:"update"`
	// Column that holds when a row was last changed; it should have an index. Required with update.
	UpdateColumn string `json:"updateColumn"`
	// How often changed rows are looked for, in milliseconds. Default 2000, from 1 to 86400000.
	UpdateIntervalMillisecond int `json:"updateIntervalMillisecond"`
	// How far each look at changed rows reaches back behind the last one, in seconds. Required with update, from 1 to 31622400.
	UpdateScanSecond int `json:"updateScanSecond"`
	// Format of updateColumn where it is no date or time type, as a PHP date format whose text order is its time order (U is seconds since 1970). Default Y-m-d H:i:s.
	UpdateTimeFormat string `json:"updateTimeFormate"`
	// Whether the whole table is compared, again and again at low priority: this finds what insert and update cannot see. Default true.
	Sweep bool `json:"sweep"`
	// How long one sweep of the whole table should take, in seconds; the work is spread evenly over that time, and the next sweep begins when it is over. Default 86400, from 1 to 31622400. -once does not wait.
	SweepIntervalSecond int `json:"sweepIntervalSecond"`
	// Most rows that a sweep compares in a second. Default 0, no limit; at most 100000000. It holds for -once too.
	SweepRowPerSecond int `json:"sweepRowPerSecond"`
	// A sweep waits while more threads than that run on the server of the source or of the destination (Threads_running). Default 25, at most 100000; 0 switches it off. It holds for -once too.
	SweepThreadsRunning int `json:"sweepThreadsRunning"`
	// A sweep waits while the source or the destination is a replica that lags behind by more, in seconds. Default 10, at most 86400; 0 switches it off. A lag that the account cannot see (REPLICATION CLIENT, on MariaDB REPLICA MONITOR) does not stop it. It holds for -once too.
	SweepLagSecond int `json:"sweepLagSecond"`
	// Whether rows that only the destination has are called back too, as type 3. The sweep finds them. Default false.
	Delete bool `json:"delete"`
	// Most callbacks of type 3 of one pair within any 60 minutes, restarts included. Default 100, from 1 to 1000000. Beyond it cupid alerts and waits in place of calling back: an emptied source table shall not empty its copies.
	DeletePerHour int `json:"deletePerHour"`
	// Integer column that rises with new rows and is unique. Default id.
	IDColumn string `json:"idColumn"`
	// SQL condition on the source's rows, for example deleted = 0; rows outside of it are not checked. Default none. It is put into queries as it stands.
	Where string `json:"where,omitempty"`
	// Time zone of those who write DATETIME columns, as MySQL knows it: +08:00, Asia/Shanghai or SYSTEM. Default the server's own.
	TimeZone string `json:"timeZone,omitempty"`
	// The same as cacheFilePath at the top, where the original has it. Not with jobs.
	CacheFilePath string `json:"cacheFilePath,omitempty"`
	// The same as pushbearSendKey at the top, where the original has it. Not with jobs.
	PushbearSendKey secret.String `json:"pushbearSendKey,omitzero"`
}

// newSource returns a Source that holds the default of every key.
func newSource() Source {
	return Source{
		InsertIntervalMillisecond: DefaultScanIntervalMillisecond,
		InsertLateSecond:          DefaultInsertLateSecond,
		UpdateIntervalMillisecond: DefaultScanIntervalMillisecond,
		UpdateTimeFormat:          DefaultUpdateTimeFormat,
		Sweep:                     true,
		SweepIntervalSecond:       DefaultSweepIntervalSecond,
		SweepThreadsRunning:       DefaultSweepThreadsRunning,
		SweepLagSecond:            DefaultSweepLagSecond,
		DeletePerHour:             DefaultDeletePerHour,
		IDColumn:                  DefaultIDColumn,
	}
}

func (s *Source) fields() []field {
	return []field{
		{key: "dsn", into: &s.DSN, required: true},
		{key: "user", into: &s.User, aside: true},
		{key: "password", into: &s.Password, aside: true},
		{key: "caFile", into: &s.CAFile, aside: true},
		{key: "table", into: &s.Table, required: true},
		{key: "byColumn", into: &s.ByColumn, required: true, max: MaxKeyColumns},
		{key: "insert", into: &s.Insert, aside: true},
		{key: "insertIntervalMillisecond", into: &s.InsertIntervalMillisecond, min: MinIntervalMillisecond, max: MaxIntervalMillisecond, aside: true},
		{key: "insertLateSecond", into: &s.InsertLateSecond, min: 1, max: MaxInsertLateSecond, aside: true},
		{key: "update", into: &s.Update, aside: true},
		{key: "updateColumn", into: &s.UpdateColumn},
		{key: "updateIntervalMillisecond", into: &s.UpdateIntervalMillisecond, min: MinIntervalMillisecond, max: MaxIntervalMillisecond, aside: true},
		{key: "updateScanSecond", into: &s.UpdateScanSecond, min: 1, max: MaxUpdateScanSecond, aside: true},
		{key: "updateTimeFormate", into: &s.UpdateTimeFormat, aside: true},
		{key: "sweep", into: &s.Sweep, aside: true},
		{key: "sweepIntervalSecond", into: &s.SweepIntervalSecond, min: 1, max: MaxSweepIntervalSecond, aside: true},
		{key: "sweepRowPerSecond", into: &s.SweepRowPerSecond, max: MaxSweepRowPerSecond, aside: true},
		{key: "sweepThreadsRunning", into: &s.SweepThreadsRunning, max: MaxSweepThreadsRunning, aside: true},
		{key: "sweepLagSecond", into: &s.SweepLagSecond, max: MaxSweepLagSecond, aside: true},
		{key: "delete", into: &s.Delete},
		{key: "deletePerHour", into: &s.DeletePerHour, min: 1, max: MaxDeletePerHour, aside: true},
		{key: "idColumn", into: &s.IDColumn},
		{key: "where", into: &s.Where},
		{key: "timeZone", into: &s.TimeZone},
		{key: "cacheFilePath", into: &s.CacheFilePath, aside: true},
		{key: "pushbearSendKey", into: &s.PushbearSendKey, aside: true},
	}
}

// InsertInterval is InsertIntervalMillisecond as a duration.
func (s *Source) InsertInterval() time.Duration { return milliseconds(s.InsertIntervalMillisecond) }

// InsertLate is InsertLateSecond as a duration.
func (s *Source) InsertLate() time.Duration { return seconds(s.InsertLateSecond) }

// UpdateInterval is UpdateIntervalMillisecond as a duration.
func (s *Source) UpdateInterval() time.Duration { return milliseconds(s.UpdateIntervalMillisecond) }

// UpdateScan is UpdateScanSecond as a duration.
func (s *Source) UpdateScan() time.Duration { return seconds(s.UpdateScanSecond) }

// SweepInterval is SweepIntervalSecond as a duration.
func (s *Source) SweepInterval() time.Duration { return seconds(s.SweepIntervalSecond) }

// SweepLag is SweepLagSecond as a duration.
func (s *Source) SweepLag() time.Duration { return seconds(s.SweepLagSecond) }
