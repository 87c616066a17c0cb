package event_test

import (
	"testing"

	"github.com/masixun71/cupid/pkg/event"
)

func TestJudge(t *testing.T) {
	for name, c := range map[string]struct {
		looks []event.Look
		want  event.Verdict
	}{
		"one look confirms nothing":                    {[]event.Look{{1, 9}}, event.Again},
		"both stood still":                             {[]event.Look{{1, 9}, {1, 9}}, event.Confirmed},
		"missing twice":                                {[]event.Look{{1, 0}, {1, 0}}, event.Confirmed},
		"source stood still, destination went astray":  {[]event.Look{{1, 9}, {1, 8}}, event.Confirmed},
		"destination stuck while the source moved":     {[]event.Look{{1, 9}, {2, 9}}, event.Confirmed},
		"missing while the source moved":               {[]event.Look{{1, 0}, {2, 0}}, event.Confirmed},
		"destination follows one version behind":       {[]event.Look{{1, 9}, {2, 1}}, event.Again},
		"destination follows a version we did not see": {[]event.Look{{1, 7}, {5, 3}}, event.Again},
		"stuck on a version since the first look":      {[]event.Look{{1, 9}, {2, 1}, {3, 1}}, event.Again},
		"and the source then stands still":             {[]event.Look{{1, 9}, {2, 1}, {3, 1}, {3, 1}}, event.Confirmed},
	} {
		t.Run(name, func(t *testing.T) {
			if got := event.Judge(c.looks); got != c.want {
				t.Errorf("Judge(%v) = %v, want %v", c.looks, got, c.want)
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
