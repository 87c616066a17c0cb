package webhook_test

import (
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/masixun71/cupid/pkg/webhook"
)

func TestRetryAfter(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for value, want := range map[string]time.Duration{
		"": 0, "0": 0, "5": 5 * time.Second, " 5 ": 5 * time.Second, "3600": time.Hour, "3601": time.Hour,
		"99999999999999999999999999": time.Hour, "-5": 0, "1.5": 0, "soon": 0,
		now.Add(time.Minute).Format(http.TimeFormat): time.Minute, now.Add(-time.Minute).Format(http.TimeFormat): 0,
		now.Add(99 * time.Hour).Format(http.TimeFormat): time.Hour,
	} {
		if got := webhook.RetryAfter(value, now); got != want {
			t.Errorf("%q: got %v, want %v", value, got, want)
		}
	}
}

func TestRefusedAddresses(t *testing.T) {
	t.Parallel()
	for addr, want := range map[string]bool{
		"169.254.0.0": true, "169.254.255.255": true, "169.253.1.1": false, "fe80::1%eth0": true, "febf::1": true,
		"fec0::1": false, "fd00:ec2::254": true, "fd00:ec2::253": false, "10.0.0.1": false, "192.168.1.1": false,
		"127.0.0.1": false, "::1": false, "8.8.8.8": false, "::ffff:169.254.1.1": true, "::ffff:10.0.0.1": false,
		"64:ff9b::a9fe:1": true, "64:ff9b::a00:1": false, "100.100.100.200": true,
	} {
		if got := webhook.Refused(netip.MustParseAddr(addr)); got != want {
			t.Errorf("%s: got %v, want %v", addr, got, want)
		}
	}
}

func TestColumnsAreEncodedAndBounded(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		names []string
		want  string
	}{
		{[]string{"a"}, "a"},
		{[]string{"a", "b_1"}, "a,b_1"},
		{[]string{"a,b", "50%", "x y"}, "a%2Cb,50%25,x%20y"},
		{[]string{"价格"}, "%E4%BB%B7%E6%A0%BC"},
		{[]string{"a\r\nb", "\x00"}, "a%0D%0Ab,%00"},
	} {
		if got := webhook.EncodeList(c.names); got != c.want {
			t.Errorf("%q: got %s, want %s", c.names, got, c.want)
		}
	}
	many := webhook.EncodeList(strings.Fields(strings.Repeat("column_name ", 4000)))
	if len(many) > webhook.MaxListBytes || !strings.HasSuffix(many, ",column_name,...") {
		t.Errorf("got %d bytes, end %s", len(many), many[len(many)-30:])
	}
}

func TestReserved(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]bool{
		"content-type": true, "Webhook-Signature": true, "webhook-anything": true, "CUPID-PAIR": true, "user-agent": true,
		"Content-Length": true, "": true, "Authorization": false, "X-Token": false, "Host": false,
	} {
		if got := webhook.Reserved(name); got != want {
			t.Errorf("%q: got %v, want %v", name, got, want)
		}
	}
}

func FuzzEncode(f *testing.F) {
	for _, seed := range []string{"", "a", "订单", "a%b,c", "\r\n", "\xff"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got := webhook.Encode(s)
		for i := range len(got) {
			if got[i] <= ' ' || got[i] >= 0x7f || got[i] == ',' {
				t.Fatalf("%q holds %q", got, got[i])
			}
		}
		if back, err := url.PathUnescape(got); err != nil || back != s {
			t.Fatalf("%q came back as %q: %v", s, back, err)
		}
	})
}

func FuzzRetryAfter(f *testing.F) {
	for _, seed := range []string{"", "1", "Fri, 02 Jan 2026 03:04:05 GMT", "-1", "9e9"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, value string) {
		if got := webhook.RetryAfter(value, time.Unix(0, 0)); got < 0 || got > time.Hour {
			t.Fatalf("%q: got %v", value, got)
		}
	})
}

func FuzzValidate(f *testing.F) {
	for _, seed := range []string{"127.0.0.1:20000/test/callback", "https://u:p@h/x?y#z", "://", "http://[::1"} {
		f.Add(seed)
	}
	f.Fuzz(func(_ *testing.T, raw string) { _ = webhook.Validate(raw) })
}
