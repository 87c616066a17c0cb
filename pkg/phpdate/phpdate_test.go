package phpdate_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/masixun71/cupid/pkg/phpdate"
)

// shanghai needs no time zone database.
var shanghai = time.FixedZone("CST", 8*3600)

// The wanted texts follow the table of the PHP manual, "DateTimeInterface::format".
func TestFormatEveryLetter(t *testing.T) {
	at := time.Date(2005, 8, 1, 3, 4, 5, 678901999, shanghai) // a Monday
	for layout, want := range map[string]string{
		"d": "01", "D": "Mon", "j": "1", "l": "Monday", "N": "1", "S": "st", "w": "1", "z": "212",
		"W": "31", "F": "August", "m": "08", "M": "Aug", "n": "8", "t": "31",
		"L": "0", "o": "2005", "X": "+2005", "x": "2005", "Y": "2005", "y": "05",
		"a": "am", "A": "AM", "B": "836", "g": "3", "G": "3", "h": "03", "H": "03", "i": "04", "s": "05",
		"u": "678901", "v": "678", "e": "CST", "I": "0", "O": "+0800", "P": "+08:00", "p": "+08:00", "T": "CST", "Z": "28800",
		"c": "2005-08-01T03:04:05+08:00", "r": "Mon, 01 Aug 2005 03:04:05 +0800", "U": "1122836645",
		"Y-m-d H:i:s": "2005-08-01 03:04:05", `\Y\\Y\`: `Y\2005\`, "": "", "q/日": "q/日", `l \t\h\e jS`: "Monday the 1st",
	} {
		if got := phpdate.Format(at, layout); got != want {
			t.Errorf("%q: got %q, want %q", layout, got, want)
		}
	}
}

func TestFormatEdges(t *testing.T) {
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Skip("no time zone database: ", err)
	}
	for _, c := range []struct {
		at           time.Time
		layout, want string
	}{
		{time.Date(2024, 12, 30, 0, 0, 0, 0, time.UTC), "o-W-N", "2025-01-1"},
		{time.Date(2021, 1, 3, 0, 0, 0, 0, time.UTC), "o-W-N w z", "2020-53-7 0 2"},
		{time.Date(2024, 2, 29, 12, 0, 0, 0, time.UTC), "L t z g A a h p e T P", "1 29 59 12 PM pm 12 Z UTC UTC +00:00"},
		{time.Date(1900, 2, 1, 0, 5, 0, 0, time.UTC), "L t g G h A", "0 28 12 0 12 AM"},
		{time.Date(10191, 1, 2, 0, 0, 0, 0, time.UTC), "Y X x jS", "10191 +10191 +10191 2nd"},
		{time.Date(-55, 1, 3, 0, 0, 0, 0, time.UTC), "Y X x jS", "-0055 -0055 -0055 3rd"},
		{time.Date(787, 1, 11, 0, 0, 0, 0, time.UTC), "Y X x jS", "0787 +0787 0787 11th"},
		{time.Date(2024, 7, 22, 23, 0, 0, 0, berlin), "I O P p T e Z B jS", "1 +0200 +02:00 +02:00 CEST Europe/Berlin 7200 916 22nd"},
		{time.Date(2024, 7, 1, 0, 0, 0, 0, time.FixedZone("", -(3*3600+30*60))), "O P T e Z", "-0330 -03:30 -03:30 -03:30 -12600"},
		{time.Date(1960, 1, 1, 23, 30, 0, 0, time.UTC), "U B", "-315534600 020"},
	} {
		if got := phpdate.Format(c.at, c.layout); got != c.want {
			t.Errorf("%s %q: got %q, want %q", c.at, c.layout, got, c.want)
		}
	}
}

func TestMonotonicAndGranularity(t *testing.T) {
	for layout, want := range map[string]time.Duration{
		"Y-m-d H:i:s": time.Second, "Y-m-d H:i:s.u": time.Microsecond, "Y-m-d H:i:s.v": time.Millisecond, "Y-m-d H:i:s.vu": time.Microsecond,
		"YmdHis": time.Second, "Y/m/d": 24 * time.Hour, "Y-m-d H:i": time.Minute, "Y-m-d H": time.Hour, "Y-m": 31 * 24 * time.Hour, "Y": 366 * 24 * time.Hour,
		"U": time.Second, "Uv": time.Millisecond, "Uu": time.Microsecond, "U.u": time.Microsecond, "c": time.Second,
		`Y-m-d\TH:i:sP`: time.Second, `Y-m-d\TH:i:s\Z`: time.Second, "o-W-N H": time.Hour, "o-W": 7 * 24 * time.Hour,
		"Y-m-d (D, l) H:i:s T": time.Second, "Y-m M n F-d": 24 * time.Hour, `\a\t Y`: 366 * 24 * time.Hour, "X-m-d": 24 * time.Hour, "Y-m-d H:i:s A g": time.Second,
	} {
		if err := phpdate.Monotonic(layout); err != nil {
			t.Errorf("%q: got %v, want none", layout, err)
		}
		if got := phpdate.Granularity(layout); got != want {
			t.Errorf("%q: granularity %v, want %v", layout, got, want)
		}
	}
	for layout, want := range map[string]string{
		"d-m-Y": "'d'", "m/d/Y H:i:s": "begin with the year", "Y-d-m": "month, m, must follow", "Y-m-d h:i:s A": "write H", "Y-n-j": "write m", "Y-m-j": "write d",
		"y-m-d": "write Y", "Y-m-d G:i": "write H", "Y-m-d H:s": "minute, i", "Y-m H": "day, d", "H:i:s": "begin with the year", "": "no date", `\Y`: "no date", "--": "no date",
		"Y-m-dTH:i:s": `\T for the letter`, "Y-m-d P H": "write it last", "Y z": "month, m", "Y W": "month, m", "r": "begin", "cu": "zone last", "Y-m-d B": "hour, H", "o m": "greater part", "Y-m-d H:i:s.q": "no meaning", "w": "begin",
	} {
		err := phpdate.Monotonic(layout)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, want an error with %q", layout, err, want)
		}
		if got := phpdate.Granularity(layout); got != 0 {
			t.Errorf("%q: granularity %v, want 0", layout, got)
		}
	}
}

func TestValidate(t *testing.T) {
	for _, bad := range []string{"b", "C", "Y-m-d k", "V"} {
		if err := phpdate.Validate(bad); err == nil {
			t.Errorf("%q: no error", bad)
		}
	}
	for _, good := range []string{`\b`, "d-m-Y", "日 Y", "1 2"} {
		if err := phpdate.Validate(good); err != nil {
			t.Errorf("%q: %v", good, err)
		}
	}
}

func TestParse(t *testing.T) {
	zone := shanghai
	at := time.Date(2026, 11, 23, 4, 5, 6, 123456000, zone)
	for layout, unit := range map[string]time.Duration{
		"Y-m-d H:i:s": time.Second, "YmdHis": time.Second, "Y-m-d H:i:s.u": time.Microsecond, "U": time.Second, "Uv": time.Millisecond, "U.u": time.Microsecond, `Y-m-d\TH:i:s.vu`: time.Microsecond,
	} {
		got, err := phpdate.Parse(phpdate.Format(at, layout), layout, zone)
		if want := at.Truncate(unit); err != nil || !got.Equal(want) {
			t.Errorf("%q: got %v, %v, want %v", layout, got, err, want)
		}
	}
	if got, err := phpdate.Parse("2026-11", "Y-m", zone); err != nil || !got.Equal(time.Date(2026, 11, 1, 0, 0, 0, 0, zone)) {
		t.Errorf("Y-m: got %v, %v", got, err)
	}
	for _, layout := range []string{"o-W-N", "c", "UU"} {
		if _, err := phpdate.Parse("x", layout, zone); !errors.Is(err, phpdate.ErrNoParse) {
			t.Errorf("%q: got %v, want ErrNoParse", layout, err)
		}
	}
	for _, text := range []string{"", "2026-02-30 00:00:00", "2026-11-23 04:05:0", "2026-11-23 04:05:066", "2026/11/23 04:05:06", "+026-11-23 04:05:06", "0000-00-00 00:00:00", "2026-11-23 24:00:00"} {
		if got, err := phpdate.Parse(text, "Y-m-d H:i:s", zone); err == nil {
			t.Errorf("%q: got %v, want an error", text, got)
		}
	}
}

func FuzzMonotonic(f *testing.F) {
	for _, s := range []string{"Y-m-d H:i:s", "Uu", "o-W-N", "d-m-Y", `Y-m-d\TH:i:s.uP`, "Y-m-d l jS F H:i:s.v e", `\`} {
		f.Add(s, int64(1122836645), int64(678901999), int64(86399))
	}
	f.Fuzz(func(t *testing.T, layout string, second, nano, later int64) {
		const years = 250 * 365 * 86400
		first := time.Unix(1_000_000_000+(second%years+years)%years, (nano%1e9+1e9)%1e9).In(time.UTC)
		last := first.Add(time.Duration((later%years + years) % years * 1e9))
		if len(layout) > 1000 {
			return
		}
		a, b := phpdate.Format(first, layout), phpdate.Format(last, layout)
		if phpdate.Monotonic(layout) != nil {
			return
		}
		if a > b {
			t.Errorf("%q: %q of %v sorts behind %q of %v", layout, a, first, b, last)
		}
		if a == b && last.Sub(first) >= phpdate.Granularity(layout) {
			t.Errorf("%q: %v and %v have one text, granularity is %v", layout, first, last, phpdate.Granularity(layout))
		}
		back, err := phpdate.Parse(a, layout, time.UTC)
		switch {
		case errors.Is(err, phpdate.ErrNoParse):
		case err != nil:
			t.Errorf("%q: parse %q: %v", layout, a, err)
		case back.After(first) || first.Sub(back) >= phpdate.Granularity(layout):
			t.Errorf("%q: %q gives %v for %v", layout, a, back, first)
		}
	})
}

func FuzzParse(f *testing.F) {
	f.Add("2026-11-23 04:05:06", "Y-m-d H:i:s")
	f.Add("-5", "U")
	f.Fuzz(func(t *testing.T, text, layout string) {
		at, err := phpdate.Parse(text, layout, time.UTC)
		if err == nil && phpdate.Format(at, layout) != text {
			t.Errorf("%q %q gives %v", text, layout, at)
		}
	})
}
