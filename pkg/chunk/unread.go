package chunk

import "errors"

// ErrUnfit says that the bounds of a chunk were made by other metadata of the tables than they are read by.
var ErrUnfit = errors.New("a table was altered since the chunk was cut, or that was not noticed yet")

// Unread is an error that is due to the rows which were asked for, or to how many they are: a query that outlived
// its timeout, a page of a table that cannot be read, a value that makes no sense. The way to them stood, and
// what others there are of a chunk may well be read without these.
type Unread struct{ Err error }

// Error is the error's own text.
func (u *Unread) Error() string { return u.Err.Error() }

// Unwrap returns the error itself.
func (u *Unread) Unwrap() error { return u.Err }
