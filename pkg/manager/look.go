package manager

import (
	"time"

	"github.com/masixun71/cupid/pkg/chunk"
)

// span is where a look ends: ids up to upTo, or update times in [lo, hi].
type span struct {
	upTo   string
	head   bool // upTo is the head of the table
	lo, hi string
	open   bool // there is no upTo: the last chunk has everything above, and there always is one
	filled bool // the last chunk ends at upTo, whether there is a row or not
	// short says that a chunk with fewer rows than were asked for is the last one. What comes behind it while the
	// look goes on, as it does without an end where the update column has the day alone, is for the next pass, which
	// begins before this one did; what commits late is for the span's further looks.
	short  bool
	salt   uint32 // of the chunks
	stage  chunk.Stage
	differ string // the buckets to resolve, as a chunk has them
}

// look is one pass over a span.
//
//	cutting ── everything is cut ──▶ whole ── every chunk is done ──▶ complete
type look struct {
	span span
	// at is how far the span is cut.
	at    *chunk.Position
	whole bool
	// out are the chunks that were cut and are not yet passed, in the order of
	// the span.
	out []*outChunk
	// fresh, when set, hears of each chunk when it is cut.
	fresh func(after *chunk.Position, upTo chunk.Position)
	// passed, when set, hears of the chunks by which all is done without a gap, the
	// last one last.
	passed func([]*outChunk)
	// complete hears once that the span is looked at whole.
	complete func()
}

// piece is a chunk that is to be done: a range that was cut, or a part of one.
type piece struct {
	chunk    chunk.Chunk
	out      *outChunk
	cut      time.Time // when it was cut; zero once it was offered, and for a part
	failures int       // in a row
	failing  time.Time // when the first of them was
	unfit    time.Time // when it first came to a worker of another configuration; zero: it never has
	retry    time.Time // it is not offered before
	unread   int       // how many of the failures were due to its rows
	why      string    // it could not be read, once it is to be halved for that
	owed     *SetAside // the row that it is, when the pass does not wait for it
}

// outChunk is a range that was cut; it may have been halved since.
type outChunk struct {
	look *look
	upTo chunk.Position
	// beyond says that it has no row up to which it was cut, so upTo is no place.
	beyond bool
	// left is how many parts of it are not done.
	left int
	// found is what was found in those that are, and sums what they added up.
	found Found
	sums  [][]byte
}

// settle passes over what is done at the front of the look, and reports
// whether the look is complete.
func (k *look) settle() bool {
	n := 0
	for n < len(k.out) && k.out[n].left == 0 {
		n++
	}
	if n > 0 {
		done := k.out[:n]
		k.out = k.out[n:]
		if k.passed != nil {
			k.passed(done)
		}
	}
	return k.whole && len(k.out) == 0
}
