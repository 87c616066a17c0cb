package webhook_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/masixun71/cupid/pkg/secret"
	"github.com/masixun71/cupid/pkg/webhook"
)

// mac is the signature as the specification has it, made without the package.
func mac(key []byte, id, timestamp, body string) string {
	h := hmac.New(sha256.New, key)
	_, _ = io.WriteString(h, id+"."+timestamp+"."+body)
	return "v1," + base64.StdEncoding.EncodeToString(h.Sum(nil))
}

func TestSignatureIsThatOfStandardWebhooks(t *testing.T) {
	t.Parallel()
	var header http.Header
	var body []byte
	s := serve(t, func(_ http.ResponseWriter, r *http.Request) {
		header = r.Header
		body, _ = io.ReadAll(r.Body)
	})
	key := []byte("0123456789abcdef0123456789abcdef")
	coded := secret.New("whsec_" + base64.StdEncoding.EncodeToString(key))
	raw := secret.New("plain text")
	r := request(s.URL)
	r.ID = "订单 1"
	r.Secrets = []secret.String{coded, raw}
	c := newClient(t)
	for range 3 { // the signer is used again
		if out := c.Post(t.Context(), r); !out.Accepted {
			t.Fatalf("got %+v", out)
		}
		id, timestamp := header.Get("webhook-id"), header.Get("webhook-timestamp")
		want := mac(key, id, timestamp, string(body)) + " " + mac([]byte("plain text"), id, timestamp, string(body))
		if got := header.Get("webhook-signature"); got != want {
			t.Errorf("signature: got %s, want %s", got, want)
		}
		if seconds, err := strconv.ParseInt(timestamp, 10, 64); err != nil || time.Since(time.Unix(seconds, 0)).Abs() > time.Minute {
			t.Errorf("timestamp: got %s", timestamp)
		}
		for _, one := range [][]secret.String{{coded}, {raw}, {secret.New("other"), coded}} {
			if err := webhook.Verify(header, body, one, time.Now(), time.Minute); err != nil {
				t.Errorf("verify: %v", err)
			}
		}
	}
}

// The example of the reference implementations, https://github.com/standard-webhooks/standard-webhooks.
func TestVerifyTakesTheReferenceExample(t *testing.T) {
	t.Parallel()
	header := http.Header{}
	header.Set("webhook-id", "msg_p5jXN8AQM9LWM0D4loKWxJek")
	header.Set("webhook-timestamp", "1614265330")
	header.Set("webhook-signature", "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=")
	key := []secret.String{secret.New("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")}
	if err := webhook.Verify(header, []byte(`{"test": 2432232314}`), key, time.Unix(1614265331, 0), time.Minute); err != nil {
		t.Error(err)
	}
}

func TestVerifyRefuses(t *testing.T) {
	t.Parallel()
	now := time.Unix(1_700_000_000, 0)
	const body = `{"type":1}`
	signed := func(id, timestamp, signature string) http.Header {
		h := http.Header{}
		for name, value := range map[string]string{"webhook-id": id, "webhook-timestamp": timestamp, "webhook-signature": signature} {
			if value != "" {
				h.Set(name, value)
			}
		}
		return h
	}
	good := mac([]byte("k"), "a", "1700000000", body)
	for _, c := range []struct {
		name   string
		header http.Header
		secret string
		body   string
		want   error
	}{
		{"good", signed("a", "1700000000", good), "k", body, nil},
		{"good among others", signed("a", "1700000000", "v1a,xx v1,!! "+good), "k", body, nil},
		{"other body", signed("a", "1700000000", good), "k", body + " ", webhook.ErrSignatureMismatch},
		{"other id", signed("b", "1700000000", good), "k", body, webhook.ErrSignatureMismatch},
		{"other secret", signed("a", "1700000000", good), "l", body, webhook.ErrSignatureMismatch},
		{"other time", signed("a", "1700000001", good), "k", body, webhook.ErrSignatureMismatch},
		{"other version", signed("a", "1700000000", strings.Replace(good, "v1", "v2", 1)), "k", body, webhook.ErrSignatureMismatch},
		{"old", signed("a", "1699999000", mac([]byte("k"), "a", "1699999000", body)), "k", body, webhook.ErrSignatureTime},
		{"future", signed("a", "1700000400", mac([]byte("k"), "a", "1700000400", body)), "k", body, webhook.ErrSignatureTime},
		{"no id", signed("", "1700000000", good), "k", body, webhook.ErrSignatureMissing},
		{"no time", signed("a", "", good), "k", body, webhook.ErrSignatureMissing},
		{"no number", signed("a", "soon", good), "k", body, webhook.ErrSignatureMissing},
		{"no signature", signed("a", "1700000000", ""), "k", body, webhook.ErrSignatureMissing},
		{"bad secret", signed("a", "1700000000", good), "whsec_!", body, webhook.ErrSecret},
		{"no secret text", signed("a", "1700000000", good), "", body, webhook.ErrSecret},
	} {
		got := webhook.Verify(c.header, []byte(c.body), []secret.String{secret.New(c.secret)}, now, 5*time.Minute)
		if !errors.Is(got, c.want) || (c.want == nil && got != nil) {
			t.Errorf("%s: got %v, want %v", c.name, got, c.want)
		}
	}
	if err := webhook.Verify(signed("a", "1700000000", good), []byte(body), nil, now, 0); !errors.Is(err, webhook.ErrSignatureMismatch) {
		t.Errorf("without secrets: got %v", err)
	}
	old := signed("a", "1", mac([]byte("k"), "a", "1", body))
	if err := webhook.Verify(old, []byte(body), []secret.String{secret.New("k")}, now, 0); err != nil {
		t.Errorf("without tolerance: got %v", err)
	}
}

func TestCheckSecret(t *testing.T) {
	t.Parallel()
	for text, ok := range map[string]bool{"text": true, "whsec_AAAA": true, "whsec_AAA": true, "": false, "whsec_": false, "whsec_%": false} {
		if err := webhook.CheckSecret(secret.New(text)); (err == nil) != ok {
			t.Errorf("%q: got %v", text, err)
		}
	}
}
