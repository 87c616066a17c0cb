// Package manager is the manager worker: it plans. It owns the cursors of every
// pair, cuts the ranges to look at into chunks, offers them as work is asked for,
// and moves a cursor once everything before it is acknowledged. It compares no
// row and knows nothing of callbacks.
//
// # Model
//
// Every pair has a lane for each of its scans, and every lane a goroutine of its
// own, so that a source that hangs delays its own lanes only. A lane looks at
// spans. The forward span is what nobody has seen yet: ids above the cursor, or
// times from the watermark to now. A late span is one that was seen while
// transactions were open that may still commit rows into it.
//
// # Late commits
//
// Ids and update times are given out when a statement runs, and rows become
// visible when its transaction commits, perhaps much later, behind rows that were
// seen long before. So each span that was looked at is remembered together with
// the database's time of that look. It is final when no transaction is open any more
// that had started by then, or within a short lead after it; then it is looked at a
// last time and forgotten. Until then it is looked at again when it is 2, 4, 8 …
// seconds old, and spans are merged as they get older, which makes both the work for
// one row and the number of spans logarithmic in the age of the oldest transaction.
// An account that may not read information_schema.innodb_trx has a fixed age instead, and so has
// a replica, whose transactions run elsewhere. The age of a span of a replica counts up to what it has
// applied, so a span is kept for as long as the replica lags or stands still.
//
// # Catching up
//
// As long as the chunks of a pass are full their size doubles, up to 40,000 rows, where task
// workers compare large ones by checksums. Every look has another salt for these.
//
// # Sweep
//
// A sweep goes over a whole table in chunks of the join key, from the smallest to the
// greatest, each to be compared by a checksum; a task worker reads the rows of those that
// differ. Chunks have no gap between them and the last has no upper bound, so that all
// rows of either side are in one. Where the sides have no common order of keys, ranges of
// the source's ids take the place of those of keys.
//
// A pair whose join key is scattered over its primary key is swept by buckets: its pass goes
// over both tables twice, each in its own order, first to add up and then for the rows of what
// differs. The manager has the sums. It adds those of a chunk when its position passes the
// chunk, and writes both into a file of the pair, so that a chunk counts once whoever is killed.
//
// A pass is spread over its interval by the number of rows that are expected; one that
// is late goes as fast as it must. Before a chunk is cut the load on both servers is
// looked at: while more threads run or a replica lags more than is allowed, the
// sweep waits. The size of chunks follows from what the last ones took, with 0.5 s as
// the target.
//
// Scans go first: a chunk of a sweep is given only when no scan has one to give, and
// sweeps never have more than half of what the task workers have room for. In a run
// with -once only sweeps run, without pauses and with all the room; such a pass begins above
// the greatest key and ends at it.
//
// A chunk ends at the n-th row, which the source finds by reading the n rows. Where keys are
// whole numbers of which hardly one was missing in the last chunk, the next ends at its
// begin plus n instead, until one turns out to be half empty.
//
// # Failures
//
// The state of all lanes is one cache file, written after a cursor has moved. A
// manager that dies repeats what was not yet written; nothing is skipped, since a
// cursor never passes a chunk that is not done.
//
// After a chunk has failed nothing of its lane is offered until both sides answer a
// probe, with waits from 0.5 s doubling to 30 s. Then the chunk is offered again, and
// when it fails each time, after waits of its own: the others of its lane go on
// until too many are ahead of it. A chunk that has killed its workers is halved until
// the row is known, which is then set aside: later chunks name it as one to leave out,
// until Retry gives it back. A run with -once compares it all the same.
//
// A chunk that fails again and again for its own rows (see chunk.Unread), since one of them cannot be read
// or all are too much for one query, is halved likewise, and the next chunks of its scan have
// fewer rows. The one row that cannot be read is owed: see lane.owe.
package manager
