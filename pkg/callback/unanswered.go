package callback

import "time"

// maxDoubtful is how many events of a pair the worker before may have had in flight: the
// most that are claimed at a time where the configuration allows the most posts.
const maxDoubtful = 2 * maxClaim

// settled reports whether a row that was seen equal is done with, and else when it is to
// be looked at again.
//
// An attempt that has timed out may still be at work at the receiver, with the row as it
// was then. When its handler gets on at last, it may undo what a later attempt or the
// pipeline has repaired. So a row that had an attempt without an answer is looked at once
// more when the receiver has had the time that it is given for a post, and for a repair.
// Meanwhile it is watched, as a row that has healed is: when it differs then, that is a
// divergence like a new one, to be confirmed by a second look, and no repair that failed.
func (l *lane) settled(n *Note, now time.Time) (again time.Time, yes bool) {
	if !n.Unanswered {
		return again, true
	}
	if n.Equal == 0 || n.Equal > now.UnixMilli() { // the clock may have been set back
		n.Equal = now.UnixMilli()
	}
	n.State, n.Looks = Watched, nil
	again = time.UnixMilli(n.Equal).Add(max(l.dest.Timeout, l.dest.Grace, l.config.Settle))
	return again, !again.After(now)
}

// inherited reports whether the worker before may have had an attempt of a record in
// flight when it was killed, or gave it up when it was stopped. Nothing on disk says so,
// for that would be one more write before each attempt. But what was in flight has kept
// its due time, while everything else that a worker decides gives a later one. So it is
// among the first that were due when this worker began.
func (l *lane) inherited(r Record) bool {
	if !r.Due.Before(l.began) {
		return false
	}
	if len(l.doubtful) < maxDoubtful {
		l.doubtful[r.Key] = struct{}{}
	}
	_, doubtful := l.doubtful[r.Key]
	return doubtful
}
