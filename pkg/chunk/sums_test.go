package chunk_test

import (
	"bytes"
	"testing"

	"github.com/masixun71/cupid/pkg/chunk"
)

func TestSumsOfEqualSidesAreNothing(t *testing.T) {
	var s chunk.Sums
	for i := range 100_000 {
		s.Add(uint16(i%chunk.Buckets), uint32(i)*77)
	}
	for i := range 100_000 {
		s.Sub(uint16(i%chunk.Buckets), uint32(i)*77)
	}
	differ := s.Differ()
	if b := s.Bytes(); b != nil || differ.Len() != 0 {
		t.Errorf("%d bytes of %d buckets, want none", len(b), differ.Len())
	}
}

func TestSumsAreReadAsTheyWereWritten(t *testing.T) {
	for name, c := range map[string]struct{ buckets, step, most int }{
		"none": {0, 1, 0}, "one": {1, 1, 8}, "few": {1000, 65, 6000}, "all": {chunk.Buckets, 1, 4*chunk.Buckets + 1},
	} {
		t.Run(name, func(t *testing.T) {
			var s, read chunk.Sums
			for i := range c.buckets {
				s.Add(uint16(chunk.Buckets-1-i*c.step), uint32(i+1))
			}
			b := s.Bytes()
			if len(b) > c.most {
				t.Errorf("%d bytes, want at most %d", len(b), c.most)
			}
			if err := read.JoinBytes(b); err != nil || !bytes.Equal(read.Bytes(), b) {
				t.Errorf("read other sums, error %v", err)
			}
			differ := s.Differ()
			if differ.Len() != c.buckets {
				t.Errorf("%d buckets differ, want %d", differ.Len(), c.buckets)
			}
			again, err := chunk.ParseDiffer(differ.String())
			if err != nil || again != differ {
				t.Errorf("read another set, error %v", err)
			}
			// What is joined with its opposite is nothing.
			var minus chunk.Sums
			for i := range c.buckets {
				minus.Sub(uint16(chunk.Buckets-1-i*c.step), uint32(i+1))
			}
			if s.Join(&minus); s.Bytes() != nil {
				t.Error("sums and their opposites are something")
			}
		})
	}
}

func TestBadSetOfBuckets(t *testing.T) {
	for _, bad := range []string{"", "?", "AAAA"} {
		if _, err := chunk.ParseDiffer(bad); err == nil {
			t.Errorf("%q was taken", bad)
		}
	}
}

func FuzzSums(f *testing.F) {
	for _, b := range [][]byte{nil, {1}, {1, 1, 2, 3, 4, 5}, {1, 1, 2, 3, 4, 5, 0}, {1, 0, 1, 1, 1, 1}, {2, 0}, {1, 0x80, 0x80, 4, 1, 1, 1, 1}, {3}} {
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var s chunk.Sums
		if err := s.JoinBytes(b); err != nil {
			if s.Bytes() != nil {
				t.Error("something was added in spite of the error")
			}
			return
		}
		var again chunk.Sums
		if err := again.JoinBytes(s.Bytes()); err != nil || again.Differ() != s.Differ() {
			t.Errorf("written and read back is other sums, error %v", err)
		}
	})
}
