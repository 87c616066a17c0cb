// Package phpdate writes and reads times in the format language of PHP's date()
// (PHP manual, "DateTimeInterface::format"), which updateTimeFormate is written
// in, and tells whether the order of such texts is the order of time. It does not
// know a database, nor whose clock a time comes from.
//
// The order of local times is that of time but for the hour that a zone repeats
// when its summer time ends. Whoever scans a range of texts makes it an hour
// longer there, or keeps the zone at a fixed offset.
package phpdate

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Format returns t in its own location as PHP's DateTime::format(layout) does; so
// u and v are the real fraction, where date() writes zeros. Unknown letters stand
// for themselves, as in PHP.
func Format(t time.Time, layout string) string {
	var b strings.Builder
	for _, tok := range tokens(layout) {
		if write, known := writers[tok.char]; known && !tok.literal {
			b.WriteString(write(t))
		} else {
			b.WriteByte(tok.char)
		}
	}
	return b.String()
}

// Validate returns an error for an unescaped letter that PHP gives no meaning. PHP
// prints it as it is; written by mistake far more often than by intention, it has
// to be escaped here.
func Validate(layout string) error {
	for i, tok := range tokens(layout) {
		if _, known := writers[tok.char]; !known && !tok.literal && letter(tok.char) {
			return fmt.Errorf("character %d of the format, %q, has no meaning in PHP's date(); write \\%c for the letter itself", i+1, tok.char, tok.char)
		}
	}
	return nil
}

// token is one byte of the output or the letter of a value.
type token struct {
	char    byte
	literal bool
}

// tokens takes layout apart. A backslash makes the next byte a literal; the last
// byte of a layout is one even if it is a backslash.
func tokens(layout string) []token {
	list := make([]token, 0, len(layout))
	for i := 0; i < len(layout); i++ {
		tok := token{char: layout[i]}
		if tok.char == '\\' {
			tok.literal = true
			if i+1 < len(layout) {
				i++
				tok.char = layout[i]
			}
		}
		list = append(list, tok)
	}
	return list
}

func letter(c byte) bool { return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' }

// writers has a function for every letter that PHP 8.4 knows. It is filled in
// init because c and r are layouts themselves.
var writers map[byte]func(time.Time) string

func init() {
	writers = map[byte]func(time.Time) string{
		// Day.
		'd': func(t time.Time) string { return pad(t.Day(), 2) },
		'D': func(t time.Time) string { return t.Weekday().String()[:3] },
		'j': func(t time.Time) string { return strconv.Itoa(t.Day()) },
		'l': func(t time.Time) string { return t.Weekday().String() },
		'N': func(t time.Time) string { return strconv.Itoa((int(t.Weekday())+6)%7 + 1) },
		'S': func(t time.Time) string { return suffix(t.Day()) },
		'w': func(t time.Time) string { return strconv.Itoa(int(t.Weekday())) },
		'z': func(t time.Time) string { return strconv.Itoa(t.YearDay() - 1) },
		// Week and month.
		'W': func(t time.Time) string { _, week := t.ISOWeek(); return pad(week, 2) },
		'F': func(t time.Time) string { return t.Month().String() },
		'm': func(t time.Time) string { return pad(int(t.Month()), 2) },
		'M': func(t time.Time) string { return t.Month().String()[:3] },
		'n': func(t time.Time) string { return strconv.Itoa(int(t.Month())) },
		't': func(t time.Time) string { return strconv.Itoa(daysIn(t)) },
		// Year.
		'L': func(t time.Time) string { return flag(leap(t.Year())) },
		'o': func(t time.Time) string { year, _ := t.ISOWeek(); return strconv.Itoa(year) },
		'X': func(t time.Time) string { return expandedYear(t.Year(), true) },
		'x': func(t time.Time) string { return expandedYear(t.Year(), t.Year() >= 10000) },
		'Y': func(t time.Time) string { return expandedYear(t.Year(), false) },
		'y': func(t time.Time) string { return pad(t.Year()%100, 2) },
		// Time.
		'a': func(t time.Time) string { return t.Format("pm") },
		'A': func(t time.Time) string { return t.Format("PM") },
		'B': swatch,
		'g': func(t time.Time) string { return t.Format("3") },
		'G': func(t time.Time) string { return strconv.Itoa(t.Hour()) },
		'h': func(t time.Time) string { return t.Format("03") },
		'H': func(t time.Time) string { return pad(t.Hour(), 2) },
		'i': func(t time.Time) string { return pad(t.Minute(), 2) },
		's': func(t time.Time) string { return pad(t.Second(), 2) },
		'u': func(t time.Time) string { return pad(t.Nanosecond()/1000, 6) },
		'v': func(t time.Time) string { return pad(t.Nanosecond()/1_000_000, 3) },
		// Zone.
		'e': zoneName,
		'I': func(t time.Time) string { return flag(t.IsDST()) },
		'O': func(t time.Time) string { return offset(t, "") },
		'P': func(t time.Time) string { return offset(t, ":") },
		'p': zulu,
		'T': abbreviation,
		'Z': func(t time.Time) string { _, seconds := t.Zone(); return strconv.Itoa(seconds) },
		// Whole.
		'c': func(t time.Time) string { return Format(t, `Y-m-d\TH:i:sP`) },
		'r': func(t time.Time) string { return Format(t, "D, d M Y H:i:s O") },
		'U': func(t time.Time) string { return strconv.FormatInt(t.Unix(), 10) },
	}
}

// pad writes n with zeros in front; a negative sign does not count.
func pad(n, width int) string {
	if n < 0 {
		return "-" + pad(-n, width)
	}
	text := strconv.Itoa(n)
	return strings.Repeat("0", max(0, width-len(text))) + text
}

func flag(b bool) string {
	if b {
		return "1"
	}
	return "0"
}

func leap(year int) bool { return year%4 == 0 && (year%100 != 0 || year%400 == 0) }

func daysIn(t time.Time) int {
	return time.Date(t.Year(), t.Month()+1, 0, 0, 0, 0, 0, time.UTC).Day()
}

// expandedYear has a plus in front of years that are not negative where plus is set.
func expandedYear(year int, plus bool) string {
	if plus && year >= 0 {
		return "+" + pad(year, 4)
	}
	return pad(year, 4)
}

// suffix is the English ending of an ordinal number.
func suffix(day int) string {
	if day/10 != 1 {
		switch day % 10 {
		case 1:
			return "st"
		case 2:
			return "nd"
		case 3:
			return "rd"
		}
	}
	return "th"
}

// swatch is the Swatch Internet Time: thousandths of a day at UTC+1.
func swatch(t time.Time) string {
	const day = 86400
	second := ((t.Unix()+3600)%day + day) % day
	return pad(int(second*1000/day), 3)
}

func offset(t time.Time, colon string) string {
	_, seconds := t.Zone()
	sign := "+"
	if seconds < 0 {
		sign, seconds = "-", -seconds
	}
	return sign + pad(seconds/3600, 2) + colon + pad(seconds%3600/60, 2)
}

func zulu(t time.Time) string {
	if _, seconds := t.Zone(); seconds == 0 {
		return "Z"
	}
	return offset(t, ":")
}

// zoneName is the name of the location, or its offset where it has none.
func zoneName(t time.Time) string {
	if name := t.Location().String(); name != "" {
		return name
	}
	return offset(t, ":")
}

func abbreviation(t time.Time) string {
	if name, _ := t.Zone(); name != "" {
		return name
	}
	return offset(t, ":")
}
