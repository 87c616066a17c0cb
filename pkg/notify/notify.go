package notify

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/masixun71/cupid/pkg/secret"
)

// Message is what people read. Title is one line; Text may have many.
type Message struct {
	Title string
	Text  string
}

// Sender hands a message to one service.
type Sender interface {
	// Send returns nil when the service has taken the message. It returns when ctx ends, and after 15 seconds at most
	// when ctx has no deadline. It is safe for concurrent use.
	Send(ctx context.Context, m Message) error
	// Name is the service in one word, such as "wecom". It shows no secret.
	Name() string
}

// Limit is how many messages a service takes within a time. The zero value is no limit.
type Limit struct {
	Messages int
	Per      time.Duration
}

// Limited is what a Sender implements whose service blocks those who send too much.
type Limited interface {
	Limit() Limit
}

// sendTimeout bounds a Send whose context has no deadline.
const sendTimeout = 15 * time.Second

// ErrURL is the cause of every error of New and Validate.
var ErrURL = errors.New("notification url is not usable")

// Error says why a service did not take a message. Its text is safe to log.
type Error struct {
	// Service is the Name of the Sender.
	Service string
	// Reason is the text, without secrets, on one line.
	Reason string
	// RetryAfter is how long the service wants to be left alone; 0 when it did not say.
	RetryAfter time.Duration

	cause error // context.Canceled, context.DeadlineExceeded or nil; nothing that holds text of others
}

// Error returns "send to <service>: <reason>".
func (e *Error) Error() string { return "send to " + e.Service + ": " + e.Reason }

// Unwrap returns context.Canceled or context.DeadlineExceeded where one of them was the reason, else nil. The original
// error is not kept, as its text may show secrets.
func (e *Error) Unwrap() error { return e.cause }

// Validate says whether New would accept rawURL. It connects to nothing, and its error shows no secret.
func Validate(rawURL secret.String) error {
	_, err := New(rawURL)
	return err
}

// New returns the Sender for a URL of the package comment's table. It connects to nothing. Its error wraps ErrURL and
// shows no secret.
func New(rawURL secret.String) (Sender, error) {
	u, err := url.Parse(strings.TrimSpace(rawURL.Reveal()))
	if err != nil {
		// The text of url.Parse repeats the URL.
		return nil, fmt.Errorf("%w: it cannot be parsed (is a character in it to be percent-encoded?)", ErrURL)
	}
	if u.Scheme == "" || u.Opaque != "" {
		return nil, fmt.Errorf("%w: it does not begin with a service, such as wecom://", ErrURL)
	}

	scheme, _, combined := strings.Cut(u.Scheme, "+")
	hide := secretsOf(u)
	var proxy *url.URL
	if !combined && !slices.Contains([]string{"http", "https", "generic", "smtp"}, scheme) { // their parameters are their receiver's, or they speak no HTTP
		proxy, err = takeProxy(u)
	}
	var s Sender
	switch {
	case err != nil:
	case combined:
		s, err = newShoutrrr(u, hide)
	case scheme == "dingtalk":
		s, err = newDingTalk(u, hide)
	case scheme == "serverchan":
		s, err = newServerChan(u, hide)
	case scheme == "pushbear":
		s, err = newPushBear(u, hide)
	case scheme == "smtp":
		s, err = newMail(u, hide)
	default:
		s, err = newShoutrrr(u, hide)
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %s: %s", ErrURL, scheme, clean(err.Error(), hide))
	}
	if proxy != nil {
		s = &proxied{s, proxy}
	}
	return s, nil
}

// cut shortens s to maxBytes, at a whole character, with an ellipsis.
func cut(s string, maxBytes int) string {
	const ellipsis = "…"
	if len(s) <= maxBytes {
		return s
	}
	end := max(maxBytes-len(ellipsis), 0)
	for end > 0 && !utf8.RuneStart(s[end]) {
		end--
	}
	return s[:end] + ellipsis
}

// cutRunes shortens s to n characters.
func cutRunes(s string, n int) string {
	if utf8.RuneCountInString(s) <= n {
		return s
	}
	return string([]rune(s)[:n-1]) + "…"
}

// oneLine makes s fit for a title: control characters become spaces.
func oneLine(s string) string {
	return strings.TrimSpace(strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, s))
}

// plainText is a message for services that have no title.
func plainText(m Message, maxBytes int) string {
	title := oneLine(m.Title)
	switch {
	case title == "":
		return cut(m.Text, maxBytes)
	case m.Text == "":
		return cut(title, maxBytes)
	}
	return cut(title+"\n"+m.Text, maxBytes)
}
