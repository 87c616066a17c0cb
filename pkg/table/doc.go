// Package table is a MySQL or MariaDB table as cupid sees it: columns, rows, bounds
// and the server's clock. It knows nothing of events, of what a scan is for, or of
// the configuration file.
//
// # Model
//
// A [Pair] reads the rows of a source table and of its destination, a [Source]
// cuts the source into ranges. Neither touches a server before its first call.
// Both read the tables' metadata when it is a minute old, and after an error which says that
// a table changed; what is made of it stays as long as the same would be made again. A verdict
// does not hang on that: see [Pair.Unaltered]. [Check] says in words what the two would do.
// What a process does with many tables of one server goes through [Servers]: they share
// connections and the list of transactions, and none waits for another that hangs.
//
// # Reading
//
// Rows are read through the binary protocol by statements that stay prepared on
// their connection, straight from the driver's rows and without database/sql in
// between, which costs a quarter less CPU, through a read-ahead of 256 KiB. IN
// lists are padded to a few sizes, so that few statements exist; a list of integers
// without wide gaps is read as a range. Every query ends
// at the query timeout: the server is asked to end it, and the connection is
// closed a second later should it not.
//
// A session is pinned, whatever the server's defaults: utf8mb4, time zone +00:00,
// autocommit, read only, READ COMMITTED, no sql_select_limit, CHAR columns without
// padding. So two servers with different defaults give one value the same form.
//
// # Sweep
//
// A whole pair is compared in ranges of the join key, where both sides have an index
// that begins with it and sort it alike (SweepByKey). A range is added up on both sides at
// once by the servers, in parts where the key is one integer. Where the sums of a part differ, its rows are added up by
// groups from a stream of their hashes, and the rows of groups that differ are read: a group is a value of the key, where that is
// an integer of which at least every fourth value exists, else a hash of the key, taken of the same text as the sum, so that a row is in one
// group on either side, and no more hangs on it than which rows are read. Else ranges of the source's id
// are read, and the destination is asked for their keys (SweepByRow). The verdict on a row is
// always that of the comparison of rows; no order and no collation is relied on for it, since
// the ranges of a pass have every row of either side once.
//
// A sum is the XOR, over the rows, of hash(values) * (hash(key) ^ salt | 1), so that two rows
// that swap a value do not cancel out. Each value is printed such that two texts are equal
// exactly when the values are for pkg/row, and the texts are parted by a byte that no text in utf8mb4 has
// (columns of bytes have their lengths behind all); where SQL cannot say that (JSON by value, a number
// against text, a float against a decimal, floats with a tolerance) the pair has no sums. The hash is CRC32, of 32 bits,
// for even salts and CRC32C (MariaDB from 10.8 on) or else SHA-2 for odd ones: a changed row that
// one does not see, once in four thousand million, the other does. Between two MySQL it is always
// 64 bits of SHA-2, which costs them a fifth. A row counts once on either side; where the key is
// unique on neither there are no sums, since rows might cancel out, and where it is on the destination
// only, source rows that share a key make sums differ that are equal row by row.
//
// Where the key is the id, ranges of ids are added up for the scans, too. The rows of a large chunk in the
// order of the update column have ids all over the table, or, written in bulk, such that lie
// close together. SumUpdates reads the ids alone, and adds up each run of these on both sides, with
// at most as many others in between (40,000 ids cost 9 ms, and their sums 28 ms on two cores).
//
// Ranges of a key that is scattered over the primary key are read row by row from all over
// the table. Where it is on either side, and the key is unique on both, Sweep says
// SweepByBucket: both tables are read in the order of their own primary keys, a chunk being a
// range of each at the same time. First each row is streamed as one number, its key's CRC32 and
// the hash of its values, and added up in the bucket that the highest bits of the first name
// (AddUp); a row of the source adds, one of the destination takes off. Streamed, the rows of two
// equal tables cost the servers and cupid less than a GROUP BY of each chunk does (make
// bench-sweep), and on a slow link a tenth of what the rows would. When all chunks are in, a
// bucket that is not zero has rows that differ, or that changed between the looks at either side.
// So its rows are read again (ReadBuckets), and compared.
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
