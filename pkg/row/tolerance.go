package row

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"math"
	"math/big"
	"slices"
	"strconv"
	"strings"
)

// WithTolerance returns the rule with slack: two values are then equal when they are at most within apart, counted in the
// decimal digits that their canonical forms show, so that 0.3 and 0.301 are equal within 0.001. It is an absolute
// difference, whatever the size of the values. Both columns are FLOAT or DOUBLE, or one of them DECIMAL; anything else,
// and a within that is no positive number, is an error. NULL still equals only NULL.
//
// The canonical forms stay as they are, so of such a rule equal bytes mean equal values and not the other way round.
func (r Rule) WithTolerance(within float64) (Rule, error) {
	a, b := r.kinds[Source], r.kinds[Destination]
	fits := func(k kind) bool { return k.float() || k == kindDecimal }
	switch {
	case !(within > 0) || math.IsInf(within, 0):
		return Rule{}, fmt.Errorf("tolerance of column %s: %g is no positive number", r.src.Name, within)
	case !a.float() && !b.float() || !fits(a) || !fits(b):
		return Rule{}, fmt.Errorf("tolerance of column %s: %s against %s: only FLOAT and DOUBLE have one, among themselves and against DECIMAL",
			r.src.Name, r.src.typeName(), r.des.typeName())
	}
	r.within = within
	return r, nil
}

// Tolerance is how far two equal values may be apart; 0 without WithTolerance.
func (r Rule) Tolerance() float64 { return r.within }

// near reports whether two canonical forms are equal within the rule's tolerance.
func (r Rule) near(a, b []byte) bool {
	if bytes.Equal(a, b) {
		return true
	}
	x, errX := strconv.ParseFloat(string(a), 64)
	y, errY := strconv.ParseFloat(string(b), 64)
	if errX != nil || errY != nil || math.IsInf(x, 0) || math.IsInf(y, 0) {
		return false // a FLOAT has no such value, but a DOUBLE against it may become one
	}
	// Reading and subtracting rounds, each time by 2^-53 at most. Nearer to the limit the digits decide.
	gap := math.Abs(x - y)
	rounding := 0x1p-50 * (math.Abs(x) + math.Abs(y) + r.within)
	switch {
	case gap < r.within-rounding:
		return true
	case gap > r.within+rounding:
		return false
	}
	return nearExactly(string(a), string(b), strconv.FormatFloat(r.within, 'g', -1, 64))
}

// nearExactly is near by the digits of the texts.
func nearExactly(a, b, within string) bool {
	var numbers [3]big.Rat
	for i, text := range []string{a, b, within} {
		if _, ok := numbers[i].SetString(text); !ok {
			return false
		}
	}
	gap := &numbers[0]
	gap.Abs(gap.Sub(gap, &numbers[1]))
	return gap.Cmp(&numbers[2]) <= 0
}

// A text of Nearby is a hash of the columns without a tolerance, and the others' values in units of it.
const (
	nearSeparator = ","
	nearNull      = "n"
)

// Nearby is a version of row i by which a later or earlier one of either side is known again within the tolerances; empty
// where the mapping has none. Compare two with Near.
func (b *Batch) Nearby(i int) string {
	if !b.m.tolerant {
		return ""
	}
	rest := sha256.New()
	var values []string
	for col, r := range b.m.columns {
		cell, null := b.Cell(i, col)
		if r.within == 0 {
			writeCell(rest, cell, null)
			continue
		}
		value := nearNull
		if f, err := strconv.ParseFloat(string(cell), 64); !null && err == nil {
			value = strconv.FormatFloat(f/r.within, 'g', -1, 64)
		}
		values = append(values, value)
	}
	return hex.EncodeToString(rest.Sum(nil)[:8]) + nearSeparator + strings.Join(values, nearSeparator)
}

// Near reports whether two texts of Nearby are of rows that are equal within the tolerances. Empty ones never are. At the
// very limit it may err by a rounding.
func Near(a, b string) bool {
	if a == "" || b == "" {
		return false
	}
	left, right := strings.Split(a, nearSeparator), strings.Split(b, nearSeparator)
	return left[0] == right[0] && slices.EqualFunc(left, right, func(v, w string) bool {
		if v == w {
			return true
		}
		x, errX := strconv.ParseFloat(v, 64)
		y, errY := strconv.ParseFloat(w, 64)
		return errX == nil && errY == nil && math.Abs(x-y) <= 1
	})
}
