package row

import (
	"database/sql/driver"
	"fmt"
)

// Side says which table a value or a batch was read from.
type Side uint8

// The two sides of a pair.
const (
	Source Side = iota
	Destination
)

// String is the side's word.
func (s Side) String() string {
	if s == Destination {
		return "destination"
	}
	return "source"
}

// Rule is how the values of one pair of columns are compared. Build it once with NewRule; the zero Rule compares
// bytes. It is a value and safe for concurrent use.
type Rule struct {
	// RoundFraction says that the destination's server rounds fractional seconds when it stores them with fewer
	// digits, as MySQL does; false means that it cuts them, as MariaDB does. It is heeded on the side with the
	// more digits only, and has no meaning for other types.
	RoundFraction bool

	src, des Column
	kinds    [2]kind // by Side
	form     form
	digits   int // fractional digits of a temporal form
	temporal kind
	within   float64 // the tolerance; 0 for none
}

// NewRule decides how src and des are compared; the package comment has the table. An error means that no value of
// the one type can equal a value of the other, so that the mapping must be a mistake.
func NewRule(src, des Column) (Rule, error) {
	src.Unsigned, des.Unsigned = src.unsigned(), des.unsigned()
	a, b := src.kind(), des.kind()
	r := Rule{src: src, des: des, kinds: [2]kind{a, b}}
	r.form = formOf(a, b)
	if r.form == formNone {
		return Rule{}, fmt.Errorf("compare column %s %s with %s %s: the types have no common form",
			src.Name, src.typeName(), des.Name, des.typeName())
	}
	switch {
	case a == kindDate && b == kindDateTime:
		r.digits = des.FSP
	case a == kindDateTime && b == kindDate:
		r.digits = src.FSP
	case a.temporal() && b.temporal():
		r.digits = min(src.FSP, des.FSP)
	case a.temporal():
		r.temporal = a
	case b.temporal():
		r.temporal = b
	}
	return r, nil
}

// Source is the source's column.
func (r Rule) Source() Column { return r.src }

// Destination is the destination's column.
func (r Rule) Destination() Column { return r.des }

// Describe says in one line of words how the pair is compared, for -check.
func (r Rule) Describe() string {
	des := r.des.typeName()
	if r.des.Name != r.src.Name {
		des = r.des.Name + " " + des
	}
	words := r.words()
	if r.within > 0 {
		words += fmt.Sprintf(", equal within %g", r.within)
	}
	return fmt.Sprintf("%s %s ↔ %s: %s", r.src.Name, r.src.typeName(), des, words)
}

// AppendSource appends the canonical form of v, a value of the source's column, to dst. v is never nil: a NULL has
// no form. Two values are equal exactly when their canonical forms are equal bytes, but for the slack of a tolerance.
func (r Rule) AppendSource(dst []byte, v driver.Value) ([]byte, error) {
	return r.codec(Source).append(dst, v)
}

// AppendDestination is AppendSource for a value of the destination's column.
func (r Rule) AppendDestination(dst []byte, v driver.Value) ([]byte, error) {
	return r.codec(Destination).append(dst, v)
}

func (r Rule) column(side Side) Column {
	if side == Destination {
		return r.des
	}
	return r.src
}

func (r Rule) codec(side Side) codec {
	return codec{
		form:     r.form,
		kind:     r.kinds[side],
		temporal: r.temporal,
		digits:   r.digits,
		round:    r.RoundFraction,
	}
}

// lossy says that two different values of the source can have one canonical form. A key of such a column keeps the
// source's own spelling, or the source's row could not be found again by it.
func (r Rule) lossy() bool {
	a, b := r.kinds[Source], r.kinds[Destination]
	switch r.form {
	case formNumber, formJSON:
		return !a.number()
	case formFloat32, formFloat64, formTemporalText:
		return true
	case formDateTime, formTime:
		return a == b && r.src.FSP > r.digits
	case formNone, formBytes:
	}
	return false
}
