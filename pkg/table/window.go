package table

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/masixun71/cupid/pkg/phpdate"
	"github.com/masixun71/cupid/pkg/row"
)

// Window turns two instants into values of the update column, such that every row
// written between them with the clock's time lies in [lo, hi]. A TIMESTAMP is in UTC,
// a DATETIME or DATE in the zone of its writers, anything else in UpdateFormat in that
// zone. Where clocks are set back between the two, or at all likely to have been,
// the window is widened by as much, and for some minutes after updateColumn or its zone was altered,
// by how long that may have been before it was noticed.
func (s *Source) Window(ctx context.Context, from, to time.Time) (lo, hi string, err error) {
	m, err := s.meta(ctx)
	if err != nil {
		return "", "", err
	}
	if m.update.Name == "" {
		return "", "", &Fault{Side: s.side.o.Name, Problem: "an update scan needs updateColumn"}
	}
	if to.Before(from) {
		from, to = to, from
	}
	from = from.Add(-s.reach())
	if m.update.DataType == "timestamp" {
		return temporalText(m.update, from.UTC()), temporalText(m.update, to.UTC()), nil
	}
	fromOffset, toOffset, err := s.side.offsets(ctx, m.zone, from, to)
	if err != nil {
		return "", "", err
	}
	widen := set(fromOffset, toOffset, to.Sub(from))
	from = from.Add(-widen).In(time.FixedZone("", fromOffset))
	to = to.Add(widen).In(time.FixedZone("", toOffset))
	if isTemporal(m.update) {
		return temporalText(m.update, from), temporalText(m.update, to), nil
	}
	format := func(t time.Time) string { return phpdate.Format(t, s.side.o.UpdateFormat) }
	return format(from), format(to), nil
}

// set is by how much clocks may have been set between two instants, given their
// offsets in seconds. Over more than a day they may have been set forth and back.
func set(fromOffset, toOffset int, span time.Duration) time.Duration {
	d := time.Duration(toOffset-fromOffset) * time.Second
	if d < 0 {
		d = -d
	}
	if span > 24*time.Hour {
		d = max(d, 2*time.Hour) // the widest that any zone uses for daylight saving time
	}
	return d
}

// temporalText is t's own clock time as text of a temporal column, cut to the column's
// precision.
func temporalText(c row.Column, t time.Time) string {
	if c.DataType == "date" {
		return t.Format("2006-01-02")
	}
	text := t.Format("2006-01-02 15:04:05.000000")
	if c.FSP == 0 {
		return text[:len("2006-01-02 15:04:05")]
	}
	return text[:len("2006-01-02 15:04:05.")+c.FSP]
}

// offsets are the seconds east of UTC in a zone at two instants. The server is
// asked where only it knows: for SYSTEM, and for names that this machine lacks.
func (s *side) offsets(ctx context.Context, zone string, from, to time.Time) (int, int, error) {
	if seconds, ok := fixedOffset(zone); ok {
		return seconds, seconds, nil
	}
	if !strings.EqualFold(zone, systemZone) && !strings.EqualFold(zone, "local") {
		if l, err := time.LoadLocation(zone); err == nil {
			_, a := from.In(l).Zone()
			_, b := to.In(l).Zone()
			return a, b, nil
		}
	}
	var seconds struct {
		From *int `db:"f"`
		To   *int `db:"t"`
	}
	a, b := from.UTC().Format("2006-01-02 15:04:05"), to.UTC().Format("2006-01-02 15:04:05")
	err := s.get(ctx, &seconds, "ask for the offset of zone "+zone,
		"SELECT TIMESTAMPDIFF(SECOND, ?, CONVERT_TZ(?, '+00:00', ?)) AS f, TIMESTAMPDIFF(SECOND, ?, CONVERT_TZ(?, '+00:00', ?)) AS t",
		a, a, zone, b, b, zone)
	if err != nil {
		return 0, 0, err
	}
	if seconds.From == nil || seconds.To == nil {
		return 0, 0, s.unknownZone(zone)
	}
	return *seconds.From, *seconds.To, nil
}

// fixedOffset reads "+08:00", as MySQL writes zones that are only an offset.
func fixedOffset(zone string) (seconds int, ok bool) {
	if zone == "" || zone[0] != '+' && zone[0] != '-' {
		return 0, false
	}
	h, m, found := strings.Cut(zone[1:], ":")
	hours, err1 := strconv.Atoi(h)
	minutes, err2 := strconv.Atoi(m)
	if !found || err1 != nil || err2 != nil || hours > 14 || minutes > 59 {
		return 0, false
	}
	seconds = hours*3600 + minutes*60
	if zone[0] == '-' {
		seconds = -seconds
	}
	return seconds, true
}

// knowsZone returns nil when the server can convert into zone.
func (s *side) knowsZone(ctx context.Context, zone string) error {
	var text *string
	err := s.get(ctx, &text, "ask for zone "+zone, "SELECT CONVERT_TZ('2020-01-01 00:00:00', '+00:00', ?)", zone)
	if err == nil && text == nil {
		return s.unknownZone(zone)
	}
	return err
}

func (s *side) unknownZone(zone string) error {
	return &Fault{
		Side:    s.o.Name,
		Problem: fmt.Sprintf("the server does not know time zone %q", zone),
		Hint:    "load its zone tables (mysql_tzinfo_to_sql /usr/share/zoneinfo | mysql mysql), or set timeZone to an offset such as +08:00",
	}
}
