package notify

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/nicholas-fedor/shoutrrr/pkg/services/chat/lark"
	"github.com/nicholas-fedor/shoutrrr/pkg/services/chat/mattermost"
	"github.com/nicholas-fedor/shoutrrr/pkg/services/chat/slack"
	"github.com/nicholas-fedor/shoutrrr/pkg/services/chat/teams"
	"github.com/nicholas-fedor/shoutrrr/pkg/services/chat/telegram"
	"github.com/nicholas-fedor/shoutrrr/pkg/services/chat/wecom"
	"github.com/nicholas-fedor/shoutrrr/pkg/services/push/bark"
	"github.com/nicholas-fedor/shoutrrr/pkg/services/push/gotify"
	"github.com/nicholas-fedor/shoutrrr/pkg/services/push/ntfy"
	"github.com/nicholas-fedor/shoutrrr/pkg/services/specialized/generic"
	"github.com/nicholas-fedor/shoutrrr/pkg/types"

	"github.com/masixun71/cupid/pkg/secret"
)

// service is what has to be known of a service of shoutrrr.
type service struct {
	make func() types.Service
	// maxBytes is what a message may have. Telegram counts 4096 characters after HTML escapes, which shoutrrr adds.
	maxBytes int
	// title: the service has a title of its own; else it becomes the first line.
	title bool
	limit Limit
	// check judges an answer with status 2xx that the service of shoutrrr takes for a success; nil takes it too.
	check func(body []byte) error
}

// services are the services of shoutrrr that are offered.
var services = map[string]service{
	// https://developer.work.weixin.qq.com/document/path/91770: 2048 bytes of text, 20 messages a minute.
	"wecom": {func() types.Service { return &wecom.Service{} }, 2048, false, Limit{20, time.Minute}, nil},
	// https://open.feishu.cn/document/client-docs/bot-v3/add-custom-bot: 100 a minute; the size is shoutrrr's.
	"lark":       {func() types.Service { return &lark.Service{} }, 4096, true, Limit{100, time.Minute}, nil},
	"slack":      {func() types.Service { return &slack.Service{} }, 12000, true, Limit{60, time.Minute}, nil},
	"telegram":   {func() types.Service { return &telegram.Service{} }, 3000, true, Limit{20, time.Minute}, telegramOK},
	"teams":      {func() types.Service { return &teams.Service{} }, 20000, true, Limit{}, nil},
	"mattermost": {func() types.Service { return &mattermost.Service{} }, 3800, true, Limit{}, nil},
	"bark":       {func() types.Service { return &bark.Service{} }, 3000, true, Limit{}, nil},
	"gotify":     {func() types.Service { return &gotify.Service{} }, 20000, true, Limit{}, nil},
	"ntfy":       {func() types.Service { return &ntfy.Service{} }, 4000, true, Limit{}, nil},
	"generic":    {func() types.Service { return &generic.Service{} }, 64 << 10, true, Limit{}, nil},
}

// shoutrrr sends through a service of shoutrrr.
type shoutrrr struct {
	service
	name     string
	url      secret.String // as the service reads it
	endpoint *url.URL
	hide     []secret.String
}

func newShoutrrr(u *url.URL, hide []secret.String) (Sender, error) {
	scheme, err := normalize(u)
	if err != nil {
		return nil, err
	}
	known, ok := services[scheme]
	if !ok {
		all := slices.Sorted(maps.Keys(services))
		all = append(all, "dingtalk", "feishu", "http", "https", "pushbear", "serverchan", "smtp")
		slices.Sort(all)
		return nil, fmt.Errorf("no such service; there are %s", strings.Join(all, ", "))
	}
	s := &shoutrrr{service: known, name: scheme, hide: hide}
	if scheme != "generic" {
		if s.endpoint, err = takeEndpoint(u); err != nil {
			return nil, err
		}
	}
	s.url = secret.New(u.String())
	if _, err := s.open(); err != nil {
		return nil, err
	}
	return s, nil
}

// normalize turns the short forms of this package into URLs of shoutrrr and returns the service.
func normalize(u *url.URL) (string, error) {
	switch u.Scheme {
	case "feishu":
		token := u.Host
		if token == "" || strings.Trim(u.Path, "/") != "" {
			return "", fmt.Errorf("want feishu://<token>")
		}
		u.Scheme, u.Host, u.Path = "lark", "open.feishu.cn", "/"+token
	case "http", "https":
		if u.Hostname() == "" {
			return "", fmt.Errorf("host is missing")
		}
		u.Scheme = "generic+" + u.Scheme
		query := u.Query()
		if !query.Has("template") {
			query.Set("template", "json")
		}
		u.RawQuery = query.Encode()
	}
	scheme, _, _ := strings.Cut(u.Scheme, "+")
	return scheme, nil
}

// open returns a fresh service. Services of shoutrrr write into their configuration while they send, so that each
// Send takes its own.
func (s *shoutrrr) open() (types.Service, error) {
	u, err := url.Parse(s.url.Reveal())
	if err != nil {
		return nil, fmt.Errorf("parse url: %w", err)
	}
	out := s.make()
	if strings.Contains(u.Scheme, "+") {
		custom, ok := out.(types.CustomURLService)
		if !ok {
			return nil, fmt.Errorf("%s takes no url of this form", s.name)
		}
		if u, err = custom.GetServiceURLFromCustom(u); err != nil {
			return nil, err
		}
	}
	// No logger: shoutrrr writes request bodies, tokens in them included, to it.
	if err := out.Initialize(u, nil); err != nil {
		return nil, err
	}
	return out, nil
}

// Name returns the service's name.
func (s *shoutrrr) Name() string { return s.name }

// Limit returns the service's limit.
func (s *shoutrrr) Limit() Limit { return s.limit }

// Send hands over m.
func (s *shoutrrr) Send(ctx context.Context, m Message) error {
	ctx, cancel := withDeadline(ctx)
	defer cancel()
	return failure(ctx, s.name, s.send(ctx, m), s.hide)
}

func (s *shoutrrr) send(ctx context.Context, m Message) error {
	out, err := s.open()
	if err != nil {
		return err
	}
	setter, ok := out.(types.HTTPClientSetter)
	if !ok {
		panic("notify: service " + s.name + " takes no HTTP client")
	}
	var seen record
	setter.SetHTTPClient(seen.watch(newClient(ctx, s.endpoint)))

	params := types.Params{}
	text := plainText(m, s.maxBytes)
	if s.title {
		text = cut(m.Text, s.maxBytes)
		if title := oneLine(m.Title); title != "" {
			params.SetTitle(cut(title, 200))
		}
	}
	err = out.Send(text, &params)
	return seen.verdict(err, s.check)
}

// record is what the requests of one Send came to. Telegram's service says success when there was no answer at all or
// one that is no JSON, and some drop the error that holds when to come back; so the last word is had here.
type record struct {
	err  error // the first failure of a request
	body []byte
}

// watch returns c with its outcomes recorded.
func (r *record) watch(c client) client {
	return func(req *http.Request) (*http.Response, error) {
		resp, err := c(req)
		if err != nil {
			r.fail(err)
			return nil, err
		}
		defer func() { _ = resp.Body.Close() }()
		body, err := io.ReadAll(resp.Body)
		if err != nil {
			r.fail(err)
			return nil, fmt.Errorf("read answer: %w", err)
		}
		if resp.StatusCode < 200 || resp.StatusCode >= 300 {
			r.fail(&answerError{reason: fmt.Sprintf("answered %s %q", resp.Status, cut(string(body), 200))})
		}
		r.body = body
		resp.Body = io.NopCloser(bytes.NewReader(body))
		return resp, nil
	}
}

func (r *record) fail(err error) {
	if r.err == nil {
		r.err = err
	}
}

// verdict is the outcome of a Send that shoutrrr says ended with err.
func (r *record) verdict(err error, check func([]byte) error) error {
	switch {
	case r.err != nil:
		return r.err
	case err != nil:
		return err
	case check != nil:
		return check(r.body)
	}
	return nil
}

// telegramOK reads the answer of the Bot API, https://core.telegram.org/bots/api#making-requests.
func telegramOK(body []byte) error {
	var answer struct {
		OK          bool   `json:"ok"`
		Description string `json:"description"`
	}
	if err := json.Unmarshal(body, &answer); err != nil {
		return fmt.Errorf("decode answer: %w", err)
	}
	if !answer.OK {
		return &answerError{reason: "refused: " + answer.Description}
	}
	return nil
}
