// Package queue is a durable queue of records by identity, in one SQLite file.
// It knows nothing of events, HTTP or MySQL: a record is a group, a key, an
// opaque payload and the time when it is due.
//
// # Model
//
// An identity is (group, key). There is at most one record for it: a later
// [Queue.Put] takes the place of the payload ("newest wins") and keeps when the
// identity was first seen, how often it was tried and when it is due, so that a
// row that keeps failing does not escape its backoff. Every write of a record
// gives it a Version that no record of this queue has had before.
// [Queue.Apply] changes or removes a record only if it still has the version
// that the caller has seen.
//
// The queue locks no record. The one process that has it open knows which
// records it is working on and hands [Queue.Due] a function that skips them.
//
// # Promises
//
// What Put or Apply has acknowledged with a nil error is on disk: WAL,
// synchronous=FULL, one transaction a call. On an error nothing of the call is
// visible, and the queue goes on working; only a call that failed during its
// commit may, after a crash, turn out to have been written.
//
// No more than [Options.Limit] records are held. What is over is refused with
// [ErrFull] and never dropped. The file shrinks when a backlog is gone.
//
// On a full disk Put fails and Apply goes on: taking a record out needs room as well, so
// 16 MiB are kept for it in "<path>.reserve". Once they are used, Put fails until they
// are there again.
//
// # Failures
//
// Each row carries a CRC-32C of everything in it. A row whose checksum is wrong
// is moved to the table "damaged", reported through [Options.Damaged], and
// never returned.
//
// A file that is no queue any more (empty, truncated, garbage, malformed,
// written by a newer schema) is kept as "<path>.damaged-<UTC time>", its -wal
// and -shm beside it, and reported through [Options.Replaced]. The new file
// gets every row of the old one that can still be read and has the right
// checksum. That happens in Open, and once while the queue is in use.
//
// # Power loss
//
// What is assumed of a disk: after fsync has returned, the bytes of the file and its
// length are there; after fsync of the directory its names are; a rename is in one
// piece; a write of one sector does not change its neighbours. Nothing is assumed of
// the order in which the rest comes to the disk, nor that a write of several sectors is
// in one piece. A disk that confirms a sync and has not made it can lose what was
// acknowledged. SQLite has its own list at https://sqlite.org/atomiccommit.html.
//
//	power goes                                   found by the next Open
//	while the first file is made                 <path>.new, removed; or the empty queue
//	before the sync of a commit is over          the WAL ends, by SQLite's checksums, with the commit before
//	                                             or with this one, which nobody was told of
//	after that                                   the commit, in the WAL
//	while a checkpoint copies into the file      half of it in the file, all of it in the WAL: copied again
//	while the WAL is begun anew or cut back      frames of the old WAL have another salt and are not read
//	between the removal of the WAL by Close      the WAL again: what it has is in the file as well
//	and the sync of the directory
//	while a file is replaced                     as drawn in file.go
//
// TestPowerLoss and its like record what the package does to its files, make every
// directory that a cut could leave (package powercut), and open each with Open. With
// synchronous=OFF, with NORMAL, and without the sync of the directory they fail.
//
// # File
//
// SQLite, application_id 0x63755131 ("cuQ1"), user_version 1:
//
//	record    grp TEXT, key BLOB, payload BLOB, due, attempts, version, first_seen, crc
//	          primary key (grp, key); index (grp, due)
//	damaged   the columns of record, found_at, reason
//	meta      seq: the highest version given so far
//	depth     grp, n: how many records the group has; kept, so that none are counted at a start
//
// Times are milliseconds since 1970. crc is CRC-32C (Castagnoli) over:
//
//	+-----------+-----+-----------+-----+---------------+---------+-----+----------+---------+------------+
//	| len(grp)  | grp | len(key)  | key | len(payload)  | payload | due | attempts | version | first_seen |
//	| 8 bytes   |     | 8 bytes   |     | 8 bytes       |         | 8   | 8        | 8       | 8          |
//	+-----------+-----+-----------+-----+---------------+---------+-----+----------+---------+------------+
//
// with every number big-endian. "<path>.lock" is locked (flock) while the queue
// is open and is never removed; "<path>.new" and "<path>.rescued-<UTC time>"
// exist only while a file is being made.
//
// # Concurrency
//
// A Queue is safe for concurrent use; calls take turns. A context ends the wait
// for the turn; what has begun is finished.
package queue
