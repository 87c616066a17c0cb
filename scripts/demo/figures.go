package main

import (
	"context"
	"errors"
	"fmt"
)

// figures says what was done, and is an error if that was not right.
func (d *demo) figures(ctx context.Context, now status) error {
	n, work, deaths := d.receiver.counts(), d.cupid.compared(), d.cupid.deaths()
	v, _ := now.delivery()
	d.say.line("compared     %s, by the task workers", rows(work.Rows))
	d.say.line("called back  %s with %d calls: %d refused, %d accepted", rows(len(n.repaired)), n.calls, n.refused, n.accepted)
	d.say.line("healed       %s by the receiver, seen equal by the callback worker afterwards", rows(v.HealedByCallback))
	d.say.line("late         %s written while cupid looked on; %s it had seen differ and saw arrive; %d calls for them", rows(d.shop.lateCount()), count(work.SelfHealed), n.late)
	differing, err := d.shop.number(ctx, difference)
	if err != nil {
		return err
	}
	total, err := d.shop.number(ctx, "SELECT COUNT(*) FROM shop.user")
	if err != nil {
		return err
	}
	d.say.blank()
	var wrong error
	expect := func(ok bool, good, bad string) {
		if ok {
			d.say.good("%s", good)
		} else {
			wrong = errors.Join(wrong, errors.New(bad))
		}
	}
	expect(differing == 0, fmt.Sprintf("Both tables are equal: %s.", rows(total)), rows(differing)+" of the two tables differ")
	expect(n.late == 0, "No row that was merely late was called back.", fmt.Sprintf("%d calls for rows that were merely late", n.late))
	expect(n.unknown == 0, "No row was called back to which nothing had happened.", fmt.Sprintf("%d calls for rows to which nothing had happened", n.unknown))
	expect(deaths == 1, "No worker has died but for the one that was killed.", fmt.Sprintf("%d workers have died, and one was killed", deaths))
	return wrong
}
