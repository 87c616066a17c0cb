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
// # Promises
//
// An event that Submit has returned for is on disk, and stays there until its row
// was seen equal or gone from the source. An answer is written before the next
// attempt of its identity. A kill repeats at most the attempts that were in flight.
package callback
