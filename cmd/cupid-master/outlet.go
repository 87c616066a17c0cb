package main

import (
	"io"
	"time"
)

const (
	// outletBytes is how much may wait before what is not worth a wait is dropped, and
	// maxOutletBytes before everything is.
	outletBytes    = 64 << 10
	maxOutletBytes = 1 << 20
	// outletPatience is how long whoever reads may take for the rest at the end, within
	// the 1.5 s of a stop. One who reads at all takes it in less.
	outletPatience = 300 * time.Millisecond
)

// outlet shows a person something, on a terminal or in a pipe that may not be read: nobody
// waits for that but close, and that not for long. It is safe for concurrent use.
type outlet struct {
	*relay
	to io.Writer
}

func newOutlet(to io.Writer) *outlet {
	return &outlet{newRelay("", func() (io.Writer, error) { return to, nil }, nil), to}
}

// offer shows text that may be dropped, and reports whether it was not.
func (o *outlet) offer(text string) bool {
	if o.unread() > outletBytes {
		return false
	}
	_, err := io.WriteString(o, text)
	return err == nil
}

// Write shows what is to be seen if anybody reads.
func (o *outlet) Write(b []byte) (int, error) {
	switch err := o.failed(); {
	case err != nil:
		return 0, err
	case o.unread()+int64(len(b)) > maxOutletBytes:
		return 0, errSlowReader
	}
	return o.relay.Write(b)
}

// close shows the rest. It is called after the last write.
func (o *outlet) close() { o.wait(outletPatience) }
