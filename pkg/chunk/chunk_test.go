package chunk_test

import (
	"encoding/json"
	"reflect"
	"testing"

	"github.com/masixun71/cupid/pkg/chunk"
)

func TestChunkInALogLine(t *testing.T) {
	for want, c := range map[string]chunk.Chunk{
		"orders insert (, 18446744073709551615]": {Pair: "orders", Scan: chunk.Insert, UpTo: chunk.Position{ID: "18446744073709551615"}},
		"orders insert (5, 9]": {
			Pair: "orders", Scan: chunk.Insert, After: &chunk.Position{ID: "5"}, UpTo: chunk.Position{ID: "9"},
		},
		"orders update (2026-01-01, 2026-01-02/9]": {
			Pair: "orders", Scan: chunk.Update, From: "2026-01-01", UpTo: chunk.Position{Value: "2026-01-02", ID: "9"},
		},
		"orders update (2026-01-02/5, 2026-01-02/9]": {
			Pair: "orders", Scan: chunk.Update, From: "2026-01-01",
			After: &chunk.Position{Value: "2026-01-02", ID: "5"}, UpTo: chunk.Position{Value: "2026-01-02", ID: "9"},
		},
	} {
		if got := c.String(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func TestChunkKeepsItsBoundsInJSON(t *testing.T) {
	for _, want := range []chunk.Chunk{
		{ID: "1-0-1", Pair: "orders", Scan: chunk.Insert, UpTo: chunk.Position{ID: "9"}},
		{
			ID: "1-0-2", Pair: "orders", Scan: chunk.Update, From: "a", After: &chunk.Position{Value: "b", ID: ""},
			UpTo: chunk.Position{Value: "c\"\u2028", ID: "9"}, Rows: 7, Crashes: 2,
		},
	} {
		text, err := json.Marshal(want)
		if err != nil {
			t.Fatal(err)
		}
		var got chunk.Chunk
		if err := json.Unmarshal(text, &got); err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("got %+v out of %s, want %+v", got, text, want)
		}
	}
}
