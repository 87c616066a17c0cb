package dsn

import (
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"

	"github.com/masixun71/cupid/pkg/secret"
)

// pdoKeys are the keys of a PDO_MYSQL dsn (PHP manual, "PDO_MYSQL DSN"; user and
// password since PHP 7.4).
const pdoKeys = "host, port, dbname, unix_socket, charset, user, password"

// parsePDO reads what follows "mysql:". As in PDO, ";;" is a semicolon inside of a
// value, the last of two equal keys counts, and unix_socket counts only where host
// is localhost or absent. Unlike PDO, which skips them, unknown keys are errors:
// a misspelt port would be the default port.
func parsePDO(text string) (DSN, error) {
	values := map[string]string{}
	for i, part := range splitPDO(text) {
		part = strings.TrimLeft(part, " \t\r\n")
		if part == "" {
			continue
		}
		key, value, found := strings.Cut(part, "=")
		key = strings.TrimSpace(key)
		switch key {
		case "host", "port", "dbname", "unix_socket", "charset", "user", "password":
		default:
			return DSN{}, &Error{Problem: fmt.Sprintf("part %d after \"mysql:\" has no known key", i+1), Hint: "known are " + pdoKeys + "; a semicolon in a value is written twice"}
		}
		if !found {
			return DSN{}, &Error{Problem: fmt.Sprintf("%s has no value", key), Hint: "write " + key + "=VALUE"}
		}
		values[key] = value
	}
	d := DSN{Database: values["dbname"], User: values["user"], Password: secret.New(values["password"])}
	if charset := values["charset"]; charset != "" {
		d.Params = map[string]string{"charset": charset}
	}
	if err := d.place(values); err != nil {
		return DSN{}, err
	}
	return d, d.check()
}

// splitPDO cuts at single semicolons and joins double ones.
func splitPDO(text string) []string {
	parts := []string{""}
	last := func() *string { return &parts[len(parts)-1] }
	for i := 0; i < len(text); i++ {
		switch {
		case text[i] != ';':
			*last() += text[i : i+1]
		case i+1 < len(text) && text[i+1] == ';':
			*last() += ";"
			i++
		default:
			parts = append(parts, "")
		}
	}
	return parts
}

// place sets Net and Addr.
func (d *DSN) place(values map[string]string) error {
	host, port := values["host"], values["port"]
	if socket := values["unix_socket"]; socket != "" && (host == "" || host == "localhost") {
		d.Net, d.Addr = "unix", socket
		return nil
	}
	if host == "" {
		host = "localhost"
	}
	if port == "" {
		port = DefaultPort
	}
	host = strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
	if _, err := netip.ParseAddr(host); err != nil && strings.Contains(host, ":") {
		return &Error{Problem: "host holds a colon", Hint: "write the port as port=NUMBER"}
	}
	d.Net, d.Addr = "tcp", net.JoinHostPort(host, port)
	return nil
}

// check holds for both forms.
func (d *DSN) check() error {
	if d.Database == "" {
		return &Error{Problem: "no database", Hint: "add dbname=NAME, or /NAME in the Go form"}
	}
	for _, text := range []string{d.Net, d.Addr, d.Database, d.User, d.Password.Reveal()} {
		if strings.ContainsRune(text, 0) {
			return &Error{Problem: "a NUL byte", Hint: "remove it"}
		}
	}
	if strings.ContainsAny(d.Addr, "@()?") {
		return &Error{Problem: "host or socket holds one of @ ( ) ?", Hint: "the driver cannot connect to such a name; use another"}
	}
	if d.Net == "unix" {
		return nil
	}
	host, port, err := net.SplitHostPort(d.Addr)
	if err != nil || host == "" || strings.ContainsAny(host, " \t\r\n/[]%") && !zoned(host) {
		return &Error{Problem: "host is no name or address", Hint: "write a name, 127.0.0.1 or [::1]"}
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 || strconv.FormatUint(n, 10) != port {
		return &Error{Problem: "port is no number from 1 to 65535", Hint: "the default is " + DefaultPort}
	}
	return nil
}

// zoned reports whether host is an IPv6 address with a zone, as fe80::1%eth0.
func zoned(host string) bool {
	a, err := netip.ParseAddr(host)
	return err == nil && a.Zone() != "" && !strings.ContainsAny(a.Zone(), " \t\r\n/[]%")
}
