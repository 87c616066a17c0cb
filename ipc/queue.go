package ipc

import (
	"encoding/binary"
	"sync"
)

// outbox holds the frames that wait to be written, one lane of urgent ones and one of bulk, each as plain bytes one frame
// behind the other. Both are bounded in bytes: a lane takes a frame while it holds less than limit, so it never
// holds more than limit and one frame.
type outbox struct {
	limit int

	mu     sync.Mutex // guards all below
	urgent []byte
	bulk   []byte
	head   int           // bulk[:head] is taken already
	err    error         // why nothing more can be sent
	room   chan struct{} // closed when bytes are taken or err is set; nil while nobody waits for that
	work   chan struct{} // holds one token while there may be something to take
	taken  bool          // what was taken last is still being written
}

func newOutbox(limit int) *outbox {
	return &outbox{limit: limit, work: make(chan struct{}, 1)}
}

// put appends env, which check has let pass, to a lane. When the lane is full it returns a channel that is closed when there may be room.
func (o *outbox) put(env Envelope, urgent bool) (wait <-chan struct{}, err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.err != nil {
		return nil, o.err
	}
	if o.full(urgent) {
		return o.roomLocked(), nil
	}
	if urgent {
		o.urgent, err = appendChecked(o.urgent, env)
	} else {
		o.bulk, err = appendChecked(o.bulk, env)
	}
	if err != nil {
		return nil, err
	}
	select {
	case o.work <- struct{}{}:
	default:
	}
	return nil, nil
}

func (o *outbox) full(urgent bool) bool {
	if urgent {
		return len(o.urgent) >= o.limit
	}
	return len(o.bulk)-o.head >= o.limit
}

func (o *outbox) roomLocked() <-chan struct{} {
	if o.room == nil {
		o.room = make(chan struct{})
	}
	return o.room
}

// take moves what is to be written next to the end of dst: all urgent frames, then whole bulk frames until there are size
// bytes of them. It returns dst unchanged when there is nothing.
func (o *outbox) take(dst []byte, size int) []byte {
	o.mu.Lock()
	defer o.mu.Unlock()
	before := len(dst)
	dst = append(dst, o.urgent...)
	o.urgent = reuse(o.urgent)
	end := o.head
	for end < len(o.bulk) && end-o.head < size {
		end += headerBytes + int(binary.BigEndian.Uint32(o.bulk[end:]))
	}
	dst = append(dst, o.bulk[o.head:end]...)
	o.head = end
	if o.head == len(o.bulk) {
		o.bulk, o.head = reuse(o.bulk), 0
	} else if o.head > len(o.bulk)/2 {
		// Frames keep coming as fast as they go: move the rest to the front, or the lane would grow for ever.
		o.bulk, o.head = o.bulk[:copy(o.bulk, o.bulk[o.head:])], 0
	}
	o.taken = len(dst) > before
	o.wakeLocked()
	return dst
}

// idle says whether all that was put has been written; if not, the channel is closed when that may have changed.
func (o *outbox) idle() (wait <-chan struct{}, err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.err != nil {
		return nil, o.err
	}
	if !o.taken && len(o.urgent) == 0 && len(o.bulk) == o.head {
		return nil, nil
	}
	return o.roomLocked(), nil
}

// pending returns how many bytes wait to be written in both lanes.
func (o *outbox) pending() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return len(o.urgent) + len(o.bulk) - o.head
}

// fail ends the outbox: what waits is forgotten, and put answers with err from now on. The first error stays.
func (o *outbox) fail(err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.err != nil {
		return
	}
	o.err = err
	o.urgent, o.bulk, o.head = nil, nil, 0
	o.wakeLocked()
}

func (o *outbox) cause() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.err
}

func (o *outbox) wakeLocked() {
	if o.room != nil {
		close(o.room)
		o.room = nil
	}
}

// reuse empties b and gives its memory back when it had to hold something unusually large.
func reuse(b []byte) []byte {
	if cap(b) > keepBytes {
		return nil
	}
	return b[:0]
}
