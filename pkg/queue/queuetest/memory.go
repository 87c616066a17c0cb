package queuetest

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"
	"sync"
	"time"

	"github.com/masixun71/cupid/pkg/queue"
)

// Memory is a Store without a disk. The zero value is an empty one without a
// limit. It is safe for concurrent use.
type Memory struct {
	// Limit is the most records in all groups; 0 means no limit.
	Limit int
	// Fail, if not nil, is asked before every call, with the name of the method;
	// its error is the call's, and then nothing happens.
	Fail func(method string) error
	// Now tells the time for FirstSeen; nil means time.Now.
	Now func() time.Time

	mu      sync.Mutex // guards the fields below
	records map[identity]queue.Record
	seq     int64
}

type identity struct{ group, key string }

var _ Store = (*Memory)(nil)

func (m *Memory) begin(ctx context.Context, method string) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("%s: %w", method, context.Cause(ctx))
	}
	if m.Fail != nil {
		return m.Fail(method)
	}
	return nil
}

func (m *Memory) now() time.Time {
	if m.Now != nil {
		return milli(m.Now())
	}
	return milli(time.Now())
}

// Put is queue.Queue's.
func (m *Memory) Put(ctx context.Context, puts []queue.Put) error {
	if err := m.begin(ctx, "Put"); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	added := make(map[identity]bool)
	for _, p := range puts {
		if err := check(p.Group, p.Key, p.Payload, 0); err != nil {
			return err
		}
		id := identity{p.Group, p.Key}
		if _, known := m.records[id]; !known {
			added[id] = true
		}
	}
	if m.Limit > 0 && len(added) > 0 && len(m.records)+len(added) > m.Limit {
		return fmt.Errorf("%w: limit %d", queue.ErrFull, m.Limit)
	}
	if m.records == nil {
		m.records = make(map[identity]queue.Record)
	}
	for _, p := range puts {
		id := identity{p.Group, p.Key}
		r, known := m.records[id]
		if !known {
			r = queue.Record{Group: p.Group, Key: p.Key, Due: milli(p.Due), FirstSeen: m.now()}
			if p.Due.IsZero() {
				r.Due = r.FirstSeen
			}
		}
		m.seq++
		r.Version, r.Payload = m.seq, slices.Clone(p.Payload)
		m.records[id] = r
	}
	return nil
}

// Due is queue.Queue's.
func (m *Memory) Due(ctx context.Context, group string, now time.Time, limit int, skip func(key string) bool) ([]queue.Record, error) {
	if err := m.begin(ctx, "Due"); err != nil {
		return nil, err
	}
	var due []queue.Record
	for _, r := range m.group(group) {
		if len(due) >= limit || r.Due.After(milli(now)) {
			break
		}
		if skip == nil || !skip(r.Key) {
			due = append(due, r)
		}
	}
	return due, nil
}

// Latest is queue.Queue's.
func (m *Memory) Latest(ctx context.Context, group string, now time.Time, limit int, skip func(key string) bool) ([]queue.Record, error) {
	due, err := m.Due(ctx, group, now, math.MaxInt, skip)
	slices.Reverse(due)
	return due[:min(max(limit, 0), len(due))], err
}

// Beyond is queue.Queue's.
func (m *Memory) Beyond(ctx context.Context, group string, after time.Time, limit int, skip func(key string) bool) ([]queue.Record, error) {
	return m.Due(ctx, group, farFuture, limit, func(key string) bool {
		m.mu.Lock()
		defer m.mu.Unlock()
		return !m.records[identity{group, key}].Due.After(milli(after)) || skip != nil && skip(key)
	})
}

// farFuture is after all that is ever due.
var farFuture = time.UnixMilli(math.MaxInt64)

// group returns copies of a group's records, the first due first.
func (m *Memory) group(group string) []queue.Record {
	m.mu.Lock()
	defer m.mu.Unlock()
	var list []queue.Record
	for id, r := range m.records {
		if id.group == group {
			r.Payload = slices.Clone(r.Payload)
			list = append(list, r)
		}
	}
	slices.SortFunc(list, func(a, b queue.Record) int {
		return cmp.Or(a.Due.Compare(b.Due), cmp.Compare(a.Key, b.Key))
	})
	return list
}

// Apply is queue.Queue's.
func (m *Memory) Apply(ctx context.Context, changes []queue.Change) (applied int, err error) {
	if err := m.begin(ctx, "Apply"); err != nil {
		return 0, err
	}
	for _, c := range changes {
		if err := check(c.Group, c.Key, c.Payload, c.Attempts); err != nil {
			return 0, err
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, c := range changes {
		id := identity{c.Group, c.Key}
		r, known := m.records[id]
		if !known || r.Version != c.Version {
			continue
		}
		applied++
		if c.Remove {
			delete(m.records, id)
			continue
		}
		m.seq++
		r.Version, r.Due, r.Attempts = m.seq, milli(c.Due), c.Attempts
		if c.Payload != nil {
			r.Payload = slices.Clone(c.Payload)
		}
		m.records[id] = r
	}
	return applied, nil
}

// NextDue is queue.Queue's.
func (m *Memory) NextDue(ctx context.Context, group string) (time.Time, bool, error) {
	if err := m.begin(ctx, "NextDue"); err != nil {
		return time.Time{}, false, err
	}
	list := m.group(group)
	if len(list) == 0 {
		return time.Time{}, false, nil
	}
	return list[0].Due, true, nil
}

// Depth is queue.Queue's.
func (m *Memory) Depth(group string) int { return len(m.group(group)) }

func milli(t time.Time) time.Time { return time.UnixMilli(t.UnixMilli()).UTC() }

func check(group, key string, payload []byte, attempts int) error {
	if group == "" || len(group) > queue.MaxGroupBytes || len(key) > queue.MaxKeyBytes ||
		len(payload) > queue.MaxPayloadBytes || attempts < 0 {
		return queue.ErrInvalid
	}
	return nil
}
