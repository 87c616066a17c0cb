package event_test

import (
	"encoding/json"
	"testing"

	"github.com/masixun71/cupid/pkg/event"
)

func TestJudge(t *testing.T) {
	for name, c := range map[string]struct {
		looks []event.Look
		want  event.Verdict
	}{
		"one look confirms nothing":                    {[]event.Look{{Source: 1, Destination: 9}}, event.Again},
		"both stood still":                             {[]event.Look{{Source: 1, Destination: 9}, {Source: 1, Destination: 9}}, event.Confirmed},
		"missing twice":                                {[]event.Look{{Source: 1, Destination: 0}, {Source: 1, Destination: 0}}, event.Confirmed},
		"source stood still, destination went astray":  {[]event.Look{{Source: 1, Destination: 9}, {Source: 1, Destination: 8}}, event.Confirmed},
		"destination stuck while the source moved":     {[]event.Look{{Source: 1, Destination: 9}, {Source: 2, Destination: 9}}, event.Confirmed},
		"missing while the source moved":               {[]event.Look{{Source: 1, Destination: 0}, {Source: 2, Destination: 0}}, event.Confirmed},
		"destination follows one version behind":       {[]event.Look{{Source: 1, Destination: 9}, {Source: 2, Destination: 1}}, event.Again},
		"destination follows a version we did not see": {[]event.Look{{Source: 1, Destination: 7}, {Source: 5, Destination: 3}}, event.Again},
		"stuck on a version since the first look":      {[]event.Look{{Source: 1, Destination: 9}, {Source: 2, Destination: 1}, {Source: 3, Destination: 1}}, event.Again},
		"and the source then stands still":             {[]event.Look{{Source: 1, Destination: 9}, {Source: 2, Destination: 1}, {Source: 3, Destination: 1}, {Source: 3, Destination: 1}}, event.Confirmed},
		// The source was read first, in some of them.
		"both stood still since a first look":                                    {[]event.Look{{Source: 1, Destination: 9, SourceFirst: true}, {Source: 1, Destination: 9}}, event.Confirmed},
		"source stood still since a first look, destination went astray":         {[]event.Look{{Source: 1, Destination: 9, SourceFirst: true}, {Source: 1, Destination: 8}}, event.Confirmed},
		"destination stood still since a first look, which it may be ahead of":   {[]event.Look{{Source: 1, Destination: 2, SourceFirst: true}, {Source: 3, Destination: 2}}, event.Again},
		"missing since a first look, while the source moved":                     {[]event.Look{{Source: 1, Destination: 0, SourceFirst: true}, {Source: 3, Destination: 0}}, event.Again},
		"and is stuck in the look after":                                         {[]event.Look{{Source: 1, Destination: 2, SourceFirst: true}, {Source: 3, Destination: 2}, {Source: 4, Destination: 2}}, event.Confirmed},
		"source stood still, and may have moved before the destination was read": {[]event.Look{{Source: 1, Destination: 9}, {Source: 1, Destination: 2, SourceFirst: true}}, event.Again},
		"destination stuck, in a last look that may be ahead":                    {[]event.Look{{Source: 1, Destination: 9}, {Source: 2, Destination: 9, SourceFirst: true}}, event.Again},
	} {
		t.Run(name, func(t *testing.T) {
			if got := event.Judge(c.looks); got != c.want {
				t.Errorf("Judge(%v) = %v, want %v", c.looks, got, c.want)
			}
		})
	}
}

// Looks that an older build has left in a queue have no word on the order, and are those
// of a row that was looked at in both orders.
func TestLooksWithoutTheirOrderCanBeRead(t *testing.T) {
	var looks []event.Look
	if err := json.Unmarshal([]byte(`[{"source":1,"destination":9},{"source":2,"destination":1}]`), &looks); err != nil {
		t.Fatal(err)
	}
	if got := event.Judge(event.Add(looks, event.Look{Source: 2, Destination: 1})); got != event.Confirmed {
		t.Errorf("verdict %v of a row that stands still since", got)
	}
	text, err := json.Marshal(event.Look{Source: 1, Destination: 9})
	if err != nil || string(text) != `{"source":1,"destination":9}` {
		t.Errorf("a look is written as %s, error %v", text, err)
	}
}

// A destination that follows is known by its values too where exact fingerprints
// differ within a tolerance.
func TestJudgeKnowsAVersionWithinTheTolerance(t *testing.T) {
	look := func(source, destination uint64, sourceNear, destinationNear string) event.Look {
		return event.Look{Source: source, Destination: destination, SourceNear: sourceNear, DestinationNear: destinationNear}
	}
	for name, c := range map[string]struct {
		looks []event.Look
		want  event.Verdict
	}{
		"stuck on a version within the tolerance": {[]event.Look{look(1, 9, "h,10", "h,10.5"), look(2, 9, "h,20", "h,10.5")}, event.Again},
		"stuck on a value that is not":            {[]event.Look{look(1, 9, "h,10", "h,12"), look(2, 9, "h,20", "h,12")}, event.Confirmed},
		"stuck on another column":                 {[]event.Look{look(1, 9, "h,10", "i,10"), look(2, 9, "h,20", "i,10")}, event.Confirmed},
		"the source stands still":                 {[]event.Look{look(1, 9, "h,10", "h,12"), look(1, 9, "h,10", "h,12")}, event.Confirmed},
		"missing":                                 {[]event.Look{look(1, 0, "h,10", ""), look(2, 0, "h,20", "")}, event.Confirmed},
	} {
		t.Run(name, func(t *testing.T) {
			var looks []event.Look
			for _, l := range c.looks {
				looks = event.Add(looks, l)
			}
			if got := event.Judge(looks); got != c.want {
				t.Errorf("Judge(%v) = %v, want %v", looks, got, c.want)
			}
		})
	}
}

func TestBodyIsExact(t *testing.T) {
	got := string(event.AppendBody(nil, event.Different, []byte(`{"id":1,"name":"a"}`)))
	want := `{"type":2,"srcColumn":{"id":1,"name":"a"}}`
	if got != want {
		t.Errorf("body = %s, want %s", got, want)
	}
}
