package phpdate

import (
	"errors"
	"fmt"
	"strconv"
	"time"
)

// ErrNoParse is the error of Parse for a layout it cannot read back, though
// Format can write it.
var ErrNoParse = errors.New("parse time: format holds a letter other than Y m d H i s v u U, or U twice")

// widths are the letters that Parse reads. U takes what the letters of fixed
// width leave over.
var widths = map[byte]int{'Y': 4, 'm': 2, 'd': 2, 'H': 2, 'i': 2, 's': 2, 'v': 3, 'u': 6, 'U': 0}

// Parse reads text that Format wrote with a monotonic layout made of the letters
// Y m d H i s v u U, in the zone loc. Parts that the layout leaves out are the
// smallest. The error is ErrNoParse, that of Monotonic, or says where text differs
// from layout.
func Parse(text, layout string, loc *time.Location) (time.Time, error) {
	if err := Monotonic(layout); err != nil {
		return time.Time{}, err
	}
	list, fixed, epochs := tokens(layout), 0, 0
	for _, tok := range list {
		_, known := writers[tok.char]
		switch width, readable := widths[tok.char]; {
		case tok.literal || !known:
			fixed++
		case !readable:
			return time.Time{}, ErrNoParse
		case tok.char == 'U':
			epochs++
		default:
			fixed += width
		}
	}
	if epochs > 1 {
		return time.Time{}, ErrNoParse
	}
	parts := map[byte]int64{'Y': 1, 'm': 1, 'd': 1}
	rest := text
	for i, tok := range list {
		width, value := widths[tok.char]
		value = value && !tok.literal
		switch {
		case !value:
			width = 1
		case tok.char == 'U':
			width = len(text) - fixed
		}
		if width < 1 || width > len(rest) {
			return time.Time{}, fmt.Errorf("parse time: text ends before character %d of the format", i+1)
		}
		part := rest[:width]
		rest = rest[width:]
		if !value {
			if part[0] != tok.char {
				return time.Time{}, fmt.Errorf("parse time: text differs at character %d of the format", i+1)
			}
			continue
		}
		n, err := number(part, tok.char == 'U')
		if err != nil {
			return time.Time{}, fmt.Errorf("parse time: no number at character %d of the format", i+1)
		}
		parts[tok.char] = n
	}
	t := assemble(parts, loc)
	if rest != "" || Format(t, layout) != text {
		return time.Time{}, errors.New("parse time: text is no time in the format")
	}
	return t, nil
}

// number reads digits; a sign is only allowed for seconds before 1970.
func number(text string, signed bool) (int64, error) {
	if c := text[0]; (c < '0' || c > '9') && (c != '-' || !signed) {
		return 0, strconv.ErrSyntax
	}
	return strconv.ParseInt(text, 10, 64)
}

func assemble(parts map[byte]int64, loc *time.Location) time.Time {
	nano := parts['v'] * 1_000_000
	if micros, finer := parts['u']; finer {
		nano = micros * 1000
	}
	if seconds, epoch := parts['U']; epoch {
		return time.Unix(seconds, nano).In(loc)
	}
	return time.Date(int(parts['Y']), time.Month(parts['m']), int(parts['d']),
		int(parts['H']), int(parts['i']), int(parts['s']), int(nano), loc)
}
