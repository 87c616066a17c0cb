package webhook

import (
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/masixun71/cupid/pkg/secret"
)

const (
	// maxRetryAfter caps what a receiver may ask for, so that a typing error there does not silence it for days.
	maxRetryAfter = time.Hour

	// maxListBytes bounds Cupid-Columns.
	maxListBytes = 2 << 10

	listCut = ",..."
)

// Reserved says whether a header is set by cupid or by the connection itself, so that a configuration cannot set it.
func Reserved(name string) bool {
	name = http.CanonicalHeaderKey(strings.TrimSpace(name))
	switch name {
	case "", "Content-Type", "Content-Length", "Content-Encoding", "User-Agent", "Idempotency-Key",
		"Connection", "Keep-Alive", "Te", "Trailer", "Transfer-Encoding", "Upgrade", "Expect", "Proxy-Connection":
		return true
	}
	return strings.HasPrefix(name, "Webhook-") || strings.HasPrefix(name, "Cupid-")
}

// addCustom adds the configured headers, reserved ones left out. Host is a header to everybody but net/http.
func addCustom(req *http.Request, headers map[string]secret.String) {
	for name, value := range headers {
		if Reserved(name) {
			continue
		}
		if name = http.CanonicalHeaderKey(name); name == "Host" {
			req.Host = value.Reveal()
			continue
		}
		req.Header[name] = []string{value.Reveal()}
	}
}

// encode makes s fit for a header: everything but visible ASCII, and "%" and ",", is percent-encoded.
func encode(s string) string {
	for i := range len(s) {
		if !plain(s[i]) {
			return string(appendEncoded(make([]byte, 0, len(s)+16), s))
		}
	}
	return s
}

func plain(b byte) bool {
	return b > ' ' && b < 0x7f && b != '%' && b != ','
}

func appendEncoded(dst []byte, s string) []byte {
	const digits = "0123456789ABCDEF"
	for i := range len(s) {
		if b := s[i]; plain(b) {
			dst = append(dst, b)
		} else {
			dst = append(dst, '%', digits[b>>4], digits[b&15])
		}
	}
	return dst
}

// encodeList joins names with commas, within maxListBytes.
func encodeList(names []string) string {
	if len(names) == 1 && len(names[0]) <= maxListBytes {
		return encode(names[0])
	}
	out := make([]byte, 0, 128)
	for i, name := range names {
		before := len(out)
		if i > 0 {
			out = append(out, ',')
		}
		out = appendEncoded(out, name)
		if len(out) > maxListBytes-len(listCut) {
			return string(append(out[:before], listCut...))
		}
	}
	return string(out)
}

// retryAfter reads a Retry-After header: seconds, or an HTTP date. 0 means that it says nothing of use.
func retryAfter(value string, now time.Time) time.Duration {
	value = strings.TrimSpace(value)
	if value == "" {
		return 0
	}
	if strings.Trim(value, "0123456789") == "" {
		seconds, err := strconv.ParseInt(value, 10, 64)
		if err != nil || seconds > int64(maxRetryAfter/time.Second) {
			return maxRetryAfter // more digits than a number has is a long time too
		}
		return time.Duration(seconds) * time.Second
	}
	at, err := http.ParseTime(value)
	if err != nil {
		return 0
	}
	return min(max(at.Sub(now), 0), maxRetryAfter)
}
