// Package callback is the callback worker: it decides what is delivered next, when
// again, and when a row is healed. It compares with the code of the task workers,
// stores through a queue, posts through a sender, and knows neither SQL nor HTTP.
//
// # Model
//
// The queue holds identities, not rows. Every pair has a lane, and every lane a
// goroutine, so that neither a dead destination nor a dead URL delays another pair.
// A lane claims what is due, reads the rows of both sides, many keys in one query,
// drops what has healed, and posts the rest, as many at a time as the URL allows.
// So the payload is the row as it is now, and nothing stale is sent.
//
//	            ┌──────────── failed: due again after a backoff ────────────┐
//	            ▼                                                           │
//	event ──▶ pending ── due: rows differ ──▶ posted ── 2xx ──▶ equal at once: healed
//	            ▲ │                                        └──▶ accepted
//	            │ └─ due: rows equal: healed by itself              │
//	            └── due after the grace time: still differs ────────┤
//	                (accepted, not repaired)                        └─▶ equal: healed
//
//	watched ── due: equal ──▶ healed by itself
//	        ── due: event.Judge confirms ──▶ pending
//
// A row that was equal right after its 2xx, while a newer event of it came in, is watched,
// too, and is healed by its callback when it still is. So is any row that was seen equal
// after an attempt without an answer, which may still be at work at the receiver; see
// settled.
//
// Every look at a row is judged with the one before, be that the task worker's: while it
// moves and the destination follows, it is neither posted nor called unrepaired.
//
// While a pair has a storm its rows are posted at a rate, and what is above it gets a
// later time; see storm.
//
// # Promises
//
// An event that Submit has returned for is on disk, and stays there until its row
// was seen equal or gone from the source. An answer is written before the next
// attempt of its identity. A kill repeats at most the attempts that were in flight.
// Within any 60 minutes no more attempts with orphans begin than DeletePerHour,
// whenever workers are killed: they are counted on disk before they begin; see budget.
//
// # Failures
//
// What cannot be stored waits without an acknowledgment, pair by pair, and a pair
// whose events pile up leaves room for the others. Events of a pair that is not
// configured any more are kept, told, and removed on request alone. While a database
// is away its lane waits and probes; answers are still written down. A row that cannot
// be read though its databases answer waits by itself. So does an event whose note
// makes no sense to this build: it is told, kept, and never taken for none. While a URL
// is down or asked to be left alone, its lanes read nothing. Rows that the receiver refuses
// do not take it down, but for the first failures of each; see Gate. Its pairs probe it
// in turn, and every other probe of a pair takes an event that has hardly failed, so that
// one which is taken is not behind all those that are refused. Which URLs are down, and
// which pairs have a storm, is kept in the Memory, so that a worker that starts anew
// probes where the one before did. While the Memory cannot be written no orphan is
// posted, and everything else is.
//
// A due time is one by the machine's clock, which may be set back: what is due later than
// any wait could make it is due at once.
//
// # Concurrency
//
// A lane is owned by its goroutine; its posters only post. Whoever writes what
// depends on a record in the queue holds the lock of the book, which is why an event
// that comes in and an answer that is written down do not undo each other.
package callback
