package notify

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/masixun71/cupid/pkg/secret"
)

// robot is a service whose whole API is one HTTP request.
type robot struct {
	name     string
	endpoint *url.URL
	limit    Limit
	hide     []secret.String
	// request builds the request for a message.
	request func(context.Context, Message) (*http.Request, error)
	// codeDemanded: an answer without a code is a failure.
	codeDemanded bool
	// pause is how long to wait after a code.
	pause map[string]time.Duration
}

// Name returns the service's name.
func (r *robot) Name() string { return r.name }

// Limit returns the service's limit.
func (r *robot) Limit() Limit { return r.limit }

// Send hands over m.
func (r *robot) Send(ctx context.Context, m Message) error {
	ctx, cancel := withDeadline(ctx)
	defer cancel()
	return failure(ctx, r.name, r.send(ctx, m), r.hide)
}

func (r *robot) send(ctx context.Context, m Message) error {
	req, err := r.request(ctx, m)
	if err != nil {
		return err
	}
	code, text, err := newClient(ctx, r.endpoint).ask(req, r.codeDemanded)
	if err != nil {
		return err
	}
	if code != "0" {
		return &answerError{reason: strings.TrimSpace("answered code " + code + " " + text), retryAfter: r.pause[code]}
	}
	return nil
}

const (
	dingTalkURL = "https://oapi.dingtalk.com/robot/send"

	// maxDingTalkBytes is the limit of the whole request, https://open.dingtalk.com/document/robots/custom-robot-access;
	// a Chinese character in JSON may take twice its bytes.
	maxDingTalkBytes = 8000
)

// newDingTalk reads dingtalk://<access_token>?secret=SEC….
func newDingTalk(u *url.URL, hide []secret.String) (Sender, error) {
	endpoint, err := takeEndpoint(u)
	if err != nil {
		return nil, err
	}
	token := u.Host
	if token == "" || strings.Trim(u.Path, "/") != "" {
		return nil, errors.New("want dingtalk://<access_token>?secret=<secret>")
	}
	if err := onlyParameters(u, "secret"); err != nil {
		return nil, err
	}
	signKey := secret.New(u.Query().Get("secret"))
	accessToken := secret.New(token)

	return &robot{
		name: "dingtalk", endpoint: endpoint, hide: hide, codeDemanded: true,
		limit: Limit{20, time.Minute},
		// "send too fast": DingTalk blocks the robot for ten minutes then.
		pause: map[string]time.Duration{"130101": 10 * time.Minute},
		request: func(ctx context.Context, m Message) (*http.Request, error) {
			query := url.Values{"access_token": {accessToken.Reveal()}}
			if !signKey.IsZero() {
				timestamp := strconv.FormatInt(time.Now().UnixMilli(), 10)
				query.Set("timestamp", timestamp)
				query.Set("sign", dingTalkSign(timestamp, signKey))
			}
			body, err := json.Marshal(map[string]any{
				"msgtype": "text",
				"text":    map[string]string{"content": plainText(m, maxDingTalkBytes)},
			})
			if err != nil {
				return nil, fmt.Errorf("encode message: %w", err)
			}
			return post(ctx, dingTalkURL+"?"+query.Encode(), "application/json", body)
		},
	}, nil
}

// dingTalkSign is the signature of https://open.dingtalk.com/document/robots/customize-robot-security-settings.
func dingTalkSign(timestamp string, key secret.String) string {
	h := hmac.New(sha256.New, []byte(key.Reveal()))
	h.Write([]byte(timestamp + "\n" + key.Reveal()))
	return base64.StdEncoding.EncodeToString(h.Sum(nil))
}

// serverChan3Key is a key of ServerChan³; the digits name the user's host.
var serverChan3Key = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^sctp([0-9]+)t[0-9A-Za-z]+$`)
})

// serverChanKey keeps a key from changing the path that it is put into.
var serverChanKey = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^[0-9A-Za-z_-]+$`)
})

const (
	serverChanTitle = 32 // characters
	serverChanBytes = 30000
	// serverChanDaily is the number of messages of the free tier.
	serverChanDaily = 5
)

// newServerChan reads serverchan://<SendKey>?perDay=<n>.
func newServerChan(u *url.URL, hide []secret.String) (Sender, error) {
	endpoint, err := takeEndpoint(u)
	if err != nil {
		return nil, err
	}
	key := u.Host
	if !serverChanKey().MatchString(key) || strings.Trim(u.Path, "/") != "" {
		return nil, errors.New("want serverchan://<SendKey>")
	}
	if err := onlyParameters(u, "perDay"); err != nil {
		return nil, err
	}
	daily := serverChanDaily
	if text := u.Query().Get("perDay"); text != "" {
		if daily, err = strconv.Atoi(text); err != nil || daily < 1 {
			return nil, errors.New("perDay is not a positive number")
		}
	}
	address := secret.New("https://sctapi.ftqq.com/" + key + ".send")
	if parts := serverChan3Key().FindStringSubmatch(key); parts != nil {
		address = secret.New("https://" + parts[1] + ".push.ft07.com/send/" + key + ".send")
	}
	return &robot{
		name: "serverchan", endpoint: endpoint, hide: hide, codeDemanded: true,
		limit: Limit{daily, 24 * time.Hour},
		request: func(ctx context.Context, m Message) (*http.Request, error) {
			title := oneLine(m.Title)
			if title == "" {
				title = "cupid"
			}
			form := url.Values{"title": {cutRunes(title, serverChanTitle)}, "desp": {cut(markdown(m.Text), serverChanBytes)}}
			return post(ctx, address.Reveal(), "application/x-www-form-urlencoded", []byte(form.Encode()))
		},
	}, nil
}

// markdown keeps the lines of a plain text apart: two spaces at its end make a line break.
func markdown(text string) string {
	return strings.ReplaceAll(text, "\n", "  \n")
}

// DefaultPushBearEndpoint is where the service of the original was. It has been shut down; a gateway that speaks the
// same takes its place.
const DefaultPushBearEndpoint = "https://pushbear.ftqq.com/sub"

// pushBearBytes keeps the URL of the request below the 8 KiB that servers accept: a byte becomes three when escaped.
const pushBearBytes = 2000

// NewPushBear returns the Sender of the original: GET <endpoint>?sendkey=&text=&desp=. An empty endpoint means
// DefaultPushBearEndpoint; one that is no http or https URL makes every Send fail. Any 2xx is a success, unless it is
// JSON with a code other than 0.
func NewPushBear(endpoint string, key secret.String) Sender {
	if endpoint == "" {
		endpoint = DefaultPushBearEndpoint
	}
	return &robot{
		name: "pushbear", hide: []secret.String{key},
		request: func(ctx context.Context, m Message) (*http.Request, error) {
			u, err := parseEndpoint(endpoint)
			if err != nil {
				return nil, err
			}
			query := u.Query()
			query.Set("sendkey", key.Reveal())
			query.Set("text", cut(oneLine(m.Title), 200))
			query.Set("desp", cut(m.Text, pushBearBytes))
			u.RawQuery = query.Encode()
			return http.NewRequestWithContext(ctx, http.MethodGet, u.String(), http.NoBody)
		},
	}
}

// newPushBear reads pushbear://<sendkey>?endpoint=<url>.
func newPushBear(u *url.URL, hide []secret.String) (Sender, error) {
	if u.Host == "" || strings.Trim(u.Path, "/") != "" {
		return nil, errors.New("want pushbear://<sendkey>?endpoint=<url>")
	}
	if err := onlyParameters(u, "endpoint"); err != nil {
		return nil, err
	}
	endpoint := u.Query().Get("endpoint")
	if endpoint != "" {
		if _, err := parseEndpoint(endpoint); err != nil {
			return nil, err
		}
	}
	s := NewPushBear(endpoint, secret.New(u.Host))
	s.(*robot).hide = hide
	return s, nil
}

// onlyParameters refuses parameters that would be ignored.
func onlyParameters(u *url.URL, names ...string) error {
	for name := range u.Query() {
		known := false
		for _, n := range names {
			known = known || n == name
		}
		if !known {
			return fmt.Errorf("unknown parameter %q", name)
		}
	}
	return nil
}

func post(ctx context.Context, address, contentType string, body []byte) (*http.Request, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, address, bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("make request: %w", err)
	}
	req.Header.Set("Content-Type", contentType)
	return req, nil
}
