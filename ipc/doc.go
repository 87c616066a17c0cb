// Package ipc is the language between the master and its workers, and between the command line and a running master:
// frames, envelopes, connections and the list of messages. It knows what the messages are called and nothing of what
// is done about them; the bodies of the work messages are defined by those who exchange them.
//
// # Format
//
// A frame is a length and that many bytes of JSON:
//
//	+--------------------------+------------------------------------+
//	| length, 4 bytes, big end | one JSON object, length bytes long |
//	+--------------------------+------------------------------------+
//
// The length is 1 to [MaxFrameBytes]; anything else is a broken frame. The object is an [Envelope]:
//
//	{"type": "want", "id": 7, "body": {...}}
//
// id and body may be missing. Keys that are not known are ignored, so that a later build may add some.
//
// # Flow
//
//	worker                                master
//	  hello {protocol, build, slot, ...} →
//	                                     ← welcome {role, config, ...}   or   refuse {reason}, end
//	  ready                              →
//	  heartbeat {progress, ...}          →   every second
//	  want, done, events, ...            ⇄   chunk, demand, events-ack, ...
//	                                     ← drain, reopen-logs, status
//
// A worker that was welcomed for one task, and has answered, may be given another one:
//
//	worker                                master
//	                                     ← again
//	  hello {protocol, build, slot, ...} →
//
// and so on. Before it reads that hello the master may give the connection to another Conn ([Conn.Detach]).
//
// # Promises
//
//   - Frames of one lane arrive in the order in which they were handed to Send (the bulk lane) or SendUrgent.
//   - An urgent frame goes ahead of every bulk frame that is not yet being written.
//   - Nothing is dropped: a full queue makes Send wait, and TrySend say so.
//   - A frame that was read is whole and valid JSON.
//
// # Failures
//
// A broken frame, a peer that does not read for [Options].WriteTimeout, and an end of file each end the connection;
// every error names the peer. After an end nothing can be sent, and [Conn.Receive] returns what had arrived before it.
package ipc
