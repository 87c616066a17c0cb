package notify_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/masixun71/cupid/pkg/notify"
	"github.com/masixun71/cupid/pkg/secret"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m)
}

// call is a request that a service received.
type call struct {
	method, path, body string
	query              url.Values
	header             http.Header
}

// serve starts a service that gives one answer; calls is complete when Send has returned.
func serve(t *testing.T, status int, answer string) (server *httptest.Server, calls *[]call) {
	t.Helper()
	calls = &[]call{}
	server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		*calls = append(*calls, call{r.Method, r.URL.Path, string(body), r.URL.Query(), r.Header})
		w.WriteHeader(status)
		_, _ = io.WriteString(w, answer)
	}))
	t.Cleanup(server.Close)
	return server, calls
}

func sender(t *testing.T, rawURL string) notify.Sender {
	t.Helper()
	s, err := notify.New(secret.New(rawURL))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

var message = notify.Message{Title: "cupid: 订单", Text: "first <line>\nsecond"}

// kit says how each service is driven. In url, ENDPOINT is the test server's URL, escaped for a parameter, and HOST its
// address.
type kit struct {
	name     string
	url      string
	answer   string // that of a success
	refusal  string // a 200 that is none; empty when the service has none
	path     string
	contains []string // what the body holds
	hidden   []string // what no error may show
}

var kits = []kit{
	{
		name: "wecom", url: "wecom://693a91f6-7xxx-4bc4-97a0-0ec2sifa5aaa?endpoint=ENDPOINT",
		answer: `{"errcode":0,"errmsg":"ok"}`, refusal: `{"errcode":93000,"errmsg":"invalid webhook url 693a91f6-7xxx-4bc4-97a0-0ec2sifa5aaa"}`,
		path: "/cgi-bin/webhook/send", contains: []string{`"msgtype":"text"`, `cupid: 订单\nfirst`, `second`},
		hidden: []string{"693a91f6"},
	},
	{
		name: "dingtalk", url: "dingtalk://t0ken4711?secret=SECabc&endpoint=ENDPOINT",
		answer: `{"errcode":0,"errmsg":"ok"}`, refusal: `{"errcode":310000,"errmsg":"sign not match SECabc"}`,
		path: "/robot/send", contains: []string{`"msgtype":"text"`, `cupid: 订单\nfirst`},
		hidden: []string{"t0ken4711", "SECabc"},
	},
	{
		name: "lark", url: "feishu://f00-token?secret=sekret&endpoint=ENDPOINT",
		answer: `{"code":0,"msg":"success"}`, refusal: `{"code":19021,"msg":"sign match fail f00-token"}`,
		path: "/open-apis/bot/v2/hook/f00-token", contains: []string{`"title":"cupid: 订单"`, `second`, `"sign":"`, `"timestamp":"`},
		hidden: []string{"f00-token", "sekret"},
	},
	{
		name: "serverchan", url: "serverchan://SCT123abc?endpoint=ENDPOINT",
		answer: `{"code":0,"message":"","data":{"pushid":"1"}}`, refusal: `{"code":40001,"message":"bad SCT123abc","info":"wrong key"}`,
		path: "/SCT123abc.send", contains: []string{"title=cupid%3A+%E8%AE%A2%E5%8D%95", "desp=first+%3Cline%3E++%0Asecond"},
		hidden: []string{"SCT123abc"},
	},
	{
		name: "serverchan", url: "serverchan://sctp42tXYZxyz?endpoint=ENDPOINT",
		answer: `{"code":0}`, refusal: `{"code":"20001","message":"no"}`,
		path: "/send/sctp42tXYZxyz.send", contains: []string{"title=", "desp="}, hidden: []string{"sctp42tXYZxyz"},
	},
	{
		name: "slack", url: "slack://hook:AAAAAAAAA-BBBBBBBBB-123456789123456789123456@webhook?endpoint=ENDPOINT",
		answer: "ok", refusal: "invalid_token 123456789123456789123456",
		path:     "/services/AAAAAAAAA/BBBBBBBBB/123456789123456789123456",
		contains: []string{"cupid: 订单", "second"}, hidden: []string{"123456789123456789123456"},
	},
	{
		name: "telegram", url: "telegram://110201543:AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw0@telegram?chats=@chan&endpoint=ENDPOINT",
		answer: `{"ok":true,"result":{}}`, refusal: `{"ok":false,"error_code":401,"description":"Unauthorized AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw0"}`,
		path:     "/bot110201543:AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw0/sendMessage",
		contains: []string{"cupid: 订单", "second", "@chan"}, hidden: []string{"AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw0", "110201543"},
	},
	{
		name: "generic", url: "http://HOST/alert?token=hook-token",
		answer: "whatever", path: "/alert", contains: []string{`"title":"cupid: 订单"`, `"message":"first`},
		hidden: []string{"hook-token"},
	},
	{
		name: "generic", url: "generic://HOST/alert?disabletls=yes&@Authorization=Bearer+hook-token",
		answer: "", path: "/alert", contains: []string{"first <line>\nsecond"}, hidden: []string{"hook-token"},
	},
	{
		name: "bark", url: "bark://:device-key@HOST/?scheme=http",
		answer: `{"code":200,"message":"success"}`, refusal: `{"code":400,"message":"bad device-key"}`,
		path: "/push", contains: []string{`"title":"cupid: 订单"`, "second"}, hidden: []string{"device-key"},
	},
	{
		name: "ntfy", url: "ntfy://joe:pass-word@HOST/my-topic?scheme=http",
		answer: `{"id":"x"}`, path: "/my-topic", contains: []string{"first <line>\nsecond"}, hidden: []string{"pass-word", "my-topic"},
	},
	{
		name: "gotify", url: "gotify://HOST/AzyoeNS.D4iJLVa?disabletls=yes",
		answer: `{"id":1}`, path: "/message", contains: []string{`"cupid: 订单"`, "second"}, hidden: []string{"AzyoeNS.D4iJLVa"},
	},
	{
		name: "mattermost", url: "mattermost://HOST/hook-token?disabletls=yes",
		answer: "ok", path: "/hooks/hook-token", contains: []string{"cupid: 订单", "second"}, hidden: []string{"hook-token"},
	},
	{
		name: "pushbear", url: "pushbear://9724-key?endpoint=ENDPOINT%2Fsub",
		answer: `{"code":0,"message":"","data":"ok"}`, refusal: `{"code":"20001","message":"no 9724-key"}`,
		path: "/sub", hidden: []string{"9724-key"},
	},
}

// at returns the kit's URL for a server.
func (k kit) at(server string) string {
	host := strings.TrimPrefix(server, "http://")
	return strings.NewReplacer("ENDPOINT", url.QueryEscape(server), "HOST", host).Replace(k.url)
}

func (k kit) noSecret(t *testing.T, err error) {
	t.Helper()
	text := fmt.Sprintf("%v %+v %#v", err, err, err)
	for e := err; e != nil; e = errors.Unwrap(e) {
		text += e.Error()
	}
	for _, hidden := range k.hidden {
		if strings.Contains(text, hidden) {
			t.Errorf("error shows %s: %s", hidden, text)
		}
	}
	if _, ok := errors.AsType[*notify.Error](err); !ok {
		t.Errorf("got %T, want *notify.Error", err)
	}
}

func TestServicesTakeAMessage(t *testing.T) {
	t.Parallel()
	for _, k := range kits {
		t.Run(k.name, func(t *testing.T) {
			t.Parallel()
			server, calls := serve(t, 200, k.answer)
			s := sender(t, k.at(server.URL))
			for range 2 {
				if err := s.Send(t.Context(), message); err != nil {
					t.Fatal(err)
				}
			}
			if s.Name() != k.name {
				t.Errorf("name: got %s", s.Name())
			}
			if len(*calls) != 2 {
				t.Fatalf("calls: got %d, want 2", len(*calls))
			}
			for _, got := range *calls {
				if got.path != k.path {
					t.Errorf("path: got %s, want %s", got.path, k.path)
				}
				plain := strings.NewReplacer(`\u003c`, "<", `\u003e`, ">").Replace(got.body)
				for _, want := range k.contains {
					if !strings.Contains(plain, want) {
						t.Errorf("body lacks %s: %s", want, got.body)
					}
				}
			}
		})
	}
}

func TestServicesThatRefuse(t *testing.T) {
	t.Parallel()
	for _, k := range kits {
		t.Run(k.name, func(t *testing.T) {
			t.Parallel()
			type refusal struct {
				status int
				answer string
			}
			list := []refusal{{500, "internal error"}, {404, strings.Join(k.hidden, " ")}, {302, ""}, {429, "slow down"}}
			if k.refusal != "" {
				list = append(list, refusal{200, k.refusal})
			}
			for _, r := range list {
				server, _ := serve(t, r.status, r.answer)
				err := sender(t, k.at(server.URL)).Send(t.Context(), message)
				if err == nil {
					t.Errorf("%d %s: got no error", r.status, r.answer)
					continue
				}
				k.noSecret(t, err)
			}

			server, _ := serve(t, 200, "")
			server.Close()
			err := sender(t, k.at(server.URL)).Send(t.Context(), message)
			if err == nil || !strings.Contains(err.Error(), "refused") {
				t.Errorf("dead: got %v", err)
			}
			k.noSecret(t, err)
		})
	}
}

func TestServiceThatHangsEndsWithTheContext(t *testing.T) {
	t.Parallel()
	for _, k := range kits {
		t.Run(k.name, func(t *testing.T) {
			t.Parallel()
			server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				_, _ = io.Copy(io.Discard, r.Body)
				<-r.Context().Done()
			}))
			defer server.Close()
			ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
			defer cancel()
			err := sender(t, k.at(server.URL)).Send(ctx, message)
			if !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("got %v", err)
			}
			k.noSecret(t, err)
		})
	}
}

func TestEndlessAnswerIsCut(t *testing.T) {
	t.Parallel()
	for _, k := range kits {
		t.Run(k.name, func(t *testing.T) {
			t.Parallel()
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				for {
					if _, err := io.WriteString(w, strings.Repeat("{", 1<<15)); err != nil {
						return
					}
				}
			}))
			defer server.Close()
			_ = sender(t, k.at(server.URL)).Send(t.Context(), message) // it comes back
		})
	}
}

func TestLongMessagesAreCut(t *testing.T) {
	t.Parallel()
	for _, k := range kits {
		t.Run(k.name, func(t *testing.T) {
			t.Parallel()
			server, calls := serve(t, 200, k.answer)
			long := notify.Message{Title: strings.Repeat("题", 5000) + "\r\nX-Evil: 1", Text: strings.Repeat("错误<&>\n", 100_000)}
			if err := sender(t, k.at(server.URL)).Send(t.Context(), long); err != nil {
				t.Fatal(err)
			}
			if len(*calls) != 1 || (*calls)[0].header.Get("X-Evil") != "" {
				t.Errorf("got %d calls", len(*calls))
			}
		})
	}
}

func TestDingTalkSignsAsItsDocumentationSays(t *testing.T) {
	t.Parallel()
	server, calls := serve(t, 200, `{"errcode":0}`)
	s := sender(t, "dingtalk://tok?secret=SEC1&endpoint="+url.QueryEscape(server.URL))
	if err := s.Send(t.Context(), message); err != nil {
		t.Fatal(err)
	}
	query := (*calls)[0].query
	h := hmac.New(sha256.New, []byte("SEC1"))
	_, _ = io.WriteString(h, query.Get("timestamp")+"\nSEC1")
	if got, want := query.Get("sign"), base64.StdEncoding.EncodeToString(h.Sum(nil)); got != want || query.Get("access_token") != "tok" {
		t.Errorf("got %v, want sign %s", query, want)
	}
}

func TestRobotThatIsTooFastWaits(t *testing.T) {
	t.Parallel()
	server, _ := serve(t, 200, `{"errcode":130101,"errmsg":"send too fast"}`)
	err := sender(t, "dingtalk://tok?endpoint="+url.QueryEscape(server.URL)).Send(t.Context(), message)
	if e, ok := errors.AsType[*notify.Error](err); !ok || e.RetryAfter != 10*time.Minute {
		t.Errorf("got %#v", err)
	}
	limited := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Retry-After", "30")
		w.WriteHeader(http.StatusTooManyRequests)
	}))
	defer limited.Close()
	for _, k := range kits {
		err := sender(t, k.at(limited.URL)).Send(t.Context(), message)
		if e, ok := errors.AsType[*notify.Error](err); !ok || e.RetryAfter != 30*time.Second {
			t.Errorf("%s: got %#v", k.name, err)
		}
	}
}

func TestRequestsGoThroughTheProxyOfTheURL(t *testing.T) {
	t.Parallel()
	var asked []string
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked = append(asked, r.Method+" "+r.Host+" "+r.Header.Get("Proxy-Authorization"))
		w.WriteHeader(http.StatusForbidden)
	}))
	defer proxy.Close()
	through := "proxy=" + url.QueryEscape(strings.Replace(proxy.URL, "http://", "http://joe:hunter2@", 1))
	const credentials = " Basic am9lOmh1bnRlcjI="
	for raw, want := range map[string]string{
		"telegram://110201543:AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw0@telegram?chats=@chan&": "CONNECT api.telegram.org:443" + credentials,
		"wecom://693a91f6-7xxx-4bc4-97a0-0ec2sifa5aaa?":                                  "CONNECT qyapi.weixin.qq.com:443" + credentials,
		"serverchan://SCT123abc?":                                                        "CONNECT sctapi.ftqq.com:443" + credentials,
		"pushbear://9724-key?endpoint=http://gateway.invalid/&":                          "GET gateway.invalid" + credentials,
	} {
		asked = nil
		err := sender(t, raw+through).Send(t.Context(), message)
		if err == nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: got %v, want an error without a secret", raw, err)
		}
		if !slices.Contains(asked, want) {
			t.Errorf("%s: the proxy was asked %q, want %q", raw, asked, want)
		}
	}
}

func TestServerChanTitleHas32Characters(t *testing.T) {
	t.Parallel()
	server, calls := serve(t, 200, `{"code":0}`)
	s := sender(t, "serverchan://SCTkey?perDay=100&endpoint="+url.QueryEscape(server.URL))
	if got := s.(notify.Limited).Limit(); got != (notify.Limit{Messages: 100, Per: 24 * time.Hour}) {
		t.Errorf("limit: got %v", got)
	}
	for _, title := range []string{strings.Repeat("题", 40), ""} {
		if err := s.Send(t.Context(), notify.Message{Title: title, Text: "x"}); err != nil {
			t.Fatal(err)
		}
	}
	for i, want := range []int{32, 5} {
		form, err := url.ParseQuery((*calls)[i].body)
		if got := len([]rune(form.Get("title"))); err != nil || got != want {
			t.Errorf("title: got %d characters, want %d", got, want)
		}
	}
}

func TestPushBearAsInTheOriginal(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		status int
		answer string
		ok     bool
	}{
		{200, `{"code":0}`, true},
		{200, "OK", true},
		{200, "", true},
		{200, `{"code":20001}`, false},
		{500, "", false},
	} {
		server, calls := serve(t, c.status, c.answer)
		s := notify.NewPushBear(server.URL+"/sub?x=y", secret.New("9724-abc"))
		if err := s.Send(t.Context(), message); (err == nil) != c.ok {
			t.Errorf("%d %s: got %v", c.status, c.answer, err)
		}
		got := (*calls)[0]
		want := url.Values{"x": {"y"}, "sendkey": {"9724-abc"}, "text": {message.Title}, "desp": {message.Text}}
		if got.method != http.MethodGet || got.path != "/sub" || got.query.Encode() != want.Encode() {
			t.Errorf("got %+v", got)
		}
	}
	if err := notify.NewPushBear("not a url", secret.New("9724-abc")).Send(t.Context(), message); err == nil {
		t.Error("bad endpoint: got no error")
	}
}

func TestValidate(t *testing.T) {
	t.Parallel()
	for _, raw := range []string{
		"lark://open.larksuite.com/tok?secret=abc", "lark://open.feishu.cn/tok", "dingtalk://tok", "https://example.com/x?y=z",
		"smtp://joe:hunter2@mail.example.com:587/?from=a@b.c&to=d@e.f,g@h.i", "generic+https://example.com/x", "pushbear://9724-abc",
		"slack://xoxb:123456789012-1234567890123-4mt0t4l1YL3g1T5L4cK70k3N@C001CH4NN3L",
	} {
		if err := notify.Validate(secret.New(raw)); err != nil {
			t.Errorf("%s: got %v", raw, err)
		}
	}
	for _, raw := range []string{
		"", "hunter2", "hunter2:hunter2", "nosuch://hunter2", "wecom://", "wecom://hunter2/../x?hunter2=1", "dingtalk://", "dingtalk://tok?secert=hunter2",
		"dingtalk://tok?endpoint=hunter2", "dingtalk://tok?proxy=hunter2", "dingtalk://tok?proxy=ftp://joe:hunter2@h", "smtp://joe:hunter2@h/?from=a@b.c&to=d@e.f&proxy=http://h", "serverchan://hun.ter2?x=hunter2", "serverchan://k?perDay=none", "feishu://", "lark://evil.example.com/hunter2",
		"telegram://hunter2@telegram?chats=1", "slack://hunter2@webhook", "smtp://joe:hunter2@h/", "smtp://joe:hunter2@/?from=a@b.c&to=d@e.f",
		"smtp://joe:hunter2@h/?from=a@b.c&to=hunter", "logger://hunter2", "matrix://joe:hunter2@h/", "mqtt://joe:hunter2@h/t", "http:///x", "pushbear://",
		"wecom://hunter2\x7f", "dingtalk+https://tok.hunter2/", "bark://:hunter2@/",
	} {
		err := notify.Validate(secret.New(raw))
		if !errors.Is(err, notify.ErrURL) {
			t.Errorf("%s: got %v, want ErrURL", raw, err)
		} else if strings.Contains(err.Error(), "hunter2") {
			t.Errorf("error shows a secret: %v", err)
		}
	}
}

func TestCutKeepsCharactersWhole(t *testing.T) {
	t.Parallel()
	for n := range 12 {
		if got := notify.Cut("订单a订单", n); len(got) > max(n, 3) || strings.ContainsRune(got, '\uFFFD') {
			t.Errorf("%d: got %q", n, got)
		}
	}
	if got := notify.Cut("abc", 3); got != "abc" {
		t.Errorf("got %q", got)
	}
	if got := notify.CutRunes("订单订单", 3); got != "订单…" {
		t.Errorf("got %q", got)
	}
}

func FuzzNew(f *testing.F) {
	for _, k := range kits {
		f.Add(k.url)
	}
	f.Fuzz(func(_ *testing.T, raw string) { _, _ = notify.New(secret.New(raw)) })
}
