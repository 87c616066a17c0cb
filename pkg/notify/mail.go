package notify

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/mail"
	"net/smtp"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	shoutsmtp "github.com/nicholas-fedor/shoutrrr/pkg/services/email/smtp"

	"github.com/masixun71/cupid/pkg/secret"
)

// maxMailBytes bounds the text of a mail.
const maxMailBytes = 256 << 10

// mailer sends mail. Its URL is shoutrrr's and read by shoutrrr; the conversation with the server is ours, as it has
// to end with the context.
type mailer struct {
	config shoutsmtp.Config
	hide   []secret.String
}

func newMail(u *url.URL, hide []secret.String) (Sender, error) {
	if u.Hostname() == "" {
		return nil, errors.New("host is missing")
	}
	var s shoutsmtp.Service
	if err := s.Initialize(u, nil); err != nil {
		return nil, err
	}
	config := s.Config.Clone()
	config.FixEmailTags()
	for _, address := range append([]string{config.FromAddress}, config.ToAddresses...) {
		if parsed, err := mail.ParseAddress(address); err != nil || parsed.Address != address {
			return nil, fmt.Errorf("%q is not a mail address", address)
		}
	}
	return &mailer{config: config, hide: hide}, nil
}

// Name returns "smtp".
func (*mailer) Name() string { return "smtp" }

// Send hands m to the mail server, for all recipients at once.
func (s *mailer) Send(ctx context.Context, m Message) error {
	ctx, cancel := withDeadline(ctx)
	defer cancel()
	return failure(ctx, s.Name(), s.send(ctx, m), s.hide)
}

func (s *mailer) send(ctx context.Context, m Message) error {
	c := &s.config
	raw, err := (&net.Dialer{}).DialContext(ctx, "tcp", net.JoinHostPort(c.Host, strconv.Itoa(int(c.Port))))
	if err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	defer func() { _ = raw.Close() }()
	// Every read and write below ends when the context does.
	stop := context.AfterFunc(ctx, func() { _ = raw.SetDeadline(time.Unix(1, 0)) })
	defer stop()

	tlsConfig := &tls.Config{ServerName: c.Host, MinVersion: tls.VersionTLS12, InsecureSkipVerify: c.SkipTLSVerify} //nolint:gosec // skiptlsverify=yes asks for it
	conn := raw
	implicit := c.Encryption == shoutsmtp.EncMethods.ImplicitTLS ||
		(c.Encryption == shoutsmtp.EncMethods.Auto && c.Port == shoutsmtp.ImplicitTLSPort)
	if implicit {
		conn = tls.Client(raw, tlsConfig)
	}
	client, err := smtp.NewClient(conn, c.Host)
	if err != nil {
		return fmt.Errorf("greet: %w", err)
	}
	if err := s.secure(client, tlsConfig, implicit); err != nil {
		return err
	}
	if err := s.deliver(client, m); err != nil {
		return err
	}
	_ = client.Quit() // the mail is accepted; some servers hang up before they answer this
	return nil
}

// secure says hello, switches to TLS and logs in.
func (s *mailer) secure(client *smtp.Client, tlsConfig *tls.Config, implicit bool) error {
	c := &s.config
	name := c.ClientHost
	if name == "auto" {
		if host, err := os.Hostname(); err == nil {
			name = host
		} else {
			name = "localhost"
		}
	}
	if err := client.Hello(name); err != nil {
		return fmt.Errorf("hello: %w", err)
	}
	explicit := c.Encryption == shoutsmtp.EncMethods.ExplicitTLS
	if !implicit && c.Encryption != shoutsmtp.EncMethods.None && c.UseStartTLS {
		if offered, _ := client.Extension("STARTTLS"); offered {
			if err := client.StartTLS(tlsConfig); err != nil {
				return fmt.Errorf("start tls: %w", err)
			}
		} else if explicit || c.RequireStartTLS {
			return errors.New("start tls: the server does not offer it")
		}
	}

	var auth smtp.Auth
	switch c.Auth {
	case shoutsmtp.AuthTypes.Plain:
		auth = smtp.PlainAuth("", c.Username, c.Password, c.Host)
	case shoutsmtp.AuthTypes.CRAMMD5:
		auth = smtp.CRAMMD5Auth(c.Username, c.Password)
	case shoutsmtp.AuthTypes.OAuth2:
		auth = shoutsmtp.OAuth2Auth(c.Username, c.Password)
	default:
		return nil
	}
	if err := client.Auth(auth); err != nil {
		return fmt.Errorf("log in: %w", err)
	}
	return nil
}

// deliver sends the mail. One recipient that the server refuses does not keep it from the others.
func (s *mailer) deliver(client *smtp.Client, m Message) error {
	if err := client.Mail(s.config.FromAddress); err != nil {
		return fmt.Errorf("mail from %s: %w", s.config.FromAddress, err)
	}
	var refused []error
	for _, to := range s.config.ToAddresses {
		if err := client.Rcpt(to); err != nil {
			refused = append(refused, fmt.Errorf("mail to %s: %w", to, err))
		}
	}
	if len(refused) == len(s.config.ToAddresses) {
		return errors.Join(refused...)
	}
	w, err := client.Data()
	if err != nil {
		return fmt.Errorf("begin data: %w", err)
	}
	if _, err := io.WriteString(w, s.compose(m, time.Now())); err != nil {
		return fmt.Errorf("write mail: %w", err)
	}
	if err := w.Close(); err != nil {
		return fmt.Errorf("end data: %w", err)
	}
	return nil
}

// compose returns the mail with its headers. Base64 keeps any text within the line length of SMTP.
func (s *mailer) compose(m Message, now time.Time) string {
	subject := s.config.Subject
	if title := oneLine(m.Title); title != "" {
		subject = title
	}
	from := (&mail.Address{Name: oneLine(s.config.FromName), Address: s.config.FromAddress}).String()
	_, domain, _ := strings.Cut(s.config.FromAddress, "@")

	var b strings.Builder
	for _, line := range []string{
		"From: " + from,
		"To: " + strings.Join(s.config.ToAddresses, ", "),
		"Subject: " + mime.QEncoding.Encode("utf-8", cut(oneLine(subject), 200)),
		"Date: " + now.Format(time.RFC1123Z),
		"Message-ID: <" + rand.Text() + "@" + domain + ">",
		"Auto-Submitted: auto-generated",
		"MIME-Version: 1.0",
		"Content-Type: text/plain; charset=utf-8",
		"Content-Transfer-Encoding: base64",
		"",
	} {
		b.WriteString(line + "\r\n")
	}
	text := strings.ReplaceAll(cut(m.Text, maxMailBytes), "\n", "\r\n")
	encoded := base64.StdEncoding.EncodeToString([]byte(text))
	for len(encoded) > 0 {
		n := min(76, len(encoded))
		b.WriteString(encoded[:n] + "\r\n")
		encoded = encoded[n:]
	}
	return b.String()
}
