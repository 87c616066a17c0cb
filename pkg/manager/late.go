package manager

import "time"

const (
	// firstLook is the age of a span when it is looked at for the second time;
	// the age doubles from one look to the next.
	firstLook = 2 * time.Second
	// lead is by how much an auto-increment id or an update time may at most be
	// older than what the source lists: the server takes both a moment before the statement
	// begins to wait for a lock, or InnoDB starts the transaction.
	lead = time.Second
	// maxLate bounds how many spans a lane remembers. Spans are merged so that the
	// age of a span doubles every two to four of them; that many spans reach back
	// for longer than a transaction can be open, or a replica stand still.
	maxLate = 128
)

// settled reports whether no transaction that can still commit into l is open:
// it is older than ahead, and so is every open transaction younger. ahead is by
// how much ids may be older than their transaction; blindAge is the age that
// stands for what cannot be seen. A replica has to have what was committed until then.
func (l Late) settled(c Clock, ahead, blindAge time.Duration) bool {
	age := c.Now.Sub(l.Seen)
	if age < ahead {
		return false
	}
	if !c.Visible {
		return c.Applied.Sub(l.Seen) >= blindAge
	}
	// A list from before that says nothing of those that started since.
	return c.Listed.Sub(l.Seen) >= ahead && (c.Oldest.IsZero() || c.Oldest.After(l.Seen.Add(ahead)))
}

// covered is up to when what was open is known where it can be seen. A statement that began
// to wait after the list was made, and waits no more when the next one is, shows a later
// time than its rows have: these belong to the next span too.
func (c Clock) covered() time.Time {
	if c.Visible && c.Listed.Before(c.Now) {
		return c.Listed
	}
	return c.Now
}

// due reports whether an unsettled span is to be looked at again.
func (l Late) due(now time.Time) bool {
	return now.Sub(l.Seen) >= firstLook<<min(l.Looks, 30)
}

// looked counts a look, and with it those that its age has passed over.
func (l *Late) looked(now time.Time) {
	for l.Looks < 30 && l.due(now) {
		l.Looks++
	}
}

// join is the one span that covers a and b, a being the older neighbour.
func join(a, b Late) Late {
	b.After = a.After
	if a.From.Before(b.From) {
		b.From = a.From
	}
	if a.To.After(b.To) {
		b.To = a.To
	}
	if a.Seen.After(b.Seen) {
		b.Seen = a.Seen
	}
	b.Looks = min(a.Looks, b.Looks)
	return b
}

// remember appends l to the spans of a lane and merges neighbours, so that few
// are left of any age. A merged span takes the time of its youngest part: its rows
// are looked at more often, and for longer, than they would have been, and none is
// forgotten.
//
// Spans are merged when they were seen in one cell of a grid whose cells are half
// as wide as the span is old. The grid stands still, so a span that was merged is
// not merged again before it has doubled its age, and gets its looks.
func remember(late []Late, l Late) []Late {
	merged := make([]Late, 0, len(late)+1)
	for _, next := range append(late, l) {
		n := len(merged)
		if n > 0 && sameCell(merged[n-1].Seen, next.Seen, l.Seen) {
			merged[n-1] = join(merged[n-1], next)
			continue
		}
		merged = append(merged, next)
	}
	for len(merged) > maxLate {
		merged[1] = join(merged[0], merged[1])
		merged = merged[1:]
	}
	return merged
}

// sameCell reports whether spans that were seen at a and b are old enough at now
// to be one.
func sameCell(a, b, now time.Time) bool {
	width := time.Second
	for age := min(now.Sub(a), now.Sub(b)); width <= age/4; {
		width *= 2
	}
	return a.Truncate(width).Equal(b.Truncate(width))
}
