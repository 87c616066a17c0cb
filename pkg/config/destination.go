package config

import (
	"encoding/json"
	"fmt"
	"net/url"
	"time"

	"github.com/masixun71/cupid/pkg/dsn"
	"github.com/masixun71/cupid/pkg/secret"
)

// Destination is a table that should hold what the source holds.
type Destination struct {
	// Name of the destination in logs, cursors and status. Default DATABASE.TABLE; at most 200 bytes, unique in its job. A new name starts a new cursor.
	Name string `json:"name"`
	// Database address, in the same forms as that of the source. Required.
	DSN dsn.DSN `json:"dsn"`
	// User name; it wins over one in dsn. Required here or in dsn.
	User string `json:"user"`
	// Password; it wins over one in dsn. Write ${NAME} to take it from the environment of the master. Required unless dsn names the user.
	Password secret.String `json:"password"`
	// PEM file with the certificates that vouch for the database server, as MYSQL_ATTR_SSL_CA in PDO: the connection is then encrypted and the server's name checked. Default none: as the dsn's tls says.
	CAFile string `json:"caFile,omitempty"`
	// Name of the table, in the database of dsn. Required, at most 64 characters.
	Table string `json:"table"`
	// Column that finds the row of a source row, or a list of columns in the order of the source's byColumn; it should have an index. Required.
	ByColumn Names `json:"byColumn"`
	// Columns to compare, each column of the source with that of the destination. Required.
	Columns Columns `json:"columns"`
	// How far apart equal values of a FLOAT or DOUBLE column may be, by the source's name of the column, out of columns: {"price": 0.001}. It is an absolute difference, above 0. At most 32 columns; default none: floats are compared exactly. The other side is FLOAT, DOUBLE or DECIMAL.
	Tolerance Tolerances `json:"tolerance,omitempty"`
	// Time zone of those who write DATETIME columns, as MySQL knows it: +08:00, Asia/Shanghai or SYSTEM. Default the server's own.
	TimeZone string `json:"timeZone,omitempty"`
	// Columns of the source, out of columns and byColumn, whose differing values are logged as ***. Default none. The key of a row is logged all the same.
	MaskColumns []string `json:"maskColumns,omitempty"`
	// Who is called when a row diverges. Required.
	CallbackNotification CallbackNotification `json:"callbackNotification"`
}

// CallbackNotification is who is called when a row diverges. It prints and
// marshals with URLForLog in place of URL.
type CallbackNotification struct {
	// HTTP or HTTPS address that takes the POST; without a scheme it is http. Required.
	URL string `json:"url"`
	// PEM file with the certificates that vouch for an HTTPS receiver, in place of the system's. Default none.
	CAFile string `json:"caFile,omitempty"`
	// How long one call may take, in seconds. Default 15, from 1 to 300.
	TimeoutSecond int `json:"timeoutSecond"`
	// Most calls to this address at the same time, each for another row. Default 8, from 1 to 256.
	Concurrency int `json:"concurrency"`
	// Headers to send besides cupid's own, such as Authorization. At most 50.
	Headers map[string]secret.String `json:"headers,omitempty"`
	// Signing secret of Standard Webhooks, or a list of two while one replaces the other: whsec_ with 24 to 64 bytes in base64, or plain text of at least 16 bytes. Default none: calls are not signed.
	Secret Secrets `json:"secret,omitempty"`
	// Whether all values in the body are strings, as the original sent them under older PHP. Default false.
	ValuesAsString bool `json:"valuesAsString"`
	// How long the receiver has to repair a row that it accepted, before the row is compared again, in seconds. Default 5, at most 86400; at least settleMillisecond passes.
	RepairGraceSecond int `json:"repairGraceSecond"`
	// Longest wait between two attempts, in seconds; the first is about one second, and it doubles. Default 300, from 1 to 86400.
	RetryMaxSecond int `json:"retryMaxSecond"`
	// From how many newly diverged rows within a minute on the pipeline of the pair is taken for down, provided that they are ten times as many as usual: one alert tells so, and the pair's calls are held back until it is over. Default 1000, at most 1000000; 0: never.
	StormRowPerMinute int `json:"stormRowPerMinute"`
	// Most calls for the pair in a second meanwhile. Default 50, from 1 to 10000.
	StormCallbackPerSecond int `json:"stormCallbackPerSecond"`
}

// newDestination returns a Destination that holds the default of every key.
func newDestination() Destination {
	return Destination{CallbackNotification: CallbackNotification{
		TimeoutSecond:          DefaultTimeoutSecond,
		Concurrency:            DefaultConcurrency,
		RepairGraceSecond:      DefaultRepairGraceSecond,
		RetryMaxSecond:         DefaultRetryMaxSecond,
		StormRowPerMinute:      DefaultStormRowPerMinute,
		StormCallbackPerSecond: DefaultStormCallbackPerSecond,
	}}
}

func (d *Destination) fields() []field {
	return []field{
		{key: "name", into: &d.Name, aside: true},
		{key: "dsn", into: &d.DSN, required: true},
		{key: "user", into: &d.User, aside: true},
		{key: "password", into: &d.Password, aside: true},
		{key: "caFile", into: &d.CAFile, aside: true},
		{key: "table", into: &d.Table, required: true},
		{key: "byColumn", into: &d.ByColumn, required: true, max: MaxKeyColumns},
		{key: "columns", into: &d.Columns, required: true, max: MaxColumns},
		{key: "tolerance", into: &d.Tolerance, max: MaxTolerances},
		{key: "timeZone", into: &d.TimeZone},
		{key: "maskColumns", into: &d.MaskColumns, max: MaxColumns, aside: true},
		{key: "callbackNotification", into: &d.CallbackNotification, required: true, aside: true},
	}
}

func (n *CallbackNotification) fields() []field {
	return []field{
		{key: "url", into: &n.URL, required: true},
		{key: "caFile", into: &n.CAFile},
		{key: "timeoutSecond", into: &n.TimeoutSecond, min: 1, max: MaxTimeoutSecond},
		{key: "concurrency", into: &n.Concurrency, min: 1, max: MaxConcurrency},
		{key: "headers", into: &n.Headers, max: MaxHeaders},
		{key: "secret", into: &n.Secret, max: MaxSigningSecrets},
		{key: "valuesAsString", into: &n.ValuesAsString},
		{key: "repairGraceSecond", into: &n.RepairGraceSecond, max: MaxRepairGraceSecond},
		{key: "retryMaxSecond", into: &n.RetryMaxSecond, min: 1, max: MaxRetryMaxSecond},
		{key: "stormRowPerMinute", into: &n.StormRowPerMinute, max: MaxStormRowPerMinute},
		{key: "stormCallbackPerSecond", into: &n.StormCallbackPerSecond, min: 1, max: MaxStormCallbackPerSecond},
	}
}

// Timeout is TimeoutSecond as a duration.
func (n *CallbackNotification) Timeout() time.Duration { return seconds(n.TimeoutSecond) }

// RepairGrace is RepairGraceSecond as a duration.
func (n *CallbackNotification) RepairGrace() time.Duration { return seconds(n.RepairGraceSecond) }

// RetryMax is RetryMaxSecond as a duration.
func (n *CallbackNotification) RetryMax() time.Duration { return seconds(n.RetryMaxSecond) }

// URLForLog returns URL without its login, query and fragment, where tokens
// stand. A URL that cannot be parsed is all stars.
func (n CallbackNotification) URLForLog() string {
	if n.URL == "" {
		return ""
	}
	u, err := url.Parse(n.URL)
	if err != nil || u.Host == "" {
		return secret.Stars
	}
	return (&url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path, RawPath: u.RawPath}).String()
}

// masked has the fields of CallbackNotification and not its methods, so that it
// is printed field by field.
type masked CallbackNotification

func (n CallbackNotification) masked() masked {
	n.URL = n.URLForLog()
	return masked(n)
}

// MarshalJSON marshals n without its secrets.
func (n CallbackNotification) MarshalJSON() ([]byte, error) { return json.Marshal(n.masked()) }

// Format prints n without its secrets.
func (n CallbackNotification) Format(state fmt.State, verb rune) {
	_, _ = fmt.Fprintf(state, fmt.FormatString(state, verb), n.masked())
}
