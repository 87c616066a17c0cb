package callback

import (
	"context"
	"fmt"
	"time"
)

// attempt is a record whose rows were read and differ.
type attempt struct {
	rec  Record
	was  Note // what is known without it
	note Note // and when it is posted
	body []byte
	read time.Time
	// counted is the minute in which it counts against the budget; 0 when it is no orphan.
	counted int64
}

// posted is an attempt that came back.
type posted struct {
	attempt
	outcome Outcome
	waited  time.Duration // from the reading of the row to the post
	stale   bool          // it was not posted: the row was read too long ago
	unsaid  bool          // it was not posted, or given up by ourselves
	sent    bool          // it was posted
}

// post is one poster. It starts nothing once starting is done.
func (l *lane) post(ctx, starting context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case a := <-l.work:
			l.posts <- l.try(ctx, starting, a)
		}
	}
}

// try makes one attempt when the gate lets it, and no later than the row is fresh.
func (l *lane) try(ctx, starting context.Context, a attempt) posted {
	p, ok := l.dest.Gate.enter(starting, a.read.Add(freshFor), pass{pair: l.name, again: a.note.Failed > 0})
	if !ok {
		return posted{attempt: a, unsaid: true, stale: starting.Err() == nil}
	}
	if starting.Err() != nil {
		l.dest.Gate.leave(p, Outcome{}, true)
		return posted{attempt: a, unsaid: true}
	}
	waited := time.Since(a.read)
	o := l.dest.Sender.Post(ctx, Post{
		ID: eventID(a.rec), Attempt: a.rec.Attempts + 1, Pair: l.name, Columns: a.note.Columns, Body: a.body,
	})
	givenUp := !o.Accepted && ctx.Err() != nil
	turn, down := l.dest.Gate.leave(p, o, givenUp)
	l.turned(turn, down, o)
	a.body = nil // what comes back may wait for the disk
	return posted{attempt: a, outcome: o, waited: waited, unsaid: givenUp, sent: true}
}

// turned tells what an outcome meant for the URL.
func (l *lane) turned(t turn, down time.Duration, o Outcome) {
	url := l.dest.URL
	if t != same {
		l.config.changed()
	}
	switch t {
	case wentDown:
		l.log.Error().Err(o.Err).Str("url", url).Msg("callback URL is down; it is probed by one event at a time")
		l.config.Alerts.Alert("callback URL down", fmt.Sprintf("%s: %v", url, o.Err))
	case wasParked:
		l.log.Error().Err(o.Err).Str("url", url).Msg("callback URL says that it is gone; its events are kept, and it is probed every hour and after a reload")
		l.config.Alerts.Alert("callback URL parked", fmt.Sprintf("%s: %v; its events are kept, and it is probed every hour and after a reload", url, o.Err))
	case cameBack:
		l.log.Info().Str("url", url).Int64("downMillisecond", down.Milliseconds()).Msg("callback URL answers again")
		l.config.Alerts.Alert("callback URL up", fmt.Sprintf("%s answers again after %s", url, down.Round(time.Second)))
	case same:
	}
}
