package row

import (
	"bytes"
	"time"
)

// Lengths of the driver's texts.
const (
	dateLen     = len("2006-01-02")
	dateTimeLen = len("2006-01-02 15:04:05")
)

// appendDateTime writes a DATE, DATETIME or TIMESTAMP with the given number of fractional digits, a DATE as its
// midnight. With round the fraction is rounded half up as MySQL does it, else cut. Zero dates are text like any other.
func appendDateTime(dst, b []byte, digits int, round bool) []byte {
	if matches(b, "dddd-dd-dd") {
		dst = append(append(dst, b...), " 00:00:00"...)
		return appendFraction(dst, nil, digits)
	}
	if !isTemporal(b, kindDateTime) {
		return append(dst, b...)
	}
	whole, frac, _ := bytes.Cut(b, []byte{'.'})
	if round && len(frac) > digits && frac[digits] >= '5' {
		at := len(dst)
		dst = append(dst, whole...)
		dst = appendFraction(dst, frac, digits)
		if carry(dst[at:]) {
			dst = nextSecond(dst, at)
		}
		return dst
	}
	return appendFraction(append(dst, whole...), frac, digits)
}

// appendFraction writes exactly n fractional digits.
func appendFraction(dst, frac []byte, n int) []byte {
	if n <= 0 {
		return dst
	}
	frac = clip(frac, n)
	dst = append(append(dst, '.'), frac...)
	return appendZeros(dst, n-len(frac))
}

// carry adds one to the last fractional digit and says whether the seconds overflow with it.
func carry(b []byte) bool {
	point := bytes.IndexByte(b, '.')
	if point < 0 {
		return true
	}
	for i := len(b) - 1; i > point; i-- {
		if b[i]++; b[i] <= '9' {
			return false
		}
		b[i] = '0'
	}
	return true
}

// nextSecond adds a second to the time at dst[at:]. What is no date, or the last second there is, stays: the server
// could not have rounded it either.
func nextSecond(dst []byte, at int) []byte {
	t, err := time.Parse(time.DateTime, string(dst[at:at+dateTimeLen]))
	if err != nil {
		return dst
	}
	t = t.Add(time.Second)
	if t.Year() <= 9999 {
		t.AppendFormat(dst[at:at], time.DateTime)
	}
	return dst
}

// maxTimeSeconds is 838:59:59, the end of the type TIME.
const maxTimeSeconds = 838*3600 + 59*60 + 59

// appendTime writes a TIME. It rounds away from zero; there is no minus zero.
func appendTime(dst, b []byte, digits int, round bool) []byte {
	if !isTemporal(b, kindTime) {
		return append(dst, b...)
	}
	neg := b[0] == '-'
	whole, frac, _ := bytes.Cut(bytes.TrimPrefix(b, []byte{'-'}), []byte{'.'})
	at := len(dst)
	if neg {
		dst = append(dst, '-')
	}
	start := len(dst)
	dst = appendFraction(append(dst, whole...), frac, digits)
	if round && len(frac) > digits && frac[digits] >= '5' && carry(dst[start:]) {
		if s := timeSeconds(whole) + 1; s <= maxTimeSeconds {
			dst = appendClock(dst[:start], s)
			dst = appendFraction(dst, nil, digits)
		}
	}
	if neg && len(bytes.Trim(dst[start:], "0:.")) == 0 {
		dst = append(dst[:at], dst[start:]...)
	}
	return dst
}

func timeSeconds(whole []byte) int {
	total, n := 0, 0
	for _, c := range whole {
		if c == ':' {
			total, n = (total+n)*60, 0
			continue
		}
		n = n*10 + int(c-'0')
	}
	return total + n
}

func appendClock(dst []byte, seconds int) []byte {
	h := seconds / 3600
	if h >= 100 {
		dst = append(dst, byte('0'+h/100))
		h %= 100
	}
	for i, n := range [3]int{h, seconds / 60 % 60, seconds % 60} {
		if i > 0 {
			dst = append(dst, ':')
		}
		dst = append(dst, byte('0'+n/10), byte('0'+n%10))
	}
	return dst
}

// appendTemporalText writes a temporal value, or the text that holds one, without trailing zeros of the fraction. Text
// that is none stays as it is.
func appendTemporalText(dst, b []byte, k kind) []byte {
	if !isTemporal(b, k) {
		return append(dst, b...)
	}
	if bytes.IndexByte(b, '.') >= 0 {
		b = bytes.TrimRight(bytes.TrimRight(b, "0"), ".")
	}
	if k == kindTime && b[0] == '-' && len(bytes.Trim(b, "-0:")) == 0 {
		b = b[1:]
	}
	return append(dst, b...)
}

// isTemporal says whether b has the shape of the server's text for the kind; it does not look at the calendar.
func isTemporal(b []byte, k kind) bool {
	if k == kindDate {
		return matches(b, "dddd-dd-dd")
	}
	whole, frac, point := bytes.Cut(b, []byte{'.'})
	if point && (len(frac) == 0 || len(frac) > 6 || digits(frac) != len(frac)) {
		return false
	}
	if k == kindDateTime {
		return matches(whole, "dddd-dd-dd dd:dd:dd")
	}
	whole = bytes.TrimPrefix(whole, []byte{'-'})
	return k == kindTime && (matches(whole, "dd:dd:dd") || matches(whole, "ddd:dd:dd"))
}

// matches compares b with a pattern in which d is any digit.
func matches(b []byte, pattern string) bool {
	if len(b) != len(pattern) {
		return false
	}
	for i, c := range b {
		if p := pattern[i]; p == 'd' && c-'0' > 9 || p != 'd' && c != p {
			return false
		}
	}
	return true
}

// validTemporal says whether the server can hold b in a column of the kind. Months and days of zero are let through:
// its sql_mode decides on them.
func validTemporal(b []byte, k kind) bool {
	if !isTemporal(b, k) {
		return false
	}
	if k == kindTime {
		whole, _, _ := bytes.Cut(bytes.TrimPrefix(b, []byte{'-'}), []byte{'.'})
		n := len(whole)
		return whole[n-5] <= '5' && whole[n-2] <= '5' && timeSeconds(whole) <= maxTimeSeconds
	}
	if k == kindDateTime && (string(b[11:13]) > "23" || b[14] > '5' || b[17] > '5') {
		return false
	}
	if string(b[5:7]) == "00" || string(b[8:10]) == "00" {
		return string(b[5:7]) <= "12" && string(b[8:10]) <= "31"
	}
	_, err := time.Parse(time.DateOnly, string(b[:dateLen]))
	return err == nil
}
