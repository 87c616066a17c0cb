package process_test

import (
	"strings"
	"testing"

	"github.com/masixun71/cupid/pkg/process"
)

func TestOutputComesInLines(t *testing.T) {
	tests := []struct {
		name   string
		writes []string
		want   []string
	}{
		{"one", []string{"a\n"}, []string{"a"}},
		{"several in one write", []string{"a\n\nb\n"}, []string{"a", "", "b"}},
		{"one in several writes", []string{"a", "b", "c\nd", "\n"}, []string{"abc", "d"}},
		{"no end", []string{"a\nb"}, []string{"a", "b"}},
		{"windows", []string{"a\r\n"}, []string{"a"}},
		{"long", []string{strings.Repeat("x", 65536), "yz\nb\n"}, []string{strings.Repeat("x", 65536) + " [2 bytes cut]", "b"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			lines := make(chan string, 10)
			out := process.NewOutput(func(line string) { lines <- line })
			for _, text := range test.writes {
				if n, err := out.Write([]byte(text)); n != len(text) || err != nil {
					t.Errorf("write: got %d, %v", n, err)
				}
			}
			process.CloseOutput(out)
			for _, want := range test.want {
				if got := next(t, lines); got != want {
					t.Errorf("got line of %d bytes %.80q, want %.80q", len(got), got, want)
				}
			}
		})
	}
}

func TestLineOfTenMegabytesIsCutAndTheRestGoesOn(t *testing.T) {
	child, lines := start(t, "long", "", nil)
	if err := wait(t, child); err != nil {
		t.Fatal(err)
	}
	if got := next(t, lines); got != "before" {
		t.Errorf("got %.80q, want before", got)
	}
	if got := next(t, lines); len(got) > 66<<10 || !strings.HasSuffix(got, "bytes cut]") {
		t.Errorf("got a line of %d bytes", len(got))
	}
	for _, want := range []string{"after", "no end"} {
		if got := next(t, lines); got != want {
			t.Errorf("got %.80q, want %q", got, want)
		}
	}
}

func TestReceiverThatStandsStillDoesNotStopTheChild(t *testing.T) {
	var got []string
	release, finished := make(chan struct{}), make(chan struct{})
	child, _ := start(t, "lines", "10000", func(c *process.Command) {
		c.Output = func(line string) {
			<-release
			got = append(got, line)
			if strings.HasSuffix(line, "lines dropped]") {
				close(finished)
			}
		}
	})
	if err := wait(t, child); err != nil {
		t.Error(err)
	}
	close(release)
	<-finished
	// At most what waits (1 MiB), and the batch that the receiver had in hand.
	if len(got) > 3000 {
		t.Errorf("%d lines of 1,000 bytes were kept for a receiver that stood still", len(got))
	}
}
