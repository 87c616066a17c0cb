package callback

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"sync"
	"time"

	"github.com/masixun71/cupid/pkg/event"
)

// Note is what the queue keeps of an event beside its identity.
type Note struct {
	Kind     event.Kind `json:"kind"`
	SourceID string     `json:"src"`
	Columns  []string   `json:"cols,omitempty"`
	State    State      `json:"state"`
	// Accepted counts 2xx answers.
	Accepted int `json:"acc,omitempty"`
	// Failed counts the attempts that failed since the last 2xx.
	Failed int `json:"fail,omitempty"`
	// Unread counts how often in a row the row could not be read, though others could.
	Unread int `json:"unread,omitempty"`
	// Held says that the row was held back in a storm, and not posted since.
	Held bool `json:"held,omitempty"`
	// Seen is when the divergence was first read, in milliseconds since 1970; 0 when it
	// is not known.
	Seen int64 `json:"seen,omitempty"`
	// Unanswered says that an attempt may still be at work at the receiver: it ended
	// without an answer though it may have been read. See settled.
	Unanswered bool `json:"unanswered,omitempty"`
	// Equal is since when every look has found an unanswered row equal, in milliseconds
	// since 1970; 0 when the last one did not.
	Equal int64 `json:"equal,omitempty"`
	// Looks are the looks at the row since it was posted last, or since a task
	// worker confirmed it or began to watch it.
	Looks []event.Look `json:"looks,omitempty"`
}

// State is where an event is on its way.
type State string

const (
	// Pending waits for its next attempt.
	Pending State = "pending"
	// Accepted was answered with 2xx and waits to be seen repaired.
	Accepted State = "accepted"
	// Watched is a row that kept moving and is no event yet.
	Watched State = "watched"
)

// note reads a record's note.
func note(r Record) (Note, error) {
	var n Note
	if err := json.Unmarshal(r.Note, &n); err != nil {
		return n, fmt.Errorf("read event %s %s: %w", r.Pair, r.Key, err)
	}
	return n, nil
}

// change is a record with another note.
func change(r Record, n Note, due time.Time) Change {
	r.Note, r.Due = encode(n), due
	return Change{Record: r}
}

func encode(n Note) []byte {
	b, err := json.Marshal(n)
	if err != nil {
		panic("callback: a note has no JSON: " + err.Error())
	}
	return b
}

// merge is what a newer event of a known identity changes: what was found, and
// not how far its delivery is. A record keeps its due time. So when both are of a row
// that is watched, ours goes on: looks that a task worker has just made would be
// followed by the next one too soon, and a row that moves would seem to stand still.
func merge(old Record, newer Note) Note {
	was, err := note(old)
	if err != nil {
		return newer
	}
	newer.Unanswered, newer.Equal = was.Unanswered, was.Equal
	if was.State != Watched {
		newer.State, newer.Accepted, newer.Failed, newer.Looks, newer.Held, newer.Seen = was.State, was.Accepted, was.Failed, was.Looks, was.Held, was.Seen
		return newer
	}
	if newer.State == Watched {
		if was.SourceID == newer.SourceID {
			return was
		}
		newer.Looks = nil // the next look is the first one
	}
	if was.Accepted > 0 || was.Equal > 0 {
		newer.Accepted, newer.Seen = was.Accepted, was.Seen
	}
	return newer
}

// onto writes how far the delivery is onto the record of a newer event, which
// knows better by which id the row is read. A row that was seen equal after its post is
// watched from then on: when the newer event is the older news, as most are, it is still
// equal, and was healed by its callback. One that was seen equal and may still be undone
// is watched already; see settled.
func onto(newer Record, ours Change) (Change, error) {
	c := ours
	c.Version = newer.Version
	mine, err := note(ours.Record)
	if err != nil {
		return c, err
	}
	if mine.State == Watched && mine.Equal == 0 {
		c.Note = newer.Note
		return c, nil
	}
	if c.Remove {
		c.Remove, c.Due = false, newer.Due
		mine.State, mine.Looks = Watched, nil
	}
	if theirs, err := note(newer); err == nil { // else ours is better than none
		mine.Kind, mine.SourceID, mine.Columns = theirs.Kind, theirs.SourceID, theirs.Columns
	}
	return change(c.Record, mine, c.Due), nil
}

// eventID is the same over all attempts and restarts: it is made of the identity
// and the time when the queue first took it.
func eventID(r Record) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%q %q %d", r.Pair, r.Key, r.FirstSeen.UnixMilli()))
	return "evt_" + hex.EncodeToString(sum[:12])
}

// book writes to the queue what depends on what stands there. Its lock is held
// from reading a record to writing it, so that an event which comes in and an answer
// which is written down at the same time do not undo each other.
type book struct {
	mu     sync.Mutex
	queue  Queue
	settle time.Duration
}

// put stores events and returns how many identities of each pair are new. Nothing
// is stored when it returns an error.
func (b *book) put(ctx context.Context, events []event.Event) (fresh map[string]int, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	at := make(map[identity]int, len(events))
	records := make([]Record, 0, len(events))
	notes := make([]Note, 0, len(events))
	now := time.Now()
	for _, e := range events {
		r, n, err := b.record(e, now)
		if err != nil {
			return nil, err
		}
		id := identity{r.Pair, r.Key}
		if i, twice := at[id]; twice {
			records[i].Note = encode(notes[i])
			notes[i] = merge(records[i], n)
			continue
		}
		at[id] = len(records)
		records, notes = append(records, r), append(notes, n)
	}
	if len(records) == 0 {
		return nil, nil
	}
	old, err := b.known(ctx, records)
	if err != nil {
		return nil, err
	}
	fresh = map[string]int{}
	for i, r := range records {
		if was, known := old[identity{r.Pair, r.Key}]; known {
			notes[i] = merge(was, notes[i])
		} else {
			fresh[r.Pair]++
		}
		records[i].Note = encode(notes[i])
	}
	if err := b.queue.Put(ctx, records); err != nil {
		return nil, err
	}
	return fresh, nil
}

type identity struct{ pair, key string }

// known are the records that the queue has of these identities.
func (b *book) known(ctx context.Context, of []Record) (map[identity]Record, error) {
	keys := map[string][]string{}
	for _, r := range of {
		keys[r.Pair] = append(keys[r.Pair], r.Key)
	}
	found := map[identity]Record{}
	for pair, some := range keys {
		records, err := b.queue.GetAll(ctx, pair, some)
		if err != nil {
			return nil, err
		}
		for _, r := range records {
			found[identity{r.Pair, r.Key}] = r
		}
	}
	return found, nil
}

// record is a new record of an event.
func (b *book) record(e event.Event, now time.Time) (Record, Note, error) {
	key, err := e.Key.MarshalText()
	if err != nil {
		return Record{}, Note{}, fmt.Errorf("store event of %s: %w", e.Pair, err)
	}
	r := Record{Pair: e.Pair, Key: string(key), Due: now, FirstSeen: e.FirstSeen}
	n := Note{Kind: e.Kind, SourceID: e.SourceID, Columns: e.Columns, State: Pending, Seen: e.FirstSeen.UnixMilli()}
	if e.Look != nil {
		n.Looks = []event.Look{*e.Look}
	}
	if len(e.Watch) > 0 {
		n.State, n.Looks = Watched, e.Watch
		r.Due = now.Add(b.settle)
	}
	return r, n, nil
}

// apply makes changes. A record that a newer event has replaced meanwhile is not
// removed; how far its delivery is, is written onto it. It reports which changes
// met a newer record. One that was to be removed without having been posted is left
// as it is.
func (b *book) apply(ctx context.Context, changes []Change) (replaced map[int]bool, err error) {
	if len(changes) == 0 {
		return nil, nil
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	stale, err := b.queue.Apply(ctx, changes)
	if err != nil {
		return nil, err
	}
	replaced = map[int]bool{}
	var again []Change
	for _, i := range stale {
		c := changes[i]
		now, ok, err := b.queue.Get(ctx, c.Pair, c.Key)
		if err != nil {
			return nil, err
		}
		replaced[i] = ok
		if !ok || c.Remove && c.Attempts == now.Attempts {
			continue
		}
		if c, err = onto(now, c); err != nil {
			return nil, err
		}
		again = append(again, c)
	}
	if len(again) > 0 {
		if _, err := b.queue.Apply(ctx, again); err != nil {
			return nil, err
		}
	}
	return replaced, nil
}
