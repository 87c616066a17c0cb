// Package table is a MySQL or MariaDB table as cupid sees it: columns, rows, bounds
// and the server's clock. It knows nothing of events, of what a scan is for, or of
// the configuration file.
//
// # Model
//
// A [Pair] reads the rows of a source table and of its destination, a [Source]
// cuts the source into ranges. Neither touches a server before its first call.
// Both read the tables' metadata once, and again after an error which says that a
// table changed. [Check] says in words what the two would do.
//
// # Reading
//
// Rows are read through the binary protocol by statements that stay prepared on
// their connection, straight from the driver's rows and without database/sql in
// between, which costs a quarter less CPU, through a read-ahead of 256 KiB. IN
// lists are padded to a few sizes, so that few statements exist. Every query ends
// at the query timeout: the server is asked to end it, and the connection is
// closed a second later should it not.
//
// A session is pinned, whatever the server's defaults: utf8mb4, time zone +00:00,
// autocommit, read only, READ COMMITTED, no sql_select_limit, CHAR columns without
// padding. So two servers with different defaults give one value the same form.
//
// # Time zones
//
// A TIMESTAMP column holds an instant and is read in UTC. A DATETIME column holds
// what the clock on the wall of its writer showed, in the zone that TimeZone names,
// else in the default zone of its server. Where a TIMESTAMP is mapped to anything
// that has no zone (DATETIME, DATE, TIME, text), the TIMESTAMP is converted by its
// server into that zone (CONVERT_TZ). The hour that a clock passes twice when
// daylight saving time ends is one hour in such a column, for everybody. In
// payloads a TIMESTAMP stands in the zone of its side, as a client with default
// settings sees it.
//
// # Failures
//
// A [Fault] is what only a person can mend: access denied, no such database, table
// or column, a missing privilege. Every other error may pass, and the caller tries
// again. No error holds a password.
package table
