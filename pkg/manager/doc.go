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
// An account that may not read information_schema.innodb_trx has a fixed age instead.
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
// the row is known, which is then set aside.
package manager
