package logfile

import "time"

// WithNow returns o with another clock.
func (o Options) WithNow(now func() time.Time) Options {
	o.now = now
	return o
}
