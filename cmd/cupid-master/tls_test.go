package main_test

import (
	"crypto/ed25519"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jmoiron/sqlx"

	"github.com/masixun71/cupid/pkg/mariadb"
	"github.com/masixun71/cupid/pkg/mariadb/mariadbtest"
)

// secured is an HTTPS receiver in front of the rig's own, and files with its certificate
// and key.
func (r *rig) secured() (url, certificate, key string) {
	r.t.Helper()
	s := httptest.NewUnstartedServer(r.receiver.server.Config.Handler)
	s.StartTLS()
	r.t.Cleanup(s.Close)
	private, err := x509.MarshalPKCS8PrivateKey(s.TLS.Certificates[0].PrivateKey)
	if err != nil {
		r.t.Fatal(err)
	}
	certificate, key = filepath.Join(r.dir, "cert.pem"), filepath.Join(r.dir, "key.pem")
	for path, block := range map[string]*pem.Block{
		certificate: {Type: "CERTIFICATE", Bytes: s.Certificate().Raw}, key: {Type: "PRIVATE KEY", Bytes: private},
	} {
		if err := os.WriteFile(path, pem.EncodeToMemory(block), 0o600); err != nil {
			r.t.Fatal(err)
		}
	}
	return s.URL + "/test/callback", certificate, key
}

// stranger is a file with a certificate that vouches for nobody here.
func (r *rig) stranger() string {
	r.t.Helper()
	_, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		r.t.Fatal(err)
	}
	about := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true}
	raw, err := x509.CreateCertificate(nil, about, about, key.Public(), key)
	if err != nil {
		r.t.Fatal(err)
	}
	path := filepath.Join(r.dir, "stranger.pem")
	if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: raw}), 0o600); err != nil {
		r.t.Fatal(err)
	}
	return path
}

// Databases and the receiver are reached by TLS, with a certificate that the system does not
// know; without it they are not.
func TestOwnCertificates(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	url, certificate, key := r.secured()
	s := mariadbtest.Start(t, mariadb.Options{TCP: true, Args: []string{"--ssl-cert=" + certificate, "--ssl-key=" + key}})
	db, err := sqlx.Open("mysql", s.DSN(""))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() }) // the server goes with it
	db.SetMaxOpenConns(1)                // USE holds for one connection
	r.src = &mariadbtest.Database{Name: "secured", User: "secured", Password: "p", Host: "127.0.0.1", Port: s.Port(), DB: db}
	r.src.Exec(t, "CREATE DATABASE secured", "USE secured", "CREATE TABLE user "+table,
		"GRANT ALL ON *.* TO secured@'%' IDENTIFIED BY 'p' REQUIRE SSL",
		"INSERT INTO user (number, name) VALUES (1, 'a'), (2, 'b')")
	for k, v := range map[string]any{"dsn": r.src.PDOTCP(), "user": r.src.User, "password": r.src.Password} {
		r.with(k, v)
	}
	hook := r.des0()["callbackNotification"].(map[string]any)
	hook["url"] = url
	r.write()
	if out, code := r.command("-check", "-config", r.path); code == 0 {
		t.Errorf("the database is reached without TLS:\n%s", out)
	}
	r.with("caFile", r.stranger())
	r.write()
	if out, code := r.command("-check", "-config", r.path); code == 0 {
		t.Errorf("the database is reached though nobody vouches for it:\n%s", out)
	}
	r.with("caFile", certificate)
	m := r.start()
	r.eventually("the receiver's certificate is not known", func() bool { return strings.Contains(r.logs(), "certificate signed by unknown authority") })
	m.stop()
	hook["caFile"] = certificate
	r.start()
	r.eventually("both rows are repaired", func() bool { return r.count() == 2 })
}
