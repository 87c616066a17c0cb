package config_test

import (
	"encoding/pem"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/masixun71/cupid/pkg/config"
)

// withCA is a configuration with three files of certificates.
const withCA = `{"logDir": "/l", "cacheFilePath": "/c",
	"src": {"dsn": "DSN", "user": "u", "password": "p", "table": "t", "byColumn": "k", "caFile": "src.pem"},
	"des": [{"dsn": "mysql:host=h;dbname=d", "user": "u", "password": "p", "table": "t", "byColumn": "k", "columns": {"a": "a"},
		"caFile": "des.pem", "callbackNotification": {"url": "URL", "caFile": "hook.pem"}}]}`

func certificate(t *testing.T) string {
	t.Helper()
	s := httptest.NewTLSServer(http.NotFoundHandler())
	defer s.Close()
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw}))
}

// A worker gets what the files hold and not where they are.
func TestCertificatesGoToTheWorkers(t *testing.T) {
	c, err := config.Load("f", []byte(strings.NewReplacer("DSN", "mysql:host=h;dbname=d", "URL", "https://h/x").Replace(withCA)), nil)
	if err != nil {
		t.Fatal(err)
	}
	text := certificate(t)
	var asked []string
	if err := c.ReadFiles(func(path string) ([]byte, error) { asked = append(asked, path); return []byte(text), nil }); err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(asked, " "); got != "src.pem des.pem hook.pem" {
		t.Errorf("read %s", got)
	}
	wire, err := c.EncodeWire()
	if err != nil {
		t.Fatal(err)
	}
	back, err := config.DecodeWire(wire)
	if err != nil {
		t.Fatal(err)
	}
	p := back.Pairs()[0]
	for _, got := range []string{p.Source.CAFile, p.Destination.CAFile, p.Destination.CallbackNotification.CAFile} {
		if got != text {
			t.Errorf("a worker has %.40q", got)
		}
	}
}

func TestCertificateFaults(t *testing.T) {
	for name, c := range map[string]struct {
		dsn, url string
		read     func(string) ([]byte, error)
		want     string
	}{
		"no file":        {"mysql:host=h;dbname=d", "https://h", func(p string) ([]byte, error) { return nil, &fs.PathError{Op: "open", Path: p, Err: fs.ErrNotExist} }, "src.pem: cannot be read: file does not exist"},
		"no certificate": {"mysql:host=h;dbname=d", "https://h", func(string) ([]byte, error) { return []byte("key"), nil }, "hook.pem: holds no certificate in PEM form"},
		"a socket":       {"mysql:unix_socket=/s;dbname=d", "https://h", nil, "src.caFile: the dsn names a socket"},
		"two ways":       {"tcp(h)/d?tls=true", "https://h", nil, "src.caFile: the dsn has a tls of its own"},
		"no TLS":         {"mysql:host=h;dbname=d", "http://h", nil, "callbackNotification.caFile: the url is not encrypted"},
	} {
		t.Run(name, func(t *testing.T) {
			text := strings.NewReplacer("DSN", c.dsn, "URL", c.url).Replace(withCA)
			loaded, err := config.Load("f", []byte(text), nil)
			if c.read != nil {
				if err != nil {
					t.Fatal(err)
				}
				err = loaded.ReadFiles(c.read)
			}
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want %s", err, c.want)
			}
		})
	}
}
