package row

// Shape says what a server would have to print for a checksum to be equal exactly when two values are.
type Shape uint8

// The shapes. Only ShapeNone has values that take this package to compare them.
const (
	ShapeNone     Shape = iota // the rule is more than a server's SQL can say, as is any with a tolerance
	ShapeBytes                 // the bytes: of text in utf8mb4, of a BIT, of a DATE's text
	ShapeNumber                // integers, BIT, YEAR and DECIMAL, by value
	ShapeFloat                 // two floats of one precision, -0.0 being 0.0
	ShapeDateTime              // the text with Digits fractional digits; a DATE is its midnight
	ShapeTime                  // the text with Digits fractional digits, without a minus zero
)

// Shape is the rule's shape, the same for both sides.
func (r Rule) Shape() Shape {
	a, b := r.kinds[Source], r.kinds[Destination]
	if r.within > 0 {
		return ShapeNone // values of many hashes are equal
	}
	switch r.form {
	case formBytes:
		if a != kindOpaque && b != kindOpaque {
			return ShapeBytes
		}
	case formNumber:
		if a.number() && b.number() {
			return ShapeNumber
		}
	case formFloat32, formFloat64:
		if a == b {
			return ShapeFloat
		}
	case formDateTime:
		return ShapeDateTime
	case formTime:
		if r.src.FSP == r.des.FSP || !r.RoundFraction {
			return ShapeTime
		}
	case formNone, formTemporalText, formJSON:
	}
	return ShapeNone
}

// Digits is how many fractional digits two times are compared to.
func (r Rule) Digits() int { return r.digits }

// Lossy says that the source can spell one value in several ways ('7' and '007' against an INT), so that a source row
// is not found by a destination's key.
func (r Rule) Lossy() bool { return r.lossy() }
