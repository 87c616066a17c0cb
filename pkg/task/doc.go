// Package task is a task worker: it compares chunks. It reads both sides of a
// chunk, waits for the settle time where they differ, reads what differed again,
// and hands what is confirmed on as events. It keeps no cursor, owns no queue and
// calls nobody.
//
// # Model
//
// A worker asks for chunks when it has room and works on several at a time: while
// one settles, or waits until its events are durable, others are read. How many are in
// hand is bounded, and so is how many
// of one pair read at once, so that a dead database delays its own pair. A chunk is reported done when every row of it is equal on both
// sides, healed, or an event that the callback worker has on disk.
//
// # Memory
//
// Rows may be of any size. A read that meets more bytes than are allowed at a time fails, and is made
// of fewer rows: see fit.
//
// # Checksums
//
// A sweep's chunk is compared by checksums, then by those of groups of its rows, and rows
// are read where these differ, a portion at a time: see course and Worker.sweep. So is a full
// chunk of an insert scan, without groups, where the pair has checksums of ranges of ids, and a large
// one of an update scan as far as its ids lie close together. A checksum decides which rows are read. The verdict on a row is that of its comparison.
//
// A sweep by buckets has chunks that are only added up, and others of which the rows of the
// buckets that differ are compared. The two halves of such a row need not be in one chunk;
// what is missing here is asked for by its key.
//
// # Suspects
//
// A row that differs is looked at again after the settle time, both sides read
// anew, the destination before the source: see event.Judge, which decides whether it is an event
// then. A row whose key has changed begins anew with the look that finds it. A row that keeps
// moving is looked at again, and after maxLooks looks given to the callback worker
// as one to watch, so that a hot row does not hold up its chunk for ever. What cannot be
// judged, such a row, or one whose key or id is NULL, is counted in the chunk's result.
//
// # Failures
//
// A chunk that cannot be read is reported with its error and is the manager's
// again. A worker that dies leaves the name of its chunks in its cache file, and
// the master, which knows what it had in hand, gives them to another. A chunk that
// waits for a database gives up its place in the worker's hands after stallAfter, so
// that databases which hang hold up nobody but their own pairs. A worker that only sweeps, for a
// run with -once, has few large chunks in hand and is more patient with them: what one has in hand no
// other can take when it is done with its own.
package task
