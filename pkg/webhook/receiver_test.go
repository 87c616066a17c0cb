package webhook_test

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/masixun71/cupid/pkg/webhook"
)

// listen starts a receiver that is no HTTP server: answer gets each connection after one request was read from it. The
// connection is closed when answer returns, and when the test ends.
func listen(t *testing.T, answer func(net.Conn)) (url string, conns *atomic.Int32) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	conns = new(atomic.Int32)
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			conns.Add(1)
			wg.Go(func() {
				defer func() { _ = conn.Close() }()
				stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
				defer stop()
				r, err := http.ReadRequest(bufio.NewReader(conn))
				if err != nil {
					return
				}
				_, _ = io.Copy(io.Discard, r.Body)
				answer(conn)
			})
		}
	})
	t.Cleanup(func() {
		cancel()
		_ = l.Close()
		wg.Wait()
	})
	return "http://" + l.Addr().String() + "/", conns
}

// untilClosed waits for the other side to close the connection.
func untilClosed(conn net.Conn) {
	_, _ = io.Copy(io.Discard, conn)
}

func TestReceiverThatHangsTimesOut(t *testing.T) {
	t.Parallel()
	url, _ := listen(t, untilClosed)
	r := request(url)
	r.Timeout = 50 * time.Millisecond
	out := newClient(t).Post(t.Context(), r)
	if !errors.Is(out.Err, context.DeadlineExceeded) || !strings.Contains(out.Err.Error(), "no answer within 50ms") {
		t.Errorf("got %v", out.Err)
	}
	if out.Elapsed < r.Timeout || out.Elapsed > 5*time.Second {
		t.Errorf("elapsed: got %v", out.Elapsed)
	}
}

func TestReceiverThatHangsInTheHeadTimesOut(t *testing.T) {
	t.Parallel()
	url, _ := listen(t, func(conn net.Conn) {
		_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nX-Slow: ")
		untilClosed(conn)
	})
	r := request(url)
	r.Timeout = 50 * time.Millisecond
	if out := newClient(t).Post(t.Context(), r); !errors.Is(out.Err, context.DeadlineExceeded) || out.Accepted {
		t.Errorf("got %+v", out)
	}
}

func TestReceiverThatClosesWithoutAnswer(t *testing.T) {
	t.Parallel()
	url, _ := listen(t, func(net.Conn) {})
	out := newClient(t).Post(t.Context(), request(url))
	if out.Err == nil || out.Status != 0 || !strings.Contains(out.Err.Error(), "connection closed without an answer") {
		t.Errorf("got %+v", out)
	}
}

func TestReceiverThatAnswersGarbage(t *testing.T) {
	t.Parallel()
	for _, garbage := range []string{
		"\x00\x01\x02", "220 smtp.example.com ESMTP\r\n", "HTTP/1.1 abc\r\n\r\n", strings.Repeat("A", 100_000),
		"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n", "HTTP/1.1 200 OK\r\n" + strings.Repeat("X-A: b\r\n", 20_000) + "\r\n",
		strings.Repeat("HTTP/1.1 102 Processing\r\n\r\n", 20_000),
	} {
		url, _ := listen(t, func(conn net.Conn) { _, _ = io.WriteString(conn, garbage) })
		out := newClient(t).Post(t.Context(), request(url))
		if out.Err == nil || out.Accepted {
			t.Errorf("%.20q: got %+v", garbage, out)
		} else if n := len(out.Err.Error()); n > 500 {
			t.Errorf("%.20q: error of %d bytes", garbage, n)
		}
	}
}

func TestEndlessAnswerIsCutAndItsConnectionDropped(t *testing.T) {
	t.Parallel()
	url, conns := listen(t, func(conn net.Conn) {
		_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\n\r\n")
		for { // until the client has closed
			if _, err := conn.Write([]byte(strings.Repeat("x", 1<<16))); err != nil {
				return
			}
		}
	})
	c := newClient(t)
	for range 2 {
		out := c.Post(t.Context(), request(url))
		if !out.Accepted || len(out.Answer) != 4096 {
			t.Fatalf("got accepted %v, %d bytes of answer, %v", out.Accepted, len(out.Answer), out.Err)
		}
		if out.Elapsed > time.Second {
			t.Errorf("elapsed: got %v", out.Elapsed)
		}
	}
	if got := conns.Load(); got != 2 {
		t.Errorf("connections: got %d, want 2", got)
	}
}

func TestSlowDripOfTheBodyIsLeft(t *testing.T) {
	t.Parallel()
	for _, status := range []string{"200 OK", "503 Service Unavailable"} {
		url, _ := listen(t, func(conn net.Conn) {
			_, _ = io.WriteString(conn, "HTTP/1.1 "+status+"\r\nRetry-After: 9\r\nContent-Length: 100\r\n\r\nbegin")
			untilClosed(conn)
		})
		out := newClient(t).Post(t.Context(), request(url))
		if out.Accepted != (status == "200 OK") || out.Answer != "begin" {
			t.Errorf("%s: got %+v", status, out)
		}
		if out.Elapsed > 4*time.Second {
			t.Errorf("%s: elapsed: got %v", status, out.Elapsed)
		}
	}
}

func TestAnswerBrokenOffAfterItsHeadCounts(t *testing.T) {
	t.Parallel()
	url, _ := listen(t, func(conn net.Conn) {
		_, _ = io.WriteString(conn, "HTTP/1.1 202 Accepted\r\nContent-Length: 100\r\n\r\nhalf")
	})
	if out := newClient(t).Post(t.Context(), request(url)); !out.Accepted || out.Answer != "half" || out.Err != nil {
		t.Errorf("got %+v", out)
	}
}

func TestKeptConnectionThatIsGoneIsReplaced(t *testing.T) {
	t.Parallel()
	// The receiver says keep-alive and closes when the second request is on its way.
	url, conns := listen(t, func(conn net.Conn) {
		_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
		_, _ = conn.Read(make([]byte, 1))
	})
	c := newClient(t)
	for range 5 {
		if out := c.Post(t.Context(), request(url)); !out.Accepted {
			t.Fatalf("got %+v", out)
		}
	}
	if got := conns.Load(); got != 5 {
		t.Errorf("connections: got %d, want 5", got)
	}
}

func TestConnectionRefused(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = l.Close()
	out := newClient(t).Post(t.Context(), request("http://"+l.Addr().String()))
	if !errors.Is(out.Err, syscall.ECONNREFUSED) || out.Status != 0 {
		t.Errorf("got %+v", out)
	}
}

func TestUnknownHost(t *testing.T) {
	t.Parallel()
	out := newClient(t).Post(t.Context(), request("http://no-such-host.invalid/"))
	if _, ok := errors.AsType[*net.DNSError](out.Err); !ok {
		t.Errorf("got %v, want a DNS error", out.Err)
	}
}

func TestLinkLocalAndMetadataAreRefused(t *testing.T) {
	t.Parallel()
	c := newClient(t)
	for _, host := range []string{
		"169.254.169.254", "169.254.0.1:8080", "[fe80::1]", "[fd00:ec2::254]", "[::ffff:169.254.169.254]", "100.100.100.200",
		"[64:ff9b::a9fe:a9fe]",
	} {
		r := request("http://" + host + "/latest/meta-data")
		r.Timeout = 2 * time.Second
		if out := c.Post(t.Context(), r); !errors.Is(out.Err, webhook.ErrRefusedAddress) {
			t.Errorf("%s: got %v, want ErrRefusedAddress", host, out.Err)
		}
	}
}
