package webhook

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/masixun71/cupid/pkg/secret"
)

const (
	// DefaultTimeout bounds an attempt whose Request names no timeout.
	DefaultTimeout = 15 * time.Second

	// DefaultMaxConns is the number of connections to one host when Options name none.
	DefaultMaxConns = 32

	// maxTargets bounds the parsed URLs and signing keys that are kept. A configuration has a handful of each; should
	// there ever be more, they are parsed anew.
	maxTargets = 1024

	// idleTimeout lies below the keep-alive time of common servers (nginx 75 s, Go 60 s or none), so that they seldom
	// close a connection just as it is used.
	idleTimeout = 30 * time.Second

	dialTimeout      = 10 * time.Second
	maxHeaderBytes   = 64 << 10
	handshakeTimeout = 10 * time.Second
)

// Options say how a Client connects. The zero value is usable.
type Options struct {
	// MaxConns is the number of connections to one host, busy and idle together. A Post beyond it waits for one, within
	// its timeout. Zero means DefaultMaxConns.
	MaxConns int

	// Version is the version of cupid that the User-Agent header names. Empty means "dev".
	Version string

	// TLS is used for https; nil means the system's roots and TLS 1.2 at least.
	TLS *tls.Config

	// CA are the certificates, as PEM, that vouch for receivers in place of TLS and the system's. Empty means none.
	CA string
}

// Client posts requests and keeps connections for the next ones. It is safe for concurrent use.
type Client struct {
	transport *http.Transport
	userAgent []string

	mu      sync.RWMutex // guards what follows
	targets map[string]*target
	signers map[secret.String]*signer
}

// target is a URL as it is needed for every attempt.
type target struct {
	url       *url.URL // without userinfo, which goes into authorization
	name      string   // for error texts: without userinfo, query and fragment
	authority []string // value of the Authorization header, from the userinfo
}

// New returns a Client. It opens nothing.
func New(o Options) *Client {
	if o.MaxConns <= 0 {
		o.MaxConns = DefaultMaxConns
	}
	if o.Version == "" {
		o.Version = "dev"
	}
	if o.CA != "" {
		roots := x509.NewCertPool()
		roots.AppendCertsFromPEM([]byte(o.CA))
		o.TLS = &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}
	}
	if o.TLS == nil {
		o.TLS = &tls.Config{MinVersion: tls.VersionTLS12}
	}

	dialer := &net.Dialer{Timeout: dialTimeout, KeepAlive: 15 * time.Second, ControlContext: checkAddress}
	return &Client{
		transport: &http.Transport{
			DialContext:         dialer.DialContext,
			TLSClientConfig:     o.TLS,
			TLSHandshakeTimeout: handshakeTimeout,
			MaxConnsPerHost:     o.MaxConns,
			MaxIdleConnsPerHost: o.MaxConns,
			IdleConnTimeout:     idleTimeout,
			// An answer is not unpacked: 4 KiB could become gigabytes.
			DisableCompression:     true,
			MaxResponseHeaderBytes: maxHeaderBytes,
			// HTTP/1.1 only: there, dropping an endless answer is closing its own connection; in HTTP/2 all
			// attempts to a host would share one connection and its fate.
			Protocols: http1(),
		},
		userAgent: []string{"cupid/" + o.Version},
		targets:   map[string]*target{},
		signers:   map[secret.String]*signer{},
	}
}

func http1() *http.Protocols {
	p := new(http.Protocols)
	p.SetHTTP1(true)
	return p
}

// Close drops the idle connections. Requests on their way are not disturbed. It may be called more than once.
func (c *Client) Close() {
	c.transport.CloseIdleConnections()
}

// target returns the parsed form of rawURL.
func (c *Client) target(rawURL string) (*target, error) {
	c.mu.RLock()
	t, ok := c.targets[rawURL]
	c.mu.RUnlock()
	if ok {
		return t, nil
	}

	t, err := parseTarget(rawURL)
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.targets) >= maxTargets {
		clear(c.targets)
	}
	c.targets[rawURL] = t
	return t, nil
}

// signer returns the signing key that s stands for.
func (c *Client) signer(s secret.String) (*signer, error) {
	c.mu.RLock()
	found, ok := c.signers[s]
	c.mu.RUnlock()
	if ok {
		return found, nil
	}

	made, err := newSigner(s)
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.signers) >= maxTargets {
		clear(c.signers)
	}
	c.signers[s] = made
	return made, nil
}

// parseTarget reads a callback URL. Without a scheme, as in configurations of the original, it is http.
func parseTarget(rawURL string) (*target, error) {
	if !strings.Contains(rawURL, "://") {
		rawURL = "http://" + rawURL
	}
	u, err := url.Parse(rawURL)
	if err != nil {
		// The error of net/url repeats the whole text, password included.
		return nil, fmt.Errorf("parse callback url: not a valid url")
	}
	t := &target{name: (&url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path}).String()}
	switch {
	case u.Scheme != "http" && u.Scheme != "https":
		return nil, fmt.Errorf("parse callback url %s: scheme %q is neither http nor https", t.name, u.Scheme)
	case u.Hostname() == "":
		return nil, fmt.Errorf("parse callback url %s: host is missing", t.name)
	}
	if u.User != nil {
		password, _ := u.User.Password()
		basic := base64.StdEncoding.EncodeToString([]byte(u.User.Username() + ":" + password))
		t.authority = []string{"Basic " + basic}
		u.User = nil
	}
	u.Fragment, u.RawFragment = "", ""
	t.url = u
	return t, nil
}

// Validate says whether Post can use rawURL at all. It connects to nothing, and its error names neither user,
// password nor query.
func Validate(rawURL string) error {
	_, err := parseTarget(rawURL)
	return err
}

// contextWithTimeout is d, or DefaultTimeout for zero.
func contextWithTimeout(ctx context.Context, d time.Duration) (context.Context, context.CancelFunc) {
	if d <= 0 {
		d = DefaultTimeout
	}
	return context.WithTimeoutCause(ctx, d, timeoutError(d))
}

// timeoutError is the cause of an attempt that took longer than it may.
type timeoutError time.Duration

func (d timeoutError) Error() string {
	return "no answer within " + time.Duration(d).String()
}

// Unwrap lets errors.Is find context.DeadlineExceeded.
func (timeoutError) Unwrap() error { return context.DeadlineExceeded }
