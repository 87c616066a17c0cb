package manager

import (
	"context"
	"fmt"
	"strings"
)

// Unknown counts the source rows of which a sweep cannot tell whether they are equal.
type Unknown struct {
	// SetAside counts rows that killed the workers which compared them.
	SetAside int64 `json:"setAside,omitempty"`
	// NullKeys counts rows with a NULL in byColumn: no destination row can be theirs.
	NullKeys int64 `json:"nullKeys,omitempty"`
	// NullIDs counts rows whose idColumn is NULL, and which a sweep by row does not see, or
	// which differed in the first look and cannot be looked at again.
	NullIDs int64 `json:"nullIDs,omitempty"`
	// Moving counts rows that differed in every look and kept changing. The callback worker goes
	// on with them, unless nobody is called.
	Moving int64 `json:"moving,omitempty"`
}

// Include adds what was counted elsewhere.
func (u *Unknown) Include(o Unknown) {
	u.SetAside += o.SetAside
	u.NullKeys += o.NullKeys
	u.NullIDs += o.NullIDs
	u.Moving += o.Moving
}

// Count is how many rows there are in all.
func (u Unknown) Count() int64 { return u.SetAside + u.NullKeys + u.NullIDs + u.Moving }

// Why says why nothing can be told of the rows; empty when there is none.
func (u Unknown) Why() string {
	var why []string
	say := func(n int64, text string) {
		if n > 0 {
			why = append(why, fmt.Sprintf("%d rows %s", n, text))
		}
	}
	say(u.SetAside, "kill every worker that compares them and were set aside")
	say(u.NullKeys, "have a NULL in byColumn, so that no destination row can be theirs")
	say(u.NullIDs, "have no idColumn (NULL) by which they could be judged")
	say(u.Moving, "changed at every look and could not be judged")
	return strings.Join(why, "; ")
}

// countUnread counts, once in a pass, the source rows that none of its chunks has. A table can be
// too large for that to be one query. Its pass goes on without, but for one of a run with -once:
// its verdict is about every row.
func (s *sweepScan) countUnread(ctx context.Context) error {
	if s.state.Unread != nil {
		return nil
	}
	keys, ids, err := s.lane.source.NullRows(ctx)
	switch {
	case err != nil && (s.once || s.lane.failures < alertFailures-1):
		return err
	case err != nil:
		s.lane.log.Error().Err(err).Msg("source rows without byColumn or idColumn could not be counted in this pass, which goes on")
	case keys+ids > 0:
		s.lane.log.Warn().Int64("nullKeys", keys).Int64("nullIDs", ids).
			Msg("source rows whose byColumn or idColumn is NULL cannot be compared")
	}
	s.state.Unread = &Unknown{NullKeys: keys, NullIDs: ids}
	s.keep()
	return nil
}

// found is what was found in the pass so far, and what it does not read.
func (s *sweepScan) found() Found {
	f := s.state.Found
	if s.state.Unread != nil {
		f.Include(*s.state.Unread)
	}
	return f
}
