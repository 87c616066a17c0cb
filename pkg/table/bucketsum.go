package table

import (
	"context"
	"database/sql/driver"
	"fmt"
	"slices"
	"strconv"

	"github.com/masixun71/cupid/pkg/chunk"
	"github.com/masixun71/cupid/pkg/row"
)

const (
	// keyBits is how much of a key, or of its hash, there is in the number of a row: above the
	// 32 bits of the hash of the values one has to stay free, since the driver has an int64 for 63
	// bits, and a text for 64.
	keyBits, keyMask = 31, 1<<keyBits - 1
	// keyShift leaves what there is of the key in the number of a row.
	keyShift = 32
	// bucketShift leaves the bucket of a key's hash: its highest bits.
	bucketShift = keyBits - 16
)

// keyHash is the hash of a row's key, by which its bucket is known: 31 bits.
func (s summer) keyHash(side row.Side) string {
	return "(" + hashCRC32.of(s.keyText(hashCRC32, side)) + " >> 1)"
}

// lowKey are the lowest 31 bits of a key that is one integer.
func (s summer) lowKey(side row.Side) string {
	return "(" + quote(columnOf(s.keys[0].rule, side).Name) + " & " + strconv.Itoa(keyMask) + ")"
}

// rowHash is a hash of a row's values, of 32 bits. With SHA-2 it has a parameter, the salt.
func (s summer) rowHash(side row.Side, salt uint32) (expression string, salted bool) {
	h := s.hashes[salt&1]
	if h == hashSHA2 {
		return "CAST(CONV(LEFT(SHA2(" + h.text(side, slices.Concat(s.keys, s.columns), "?") + ", 256), 8), 16, 10) AS UNSIGNED)", true
	}
	return h.of(h.text(side, s.columns, "")), false
}

// numbered is the number by which a row is added up: what there is of its key, 31 bits, and in
// the lower half the hash of its values.
func (s summer) numbered(side row.Side, key string, salt uint32) string {
	hash, _ := s.rowHash(side, salt)
	return fmt.Sprintf("(%s << %d) | %s", key, keyShift, hash)
}

// mix is what a row counts for: the finalizer of SplitMix64, which has every bit of
// its argument in every bit of the result, so that swapped and shifted values do not
// cancel out as they do in sums of a linear hash.
func mix(row uint64, salt uint32) uint64 {
	z := row ^ uint64(salt)*0x9e3779b97f4a7c15
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

// AddUp adds up the rows of a chunk on both sides by the buckets of their keys. The rows
// are streamed as one number each, since that costs the servers less than a GROUP BY
// (make bench-sweep). rows is how many the source has.
func (p *Pair) AddUp(ctx context.Context, c chunk.Chunk) (sums []byte, rows int, err error) {
	pl, err := p.plan(ctx)
	if err != nil {
		return nil, 0, err
	}
	after, upTo, err := pl.places(c)
	if err != nil {
		return nil, 0, p.failed(pl, p.src.explain(ctx, "add up buckets", err))
	}
	both, ok := p.sums.Get().(*[2]chunk.Sums)
	if !ok {
		both = &[2]chunk.Sums{}
	}
	defer func() {
		both[0].Reset()
		both[1].Reset()
		p.sums.Put(both)
	}()
	add := func(on row.Side, take func(bucket uint16, hash uint32)) func(context.Context) error {
		return func(ctx context.Context) error {
			n, err := p.addSide(ctx, pl, on, after, upTo, c, take)
			if on == row.Source {
				rows = n
			}
			return err
		}
	}
	err = together(ctx, add(row.Source, both[row.Source].Add), add(row.Destination, both[row.Destination].Sub))
	if err != nil {
		return nil, 0, p.failed(pl, err)
	}
	both[0].Join(&both[1])
	return both[0].Bytes(), rows, nil
}

func (p *Pair) addSide(ctx context.Context, pl *plan, on row.Side, after places, upTo *places, c chunk.Chunk, take func(uint16, uint32)) (rows int, err error) {
	s := p.side(on)
	range_, none, err := pl.bucketRange(on, after, upTo)
	if err != nil || none {
		return 0, s.explain(ctx, "add up buckets", err)
	}
	err = s.readHashes(ctx, "add up "+c.String(), pl, on, s.inPrimaryOrder(), pl.sweep.sums.keyHash(on), range_, c.Salt, func(n uint64) {
		rows++
		take(uint16(n>>(keyShift+bucketShift)), uint32(mix(n, c.Salt)))
	})
	return rows, err
}

// readHashes streams the number of each row of a range, see numbered.
func (s *side) readHashes(ctx context.Context, doing string, pl *plan, on row.Side, from, key string, range_ []condition, salt uint32, take func(n uint64)) error {
	q := s.hashQuery(pl, on, from, key, range_, salt)
	return s.read(ctx, doing, []query{q}, one(func(values []driver.Value) error {
		n, ok := values[0].(int64)
		if !ok {
			return fmt.Errorf("the hash of a row is a %T", values[0])
		}
		take(uint64(n))
		return nil
	}))
}

// hashQuery asks for the number of each row of a range.
func (s *side) hashQuery(pl *plan, on row.Side, from, key string, range_ []condition, salt uint32) query {
	where, args := s.where(range_)
	if _, salted := pl.sweep.sums.rowHash(on, salt); salted {
		args = append([]driver.Value{int64(salt)}, args...)
	}
	return query{"SELECT " + pl.sweep.sums.numbered(on, key, salt) + " FROM " + from + where, args}
}

// ReadBuckets reads the rows of a chunk whose keys are in its buckets, on both sides. Rows
// of one key need not be in one chunk: which of them have no other half here is for the
// caller to ask for by key.
func (p *Pair) ReadBuckets(ctx context.Context, c chunk.Chunk) (src, des *row.Batch, err error) {
	pl, err := p.plan(ctx)
	if err != nil {
		return nil, nil, err
	}
	after, upTo, err := pl.places(c)
	var differ chunk.Differ
	if err == nil && c.Differ != "" {
		differ, err = chunk.ParseDiffer(c.Differ)
	}
	if err != nil {
		return nil, nil, p.failed(pl, p.src.explain(ctx, "read buckets", err))
	}
	room := max(c.Rows, 16)
	if c.Differ != "" {
		room = max(c.Rows*differ.Len()/chunk.Buckets, 16)
	}
	src, des = p.batch(pl, row.Source, room), p.batch(pl, row.Destination, room)
	read := func(on row.Side, l *list, take take) func(context.Context) error {
		return func(ctx context.Context) error {
			s := p.side(on)
			range_, none, err := pl.bucketRange(on, after, upTo)
			if on == row.Source && err == nil {
				range_, err = pl.skipIDs(range_, c.Skip)
			}
			if err != nil || none {
				return s.explain(ctx, "read buckets", err)
			}
			if c.Differ != "" {
				range_ = append(range_, pl.sweep.sums.inBuckets(on, differ))
			}
			where, args := s.where(range_)
			q := query{"SELECT " + l.sql() + " FROM " + s.inPrimaryOrder() + where, args}
			return s.read(ctx, "read buckets of "+c.String(), []query{q}, one(s.checked(take)))
		}
	}
	err = together(ctx, read(row.Source, &pl.src, pl.src.rowOf(src, pl.id)), read(row.Destination, &pl.des, pl.des.rowOf(des, row.Column{})))
	if err != nil {
		return nil, nil, p.failed(pl, err)
	}
	return src, des, nil
}

// inBuckets is the condition that a row's bucket is one of a set, which is a bit of a
// string. The string is a literal: a parameter would be copied for each row.
func (s summer) inBuckets(side row.Side, d chunk.Differ) condition {
	key := s.keyHash(side)
	return condition{text: fmt.Sprintf("(ASCII(SUBSTRING(x'%[1]x', (%[2]s >> %[3]d) + 1, 1)) >> ((%[2]s >> %[4]d) & 7)) & 1",
		d.Bits(), key, bucketShift+3, bucketShift)}
}
