package ipc

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// ProtocolVersion is the version of the messages. A worker with another one is refused: master and workers are
// installed together, and a half-finished installation must not guess.
//
//	1  first version
const ProtocolVersion = 1

// Build names the build of this binary; the linker sets it (-ldflags "-X github.com/masixun71/cupid/ipc.Build=v1.2.3").
// Builds may differ between master and workers as long as ProtocolVersion is the same.
var Build = "dev"

// Messages of the life of a worker. The arrow says who sends: w→m worker to master, m→w master to worker.
const (
	TypeHello       = "hello"        // w→m Hello, the first frame
	TypeWelcome     = "welcome"      // m→w Welcome, the answer to hello
	TypeRefuse      = "refuse"       // m→w Refuse, the other answer to hello; then the connection ends
	TypeAgain       = "again"        // m→w no body: what the welcome was for is done; say hello anew, for another one
	TypeReady       = "ready"        // w→m no body: set up, and able to work
	TypeHeartbeat   = "heartbeat"    // w→m Heartbeat
	TypeDrain       = "drain"        // m→w no body: finish what is in hand, take nothing new, exit 0
	TypeReopenLogs  = "reopen-logs"  // m→w no body: close the log files and open them by name again
	TypeStatus      = "status"       // m→w no body: report; also the request on the control socket
	TypeStatusReply = "status-reply" // w→m the worker's counters, defined by the worker; ID is the request's
)

// Messages of the work. Their bodies are defined by the packages that exchange them. The arrows name manager (M), task worker
// (T), callback worker (C) and router (R, in the master).
const (
	TypeWant        = "want"         // T→R room for work
	TypeDemand      = "demand"       // R→M how much work is asked for
	TypeChunk       = "chunk"        // M→R→T one chunk
	TypeDone        = "done"         // T→R→M a chunk is done, all of its events acknowledged
	TypeChunkFailed = "chunk-failed" // R→M workers died with this chunk in hand: halve it
	TypeEvents      = "events"       // T→R→C confirmed divergences
	TypeEventsAck   = "events-ack"   // C→R→T they are on disk
	TypeAlert       = "alert"        // any→R→C something an operator should be told
	TypeSweepAgain  = "sweep-again"  // C→R→M pairs of which events were lost on disk: their tables are to be swept anew

	TypeReportLines   = "report-lines"   // T→m confirmed divergences of such a run, a JSON array of objects
	TypeSweepProgress = "sweep-progress" // M→m how far the sweeps of a run with -once are
)

// Messages of the control socket (c is the command line). Each request is answered by one answer with its ID.
const (
	TypeReload = "reload" // c→m no body: read the configuration again and renew the workers
	TypeStop   = "stop"   // c→m no body: stop everything; answered when the stop has begun
	TypeRetry  = "retry"  // c→m→M compare a row again that was set aside; its body is the manager's
	TypeForget = "forget" // c→m→C remove the events of a pair that is not configured; its body is the pair's name
	TypeAnswer = "answer" // m→c Answer; TypeStatus above is a request, too
)

// Hello is the first frame of a worker.
type Hello struct {
	Protocol   int    `json:"protocol"`   // ProtocolVersion of the worker's build
	Build      string `json:"build"`      // Build of the worker
	Slot       int    `json:"slot"`       // which place in the pool it was started for
	Generation uint64 `json:"generation"` // which start of that slot it is
	Pid        int    `json:"pid"`        // its process id, for the log
}

// Welcome tells a worker who it is. Config holds secrets: a Welcome is never logged.
type Welcome struct {
	Role       string          `json:"role"`             // manager, callback or task
	Slot       int             `json:"slot"`             // as in the hello
	Generation uint64          `json:"generation"`       // as in the hello
	Title      string          `json:"title"`            // what ps shows
	Config     json.RawMessage `json:"config,omitempty"` // the configuration, validated; its form is config's
}

// Refuse tells a worker that it cannot take part.
type Refuse struct {
	Reason string `json:"reason"` // a sentence for the operator
}

// Heartbeat says that a worker lives and whether it gets on.
type Heartbeat struct {
	Progress uint64 `json:"progress"`           // grows with every step of work
	Waiting  bool   `json:"waiting,omitempty"`  // nothing to do, or waiting for something that has its own timeout
	RSSBytes int64  `json:"rssBytes,omitempty"` // resident memory of the process; 0 when it is not known
}

// Answer is the master's answer on the control socket.
type Answer struct {
	OK    bool            `json:"ok"`
	Error string          `json:"error,omitempty"` // a sentence for the operator when not OK
	Body  json.RawMessage `json:"body,omitempty"`  // what was asked for
}

// Decode reads the body of an envelope into v, a pointer. Numbers that go into an interface become json.Number, so a 64-bit
// integer keeps its digits. A missing body, and anything after the first value, is an error.
func Decode(body json.RawMessage, v any) error {
	if len(body) == 0 {
		return fmt.Errorf("decode body: %w", io.ErrUnexpectedEOF)
	}
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.UseNumber()
	if err := dec.Decode(v); err != nil {
		return fmt.Errorf("decode body: %w", err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return errors.New("decode body: more than one JSON value")
	}
	return nil
}
