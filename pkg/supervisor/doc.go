// Package supervisor keeps a pool of worker processes alive: it starts them, greets them, watches them, replaces the dead
// and the hung, renews them one by one, and stops them in time. It hands their frames to a Handler and knows nothing
// of what is in them, of what a role does, and of how a process is made: that is the Starter's.
//
// # Model
//
// A pool has slots, numbered from 0. A slot has at most one worker at a time; each start of a slot is a generation with a number that
// only rises. One goroutine, the loop in Run, owns all state and makes all decisions; other goroutines start,
// receive and wait, and report to the loop. The states of a slot are drawn above the type State.
//
// # Promises
//
//   - The Handler hears Ready, then any number of Messages, then Gone, for one generation of a slot, and of the next
//     generation only after that. A worker that never got ready is not heard of at all.
//   - Every frame that a worker sent before its death is handed over before Gone.
//   - A slot never has two workers. The next is started when the last was waited for.
//   - A worker that dies, hangs, breaks the protocol or does not read is replaced: at once the first time, then after
//     waits that double up to a limit; those that the Handler blames on the work leave the waits as they are, up to
//     MaxBlamed of them. Nothing a worker does ends the pool.
//   - A reload that fails leaves every slot with the plan it had.
//   - Stop takes StopTimeout and the time of a SIGKILL, whatever the workers do.
//
// # Failures
//
// A start that fails is a crash like another. A master that was not scheduled for a while gives its workers that time back,
// because all heartbeats look late then.
package supervisor
