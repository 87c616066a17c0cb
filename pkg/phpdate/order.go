package phpdate

import (
	"errors"
	"fmt"
	"slices"
	"time"
)

// level is how much of a time the text so far says.
//
//	nothing ─Y,X→ year ─m→ month ─d→ day ─H→ hour ─i→ minute ─s→ second ─v→ milli ─u→ micro
//	        ─o→ ISO year ─W→ week ─N→ day
//	        ─U→ second
//
// A step keeps text order equal to time order: it adds the next finer part, with a
// fixed width. A letter whose value the text so far already says changes nothing.
// Anything else breaks the order.
type level int

const (
	nothing level = iota
	isoYear
	week
	year
	month
	day
	hour
	minute
	second
	milli
	micro
)

// span is the longest time that one text can mean at a level.
var span = map[level]time.Duration{
	isoYear: 371 * 24 * time.Hour,
	week:    7 * 24 * time.Hour,
	year:    366 * 24 * time.Hour,
	month:   31 * 24 * time.Hour,
	day:     24 * time.Hour,
	hour:    time.Hour,
	minute:  time.Minute,
	second:  time.Second,
	milli:   time.Millisecond,
	micro:   time.Microsecond,
}

// steps are the letters that add a part, each with the levels it may follow.
var steps = map[byte]struct {
	from []level
	to   level
}{
	'o': {[]level{nothing}, isoYear},
	'W': {[]level{isoYear}, week},
	'N': {[]level{week}, day},
	'Y': {[]level{nothing}, year},
	'X': {[]level{nothing}, year},
	'm': {[]level{year}, month},
	'd': {[]level{month}, day},
	'H': {[]level{day}, hour},
	'i': {[]level{hour}, minute},
	's': {[]level{minute}, second},
	'v': {[]level{second}, milli},
	'u': {[]level{second, milli}, micro},
	'c': {[]level{nothing}, second},
	'U': {[]level{nothing}, second},
}

// said is the level from which on the value of a letter is known already.
var said = map[byte]level{
	'Y': year, 'X': year, 'x': year, 'y': year, 'L': year,
	'm': month, 'n': month, 'F': month, 'M': month, 't': month,
	'd': day, 'j': day, 'D': day, 'l': day, 'N': day, 'S': day, 'w': day, 'z': day, 'W': day, 'o': day,
	'H': hour, 'G': hour, 'h': hour, 'g': hour, 'A': hour, 'a': hour,
	'i': minute, 's': second, 'U': second, 'c': second, 'r': second, 'B': second,
	'v': milli, 'u': micro,
}

// zoneLetters depend on the zone, which the text before cannot say: they may only
// stand where nothing but literals follow.
var zoneLetters = map[byte]bool{'e': true, 'I': true, 'O': true, 'P': true, 'p': true, 'T': true, 'Z': true, 'c': true, 'r': true}

// errNoTime is the problem of a layout without a letter for a date or time.
var errNoTime = errors.New("format holds no date and no time, so it has no order; Y-m-d H:i:s has")

// Monotonic returns nil where the texts of layout, compared byte by byte, are in
// the order of their times, for the years 1000 to 9999; so that a range of texts
// is a range of time. "U", "Uv" and "Uu" are in the order of time as numbers, and
// from 2001 to 2286 as texts. The error says which character breaks the order.
func Monotonic(layout string) error {
	_, err := finest(layout)
	return err
}

// Granularity returns how much time one text of a monotonic layout can mean: a
// second for Y-m-d H:i:s, 31 days for Y-m. It returns 0 for other layouts.
func Granularity(layout string) time.Duration {
	at, err := finest(layout)
	if err != nil {
		return 0
	}
	return span[at]
}

// finest walks the letters of layout and returns the level they reach.
func finest(layout string) (level, error) {
	if err := Validate(layout); err != nil {
		return nothing, err
	}
	at, zoned := nothing, false
	for i, tok := range tokens(layout) {
		if _, known := writers[tok.char]; tok.literal || !known {
			continue
		}
		if zoned {
			return nothing, disorder(i, tok, "it follows the time zone; write the zone last")
		}
		zoned = zoneLetters[tok.char]
		if from, known := said[tok.char]; known && at >= from {
			continue
		}
		if zoned && at != nothing {
			if at < second {
				return nothing, disorder(i, tok, "the zone comes before the time is complete; write it last, or \\"+string(tok.char)+" for the letter itself")
			}
			continue
		}
		step, known := steps[tok.char]
		if !known || !slices.Contains(step.from, at) {
			return nothing, disorder(i, tok, hintFor(tok.char, at))
		}
		at = step.to
	}
	if at == nothing {
		return nothing, errNoTime
	}
	return at, nil
}

func disorder(i int, tok token, why string) error {
	return fmt.Errorf("text order is not time order from character %d of the format, %q, on: %s", i+1, tok.char, why)
}

// hintFor says what to write in place of a letter.
func hintFor(char byte, at level) string {
	switch char {
	case 'y':
		return "99 sorts behind 00; write Y"
	case 'n':
		return "10 sorts before 9; write m"
	case 'j':
		return "10 sorts before 9; write d"
	case 'G', 'g', 'h':
		return "write H"
	case 'x':
		return "write Y"
	}
	switch at {
	case nothing:
		return "begin with the year, Y"
	case year:
		return "the month, m, must follow the year"
	case month:
		return "the day, d, must follow the month"
	case day:
		return "the hour, H, must follow the day"
	case hour:
		return "the minute, i, must follow the hour"
	case minute:
		return "the second, s, must follow the minute"
	default:
		return "write the greater part first, without leaving one out"
	}
}
