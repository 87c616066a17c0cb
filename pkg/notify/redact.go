package notify

import (
	"context"
	"errors"
	"net/url"
	"regexp"
	"strings"
	"sync"

	"github.com/masixun71/cupid/pkg/secret"
)

// maxReasonBytes bounds the text of an Error: a service's answer is quoted in it.
const maxReasonBytes = 500

// publicParameters are those whose value may stand in an error: an address that a mail server refuses has to be seen.
var publicParameters = map[string]bool{
	"from": true, "to": true, "fromaddress": true, "toaddresses": true, "fromname": true, "subject": true, "title": true,
	"encryption": true, "auth": true, "usehtml": true, "starttls": true, "usestarttls": true, "requirestarttls": true,
	"skiptlsverify": true, "clienthost": true, "timeout": true, "endpoint": true, "perday": true, "template": true,
	"method": true, "disabletls": true, "scheme": true, "parsemode": true, "priority": true, "markdown": true,
}

// publicWords stand where a key could be and are none: Slack's and Telegram's URLs hold them.
var publicWords = map[string]bool{"hook": true, "webhook": true, "xoxb": true, "xoxp": true, "xoxa": true, "telegram": true}

// minPart is the length from which a part of a key is taken for a secret of its own.
const minPart = 8

// urlPattern finds URLs in the texts of others; whatever follows the host may be a token.
var urlPattern = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`(https?://)(?:[^\s"'/?#@]*@)?([^\s"'/?#]+)[^\s"']*`)
})

// secretsOf lists what of a notification URL must not be seen: anything that may be a key in one of the services.
func secretsOf(u *url.URL) []secret.String {
	var texts []string
	add := func(parts ...string) { texts = append(texts, parts...) }
	add(u.String(), u.RawQuery)
	if u.User != nil {
		password, _ := u.User.Password()
		add(u.User.String(), u.User.Username()+":"+password, u.User.Username(), password)
	}
	if host := u.Hostname(); !strings.Contains(host, ".") && !strings.EqualFold(host, "localhost") && !strings.Contains(host, ":") {
		add(host) // a key, as in wecom://<key>; not the name of a server
	}
	if path := strings.Trim(u.Path, "/"); path != "" {
		add(path)
		add(strings.Split(path, "/")...)
	}
	for name, values := range u.Query() {
		if !publicParameters[strings.ToLower(name)] {
			add(values...)
		}
	}

	var list []secret.String
	for _, text := range texts {
		if text != "" && text != u.Scheme && !publicWords[text] {
			list = append(list, secret.New(text))
		}
		// A service may put the parts of a key into a path of its own, as Slack does.
		parts := strings.FieldsFunc(text, func(r rune) bool { return strings.ContainsRune("-:_.", r) })
		for _, part := range append(parts, strings.Fields(text)...) { // Fields for "Bearer <key>"
			if len(part) >= minPart && !publicWords[part] {
				list = append(list, secret.New(part))
			}
		}
	}
	return list
}

// clean makes text of others fit for a log: without secrets, on one line, not long.
func clean(text string, hide []secret.String) string {
	text = urlPattern().ReplaceAllString(text, "$1$2")
	return cut(oneLine(secret.Redact(text, hide...)), maxReasonBytes)
}

// failure makes an Error of err. A ctx that has ended is the reason, whatever err says.
func failure(ctx context.Context, service string, err error, hide []secret.String) error {
	if err == nil {
		return nil
	}
	out := &Error{Service: service}
	if own, ok := errors.AsType[*answerError](err); ok {
		out.RetryAfter = own.retryAfter
	}
	if ctx.Err() != nil {
		err = ctx.Err()
	}
	for _, cause := range []error{context.Canceled, context.DeadlineExceeded} {
		if errors.Is(err, cause) {
			out.cause = cause
		}
	}
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		out.Reason = "no answer in time"
	case errors.Is(err, context.Canceled):
		out.Reason = "cancelled"
	default:
		out.Reason = clean(err.Error(), hide)
	}
	return out
}
