package table

import (
	"fmt"
	"slices"
	"strings"

	"github.com/masixun71/cupid/pkg/row"
)

// longTypes may hold values whose concatenation is more than max_allowed_packet, which
// would make it NULL. They are hashed on their own.
var longTypes = []string{"text", "mediumtext", "longtext", "blob", "mediumblob", "longblob"}

func (cp columnPair) long() bool {
	return slices.Contains(longTypes, cp.rule.Source().DataType) || slices.Contains(longTypes, cp.rule.Destination().DataType)
}

// value is what a server prints for the value of a pair's column; NULL for NULL.
func (h hash) value(side row.Side, cp columnPair) string {
	c, other, expression := cp.rule.Source(), cp.rule.Destination(), cp.src
	if side == row.Destination {
		c, other, expression = other, c, cp.des
	}
	switch cp.rule.Shape() {
	case row.ShapeNumber:
		return numberText(c, other, expression)
	case row.ShapeFloat:
		return h.floatText(expression, c.Nullable)
	case row.ShapeDateTime:
		return dateTimeText(c, expression, cp.rule)
	case row.ShapeTime:
		return timeText(c, expression, cp.rule)
	case row.ShapeBytes, row.ShapeNone:
	}
	text := bytesText(c, expression)
	if cp.long() {
		return h.of(text)
	}
	return text
}

// printedTypes have a text of their own.
var printedTypes = []string{"uuid", "inet4", "inet6"}

// bytesText is text in utf8mb4. Of the character sets whose bytes are those of utf8mb4
// it is the column itself.
func bytesText(c row.Column, expression string) string {
	switch {
	case slices.Contains(printedTypes, c.DataType):
		return "CAST(" + expression + " AS CHAR)"
	case isText(c) && !slices.Contains([]string{"", "utf8mb4", "utf8mb3", "utf8", "ascii"}, c.Charset):
		return "CONVERT(" + expression + " USING utf8mb4)"
	}
	return expression
}

// numberText is a number without leading zeros, and without trailing ones of the
// fraction where the other side may have fewer.
func numberText(c, other row.Column, expression string) string {
	if c.DataType == "bit" || c.DataType == "year" || strings.Contains(strings.ToLower(c.ColumnType), "zerofill") {
		expression = "(" + expression + " + 0)"
	}
	if c.Scale > 0 && isDecimal(c) && c.Scale != other.Scale {
		return "TRIM(TRAILING '.' FROM TRIM(TRAILING '0' FROM " + expression + "))"
	}
	return expression
}

// stored reports whether the text of a pair's value is a float as it is stored, and then one
// for NULL, too.
func (h hash) stored(cp columnPair) bool {
	return cp.rule.Shape() == row.ShapeFloat && (h == hashMariaCRC32 || h == hashMariaCRC32C)
}

// floatText avoids printing a float where it can, which is half of all work. Adding
// zero makes -0.0 0.0, and a FLOAT the double it is, instead of six digits of it. A point
// is a text of 25 bytes that has its two numbers as they are stored; between two MariaDB
// it is that text, and NULL is the other number.
func (h hash) floatText(expression string, nullable bool) string {
	switch {
	case h == hashSHA2:
		return "(" + expression + " + 0e0)" // 32 bits of a value would be too few here
	case h == hashCRC32:
		return h.of("POINT(" + expression + " + 0e0, 0)")
	case nullable:
		return "POINT(IFNULL(" + expression + ", 0) + 0e0, ISNULL(" + expression + "))"
	}
	return "POINT(" + expression + " + 0e0, 0)"
}

const (
	dateTimeLen = len("2006-01-02 15:04:05")
	microDigits = 6
)

// dateTimeText brings a time to the fractional digits of the coarser side.
func dateTimeText(c row.Column, expression string, r row.Rule) string {
	digits := r.Digits()
	if c.DataType == "date" {
		midnight := " 00:00:00"
		if digits > 0 {
			midnight += "." + strings.Repeat("0", digits)
		}
		return "CONCAT(" + expression + ", " + literal(midnight) + ")"
	}
	if c.FSP <= digits {
		return expression
	}
	length := dateTimeLen
	if digits > 0 {
		length += 1 + digits
	}
	if r.RoundFraction {
		// The digit behind the last one that counts. What has no next moment (zero, the end
		// of all time) stays as it is.
		at := max(length, dateTimeLen+1) + 1
		micros := "1" + strings.Repeat("0", microDigits-digits)
		expression = fmt.Sprintf("IF(SUBSTRING(%[1]s, %[2]d, 1) >= '5', IFNULL(%[1]s + INTERVAL %[3]s MICROSECOND, %[1]s), %[1]s)",
			expression, at, micros)
	}
	return fmt.Sprintf("LEFT(%s, %d)", expression, length)
}

// timeText cuts a TIME to the fractional digits of the coarser side.
func timeText(c row.Column, expression string, r row.Rule) string {
	cut := c.FSP - r.Digits()
	if cut <= 0 {
		return expression
	}
	zero := "00:00:00"
	if r.Digits() == 0 {
		cut++ // the point
	} else {
		zero += "." + strings.Repeat("0", r.Digits())
	}
	short := fmt.Sprintf("LEFT(%[1]s, CHAR_LENGTH(%[1]s) - %[2]d)", expression, cut)
	return fmt.Sprintf("IF(%[1]s = '-%[2]s', '%[2]s', %[1]s)", short, zero)
}
