package notify_test

import (
	"bufio"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/mail"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/masixun71/cupid/pkg/notify"
)

// mailServer is an SMTP server for one conversation at a time.
type mailServer struct {
	addr   string
	refuse map[string]string // answer to a command, by its first word or the whole of it
	hangAt string            // the command that is never answered

	mu         sync.Mutex
	mails      []string
	recipients []string
	logins     []string
}

func startMail(t *testing.T, s *mailServer) *mailServer {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s.addr = l.Addr().String()
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			wg.Go(func() {
				defer func() { _ = conn.Close() }()
				defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
				s.talk(conn)
			})
		}
	})
	t.Cleanup(func() {
		cancel()
		_ = l.Close()
		wg.Wait()
	})
	return s
}

func (s *mailServer) talk(conn net.Conn) {
	r := bufio.NewReader(conn)
	say := func(line string) { _, _ = io.WriteString(conn, line+"\r\n") }
	if s.hangAt == "greeting" {
		_, _ = io.Copy(io.Discard, conn)
		return
	}
	say("220 mail.test ESMTP")
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			return
		}
		line = strings.TrimSpace(line)
		verb, rest, _ := strings.Cut(line, " ")
		if verb == s.hangAt {
			_, _ = io.Copy(io.Discard, conn)
			return
		}
		if answer := s.refuse[line]; answer != "" {
			say(answer)
			continue
		}
		if answer := s.refuse[verb]; answer != "" {
			say(answer)
			continue
		}
		switch verb {
		case "EHLO":
			say("250-mail.test\r\n250-AUTH PLAIN\r\n250 8BITMIME")
		case "AUTH":
			s.note(&s.logins, rest)
			say("235 in")
		case "RCPT":
			s.note(&s.recipients, rest)
			say("250 ok")
		case "DATA":
			say("354 go")
			s.note(&s.mails, data(r))
			say("250 queued")
		case "QUIT":
			say("221 bye")
			return
		default:
			say("250 ok")
		}
	}
}

// data reads a mail up to its dot.
func data(r *bufio.Reader) string {
	var b strings.Builder
	for {
		line, err := r.ReadString('\n')
		if err != nil || line == ".\r\n" {
			return b.String()
		}
		b.WriteString(strings.TrimPrefix(line, "."))
	}
}

func (s *mailServer) note(list *[]string, what string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	*list = append(*list, what)
}

func TestMailArrivesReadable(t *testing.T) {
	t.Parallel()
	s := startMail(t, &mailServer{})
	to := sender(t, "smtp://joe:hunter2@"+s.addr+"/?from=cupid@b.example&fromname=小爱&to=d@e.example,f@e.example")
	m := notify.Message{Title: "cupid: 订单\r\nBcc: evil@x.example", Text: "第一行\n.\nlast <line> " + strings.Repeat("long ", 500)}
	if err := to.Send(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprint(s.recipients); got != "[TO:<d@e.example> TO:<f@e.example>]" && got != "[TO:<d@e.example> BODY=8BITMIME TO:<f@e.example>]" {
		t.Errorf("recipients: got %s", got)
	}
	if want := "PLAIN " + base64.StdEncoding.EncodeToString([]byte("\x00joe\x00hunter2")); len(s.logins) != 1 || s.logins[0] != want {
		t.Errorf("logins: got %v", s.logins)
	}
	got, err := mail.ReadMessage(strings.NewReader(s.mails[0]))
	if err != nil {
		t.Fatal(err)
	}
	subject, err := new(mime.WordDecoder).DecodeHeader(got.Header.Get("Subject"))
	if err != nil || subject != "cupid: 订单  Bcc: evil@x.example" || got.Header.Get("Bcc") != "" {
		t.Errorf("subject: got %q, %v", subject, err)
	}
	if from, err := got.Header.AddressList("From"); err != nil || from[0].Name != "小爱" || from[0].Address != "cupid@b.example" {
		t.Errorf("from: got %v, %v", from, err)
	}
	if list, err := got.Header.AddressList("To"); err != nil || len(list) != 2 {
		t.Errorf("to: got %v, %v", list, err)
	}
	if _, err := got.Header.Date(); err != nil || got.Header.Get("Message-Id") == "" {
		t.Errorf("header: got %v", got.Header)
	}
	text, err := io.ReadAll(base64.NewDecoder(base64.StdEncoding, got.Body))
	if want := strings.ReplaceAll(m.Text, "\n", "\r\n"); err != nil || string(text) != want {
		t.Errorf("text: got %q, %v", text, err)
	}
	for line := range strings.Lines(s.mails[0]) {
		if len(line) > 998 {
			t.Errorf("line of %d bytes", len(line))
		}
	}
}

func TestOneRefusedRecipientDoesNotKeepTheOthers(t *testing.T) {
	t.Parallel()
	s := startMail(t, &mailServer{refuse: map[string]string{"RCPT TO:<d@e.example>": "550 no such user"}})
	const addresses = "/?from=a@b.example&to=d@e.example"
	if err := sender(t, "smtp://"+s.addr+addresses+",f@e.example").Send(t.Context(), message); err != nil || len(s.mails) != 1 {
		t.Errorf("got %v, %d mails", err, len(s.mails))
	}
	err := sender(t, "smtp://"+s.addr+addresses).Send(t.Context(), message)
	if err == nil || !strings.Contains(err.Error(), "mail to d@e.example: 550") || len(s.mails) != 1 {
		t.Errorf("got %v, %d mails", err, len(s.mails))
	}
}

func TestMailServerThatRefuses(t *testing.T) {
	t.Parallel()
	for verb, answer := range map[string]string{
		"EHLO": "421 busy", "AUTH": "535 bad password hunter2", "MAIL": "550 no", "RCPT": "550 no", "DATA": "554 no",
	} {
		refuse := map[string]string{verb: answer, "HELO": "421 busy"}
		s := startMail(t, &mailServer{refuse: refuse})
		err := sender(t, "smtp://joe:hunter2@"+s.addr+"/?from=a@b.example&to=d@e.example").Send(t.Context(), message)
		if err == nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: got %v", verb, err)
		}
	}
	s := startMail(t, &mailServer{})
	err := sender(t, "smtp://"+s.addr+"/?from=a@b.example&to=d@e.example&requirestarttls=yes").Send(t.Context(), message)
	if err == nil || len(s.mails) > 0 {
		t.Errorf("required tls: got %v", err)
	}
}

func TestMailServerThatHangsEndsWithTheContext(t *testing.T) {
	t.Parallel()
	for _, at := range []string{"greeting", "EHLO", "MAIL", "DATA"} {
		s := startMail(t, &mailServer{hangAt: at})
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		err := sender(t, "smtp://"+s.addr+"/?from=a@b.example&to=d@e.example").Send(ctx, message)
		cancel()
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%s: got %v", at, err)
		}
	}
}
